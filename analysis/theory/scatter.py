"""How far weights scatter around an optimum where the noise on the targets never ends (beyond the paper)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

import fastmodes as fm
from fastmodes.files.schema import annotate
from fastmodes.networks.leaky import MATRICES
from fastmodes.networks.network import check_pair
from fastmodes.rules import check_rule
from fastmodes.updates.curvature import loss_hessian
from fastmodes.validation import check_number

if TYPE_CHECKING:
    from fastmodes.typing import ArrayLike, ComplexArray, FloatArray, LossName, Rule

#: Weights whose covariance is computed entry by entry.
_MOST_WEIGHTS = 200
#: Eigenvalues below this part of the largest belong to directions along which nothing changes.
_FLAT = 1e-7
_DIFFERENCE = 1e-3


def stationary_scatter(
    rule: Rule,
    student: fm.LinearRNN,
    teacher: fm.LinearRNN,
    steps: float,
    learning_rate: float,
    *,
    target_noise: float,
    batch_size: int = 1,
    feedback: ArrayLike | None = None,
    loss: LossName = "final",
) -> xr.Dataset:
    """Covariance of the weights around an optimum, and the loss that remains, for a small learning rate eta.

    With J the Jacobian of the expected update at the optimum and D the covariance of the sampled one there (theory
    section 13), the covariance of the weights under theta <- theta - eta u, linearised, solves

        J S + S J^T - eta J S J^T = eta D

    on the complement of the directions in which J vanishes, along which nothing brings weights back. The error of what
    is predicted falls as eta.

    Parameters
    ----------
    rule : LearningRule or str
    student : LinearRNN
        An optimum: its outputs are the teacher's.
    teacher : LinearRNN
    steps : int or math.inf
    learning_rate : float
        eta > 0.
    target_noise : float
        Standard deviation of the noise on each target, drawn anew for every update.
    batch_size : int
    feedback : array (n_out, n_hidden), optional
    loss : {"final", "sequence"}

    Returns
    -------
    xarray.Dataset
        ``scatter_readout``, ``scatter_recurrent``, ``scatter_input``: the variance of each weight; ``excess_loss``, the
        expected loss above that of the optimum, 1/2 tr(H S) with H the loss's Hessian; ``flat_directions``, the number
        of directions in which nothing changes; ``drift_rate``, the growth of the summed variance along them in one
        update, 0 to rounding where the noise of no sample acts on them, as under BPTT.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, a student that is no optimum, an optimum that is not stable under the rule
        or at this learning rate, or more than 200 weights.
    """
    rule, rate = check_rule(rule), check_number("learning_rate", learning_rate, above=0.0)
    noise = check_number("target_noise", target_noise, above=0.0)
    check_pair(student, teacher)
    shapes = [getattr(student, name).shape for name in MATRICES]
    count = sum(map(math.prod, shapes))
    if count > _MOST_WEIGHTS:
        raise ValueError(f"student must have at most {_MOST_WEIGHTS} weights, all pairs are computed; got {count}")
    given: dict[str, Any] = {"feedback": feedback, "loss": loss}
    silent = fm.LinearRNN(0.0 * teacher.readout, teacher.recurrent, teacher.input)
    power = fm.expected_update("bptt", teacher, silent, steps, loss=loss).loss
    left = fm.expected_update(rule, student, teacher, steps, **given).loss
    if not left <= 1e-18 * power:
        raise ValueError(f"student must be an optimum, with the teacher's outputs; got a relative loss {left / power}")
    jacobian = _jacobian(rule, student, teacher, steps, given)
    covariance = _covariance(rule, student, teacher, steps, given | {"target_noise": noise, "batch_size": batch_size})
    values, vectors = np.linalg.eig(jacobian)
    flat = np.abs(values) < _FLAT * np.abs(values).max()
    grown = np.abs(1.0 - rate * values[~flat])
    if grown.size and grown.max() >= 1.0:
        raise ValueError(
            f"learning_rate must keep the optimum stable under {rule.name}, |1 - eta lambda| < 1; got {rate} for "
            f"lambda = {values[~flat][np.argmax(grown)]:.6g}"
        )
    scatter, drift = _solve(values, vectors, flat, covariance, rate)
    excess = 0.5 * float(np.sum(loss_hessian(student, teacher, steps, loss=loss) * scatter))
    dims = (("output", "unit"), ("unit_to", "unit_from"), ("unit", "channel"))
    parts = np.split(np.diagonal(scatter), np.cumsum([math.prod(shape) for shape in shapes])[:-1])
    variables: dict[str, Any] = {
        f"scatter_{name}": (dim, part.reshape(shape))
        for name, dim, part, shape in zip(MATRICES, dims, parts, shapes, strict=True)
    }
    found = xr.Dataset(variables | {"excess_loss": excess, "drift_rate": drift, "flat_directions": int(flat.sum())})
    configuration = {"rule": repr(rule), "learning_rate": rate, "target_noise": noise, "batch_size": batch_size}
    return annotate(found, title="Scatter of weights around an optimum", configuration=configuration | {"loss": loss})


def _solve(
    values: ComplexArray, vectors: ComplexArray, flat: Any, covariance: FloatArray, rate: float
) -> tuple[FloatArray, float]:
    """Covariance off the flat directions, and the variance that one update adds along them."""
    inverse = np.linalg.inv(vectors)
    inside = inverse @ covariance @ inverse.T
    sums = values[:, None] + values[None, :] - rate * values[:, None] * values[None, :]
    kept = ~flat[:, None] & ~flat[None, :]
    own = np.where(kept, rate * inside / np.where(kept, sums, 1.0), 0.0)
    along = np.where(flat[:, None] & flat[None, :], inside, 0.0)
    drift = rate**2 * float(np.trace(vectors @ along @ vectors.T).real)
    return (vectors @ own @ vectors.T).real, drift


def _vector(update: Any) -> FloatArray:
    return np.concatenate([np.ravel(getattr(update, name)) for name in MATRICES])


def _matrices(vector: FloatArray, like: fm.LinearRNN) -> tuple[FloatArray, FloatArray, FloatArray]:
    shapes = [getattr(like, name).shape for name in MATRICES]
    parts = np.split(vector, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
    a, w, b = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
    return a, w, b


def _jacobian(rule: Any, student: fm.LinearRNN, teacher: fm.LinearRNN, steps: float, given: Any) -> FloatArray:
    """Derivatives of the expected update by all weights, by differences of fourth order."""
    point = _vector(student)

    def update(weights: FloatArray) -> FloatArray:
        network = fm.LinearRNN(*_matrices(weights, student))
        return _vector(fm.expected_update(rule, network, teacher, steps, **given))

    columns = []
    for unit in _DIFFERENCE * np.eye(len(point)):
        near, far = update(point + unit) - update(point - unit), update(point + 2 * unit) - update(point - 2 * unit)
        columns.append((8.0 * near - far) / (12.0 * _DIFFERENCE))
    return np.stack(columns, axis=1)


def _covariance(rule: Any, student: fm.LinearRNN, teacher: fm.LinearRNN, steps: float, given: Any) -> FloatArray:
    """Covariance of the sampled update at the optimum, from the variances along pairs of entries."""
    count = len(_vector(student))
    rows, columns = np.triu_indices(count)
    eye = np.eye(count)
    along: Any = [_matrices(eye[i] + (eye[j] if j != i else 0.0), student) for i, j in zip(rows, columns, strict=True)]
    found = fm.update_moments(rule, student, teacher, steps, along=along, variances=False, **given)
    sums = np.zeros((count, count))
    sums[rows, columns] = found["variance_along"].values
    own = np.diagonal(sums).copy()
    covariance = np.triu(0.5 * (sums - own[:, None] - own[None, :]), 1)
    return covariance + covariance.T + np.diag(own)
