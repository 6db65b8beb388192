"""How well rules can be told apart, before anything is measured (theory section 14)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy import special

import fastmodes as fm
from fastmodes.files.schema import annotate
from fastmodes.rules import check_rules
from fastmodes.validation import check_choice, check_integer, check_number

from .directions import directions_for
from .family import family, hypothesis_of
from .fits import fitted
from .identifying import OBSERVED, sight_of
from .likelihood import FREEDOM, columns_of, covariance_of, least_left, whitened
from .posterior import weighed
from .snapshots import Weights
from .tasks import given_protocol

if TYPE_CHECKING:
    from fastmodes.typing import ArrayLike, FloatArray, LossName, Rules

    from .chains import Task
    from .fits import Fit
    from .seen import Seen

#: Probability of naming the wrong one of two rules at which they count as told apart.
TOLD_APART = 0.01
_SEED = 15


def identifiability(
    rules: Rules,
    student: fm.LinearRNN,
    teacher: fm.LinearRNN,
    steps: int,
    *,
    learning_rate: float,
    snapshots: int = 40,
    every: int = 20,
    batch_size: float = 32,
    feedback: ArrayLike | None = None,
    loss: LossName = "final",
    target_noise: float = 0.0,
    observation_noise: float = 0.0,
    units: Sequence[int] | None = None,
    observed: str = "weights",
) -> xr.Dataset:
    """How many snapshots, units, trials, and how little noise, tell two rules apart: by formula.

    The student learns by the expected updates of each rule. Its changes between snapshots are then explained by every
    other rule as well as it can, all its unknowns fitted. What is left, delta_s in interval s, along directions with
    covariances C of the true and C' of the other rule, gives the expected log odds for the true rule

        E = sum_s ((nu + d) ln[(nu + q_s) / (nu + d)] + ln |C'_s| / |C_s|) / 2
        q_s = delta_s^T C'_s^{-1} delta_s + tr C'_s^{-1} C_s

    in d directions, with the nu = 4 degrees of freedom that :func:`identify` takes, and the probability of naming the
    other of the two, Phi(-sqrt(E / 2)), as of log odds whose variance is twice their mean.

    Parameters
    ----------
    rules : LearningRule, str or sequence of them
        At least two.
    student, teacher : LinearRNN
        The untrained student and the task.
    steps : int
    learning_rate : float
    snapshots, every : int
        Intervals that are seen, and updates in each.
    batch_size : int
        Sequences (trials) of one update.
    feedback : array (n_out, n_hidden), optional
        R of the rules that read one.
    loss : {"final", "sequence"}
    target_noise, observation_noise : float
    units, observed
        As for :func:`identify`.

    Returns
    -------
    xarray.Dataset
        On ``rule``, the true one, ``hypothesis``, the other, and ``snapshot``: ``expected_log_odds`` from all
        snapshots until this one; ``misnamed_probability``; and on (rule, hypothesis) ``snapshots_needed`` for 0.01,
        NaN where they do not suffice. NaN on the diagonal.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, rules that are not told apart, or a student that diverges.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
    >>> student = fm.random_student(6, teacher, scale=0.3, seed=0)
    >>> found = fm.analysis.identifiability(["bptt", "tbptt(1)"], student, teacher, 12, learning_rate=0.01)
    >>> bool(found.misnamed_probability.sel(rule="BPTT", hypothesis="tBPTT(1)")[-1] < 1e-6)
    True
    """
    listed = check_rules(rules)
    if len(listed) < 2:
        raise ValueError(f"rules must be at least two; got {len(listed)}")
    snapshots, every = check_integer("snapshots", snapshots, 4), check_integer("every", every)
    rate = check_number("learning_rate", learning_rate, above=0.0)
    check_choice("observed", observed, OBSERVED)
    protocol = given_protocol(
        teacher=teacher, steps=steps, batch_size=batch_size, loss=loss, leak=None, rates=None,
        target_noise=target_noise, input_covariance=None, observation_noise=observation_noise,
    )  # fmt: skip
    horizons = sorted({rule.horizon for rule in listed if rule.horizon is not None})
    known = family(10**9, horizons)
    hypotheses = [hypothesis_of(rule, known) for rule in listed]
    runs = fm.train(
        listed, teacher, students=[student], feedbacks=None if feedback is None else [feedback], steps=steps, loss=loss,
        seeds=[0], updates="expected", learning_rate=rate, epochs=snapshots * every, record_every=every,
        keep_weights=True, progress=False,
    )  # fmt: skip
    sight = sight_of(units, student.n_hidden, observed)
    log_odds = np.full((len(listed), len(listed), snapshots), np.nan)
    for i in range(len(listed)):
        one = runs.isel(rule=i, seed=0)
        weights = Weights(
            one["readout_weights"].transpose("epoch", "output", "unit").values,
            one["recurrent_weights"].transpose("epoch", "unit_to", "unit_from").values,
            one["input_weights"].transpose("epoch", "unit", "channel").values,
        )
        if not all(np.isfinite(part).all() for part in weights):
            raise ValueError(f"learning_rate must be small enough for {listed[i].name} to converge; got {rate}")
        task = protocol.task(weights)
        seen, _ = weighed(weights, one["epoch"].values, task, [hypotheses[i]], sight)
        for j in range(len(listed)):
            if j != i:
                found = [fitted(hypotheses[place], seen) for place in (i, j)]
                log_odds[i, j] = np.cumsum(_log_odds(found, seen, task))
    return _dataset(log_odds, [rule.name for rule in listed])


def _log_odds(found: list[Fit], seen: Seen, task: Task) -> FloatArray:
    """Expected log odds (interval,) for the first of two fitted rules, which made the changes, in each interval."""
    directions = directions_for(seen, found, np.random.Generator(np.random.SFC64(_SEED)))
    true, other = (covariance_of(fit, seen, task, directions) for fit in found)
    white = whitened(other, directions, columns_of(found[1], seen, directions))
    left = least_left(white, np.ones(len(true)))[0]
    solved = np.linalg.solve(other, true)
    count = true.shape[-1]
    log_det = np.linalg.slogdet(other)[1] - np.linalg.slogdet(true)[1]
    squares = left + np.trace(solved, axis1=1, axis2=2)
    return 0.5 * ((FREEDOM + count) * np.log((FREEDOM + squares) / (FREEDOM + count)) + log_det)


def _dataset(log_odds: FloatArray, names: list[str]) -> xr.Dataset:
    wrong = special.ndtr(-np.sqrt(np.maximum(log_odds, 0.0) / 2))
    enough = wrong <= TOLD_APART
    needed = np.where(enough.any(axis=2), np.argmax(enough, axis=2) + 1.0, np.nan)
    dims = ("rule", "hypothesis", "snapshot")
    variables: dict[str, Any] = {
        "expected_log_odds": (dims, log_odds),
        "misnamed_probability": (dims, wrong),
        "snapshots_needed": (dims[:2], needed),
    }
    coordinates = {"rule": names, "hypothesis": names, "snapshot": np.arange(1, log_odds.shape[2] + 1)}
    out = xr.Dataset(variables, coords=coordinates)
    return annotate(out, title="How well rules are told apart", configuration={"command": "identifiability"})
