"""Files that are complete or absent: netCDF4 written beside its final name, synced, then renamed."""

import contextlib
import errno
import hashlib
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import xarray as xr

from ..validation import shown

#: netCDF-C is not thread-safe: one thread of the process touches files at a time.
NETCDF_LOCK = threading.Lock()

_SEAL = b"fastmodes sha256 "
#: File systems allow 255 bytes.
_LONGEST_NAME = 255


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
        raise TypeError(f"{name} must be a local file path; got {shown(value)}")
    text = os.fspath(value)
    if isinstance(text, bytes):
        raise TypeError(f"{name} must be a local file path of text; got {shown(value)}")
    if (
        not text.strip()
        or "\0" in text
        or "://" in text
        or text.split(":")[0].lower() in ("http", "https", "dap2", "dap4")
    ):
        raise ValueError(f"{name} must be a local file path, not a URL and not empty; got {shown(text)}")
    return Path(text)


def check_writable(name, value):
    """Return ``value`` as a Path whose folder exists and can be written: to be called before computing.

    Raises
    ------
    ValueError
        If the path is a URL, a folder, a device, or too long.
    OSError
        If its folder does not exist or cannot be written.
    """
    path = local_path(name, value)
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise ValueError(f"{name} must be a file name of at most {_LONGEST_NAME} bytes; got {shown(path.name)}")
    # Renaming onto a device or a pipe would replace it by a file: as root even /dev/null.
    if path.is_dir() or (path.exists() and not path.is_file()):
        kind = "a folder" if path.is_dir() else "a device or pipe"
        raise ValueError(f"{name} must be the path of a file, new or old; got {str(path)!r}, {kind}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"{name} must lie in an existing folder; there is none", str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{name} must lie in a writable folder; this one is not", str(folder))
    return path


@contextlib.contextmanager
def replacing(path, needed=None):
    """Give a temporary name beside ``path``; sync and rename it on success, remove it on any failure.

    Parameters
    ----------
    path : path-like
    needed : int, optional
        Bytes the file may take, for the message of a failure.

    Raises
    ------
    OSError
        Whatever the system reports, with the path, the bytes needed and the bytes free.
    """
    path = Path(path).absolute()
    temporary = path.with_name(f".{os.getpid()}.{threading.get_ident()}.{_digest(path.name.encode())[:16]}.part")
    try:
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _explained(error, path, needed, temporary) from error
    finally:
        # After success there is nothing left under this name.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _explained(error, path, needed, temporary):
    """The same kind of OSError, its message completed by the path, the bytes needed and the bytes free."""
    if needed is None:
        with contextlib.suppress(OSError):
            needed = temporary.stat().st_size
    free = shutil.disk_usage(path.parent).free
    number = error.errno or errno.EIO
    reason = error.strerror or str(error)
    return OSError(
        number, f"not written, nothing changed: {reason}; {needed} bytes needed, {free} bytes free", str(path)
    )


def _digest(data):
    return hashlib.sha256(data).hexdigest()


def write_netcdf(dataset, path):
    """Write a dataset as netCDF4, compressed and with checksums: the file is complete or absent.

    After the end of the netCDF data stands the SHA-256 of all bytes before, which :func:`read_netcdf` verifies. Other
    programs do not see it, and a program that changes the file cuts it off.

    Parameters
    ----------
    dataset : xarray.Dataset
        Written with zlib level 1, shuffle and fletcher32 on every numeric variable.
    path : path-like
        A local path; an existing file is replaced only by a complete new one.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    TypeError
        If it is no Dataset, or holds what netCDF cannot: truth values, None or dicts in attributes, complex numbers,
        objects.
    ValueError
        If the path is a URL or a folder.
    OSError
        If the folder is missing or not writable, or the disk is full (with the bytes needed and free).
    """
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset must be an xarray.Dataset; got {type(dataset).__name__}")
    path = check_writable("path", path)
    _check_storable(dataset)
    encoding = {
        name: {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "fiub" and variable.ndim
    }
    with replacing(path, dataset.nbytes) as temporary, NETCDF_LOCK:
        try:
            dataset.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)
        except RuntimeError as error:
            # netCDF-C reports a full disk as "HDF error".
            full = shutil.disk_usage(path.absolute().parent).free < dataset.nbytes
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error
        seal(temporary)
    return path


def _check_storable(dataset):
    for name, variable in dataset.variables.items():
        strings = variable.dtype.kind == "O" and all(isinstance(entry, str) for entry in variable.values.flat)
        if variable.dtype.kind not in "fiubUSMm" and not strings:
            raise TypeError(
                f"{name!r} must hold numbers or strings, complex ones as real and imaginary parts; "
                f"got dtype {variable.dtype}"
            )
    for attributes in (dataset.attrs, *(variable.attrs for variable in dataset.variables.values())):
        for name, value in attributes.items():
            if value is None or np.asarray(value).dtype.kind not in "fiuUS":
                raise TypeError(
                    f"attribute {name!r} must be a number, a string or an array of these; got {shown(value)}"
                )


def seal(path):
    """Append the digest of the file to the file."""
    with open(path, "r+b") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
        handle.write(_SEAL + digest.encode())


def check_seal(path):
    """Compare a file with the digest at its end, if it has one.

    Raises
    ------
    OSError
        If they differ.
    """
    length = len(_SEAL) + 64
    digest, left = hashlib.sha256(), max(path.stat().st_size - length, 0)
    with open(path, "rb") as handle:
        while left > 0 and (piece := handle.read(min(left, 1 << 20))):
            digest.update(piece)
            left -= len(piece)
        seal = handle.read(length)
    # A seal that is cut short or itself damaged leaves HDF5's own checks.
    if seal.startswith(_SEAL) and seal != _SEAL + digest.hexdigest().encode():
        raise OSError(errno.EIO, "damaged: the file differs from its own checksum", str(path))


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
        reason = "must be the path of a file; this is a folder" if path.is_dir() else "must be a file; there is none"
        raise FileNotFoundError(errno.ENOENT, f"path {reason}", str(path))
    try:
        check_seal(path)
        with NETCDF_LOCK, xr.open_dataset(path.absolute(), engine="netcdf4", chunks=None) as opened:
            return opened.load()
    except MemoryError:
        raise
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"not readable: {error.strerror or error}", str(path)) from error
    except Exception as error:
        # A damaged header reaches xarray's decoding as any kind of error.
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
