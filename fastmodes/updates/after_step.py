"""The expected loss after one sampled step (beyond the paper; theory section 13)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..files.schema import annotate
from ..networks.network import LinearRNN, check_network
from ..rules import check_rule
from ..validation import check_array
from .curvature import loss_hessian
from .moments import update_moments
from .one import expected_update

if TYPE_CHECKING:
    from ..typing import ArrayLike, FloatArray, LossName, Rule


def loss_after_step(
    rule: Rule,
    student: LinearRNN,
    teacher: LinearRNN,
    steps: float,
    learning_rate: ArrayLike,
    *,
    feedback: ArrayLike | None = None,
    loss: LossName = "final",
    batch_size: int = 1,
    target_noise: float = 0.0,
    input_covariance: ArrayLike | None = None,
    leak: float = 1.0,
) -> xr.Dataset:
    """Expected loss after one sampled step, to second order in the learning rate eta (theory section 13).

        E L(theta - eta u) = L - eta <g, E u> + eta^2/2 E[u^T H u]
        E[u^T H u] = sum_i l_i ( Var<v_i, u> + <v_i, E u>^2 )

    with g and H gradient and Hessian of the expected loss, l_i and v_i the eigenvalues and eigenvectors of H. Both
    coefficients are exact; what is left out is of third order in eta, for the loss is a polynomial of high degree in W.

    Parameters
    ----------
    rule : LearningRule or str
    student, teacher : LinearRNN
    steps : int or math.inf
    learning_rate : number or array
        eta > 0.
    feedback, loss, batch_size, target_noise, input_covariance, leak
        As for :func:`update_moments`.

    Returns
    -------
    xarray.Dataset
        ``loss``, ``loss_slope`` <g, E u>, ``loss_curvature`` E[u^T H u], and ``loss_after_step`` (learning_rate). The
        best rate by these is the slope over the curvature, where both are positive.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range. The Hessian has as many rows as there are weights, and as many directions
        are asked for: it must fit into memory.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    >>> student = fm.random_student(3, teacher, scale=0.5, seed=0)
    >>> after = fm.loss_after_step("bptt", student, teacher, 20, [0.001, 0.01], batch_size=10)
    >>> bool((after.loss_after_step < after.loss).all())
    True
    """
    rule = check_rule(rule)
    rates = np.atleast_1d(check_array("learning_rate", learning_rate))
    if rates.ndim > 1 or not (rates > 0).all():
        raise ValueError(f"learning_rate must be a number > 0 or a row of them; got {learning_rate!r}")
    check_network("student", student)
    expected = expected_update("bptt", student, teacher, steps, loss=loss, input_covariance=input_covariance, leak=leak)
    hessian = loss_hessian(student, teacher, steps, loss=loss, input_covariance=input_covariance, leak=leak)
    values, vectors = np.linalg.eigh(hessian)
    along: Any = [expected, *(_split(vector, student) for vector in vectors.T)]
    found = update_moments(
        rule, student, teacher, steps, feedback=feedback, loss=loss, batch_size=batch_size, target_noise=target_noise,
        input_covariance=input_covariance, leak=leak, along=along, variances=False,
    )  # fmt: skip
    mean, variance = found.mean_along.values, found.variance_along.values
    value, slope = float(found.loss), float(mean[0])
    with np.errstate(all="ignore"):
        curvature = float(values @ (variance[1:] + mean[1:] ** 2))
        after = value - rates * slope + 0.5 * rates**2 * curvature
    results = {
        "loss": value, "loss_slope": slope, "loss_curvature": curvature, "loss_after_step": ("learning_rate", after),
    }  # fmt: skip
    dataset = xr.Dataset(results, coords={"learning_rate": rates})
    if np.ndim(learning_rate) == 0:
        dataset = dataset.isel(learning_rate=0)
    configuration = {"rule": repr(rule), "steps": steps, "loss": loss, "batch_size": batch_size, "leak": leak}
    return annotate(dataset, title="Expected loss after one sampled step", configuration=configuration)


def _split(vector: FloatArray, student: LinearRNN) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Matrices (A, W, B) of a vector of weights."""
    shapes = student.readout.shape, student.recurrent.shape, student.input.shape
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    a, w, b = (part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), shapes, strict=True))
    return a, w, b
