"""All blocks of a sweep in one netCDF4 file, whatever their number, in bounded memory."""

from __future__ import annotations

import errno
import math
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ...files.encoding import chunks
from ...files.paths import check_writable
from ...files.pieces import write_pieces
from ...progress import progress_bar
from .dataset import BlockReader, assemble
from .folder import Store

if TYPE_CHECKING:
    from ...files.paths import PathLike
    from ..plan.plan import Plan

__all__ = ["chunks", "merge", "rectangles"]


def merge(out: PathLike, path: PathLike, *, progress: bool = True) -> Path:
    """Merge a finished sweep into one netCDF4 file on the plan's axes; it is complete or absent.

    One block at a time is in memory. Every block's checksum is checked on the way.

    Parameters
    ----------
    out : path-like
        Folder of the sweep.
    path : path-like
        The file; an existing one is replaced only by a complete new one.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is no sweep, or blocks are missing.
    OSError
        If a block is damaged, or the file cannot be written; where the disk is full, with the bytes needed and free.
    """
    target, store = check_writable("path", path), Store(out)
    plan = store.plan()
    reader = BlockReader(store, plan)
    missing = plan.blocks - len(reader.files)
    if missing:
        message = f"{missing} of {plan.blocks} blocks are missing; run the sweep to its end, then merge"
        raise FileNotFoundError(errno.ENOENT, message, str(store.folder))
    dataset = assemble(plan, reader)
    shapes = {name: variable.shape for name, variable in dataset.data_vars.items()}
    with progress_bar(plan.points, "points", progress) as bar:
        write_pieces(target, dataset, shapes, _pieces(plan, reader, shapes, bar))
    return target


def _pieces(
    plan: Plan, reader: BlockReader, names: Iterable[Any], bar: Any
) -> Iterator[tuple[Hashable, list[int], xr.Variable]]:
    for index in range(plan.blocks):
        start, stop = plan.block(index)
        variables = reader.block(index).variables
        for name in names:
            variable = variables[name]
            for place, (first, last) in rectangles(plan.shape, start, stop):
                values = variable.values[first - start : last - start].reshape(
                    [extent.stop - extent.start for extent in place] + list(variable.shape[1:])
                )
                corner = [extent.start for extent in place] + [0] * (variable.ndim - 1)
                yield name, corner, xr.Variable([str(axis) for axis in range(values.ndim)], values)
        bar.update(stop - start)


def rectangles(shape: tuple[int, ...], start: int, stop: int) -> Iterator[tuple[tuple[slice, ...], tuple[int, int]]]:
    """Cut points ``start .. stop - 1`` of a flattened grid into rectangular pieces.

    Yields
    ------
    (tuple of slice, (int, int))
        A piece as slices of the grid, and the points it holds; at most two pieces per axis and one more.
    """
    if not shape:
        yield (), (start, stop)
        return
    while start < stop:
        # The largest whole sub-grid that begins at ``start``: stretch along the first axis that is out of step.
        inner = math.prod(shape)
        axis = -1
        while axis < 0 or start % inner or start + inner > stop:
            axis += 1
            inner //= shape[axis]
        corner = np.unravel_index(start, shape)
        count = min((stop - start) // inner, shape[axis] - int(corner[axis]))
        place = [slice(int(c), int(c) + 1) for c in corner[:axis]]
        place.append(slice(int(corner[axis]), int(corner[axis]) + count))
        place += [slice(0, extent) for extent in shape[axis + 1 :]]
        yield tuple(place), (start, start + count * inner)
        start += count * inner
