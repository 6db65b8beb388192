"""What the jobs of a sweep accept: one pydantic model a job, one field a parameter.

A field marked :data:`FIXED` is the same for the whole sweep (it shapes the result); any other may become an axis.
"""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from ...networks.made import aligned_teacher
from ...networks.network import LinearRNN, Modes
from ...rules import LearningRule, parse_rule, rule_table
from ...training import parameters as settings
from ...training.optimizers import OPTIMIZERS, Optimizer
from ...validation import check_choice


class _Fixed:
    """Marks a parameter that cannot be an axis."""


FIXED = _Fixed()


def checked_rule(value: Any) -> LearningRule:
    """A learning rule from a text that :func:`fastmodes.parse_rule` reads, or a table of LearningRule's fields.

    Raises
    ------
    ValueError
        If it is none of these, or a field is out of range.
    """
    if isinstance(value, LearningRule):
        return value
    try:
        return LearningRule(**value) if isinstance(value, dict) else parse_rule(value)
    except TypeError as error:
        raise ValueError(str(error).replace("LearningRule.__init__() got", "a rule has")) from None


def _whole(value: Any) -> Any:
    """Whole numbers may be written 3.0, as the ends of a range are."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _steps(value: Any) -> Any:
    value = math.inf if value == "inf" else _whole(value)
    if value != math.inf and not (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**9):
        raise ValueError('steps must be a whole number from 1 to 10**9, or "inf"')
    return value


Rule = Annotated[LearningRule, BeforeValidator(checked_rule), PlainSerializer(rule_table)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(allow_inf_nan=False, gt=0)]
NotNegative = Annotated[float, Field(allow_inf_nan=False, ge=0)]
Inside = Annotated[float, Field(allow_inf_nan=False, gt=-1, lt=1)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=10**9)]
Seed = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=2**63)]
Steps = Annotated[
    Any, BeforeValidator(_steps),
    PlainSerializer(lambda value: "inf" if value == math.inf else value),
]  # fmt: skip
Numbers = Annotated[list[Number], Field(min_length=1, max_length=100_000)]
Inner = Annotated[list[Inside], Field(min_length=1, max_length=10_000)]


def checked_optimizer(value: Any) -> Any:
    """An optimiser as a word, or a table of its name and numbers; the learning rate is a parameter of its own.

    Raises
    ------
    ValueError
        If it is none of these, or a number is out of range.
    """
    if isinstance(value, dict):
        fields = dict(value)
        name = check_choice("name", fields.pop("name", None), tuple(OPTIMIZERS))
        known = [key for key in inspect.signature(OPTIMIZERS[name]).parameters if key != "learning_rate"]
        for key in fields:
            check_choice(f"key of {name}", key, known)
        try:
            value = OPTIMIZERS[name](**fields)
        except TypeError as error:
            raise ValueError(str(error)) from None
    if isinstance(value, Optimizer):
        if value.learning_rate is not None:
            raise ValueError("learning_rate is a parameter of its own")
        return value
    return check_choice("optimizer", value, tuple(OPTIMIZERS))


OptimizerChoice = Annotated[
    Any, BeforeValidator(checked_optimizer),
    PlainSerializer(lambda value: value.table() if isinstance(value, Optimizer) else value),
]  # fmt: skip


def _whole_numbers(kind: settings.Whole) -> Any:
    return Annotated[int, BeforeValidator(_whole), Field(ge=kind.low, le=kind.high)]


def _real_numbers(kind: settings.Real) -> Any:
    bounds = {"ge": kind.low, "le": kind.high, "gt": kind.above, "lt": kind.below}
    given: dict[str, Any] = {key: bound for key, bound in bounds.items() if bound is not None and math.isfinite(bound)}
    return Annotated[float, Field(allow_inf_nan=False, **given)]


def _per_matrix(kind: settings.PerMatrix) -> Any:
    number = Positive if kind.above is not None else NotNegative
    return number | dict[Literal["readout", "recurrent", "input"], NotNegative]


_TYPES: dict[type, Callable[[Any], Any]] = {
    settings.Whole: _whole_numbers,
    settings.Real: _real_numbers,
    settings.PerMatrix: _per_matrix,
    settings.Data: lambda kind: Count,
    settings.Schedule: lambda kind: Literal[kind.words] | Numbers,
    settings.Choice: lambda kind: Literal[kind.words],
    settings.Steps: lambda kind: Steps,
    settings.Betas: lambda kind: list[NotNegative],
    settings.OptimizerName: lambda kind: OptimizerChoice,
}


def fields_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a pydantic model, type and default, for those of ``train``'s parameters that a sweep takes."""
    fields: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if parameter.sweep:
            annotation: Any = _TYPES[type(parameter.kind)](parameter.kind)
            default = parameter.elsewhere
            annotation = annotation | None if default is None else annotation
            annotation = Annotated[annotation, FIXED] if parameter.sweep == "fixed" else annotation
            fields[name] = annotation, list(default) if isinstance(default, tuple) else default
    return fields


class Parameters(BaseModel):
    """Base of all jobs' parameters: nothing is converted silently, nothing unknown is accepted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class RuleParameters(Parameters):
    """A rule; ``decay`` and ``horizon``, where given, replace the rule's own where it has such."""

    rule: Rule
    decay: Number | None = None
    horizon: Count | None = None


def rule_of(values: Mapping[str, Any]) -> LearningRule:
    """The learning rule of one group of points: its ``rule`` with ``decay`` and ``horizon`` replaced where given.

    A decay applies to rules with a scalar propagator, a horizon to rules that have a finite one; the others keep
    their one value along that axis.
    """
    rule: LearningRule = values["rule"]
    decay, horizon = values.get("decay"), values.get("horizon")
    return dataclasses.replace(
        rule,
        horizon=rule.horizon if horizon is None or rule.horizon is None else horizon,
        decay=decay if decay is not None and rule.propagator == "scalar" else rule.decay,
    )


Entries = Number | Numbers | Annotated[list[Numbers], Field(min_length=1, max_length=10_000)]


class TeacherParameters(RuleParameters):
    """A teacher: eigenvalues of W*, and A* and B* as a number, one number a mode, or a whole matrix.

    With matrices, W* is the diagonal matrix of the eigenvalues and the basis is the identity.
    """

    teacher_recurrent: Inner = [0.9, 0.7, 0.5, 0.3]
    teacher_readout: Entries = 1.0
    teacher_input: Entries = 1.0
    teacher_basis: Literal["identity", "random"] = "identity"
    teacher_seed: Seed = 0


def teacher_of(values: Mapping[str, Any]) -> LinearRNN:
    """The teacher of one group of points."""
    eigenvalues, readout, inputs = (values[f"teacher_{part}"] for part in ("recurrent", "readout", "input"))
    if max(np.ndim(readout), np.ndim(inputs)) < 2:
        modes = Modes(eigenvalues, readout, inputs)
        return aligned_teacher(modes, basis=values["teacher_basis"], seed=values["teacher_seed"])
    if values["teacher_basis"] != "identity":
        raise ValueError("teacher_basis must be 'identity' where teacher_readout or teacher_input is a matrix")
    size = len(eigenvalues)
    matrices = [m if np.ndim(m) == 2 else np.diag(np.broadcast_to(m, size).astype(float)) for m in (readout, inputs)]
    return LinearRNN(np.array(matrices[0]), np.diag(eigenvalues), np.array(matrices[1]))
