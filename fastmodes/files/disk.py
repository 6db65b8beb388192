"""Plain files: read whole, written complete or absent, sealed; temporary ones told from stray ones."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .paths import PathLike

    Bytes = bytes | memoryview

_SEAL = b"fastmodes sha256 "
#: Bytes of a seal.
SEAL_LENGTH = len(_SEAL) + 64
_DAY = 86400.0


class Damaged(OSError):
    """A file that is not what was written."""

    def __init__(self, path: PathLike, reason: str | None) -> None:
        super().__init__(errno.EIO, reason, str(path))


def read_bytes(path: PathLike, most: int = -1, *, follow: bool = False) -> bytes:
    """The first ``most`` bytes of a regular file (default all).

    A pipe, a device or a folder is refused at once, and so is a symbolic link unless ``follow``.
    """
    # Opening a pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Damaged(path, "not a regular file")
        with open(descriptor, "rb", closefd=False) as handle:
            return handle.read(most)
    finally:
        os.close(descriptor)


def write_bytes(path: PathLike, *pieces: Bytes, needed: int | None = None) -> None:
    """Write a file that is complete or absent.

    Parameters
    ----------
    path : path-like
    *pieces : bytes-like
        Its content.
    needed : int, optional
        Bytes needed, for the message of a failure (default: the content's).

    Raises
    ------
    OSError
        With the path, the bytes needed and the bytes free.
    """
    views = [memoryview(piece) for piece in pieces]
    with replacing(path, sum(view.nbytes for view in views) if needed is None else needed) as (descriptor, _):
        for view in views:
            write_all(descriptor, view)


def write_all(descriptor: int, content: Bytes) -> None:
    """Write all of ``content``, however little the system takes at once."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


@contextlib.contextmanager
def replacing(path: PathLike, needed: int) -> Iterator[tuple[int, Path]]:
    """Give a temporary file beside ``path``; sync and rename it on success, remove it on any failure.

    The file is new and nobody else's, and stays locked while its writer lives, which tells it from a stray one.

    Parameters
    ----------
    path : path-like
    needed : int
        Bytes the file may take, for the message of a failure.

    Yields
    ------
    (int, pathlib.Path)
        Its descriptor, open for reading and writing, and its name.

    Raises
    ------
    OSError
        Whatever the system reports, with the path, the bytes needed and the bytes free.
    """
    path = Path(path).absolute()
    descriptor = temporary = None
    try:
        with explaining(path, needed):
            descriptor, temporary = _temporary(path)
            yield descriptor, temporary
            os.fsync(descriptor)
            os.replace(temporary, path)
    finally:
        if descriptor is not None and temporary is not None:
            # After success there is nothing left under this name.
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            os.close(descriptor)
    sync_folder(path.parent)


@contextlib.contextmanager
def explaining(path: Path, needed: int) -> Iterator[None]:
    """Inside, a failure of the system gets the path, the bytes needed and the bytes free."""
    try:
        yield
    except Damaged:
        raise
    except OSError as error:
        raise explained(error, path, needed) from error


def _temporary(path: Path) -> tuple[int, Path]:
    """A new file beside ``path``, locked where the file system knows locks; there, strays are told by their age."""
    while True:
        temporary = path.with_name(f".{os.getpid()}.{secrets.token_hex(8)}{_ending(path)}")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = os.fstat(descriptor).st_nlink == 0
        except BlockingIOError:
            taken = True
        except OSError:
            taken = False
        if not taken:
            return descriptor, temporary
        # Another process starting just now took the file, not yet locked, for a stray one.
        os.close(descriptor)


def _ending(path: Path) -> str:
    """How the names of a file's temporaries end: they are told apart, and never too long."""
    return f".{digest(os.fsencode(path.name))[:16]}.part"


def explained(error: OSError, path: Path, needed: int) -> OSError:
    """The same kind of OSError, its message completed by the path, the bytes needed and the bytes free."""
    free: int | str
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        free = "unknown"
    number, reason = error.errno or errno.EIO, error.strerror or str(error)
    return OSError(
        number, f"not written, nothing changed: {reason}; {needed} bytes needed, {free} bytes free", str(path)
    )


def sync_folder(path: PathLike) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest(content: Bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def seal(content: Bytes) -> bytes:
    """What stands after the end of a sealed file: the SHA-256 of all bytes before."""
    return _SEAL + digest(content).encode()


def seal_file(descriptor: int) -> None:
    """Seal a file written in pieces."""
    with open(os.dup(descriptor), "rb") as handle:
        handle.seek(0)
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    os.lseek(descriptor, 0, os.SEEK_END)
    write_all(descriptor, _SEAL + found.encode())


def check_seal(path: PathLike, content: Bytes) -> None:
    """Compare a file's content with the seal at its end, if it has one.

    Raises
    ------
    Damaged
        If they differ.
    """
    view = memoryview(content)
    found = bytes(view[-SEAL_LENGTH:])
    # A seal that is cut short or itself damaged leaves HDF5's own checks.
    if found.startswith(_SEAL) and found != seal(view[:-SEAL_LENGTH]):
        raise Damaged(path, "damaged: the file differs from its own checksum")


def remove_strays_of(path: PathLike) -> None:
    """Remove temporary files that a killed writer of the same file has left."""
    path = Path(path).absolute()
    for name in os.listdir(path.parent):
        if name.startswith(".") and name.endswith(_ending(path)):
            remove_stray(path.with_name(name))


def remove_stray(path: Path) -> bool:
    """Remove a temporary file unless its writer holds its lock; True if it was removed."""
    with unheld(path) as free:
        if free:
            with contextlib.suppress(OSError):
                path.unlink()
                return True
    return False


@contextlib.contextmanager
def unheld(path: Path) -> Iterator[bool]:
    """Whether no living process holds a file; where there are no locks, whether it is older than a day."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        # Nothing that was written here, unless a symbolic link was put in its place.
        yield path.is_symlink()
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        except OSError:
            free = time.time() - os.fstat(descriptor).st_mtime > _DAY
        yield free
    finally:
        os.close(descriptor)
