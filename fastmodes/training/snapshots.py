"""Networks and feedback matrices out of a dataset: students at any recorded epoch, as values again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..networks.network import LinearRNN
from ..rules import LearningRule, parse_rule
from ..validation import check_integer, check_number, shown

if TYPE_CHECKING:
    from ..typing import AnyArray, FloatArray, Rule

#: Weights in a dataset, with dims of their own.
WEIGHTS = {
    "readout_weights": ("output", "unit"),
    "recurrent_weights": ("unit_to", "unit_from"),
    "input_weights": ("unit", "channel"),
}
#: Dims along which None stands for the last.
_ORDERED = ("phase", "epoch", "time")
#: Flow times closer than this share are one.
_SAME_TIME = 1e-9


def network_at(
    runs: xr.Dataset,
    *,
    rule: Rule | None = None,
    seed: int | None = None,
    epoch: int | None = None,
    time: float | None = None,
    phase: int | None = None,
) -> LinearRNN:
    """The student of one rule and seed at one recorded epoch.

    Parameters
    ----------
    runs : xarray.Dataset
        From :func:`train` or :func:`train_tasks` with ``keep_weights=True``, or from :func:`matrix_flow` (without its
        ``keep_weights`` there is the last state alone), or a part of one.
    rule : LearningRule or str, optional
        A rule, its name in the dataset, or a text that :func:`parse_rule` reads; needed where there are several.
    seed : int, optional
        Needed where there are several.
    epoch : int, optional
        A recorded epoch; default, and -1: the last.
    time : float, optional
        A recorded flow time; default: the last.
    phase : int, optional
        Of :func:`train_tasks`; default, and -1: the last.

    Returns
    -------
    LinearRNN
        With the weights that learn: of leaky students W and B themselves; ``.leaky(alpha)`` runs as they do.

    Raises
    ------
    TypeError, ValueError
        If the dataset holds no weights, no such run, or no numbers there because the run has diverged before.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.rotating_teacher(0.8, 0.5)
    >>> runs = fm.train(["bptt", "eprop"], teacher, hidden=3, seeds=2, epochs=20, steps=5, updates="expected",
    ...                 learning_rate=0.1, keep_weights=True, progress=False)
    >>> fm.network_at(runs, rule="eprop", seed=1, epoch=0) == fm.random_student(3, teacher, scale=0.1, seed=1)
    True
    """
    names = _weight_names(runs, time)
    asked = {"rule": rule, "seed": seed, "epoch": epoch, "time": time, "phase": phase}
    parts = {name: _chosen(runs, names[name], asked) for name in WEIGHTS}
    matrices = [parts[name].transpose(*dims).values for name, dims in WEIGHTS.items()]
    if not all(np.isfinite(matrix).all() for matrix in matrices):
        one = parts["recurrent_weights"]
        place = ", ".join(f"{dim} {one[dim].item()!r}" for dim in ("rule", "seed", *_ORDERED) if dim in one.coords)
        raise ValueError(f"runs must have finite weights where a network is taken out; at {place} the run has diverged")
    return LinearRNN(*matrices)


def feedback_at(
    runs: xr.Dataset,
    *,
    rule: Rule | None = None,
    seed: int | None = None,
    epoch: int | None = None,
    time: float | None = None,
    phase: int | None = None,
) -> FloatArray:
    """The feedback matrix R of one run: what rules that read one have read, or learned until then.

    Parameters
    ----------
    runs : xarray.Dataset
        As for :func:`network_at`.
    rule : LearningRule or str, optional
        Needed where rules have an R of their own.
    seed : int, optional
        Needed where there are several.
    epoch, time, phase : number, optional
        As for :func:`network_at`; an R that does not learn is the same at all of them.

    Returns
    -------
    array (n_out, n_hidden)

    Raises
    ------
    TypeError, ValueError
        If the dataset holds no feedback, no such run, or no numbers there because the run has diverged before.
    """
    _check_runs(runs)
    if "feedback_weights" not in runs:
        raise ValueError(_without("feedback_weights"))
    asked = {"rule": rule, "seed": seed, "epoch": epoch, "time": time, "phase": phase}
    # Rules that make or move an R of their own; NaN for all others.
    history, last = "learned_feedback_weights", "final_feedback_weights"
    own = history if history in runs or time is not None else last
    if own in runs:
        matrix = _chosen(runs, own, asked).transpose("output", "unit").values
        if np.isfinite(matrix).all():
            return np.array(matrix, dtype=float)
        along = [dim for dim in _ORDERED if dim in runs[own].dims]
        if np.isfinite(_chosen(runs.isel({dim: [0] for dim in along}), own, asked | dict.fromkeys(along))).all():
            raise ValueError("runs must have a finite R where it is taken out; this run has diverged before")
    return np.array(_chosen(runs, "feedback_weights", asked).transpose("output", "unit").values, dtype=float)


def networks_of(runs: xr.Dataset) -> xr.DataArray:
    """All students of a dataset, or of a part of one, as a labelled array of networks.

    Parameters
    ----------
    runs : xarray.Dataset
        As for :func:`network_at`; ``runs.isel(epoch=-1)`` for the last students.

    Returns
    -------
    xarray.DataArray
        Of objects, on the dims and coordinates of the weights without their own axes, such as (rule, seed, epoch):
        ``networks.sel(rule="RFLO", seed=3).item()`` is a LinearRNN, ``list(networks.sel(rule="RFLO").values)`` what
        ``students=`` takes. None where a run has diverged before.

    Raises
    ------
    TypeError, ValueError
        If the dataset holds no weights.
    """
    names = _weight_names(runs, None)
    parts = [runs[names[name]].transpose(..., *dims) for name, dims in WEIGHTS.items()]
    around = parts[1].isel(unit_to=0, unit_from=0)
    if any(part.dims[:-2] != around.dims for part in parts):
        raise ValueError(f"runs must have readout, recurrent and input weights of the same dims; got {parts[0].dims}")
    networks = np.empty(around.shape, dtype=object)
    for place in np.ndindex(*around.shape):
        matrices = [part.values[place] for part in parts]
        networks[place] = LinearRNN(*matrices) if all(np.isfinite(m).all() for m in matrices) else None
    kept = {name: coordinate for name, coordinate in around.coords.items() if set(coordinate.dims) <= set(around.dims)}
    return xr.DataArray(networks, dims=around.dims, coords=kept, name="network", attrs={"long_name": "network"})


def rule_label(runs: xr.Dataset, rule: Rule) -> str:
    """The name under which a dataset has a rule, given as a value, by its name or as a text.

    Raises
    ------
    ValueError
        If it has none of this name.
    """
    names = [str(name) for name in np.atleast_1d(runs["rule"].values)]
    if isinstance(rule, str) and rule in names:
        return rule
    name = rule.name if isinstance(rule, LearningRule) else None
    if isinstance(rule, str):
        try:
            name = parse_rule(rule).name
        except (TypeError, ValueError):
            name = None
    if name not in names:
        raise ValueError(f"rule must be one of {', '.join(map(repr, names))} here; got {shown(rule)}")
    return name


def _check_runs(runs: xr.Dataset) -> None:
    if not isinstance(runs, xr.Dataset):
        raise TypeError(f"runs must be an xarray.Dataset from fastmodes.train; got {shown(runs)}")


def _without(variable: str) -> str:
    return f"runs must hold {variable!r}, as fastmodes.train writes it with keep_weights=True; it has not been kept"


def _weight_names(runs: xr.Dataset, time: float | None) -> dict[str, str]:
    """Names of the weights in a dataset: the history, or the last state where a flow has kept no other."""
    _check_runs(runs)
    if "recurrent_weights" not in runs and "final_recurrent_weights" in runs and time is None:
        names = {name: f"final_{name}" for name in WEIGHTS}
    else:
        names = {name: name for name in WEIGHTS}
    missing = [stored for stored in names.values() if stored not in runs]
    if missing:
        raise ValueError(_without(missing[0]))
    return names


def _chosen(runs: xr.Dataset, variable: str, asked: dict[str, Any]) -> xr.DataArray:
    """One matrix: the variable at the places asked for, without any dim but its own two."""
    array = runs[variable]
    for dim, wanted in asked.items():
        if wanted is None and dim not in array.dims:
            continue
        if dim not in runs.coords:
            raise ValueError(f"runs must have coordinates of {dim!r} to find {dim}={shown(wanted)}; got none")
        if not runs[dim].size:
            raise ValueError(f"runs must have at least one entry along {dim!r}; got none")
        place = _place(runs, dim, wanted)
        if dim in array.dims:
            array = array.isel({dim: place})
    own = {"output", "unit", "unit_to", "unit_from", "channel"}
    others = [str(dim) for dim in array.dims if dim not in own]
    if others:
        raise ValueError(f"runs must be selected along {', '.join(others)} first; got {dict(array.sizes)}")
    return array


def _place(runs: xr.Dataset, dim: str, wanted: Any) -> int:
    """Where a rule, seed, epoch, time or phase stands on its axis."""
    labels = np.atleast_1d(runs[dim].values)
    if wanted is None:
        if len(labels) > 1 and dim not in _ORDERED:
            raise ValueError(f"{dim} must be one of {_listed(labels)}, of which there are several; got None")
        return len(labels) - 1
    if dim == "rule":
        return labels.tolist().index(rule_label(runs, wanted))
    if dim == "time":
        moment = check_number("time", wanted, 0.0)
        found = np.flatnonzero(np.abs(labels - moment) <= _SAME_TIME * max(moment, float(np.abs(labels).max())))
    else:
        number = check_integer(dim, wanted, -1 if dim in _ORDERED else 0, 2**63 - 1)
        if number == -1:
            return len(labels) - 1
        found = np.flatnonzero(labels == number)
    if not found.size:
        raise ValueError(f"{dim} must be one of {_listed(labels)}, which are recorded; got {shown(wanted)}")
    return int(found[0])


def _listed(labels: AnyArray) -> str:
    texts = [str(label) for label in labels.tolist()]
    return ", ".join(texts if len(texts) <= 8 else [*texts[:4], "..", *texts[-3:]])
