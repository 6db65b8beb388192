"""Checks of what users pass in: an error names the parameter, the offending value and the allowed range."""

from __future__ import annotations

import difflib
import itertools
import math
import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .memory import memory_size

if TYPE_CHECKING:
    from .typing import AnyArray, FloatArray

#: Largest size of one axis: anything bigger is a slip of the keyboard, and would fail later, in the allocator.
LARGEST_SIZE = 10**9
#: Bytes that are there wherever the package could be imported: looking at the limits takes a millisecond or two.
_ALWAYS_THERE = 2.0**24
#: Largest scale of random weights, squares of which still are finite numbers.
LARGEST_SCALE = 1e100
#: Names that the axes of labelled arrays go by, beside the documented ones: those of result datasets.
_SYNONYMS = {
    "n_out": ("output",),
    "n_hidden": ("unit",),
    "n_in": ("channel", "input"),
    "input": ("channel", "n_in"),
}


def shown(value: object) -> str:
    """The value on one line, as error messages show it: arrays by their shape, long texts cut."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"an array of shape {value.shape}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."


def check_integer(name: str, value: Any, low: int = 1, high: int = LARGEST_SIZE) -> int:
    """Return ``value`` as an int between ``low`` and ``high``.

    Raises
    ------
    TypeError
        If it is not a whole number (booleans and floats are refused).
    ValueError
        If it is out of range.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be a whole number from {low} to {high}; got {shown(value)}")
    if not low <= value <= high:  # type: ignore[operator]
        raise ValueError(f"{name} must be a whole number from {low} to {high}; got {shown(value)}")
    return int(value)


def check_number(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *,
    above: float | None = None, below: float | None = None,
) -> float:  # fmt: skip
    """Return ``value`` as a finite float with ``low <= value <= high`` and ``above < value < below``.

    Raises
    ------
    TypeError
        If it is not a real number.
    ValueError
        If it is not finite or out of range.
    """
    bounds = [(f">= {low}", low)] if low > -math.inf else []
    bounds += [(f"> {above}", above)] if above is not None else []
    bounds += [(f"<= {high}", high)] if high < math.inf else []
    bounds += [(f"< {below}", below)] if below is not None else []
    allowed = " and ".join(["a finite real number", *(text for text, _ in bounds)])
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {allowed}; got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    inside = math.isfinite(number) and low <= number <= high
    inside = inside and (above is None or number > above) and (below is None or number < below)
    if not inside:
        raise ValueError(f"{name} must be {allowed}; got {shown(value)}")
    return number


def check_choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``choices``; the error suggests the nearest one.

    Raises
    ------
    ValueError
        If it is not.
    """
    if isinstance(value, str) and value in choices:
        return value
    near = difflib.get_close_matches(str(value), [str(c) for c in choices], n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {shown(value)}{hint}")


def check_array(
    name: str, value: object, shape: tuple[int | None, ...] | None = None, *, dims: tuple[str, ...] | None = None
) -> FloatArray:
    """Return ``value`` as a C-contiguous, writable float64 array of finite real numbers: what kernels are compiled for.

    Parameters
    ----------
    shape : tuple, optional
        Required shape; None stands for any length of at least 1.
    dims : tuple of str, optional
        Names of the axes: labelled arrays are transposed by them.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If its shape differs, or an entry is NaN or infinite (the message names its place).
    """
    array = as_array(name, value if dims is None else by_name(name, value, dims))
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise TypeError(f"{name} must hold real numbers (float64); got dtype {array.dtype}: {shown(value)}")
    if shape is not None:
        labels = dims or tuple("any" if s is None else str(s) for s in shape)
        wanted = ", ".join(
            label if size is None else f"{label}={size}" if dims else str(size)
            for label, size in zip(labels, shape, strict=True)
        )
        fits = len(array.shape) == len(shape) and all(
            got == want or (want is None and got >= 1) for got, want in zip(array.shape, shape, strict=True)
        )
        if not fits:
            raise ValueError(f"{name} must have shape ({wanted}), every length at least 1; got shape {array.shape}")
    if array.dtype != np.float64 or not array.flags.carray:
        array = np.require(array, np.float64, ("C_CONTIGUOUS", "ALIGNED", "WRITEABLE"))
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite everywhere; got {array[place]} at index {place}")
    return array


def by_name(name: str, value: Any, dims: tuple[str, ...]) -> Any:
    """A labelled array with its axes in the order of ``dims``; anything else as it is, by position.

    An axis may also go by the name it has in result datasets (n_out: output, n_hidden: unit, n_in: channel); the two of
    a square matrix by unit_to and unit_from, rows first. The names xarray itself makes up (dim_0 ..), and that of an
    only axis, say nothing: these arrays go by position.

    Raises
    ------
    ValueError
        If the names are others, or a numeric coordinate along one of them does not increase: positions would be taken
        for coordinates.
    """
    if not isinstance(value, xr.DataArray) or value.ndim < 2 or len(dims) != value.ndim:
        return value
    if value.dims == tuple(f"dim_{axis}" for axis in range(value.ndim)):
        return value
    order, wanted = [], []
    for axis, dim in enumerate(dims):
        known = (dim, *_SYNONYMS.get(dim, ()))
        if dims.count(dim) > 1:
            known = tuple(f"{label}_{'to' if axis == dims.index(dim) else 'from'}" for label in known)
        wanted.append(" or ".join(known))
        order += [label for label in known if label in value.dims and label not in order][:1]
    if len(order) != value.ndim:
        raise ValueError(
            f"{name} must have the dimensions ({', '.join(wanted)}), in any order; got {value.dims}. Rename them, or "
            "pass .values to go by position"
        )
    for label in order:
        places = value.indexes.get(label)
        if places is not None and places.dtype.kind in "iuf" and not places.is_monotonic_increasing:
            raise ValueError(
                f"{name} must have increasing coordinates along {label!r}, positions count; got "
                f"{shown(places.tolist())}. Sort it: .sortby({label!r})"
            )
    return value.transpose(*order)


def check_units(**arrays: object) -> None:
    """Check that labelled weights have equal coordinates wherever they have coordinates of hidden units.

    Raises
    ------
    ValueError
        If they do not.
    """
    if not any(isinstance(value, xr.DataArray) for value in arrays.values()):
        return
    labels = [f"{label}{end}" for label in ("n_hidden", "unit") for end in ("", "_to", "_from")]
    found = [
        (name, dim, value.indexes[dim])
        for name, value in arrays.items()
        if isinstance(value, xr.DataArray)
        for dim in value.dims
        if dim in labels and dim in value.indexes
    ]
    for name, dim, index in found[1:]:
        if not index.equals(found[0][2]):
            raise ValueError(
                f"{name} must have the hidden units of {found[0][0]}, {shown(found[0][2].tolist())}; got "
                f"{shown(index.tolist())} along {dim!r}"
            )


def one_by_one(values: Any, *dims: str) -> Any:
    """A labelled array with the first of ``dims`` that it has in front, to be taken apart along it."""
    own = [dim for dim in dims if dim in getattr(values, "dims", ())]
    return values.transpose(own[0], ...) if own else values


def as_array(name: str, value: Any) -> AnyArray:
    """``value`` as a NumPy array, whatever its conversion raises turned into an error that names the parameter."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} must be finite everywhere; got {np.ma.count_masked(value)} masked entries")
    try:
        return np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(f"{name} must hold real numbers (float64); got {shown(value)} ({error})") from None


def check_sequence(name: str, values: Any, kind: str, most: int) -> list[Any]:
    """Return ``values`` as a list of at least one and at most ``most`` entries; ``kind`` says what they should be.

    Raises
    ------
    TypeError
        If it cannot be iterated.
    ValueError
        If it is empty or too long.
    """
    try:
        listed = list(itertools.islice(values, most + 1))
    except TypeError:
        raise TypeError(f"{name} must be a sequence of {kind}; got {shown(values)}") from None
    if not 1 <= len(listed) <= most:
        count = "none" if not listed else "more"
        raise ValueError(f"{name} must hold from 1 to {most} entries, {kind}; got {count}: {shown(values)}")
    return listed


def check_memory(needed: float, instead: str = "", of: str = "", **sizes: object) -> None:
    """Check that ``needed`` bytes fit into memory, before they are allocated.

    Parameters
    ----------
    needed : float
        Bytes, a lower bound of what the computation holds at once.
    instead : str
        The way out, for the message.
    of : str
        What of the sizes must fit, for the message.
    **sizes
        The parameters that make it so large, for the message.

    Raises
    ------
    ValueError
        If they do not.
    """
    if needed <= _ALWAYS_THERE:
        return
    room = memory_size()
    if needed > room:
        given = ", ".join(f"{name}={shown(value)}" for name, value in sizes.items())
        raise ValueError(
            f"{of}{', '.join(sizes)} must fit into memory, {room / 1e9:.3g} GB here; "
            f"got {given}, which takes at least {needed / 1e9:.3g} GB" + (f"; {instead}" if instead else "")
        )


def check_flag(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False; got {shown(value)}")
    return bool(value)


def check_steps(name: str, value: object, *, infinite: bool = False) -> Any:
    """Return the number of time steps: a whole number >= 1, or ``math.inf`` where ``infinite`` allows it.

    Raises
    ------
    TypeError, ValueError
        If it is anything else.
    """
    if infinite and isinstance(value, float) and value == math.inf:
        return math.inf
    if isinstance(value, float) and value == math.inf:
        raise ValueError(f"{name} must be a finite whole number >= 1 here; got inf")
    return check_integer(name, value)
