"""Who computes which block: runs in one folder share the work by locking a file for each block they are at.

A lock goes with its process, however that ends. Where the file system knows no locks, blocks are computed twice at
worst, and the second one's file has the same name and content.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...files.disk import unheld

if TYPE_CHECKING:
    from .folder import Store

#: Claims of this process.
_HELD: set[Path] = set()


@contextlib.contextmanager
def claimed(store: Store, index: int) -> Iterator[bool]:
    """Whether this process may compute a block: not while another one that lives is at it."""
    path, descriptor = store.claim_of(index), None
    try:
        store.make_folder_of(index)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if descriptor is not None:
            os.close(descriptor)
        yield False
        return
    except OSError:
        # No locks here, or worse: then writing the block will say what is wrong.
        pass
    _HELD.add(path)
    try:
        yield True
    finally:
        _HELD.discard(path)
        if descriptor is not None:
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(descriptor)


def claimed_elsewhere(store: Store, index: int) -> bool:
    """Whether a process that lives is computing a block."""
    path = store.claim_of(index)
    with unheld(path) as free:
        return not free and path.exists()


def give_up() -> None:
    """Leave all claims of this process to others: its blocks will not be written."""
    for path in list(_HELD):
        with contextlib.suppress(OSError):
            path.unlink()
