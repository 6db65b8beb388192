"""Parameter grids: numbers, arrays and DataArrays that broadcast by the names of their dimensions."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..kernels.arrays.grid import gather
from ..parallel import thread_count
from ..validation import as_array, check_array, check_memory

if TYPE_CHECKING:
    from ..typing import AnyArray, FloatArray, GridValue, IntArray

#: Dimension of plain one-dimensional arrays; arrays of more axes get point_0, point_1 ..
POINT = "point"
#: Fewer points are not worth a second thread.
_WORTH_SHARING = 512


@dataclasses.dataclass(frozen=True)
class Grid:
    """Parameters broadcast against each other, read piece by piece without ever being copied whole.

    Attributes
    ----------
    dims, shape : tuple
        Names and lengths of the axes.
    coords : dict
        Coordinates of the axes, from the DataArrays.
    values : dict of str to array
        Read-only views of the full shape.
    labelled : bool
        True where at least one parameter came as a DataArray.
    """

    dims: tuple[Hashable, ...]
    shape: tuple[int, ...]
    coords: dict[Hashable, Any]
    values: dict[str, FloatArray]
    labelled: bool

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    def check_memory(self, numbers: int, instead: str = "", **more: object) -> None:
        """Check that results of ``numbers`` numbers a point fit into memory, before they are allocated.

        Parameters
        ----------
        numbers : int
        instead : str
            The way out, for the message.
        **more
            Other parameters that make the results large.

        Raises
        ------
        ValueError
            Naming the parameters that vary and how many values each of them has.
        """
        # "decay 0" is the decay of the first rule.
        varying = {name.split()[0]: own_values(v).size for name, v in self.values.items() if any(v.strides)}
        varying = varying or {"points": self.size}
        check_memory(8.0 * numbers * self.size, instead, of="results for all combinations of ", **varying, **more)

    def layout(self, names: Sequence[str]) -> tuple[FloatArray, IntArray, IntArray]:
        """Where the parameters lie, for kernels that read the grid without a copy of the broadcast whole.

        Returns
        -------
        pool : float64 array
            Every parameter's own numbers, one after the other.
        places : int64 array (parameter, 1 + axis)
            Offset into the pool, then the stride along each axis of the grid (0: the parameter does not vary).
        shape : int64 array (axis,)
        """
        parts, places, offset = [], np.zeros((len(names), 1 + len(self.shape)), np.int64), 0
        for i, name in enumerate(names):
            view = self.values[name]
            varies = [step != 0 and length > 1 for step, length in zip(view.strides, self.shape, strict=True)]
            own = np.ascontiguousarray(view[tuple(slice(None) if v else 0 for v in varies)])
            places[i, 0] = offset
            places[i, 1:][varies] = np.array(own.strides[: sum(varies)], dtype=np.int64) // own.itemsize
            parts.append(own.ravel())
            offset += own.size
        return np.concatenate(parts), places, np.array(self.shape, dtype=np.int64)

    def reader(self, names: Sequence[str]) -> Callable[..., FloatArray]:
        """A function (start, stop) -> array (point, name) of the points ``start`` to ``stop`` in C order."""
        layout = self.layout(names)

        def columns(start: int = 0, stop: int = self.size) -> FloatArray:
            values = np.empty((stop - start, len(names)))
            gather(*layout, start, values)
            return values

        return columns

    def blocks(self, size: int, threads: int | None = None) -> list[tuple[int, int]]:
        """Even ranges (start, stop) of at most ``size`` points that cover the grid, as many for every thread."""
        threads = (threads or thread_count()) if self.size >= _WORTH_SHARING else 1
        count = threads * -(-self.size // (size * threads))
        edges = [i * self.size // count for i in range(count + 1)]
        return list(itertools.pairwise(edges))

    def wrap(self, flat: AnyArray, dims: Iterable[Hashable] = (), coords: Any = ()) -> xr.DataArray:
        """A DataArray on the grid's axes from an array (point, ..) with further axes ``dims``."""
        shape = self.shape + flat.shape[1:]
        return xr.DataArray(flat.reshape(shape), dims=self.dims + tuple(dims), coords=self.coords | dict(coords))


def broadcast(parameters: Mapping[str, GridValue], results: Sequence[str] = ()) -> Grid:
    """Broadcast parameters by name.

    Parameters
    ----------
    parameters : dict of str to number, array or DataArray
        Plain arrays broadcast against each other by position, as in NumPy, along the dimension "point" (point_0,
        point_1 .. where they have several axes); DataArrays by the names of their dimensions.
    results : tuple of str
        Names of the dimensions and variables that the result will have itself.

    Raises
    ------
    TypeError, ValueError
        If a parameter does not hold finite real numbers, shapes or coordinates do not fit, or a name is reserved.
    """
    arrays, labelled = _named(parameters)
    for key, array in arrays.items():
        name = _parameter(key)
        for dim in array.dims:
            if dim in results:
                raise ValueError(
                    f"{name} must not have a dimension named {dim!r}: the result has its own; "
                    f"rename it, for example .rename({dim}='{dim}_grid')"
                )
            if array.sizes[dim] == 0:
                raise ValueError(f"{name} must hold at least one point along {dim!r}; got none")
    try:
        full = xr.broadcast(*xr.align(*(arrays[name] for name in parameters), join="exact", copy=False))
    except ValueError as error:
        names = ", ".join(dict.fromkeys(map(_parameter, parameters)))
        raise ValueError(f"{names} must have equal coordinates on shared dims: {error}") from None
    coords: dict[Hashable, Any] = {}
    for array in full:
        # What was selected before (a rule, a time) does not describe the result where that has the name itself.
        coords |= {k: v.variable for k, v in array.coords.items() if k not in results}
    views = {name: array.values for name, array in zip(parameters, full, strict=True)}
    grid = Grid(full[0].dims, full[0].shape, coords, views, labelled)
    grid.check_memory(1, "write_flow and write_stability go slab by slab; for others, cut the grid into pieces")
    return grid


def check_product(name: str, *factors: GridValue) -> None:
    """Check that the product of arrays, which broadcast by name or position, fits into memory.

    Raises
    ------
    ValueError
        If it does not.
    """
    try:
        named = [dict(v.sizes) for v in factors if isinstance(v, xr.DataArray)]
        sizes = {dim: size for each in named for dim, size in each.items()}
        plain = np.broadcast_shapes(*(np.shape(v) for v in factors if not isinstance(v, xr.DataArray)))
        size = math.prod(sizes.values()) * math.prod(plain)
        largest = max(np.size(v) for v in factors)
    except (TypeError, ValueError):
        # They do not broadcast, or are no numbers: refused where they are multiplied.
        return
    if size > largest:
        check_memory(8.0 * size, "cut the grid into pieces", of="all combinations of ", **{name: size})


def _named(parameters: Mapping[str, GridValue]) -> tuple[dict[str, xr.DataArray], bool]:
    """Every parameter as a DataArray, plain arrays along the dimensions of points; and whether one came as such."""
    values = {k: _numbers(_parameter(k), getattr(v, "values", v)) for k, v in parameters.items()}
    named = {k: v.copy(data=values[k]) for k, v in parameters.items() if isinstance(v, xr.DataArray)}
    plain = {k: v for k, v in values.items() if k not in named}
    try:
        shape = np.broadcast_shapes(*(array.shape for array in plain.values()))
    except ValueError:
        shapes = ", ".join(f"{_parameter(name)} {array.shape}" for name, array in plain.items() if array.ndim)
        raise ValueError(f"arrays must broadcast together; got shapes {shapes}") from None
    dims = (POINT,) if len(shape) == 1 else tuple(f"{POINT}_{i}" for i in range(len(shape)))
    arrays = {k: xr.DataArray(v, dims=dims[len(dims) - v.ndim :] if v.ndim else ()) for k, v in plain.items()}
    return {k: _stretched(v, dims, shape) if v.ndim else v for k, v in arrays.items()} | named, bool(named)


def _numbers(name: str, value: object) -> FloatArray:
    """The parameter's numbers, checked without writing out what repeats."""
    array = as_array(name, value)
    check_array(name, own_values(array))
    return np.asarray(array, dtype=float)


def _parameter(name: str) -> str:
    """The parameter's name for messages: the grid numbers the decays and horizons of the rules."""
    return name.split()[0]


def by_point(**parameters: GridValue) -> list[Any]:
    """Numbers as they are, and arrays such that they multiply by name: all plain, or all DataArrays."""
    if all(as_array(name, value).ndim == 0 for name, value in parameters.items()):
        return [
            value if isinstance(value, xr.DataArray) else float(check_array(name, value))
            for name, value in parameters.items()
        ]
    arrays, labelled = _named(parameters)
    return [arrays[name] if labelled else arrays[name].values for name in parameters]


def _stretched(array: xr.DataArray, dims: tuple[str, ...], shape: tuple[int, ...]) -> xr.DataArray:
    missing = [dim for dim in dims if dim not in array.dims]
    array = array.expand_dims(missing) if missing else array
    array = array.transpose(*dims)
    return xr.DataArray(np.broadcast_to(array.values, shape), dims=dims)


def own_values(view: AnyArray) -> AnyArray:
    """A broadcast view without its repetitions: of length 1 along the axes on which it does not vary."""
    return view[tuple(slice(None) if step != 0 else slice(0, 1) for step in view.strides)]


def check_range(grid: Grid, name: str, low: float, high: float, leak: float = 1.0) -> None:
    """Check that a parameter of the grid lies strictly between ``low`` and ``high`` everywhere.

    With a leak the grid holds w_e = 1 - leak + leak w, and the message speaks of w.

    Raises
    ------
    ValueError
        Naming the first offending value and its place.
    """
    values = own_values(grid.values[name])
    if not (values.min() > low and values.max() < high):
        place = tuple(int(i) for i in np.argwhere(~((values > low) & (values < high)))[0])
        where = ", ".join(f"{dim}={i}" for dim, i in zip(grid.dims, place, strict=True))
        own = [x if leak == 1.0 else (x - (1.0 - leak)) / leak for x in (low, high, values[place])]
        raise ValueError(
            f"{name} must be > {own[0]} and < {own[1]} everywhere; got {own[2]}{f' at {where}' if where else ''}"
        )


def check_non_zero(grid: Grid, name: str) -> None:
    """Check that a parameter of the grid is zero nowhere.

    Raises
    ------
    ValueError
        If it is.
    """
    if not own_values(grid.values[name]).all():
        raise ValueError(f"{name} must be non-zero everywhere; got 0")
