"""A block's result as the bytes of one netCDF file, and back.

The bytes are made and read in memory, in plain NumPy: no C library touches the disk, a block is hashed before it is
written by plain system calls, and hashed again before anything reads it.

The format is netCDF's 64-bit-offset one, not netCDF4: HDF5 puts the time of day into each file, this one holds nothing
but the numbers, so that equal arrays are equal bytes and equal checksums, whoever computed them and when.
"""

from __future__ import annotations

import functools
import io
import json
import math
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import xarray as xr
from scipy.io import netcdf_file

from ..plan.points import Points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..plan.plan import Plan

_Read = TypeVar("_Read")

#: netCDF's numbers for the kinds of values a block holds.
_KINDS = {number: np.dtype(kind) for number, kind in ((1, "i1"), (2, "S1"), (4, ">i4"), (6, ">f8"))}


def encode(dataset: xr.Dataset, attributes: Mapping[str, str]) -> memoryview:
    """Bytes of a netCDF file holding ``dataset`` (dim ``point`` first) and the block's ``attributes`` (strings).

    Variables are float64, int32 or int8.
    """
    buffer = io.BytesIO()
    file = netcdf_file(buffer, "w", version=2, maskandscale=False)
    for name, extent in dataset.sizes.items():
        file.createDimension(name, extent)
    for name, variable in dataset.variables.items():
        if variable.dtype not in ("f8", "i4", "i1"):
            raise TypeError(f"{name} must be float64, int32 or int8 in a block; got {variable.dtype}")
        written = file.createVariable(name, variable.dtype, variable.dims)
        written[...] = variable.values
        for key, value in variable.attrs.items():
            setattr(written, key, value)
    for name, value in attributes.items():
        setattr(file, name, value)
    file.flush()
    # Closing would write everything once more, and take the buffer away.
    file.mode, file.fp = "r", io.BytesIO()
    file.close()
    return buffer.getbuffer()


_NATIVE = {kind: kind.newbyteorder("=") for kind in _KINDS.values()}


class _Entry(NamedTuple):
    """What the header says of one variable."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    attributes: dict[str, Any]
    dtype: np.dtype[Any]
    begin: int


class _Header:
    """Reads the header of a classic netCDF file from left to right: it is quick, and asks for no more than it needs."""

    def __init__(self, content: bytes) -> None:
        if content[:4] != b"CDF\x02":
            raise ValueError("not a netCDF file of the 64-bit-offset format")
        self.content, self.place = content, 8

    def whole(self, size: int = 4) -> int:
        """The next whole number."""
        found = self.content[self.place : self.place + size]
        if len(found) < size:
            raise ValueError("the header is cut short")
        self.place += size
        return int.from_bytes(found, "big")

    def take(self, size: int) -> bytes:
        """The next bytes; what follows them is aligned."""
        found = self.content[self.place : self.place + size]
        if len(found) < size:
            raise ValueError("the header is cut short")
        self.place += size + -size % 4
        return found

    def text(self) -> str:
        """The next name."""
        return str(self.take(self.whole()), "utf-8")

    def listed(self, read: Callable[[], _Read]) -> list[_Read]:
        """The next list, each entry read by ``read``."""
        self.whole()
        return [read() for _ in range(self.whole())]

    def attributes(self) -> dict[str, Any]:
        """The next list of attributes."""
        return dict(self.listed(lambda: (self.text(), self._values())))

    def _values(self) -> Any:
        kind = _KINDS[self.whole()]
        content = self.take(self.whole() * kind.itemsize)
        if kind.char == "S":
            return str(content, "utf-8").rstrip("\0")
        values = _native(np.frombuffer(content, kind))
        return values if len(values) != 1 else values[0]


class Decoded:
    """A block read back: ``entries`` and ``attributes`` as the header has them, ``variables`` with their values.

    Parameters
    ----------
    content : bytes
        The file; its beginning is enough as long as ``variables`` is not asked for.
    length : int, optional
        Bytes of the whole file.

    Raises
    ------
    ValueError
        If it is no block.
    """

    def __init__(self, content: bytes, length: int | None = None) -> None:
        self.content = content
        try:
            header = _Header(content)
            sizes = header.listed(lambda: (header.text(), header.whole()))
            self.attributes = header.attributes()
            self.entries = dict(header.listed(lambda: self._entry(header, sizes)))
        except (IndexError, KeyError, MemoryError, ValueError) as error:
            raise ValueError(f"not a block: {type(error).__name__}: {error}") from error
        for name, entry in self.entries.items():
            if entry.begin + math.prod(entry.shape) * entry.dtype.itemsize > (length or len(content)):
                raise ValueError(f"not a block: {name} is cut short")

    def _entry(self, header: _Header, sizes: list[tuple[str, int]]) -> tuple[str, _Entry]:
        name, axes = header.text(), [sizes[header.whole()] for _ in range(header.whole())]
        attributes, kind = header.attributes(), _KINDS[header.whole()]
        header.whole()
        dims, shape = zip(*axes, strict=True) if axes else ((), ())
        return name, _Entry(dims, shape, attributes, kind, header.whole(8))

    def form(self, recorded: Collection[str]) -> dict[str, tuple[tuple[str, ...], tuple[int, ...], np.dtype[Any]]]:
        """What is the same in all blocks of a sweep: the variables' kinds, dims and sizes but the number of points."""
        return {
            name: (entry.dims, entry.shape[1:] if name in recorded else entry.shape, entry.dtype)
            for name, entry in self.entries.items()
        }

    @functools.cached_property
    def variables(self) -> dict[str, xr.Variable]:
        """Name -> xarray.Variable."""
        return {
            name: xr.Variable(entry.dims, self._array(entry).reshape(entry.shape), entry.attributes)
            for name, entry in self.entries.items()
        }

    def _array(self, entry: _Entry) -> NDArray[Any]:
        return _native(np.frombuffer(self.content, entry.dtype, math.prod(entry.shape), entry.begin))


def _native(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(_NATIVE[array.dtype])


def compute(plan: Plan, index: int) -> xr.Dataset:
    """Compute block ``index``: a Dataset of the variables that the plan's ``record`` asks for."""
    dataset = plan.job.compute(Points(plan, *plan.block(index)))
    missing = [name for name in plan.record if name not in dataset]
    if missing:
        raise RuntimeError(f"job {plan.job.name!r} did not compute {missing[0]!r}")
    return dataset[list(plan.record)]


def block_attributes(plan: Plan, index: int, versions: Mapping[str, str]) -> dict[str, str]:
    """What a block says of itself: which plan, which piece, computed by which versions."""
    start, stop = plan.block(index)
    return {
        "plan_sha256": plan.sha256,
        "block": str(index),
        "start": str(start),
        "stop": str(stop),
        "versions": json.dumps(versions, sort_keys=True),
    }


def template(plan: Plan, decoded: Decoded) -> tuple[dict[str, xr.Variable], dict[str, xr.Variable]]:
    """What a block says about all: the recorded variables without their values, and the results' own coordinates."""
    recorded = {name: decoded.variables[name] for name in plan.record}
    coordinates = {name: variable for name, variable in decoded.variables.items() if name not in plan.record}
    return recorded, coordinates


def _said(plan: Plan, index: int) -> dict[str, str]:
    """What a block must say of itself."""
    start, stop = plan.block(index)
    return {"plan_sha256": plan.sha256, "block": str(index), "start": str(start), "stop": str(stop)}


def check(plan: Plan, index: int, content: bytes, length: int | None = None) -> Decoded:
    """Decode block ``index``; it must belong to the plan and hold what the plan asks for.

    Raises
    ------
    ValueError
        Saying what is wrong.
    """
    decoded = Decoded(content, length)
    start, stop = plan.block(index)
    for name, value in _said(plan, index).items():
        found = decoded.attributes.get(name)
        if found != value:
            raise ValueError(f"{name} is {found}, not {value}")
    try:
        versions = json.loads(decoded.attributes.get("versions", ""))
    except (RecursionError, TypeError, ValueError):
        versions = None
    if not isinstance(versions, dict):
        raise ValueError("it does not say which versions computed it")
    for name in plan.record:
        entry = decoded.entries.get(name)
        if entry is None or entry.dims[:1] != ("point",) or entry.shape[0] != stop - start or entry.dtype.char == "S":
            raise ValueError(f"{name} is missing or of the wrong shape")
    return decoded


class Seen:
    """Headers found right: one that is the same but for what its block says of itself is right too, and quickly so."""

    def __init__(self) -> None:
        self._headers: dict[tuple[int, ...], tuple[bytes, bytes]] = {}

    def check(self, plan: Plan, index: int, content: bytes, length: int) -> None:
        """Raise as :func:`check` does."""
        said = b"".join(_attribute(name, value) for name, value in _said(plan, index).items())
        place = content.find(said, 0, 2**10)
        start, stop = plan.block(index)
        kind = place, len(said), stop - start, length
        known = self._headers.get(kind)
        if known and content.startswith(known[0]) and content.startswith(known[1], place + len(said)):
            return
        decoded = check(plan, index, content, length)
        end = min((entry.begin for entry in decoded.entries.values()), default=length)
        if place >= 0 and end <= len(content):
            self._headers[kind] = content[:place], content[place + len(said) : end]


def _attribute(name: str, value: str) -> bytes:
    """A text attribute as it stands in the file."""
    key, text = name.encode(), value.encode()
    return b"".join((
        len(key).to_bytes(4, "big"), key, bytes(-len(key) % 4), b"\0\0\0\2",
        len(text).to_bytes(4, "big"), text, bytes(-len(text) % 4),
    ))  # fmt: skip
