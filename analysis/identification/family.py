"""Hypotheses: which rules may have made a change, and what of them is unknown.

Every one is a feedback, a propagator and a horizon, as in :class:`fastmodes.LearningRule`. Unknown are the learning
rate; R where feedback is random; the decay or decays of a fixed propagator.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastmodes.rules import LearningRule

#: Horizons of truncated BPTT among the rules that are tried unless others are asked for.
HORIZONS = (1, 2, 3, 5, 10)


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """``feedback`` "readout", "random" or "sign"; ``propagator`` as of a rule; ``horizon`` None: the full one.

    ``decay`` is None where it is estimated.
    """

    name: str
    feedback: str
    propagator: str
    horizon: int | None = None
    decay: float | None = None

    @property
    def estimates_decay(self) -> bool:
        """Whether w_hat is unknown."""
        return self.propagator in ("scalar", "diagonal") and self.decay is None

    def unknowns(self, n_out: int, n_hidden: int) -> int:
        """Numbers that are fitted."""
        given = {"readout": 1, "sign": 2, "random": 1 + n_out * n_hidden}[self.feedback]
        return given + (self.estimates_decay and (1 if self.propagator == "scalar" else n_hidden))


def family(steps: int, horizons: Sequence[int] = HORIZONS) -> tuple[Hypothesis, ...]:
    """The rules that are told apart, in networks of ``steps`` time steps."""
    short = [k for k in horizons if k < steps]
    return (
        Hypothesis("BPTT", "readout", "recurrent"),
        *(Hypothesis(f"tBPTT({k})", "readout", "recurrent", k) for k in short),
        Hypothesis("RFLO", "random", "scalar"),
        Hypothesis("e-prop", "random", "recurrent_diagonal"),
        Hypothesis("SnAp-1", "readout", "recurrent_diagonal"),
        Hypothesis("symmetric_RFLO", "readout", "scalar"),
        Hypothesis("diagonal_RFLO", "random", "diagonal"),
        Hypothesis("sign_BPTT", "sign", "recurrent"),
        Hypothesis("sign_RFLO", "sign", "scalar"),
        Hypothesis("sign_e-prop", "sign", "recurrent_diagonal"),
        Hypothesis("feedback_alignment", "random", "recurrent"),
    )


def hypothesis_of(rule: LearningRule, rules: Sequence[Hypothesis]) -> Hypothesis:
    """The hypothesis that holds a rule, whatever its decay.

    Raises
    ------
    ValueError
        If there is none.
    """
    for one in rules:
        if (one.feedback, one.propagator, one.horizon) == (rule.feedback, rule.propagator, rule.horizon):
            return one
    raise ValueError(f"rules must be of the family that is told apart; got {rule!r}")
