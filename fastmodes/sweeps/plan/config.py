"""From a TOML file or a mapping to a checked description of a sweep; every error names the key and the near miss."""

import difflib
import functools
import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
)

from ...files.paths import PathLike, local_path
from ...validation import shown
from .parameters import FIXED, Seed

LARGEST_FILE = 64 * 2**20
LARGEST_AXIS = 10**6
_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"


class PlanError(ValueError):
    """A plan that cannot be carried out; the message names each key at fault."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Range(_Strict):
    """``num`` values from ``start`` to ``stop``, both included, evenly spaced or evenly spaced in the logarithm."""

    start: Annotated[float, Field(allow_inf_nan=False)]
    stop: Annotated[float, Field(allow_inf_nan=False)]
    num: Annotated[int, Field(ge=1, le=LARGEST_AXIS)]
    scale: Literal["linear", "log"] = "linear"

    def values(self) -> list[float]:
        """The values as a list of floats."""
        if self.scale == "linear":
            values: list[float] = np.linspace(self.start, self.stop, self.num).tolist()
            return values
        if self.num == 1:
            return [self.start]
        low, high, last = math.log(self.start), math.log(self.stop), self.num - 1
        inner = [math.exp((low * (last - i) + high * i) / last) for i in range(1, last)]
        return [self.start, *inner, self.stop]


def _check_range(value: Range) -> Range:
    if value.scale == "log" and not (value.start > 0 and value.stop > 0):
        raise ValueError(f"start and stop must be > 0 on a log scale; got {value.start} and {value.stop}")
    return value


class SeedRange(_Strict):
    """``count`` seeds from ``first`` on."""

    first: Seed = 0
    count: Annotated[int, Field(ge=1, le=10**6)]

    def values(self) -> list[int]:
        """The seeds as a list."""
        return list(range(self.first, self.first + self.count))


def _plain_list(value: Any) -> Any:
    """Arrays and tuples of the Python interface as lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple | range) else value


def _form(value: object) -> str:
    """Which way an axis or the seeds are written: a table, a number of seeds, or a list."""
    if isinstance(value, dict | BaseModel):
        return "table"
    return "count" if isinstance(value, int) and not isinstance(value, bool) else "list"


Name = Annotated[str, Field(pattern=_NAME)]
ValueList = Annotated[list[Any], BeforeValidator(_plain_list), Field(min_length=1, max_length=LARGEST_AXIS)]
Axis = Annotated[
    Annotated[Range, AfterValidator(_check_range), Tag("table")] | Annotated[ValueList, Tag("list")],
    Discriminator(lambda value: "table" if _form(value) == "table" else "list"),
]
Seeds = Annotated[
    Annotated[SeedRange, Tag("table")]
    | Annotated[int, Field(ge=1, le=10**6), AfterValidator(lambda count: SeedRange(count=count)), Tag("count")]
    | Annotated[list[Seed], BeforeValidator(_plain_list), Field(min_length=1, max_length=10**6), Tag("list")],
    Discriminator(_form),
]


class Document(_Strict):
    """The keys of a plan's file."""

    job: str
    title: Annotated[str, Field(max_length=1000)] = ""
    seeds: Seeds | None = None
    record: Annotated[list[str], BeforeValidator(_plain_list), Field(min_length=1)] | None = None
    points_per_block: Annotated[int, Field(ge=1, le=10**8)] | None = None
    fixed: dict[Name, Any] = Field(default_factory=dict)
    axes: dict[Name, Axis] = Field(default_factory=dict)
    zipped: dict[Name, Annotated[dict[Name, Axis], Field(min_length=1)]] = Field(default_factory=dict)


def read_toml(path: PathLike) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises
    ------
    PlanError
        If it is not TOML (with line and column), not UTF-8, or larger than 64 MiB.
    OSError
        If it cannot be read.
    """
    path = local_path("plan", path)
    try:
        with open(path, "rb") as handle:
            content = handle.read(LARGEST_FILE + 1)
    except OSError as error:
        raise OSError(error.errno, f"plan must be a TOML file that can be read: {error.strerror}", str(path)) from None
    if len(content) > LARGEST_FILE:
        raise PlanError(f"{path}: a plan must be smaller than {LARGEST_FILE} bytes")
    return parse_toml(content, Path(path).name)


def parse_toml(content: bytes | str, name: str = "plan") -> dict[str, Any]:
    """The tables of a TOML text given as bytes or string; raises PlanError as :func:`read_toml` does."""
    try:
        return tomllib.loads(content.decode("utf-8") if isinstance(content, bytes) else content)
    except UnicodeDecodeError as error:
        raise PlanError(f"{name}: not a plan: not UTF-8 text, byte {error.start} is wrong") from None
    except RecursionError:
        raise PlanError(f"{name}: not a plan: brackets nested too deeply") from None
    except ValueError as error:
        raise PlanError(f"{name}: not valid TOML: {error}") from None


def check_document(mapping: dict[str, Any]) -> Document:
    """The structure of a plan: its keys, axes and seeds; parameters are checked against the job afterwards.

    Raises
    ------
    PlanError
        Naming every key at fault.
    """
    if not isinstance(mapping, dict):
        raise PlanError(f"a plan must be a TOML file or a dict; got {shown(mapping)}")
    try:
        return Document.model_validate(mapping)
    except (ValidationError, RecursionError) as error:
        raise PlanError(explain(error, known=tuple(Document.model_fields))) from None


@functools.cache
def _list_adapter(model: type[BaseModel], name: str) -> TypeAdapter[list[Any]]:
    field = model.model_fields[name]
    kind = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(list[kind], config=ConfigDict(strict=True, arbitrary_types_allowed=True))  # type: ignore[valid-type]


def dump_values(model: type[BaseModel], name: str, values: list[Any]) -> Any:
    """Checked values of one parameter as plain JSON values, which :func:`check_values` takes back."""
    return _list_adapter(model, name).dump_python(values, mode="json")


def check_values(model: type[BaseModel], name: str, values: list[Any], place: str) -> list[Any]:
    """The values of one axis, each valid for the field ``name`` of ``model``.

    Raises
    ------
    PlanError
        If a value is not, or the parameter cannot be an axis.
    """
    field = model.model_fields[name]
    if FIXED in field.metadata:
        raise PlanError(f"{place}: {name!r} shapes the result and cannot be an axis; set it under [fixed]")
    try:
        return _list_adapter(model, name).validate_python(values)
    except (ValidationError, RecursionError) as error:
        raise PlanError(explain(error, place=place)) from None


def explain(
    error: ValidationError | RecursionError, place: str = "", known: Sequence[str] = (), missing: str = ""
) -> str:
    """One line for every mistake pydantic found: key path, what is wrong, what was given, the near miss."""
    if isinstance(error, RecursionError):
        return f"{place or 'plan'}: nested too deeply"
    lines = []
    for item in error.errors(include_url=False):
        keys = [str(part) for part in item["loc"] if part not in ("table", "list", "count")]
        path, last = ".".join([place, *keys] if place else keys), keys[-1] if keys else ""
        if item["type"] == "extra_forbidden":
            lines.append(f"{path}: unknown key{suggestion(last, known if len(keys) == 1 else _KEYS)}")
        elif item["type"] == "missing":
            lines.append(f"{path}: missing{missing}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            given = "" if "; got " in message else f"; got {shown(item['input'])}"
            lines.append(f"{path or 'plan'}: {message}{given}")
    listed = lines[:10] + ([f"... and {len(lines) - 10} more"] if len(lines) > 10 else [])
    return "\n".join(dict.fromkeys(listed))


_KEYS = (*Range.model_fields, *SeedRange.model_fields)


def suggestion(name: str, known: Sequence[str]) -> str:
    """ " (did you mean 'x'?)", or what is known where nothing is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(known)})" if known else ""
