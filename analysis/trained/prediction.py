"""Theory started from an epoch of a student that need not be aligned (Secs. 2.6, 3.5; Fig. 5).

The flow of the modes starts from the student's estimated modes at epoch k; its time is s = eta (epoch - k).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.networks.network import Modes
from fastmodes.validation import check_array, check_integer, check_number, shown

from .checks import check_real_teacher, check_training, training_rules

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from fastmodes.rules import LearningRule
    from fastmodes.typing import ArrayLike, FloatArray


ENTRIES = ("recurrent", "readout", "input")
#: Values of ``prediction_status``.
STATUS = ("followed", "left_domain", "no_start")
#: What the flow describes: values of the configuration (datasets of before have the first two alone).
_PLAIN: dict[str, Any] = {
    "optimizer": "sgd", "clip_norm": None, "schedule": "constant", "momentum": 0.0, "leak": 1.0, "mask": None,
    "nonlinearity": "identity", "data": None, "input_covariance": None, "colour": None, "private_noise": 0.0,
}  # fmt: skip
_READ = (
    *(f"{part}_{name}" for part in ("mode", "teacher") for name in ENTRIES), "mode_feedback",
)  # fmt: skip


def _clock(dataset: xr.Dataset) -> float:
    """Flow time of one epoch; the flow describes plain gradient descent alone."""
    configuration = check_training(dataset, _READ, ("rule", "seed", "epoch", "mode"))
    check_real_teacher(dataset)
    _check_plain(configuration)
    for rule in training_rules(dataset):
        if rule.propagator == "diagonal":
            raise ValueError(f"dataset must hold rules that have modes; {rule.name!r} has a fixed diagonal propagator")
    return float(configuration["learning_rate"])


def _check_plain(configuration: dict[str, Any]) -> None:
    """Refuse trainings whose updates are not one number times those of the flow.

    Raises
    ------
    ValueError
        Naming the setting, its value, and the one that the flow describes.
    """
    found = {name: (configuration.get(name, plain), plain) for name, plain in _PLAIN.items()}
    decay = configuration.get("weight_decay", 0.0)
    found["weight_decay"] = (any(decay.values()) if isinstance(decay, dict) else decay) and decay, 0.0
    rate = configuration["learning_rate"]
    found["learning_rate"] = ("one for every matrix or run" if isinstance(rate, dict) else 1), 1
    for name, (value, plain) in found.items():
        if value != plain:
            wanted = "one number for all" if name == "learning_rate" else repr(plain)
            raise ValueError(
                "dataset must be trained by plain gradient descent of linear networks on ever new sequences, as the "
                f"flow of modes describes it: {name} must be {wanted}; got {shown(value)}"
            )


def predict_from_epoch(
    dataset: xr.Dataset,
    epoch: int,
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    step_limit: int = 100_000,
    threads: int | None = None,
) -> xr.Dataset:
    """Start the mode flow from the student's estimated modes at one epoch and follow it to the end of training.

    The flow is the one of T = infinity. Imaginary parts of the estimates are dropped (they are in the dataset beside).
    e-prop's modes are exact only where the student's eigenbasis is the neuron basis; elsewhere this is an approximation
    that the error measures.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train` with plain gradient descent: one constant learning rate; no momentum, clipping,
        weight decay or mask; linear units without a leak; ever new sequences.
    epoch : int
        One of the recorded epochs, or the nearest recorded one is taken.
    rtol, atol, step_limit, threads
        Of the flow; see :func:`fastmodes.flow`.

    Returns
    -------
    xarray.Dataset
        ``mode_recurrent``, ``mode_readout``, ``mode_input`` (rule, seed, epoch, mode), named as in the training they
        are to be laid over, NaN before the start and from where the flow leaves |w| < 1; ``prediction_status`` (rule,
        seed, mode); coordinate ``start_epoch``. Version 0.1.0 called them ``predicted_recurrent`` ....

    Raises
    ------
    TypeError, ValueError
        If the dataset was not trained by plain gradient descent, its teacher has complex eigenvalues, or the epoch lies
        outside of it.
    """
    rate = _clock(dataset)
    rtol, atol = check_number("rtol", rtol, 1e-13, 0.1), check_number("atol", atol, 1e-15, 0.1)
    epochs = dataset["epoch"].values
    epoch = check_integer("epoch", epoch, int(epochs[0]), int(epochs[-1]))
    place = int(np.abs(epochs - epoch).argmin())
    if place == len(epochs) - 1:
        raise ValueError(f"epoch must lie before the last recorded one, {epochs[-1]}; got {epoch}")
    shape = tuple(dataset.sizes[d] for d in ("rule", "seed", "epoch", "mode"))
    predicted = {name: np.full(shape, np.nan) for name in ENTRIES}
    status = np.full((shape[0], shape[1], shape[3]), STATUS.index("no_start"), dtype=np.int8)
    options: dict[str, Any] = {"rtol": rtol, "atol": atol, "step_limit": step_limit, "threads": threads}
    times = rate * (epochs[place:] - epochs[place]).astype(float)
    for i, rule in enumerate(training_rules(dataset)):
        start = dataset.isel(rule=i, epoch=place).transpose("seed", "mode", ...)
        curves, ended = _flow(rule, start, times, options)
        for name in ENTRIES:
            predicted[name][i, :, place:] = curves[name]
        status[i] = ended
    variables = {
        f"mode_{name}": (
            ("rule", "seed", "epoch", "mode"), values, {"long_name": f"predicted {name} mode entry {letter}"}
        )
        for (name, values), letter in zip(predicted.items(), "wab", strict=True)
    }  # fmt: skip
    out = xr.Dataset(
        variables | {"prediction_status": (("rule", "seed", "mode"), status)},
        coords={**_coordinates(dataset), "start_epoch": int(epochs[place])},
    )
    out["prediction_status"].attrs = flag_attributes(STATUS)
    return annotate(
        out,
        title="Modes predicted from one epoch of training",
        configuration={"command": "predict_from_epoch", "epoch": int(epochs[place]), "rtol": rtol, "atol": atol},
    )


def _coordinates(dataset: xr.Dataset) -> dict[Hashable, xr.DataArray]:
    return {
        name: dataset[name] for name in dataset.coords if set(dataset[name].dims) <= {"rule", "seed", "epoch", "mode"}
    }


def _flow(
    rule: LearningRule, start: xr.Dataset, times: FloatArray, options: dict[str, Any]
) -> tuple[dict[str, FloatArray], NDArray[np.int8]]:
    """Curves (seed, time, mode) of each entry from one record of the training, and their status (seed, mode)."""
    import fastmodes as fm

    entries = {name: start[f"mode_{name}"].values for name in ENTRIES}
    r = start["mode_feedback"].values if rule.reads_feedback else np.ones_like(entries["recurrent"])
    usable = np.isfinite(r) & np.all([np.isfinite(v) for v in entries.values()], axis=0)
    usable &= np.abs(np.nan_to_num(entries["recurrent"], nan=1.0)) < 1 - 1e-9
    teacher = Modes(*(np.broadcast_to(start[f"teacher_{name}"].values, usable.shape)[usable] for name in ENTRIES))
    status = np.where(usable, STATUS.index("followed"), STATUS.index("no_start")).astype(np.int8)
    curves = {name: np.full((len(usable), len(times), usable.shape[1]), np.nan) for name in ENTRIES}
    if not usable.any():
        return curves, status
    modes = Modes(*(v[usable] for v in entries.values()))
    flow = fm.flow(rule, modes, teacher, times, feedback=r[usable], progress=False, **options)
    flow = flow.isel(rule=0).transpose("point", "time", ...)
    meanings = flow["status"].attrs["flag_meanings"].split()
    left = flow["status"].values == meanings.index("left_domain")
    gone = left[:, np.newaxis] & (times > flow["time_reached"].values[:, np.newaxis])
    status[usable] = np.where(left, STATUS.index("left_domain"), STATUS.index("followed"))
    seed, mode = np.nonzero(usable)
    for name, variable in zip(ENTRIES, ("w", "a", "b"), strict=True):
        curves[name][seed, :, mode] = np.where(gone, np.nan, flow[variable].values)
    return curves, status


def theory_error(
    dataset: xr.Dataset,
    epochs: ArrayLike | None = None,
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    step_limit: int = 100_000,
    threads: int | None = None,
) -> xr.Dataset:
    """Distance of theory from training against the epoch the theory starts from (Fig. 5A).

    For each start, the norm of the difference between predicted and measured (w, a, b) of each mode, averaged over the
    recorded epochs from there on; and the same for the simplest prediction, that nothing changes any more.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train` with plain gradient descent: one constant learning rate; no momentum, clipping,
        weight decay or mask; linear units without a leak; ever new sequences.
    epochs : sequence of int, optional
        Start epochs; default: about forty recorded ones. The last recorded epoch leaves nothing to predict.
    rtol, atol, step_limit, threads
        Of the flow; see :func:`fastmodes.flow`.

    Returns
    -------
    xarray.Dataset
        ``theory_error``, ``standstill_error`` (rule, seed, epoch, mode) with ``epoch`` the start; NaN where the flow
        leaves its domain or the run diverged; ``prediction_status`` (rule, seed, epoch, mode).

    Raises
    ------
    TypeError, ValueError
        If the dataset was not trained by plain gradient descent, its teacher has complex eigenvalues, or an epoch lies
        outside of it.
    """
    _clock(dataset)
    recorded = dataset["epoch"].values[:-1]
    if not len(recorded):
        raise ValueError("dataset must hold at least two recorded epochs; got one")
    if epochs is None:
        starts = recorded[:: max(1, len(recorded) // 40)]
    else:
        starts = np.unique(np.atleast_1d(check_array("epochs", epochs)))
        if not (len(starts) and starts[0] >= recorded[0] and starts[-1] <= dataset["epoch"].values[-1]):
            raise ValueError(
                f"epochs must lie from {recorded[0]} to {dataset['epoch'].values[-1]}, the recorded ones; "
                f"got {shown(epochs)}"
            )
    places = np.unique(np.abs(dataset["epoch"].values - np.atleast_1d(starts)[:, np.newaxis]).argmin(axis=1))
    measured = np.stack([dataset[f"mode_{name}"].transpose("rule", "seed", "epoch", "mode") for name in ENTRIES])
    shape = (*measured.shape[1:3], len(places), measured.shape[4])
    options: dict[str, Any] = {"rtol": rtol, "atol": atol, "step_limit": step_limit, "threads": threads}
    errors, standstill, status = np.empty(shape), np.empty(shape), np.empty(shape, dtype=np.int8)
    for k, place in enumerate(places):
        prediction = predict_from_epoch(dataset, int(dataset["epoch"].values[place]), **options)
        theory = np.stack([prediction[f"mode_{name}"].values[:, :, place:] for name in ENTRIES])
        after = measured[:, :, :, place:]
        errors[:, :, k] = _distance(theory, after)
        standstill[:, :, k] = _distance(after[:, :, :, :1], after)
        status[:, :, k] = prediction["prediction_status"].values
    dims = ("rule", "seed", "epoch", "mode")
    out = xr.Dataset(
        {
            "theory_error": (dims, errors),
            "standstill_error": (dims, standstill),
            "prediction_status": (dims, status),
        },
        coords=_coordinates(dataset.isel(epoch=places)),
    )
    out["prediction_status"].attrs = flag_attributes(STATUS)
    return annotate(
        out, title="Theory error against the start epoch", configuration={"command": "theory_error", "starts": starts}
    )


def _distance(theory: FloatArray, measured: FloatArray) -> FloatArray:
    """Norm over (w, a, b), averaged over epochs; NaN if a value is missing."""
    mean: FloatArray = np.sqrt(((theory - measured) ** 2).sum(axis=0)).mean(axis=2)
    return mean
