"""Grids too large for memory: computed and written slab by slab along one dimension, the file complete or absent."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..modes.grid import POINT
from ..progress import progress_bar
from ..validation import as_array, check_integer
from .netcdf import write_netcdf
from .paths import PathLike, check_writable
from .pieces import write_pieces

#: Values of one variable in a slab.
SLAB_POINTS = 1 << 21


def write_slabs(
    path: PathLike,
    compute: Callable[..., xr.Dataset],
    parameters: Mapping[str, Any],
    *,
    slab_points: int = SLAB_POINTS,
    progress: bool = True,
) -> Path:
    """Compute a dataset over a grid in slabs and write it as one netCDF4 file.

    Parameters
    ----------
    path : path-like
        An existing file is replaced only by a complete new one.
    compute : callable
        ``compute(**parameters)`` gives the dataset of a slab.
    parameters : dict of str to number, array (point,) or DataArray, or tuples of them
        The grid. It is cut along its longest dimension.
    slab_points : int
        Points of the grid in a slab, at most (but one layer of the grid at least).
    progress : bool
        Show a progress bar.

    Raises
    ------
    ValueError
        If no parameter varies, or the path is a URL or a folder.
    OSError
        If the file cannot be written.
    """
    path = check_writable("path", path)
    slab_points = check_integer("slab_points", slab_points)
    named = {name: _named(name, value) for name, value in parameters.items()}
    sizes: dict[Hashable, int] = {}
    for array in _arrays(named.values()):
        sizes |= dict(array.sizes)
    if not sizes:
        raise ValueError(
            f"one of {', '.join(parameters)} must vary along at least one dimension to be written in slabs; "
            "got numbers only"
        )
    dim = max(sizes, key=lambda name: sizes[name])
    layer = int(np.prod([size for name, size in sizes.items() if name != dim], dtype=np.int64))
    length = sizes[dim]
    thickness = max(1, slab_points // max(layer, 1))
    pieces = [slice(start, min(start + thickness, length)) for start in range(0, length, thickness)]
    # What computes refuses an empty grid, by the parameter's name.
    pieces = pieces or [slice(0, 0)]
    with progress_bar(length * layer, "points", progress) as bar:

        def slab(piece: slice) -> xr.Dataset:
            dataset = compute(**{name: _cut(value, dim, piece) for name, value in named.items()})
            bar.update((piece.stop - piece.start) * layer)
            return dataset

        first = slab(pieces[0])
        if len(pieces) == 1:
            return write_netcdf(first, path)
        shapes = {
            name: tuple(length if d == dim else size for d, size in variable.sizes.items())
            for name, variable in first.variables.items()
            if dim in variable.dims
        }
        slabs = itertools.chain([first], map(slab, pieces[1:]))
        write_pieces(path, first, shapes, _cut_up(slabs, dim, pieces))
    return path


def _cut_up(
    slabs: Iterable[xr.Dataset], dim: Hashable, pieces: list[slice]
) -> Iterator[tuple[Hashable, list[int], xr.Variable]]:
    for dataset, piece in zip(slabs, pieces, strict=True):
        for name, variable in dataset.variables.items():
            if dim in variable.dims:
                yield name, [piece.start if d == dim else 0 for d in variable.dims], variable


def _named(name: str, value: Any) -> Any:
    """Plain arrays get the dimension "point" that they would have in the result."""
    if isinstance(value, tuple):
        parts = [_named(name, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, xr.DataArray | xr.Dataset):
        return value
    array = as_array(name, value)
    if array.ndim > 1:
        raise ValueError(
            f"{name} must be an array of one axis to be cut into slabs, or a DataArray; got {array.ndim} axes"
        )
    return xr.DataArray(array, dims=POINT) if array.ndim else value


def _arrays(values: Iterable[Any]) -> Iterator[xr.DataArray]:
    for value in values:
        if isinstance(value, tuple):
            yield from _arrays(value)
        elif isinstance(value, xr.DataArray):
            yield value


def _cut(value: Any, dim: Hashable, piece: slice) -> Any:
    if isinstance(value, tuple):
        parts = [_cut(part, dim, piece) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value.isel({dim: piece}) if isinstance(value, xr.DataArray) and dim in value.dims else value
