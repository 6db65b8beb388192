"""How much memory this process may use: the machine's, what containers around it grant, and its own limit."""

import math
import os
from pathlib import Path, PurePosixPath

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]

#: Files that limit memory: in version 2 of control groups, and in version 1.
_UNIFIED: tuple = ("memory.max", "memory.high")
_MEMORY: tuple = ("memory.limit_in_bytes",)


def memory_size(root="/") -> float:
    """Bytes of memory this process may use at most; inf if unknown.

    Parameters
    ----------
    root : path-like
        Where ``proc`` and ``sys`` lie.
    """
    return min(_of_machine(), _of_process(), group_limit(root))


def _of_machine():
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return math.inf


def _of_process():
    if resource is None:
        return math.inf
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return math.inf if soft in (resource.RLIM_INFINITY, -1) else float(soft)


def group_limit(root="/") -> float:
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


def _groups(root):
    """(controllers, path) of every line of ``/proc/self/cgroup``; version 2 has no controllers."""
    try:
        lines = (Path(root) / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    found = [line.split(":", 2)[1:] for line in lines if line.count(":") >= 2]
    # Also what lies right at the mounts, where the process's own line is missing or hidden.
    return [*found, ["", "/"], ["memory", "/"]]


def _read(path):
    try:
        text = path.read_text().strip()
    except (OSError, ValueError):
        return math.inf
    # Version 1 writes "no limit" as a number near 2^63.
    return float(text) if text.isdigit() and int(text) < 2**62 else math.inf
