"""A block's result as the bytes of one netCDF file, and back.

The bytes are made and read in memory, in plain NumPy: no C library touches the disk, a block is hashed before it is
written by plain system calls, and hashed again before anything reads it.

The format is netCDF's 64-bit-offset one, not netCDF4: HDF5 puts the time of day into each file, this one holds nothing
but the numbers, so that equal arrays are equal bytes and equal checksums, whoever computed them and when.
"""

import io
import json

import numpy as np
import xarray as xr
from scipy.io import netcdf_file

from ..plan.points import Points


def encode(dataset, attributes):
    """Bytes of a netCDF file holding ``dataset`` (dim ``point`` first) and the block's ``attributes`` (strings).

    Variables are float64, int32 or int8.
    """
    buffer = io.BytesIO()
    file = netcdf_file(buffer, "w", version=2, maskandscale=False)
    for name, extent in dataset.sizes.items():
        file.createDimension(name, extent)
    for name, variable in dataset.variables.items():
        if variable.dtype not in ("f8", "i4", "i1"):
            raise TypeError(f"{name} must be float64, int32 or int8 in a block; got {variable.dtype}")
        written = file.createVariable(name, variable.dtype, variable.dims)
        written[...] = variable.values
        for key, value in variable.attrs.items():
            setattr(written, key, value)
    for name, value in attributes.items():
        setattr(file, name, value)
    file.flush()
    # Closing would write everything once more, and take the buffer away.
    file.mode, file.fp = "r", io.BytesIO()
    file.close()
    return buffer.getbuffer()


class Decoded:
    """A block read back: ``variables`` (name -> xarray.Variable) and ``attributes``."""

    def __init__(self, content):
        try:
            self._read(content)
        except Exception as error:
            raise ValueError(f"not a block: {type(error).__name__}: {error}") from error

    def _read(self, content):
        file = netcdf_file(io.BytesIO(content), "r", mmap=False, maskandscale=False)
        self.attributes = {key: _plain(value) for key, value in file._attributes.items()}
        self.variables = {
            name: xr.Variable(
                v.dimensions, _native(v.data), {key: _plain(value) for key, value in v._attributes.items()}
            )
            for name, v in file.variables.items()
        }


def _plain(value):
    return value.decode() if isinstance(value, bytes) else value


def _native(array):
    return np.ascontiguousarray(array, dtype=np.dtype(array.dtype).newbyteorder("="))


def compute(plan, index):
    """Compute block ``index``: a Dataset of the variables that the plan's ``record`` asks for."""
    dataset = plan.job.compute(Points(plan, *plan.block(index)))
    missing = [name for name in plan.record if name not in dataset]
    if missing:
        raise RuntimeError(f"job {plan.job.name!r} did not compute {missing[0]!r}")
    return dataset[list(plan.record)]


def block_attributes(plan, index, versions):
    """What a block says of itself: which plan, which piece, computed by which versions."""
    start, stop = plan.block(index)
    return {
        "plan_sha256": plan.sha256,
        "block": str(index),
        "start": str(start),
        "stop": str(stop),
        "versions": json.dumps(versions, sort_keys=True),
    }


def template(plan, decoded):
    """What a block says about all: the recorded variables without their values, and the results' own coordinates."""
    recorded = {name: decoded.variables[name] for name in plan.record}
    coordinates = {name: variable for name, variable in decoded.variables.items() if name not in plan.record}
    return recorded, coordinates


def check(plan, index, content):
    """Decode block ``index``; it must belong to the plan and hold what the plan asks for.

    Raises
    ------
    ValueError
        Saying what is wrong.
    """
    decoded = Decoded(content)
    start, stop = plan.block(index)
    expected = {"plan_sha256": plan.sha256, "block": str(index), "start": str(start), "stop": str(stop)}
    for name, value in expected.items():
        found = decoded.attributes.get(name)
        if found != value:
            raise ValueError(f"{name} is {found}, not {value}")
    for name in plan.record:
        variable = decoded.variables.get(name)
        if variable is None or variable.dims[:1] != ("point",) or variable.shape[0] != stop - start:
            raise ValueError(f"{name} is missing or of the wrong shape")
    return decoded
