"""Learning rules as values: feedback x propagator x horizon.

Every rule of the family updates by (paper Eqs. 3-5, 32-52)

    Delta W = sum_{j < horizon} (P^T)^j F^T eps_T h_{T-1-j}^T
    Delta B = sum_{j < horizon} (P^T)^j F^T eps_T x_{T-1-j}^T
    Delta A = eps_T h_T^T

with F the feedback, P the propagator, eps_T = y_T - y*_T the output error. Learning subtracts eta times the update.
"""

import dataclasses
import math
import numbers
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .typing import FeedbackName, PropagatorName, Rule, Rules
from .validation import check_array, check_choice, check_integer, check_number, shown

FEEDBACKS = ("readout", "random", "sign")
PROPAGATORS = ("recurrent", "scalar", "diagonal", "recurrent_diagonal")


@dataclasses.dataclass(frozen=True, slots=True)
class LearningRule:
    """One learning rule of the family.

    Parameters
    ----------
    name : str
        Label of the rule in results; free.
    feedback : {"readout", "random", "sign"}
        F, how the output error enters the hidden layer: the readout A, which moves as it learns; a fixed matrix R;
        ``sign_scale`` times the signs of A, 0 at 0, which move with A (Liao et al. 2016).
    propagator : {"recurrent", "scalar", "diagonal", "recurrent_diagonal"}
        P, how the error is carried one step back: W; ``decay`` times the identity; a fixed diagonal matrix of
        ``decay``; the diagonal of W, which moves as W learns.
    horizon : int, optional
        How many steps back credit reaches, at least 1; None (the default): to the first step.
    decay : float or sequence of float, optional
        w_hat of Eq. 10 for "scalar"; n_hidden numbers for "diagonal"; not allowed otherwise.
    sign_scale : float, optional
        s > 0 of the feedback s sign(A), default 1; not allowed for other feedback.

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
    decay: float | Sequence[float] | None = None
    sign_scale: float | None = None

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
        object.__setattr__(self, "sign_scale", self._checked_sign_scale())

    @property
    def reads_feedback(self) -> bool:
        """Whether the rule reads a feedback R (r of a mode); what is handed to the others is left unread."""
        return self.feedback == "random"

    def _checked_decay(self) -> float | tuple[float, ...] | None:
        if self.propagator == "scalar":
            if self.decay is None:
                raise ValueError("decay must be a finite real number for propagator 'scalar'; got None")
            return check_number("decay", self.decay)
        if self.propagator == "diagonal":
            if self.decay is None or np.isscalar(self.decay):
                raise ValueError(f"decay must be n_hidden numbers for propagator 'diagonal'; got {shown(self.decay)}")
            return tuple(check_array("decay", self.decay, (None,), dims=("n_hidden",)).tolist())
        if self.decay is not None:
            raise ValueError(f"decay must be None for propagator {self.propagator!r}; got {shown(self.decay)}")
        return None

    def _checked_sign_scale(self) -> float | None:
        if self.feedback == "sign":
            return check_number("sign_scale", 1.0 if self.sign_scale is None else self.sign_scale, above=0.0)
        if self.sign_scale is not None:
            raise ValueError(f"sign_scale must be None for feedback {self.feedback!r}; got {shown(self.sign_scale)}")
        return None

    def __repr__(self) -> str:
        scale = "" if self.sign_scale is None else f" (scale {self.sign_scale})"
        decay = "" if self.decay is None else f" (decay {self.decay})"
        horizon = "full horizon" if self.horizon is None else f"horizon {self.horizon}"
        return f"{self.name}: {self.feedback} feedback{scale}, {self.propagator} propagator{decay}, {horizon}"


def rule_table(rule: LearningRule) -> dict[str, Any]:
    """The fields of a rule as they are stored; a field that came later is left out where the rule does without it."""
    decay = list(rule.decay) if isinstance(rule.decay, tuple) else rule.decay
    table = {
        "name": rule.name, "feedback": rule.feedback, "propagator": rule.propagator,
        "horizon": rule.horizon, "decay": decay,
    }  # fmt: skip
    return table if rule.sign_scale is None else table | {"sign_scale": rule.sign_scale}


#: RFLO's decay where none is given, the paper's w_hat.
_DEFAULT_DECAY = 0.5


def bptt(*, name: str = "BPTT") -> LearningRule:
    """Backpropagation through time, the exact gradient (Eqs. 3, 32-34): F = A, P = W, full horizon."""
    return LearningRule(name)


def tbptt(horizon: int = 1, *, name: str | None = None) -> LearningRule:
    """Truncated backpropagation through time (Eqs. 4, 35-38): F = A, P = W, ``horizon`` steps back.

    Parameters
    ----------
    horizon : int
        At least 1.
    name : str, optional
        Label of the rule in results; default: "tBPTT(3)", after its horizon.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    return LearningRule(f"tBPTT({horizon})" if name is None else name, horizon=horizon)


def rflo(decay: float = _DEFAULT_DECAY, *, name: str | None = None) -> LearningRule:
    """Random feedback local online learning (Murray 2019; Eqs. 5, 10, 43-50): F = R, P = ``decay`` times I.

    Parameters
    ----------
    decay : float
        w_hat of Eq. 10.
    name : str, optional
        Label of the rule in results; default: "RFLO", or "RFLO(0.9)" after a decay other than 0.5.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    if name is None:
        decay = check_number("decay", decay)
        name = "RFLO" if decay == _DEFAULT_DECAY else f"RFLO({repr(decay).removesuffix('.0')})"
    return LearningRule(name, feedback="random", propagator="scalar", decay=decay)


def eprop(horizon: int | None = None, *, name: str | None = None) -> LearningRule:
    """e-prop for rate networks (Bellec et al. 2020; Eqs. 51-52): F = R, P = diag(W).

    Parameters
    ----------
    horizon : int, optional
        How many steps back credit reaches; default: to the first step.
    name : str, optional
        Label of the rule in results; default: "e-prop", or "e-prop(3)" after a finite horizon.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    rule = LearningRule("e-prop", feedback="random", propagator="recurrent_diagonal", horizon=horizon)
    if name is None and rule.horizon is not None:
        name = f"e-prop({rule.horizon})"
    return rule if name is None else dataclasses.replace(rule, name=name)


def check_rule(rule: Rule) -> LearningRule:
    """Return ``rule`` as a LearningRule; a text is read by :func:`parse_rule`.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If the text names no rule.
    """
    if isinstance(rule, str):
        return parse_rule(rule)
    if not isinstance(rule, LearningRule):
        raise TypeError(f"rule must be a LearningRule such as fm.bptt(), or a text such as 'bptt'; got {shown(rule)}")
    return rule


def check_rules(rules: Rules) -> tuple[LearningRule, ...]:
    """Return one rule or several, values or texts that :func:`parse_rule` reads, as a tuple with distinct names.

    Raises
    ------
    TypeError
        If an entry is neither.
    ValueError
        If there is none, a text names no rule, or two rules share a name.
    """
    if isinstance(rules, LearningRule | str):
        return (check_rule(rules),)
    try:
        listed: tuple[Any, ...] = tuple(rules)
    except TypeError:
        raise TypeError(
            f"rules must be a LearningRule such as fm.bptt(), a text such as 'bptt', or a sequence of them; "
            f"got {shown(rules)}"
        ) from None
    if not listed:
        raise ValueError("rules must hold at least one LearningRule; got none")
    listed = tuple(map(check_rule, listed))
    names = [rule.name for rule in listed]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"rules must have distinct names, they label the results; got {twice[0]!r} more than once (name= renames)"
        )
    return listed


_CALL = re.compile(r"([A-Za-z-]+)(?:\(([^()]*)\))?")
_NAMED: dict[str, tuple[Any, Any]] = {
    "bptt": (bptt, None),
    "tbptt": (tbptt, int),
    "rflo": (rflo, float),
    "eprop": (eprop, int),
}
_FIELDS = tuple(field.name for field in dataclasses.fields(LearningRule))


def parse_rule(text: str) -> LearningRule:
    """A rule from text: "bptt", "tbptt(3)", "rflo(0.9)", "eprop", "eprop(3)", or fields such as
    "name=mine,feedback=readout,propagator=scalar,decay=0.5,horizon=3"; a diagonal is "decay=0.9:0.5:0.2".

    Parameters
    ----------
    text : str

    Raises
    ------
    ValueError
        If it is none of these, with the nearest name, or a field is out of range.

    Examples
    --------
    >>> parse_rule("rflo(0.9)")
    RFLO(0.9): random feedback, scalar propagator (decay 0.9), full horizon
    """
    if isinstance(text, str) and "=" in text:
        return _rule_from_fields(text)
    match = _CALL.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"rule must be bptt, tbptt(3), rflo(0.5), eprop or FIELD=VALUE,...; got {text!r}")
    name, argument = match[1].lower().replace("-", ""), match[2]
    function, kind = _NAMED[check_choice("rule", name, tuple(_NAMED))]
    if argument is None:
        return function()
    if kind is None:
        raise ValueError(f"rule {name!r} takes no argument; got {text!r}")
    try:
        number = kind(argument)
    except ValueError:
        raise ValueError(f"rule {name!r} takes one number; got {text!r}") from None
    return function(number)


def _rule_from_fields(text: str) -> LearningRule:
    fields: dict[str, Any] = {}
    for part in text.split(","):
        key, _, value = (piece.strip() for piece in part.partition("="))
        check_choice("rule field", key, _FIELDS)
        if key in fields:
            raise ValueError(f"rule field {key!r} must be given once; got it twice in {text!r}")
        try:
            fields[key] = _FROM_TEXT.get(key, str)(value)
        except ValueError:
            raise ValueError(f"rule field {key!r} must be a number; got {value!r}") from None
    if fields.get("propagator") == "diagonal" and isinstance(fields.get("decay"), float):
        fields["decay"] = (fields["decay"],)
    fields.setdefault("name", text)
    return LearningRule(**fields)


def _decay_from_text(text: str) -> float | tuple[float, ...]:
    """A number, or the numbers of a diagonal, separated by colons."""
    numbers = tuple(float(part) for part in text.split(":"))
    return numbers if len(numbers) > 1 else numbers[0]


_FROM_TEXT: dict[str, Any] = {"horizon": int, "decay": _decay_from_text, "sign_scale": float}
