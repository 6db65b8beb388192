"""Whether a file is the block it is named after: the one check of run, status, verify, merge and open_sweep."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ...files.disk import Damaged, digest, read_bytes
from . import blocks
from .folder import Store, sha256_in_name

if TYPE_CHECKING:
    from ..plan.plan import Plan

#: Bytes that hold the header of a block.
_HEADER = 2**14
#: What the system says of things that are no readable files.
_NO_FILE = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES, errno.EPERM)


class Foreign(Damaged):
    """What stands in a block's place and is no damaged block: it may be of use elsewhere."""


def check_file(
    plan: Plan, index: int, path: Path, *, whole: bool = True, seen: blocks.Seen | None = None
) -> blocks.Decoded | None:
    """The block that a file holds, decoded.

    Parameters
    ----------
    plan : Plan
    index : int
    path : pathlib.Path
    whole : bool
        Compare the content with the checksum in the name; otherwise only the beginning is read.
    seen : blocks.Seen, optional
        Check by means of these headers; nothing is returned then.

    Raises
    ------
    Foreign
        If it is no block, or another one, or no file that can be read.
    OSError
        If its content is not what its name promises (Damaged), or whatever the system reports.
    """
    try:
        content = read_bytes(path, -1 if whole else _HEADER)
        length = len(content) if whole else os.lstat(path).st_size
    except Damaged as error:
        raise Foreign(path, error.strerror) from None
    except OSError as error:
        if error.errno in _NO_FILE:
            raise Foreign(path, error.strerror) from error
        raise
    if whole and digest(content) != sha256_in_name(path):
        raise Damaged(path, "its checksum does not match its name")
    try:
        decoded: blocks.Decoded | None = (seen or blocks).check(plan, index, content, length)
        return decoded
    except ValueError as error:
        if not whole and length > _HEADER:
            return check_file(plan, index, path, seen=seen)
        raise Foreign(path, str(error)) from error


def judge(store: Store, plan: Plan, index: int, paths: list[Path], seen: blocks.Seen) -> bool:
    """Whether one of a block's files is right; what is foreign is set aside, what is damaged left to be replaced."""
    right, damaged = False, []
    for path in paths:
        try:
            check_file(plan, index, path, seen=seen)
            right = True
        except FileNotFoundError:
            pass
        except Foreign as error:
            store.set_aside(path, error.strerror)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            damaged.append(path)
    # Next to a right one, nobody would write over a damaged one.
    for path in damaged if right else ():
        with contextlib.suppress(OSError):
            path.unlink()
    return right
