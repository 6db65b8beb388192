"""How many steps back credit must go, for an update to follow the exact gradient."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.modes.update import mode_update
from fastmodes.networks.leaky import check_leak
from fastmodes.networks.network import LinearRNN, Modes, check_network, check_pair
from fastmodes.parallel import interruptibly
from fastmodes.rules import bptt, tbptt
from fastmodes.training.horizon_quality import horizon_cosines, truncated_updates
from fastmodes.training.quality import GRADIENT_AT_REST, MEASURED, Problem, exact_gradient
from fastmodes.training.update_vectors import AT_REST
from fastmodes.updates.one import LOSSES
from fastmodes.validation import check_choice, check_integer, check_memory, check_number, check_steps, shown

from .checks import stored_configuration
from .recorded import recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastmodes.typing import FloatArray, LossName

#: Values of ``horizon_status``: those of ``quality_status``, but "beyond" for an update at rest.
STATUS = ("found", "gradient_at_rest", "beyond", "no_limit", "not_finite")
_BEYOND = STATUS.index("beyond")


def required_horizon(
    student: LinearRNN | Modes | xr.Dataset,
    teacher: LinearRNN | Modes | None = None,
    steps: float | None = None,
    cosine: float = 0.9,
    *,
    longest: int = 200,
    loss: LossName = "final",
    leak: float = 1.0,
) -> xr.Dataset:
    """The smallest horizon from which on truncated BPTT follows the exact gradient: cosine at least ``cosine``.

    With u(tau) the expected update of tBPTT(tau) and g that of BPTT, over all weights that learn,

        c(tau) = <u(tau), g> / (|u(tau)| |g|),    required = min {tau : c(tau') >= cosine for all tau' >= tau}

    c need not rise steadily: an update may follow the gradient at a short horizon, and leave it at a longer one.
    ``first_horizon`` is the first that does; the required one is the one after which none fails.

    Parameters
    ----------
    student : LinearRNN, Modes or Dataset
        A network; or modes, each of which is a network of its own; or the recorded students of a training, or of a
        flow, with ``keep_weights=True``, for which teacher, steps, loss and leak are those of the dataset.
    teacher : LinearRNN or Modes, optional
        As the student; left out for a dataset.
    steps : int or math.inf, optional
        T; default for modes: infinitely many. Left out for a dataset.
    cosine : float
        From -1 to 1, below 1.
    longest : int
        Largest horizon that is looked at, at most T. Where T is larger and even the longest horizon fails, the required
        one lies beyond.
    loss : {"final", "sequence"}
    leak : float
        Of the student's units.

    Returns
    -------
    xarray.Dataset
        ``gradient_cosine`` (.., horizon); ``required_horizon`` and ``first_horizon``, NaN where ``horizon_status`` is
        not "found": "beyond", "gradient_at_rest" at an optimum, "no_limit" where infinitely many steps have none. The
        other dims are the dataset's or those of the modes.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or a dataset without weights.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    >>> student = fm.aligned_student(teacher, fm.Modes([0.8, 0.2], 0.5, 0.5))
    >>> fm.analysis.required_horizon(student, teacher, 50, 0.99).required_horizon.item()
    5.0
    """
    cosine = check_number("cosine", cosine, -1.0, below=1.0)
    longest = check_integer("longest", longest, 1, 100_000)
    configuration: dict[str, Any] = {"command": "required_horizon", "cosine": cosine, "longest": longest}
    if isinstance(student, xr.Dataset):
        _check_own(teacher, steps, loss, leak)
        found = _of_dataset(student, longest)
        configuration["training"] = stored_configuration(student)
    else:
        check_choice("loss", loss, LOSSES)
        leak = check_leak(leak)
        if isinstance(student, Modes):
            found = _of_modes(student, teacher, steps, longest, loss, leak)
        else:
            found = _of_network(student, teacher, steps, longest, loss, leak)
    found = found.assign_coords(horizon=np.arange(1, found.sizes["horizon"] + 1))
    _search(found, cosine)
    return annotate(found, title=f"Horizon that a cosine of {cosine:g} requires", configuration=configuration)


def _check_own(teacher: Any, steps: Any, loss: str, leak: float) -> None:
    """Refuse what a dataset says itself."""
    untouched = {
        "teacher": (teacher, teacher is None), "steps": (steps, steps is None),
        "loss": (loss, isinstance(loss, str) and loss == "final"),
        "leak": (leak, isinstance(leak, int | float) and leak == 1),
    }  # fmt: skip
    for name, (value, left_out) in untouched.items():
        if not left_out:
            raise ValueError(f"{name} must be left out where student is a dataset, which tells it; got {shown(value)}")


def _of_network(student: Any, teacher: Any, steps: Any, longest: int, loss: LossName, leak: float) -> xr.Dataset:
    network, goal = check_network("student", student), check_network("teacher", teacher)
    check_pair(network, goal)
    problem = Problem(goal, check_steps("steps", steps, infinite=True), loss, leak)
    weights = [getattr(network, field.name)[np.newaxis] for field in dataclasses.fields(network)]
    cosines, status = _cosines(weights, problem, [1.0, 1.0, 1.0], longest)
    return xr.Dataset({"gradient_cosine": ("horizon", cosines[0]), "horizon_status": ((), status[0])})


def _of_dataset(runs: xr.Dataset, longest: int) -> xr.Dataset:
    found = recorded(runs, "student")
    shape = found.weights[0].shape[:3]
    horizons = int(min(longest, found.problem.steps))
    check_memory(8.0 * math.prod(shape) * horizons, "choose a smaller one, or fewer records", longest=longest)
    cosines, status = np.empty((*shape, horizons)), np.empty(shape, np.int8)
    for run in found.runs():
        weights = [part[run] for part in found.weights]
        cosines[run], status[run] = _cosines(weights, found.problem, found.learning(*run), longest)
    dims = ("rule", "seed", found.along)
    kept = {name: c for name, c in runs.coords.items() if set(c.dims) <= set(dims)}
    return xr.Dataset({"gradient_cosine": ((*dims, "horizon"), cosines), "horizon_status": (dims, status)}, coords=kept)


def _cosines(
    weights: Sequence[FloatArray], problem: Problem, learns: Sequence[Any], longest: int
) -> tuple[FloatArray, FloatArray]:
    """Cosines (student, horizon) and codes of ``quality_status``; linear algebra keeps to one thread."""
    return interruptibly(_followed, weights, problem, learns, longest)


def _followed(
    weights: Sequence[FloatArray], problem: Problem, learns: Sequence[Any], longest: int
) -> tuple[FloatArray, FloatArray]:
    """The same in the calling thread."""
    horizons = int(min(longest, problem.steps))
    sizes = weights[1].shape[-1], weights[0].shape[-2] + weights[2].shape[-1]
    check_memory(8.0 * len(weights[0]) * horizons * sizes[0] * sum(sizes), "choose a smaller one", longest=longest)
    out = np.full((len(weights[0]), horizons), np.nan)
    gradient, status = exact_gradient(weights, problem, learns)
    there = status == MEASURED
    if there.any():
        readout, parts = truncated_updates([part[there] for part in weights], problem, horizons)
        out[there] = horizon_cosines(readout, parts, [part[there] for part in gradient], learns)
    return out, status


def _of_modes(modes: Modes, teacher: Any, steps: Any, longest: int, loss: LossName, leak: float) -> xr.Dataset:
    """Every mode alone: three numbers."""
    if not isinstance(teacher, Modes):
        raise TypeError(f"teacher must be fastmodes.Modes where the student is; got {shown(teacher)}")
    steps = math.inf if steps is None else check_steps("steps", steps, infinite=True)
    horizons = int(min(longest, steps))
    options: dict[str, Any] = {"loss": loss, "leak": leak}
    exact = _stacked(mode_update(bptt(), modes, teacher, steps, **options))
    silent = _stacked(mode_update(bptt(), modes, _silent(teacher), steps, **options))
    each = [_stacked(mode_update(tbptt(tau), modes, teacher, steps, **options)) for tau in range(1, horizons + 1)]
    cosines = xr.concat([_cosine(update, exact) for update in each], "horizon").transpose(..., "horizon")
    resting = np.sqrt((abs(exact) ** 2).sum("entry")) <= AT_REST * np.sqrt((abs(silent) ** 2).sum("entry"))
    status = xr.where(resting, GRADIENT_AT_REST, MEASURED).astype(np.int8)
    return xr.Dataset({"gradient_cosine": cosines.where(~resting), "horizon_status": status})


def _silent(teacher: Any) -> Any:
    return teacher._replace(readout=0.0)


def _stacked(update: Modes) -> xr.DataArray:
    """Three entries along "entry"; plain arrays on dims of their own."""
    entries = [e if isinstance(e, xr.DataArray) else xr.DataArray(np.asarray(e), dims=_dims(e)) for e in update]
    return xr.concat(entries, "entry")


def _dims(entry: Any) -> list[str]:
    count = np.ndim(entry)
    return ["mode"] if count == 1 else [f"axis_{i}" for i in range(count)]


def _cosine(one: xr.DataArray, other: xr.DataArray) -> xr.DataArray:
    sizes = [np.sqrt((abs(update) ** 2).sum("entry")) for update in (one, other)]
    with np.errstate(all="ignore"):
        cosine: xr.DataArray = (one * np.conj(other)).real.sum("entry") / (sizes[0] * sizes[1])
    return cosine.clip(-1.0, 1.0)


def _search(found: xr.Dataset, cosine: float) -> None:
    """Put the horizons into the dataset, and say where there are none."""
    follows = (found["gradient_cosine"] >= cosine).transpose(..., "horizon").values
    known = found["horizon_status"].values == MEASURED
    last_failure = follows.shape[-1] - np.argmin(follows[..., ::-1], axis=-1)
    required = np.where(follows.all(axis=-1), 1, last_failure + 1).astype(float)
    beyond = known & (required > follows.shape[-1])
    first = np.argmax(follows, axis=-1) + 1.0
    dims = found["horizon_status"].dims
    found["required_horizon"] = dims, np.where(known & ~beyond, required, np.nan)
    found["first_horizon"] = dims, np.where(known & follows.any(axis=-1), first, np.nan)
    status = np.where(beyond, _BEYOND, found["horizon_status"].values).astype(np.int8)
    found["horizon_status"] = dims, status, flag_attributes(STATUS)
