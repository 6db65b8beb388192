"""The largest stable learning rate: predicted by mode theory, and found in training by bisection.

Near an optimal point the update is the linear map 1 + eta lambda with the flow's eigenvalues lambda: a real one is
stable up to eta = 2/|lambda|. For BPTT the largest |lambda| grows like 1/(1 - w*^2)^3, for tBPTT(1) like
1/(1 - w*^2)^2: the limit falls with these powers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from fastmodes.files.schema import annotate
from fastmodes.networks.made import aligned_teacher
from fastmodes.networks.network import LinearRNN, Modes
from fastmodes.parallel import check_threads, run_blocks
from fastmodes.rules import check_rules
from fastmodes.training.train import train
from fastmodes.validation import check_array, check_flag, check_integer, check_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastmodes.rules import LearningRule
    from fastmodes.typing import ArrayLike, BoolArray, Rules


#: Displacement of (w, a, b) from the optimal point, small enough for the linear map.
_DISPLACEMENT = np.array([1e-5, -2e-5, 1e-5])
#: Other modes of a whole network's teacher, relative to its largest eigenvalue.
_SPREAD = np.array([1.0, 0.78, 0.56, 0.33])
_NETWORK_SEEDS = tuple(range(8))
#: Flow time in which whole networks learn, the share of the initial loss that counts as learned, and the most epochs.
_FLOW_TIME, _LEARNED, _LONGEST = 40.0, 1e-4, 20_000


def _steps(w: float, precision: float) -> int:
    """Time steps after which w^(2 T) has fallen to ``precision``: T = infinity for this purpose."""
    return max(4, math.ceil(math.log(precision) / (2 * math.log(w))))


def _bisect(stable: Callable[[float], bool], low: float, high: float, relative: float) -> float:
    """Largest stable rate between ``low`` and ``high``, halving the interval of its logarithm."""
    while stable(high):
        low, high = high, 2 * high
    while not stable(low):
        low, high = low / 2, low
        if low < 1e-12:
            return math.nan
    while high / low > 1 + relative:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if stable(middle) else (low, middle)
    return math.sqrt(low * high)


def unit_rate(rule: LearningRule | str, w: float, *, feedback: float = 1.0, epochs: int = 3000) -> float:
    """Largest learning rate at which a single hidden unit near (w*, 1, 1) comes to rest there, by bisection.

    Parameters
    ----------
    rule : LearningRule or str
    w : float
        Teacher eigenvalue w*, in (0, 1); a* = b* = 1.
    feedback : float
        r.
    epochs : int
        Updates in which the loss must fall to a thousandth.

    Returns
    -------
    float
        NaN where no rate down to 1e-12 learns in so many epochs.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or a rule whose readout decays.
    """
    rules = check_rules(rule)
    if len(rules) != 1:
        raise ValueError(f"rule must be one LearningRule; got {len(rules)}")
    rule = rules[0]
    if rule.feedback == "kolen_pollack" and rule.feedback_decay:
        raise ValueError(f"rule must rest at (w*, 1, 1), from which the decay of {rule.name!r} pulls its readout away")
    w = check_number("w", w, above=0.0, below=1.0)
    feedback = check_number("feedback", feedback)
    epochs = check_integer("epochs", epochs)
    teacher = LinearRNN(*(np.array([[value]]) for value in (1.0, w, 1.0)))
    dw, da, db = _DISPLACEMENT * (1 - w**2)
    student = LinearRNN(*(np.array([[value]]) for value in (1.0 + da, w + dw, 1.0 + db)))
    steps = _steps(w, 1e-9)

    def stable(rate: float) -> bool:
        run = train(
            rule, teacher, seeds=[0], epochs=epochs, learning_rate=rate, steps=steps, updates="expected",
            students=student, feedbacks=[[feedback]], record_every=epochs, validation_size=1, threads=1,
            progress=False,
        )  # fmt: skip
        start, end = run["loss"].values.ravel()
        return bool(end < 1e-3 * start)

    guess = (1 - w**2) ** 2
    return _bisect(stable, guess / 2, guess * 2, 0.003)


def _network_rate(rule: LearningRule, w: float) -> tuple[float, float]:
    """Predicted and measured largest rate of whole networks from small random weights (median over eight seeds).

    The prediction reads s and r of every mode from the runs at a small rate: the smallest limit of the modes.
    """
    from ..theory.linear_stability import largest_learning_rate

    teacher = aligned_teacher(Modes(w * _SPREAD, 1.0, 1.0))
    steps = _steps(w, 1e-4)

    def run(rate: float) -> xr.Dataset:
        epochs = min(math.ceil(_FLOW_TIME / rate), _LONGEST)
        return train(
            rule, teacher, hidden=4, seeds=_NETWORK_SEEDS, epochs=epochs, learning_rate=rate, steps=steps,
            updates="expected", init_scale=0.1, record_every=epochs, validation_size=1, threads=1, progress=False,
        )  # fmt: skip

    def learned(data: xr.Dataset) -> BoolArray:
        low: BoolArray = (data["loss"].isel(epoch=-1) < _LEARNED * data["loss"].isel(epoch=0)).values[0]
        return low

    rough = 2 * (1 - w**2) ** 3 / (1 + w**2)
    if _FLOW_TIME / (rough / 3) > _LONGEST:
        return math.nan, math.nan
    data = run(rough / 3)
    end = data.isel(rule=0, epoch=-1).where(xr.DataArray(learned(data), dims="seed"))
    predicted = math.nan
    s, r = end["mode_readout"].values, end["mode_feedback"].values
    usable = np.isfinite(s) & (s != 0) & (np.isfinite(r) | (not rule.reads_feedback))
    if usable.any():
        goal = np.broadcast_to(w * _SPREAD, s.shape)
        limits = np.full(s.shape, np.nan)
        limits[usable] = largest_learning_rate(
            rule, goal[usable], 1.0, s[usable], feedback=np.nan_to_num(r[usable], nan=1.0), threads=1, progress=False
        ).values[0]
        whole = limits[np.isfinite(limits).all(axis=1)]
        predicted = float(np.median(whole.min(axis=1))) if len(whole) else math.nan
    measured = _bisect(lambda rate: bool(learned(run(rate)).mean() >= 0.5), rough / 2, 2 * rough, 0.1)
    return predicted, measured


def learning_rate_limits(
    rules: Rules, eigenvalues: ArrayLike, *, networks: bool = True, threads: int | None = None
) -> xr.Dataset:
    """Largest stable learning rate of every rule and teacher eigenvalue, predicted and found in training.

    Parameters
    ----------
    rules : LearningRule or str, or sequence of them
    eigenvalues : sequence of float
        w* in (0, 1).
    networks : bool
        Also train whole networks of four units from small random weights, where half of eight runs must learn.
    threads : int, optional
        Default: all cores granted to the process. Results do not depend on it.

    Returns
    -------
    xarray.Dataset (rule, teacher_eigenvalue)
        ``predicted_rate``, ``measured_rate`` at (w, a, b, r) = (w*, 1, 1, 1); ``network_predicted_rate``,
        ``network_measured_rate``; NaN where nothing was learned, or learning takes more than 20,000 epochs.

    Raises
    ------
    TypeError, ValueError
        If an eigenvalue lies outside of (0, 1) (or is complex), or another parameter outside its range.
    """
    from ..theory.linear_stability import largest_learning_rate

    rules, threads = check_rules(rules), check_threads(threads)
    goals = np.atleast_1d(check_array("eigenvalues", eigenvalues))
    networks = check_flag("networks", networks)
    if goals.ndim != 1 or not goals.size or not ((goals > 0) & (goals < 1)).all():
        raise ValueError(f"eigenvalues must lie in (0, 1); got {goals}")
    shape = (len(rules), len(goals))
    names = ("measured_rate", "network_predicted_rate", "network_measured_rate")
    out = {name: np.full(shape, np.nan) for name in names}

    def work(place: tuple[int, ...]) -> None:
        rule, w = rules[place[0]], float(goals[place[1]])
        out["measured_rate"][place] = unit_rate(rule, w)
        if networks:
            out["network_predicted_rate"][place], out["network_measured_rate"][place] = _network_rate(rule, w)

    run_blocks(work, [tuple(place) for place in np.ndindex(shape)][::-1], threads)
    predicted = largest_learning_rate(rules, goals, 1.0, 1.0, threads=threads, progress=False).values
    variables = {"predicted_rate": predicted} | out
    dataset = xr.Dataset(
        {name: (("rule", "teacher_eigenvalue"), value) for name, value in variables.items()},
        coords={"rule": [rule.name for rule in rules], "teacher_eigenvalue": goals},
    )
    return annotate(
        dataset,
        title="Largest stable learning rate",
        configuration={"rules": [repr(rule) for rule in rules], "eigenvalues": goals, "networks": networks},
    )


def power_of_gap(dataset: xr.Dataset, variable: str, rule: str, above: float = 0.75) -> float:
    """Exponent k of a limit that falls like (1 - w*^2)^k, by least squares over the eigenvalues from ``above`` on.

    NaN for fewer than two eigenvalues.
    """
    rates = dataset[variable].sel(rule=rule)
    w = rates["teacher_eigenvalue"].values
    kept = (w >= above) & np.isfinite(rates.values)
    if kept.sum() < 2:
        return math.nan
    return float(np.polyfit(np.log(1 - w[kept] ** 2), np.log(rates.values[kept]), 1)[0])
