"""All blocks of a sweep in one netCDF4 file, whatever their number, in bounded memory."""

import contextlib
import errno
import importlib
import json
import math
import os
import shutil

import netCDF4
import numpy as np

from ...files.netcdf import NETCDF_LOCK, check_writable, replacing, seal
from ...progress import progress_bar
from ..run import children
from .dataset import BlockReader, assemble
from .disk import Damaged, remove_stray
from .folder import Store

#: Numbers in a chunk of the merged file, about.
CHUNK = 2**17


def merge(out, path, *, progress=True):
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
    needed = assemble(plan, reader).nbytes
    with replacing(target, needed) as temporary:
        # The name of the temporary file ends in what it stands for: leave no stray one of an earlier merge.
        for stray in target.absolute().parent.glob(f".*.{temporary.name.split('.')[-2]}.part"):
            remove_stray(stray)
        _write_elsewhere(plan, store, temporary, progress)
        seal(temporary)
    return target


def _write_elsewhere(plan, store, temporary, progress):
    """Write the file in a process of its own: HDF5 keeps a file open for ever after a disk was full."""
    order = [plan.job.compute.__module__, str(store.folder), str(temporary), progress]
    process = children.start("fastmodes.sweeps.store.merging", "main")
    try:
        children.give(process, order)
        answer = process.stdout.readline()
        if not answer:
            process.wait(timeout=5)
    finally:
        children.end(process)
    if not answer:
        raise OSError(errno.EIO, f"the writing process ended with code {process.returncode}")
    number, message = json.loads(answer)
    if message:
        raise OSError(number, message)


def main():
    """The writing process: an order on stdin, what went wrong (or nothing) on stdout."""
    module, folder, temporary, progress = next(children.orders())
    importlib.import_module(module)
    store = Store(folder)
    plan = store.plan()
    reader = BlockReader(store, plan)
    answer = (0, "")
    try:
        with NETCDF_LOCK, progress_bar(plan.points, "points", progress) as bar:
            _write(assemble(plan, reader), plan, reader, temporary, bar)
    except (OSError, RuntimeError) as error:
        # The netCDF library does not say why a write failed.
        full = not isinstance(error, Damaged) and shutil.disk_usage(os.path.dirname(temporary)).free < 2**20
        number = errno.ENOSPC if full else getattr(error, "errno", None) or errno.EIO
        answer = (number, os.strerror(number) if full else getattr(error, "strerror", None) or str(error))
    print(json.dumps(answer), flush=True)
    # A file that could not be closed would end the process with a crash instead.
    os._exit(0)


def _write(dataset, plan, reader, temporary, bar):
    names = list(dataset.data_vars)
    # xarray writes the coordinates and attributes as it wants to read them back.
    dataset.drop_vars(names).to_netcdf(temporary, engine="netcdf4", format="NETCDF4")
    file = netCDF4.Dataset(temporary, "a")
    try:
        extra = _extra_coordinates(dataset)
        for name in names:
            _define(file, name, dataset[name], extra)
        for index in range(plan.blocks):
            start, stop = plan.block(index)
            variables = reader.block(index).variables
            for name in names:
                values = variables[name].values
                for place, (first, last) in rectangles(plan.shape, start, stop):
                    file[name][place] = values[first - start : last - start].reshape(
                        [extent.stop - extent.start for extent in place] + list(values.shape[1:])
                    )
            bar.update(stop - start)
    except BaseException:
        with contextlib.suppress(RuntimeError, OSError):
            file.close()
        raise
    file.close()


def _extra_coordinates(dataset):
    """Coordinates that are no dims, with their dims: they belong to the variables that have these dims."""
    return {name: set(c.dims) for name, c in dataset.coords.items() if name not in dataset.dims}


def _define(file, name, variable, extra):
    for dim, size in variable.sizes.items():
        if dim not in file.dimensions:
            file.createDimension(dim, size)
    number = variable.dtype.kind == "f"
    compressed = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True} if variable.ndim else {}
    written = file.createVariable(
        name, variable.dtype, variable.dims, fill_value=np.nan if number else False,
        chunksizes=chunks(variable.shape) if variable.ndim else None, **compressed,
    )  # fmt: skip
    written.set_auto_maskandscale(False)
    written.setncatts(variable.attrs)
    belonging = [key for key, dims in extra.items() if dims <= set(variable.dims)]
    if belonging:
        written.coordinates = " ".join(belonging)


def chunks(shape):
    """Chunk shape whose chunks follow each other in the array's own order: whole inner axes, one of each outer one."""
    sizes, room = [], CHUNK
    for extent in reversed(shape):
        size = max(1, min(extent, room))
        sizes.append(size)
        room = room // extent if size == extent else 1
    return sizes[::-1]


def rectangles(shape, start, stop):
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
