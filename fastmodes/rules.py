"""Rules as they are given: one or several, as values or as texts."""

import dataclasses
import re
from typing import Any

from .learning_rule import FEEDBACKS as FEEDBACKS
from .learning_rule import LEAK
from .learning_rule import PROPAGATORS as PROPAGATORS
from .learning_rule import LearningRule as LearningRule
from .learning_rule import at_leak as at_leak
from .learning_rule import rule_table as rule_table
from .named_rules import bptt as bptt
from .named_rules import dfa as dfa
from .named_rules import eprop as eprop
from .named_rules import rflo as rflo
from .named_rules import snap1 as snap1
from .named_rules import tbptt as tbptt
from .typing import Rule, Rules
from .validation import check_choice, shown


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


_CALL = re.compile(r"([A-Za-z0-9-]+)(?:\(([^()]*)\))?")
_NAMED: dict[str, tuple[Any, Any]] = {
    "bptt": (bptt, None),
    "tbptt": (tbptt, int),
    "rflo": (rflo, lambda text: text if text == LEAK else float(text)),
    "eprop": (eprop, int),
    "snap1": (snap1, int),
    "dfa": (dfa, None),
}
_FIELDS = tuple(field.name for field in dataclasses.fields(LearningRule))


def parse_rule(text: str) -> LearningRule:
    """A rule from text: "bptt", "tbptt(3)", "rflo(0.9)", "rflo(leak)", "eprop", "eprop(3)", "snap1", "dfa"; one of
    them with other fields, "rflo(0.9, feedback=mixed, mix=0.3)"; or fields alone,
    "name=mine,feedback=readout,propagator=scalar,decay=0.5,horizon=3". A diagonal is "decay=0.9:0.5:0.2". Without a
    name the text is the name.

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
    >>> parse_rule("rflo(feedback=mixed, mix=0.3)")
    rflo(feedback=mixed, mix=0.3): mixed feedback (mix 0.3), scalar propagator (decay 0.5), full horizon
    """
    match = _CALL.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None and isinstance(text, str) and "=" in text:
        return LearningRule(**_fields(text, text))
    if match is None:
        raise ValueError(f"rule must be bptt, tbptt(3), rflo(0.5), eprop or FIELD=VALUE,...; got {text!r}")
    name, argument = match[1].lower().replace("-", ""), match[2]
    function, kind = _NAMED[check_choice("rule", name, tuple(_NAMED))]
    if argument is None:
        return function()
    number, comma, others = argument.partition(",")
    if "=" in number:
        number, others = None, argument
    rule = function() if number is None else function(_number(name, kind, number, text))
    return dataclasses.replace(rule, **_fields(others, text.strip())) if others or comma else rule


def _number(name: str, kind: Any, argument: str, text: str) -> Any:
    """The one number of a named rule."""
    if kind is None:
        raise ValueError(f"rule {name!r} takes no argument; got {text!r}")
    try:
        return kind(argument)
    except ValueError:
        raise ValueError(f"rule {name!r} takes one number; got {text!r}") from None


def _fields(listed: str, text: str) -> dict[str, Any]:
    """Fields FIELD=VALUE, separated by commas; the name is ``text`` where none is among them."""
    fields: dict[str, Any] = {}
    for part in listed.split(","):
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
    return fields


def _decay_from_text(text: str) -> float | tuple[float, ...] | str:
    """A number, the numbers of a diagonal, separated by colons, or "leak"."""
    if text == LEAK:
        return text
    numbers = tuple(float(part) for part in text.split(":"))
    return numbers if len(numbers) > 1 else numbers[0]


_FROM_TEXT: dict[str, Any] = {"horizon": int, "decay": _decay_from_text} | dict.fromkeys(
    ("sign_scale", "mix", "cosine", "feedback_decay", "mirror_rate"), float
)
