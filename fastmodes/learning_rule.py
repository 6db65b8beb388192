"""A learning rule as a value: feedback x propagator x horizon.

Every rule of the family updates by (paper Eqs. 3-5, 32-52)

    Delta W = sum_{j < horizon} (P^T)^j F^T eps_T h_{T-1-j}^T
    Delta B = sum_{j < horizon} (P^T)^j F^T eps_T x_{T-1-j}^T
    Delta A = eps_T h_T^T

with F the feedback, P the propagator, eps_T = y_T - y*_T the output error. Learning subtracts eta times the update.
"""

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from .typing import FeedbackName, PropagatorName
from .validation import check_array, check_choice, check_integer, check_number, shown

FEEDBACKS = ("readout", "random", "sign", "mixed", "partly_aligned", "kolen_pollack", "mirror")
PROPAGATORS = ("recurrent", "scalar", "diagonal", "recurrent_diagonal")
#: The decay that is 1 - alpha of a student's leak.
LEAK = "leak"
#: Numbers that belong to some feedbacks: which ones, the word in a rule's description, what is allowed, the default.
_NUMBERS: dict[str, tuple[tuple[str, ...], str, dict[str, float], float | None]] = {
    "sign_scale": (("sign",), "scale", {"above": 0.0}, 1.0),
    "mix": (("mixed",), "mix", {"low": 0.0, "high": 1.0}, None),
    "cosine": (("partly_aligned",), "cosine", {"low": -1.0, "high": 1.0}, None),
    "mirror_rate": (("mirror",), "rate", {"above": 0.0}, None),
    "feedback_decay": (("kolen_pollack", "mirror"), "decay", {"low": 0.0}, None),
}


@dataclasses.dataclass(frozen=True, slots=True)
class LearningRule:
    """One learning rule of the family.

    Parameters
    ----------
    name : str
        Label of the rule in results; free.
    feedback : {"readout", "random", "sign", "mixed", "partly_aligned", "kolen_pollack", "mirror"}
        F, how the output error enters the hidden layer: the readout A, which moves as it learns; a fixed matrix R;
        ``sign_scale`` times the signs of A, 0 at 0, which move with A (Liao et al. 2016); ``mix`` A + (1 - ``mix``) R,
        which moves with A in part; an R whose cosine with the readout is ``cosine`` before learning, and which stays
        fixed; an R that learns, by every change of A and a decay that A shares (Kolen and Pollack 1994, Akrout et al.
        2019) or as a low-pass copy of A (the weight mirror of Akrout et al., in expectation). A single update reads the
        last three as it reads a random R: what makes or moves R is learning (theory section 11).
    propagator : {"recurrent", "scalar", "diagonal", "recurrent_diagonal"}
        P, how the error is carried one step back: W; ``decay`` times the identity; a fixed diagonal matrix of
        ``decay``; the diagonal of W, which moves as W learns.
    horizon : int, optional
        How many steps back credit reaches, at least 1; None (the default): to the first step.
    decay : float or sequence of float or "leak", optional
        w_hat of Eq. 10 for "scalar"; n_hidden numbers for "diagonal"; not allowed otherwise. "leak", for "scalar": tied
        to the student's leak as in Murray (2019), 1 - alpha, wherever a leak is given (theory section 10).
    sign_scale : float, optional
        s > 0 of the feedback s sign(A), default 1; not allowed for other feedback.
    mix : float, optional
        beta from 0 to 1 of the feedback beta A + (1 - beta) R.
    cosine : float, optional
        q from -1 to 1, the Frobenius cosine of R with the initial readout (see :func:`random_feedback`).
    feedback_decay : float, optional
        lambda >= 0, at which R decays; under "kolen_pollack" A does, too.
    mirror_rate : float, optional
        kappa > 0, at which the mirror copies A.

    Raises
    ------
    TypeError, ValueError
        For a field outside its range, or a decay that is missing or superfluous.

    Examples
    --------
    >>> import fastmodes as fm
    >>> fm.LearningRule("truncated RFLO", feedback="random", propagator="scalar", horizon=3, decay=0.5)
    truncated RFLO: random feedback, scalar propagator (decay 0.5), horizon 3
    """

    name: str
    feedback: FeedbackName = "readout"
    propagator: PropagatorName = "recurrent"
    horizon: int | None = None
    decay: float | Sequence[float] | Literal["leak"] | None = None
    sign_scale: float | None = None
    mix: float | None = None
    cosine: float | None = None
    feedback_decay: float | None = None
    mirror_rate: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise TypeError(f"name must be a non-empty string; got {shown(self.name)}")
        check_choice("feedback", self.feedback, FEEDBACKS)
        check_choice("propagator", self.propagator, PROPAGATORS)
        if isinstance(self.horizon, numbers.Real) and self.horizon == math.inf:
            object.__setattr__(self, "horizon", None)
        if self.horizon is not None:
            object.__setattr__(self, "horizon", check_integer("horizon", self.horizon))
        object.__setattr__(self, "decay", self._checked_decay())
        for name in _NUMBERS:
            object.__setattr__(self, name, self._checked_number(name))

    @property
    def reads_feedback(self) -> bool:
        """Whether the rule reads a feedback R (r of a mode); what is handed to the others is left unread."""
        return self.feedback not in ("readout", "sign")

    @property
    def learns_feedback(self) -> bool:
        """Whether R learns: "kolen_pollack" and "mirror"."""
        return self.feedback in ("kolen_pollack", "mirror")

    def _checked_decay(self) -> float | tuple[float, ...] | Literal["leak"] | None:
        if self.propagator == "scalar":
            if self.decay is None:
                raise ValueError("decay must be a finite real number for propagator 'scalar'; got None")
            return "leak" if isinstance(self.decay, str) and self.decay == LEAK else check_number("decay", self.decay)
        if self.propagator == "diagonal":
            if self.decay is None or np.isscalar(self.decay):
                raise ValueError(f"decay must be n_hidden numbers for propagator 'diagonal'; got {shown(self.decay)}")
            return tuple(check_array("decay", self.decay, (None,), dims=("n_hidden",)).tolist())
        if self.decay is not None:
            raise ValueError(f"decay must be None for propagator {self.propagator!r}; got {shown(self.decay)}")
        return None

    def _checked_number(self, name: str) -> float | None:
        feedbacks, _, allowed, default = _NUMBERS[name]
        value = getattr(self, name)
        if self.feedback not in feedbacks:
            if value is not None:
                raise ValueError(f"{name} must be None for feedback {self.feedback!r}; got {shown(value)}")
            return None
        if value is None and default is None:
            raise ValueError(f"{name} must be a finite real number for feedback {self.feedback!r}; got None")
        return check_number(name, default if value is None else value, **allowed)

    def __repr__(self) -> str:
        numbers_ = [f"{word} {getattr(self, name)}" for name, (_, word, *_) in _NUMBERS.items() if self._has(name)]
        of_feedback = f" ({', '.join(numbers_)})" if numbers_ else ""
        decay = "" if self.decay is None else f" (decay {self.decay})"
        horizon = "full horizon" if self.horizon is None else f"horizon {self.horizon}"
        return f"{self.name}: {self.feedback} feedback{of_feedback}, {self.propagator} propagator{decay}, {horizon}"

    def _has(self, name: str) -> bool:
        return getattr(self, name) is not None


def at_leak(rule: LearningRule, leak: float) -> LearningRule:
    """The rule for students of a leak: a decay tied to it is 1 - leak; the name stays."""
    return dataclasses.replace(rule, decay=1.0 - leak) if rule.decay == LEAK else rule


def rule_table(rule: LearningRule) -> dict[str, Any]:
    """The fields of a rule as they are stored; a field that came later is left out where the rule does without it."""
    decay = list(rule.decay) if isinstance(rule.decay, tuple) else rule.decay
    table = {
        "name": rule.name, "feedback": rule.feedback, "propagator": rule.propagator,
        "horizon": rule.horizon, "decay": decay,
    }  # fmt: skip
    later = {name: getattr(rule, name) for name in _NUMBERS}
    return table | {name: value for name, value in later.items() if value is not None}
