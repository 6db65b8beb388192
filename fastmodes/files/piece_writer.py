"""The process that writes pieces into a netCDF4 file: a script of its own, which imports nothing of the package.

Each piece on stdin is a line of JSON that says what it is, followed by its bytes; ``null`` is the end. One line on
stdout then says what went wrong, or nothing, and the process waits for a last line. If stdin ends before that, whoever
wanted the file is dead, and the file is removed.
"""

import contextlib
import errno
import json
import os
import sys
from typing import BinaryIO

# Locks of HDF5 would meet the parent's own, and fail on clusters.
os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"

import netCDF4
import numpy as np


def write(file: netCDF4.Dataset, stdin: BinaryIO) -> bool:
    """Write the pieces; True if all have come."""
    for variable in file.variables.values():
        variable.set_auto_maskandscale(False)
        variable.set_auto_chartostring(False)
    for line in stdin:
        if not line.endswith(b"\n"):
            return False
        order = json.loads(line)
        if order is None:
            return True
        content = stdin.read(order["bytes"])
        if len(content) < order["bytes"]:
            return False
        values = json.loads(content) if order["dtype"] is None else np.frombuffer(content, order["dtype"])
        place = tuple(slice(first, first + size) for first, size in zip(order["corner"], order["shape"], strict=True))
        file.variables[order["name"]][place] = np.array(values).reshape(order["shape"])
    return False


def reason(name: str, error: Exception) -> tuple[int | None, str | None]:
    """Number and words of what went wrong: the library does not say, so the same is tried without it."""
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_APPEND)
        room = memoryview(bytes(2**20))
        while room:
            room = room[os.write(descriptor, room) :]
        os.fsync(descriptor)
    except OSError as plain:
        return plain.errno, plain.strerror
    return getattr(error, "errno", None) or errno.EIO, getattr(error, "strerror", None) or str(error)


def main() -> None:
    """The writing process: pieces on stdin, what went wrong (or nothing) on stdout."""
    folder, name = sys.argv[1:]
    # A bare name of letters and digits: the library cannot take it for an address.
    os.chdir(folder)
    complete = True
    answer: tuple[int | None, str | None] = (0, "")
    try:
        file = netCDF4.Dataset(name, "a")
        complete = write(file, sys.stdin.buffer)
        file.close()
    except (OSError, RuntimeError) as error:
        answer = reason(name, error)
    if complete:
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(answer), flush=True)
        complete = sys.stdin.buffer.readline().endswith(b"\n")
    if not complete:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    # A file that could not be closed would end the process with a crash instead.
    os._exit(0)


if __name__ == "__main__":
    main()
