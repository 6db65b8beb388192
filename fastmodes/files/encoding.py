"""How a dataset becomes the bytes of a netCDF4 file, and back: the one place that encodes, chunks and compresses."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import NetCDF4DataStore

if TYPE_CHECKING:
    import netCDF4

#: netCDF-C is not thread-safe: one thread of the process is inside it at a time.
NETCDF_LOCK = threading.Lock()
#: Numbers in a chunk, about.
CHUNK = 2**17
#: Bytes that a variable and its attributes may take besides its values.
OVERHEAD = 2**13
#: Attributes by which HDF5 and netCDF keep their own accounts; a file with others of these names cannot be closed.
_RESERVED = frozenset(
    ("CLASS", "NAME", "DIMENSION_LIST", "DIMENSION_LABELS", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates",
     "_nc3_strict", "_NCProperties")
)  # fmt: skip


def chunks(shape: Sequence[int]) -> list[int]:
    """Chunk shape whose chunks follow each other in the array's own order: whole inner axes, one of each outer one."""
    sizes, room = [], CHUNK
    for extent in reversed(shape):
        size = max(1, min(extent, room))
        sizes.append(size)
        room = room // extent if size == extent else 1
    return sizes[::-1]


def encode(dataset: xr.Dataset, pieces: Mapping[Any, tuple[int, ...]] | tuple[()] = ()) -> bytes:
    """Bytes of the netCDF4 file of a dataset: zlib level 1, shuffle and fletcher32 on every number.

    Parameters
    ----------
    dataset : xarray.Dataset
    pieces : mapping of str to tuple of int, optional
        Variables whose values are written later, piece by piece, and their full shapes. They are defined only, with
        the kind and attributes that they have in ``dataset``.

    Raises
    ------
    ValueError
        If a variable or an attribute cannot be stored; it is named.
    """
    shapes = {name: variable.shape for name, variable in dataset.variables.items()} | dict(pieces)
    folder = scratch_folder(dataset.drop_vars(pieces))
    if folder is None:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    with warnings.catch_warnings(), NETCDF_LOCK:
        warnings.simplefilter("ignore")
        with _named("a coordinate or an attribute 'coordinates'"):
            variables, attributes = xr.conventions.encode_dataset_coordinates(dataset.drop_encoding())
        with tempfile.NamedTemporaryFile(prefix="fastmodes-", dir=folder, delete=False) as scratch:
            with _named("dataset"), _created(scratch.name) as file:
                for name, variable in variables.items():
                    with _named(f"{name!r}"):
                        # Of what is not there yet, one entry shows its kind.
                        known = variable.isel({d: slice(0, 1) for d in variable.dims}) if name in pieces else variable
                        _put(file, name, known, shapes[name], name not in pieces)
                _put_attributes(file, attributes, "the dataset")
            return scratch.read()


def scratch_folder(dataset: xr.Dataset) -> str | None:
    """A folder, in memory where there is such, that surely has room for a dataset's file; None if there is none.

    The netCDF library cannot cope with a full disk, nor with the system's limit on the size of files.
    """
    texts = sum(len(text) for variable in dataset.variables.values() if variable.dtype == object
                for text in map(str, variable.values.flat))  # fmt: skip
    bound = OVERHEAD * (1 + len(dataset.variables)) + dataset.nbytes + dataset.nbytes // 8 + 4 * texts
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY and limit < bound:
        return None
    for folder in ("/dev/shm", tempfile.gettempdir()):
        with contextlib.suppress(OSError):
            if os.access(folder, os.W_OK | os.X_OK) and shutil.disk_usage(folder).free > 2 * bound:
                return folder
    return None


@contextlib.contextmanager
def _created(path: str) -> Iterator[netCDF4.Dataset]:
    """A new netCDF file without a name: a process that is killed leaves nothing in memory."""
    # A tenth of the time that importing the package takes, for files alone.
    import netCDF4

    try:
        file = netCDF4.Dataset(path, "w", format="NETCDF4")
    finally:
        os.unlink(path)
    with contextlib.closing(file):
        yield file


@contextlib.contextmanager
def _named(what: str) -> Iterator[None]:
    """Nothing can fail on the way to memory but by what is stored there."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, OSError, TypeError, ValueError) as error:
        if isinstance(error, ValueError) and "cannot be stored" in str(error):
            raise
        raise ValueError(f"{what} cannot be stored in a netCDF file: {error}") from error


def _put(file: Any, name: str, variable: xr.Variable, shape: tuple[int, ...], whole: bool) -> None:
    dims = variable.dims
    variable = encoded(variable)
    # Texts of fixed length have one axis more.
    shape += variable.shape[len(shape) :]
    for dim, size in zip(variable.dims, shape, strict=True):
        if dim not in file.dimensions:
            file.createDimension(dim, size)
    number = variable.dtype != object
    attributes = variable.attrs
    fill = attributes.pop("_FillValue", np.nan if variable.dtype.kind == "f" else False)
    written = file.createVariable(
        name, variable.dtype if number else str, variable.dims, fill_value=fill,
        chunksizes=chunks(shape) if dims and number and 0 not in shape else None,
        **({"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True} if dims and number else {}),
    )  # fmt: skip
    written.set_auto_maskandscale(False)
    written.set_auto_chartostring(False)
    _put_attributes(written, attributes, f"{name!r}")
    if whole:
        written[...] = variable.values


def _put_attributes(target: Any, attributes: Mapping[Any, Any], owner: str) -> None:
    for name, value in attributes.items():
        with _named(f"attribute {name!r} of {owner}"):
            if name in _RESERVED:
                raise LookupError("the name is netCDF's own")
            target.setncattr(name, value)


def encoded(variable: xr.Variable) -> xr.Variable:
    """A variable in numbers, characters or texts, with the attributes by which xarray finds out what they mean."""
    kind, values = variable.dtype.kind, variable.values
    if kind == "b":
        return xr.Variable(variable.dims, values.astype(np.int8), variable.attrs | {"dtype": "bool"})
    if kind in "UO":
        return xr.Variable(variable.dims, values.astype(object), variable.attrs)
    if kind == "S":
        width = values.dtype.itemsize
        letters = np.ascontiguousarray(values).reshape(values.shape).view("S1").reshape(*values.shape, width)
        return xr.Variable((*variable.dims, f"string{width}"), letters, variable.attrs)
    if kind in "mM":
        return xr.conventions.encode_cf_variable(variable)
    return xr.Variable(variable.dims, values, variable.attrs)


@contextlib.contextmanager
def decoding(content: bytes) -> Iterator[xr.Dataset]:
    """The lazy dataset of a netCDF file's bytes, inside the ``with`` only."""
    import netCDF4

    with NETCDF_LOCK, contextlib.ExitStack() as opened:
        # HDF5 takes an empty image for a wrong argument.
        if not len(content):
            raise OSError("the file is empty")
        file = netCDF4.Dataset("dataset", memory=content)
        opened.callback(lambda: file.isopen() and file.close())
        yield opened.enter_context(xr.open_dataset(NetCDF4DataStore(file)))
