"""Grids too large for memory: computed and written slab by slab along one dimension, the file complete or absent."""

import netCDF4
import numpy as np
import xarray as xr

from ..modes.grid import POINT
from ..progress import progress_bar
from ..validation import check_integer
from .netcdf import NETCDF_LOCK, check_writable, replacing

#: Values of one variable in a slab.
SLAB_POINTS = 1 << 21


def write_slabs(path, compute, parameters, *, slab_points=SLAB_POINTS, progress=False):
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
    named = {name: _named(value) for name, value in parameters.items()}
    sizes = {}
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
    thickness = max(1, slab_points // layer)
    with replacing(path) as temporary, progress_bar(length * layer, "points", progress) as bar:
        for start in range(0, length, thickness):
            piece = slice(start, min(start + thickness, length))
            dataset = compute(**{name: _cut(value, dim, piece) for name, value in named.items()})
            with NETCDF_LOCK:
                if start == 0:
                    _create(dataset, temporary, dim)
                else:
                    _append(dataset, temporary, dim, piece)
            bar.update((piece.stop - start) * layer)
    return path


def _named(value):
    """Plain arrays get the dimension "point" that they would have in the result."""
    if isinstance(value, tuple):
        parts = [_named(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, xr.DataArray | xr.Dataset) or np.ndim(value) == 0:
        return value
    if np.ndim(value) != 1:
        raise ValueError(f"arrays must have one axis to be cut into slabs, or be DataArrays; got {np.ndim(value)} axes")
    return xr.DataArray(np.asarray(value), dims=POINT)


def _arrays(values):
    for value in values:
        if isinstance(value, tuple):
            yield from _arrays(value)
        elif isinstance(value, xr.DataArray):
            yield value


def _cut(value, dim, piece):
    if isinstance(value, tuple):
        parts = [_cut(part, dim, piece) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value.isel({dim: piece}) if isinstance(value, xr.DataArray) and dim in value.dims else value


def _create(dataset, path, dim):
    """Write the first slab; its dimension can grow, in chunks of about a megabyte."""
    encoding = {}
    for name, variable in dataset.variables.items():
        if variable.dtype.kind not in "fiu" or not variable.ndim:
            continue
        encoding[name] = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
        if dim in variable.dims:
            encoding[name]["chunksizes"] = _chunks(variable, dim)
    dataset.to_netcdf(path, engine="netcdf4", format="NETCDF4", encoding=encoding, unlimited_dims=[dim])


def _chunks(variable, dim, values=1 << 17):
    """Whole trailing axes as far as they fit, single layers of the leading ones."""
    chunks, room = [], values
    for size in reversed(variable.shape):
        chunks.append(max(1, min(size, room)))
        room //= max(1, size)
    return tuple(reversed(chunks))


def _append(dataset, path, dim, piece):
    with netCDF4.Dataset(path, "a") as file:
        file.set_auto_maskandscale(False)
        for name, variable in dataset.variables.items():
            if dim in variable.dims:
                place = tuple(piece if d == dim else slice(None) for d in variable.dims)
                file.variables[name][place] = variable.values
