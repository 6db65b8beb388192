"""What the jobs of a sweep accept: one pydantic model a job, one field a parameter.

A field marked :data:`FIXED` is the same for the whole sweep (it shapes the result); any other may become an axis.
"""

import math
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from ..rules import LearningRule, bptt, eprop, rflo, tbptt
from ..validation import check_choice

_CALL = re.compile(r"([A-Za-z-]+)(?:\(([^()]*)\))?")
_RULES = {"bptt": (bptt, None), "tbptt": (tbptt, int), "rflo": (rflo, float), "eprop": (eprop, None)}


class _Fixed:
    """Marks a parameter that cannot be an axis."""


FIXED = _Fixed()


def parse_rule(value) -> LearningRule:
    """A learning rule from "bptt", "tbptt(3)", "rflo(0.9)", "eprop" or a table of LearningRule's fields.

    Raises
    ------
    ValueError
        If it is none of these, or a field is out of range.
    """
    if isinstance(value, LearningRule):
        return value
    try:
        if isinstance(value, dict):
            return LearningRule(**value)
        return _named_rule(value)
    except TypeError as error:
        raise ValueError(str(error).replace("LearningRule.__init__() got", "a rule has")) from None


def _named_rule(value):
    match = _CALL.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'a rule is "bptt", "tbptt(2)", "rflo(0.5)", "eprop" or a table; got {value!r}')
    name, argument = match[1].lower().replace("-", ""), match[2]
    function, kind = _RULES[check_choice("rule", name, tuple(_RULES))]
    if argument is None:
        return function()
    if kind is None:
        raise ValueError(f"rule {name!r} takes no argument; got {value!r}")
    try:
        return function(kind(argument))
    except ValueError as error:
        raise ValueError(f"rule {name!r} takes one number; got {value!r} ({error})") from None


def _rule_table(rule):
    decay = list(rule.decay) if isinstance(rule.decay, tuple) else rule.decay
    return {
        "name": rule.name, "feedback": rule.feedback, "propagator": rule.propagator,
        "horizon": rule.horizon, "decay": decay,
    }  # fmt: skip


def _whole(value):
    """Whole numbers may be written 3.0, as the ends of a range are."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _steps(value):
    return math.inf if value == "inf" else _whole(value)


def _check_steps(value):
    if value != math.inf and not (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**9):
        raise ValueError('steps must be a whole number from 1 to 10**9, or "inf"')
    return value


Rule = Annotated[LearningRule, BeforeValidator(parse_rule), PlainSerializer(_rule_table)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(allow_inf_nan=False, gt=0)]
NotNegative = Annotated[float, Field(allow_inf_nan=False, ge=0)]
Inside = Annotated[float, Field(allow_inf_nan=False, gt=-1, lt=1)]
NotZero = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=10**9)]
Seed = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=2**63)]
Steps = Annotated[
    Any, BeforeValidator(_steps), BeforeValidator(_check_steps),
    PlainSerializer(lambda value: "inf" if value == math.inf else value),
]  # fmt: skip
Numbers = Annotated[list[Number], Field(min_length=1, max_length=100_000)]
Inner = Annotated[list[Inside], Field(min_length=1, max_length=10_000)]


class Parameters(BaseModel):
    """Base of all jobs' parameters: nothing is converted silently, nothing unknown is accepted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class RuleParameters(Parameters):
    """A rule; ``decay`` and ``horizon``, where given, replace the rule's own."""

    rule: Rule
    decay: Number | None = None
    horizon: Count | None = None


def rule_of(values) -> LearningRule:
    """The learning rule of one group of points: its ``rule`` with ``decay`` and ``horizon`` replaced where given.

    A decay applies to rules with a scalar propagator only: the others have none, and keep their one curve along that
    axis.
    """
    rule = values["rule"]
    decay, horizon = values.get("decay"), values.get("horizon")
    return LearningRule(
        rule.name,
        rule.feedback,
        rule.propagator,
        rule.horizon if horizon is None else horizon,
        decay if decay is not None and rule.propagator == "scalar" else rule.decay,
    )
