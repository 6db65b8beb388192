"""A sweep as a value: what to compute, on which grid, in which blocks. Nothing here depends on the machine."""

from __future__ import annotations

import copy
import functools
import hashlib
import importlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ...files.paths import PathLike
from ...networks.teacher_text import Teacher
from ...rules import LearningRule
from ...training.optimizers import Optimizer
from ..jobs import registry as jobs
from .config import Document, PlanError, check_document, check_values, dump_values, explain, read_toml, suggestion
from .points import Points, item

#: A block holds about one second of work of one core, and at most so many points and bytes.
BLOCK_SECONDS, BLOCK_POINTS, BLOCK_BYTES = 1.0, 2**18, 2**25
LARGEST_GRID, MOST_BLOCKS = 10**12, 10**6


class Dimension:
    """One dim of the grid: a name, a size, and the parameters that vary along it."""

    def __init__(self, name: str, columns: dict[str, list[Any]]) -> None:
        self.name = name
        self.columns = columns
        self.size = len(next(iter(columns.values())))

        self._arrays: dict[str, NDArray[Any]] = {}

    def array(self, parameter: str) -> NDArray[Any]:
        """Values of one parameter along the dim: float64, int64 or object array."""
        if parameter not in self._arrays:
            self._arrays[parameter] = _column_array(self.columns[parameter])
        return self._arrays[parameter]


def _column_array(values: list[Any]) -> NDArray[Any]:
    if all(isinstance(value, float) for value in values):
        return np.array(values)
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return np.array(values, dtype=np.int64)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


class Plan:
    """A checked sweep; made by :meth:`from_toml` or from a dict with the same keys.

    Parameters
    ----------
    document : dict
        ``job``; ``fixed``: parameters that stay; ``axes``: parameters that vary, each a list or ``{start, stop, num,
        scale}``, combined as a product in the order written; ``zipped``: named dims along which several parameters
        vary together; ``seeds``: a number, a list or ``{first, count}``, the innermost axis; ``record``: variables to
        keep; ``points_per_block``; ``title``.

    Raises
    ------
    PlanError
        A ValueError that names every key at fault, with the near miss.

    Examples
    --------
    >>> from fastmodes.sweeps import Plan
    >>> plan = Plan({"job": "stability", "fixed": {"rule": "bptt", "teacher_recurrent": 0.9, "teacher_product": 1.0},
    ...              "axes": {"position": {"start": 0.1, "stop": 2.0, "num": 20}}})
    >>> plan.points, plan.blocks
    (20, 1)
    """

    def __init__(self, document: dict[str, Any]) -> None:
        checked = check_document(document)
        try:
            self.job = jobs.find(checked.job)
        except ValueError as error:
            raise PlanError(str(error)) from None
        self.title = checked.title or f"fastmodes sweep: {self.job.name}"
        self.record = self._checked_record(checked.record)
        written: list[tuple[str, dict[str, Any]]] = [(name, {name: axis}) for name, axis in checked.axes.items()]
        written += list(checked.zipped.items())
        if checked.seeds is not None:
            written.append(("seed", {"seed": checked.seeds}))
        self._check_names(checked, written)
        self.fixed, self.dimensions = self._checked_parameters(checked, written)
        self.shape = tuple(dimension.size for dimension in self.dimensions)
        self.points = math.prod(self.shape)
        if self.points > LARGEST_GRID:
            raise PlanError(f"axes: the grid has {self.points} points; at most {LARGEST_GRID} are allowed")
        self.points_per_block = checked.points_per_block or self._chosen_block()
        self.blocks = -(-self.points // self.points_per_block)
        if self.blocks > MOST_BLOCKS:
            raise PlanError(f"points_per_block: {self.blocks} blocks; at most {MOST_BLOCKS} are allowed")
        self.canonical = self._canonical(checked)
        self.sha256 = hashlib.sha256(self.canonical.encode()).hexdigest()

    @classmethod
    def from_toml(cls, path: PathLike) -> Plan:
        """The plan in a TOML file; raises PlanError (a ValueError) or OSError."""
        return cls(read_toml(path))

    def __reduce__(self) -> tuple[Callable[[str, str], Plan], tuple[str, str]]:
        return rebuild, (self.job.compute.__module__, self.canonical)

    def __repr__(self) -> str:
        grid = " x ".join(f"{d.name} {d.size}" for d in self.dimensions) or "one point"
        return f"Plan({self.job.name}: {grid}; {self.points} points in {self.blocks} blocks)"

    def _checked_record(self, record: list[str] | None) -> tuple[str, ...]:
        for name in record or ():
            if name not in self.job.results:
                raise PlanError(f"record: job {self.job.name!r} has no {name!r}{suggestion(name, self.job.results)}")
        return tuple(dict.fromkeys(record)) if record else self.job.variables

    def _check_names(self, checked: Document, written: list[tuple[str, dict[str, Any]]]) -> None:
        known = tuple(self.job.parameters.model_fields)
        used = {name: "fixed" for name in checked.fixed}
        for dimension, columns in written:
            place = "axes" if dimension in checked.axes else f"zipped.{dimension}"
            if dimension in checked.zipped and (dimension in known or dimension in RESERVED):
                raise PlanError(f"{place}: the name of a zipped dim must not be a parameter's or a result's")
            if dimension in checked.zipped and dimension in self.job.results:
                raise PlanError(f"{place}: {dimension!r} is also a result; give the dim another name")
            for name in columns:
                where = "seeds" if name == "seed" and dimension == "seed" and "seed" not in checked.axes else place
                if name not in known:
                    result = f" (a result is called so; parameters: {', '.join(known)})"
                    hint = result if name in self.job.results else suggestion(name, known)
                    path = where if where == "seeds" else f"{where}.{name}"
                    raise PlanError(f"{path}: job {self.job.name!r} has no parameter {name!r}{hint}")
                if name in self.job.results:
                    raise PlanError(f"{place}: {name!r} is also a result and cannot be an axis; set it under [fixed]")
                if name in used:
                    raise PlanError(f"{where}.{name}: given twice, also under {used[name]}")
                used[name] = where

    def _checked_parameters(
        self, checked: Document, written: list[tuple[str, dict[str, Any]]]
    ) -> tuple[dict[str, Any], tuple[Dimension, ...]]:
        model, dimensions = self.job.parameters, []
        first: dict[str, Any] = {}
        for dimension, axes in written:
            columns: dict[str, list[Any]] = {}
            for name, axis in axes.items():
                place = f"axes.{name}" if dimension in checked.axes else f"zipped.{dimension}.{name}"
                place = "seeds" if axis is checked.seeds else place
                values = axis if isinstance(axis, list) else axis.values()
                columns[name] = check_values(model, name, values, place)
                first[name] = values[0]
                _check_distinct(place, columns[name], alone=len(axes) == 1)
            sizes = {name: len(values) for name, values in columns.items()}
            if len(set(sizes.values())) > 1:
                raise PlanError(f"zipped.{dimension}: parameters that vary together need equally many values; {sizes}")
            dimensions.append(Dimension(dimension, columns))
        try:
            checked_all = model.model_validate(checked.fixed | first)
        except (ValidationError, RecursionError) as error:
            missing = f": job {self.job.name!r} needs it; set it under [fixed] or [axes]"
            raise PlanError(explain(error, "fixed", tuple(model.model_fields), missing)) from None
        fixed = {name: getattr(checked_all, name) for name in model.model_fields if name not in first}
        self._unused = checked_all.unused()
        return fixed, tuple(dimensions)

    def _first_parameters(self) -> dict[str, Any]:
        return self.fixed | {name: column[0] for d in self.dimensions for name, column in d.columns.items()}

    def _chosen_block(self) -> int:
        """Points of a block from the plan alone; whole inner axes where they fit, so that seeds stay together."""
        cost, numbers = self._largest(self.job.seconds), self._largest(self.job.numbers)
        size = int(min(BLOCK_SECONDS / cost, BLOCK_POINTS, BLOCK_BYTES / (8 * numbers)))
        size = max(1, size, -(-self.points // MOST_BLOCKS))
        inner = 1
        for extent in reversed(self.shape):
            if inner * extent > size:
                break
            inner *= extent
        return min(size - size % inner, self.points) or 1

    def _largest(self, estimate: Callable[[Mapping[str, Any]], float]) -> float:
        """The largest estimate over the ends of every axis, each varied alone."""
        base = self._first_parameters()
        ends = [{name: column[-1]} for d in self.dimensions for name, column in d.columns.items()]
        return max(estimate(base | change) for change in [{}, *ends])

    def _canonical(self, checked: Document) -> str:
        """The plan as JSON that :class:`Plan` reads back to the same plan, every default written out."""
        model = self.job.parameters
        columns = {
            name: (d.columns, checked.zipped.get(d.name, checked.axes)) for d in self.dimensions for name in d.columns
        }

        def axis(name: str) -> Any:
            written = columns[name][1].get(name)
            return (
                dump_values(model, name, columns[name][0][name])
                if written is None or isinstance(written, list)
                else written.model_dump()
            )

        document = {
            "job": self.job.name,
            "title": self.title,
            "record": list(self.record),
            "points_per_block": self.points_per_block,
            "fixed": {
                name: dump_values(model, name, [self.fixed[name]])[0]
                for name in sorted(self.fixed)
                if name not in self._unused
            },
            "axes": {name: axis(name) for name in checked.axes},
            "zipped": {name: {key: axis(key) for key in axes} for name, axes in checked.zipped.items()},
        }
        if checked.seeds is not None:
            document["seeds"] = axis("seed")
        return json.dumps(document, allow_nan=False, separators=(",", ":"))

    def with_fixed(self, changes: Mapping[str, Any]) -> Plan:
        """The same grid with other fixed values; parameters that vary are left alone."""
        changes = {name: value for name, value in changes.items() if name in self.fixed}
        if not changes:
            return self
        other = copy.copy(self)
        other.fixed = self.fixed | changes
        return other

    def block(self, index: int) -> tuple[int, int]:
        """Points ``start, stop`` of block ``index``."""
        if not 0 <= index < self.blocks:
            raise IndexError(f"block must be from 0 to {self.blocks - 1}; got {index}")
        start = index * self.points_per_block
        return start, min(start + self.points_per_block, self.points)

    def point(self, index: int) -> dict[str, Any]:
        """Parameters of one point as a dict."""
        points = Points(self, index, index + 1)
        return {name: item(points.values(name)) for name in self.job.parameters.model_fields}


@functools.lru_cache(maxsize=8)
def rebuild(module: str, canonical: str) -> Plan:
    """The plan with this canonical JSON; ``module`` registers its job when imported."""
    importlib.import_module(module)
    return Plan(json.loads(canonical))


#: Names that results use for their own dims; a zipped dim must not take them.
RESERVED = ("point", "time", "epoch", "mode", "unit", "unit_to", "unit_from", "quantity", "variable")


def _check_distinct(place: str, values: list[Any], alone: bool) -> None:
    """Values of an axis label the results: each only once (along a zipped dim they may repeat)."""
    if alone and all(isinstance(value, int | float | str) for value in values) and len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise PlanError(f"{place}: values must differ; got {twice!r} more than once")
    labels = [str(value) for value in values if isinstance(value, str | Optimizer | Teacher)]
    if alone and len(labels) == len(values) and len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise PlanError(f"{place}: values must differ; got {twice} more than once")
    rules = [value.name for value in values if isinstance(value, LearningRule)]
    if alone and len(set(rules)) < len(rules):
        twice = next(name for name in rules if rules.count(name) > 1)
        raise PlanError(f"{place}: rules must have distinct names; got {twice!r} more than once")
