"""How much memory this process may use: the machine's, what containers around it grant, and its own limit."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from .typing import PathLike

#: Files that limit memory: in version 2 of control groups, and in version 1.
_UNIFIED: tuple[str, ...] = ("memory.max", "memory.high")
_MEMORY: tuple[str, ...] = ("memory.limit_in_bytes",)


def memory_size(root: PathLike = "/") -> float:
    """Bytes of memory this process may use at most; inf if unknown.

    Parameters
    ----------
    root : path-like
        Where ``proc`` and ``sys`` lie.
    """
    return min(_of_machine(), _of_process(), group_limit(root))


def _of_machine() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return math.inf


def _of_process() -> float:
    if resource is None:
        return math.inf
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return math.inf if soft in (resource.RLIM_INFINITY, -1) else float(soft)


def group_limit(root: PathLike = "/") -> float:
    """Smallest limit of the control groups this process is in, from its own one up to the root; inf if none.

    Inside a container, the path that the kernel tells may lead nowhere: then the folders that are mounted there, whose
    own root is the process's group, are read.
    """
    mount = Path(root) / "sys/fs/cgroup"
    limits = [math.inf]
    for controllers, path in _groups(root):
        if controllers == "":
            bases, names = (mount, mount / "unified"), _UNIFIED
        elif "memory" in controllers.split(","):
            bases, names = (mount / "memory", mount / controllers), _MEMORY
        else:
            continue
        for base in bases:
            own = base.joinpath(*PurePosixPath(path).parts[1:])
            for folder in (own, *own.parents):
                if not folder.is_relative_to(base):
                    break
                limits += [_read(folder / name) for name in names]
    return min(limits)


def _groups(root: PathLike) -> list[list[str]]:
    """(controllers, path) of every line of ``/proc/self/cgroup``; version 2 has no controllers."""
    try:
        lines = (Path(root) / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    found = [line.split(":", 2)[1:] for line in lines if line.count(":") >= 2]
    # Also what lies right at the mounts, where the process's own line is missing or hidden.
    return [*found, ["", "/"], ["memory", "/"]]


def _read(path: Path) -> float:
    try:
        text = path.read_text().strip()
    except (OSError, ValueError):
        return math.inf
    # Version 1 writes "no limit" as a number near 2^63.
    return float(text) if text.isdigit() and int(text) < 2**62 else math.inf
