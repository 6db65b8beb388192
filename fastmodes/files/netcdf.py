"""Datasets as netCDF4 files: complete or absent, sealed, and read back exactly as they were or refused.

A file's bytes are made in memory and written by plain system calls: the netCDF library never touches the disk, so
that a full disk cannot harm it, and what it would change is found before anything is written.
"""

import errno
from pathlib import Path

import numpy as np
import xarray as xr

from ..validation import shown
from .disk import check_seal, read_bytes, remove_strays_of, seal, write_bytes
from .encoding import decoding, encode, scratch_folder
from .lossless import check_lossless
from .paths import PathLike, check_writable, local_path, make_folder
from .pieces import write_pieces

__all__ = ["check_writable", "local_path", "make_folder", "read_netcdf", "write_netcdf"]


def write_netcdf(dataset: xr.Dataset, path: PathLike) -> Path:
    """Write a dataset as netCDF4, compressed and with checksums: the file is complete or absent.

    What :func:`read_netcdf` gives is what was written: values, kinds of numbers, dims, coordinates and attributes.
    netCDF knows but one kind of text, and no difference between an attribute of one entry and the entry.

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
        If the path is a URL or a folder, or if a variable or attribute would not come back as it is; it is named.
    OSError
        If the folder is missing or not writable, or the disk is full (with the bytes needed and free).
    """
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset must be an xarray.Dataset; got {type(dataset).__name__}")
    path = check_writable("path", path)
    _check_storable(dataset)
    remove_strays_of(path)
    if scratch_folder(dataset):
        content = encode(dataset)
        check_lossless(dataset, content)
        write_bytes(path, content, seal(content), needed=dataset.nbytes)
    else:
        _write_large(dataset, path)
    return path


def _write_large(dataset: xr.Dataset, path: Path) -> None:
    """Write what has no room in memory twice: arrays of numbers go through a pipe, one after the other."""
    arrays = {name: v for name, v in dataset.variables.items() if v.dtype.kind in "fiub" and v.ndim}
    shapes = {name: variable.shape for name, variable in arrays.items()}
    write_pieces(path, dataset, shapes, ((name, [0] * array.ndim, array) for name, array in arrays.items()))


def _check_storable(dataset: xr.Dataset) -> None:
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


def read_netcdf(path: PathLike) -> xr.Dataset:
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
        content = read_bytes(path, follow=True)
        check_seal(path, content)
        with decoding(content) as opened:
            return opened.load()
    except MemoryError:
        raise
    except OSError as error:
        raise OSError(error.errno or errno.EIO, f"not readable: {error.strerror or error}", str(path)) from error
    except Exception as error:
        # A damaged header reaches xarray's decoding as any kind of error.
        raise OSError(errno.EIO, f"damaged or no netCDF4 file: {error}", str(path)) from error
