"""A sweep's folder as one labelled dataset, read only where it is looked at."""

from __future__ import annotations

import collections
import errno
import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from ...files import schema
from ...files.disk import Damaged
from ...networks.teacher_text import Teacher
from ...rules import LearningRule
from ...training.optimizers import Optimizer
from ..plan.config import dump_values
from . import blocks
from .folder import Store
from .judging import check_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...files.paths import PathLike
    from ..plan.plan import Plan

#: Decoded blocks kept while reading.
_KEPT_BLOCKS = 2


def open_sweep(out: PathLike, *, allow_missing: bool = False) -> xr.Dataset:
    """Open a sweep as one dataset on the plan's axes; values are read, and their checksums checked, when used.

    Parameters
    ----------
    out : path-like
        Folder of the sweep.
    allow_missing : bool
        Open an unfinished sweep: missing numbers are NaN, missing flags -1.

    Returns
    -------
    xarray.Dataset
        Dims are the axes in the plan's order, then the results' own (time, epoch, mode). ``.load()`` reads it whole;
        ``.chunk()`` makes Dask arrays of it where Dask is installed.

    Raises
    ------
    FileNotFoundError
        If there is no sweep, or blocks are missing and that is not allowed.
    OSError
        If a block is damaged (also later, when its values are read).
    """
    store = Store(out)
    plan = store.plan()
    reader = BlockReader(store, plan)
    missing = plan.blocks - len(reader.files)
    if missing and (not allow_missing or not reader.files):
        raise FileNotFoundError(
            errno.ENOENT, f"{missing} of {plan.blocks} blocks are missing; run the sweep to its end", str(store.folder)
        )
    return assemble(plan, reader)


def assemble(plan: Plan, reader: BlockReader) -> xr.Dataset:
    """The lazy dataset of a plan whose blocks ``reader`` gives."""
    first = reader.block(min(reader.files))
    recorded, own = blocks.template(plan, first)
    variables = {
        name: xr.Variable(
            (*(d.name for d in plan.dimensions), *variable.dims[1:]),
            indexing.LazilyIndexedArray(GridArray(plan, reader, name, variable)),
            variable.attrs,
        )
        for name, variable in recorded.items()
    }
    dataset = xr.Dataset(variables, coords=coordinates(plan) | own)
    created = reader.created_at()
    schema.annotate(dataset, title=plan.title, configuration=json.loads(plan.canonical), seeds=_seeds(plan))
    versions = first.attributes["versions"]
    computed_by = f"fastmodes {json.loads(versions).get('fastmodes', 'of an unknown version')}"
    dataset.attrs |= {
        "created_at": created,
        "history": f"{created} computed by {computed_by}",
        "source": computed_by,
        "versions": versions,
        "sweep_job": plan.job.name,
        "plan_sha256": plan.sha256,
    }
    return dataset


def coordinates(plan: Plan) -> dict[str, xr.Variable]:
    """Coordinates of a plan's axes: numbers as they are, rules by name, lists as JSON text."""
    found = {}
    for dimension in plan.dimensions:
        for name in dimension.columns:
            values = dimension.array(name)
            if values.dtype == object:
                # Whole numbers and infinity, or what has a label only.
                numbers = all(isinstance(value, int | float) for value in values)
                values = np.array(values.tolist() if numbers else [_label(plan, name, value) for value in values])
            attributes = {} if name in schema.VARIABLES else {"long_name": name.replace("_", " "), "units": "1"}
            found[name] = xr.Variable((dimension.name,), values, attributes)
    return found


def _label(plan: Plan, name: str, value: Any) -> str:
    if isinstance(value, LearningRule):
        return value.name
    if isinstance(value, Optimizer | Teacher):
        return str(value)
    return value if isinstance(value, str) else json.dumps(dump_values(plan.job.parameters, name, [value])[0])


def _seeds(plan: Plan) -> list[int]:
    for dimension in plan.dimensions:
        if "seed" in dimension.columns:
            return dimension.columns["seed"]
    return [plan.fixed["seed"]] if "seed" in plan.fixed else []


class BlockReader:
    """Reads blocks, checks them, and keeps the last few; safe to use from several threads."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store, self.plan = store, plan
        self.files = {index: paths for index, paths in store.files().items() if index < plan.blocks}
        self._kept: collections.OrderedDict[int, blocks.Decoded] = collections.OrderedDict()
        self._form: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> tuple[Any, ...]:
        return self.store.folder, self.plan

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        BlockReader.__init__(self, Store(state[0]), state[1])

    def block(self, index: int) -> blocks.Decoded:
        """Block ``index``, decoded.

        Raises
        ------
        OSError
            If it is damaged.
        """
        with self._lock:
            if index in self._kept:
                return self._kept[index]
            decoded = self._read(index)
            self._kept[index] = decoded
            while len(self._kept) > _KEPT_BLOCKS:
                self._kept.popitem(last=False)
            return decoded

    def _read(self, index: int) -> blocks.Decoded:
        """The first of a block's files that is right and of the first block's form."""
        reason: OSError | None = None
        for path in self.files[index]:
            try:
                decoded = check_file(self.plan, index, path)
            except OSError as error:
                reason = reason or error
                continue
            assert decoded is not None
            self._form = self._form or decoded.form(self.plan.record)
            if decoded.form(self.plan.record) == self._form:
                return decoded
            reason = reason or Damaged(path, "its variables differ from those of other blocks")
        assert reason is not None
        raise Damaged(reason.filename, f"block {index} is damaged: {reason.strerror}") from reason

    def created_at(self) -> str:
        """When the sweep was started, as text: the time of the plan's file."""
        import datetime

        seconds = int((self.store.folder / "plan.json").stat().st_mtime)
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


class GridArray(BackendArray):
    """One variable on the plan's grid, stored as a row of blocks of the flattened grid."""

    def __init__(self, plan: Plan, reader: BlockReader, name: str, variable: xr.Variable) -> None:
        self.plan, self.reader, self.name = plan, reader, name
        self.extra = variable.shape[1:]
        self.shape = plan.shape + self.extra
        self.dtype = variable.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        dims = len(self.plan.shape)
        wanted, inner = key[:dims], key[dims:]
        flat = np.zeros((), dtype=np.int64)
        for size, part in zip(self.plan.shape, wanted, strict=True):
            index = np.arange(size)[part]
            flat = flat[..., None] * size + index if np.ndim(index) else flat * size + index
        values = self._points(flat.reshape(-1))
        # From the last axis to the first, so that an integer, which drops its axis, moves no axis still to come.
        for axis in range(len(inner), 0, -1):
            values = values[(slice(None),) * axis + (inner[axis - 1],)]
        return values.reshape(flat.shape + values.shape[1:])

    def _points(self, flat: NDArray[np.int64]) -> NDArray[Any]:
        """Values of the points with these flat indices, block by block."""
        values = np.full((len(flat), *self.extra), _missing(self.dtype), dtype=self.dtype)
        block = flat // self.plan.points_per_block
        order = None
        if np.any(block[1:] < block[:-1]):
            order = np.argsort(block, kind="stable")
            block = block[order]
        edges = np.flatnonzero(np.diff(block)) + 1
        for start, stop in zip([0, *edges], [*edges, len(flat)], strict=True):
            if start == stop or int(block[start]) not in self.reader.files:
                continue
            index = int(block[start])
            places = slice(start, stop) if order is None else order[start:stop]
            stored = self.reader.block(index).variables[self.name].values
            values[places] = stored[flat[places] - self.plan.block(index)[0]]
        return values


def _missing(dtype: np.dtype[Any]) -> float:
    return np.nan if dtype.kind == "f" else -1
