"""Where the flow of whole networks ends: is it an optimal network, is it stable? (Beyond the paper.)

A network is optimal when its error system is silent: M_k = A W^k B - A* W*^k B* = 0 for all k. Every rule rests there.
With E(z) = Ab (I - z Wb)^{-1} Bb = sum_k z^k M_k, the error's transfer function, and W = sum_i lambda_i v_i u_i^T
diagonalisable, b_i = B^T u_i, the other fixed points are interpolations:

    Delta A = 0    E(lambda_i) b_i = 0 for every i (all rules)
    Delta B = 0    random feedback of full rank, P = w_hat I:  E(w_hat) = 0
                   random feedback, P = diag(W):               r_i^T E(W_ii) = 0 for every i
    Delta W = 0    follows from both, as long as no lambda_i equals the propagator's entry.

RFLO's conditions number n_out (n + n_in), a network has n (n_out + n_in) parameters up to a change of basis: with fewer
outputs than hidden units at least (n - n_out) n_in dimensions of fixed points remain that match the teacher at w_hat
and at the student's own eigenvalues only. e-prop has as many conditions as parameters.
"""

from __future__ import annotations

import json
import numbers
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.sparse.linalg
import xarray as xr

from ...files.schema import annotate, flag_attributes
from ...modes.learned import is_apart
from ...networks.network import LinearRNN, check_network, check_pair
from ...rules import check_rule, check_rules
from ...training.settings import check_stable_teacher
from ...updates.feedback import check_feedback
from ...updates.infinite import Slope, spectral_radius
from ...updates.loss import error_loss, joint_system, power_loss
from ...validation import check_number, shown
from ..trained.checks import check_dataset

if TYPE_CHECKING:
    from typing import Literal

    from numpy.typing import NDArray

    from fastmodes.rules import LearningRule
    from fastmodes.typing import ArrayLike, FloatArray, Rules


#: An end point is optimal if its loss is below this share of the teacher's output power.
OPTIMAL = 1e-8

#: A fixed point is stable if no eigenvalue's real part exceeds this share of the largest eigenvalue's modulus.
_ZERO = 1e-6

#: Length of the differences, in units of the largest weight: fourth order leaves 1e-12, rounding 1e-13.
_DIFFERENCE = 1e-3

#: Dimensions up to which eigenvalues come from the full matrix.
_SMALL = 24

#: What is read of a flow.
_FINAL = (*(f"final_{part}_weights" for part in ("readout", "recurrent", "input")), "feedback_weights")

KINDS = ("not_at_rest", "optimal", "not_optimal")


class Stability(NamedTuple):
    """Largest real part of the flow's eigenvalues (``growth``), their largest modulus (``fastest``), ``stable``."""

    growth: float
    fastest: float
    stable: bool


def error_transfer(network: LinearRNN, teacher: LinearRNN, z: complex) -> np.ndarray:
    """E(z) = Ab (I - z Wb)^{-1} Bb = sum_k z^k M_k, shape (n_out, n_in).

    Parameters
    ----------
    network, teacher : LinearRNN
    z : complex
        Within the inverse of both spectral radii.

    Raises
    ------
    TypeError, ValueError
        If the networks do not fit together, or the sum over k does not converge.
    """
    check_pair(network, teacher)
    a, w, b = joint_system(network, teacher)
    if isinstance(z, bool | np.bool_) or not isinstance(z, numbers.Complex):
        raise TypeError(f"z must be a finite number, real or complex; got {shown(z)}")
    radius = max(network.spectral_radius, teacher.spectral_radius)
    try:
        inside = abs(complex(z)) * radius < 1
    except OverflowError:
        inside = False
    if not inside:
        raise ValueError(
            f"z must be a finite number of modulus below {1 / radius if radius else np.inf:.6g}; got {shown(z)}"
        )
    transfer: np.ndarray = a @ np.linalg.solve(np.eye(len(w)) - z * w, b)
    return transfer


def _check_known(rule: LearningRule) -> None:
    if is_apart(rule):
        raise ValueError(f"rule must not have an R that is a variable of its own; got {rule.name!r}")


def flow_jacobian(
    rule: LearningRule | str, network: LinearRNN, teacher: LinearRNN, *, feedback: ArrayLike | None = None
) -> scipy.sparse.linalg.LinearOperator:
    """Jacobian of d theta / ds = -Delta theta at a network, theta = (A, W, B) row by row, without its matrix.

    A product with a vector costs four updates: differences of fourth order, right to about 1e-10 of the largest entry.

    Parameters
    ----------
    rule : LearningRule
    network, teacher : LinearRNN
        Spectral radii below 1.
    feedback : array (n_out, n_hidden), optional
        R, for rules with random feedback.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    rule = check_rule(rule)
    check_pair(network, teacher)
    feedback = check_feedback(rule, feedback, network.n_out, network.n_hidden)
    radius = spectral_radius(network.recurrent)
    if radius >= 1:
        raise ValueError(f"network must have a spectral radius below 1; got {radius:.17g}")
    _check_known(rule)
    slope = Slope(rule, network, teacher, feedback)
    weights = np.concatenate([network.readout.ravel(), network.recurrent.ravel(), network.input.ravel()])
    length = _DIFFERENCE * min(max(np.abs(weights).max(), 1e-3), 1.0) * (1.0 - radius)

    def product(direction: FloatArray) -> FloatArray:
        direction = np.ravel(direction)
        size = np.abs(direction).max()
        if size == 0.0:
            return np.zeros(len(weights))
        step = direction * (length / size)
        near = slope(weights + step) - slope(weights - step)
        far = slope(weights + 2.0 * step) - slope(weights - 2.0 * step)
        slopes: FloatArray = (8.0 * near - far) / 12.0 * (size / length)
        return slopes

    return scipy.sparse.linalg.LinearOperator((len(weights), len(weights)), matvec=product, dtype=float)


def stability_at(
    rule: LearningRule | str, network: LinearRNN, teacher: LinearRNN, *, feedback: ArrayLike | None = None
) -> Stability:
    """Stability of a fixed point of the flow, by Arnoldi's method (ARPACK) on :func:`flow_jacobian`.

    Optimal networks form manifolds (any change of basis of the hidden space), along which eigenvalues are zero.

    Parameters
    ----------
    rule : LearningRule
    network, teacher : LinearRNN
    feedback : array (n_out, n_hidden), optional

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    jacobian = flow_jacobian(rule, network, teacher, feedback=feedback)
    count = jacobian.shape[0]
    if count <= _SMALL:
        values = np.linalg.eigvals(jacobian @ np.eye(count))
    else:
        values = np.concatenate([_extreme(jacobian, "LM"), _extreme(jacobian, "LR")])
    growth, fastest = float(values.real.max()), float(np.abs(values).max())
    return Stability(growth, fastest, growth <= _ZERO * fastest)


def _extreme(jacobian: scipy.sparse.linalg.LinearOperator, which: Literal["LM", "LR"]) -> NDArray[np.complex128]:
    """A few eigenvalues of largest modulus ("LM") or real part ("LR"), from a fixed start."""
    count = jacobian.shape[0]
    start = np.cos(np.arange(count))
    try:
        found: NDArray[np.complex128] = scipy.sparse.linalg.eigs(
            jacobian, k=4, which=which, v0=start, ncv=min(count, 48), tol=1e-8, return_eigenvectors=False
        )
    except scipy.sparse.linalg.ArpackNoConvergence as partial:
        found = partial.eigenvalues
    return found


def _refuse_leak(flow: xr.Dataset) -> None:
    """What follows looks at weights as those of plain networks, at a rate of 1."""
    try:
        configuration = json.loads(flow.attrs.get("configuration", "{}"))
    except (TypeError, ValueError):
        return
    if found := [name for name in ("leak", "rates") if isinstance(configuration, dict) and name in configuration]:
        raise ValueError(f"flow must be of students without leak or rates of their own; got {found[0]}")


def end_points(flow: xr.Dataset, rules: Rules, teacher: LinearRNN, *, at_rest: float = 1e-4) -> xr.Dataset:
    """Where a flow of whole networks has ended: at rest, optimal, stable?

    Parameters
    ----------
    flow : xarray.Dataset
        From :func:`fastmodes.matrix_flow`.
    rules : LearningRule or sequence of LearningRule
        The rules of the flow.
    teacher : LinearRNN
    at_rest : float
        Largest entry of an update below which a network is at rest.

    Returns
    -------
    xarray.Dataset
        Dims ``rule, seed``: ``relative_loss`` (loss over the teacher's output power), ``update_size`` (largest entry),
        ``growth``, ``fastest`` and ``end_stable`` (NaN and 0 where not at rest), ``end_kind``.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    check_dataset(flow, _FINAL, ("rule", "seed"), source="fastmodes.matrix_flow", name="flow")
    _refuse_leak(flow)
    rules = check_rules(rules)
    for rule in rules:
        _check_known(rule)
    trained = flow["rule"].values.tolist()
    if unknown := [rule.name for rule in rules if rule.name not in trained]:
        raise ValueError(f"rules must be among those of the flow, {', '.join(trained)}; got {unknown[0]!r}")
    at_rest = check_number("at_rest", at_rest, above=0.0)
    check_network("teacher", teacher)
    check_stable_teacher(teacher)
    whole = power_loss(teacher, np.inf)
    shape = (len(rules), flow.sizes["seed"])
    names = ("relative_loss", "update_size", "growth", "fastest")
    arrays = {name: np.full(shape, np.nan) for name in names}
    arrays |= {name: np.zeros(shape, np.int8) for name in ("end_stable", "end_kind")}
    for i, rule in enumerate(rules):
        for j in range(shape[1]):
            run = flow.sel(rule=rule.name).isel(seed=j)
            network = LinearRNN(*(run[name].values for name in _FINAL[:3]))
            check_pair(network, teacher)
            given = "final_feedback_weights" if "final_feedback_weights" in run else "feedback_weights"
            feedback = check_feedback(
                rule, run[given].values if rule.reads_feedback else None, network.n_out, network.n_hidden
            )
            loss = error_loss(network, teacher, np.inf) / whole
            slope = Slope(rule, network, teacher, feedback)
            size = np.abs(
                slope(np.concatenate([np.ravel(m) for m in (network.readout, network.recurrent, network.input)]))
            )
            arrays["relative_loss"][i, j], arrays["update_size"][i, j] = loss, size.max()
            if size.max() <= at_rest:
                found = stability_at(rule, network, teacher, feedback=feedback)
                arrays["end_kind"][i, j] = 1 if loss <= OPTIMAL else 2
                arrays["growth"][i, j], arrays["fastest"][i, j], arrays["end_stable"][i, j] = found
    variables = {name: (("rule", "seed"), values) for name, values in arrays.items()}
    dataset = xr.Dataset(variables, coords={"rule": [rule.name for rule in rules], "seed": flow["seed"].values})
    dataset["end_kind"].attrs = flag_attributes(KINDS)
    dataset["end_stable"].attrs = flag_attributes(("no", "yes"))
    return annotate(dataset, title="End points of the flow of whole networks", configuration={"at_rest": at_rest})
