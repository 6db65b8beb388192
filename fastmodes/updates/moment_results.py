"""From raw moments of a single sample to a labelled dataset, with what derives from them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from ..files.schema import annotate
from ..named_rules import bptt
from ..networks.leaky import MATRICES
from ..networks.network import LinearRNN
from .many import expected_updates

if TYPE_CHECKING:
    from ..rules import LearningRule
    from ..typing import FloatArray

_DIMS = (("output", "unit"), ("unit_to", "unit_from"), ("unit", "channel"))


class Raw(NamedTuple):
    """Moments of single samples, the student first: those of Delta W and Delta B side by side, of plain networks."""

    losses: FloatArray
    readout_mean: FloatArray
    readout_variance: FloatArray
    mean: FloatArray
    variance: FloatArray
    along_mean: FloatArray
    along_variance: FloatArray


def moments_dataset(problem: Any, raw: Raw, batch_size: int, leak: float, form: tuple[bool, bool]) -> xr.Dataset:
    """The dataset of :func:`fastmodes.update_moments`.

    Parameters
    ----------
    problem : _Problem
    raw : Raw
    batch_size : int
    leak : float
        Chain rule: Delta W and Delta B are leak times those of the effective network.
    form : tuple of bool
        Whether there is a single student without a dimension, and whether directions have one.
    """
    single, labelled = form
    variables: dict[str, Any] = {"loss": (("student",), raw.losses)}
    if problem.entries:
        with np.errstate(all="ignore"):
            variables |= _entries(problem, raw, batch_size, leak)
    if problem.along:
        dims = ("student", "direction")
        variables["mean_along"] = (dims, raw.along_mean)
        variables["variance_along"] = (dims, raw.along_variance / batch_size)
    coords = {"matrix": list(MATRICES)} if problem.entries else {}
    dataset = xr.Dataset(variables, coords=coords)
    if single:
        dataset = dataset.isel(student=0)
    if problem.along and not labelled:
        dataset = dataset.isel(direction=0)
    configuration = {
        "rule": repr(problem.rule), "steps": problem.steps, "loss": problem.loss, "batch_size": batch_size,
        "target_noise": problem.noise, "leak": leak, "input_covariance": problem.root @ problem.root.T,
    }  # fmt: skip
    return annotate(dataset, title="Second moments of sampled updates", configuration=configuration)


def _entries(problem: Any, raw: Raw, batch_size: int, leak: float) -> dict[str, Any]:
    n = raw.mean.shape[1]
    means = raw.readout_mean, leak * raw.mean[:, :, :n], leak * raw.mean[:, :, n:]
    single = raw.readout_variance, leak**2 * raw.variance[:, :, :n], leak**2 * raw.variance[:, :, n:]
    spread = [variance / batch_size for variance in single]
    variables: dict[str, Any] = {}
    for kind, arrays in (("mean", means), ("variance", spread)):
        for name, dims, array in zip(MATRICES, _DIMS, arrays, strict=True):
            variables[f"{kind}_{name}"] = (("student", *dims), array)
    sums = np.stack([variance.sum((1, 2)) for variance in spread], axis=1)
    total, signal = sums.sum(1), _inner(means, means)
    gradient = means if _is_gradient(problem.rule, problem.steps) else _gradient(problem, leak)
    ratios = {
        "signal_to_noise": signal / total,
        "critical_batch_size": batch_size * total / signal,
        "expected_cosine": _inner(means, gradient) / np.sqrt((signal + total) * _inner(gradient, gradient)),
    }
    variables["matrix_variance"] = (("student", "matrix"), sums)
    variables["total_variance"] = (("student",), total)
    return variables | {name: (("student",), values) for name, values in ratios.items()}


def _inner(first: Any, second: Any) -> FloatArray:
    """Inner product over all three matrices, for each student."""
    return sum(np.einsum("sij,sij->s", a, b) for a, b in zip(first, second, strict=True))


def _is_gradient(rule: LearningRule, steps: float) -> bool:
    exact = rule.feedback == "readout" and rule.propagator == "recurrent"
    return exact and (rule.horizon or math.inf) >= steps


def _gradient(problem: Any, leak: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The exact gradient of the expected loss, of every student."""
    root, teacher = problem.root, problem.teacher
    students = [LinearRNN(s.readout, s.recurrent, s.input @ root) for s in problem.students]
    goal = LinearRNN(teacher.readout, teacher.recurrent, teacher.input @ root)
    found = expected_updates(bptt(), students, goal, problem.steps, loss=problem.loss)
    return found.readout, leak * found.recurrent, leak * found.input @ root.T
