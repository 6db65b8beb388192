"""What differs between a dataset and the one read back from its file, as far as netCDF can tell things apart."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .encoding import decoding, encode

#: What decoding raises; nothing there touches a disk.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, RuntimeError, OSError, TypeError, ValueError, Warning)


def check_lossless(dataset: xr.Dataset, content: bytes | None = None) -> None:
    """Raise a ValueError that names what is not the same when ``dataset`` is read back from its file's ``content``."""
    content = encode(dataset) if content is None else content
    try:
        with _decoding_without_doubt(content) as again:
            changed = difference(dataset, again)
    except _UNREADABLE as error:
        raise ValueError(f"{_unreadable(dataset)} cannot be read back from a netCDF file: {error}") from error
    if changed:
        raise ValueError(f"dataset would not come back from a netCDF file as it is: {changed}")


@contextlib.contextmanager
def _decoding_without_doubt(content: bytes) -> Iterator[xr.Dataset]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", xr.SerializationWarning)
        with decoding(content) as again:
            yield again


def _unreadable(dataset: xr.Dataset) -> str:
    """The name of a variable that cannot even be opened again."""
    for name, variable in dataset.variables.items():
        try:
            with _decoding_without_doubt(encode(xr.Dataset({name: variable}))):
                pass
        except _UNREADABLE:
            return repr(name)
    return "dataset"


def difference(before: xr.Dataset, after: xr.Dataset) -> str | None:
    """What changed, in words; None if nothing did.

    Texts may become objects, arrays of one entry in attributes scalars, and the order of bytes the machine's.
    """
    for name in (*before.variables, *after.variables):
        if name not in after.variables:
            return f"{name!r} would be lost or renamed"
        if name not in before.variables:
            return f"there would be a variable {name!r}"
        if (name in before.coords) != (name in after.coords):
            return f"{name!r} would no longer be a {'coordinate' if name in before.coords else 'data variable'}"
        changed = _variable_difference(f"{name!r}", before[name].variable, after[name].variable)
        if changed:
            return changed
    if dict(before.sizes) != dict(after.sizes):
        return f"the dimensions {dict(before.sizes)} would become {dict(after.sizes)}"
    return _attribute_difference("the dataset", before.attrs, after.attrs)


def _variable_difference(owner: str, before: xr.Variable, after: xr.Variable) -> str | None:
    changed = _attribute_difference(owner, before.attrs, after.attrs)
    if changed:
        return changed
    if before.dims != after.dims or before.shape != after.shape:
        return f"the shape of {owner} would be {dict(after.sizes)} instead of {dict(before.sizes)}"
    if _kind(before.dtype) != _kind(after.dtype):
        return f"the values of {owner} would be {after.dtype} instead of {before.dtype}"
    if not _equal(before.values, after.values):
        return f"the values of {owner} would be others"
    return None


def _kind(dtype: np.dtype[Any]) -> str | np.dtype[Any]:
    """What netCDF tells apart: texts of any kind; numbers by their kind and size; times."""
    if dtype.kind in "UO":
        return "text"
    return dtype.kind if dtype.kind in "mMS" else dtype.newbyteorder("=")


def _equal(before: NDArray[Any], after: NDArray[Any]) -> bool:
    return np.array_equal(before, after, equal_nan=before.dtype.kind in "fmM")


def _attribute_difference(owner: str, before: Mapping[Any, Any], after: Mapping[Any, Any]) -> str | None:
    for name in (*before, *after):
        if name not in after:
            return f"the attribute {name!r} of {owner} would be lost, or tell readers to change its values"
        if name not in before:
            return f"{owner} would have an attribute {name!r}"
        if not _same_attribute(before[name], after[name]):
            return f"the attribute {name!r} of {owner} would be {after[name]!r}"
    return None


def _same_attribute(before: Any, after: Any) -> bool:
    if isinstance(before, str):
        return isinstance(after, str) and before == after
    # NumPy cuts texts at their trailing zeros.
    if any(isinstance(entry, str) for entry in np.ravel(np.asarray(before, dtype=object))):
        return list(before) == ([after] if isinstance(after, str) else list(after))
    before, after = np.atleast_1d(before), np.atleast_1d(after)
    return (
        before.shape == after.shape
        and before.dtype.newbyteorder("=") == after.dtype.newbyteorder("=")
        and _equal(before, after)
    )
