"""What the jobs of a sweep accept: one pydantic model a job, one field a parameter.

A field marked :data:`FIXED` is the same for the whole sweep (it shapes the result); any other may become an axis.
"""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from ...networks.made import aligned_teacher
from ...networks.network import LinearRNN, Modes
from ...networks.teacher_text import Teacher, teacher_from
from ...rules import LearningRule, parse_rule, rule_table
from ...training import parameter_kinds as kinds
from ...training.optimizers import OPTIMIZERS, Optimizer
from ...training.surroundings import checked_filter, colour_table
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
Leak = Annotated[float, Field(gt=0, le=1)]
PerMatrix = NotNegative | dict[Literal["readout", "recurrent", "input"], NotNegative]
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


def checked_colour(value: Any) -> Any:
    """A coefficient of autoregressive input, or a table of a filter's matrices.

    Raises
    ------
    ValueError
        If it is none of these, or the matrices are none of a stable filter.
    """
    try:
        checked_filter("colour", value)
    except TypeError as error:
        raise ValueError(str(error)) from None
    return colour_table(value)


ColourChoice = Annotated[Any, BeforeValidator(checked_colour)]
Matrix = Annotated[list[Numbers], Field(min_length=1, max_length=10_000)]


def _whole_numbers(kind: kinds.Whole) -> Any:
    return Annotated[int, BeforeValidator(_whole), Field(ge=kind.low, le=kind.high)]


def _real_numbers(kind: kinds.Real) -> Any:
    bounds = {"ge": kind.low, "le": kind.high, "gt": kind.above, "lt": kind.below}
    given: dict[str, Any] = {key: bound for key, bound in bounds.items() if bound is not None and math.isfinite(bound)}
    return Annotated[float, Field(allow_inf_nan=False, **given)]


def _per_matrix(kind: kinds.PerMatrix) -> Any:
    number = Positive if kind.above is not None else NotNegative
    return number | dict[Literal["readout", "recurrent", "input"], NotNegative]


_TYPES: dict[type, Callable[[Any], Any]] = {
    kinds.Whole: _whole_numbers,
    kinds.Real: _real_numbers,
    kinds.PerMatrix: _per_matrix,
    kinds.Data: lambda kind: Count,
    kinds.Schedule: lambda kind: Literal[kind.words] | Numbers,
    kinds.Choice: lambda kind: Literal[kind.words],
    kinds.Steps: lambda kind: Steps,
    kinds.Betas: lambda kind: list[NotNegative],
    kinds.OptimizerName: lambda kind: OptimizerChoice,
    kinds.Covariance: lambda kind: Matrix,
    kinds.Colour: lambda kind: ColourChoice,
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

    def unused(self) -> frozenset[str]:
        """Parameters in whose place others are given: no part of the plan."""
        return frozenset()


class RuleParameters(Parameters):
    """A rule; ``decay`` and ``horizon``, where given, replace the rule's own where it has such."""

    rule: Rule
    decay: Number | None = None
    horizon: Count | None = None

    def unused(self) -> frozenset[str]:
        """A leak and rates that change nothing: plans of before there were any are the same plans."""
        return frozenset(name for name in ("leak", "rates") if getattr(self, name, None) == 1.0)


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


#: Entries of a teacher's matrices that a plan keeps, at most.
_LARGEST_TEACHER = 2**20


def checked_teacher(value: Any) -> Teacher:
    """A teacher in words, a table of its kind and numbers or of its matrices, or a network.

    Raises
    ------
    ValueError
        If it is none of these, a parameter is out of range, a file cannot be read, or it is too large to be kept.
    """
    try:
        teacher = teacher_from(value)
    except (TypeError, OSError) as error:
        raise ValueError(str(error)) from None
    network = teacher.network
    count = network.n_hidden * (network.n_out + network.n_hidden + network.n_in)
    if not teacher.made and count > _LARGEST_TEACHER:
        raise ValueError(
            f"teacher must have at most {_LARGEST_TEACHER} weights in a plan, which keeps them; got {count}"
        )
    return teacher


TeacherChoice = Annotated[Any, BeforeValidator(checked_teacher), PlainSerializer(Teacher.table)]


class TeacherParameters(RuleParameters):
    """A teacher: in one word, or eigenvalues of W*, and A* and B* as a number, one number a mode, or a whole matrix.

    ``teacher`` is a text that :func:`fastmodes.parse_teacher` reads, or a table: ``{ kind = "rotating", modulus = 0.9,
    angle = 0.3 }`` or the matrices ``{ readout = [[..]], recurrent = [[..]], input = [[..]], name = "mine" }``. A file
    is read with the plan, of which its content becomes a part. In its place, with matrices as ``teacher_readout`` or
    ``teacher_input``, W* is the diagonal matrix of the eigenvalues and the basis is the identity.
    """

    teacher: TeacherChoice = None
    teacher_recurrent: Inner = [0.9, 0.7, 0.5, 0.3]
    teacher_readout: Entries = 1.0
    teacher_input: Entries = 1.0
    teacher_basis: Literal["identity", "random"] = "identity"
    teacher_seed: Seed = 0

    @model_validator(mode="after")
    def _one_teacher(self) -> "TeacherParameters":
        given = sorted(self.model_fields_set & set(_IN_PARTS))
        if self.teacher is not None and given:
            raise ValueError(f"teacher must be given without {', '.join(given)}, which are parts of another one")
        return self

    def unused(self) -> frozenset[str]:
        """Of a teacher in one word and one in parts, the other."""
        return frozenset({"teacher"} if self.teacher is None else _IN_PARTS)


_IN_PARTS = tuple(name for name in TeacherParameters.model_fields if name.startswith("teacher_"))


def teacher_of(values: Mapping[str, Any]) -> LinearRNN:
    """The teacher of one group of points."""
    if values["teacher"] is not None:
        network: LinearRNN = values["teacher"].network
        return network
    eigenvalues, readout, inputs = (values[f"teacher_{part}"] for part in ("recurrent", "readout", "input"))
    if max(np.ndim(readout), np.ndim(inputs)) < 2:
        modes = Modes(eigenvalues, readout, inputs)
        return aligned_teacher(modes, basis=values["teacher_basis"], seed=values["teacher_seed"])
    if values["teacher_basis"] != "identity":
        raise ValueError("teacher_basis must be 'identity' where teacher_readout or teacher_input is a matrix")
    size = len(eigenvalues)
    matrices = [m if np.ndim(m) == 2 else np.diag(np.broadcast_to(m, size).astype(float)) for m in (readout, inputs)]
    return LinearRNN(np.array(matrices[0]), np.diag(eigenvalues), np.array(matrices[1]))


def teacher_units(values: Mapping[str, Any]) -> int:
    """Hidden units of the teacher of one point, which are its modes."""
    teacher = values["teacher"]
    return len(values["teacher_recurrent"]) if teacher is None else teacher.network.n_hidden
