"""Expected updates by doubling: infinitely many steps, and long finite ones (beyond the paper; theory section 4)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..interrupts import halting
from ..kernels.arrays.layout import padded
from ..kernels.updates import doubling, finite, infinite
from ..kernels.updates.doubling import MOST_DOUBLINGS
from ..rule_codes import given_feedback, kernel_rule, learning_feedback, learning_rule, unit_decay
from ..validation import check_memory
from .loss import covariance_factors, error_loss, power_loss

if TYPE_CHECKING:
    from ..kernels.arrays.workspace import Matrices
    from ..networks.network import LinearRNN
    from ..rules import LearningRule
    from ..typing import FloatArray, LossName

    #: Loss, Delta A, Delta W, Delta B.
    _Parts: TypeAlias = tuple[float, FloatArray, FloatArray, FloatArray]

#: Sums of more terms than this have their rounding errors estimated before they are handed out.
LONG = 4096

#: Largest estimated relative error that is handed out.
_LARGEST_ERROR = 1e-6

#: Losses below this share of the teacher's output power are computed again by a factor of the covariance.
CANCELLED = 1e-4


def place_of(matrices: Matrices, code: int) -> FloatArray:
    """The matrix of a code in the work space, with its padding."""
    offset, rows, columns = matrices.places[code].tolist()
    return matrices.flat[offset : offset + rows * columns].reshape(rows, columns)


def put(matrices: Matrices, code: int, matrix: FloatArray) -> None:
    """Write a matrix into the work space, padding it with zeros."""
    place = place_of(matrices, code)
    place[:] = 0.0
    place[: matrix.shape[0], : matrix.shape[1]] = matrix


def get(matrices: Matrices, code: int, shape: tuple[int, ...]) -> FloatArray:
    """Copy of a matrix of the work space without its padding."""
    return place_of(matrices, code)[: shape[0], : shape[1]].copy()


def put_network(matrices: Matrices, student: LinearRNN, root: FloatArray | None = None) -> None:
    """Write A, W, B; with ``root`` B times the root of the input covariance."""
    put(matrices, doubling.READOUT, student.readout)
    put(matrices, doubling.RECURRENT, student.recurrent)
    put(matrices, doubling.INPUT, student.input if root is None else student.input @ root)


def work_space(
    rule: LearningRule,
    student: LinearRNN,
    teacher: LinearRNN,
    feedback: FloatArray | None,
    *,
    root: FloatArray | None = None,
    weighted: bool = False,
    levels: int = 0,
) -> Matrices:
    """Work space of one network under one rule, filled.

    Parameters
    ----------
    rule : LearningRule
    student, teacher : LinearRNN
    feedback : array (n_out, n_hidden) or None
    root : array (n_in, n_in), optional
        Square root of the input covariance.
    weighted : bool
        For the sequence loss over finitely many steps.
    levels : int
        See :func:`fastmodes.kernels.updates.finite.chain_levels`.

    Raises
    ------
    ValueError
        If the rule's decay does not have n_hidden numbers.
    """
    n, decay = student.n_hidden, unit_decay(rule, student.n_hidden)
    # At least so many square matrices of each network.
    check_memory(8.0 * 6 * (n**2 + teacher.n_hidden**2), n_hidden=max(n, teacher.n_hidden))
    m = doubling.allocate_update(
        student.n_out, padded(n), padded(teacher.n_hidden), padded(student.n_in),
        scalar=rule.propagator == "scalar", weighted=weighted, levels=levels,
    )  # fmt: skip
    put_network(m, student, root)
    put(m, doubling.READOUT + 1, -teacher.readout)
    put(m, doubling.RECURRENT + 1, teacher.recurrent)
    put(m, doubling.INPUT + 1, teacher.input if root is None else teacher.input @ root)
    # A scalar propagator acts on the n_out rows of the readout, of which there may be more than hidden units.
    place_of(m, doubling.DECAY)[0, : n if decay.ndim else None] = decay
    if feedback is not None:
        put(m, doubling.FEEDBACK, given_feedback(rule, feedback))
    return m


def put_feedback(matrices: Matrices, rule: LearningRule, student: LinearRNN, feedback: FloatArray | None) -> None:
    """Write what kernels of learning take for R at the start, at the readout of ``student``."""
    if feedback is not None:
        put(matrices, doubling.FEEDBACK, learning_feedback(rule, feedback, student.readout))


def read_update(
    matrices: Matrices, student: LinearRNN, root: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(Delta A, Delta W, Delta B) of the work space."""
    change = get(matrices, doubling.CHANGE_INPUT, student.input.shape)
    with np.errstate(all="ignore"):
        return (
            get(matrices, doubling.CHANGE_READOUT, student.readout.shape),
            get(matrices, doubling.CHANGE_RECURRENT, student.recurrent.shape),
            change if root is None else change @ root.T,
        )


def spectral_radius(matrix: FloatArray) -> float:
    """Largest modulus of an eigenvalue."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def infinite_update(
    rule: LearningRule,
    student: LinearRNN,
    teacher: LinearRNN,
    feedback: FloatArray | None,
    root: FloatArray | None = None,
) -> _Parts:
    """(loss, Delta A, Delta W, Delta B) in the limit of infinitely many steps; arguments are checked already.

    Raises
    ------
    ValueError
        If a spectral radius (of W, W*, or of P times one of them, where credit reaches back for ever) is not below
        one, or so close to it that double precision cannot give six digits.
    """
    m = work_space(rule, student, teacher, feedback, root=root)
    with halting(m.places):
        loss, terms = infinite.infinite_update(m, kernel_rule(rule), MOST_DOUBLINGS)
    changes, whole = read_update(m, student, root), power_loss(teacher, math.inf, root=root)
    if terms <= 0 or not all(np.isfinite(part).all() for part in (whole, *changes)):
        raise ValueError(_why_divergent(rule, student, teacher))
    if terms > LONG:
        _check_accuracy(student, teacher)
    loss += whole
    if not loss > CANCELLED * whole:
        loss = error_loss(student, teacher, math.inf, root=root)
    return (loss, *changes)


def finite_update(
    rule: LearningRule,
    student: LinearRNN,
    teacher: LinearRNN,
    steps: float,
    feedback: FloatArray | None,
    loss: LossName,
    root: FloatArray | None = None,
) -> _Parts:
    """(loss, Delta A, Delta W, Delta B) over ``steps`` steps by doubling; arguments are checked already."""
    weighted = loss == "sequence"
    in_kernel = kernel_rule(rule)
    levels = finite.chain_levels(in_kernel, steps)
    m = work_space(rule, student, teacher, feedback, root=root, weighted=weighted, levels=levels)
    with halting(m.places):
        value = finite.finite_update(m, in_kernel, steps, weighted)
    whole = power_loss(teacher, steps, loss=loss, root=root)
    value += whole
    if not value > CANCELLED * whole:
        value = error_loss(student, teacher, steps, loss=loss, root=root)
    return (value, *read_update(m, student, root))


def doubling_is_faster(student: LinearRNN, teacher: LinearRNN, steps: float, loss: LossName) -> bool:
    """Whether doubling is expected to beat the recursion, whose cost grows with T and with the number of channels.

    Measured for networks of spectral radius one, the worst case for doubling, by ``benchmarks.crossover_stationary``;
    all rules cross within a factor of two. The weighted sums of the sequence loss are more work.
    """
    largest = max(padded(student.n_hidden), padded(teacher.n_hidden), 16)
    work = steps * (padded(student.n_in) + student.n_out)
    return work > 1.1 * largest**2 * (1.5 if loss == "sequence" else 1.0)


def propagated_radius(rule: LearningRule, student: LinearRNN, teacher: LinearRNN) -> float:
    """Largest spectral radius that the sums over credit meet: of P times W and P times W*."""
    radius = max(spectral_radius(student.recurrent), spectral_radius(teacher.recurrent))
    if rule.propagator == "recurrent":
        return spectral_radius(student.recurrent) * radius
    diagonal = (
        np.diagonal(student.recurrent)
        if rule.propagator == "recurrent_diagonal"
        else unit_decay(rule, student.n_hidden)
    )
    return float(np.abs(diagonal).max()) * radius


def _why_divergent(rule: LearningRule, student: LinearRNN, teacher: LinearRNN) -> str:
    for name, network, letter in (("student", student, "W"), ("teacher", teacher, "W*")):
        radius = spectral_radius(network.recurrent)
        if radius >= 1:
            leaky = " (of leaky units W_e)" if name == "student" else ""
            return f"{name} must have a spectral radius of {letter} below 1{leaky} for steps=inf; got {radius:.17g}"
    if rule.horizon is None and (radius := propagated_radius(rule, student, teacher)) >= 1:
        return f"rule must carry credit with a factor below 1 a step for steps=inf; {rule.name} has {radius:.17g} here"
    return _too_close(student, teacher, math.inf)


def _too_close(student: LinearRNN, teacher: LinearRNN, error: float) -> str:
    radii = [spectral_radius(network.recurrent) for network in (student, teacher)]
    return (
        f"student and teacher must be stable enough for double precision at steps=inf; spectral radii are "
        f"{radii[0]:.17g} and {radii[1]:.17g}, which leave a relative error of about {error:.0e} "
        f"(at most {_LARGEST_ERROR:.0e} is handed out); use a finite number of steps"
    )


def _check_accuracy(student: LinearRNN, teacher: LinearRNN) -> None:
    """Refuse sums whose rounding errors may exceed the limit.

    A Stein equation multiplies a relative rounding error by the norm of its solution operator, which a positive
    operator attains at the identity: || sum_k W^k (W^T)^k ||.
    """
    growth = max(_gramian_norm(student.recurrent), _gramian_norm(teacher.recurrent))
    error = float(np.finfo(float).eps) * growth
    if not error <= _LARGEST_ERROR:
        raise ValueError(_too_close(student, teacher, error))


def _gramian_norm(w: FloatArray) -> float:
    """|| sum_k W^k (W^T)^k || in the spectral norm; infinite where doubling does not reach its limit."""
    with np.errstate(all="ignore"):
        factor = covariance_factors(w, np.eye(len(w)), math.inf)[0]
    return float(np.linalg.norm(factor, 2) ** 2) if np.isfinite(factor).all() else math.inf


class Slope:
    """Right-hand side of the flow of whole networks: -(Delta A, Delta W, Delta B) as one vector, T infinite.

    Parameters
    ----------
    rule : LearningRule
    student, teacher : LinearRNN
        ``student`` gives the shapes.
    feedback : array (n_out, n_hidden) or None
    """

    def __init__(self, rule: LearningRule, student: LinearRNN, teacher: LinearRNN, feedback: FloatArray | None) -> None:
        self._work = work_space(rule, student, teacher, feedback)
        put_feedback(self._work, rule, student, feedback)
        self._rule = learning_rule(rule)
        self._shapes = student.readout.shape, student.recurrent.shape, student.input.shape

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Slope at a vector of weights (A, W, B); NaN where the sums diverge."""
        ends = np.cumsum([rows * columns for rows, columns in self._shapes])
        codes = doubling.READOUT, doubling.RECURRENT, doubling.INPUT
        for code, part, shape in zip(codes, np.split(weights, ends[:-1]), self._shapes, strict=True):
            put(self._work, code, part.reshape(shape))
        if infinite.infinite_update(self._work, self._rule, MOST_DOUBLINGS)[1] <= 0:
            return np.full(len(weights), np.nan)
        changes = doubling.CHANGE_READOUT, doubling.CHANGE_RECURRENT, doubling.CHANGE_INPUT
        parts = (get(self._work, code, shape).ravel() for code, shape in zip(changes, self._shapes, strict=True))
        return -np.concatenate(list(parts))
