"""Files too large for memory: written piece by piece, sealed, complete or absent.

A process of its own writes them, because the netCDF library is of no use any more to a process whose disk was once
full. It knows nothing but netCDF, gets the pieces through a pipe, and ends when the pipe does, with its parent: then it
removes the unfinished file. What it cannot remove (both were killed), the next writer of the same file does.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import subprocess
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .. import children
from .disk import explaining, remove_strays_of, replacing, seal_file, write_all
from .encoding import encode, encoded
from .lossless import check_lossless


def write_pieces(
    path: Path,
    dataset: xr.Dataset,
    shapes: Mapping[Any, tuple[int, ...]],
    pieces: Iterable[tuple[Hashable, Sequence[int], xr.Variable]],
) -> None:
    """Write a netCDF4 file whose variables come in pieces.

    Parameters
    ----------
    path : pathlib.Path
        An existing file is replaced only by a complete new one.
    dataset : xarray.Dataset
        What is there whole, and a sample of what is not.
    shapes : mapping of str to tuple of int
        The full shapes of the variables that come in pieces.
    pieces : iterable of (str, tuple of int, xarray.Variable)
        A variable's name, where the piece begins, and the piece.

    Raises
    ------
    OSError
        If the file cannot be written, with the bytes needed and free; what ``pieces`` raises passes.
    """
    sizes = {name: variable.size for name, variable in dataset.variables.items()}
    sizes |= {name: math.prod(shape) for name, shape in shapes.items()}
    needed = sum(size * dataset[name].dtype.itemsize for name, size in sizes.items())
    # Before there is a file: what is not begun is not left behind.
    with explaining(path, needed):
        # Numbers that are stored as they are come back: of them one entry is tried, of what is whole everything.
        check_lossless(dataset.drop_vars(shapes))
        check_lossless(dataset.isel({dim: slice(0, 1) for dim in dataset.dims}))
        content = encode(dataset, shapes)
    remove_strays_of(path)
    with replacing(path, needed) as (descriptor, temporary):
        write_all(descriptor, content)
        with _writer(temporary) as process:
            assert process.stdin is not None
            # A pipe that broke has an answer which says why.
            with contextlib.suppress(BrokenPipeError):
                for name, corner, piece in pieces:
                    _send(process.stdin, name, corner, encoded(piece).values)
                _tell(process.stdin, None)
            _check_answer(process)
            seal_file(descriptor)
            os.fsync(descriptor)
            # The file is complete: from here on it is not the process's to remove.
            _tell(process.stdin, True)
            process.wait()


def _send(pipe: IO[bytes], name: Hashable, corner: Sequence[int], values: NDArray[Any]) -> None:
    text = values.dtype == object
    flat = np.ascontiguousarray(values).reshape(-1)
    content = _texts(name, flat.tolist()) if text else flat.view(np.uint8).data
    order = {
        "name": name, "corner": [int(place) for place in corner], "shape": values.shape, "bytes": len(content),
        "dtype": None if text else values.dtype.str,
    }  # fmt: skip
    pipe.write(json.dumps(order).encode() + b"\n")
    pipe.write(content)


def _tell(pipe: IO[bytes], word: bool | None) -> None:
    pipe.write(json.dumps(word).encode() + b"\n")
    pipe.flush()


def _texts(name: Hashable, texts: list[str]) -> bytes:
    for entry in texts:
        if "\0" in entry or entry != entry.encode(errors="replace").decode():
            raise ValueError(
                f"the values of {name!r} would not come back from a netCDF file as they are; got {entry!a}"
            )
    return json.dumps(texts).encode()


@contextlib.contextmanager
def _writer(temporary: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes into ``temporary``; it is gone at the end, whatever happens."""
    process = children.start_script(Path(__file__).with_name("piece_writer.py"), str(temporary.parent), temporary.name)
    try:
        yield process
    finally:
        children.end(process)


def _check_answer(process: subprocess.Popen[bytes]) -> None:
    """Raise what went wrong in the writing process."""
    assert process.stdout is not None
    answer = process.stdout.readline()
    if not answer:
        raise OSError(errno.EIO, f"the writing process ended with code {process.wait()}")
    number, message = json.loads(answer)
    if number:
        raise OSError(number, message)
