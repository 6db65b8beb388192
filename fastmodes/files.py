"""Files that are complete or absent: netCDF4 written beside its final name, synced, then renamed."""

import contextlib
import errno
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import xarray as xr

#: netCDF-C is not thread-safe: one thread of the process touches files at a time.
NETCDF_LOCK = threading.Lock()


def local_path(name, value):
    """Return ``value`` as a local Path.

    Raises
    ------
    TypeError
        If it is no path.
    ValueError
        If it looks like a URL (netCDF would open the network), or is empty.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a local file path; got {value!r}")
    text = os.fspath(value)
    if not text or "\0" in text or "://" in text or text.split(":")[0].lower() in ("http", "https", "dap2", "dap4"):
        raise ValueError(f"{name} must be a local file path, not a URL; got {text!r}")
    return Path(text)


def check_writable(name, value):
    """Return ``value`` as a Path whose folder exists and can be written: to be called before computing.

    Raises
    ------
    ValueError
        If the path is a URL or a folder.
    OSError
        If its folder does not exist or cannot be written.
    """
    path = local_path(name, value)
    if path.is_dir():
        raise ValueError(f"{name} must be the path of a file; {str(path)!r} is a folder")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"{name} must lie in an existing folder; there is none", str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{name} must lie in a writable folder; this one is not", str(folder))
    return path


@contextlib.contextmanager
def replacing(path):
    """Give a temporary name beside ``path``; sync and rename it on success, remove it on any failure.

    Raises
    ------
    OSError
        As the system reports it; where the disk is full the message holds the bytes that are free.
    """
    path = Path(path).absolute()
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_netcdf(dataset, path):
    """Write a dataset as netCDF4, compressed and with checksums: the file is complete or absent.

    Parameters
    ----------
    dataset : xarray.Dataset
        Written with zlib level 1, shuffle and fletcher32 on every numeric variable.
    path : path-like
        A local path; an existing file is replaced only by a complete new one.

    Raises
    ------
    ValueError
        If the path is a URL or a folder.
    OSError
        If the folder is missing or not writable, or the disk is full (with the bytes needed and free).
    """
    path = check_writable("path", path)
    encoding = {
        name: {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "fiub" and variable.ndim
    }
    with replacing(path) as temporary, NETCDF_LOCK:
        try:
            dataset.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)
        except (OSError, RuntimeError) as error:
            free = shutil.disk_usage(path.absolute().parent).free
            if getattr(error, "errno", None) == errno.ENOSPC or free < dataset.nbytes:
                raise OSError(
                    errno.ENOSPC,
                    f"disk full: up to {dataset.nbytes} bytes needed, {free} bytes free",
                    str(path),
                ) from error
            raise OSError(
                getattr(error, "errno", None) or errno.EIO, f"could not be written: {error}", str(path)
            ) from error
    return path


def read_netcdf(path):
    """Read a whole dataset written by :func:`write_netcdf` into memory; checksums are verified on the way.

    Raises
    ------
    ValueError
        If the path is a URL.
    OSError
        If there is no such file, or it is damaged.
    """
    path = local_path("path", path)
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
    try:
        with NETCDF_LOCK, xr.open_dataset(path, engine="netcdf4", chunks=None) as opened:
            return opened.load()
    except (RuntimeError, ValueError, OSError, np.exceptions.AxisError) as error:
        raise OSError(errno.EIO, f"damaged or no netCDF4 file: {error}", str(path)) from error


def make_folder(name, value):
    """Return ``value`` as the Path of a folder that exists and can be written; it is made if missing.

    Raises
    ------
    ValueError
        If the path is a URL.
    OSError
        If it is a file, or cannot be made or written.
    """
    folder = local_path(name, value)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, f"{name} must be a folder; this is a file", str(folder)) from None
    except OSError as error:
        raise OSError(error.errno, f"{name} cannot be made: {error.strerror}", str(folder)) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{name} must be a writable folder; this one is not", str(folder))
    return folder
