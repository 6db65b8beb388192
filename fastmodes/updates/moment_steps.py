"""How many steps stand for infinitely many in second moments, and what refuses them."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from ..rule_codes import unit_decay
from .infinite import propagated_radius, spectral_radius

if TYPE_CHECKING:
    from ..networks.network import LinearRNN
    from ..rules import LearningRule
    from ..typing import FloatArray

#: A power this small is spent: what sums of products of two of them still add is below rounding.
_NEGLIGIBLE = 2.0**-36
#: Doublings of the steps that stand for infinitely many: spectral radii up to about 1 - 2e-4.
_MOST_DOUBLINGS = 17


def spent_after(matrix: FloatArray) -> float:
    """The number of steps after which a power is negligible; inf where that takes more than 2^17."""
    squares = [matrix]
    while not np.sum(squares[-1] ** 2) <= _NEGLIGIBLE**2:
        if len(squares) > _MOST_DOUBLINGS or not np.sum(squares[-1] ** 2) < 1e100:
            return math.inf
        squares.append(squares[-1] @ squares[-1])
    steps, power = 0, np.eye(len(matrix))
    for level in range(len(squares) - 1, -1, -1):
        longer = power @ squares[level]
        if np.sum(longer**2) > _NEGLIGIBLE**2:
            steps, power = steps + 2**level, longer
    return steps + 1


def enough_steps(rule: LearningRule, student: LinearRNN, teacher: LinearRNN) -> tuple[LearningRule, int]:
    """The rule, without a horizon that is as good as endless, and the steps after which everything is spent.

    Raises
    ------
    ValueError
        If variances diverge, or the powers are spent so late that it takes more than 2^17 steps.
    """
    for name, network, letter in (("student", student, "W"), ("teacher", teacher, "W*")):
        radius = spectral_radius(network.recurrent)
        if radius >= 1:
            raise ValueError(f"{name} must have a spectral radius of {letter} below 1 for steps=inf; got {radius:.17g}")
    if rule.propagator == "recurrent":
        back = student.recurrent
    elif rule.propagator == "recurrent_diagonal":
        back = np.diag(np.diagonal(student.recurrent))
    else:
        back = np.diag(np.broadcast_to(unit_decay(rule, student.n_hidden), student.n_hidden))
    states, credit = max(spent_after(student.recurrent), spent_after(teacher.recurrent)), spent_after(back)
    if rule.horizon is None and credit == math.inf and (radius := spectral_radius(back)) >= 1:
        raise ValueError(
            f"rule must carry credit with a factor below 1 a step for a variance at steps=inf; {rule.name} has "
            f"{radius:.17g} here (a mean needs less: {propagated_radius(rule, student, teacher):.6g} < 1)"
        )
    reach = min(credit, rule.horizon or math.inf)
    if states + reach > 2**_MOST_DOUBLINGS:
        raise ValueError(
            f"steps must be finite where powers of W, W* or the propagator last for more than {2**_MOST_DOUBLINGS} "
            f"steps; got inf for spectral radii {spectral_radius(student.recurrent):.17g} (student), "
            f"{spectral_radius(teacher.recurrent):.17g} (teacher) and {spectral_radius(back):.17g} (propagator)"
        )
    rule = dataclasses.replace(rule, horizon=None) if credit <= (rule.horizon or 0) else rule
    return rule, int(states + reach)
