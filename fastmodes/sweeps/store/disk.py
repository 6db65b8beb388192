"""Plain files: read whole, written complete or absent, temporary ones told from stray ones."""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import time
from pathlib import Path

from ...files.netcdf import replacing

_DAY = 86400.0


class Damaged(OSError):
    """A file of a sweep that is not what was written."""

    def __init__(self, path, reason):
        super().__init__(errno.EIO, reason, str(path))


def read_bytes(path):
    """Content of a regular file; a symbolic link is refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with open(descriptor, "rb") as handle:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Damaged(path, "not a regular file")
        return handle.read()


def write_bytes(path, content):
    """Write a file that is complete or absent: beside its name, synced, renamed, the folder synced.

    The temporary file stays locked while its writer lives, which tells it from a stray one.

    Raises
    ------
    OSError
        With the path, the bytes needed and the bytes free.
    """
    for attempt in range(3):
        try:
            return _write_once(path, content)
        except FileNotFoundError:
            # Another process starting just now took the temporary file, not yet locked, for a stray one.
            if attempt == 2 or not Path(path).parent.is_dir():
                raise


def _write_once(path, content):
    descriptor = None
    try:
        with replacing(path, memoryview(content).nbytes) as temporary:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            descriptor = os.open(temporary, flags, 0o666)
            # Some cluster file systems know no locks; there, strays are told by their age.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
    finally:
        if descriptor is not None:
            os.close(descriptor)


def sync_folder(path):
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest(content):
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def remove_stray(path):
    """Remove a temporary file unless its writer holds its lock; True if it was removed."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        with contextlib.suppress(OSError):
            if path.is_symlink():
                path.unlink()
                return True
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        if time.time() - os.fstat(descriptor).st_mtime < _DAY:
            return False
    finally:
        os.close(descriptor)
    with contextlib.suppress(OSError):
        path.unlink()
        return True
    return False
