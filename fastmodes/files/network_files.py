"""Networks as files: netCDF with the variables readout, recurrent and input, or NumPy's .npz with these names."""

from __future__ import annotations

import errno
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..networks.network import LinearRNN, check_network
from ..validation import check_memory, shown
from .disk import read_bytes
from .netcdf import read_netcdf, write_netcdf
from .paths import local_path
from .schema import annotate

if TYPE_CHECKING:
    from .paths import PathLike

#: The matrices of a network in a file, and their axes, by the names that results give these.
MATRICES = {"readout": ("output", "unit"), "recurrent": ("unit_to", "unit_from"), "input": ("unit", "channel")}
#: Endings of files that hold networks.
ENDINGS = (".nc", ".npz")


def write_network(network: LinearRNN, path: PathLike) -> Path:
    """Write a network as netCDF, complete or absent, with its checksum.

    The matrices are stored, bit for bit. The bases of a network that was made from modes are no part of its value: of
    a network read back, the signs of modes are those of any network given by its matrices (see :class:`Modes`).

    Parameters
    ----------
    network : LinearRNN
    path : path-like
        A local path that ends in .nc.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    TypeError, ValueError
        If it is no network, or the path does not end in .nc.
    OSError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import fastmodes as fm
    >>> teacher = fm.rotating_teacher(0.9, 0.3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fm.read_network(fm.write_network(teacher, f"{folder}/teacher.nc")) == teacher
    True
    """
    check_network("network", network)
    target = local_path("path", path)
    if target.suffix.lower() != ".nc":
        raise ValueError(f"path must end in .nc; got {shown(str(path))}")
    dataset = xr.Dataset({name: (dims, getattr(network, name)) for name, dims in MATRICES.items()})
    return write_netcdf(annotate(dataset, title="A linear recurrent network", configuration={}), target)


def read_network(path: PathLike) -> LinearRNN:
    """Read a network: netCDF with the variables readout, recurrent and input, or .npz with arrays of these names.

    Parameters
    ----------
    path : path-like
        A local path that ends in .nc or .npz. Axes of netCDF are read by the names they have in results (output,
        unit_to, unit_from, unit, channel) or in :class:`LinearRNN` (n_out, n_hidden, n_in).

    Returns
    -------
    LinearRNN

    Raises
    ------
    TypeError, ValueError
        If the file's name ends otherwise, a matrix is missing, or they make no network.
    OSError
        If there is no such file, or it is damaged.
    """
    file = local_path("path", path)
    if file.suffix.lower() not in ENDINGS:
        raise ValueError(f"path must end in {' or '.join(ENDINGS)}; got {shown(str(path))}")
    found: Mapping[Any, Any] = read_netcdf(file).variables if file.suffix.lower() == ".nc" else _read_npz(file)
    missing = [name for name in MATRICES if name not in found]
    if missing:
        hint = "; fm.network_at takes networks out of a training's dataset" if "rule" in found else ""
        raise ValueError(
            f"{file} must hold readout, recurrent and input; {', '.join(missing)} missing, it has "
            f"{', '.join(map(str, found)) or 'nothing'}{hint}"
        )
    # As labelled arrays, whose axes are checked by name; scalars and what has no names go by position.
    labelled = {name: xr.DataArray(found[name]) for name in MATRICES}
    try:
        return LinearRNN(**labelled)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{file}: {error}") from None


def _read_npz(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "path must be a file; there is none", str(path))
    content = read_bytes(path, follow=True)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            check_memory(sum(entry.file_size for entry in archive.infolist()), path=str(path))
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError) as error:
        raise OSError(errno.EIO, f"damaged or no .npz file: {error}", str(path)) from None
