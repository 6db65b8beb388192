"""Run a sweep: what is there is kept, what is missing or damaged is computed, whatever computes it."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ...interrupts import termination_as_interrupt
from ...parallel import run_blocks, thread_count
from ...progress import progress_bar
from ...validation import check_integer, shown
from ..plan.config import PlanError
from ..plan.plan import Plan
from ..store import claims
from ..store.blocks import Seen
from ..store.folder import Store
from ..store.judging import judge
from . import backends
from .worker import Done, orders

if TYPE_CHECKING:
    from ...files.paths import PathLike

#: Seconds between two looks at the blocks that another run is computing.
PAUSE = 0.1


class Summary(NamedTuple):
    """What a run did: blocks of the plan (or shard), blocks found, found damaged, computed; seconds and bytes."""

    blocks: int
    found: int
    damaged: int
    computed: int
    bytes: int
    compute_seconds: float
    total_seconds: float


def as_plan(plan: Plan | dict[str, Any] | PathLike) -> Plan:
    """A plan from a Plan, a dict with the keys of a plan's file, or the path of a TOML file."""
    if isinstance(plan, Plan):
        return plan
    return Plan.from_toml(plan) if isinstance(plan, str | os.PathLike) else Plan(plan)


def sweep(
    plan: Plan | dict[str, Any] | PathLike,
    out: PathLike,
    *,
    client: Any = None,
    processes: int = 1,
    threads: int | None = None,
    shard: str | tuple[int, int] | None = None,
    progress: bool = True,
) -> Summary:
    """Compute a sweep into the folder ``out``, or what is still missing there.

    A block is there if and only if it is complete, so a sweep may be stopped in any way, at any moment, and run again;
    several processes or machines may work in one folder. The numbers do not depend on who computes which block.

    Parameters
    ----------
    plan : Plan, dict or path-like
        What to compute; see :class:`fastmodes.sweeps.Plan`.
    out : path-like
        A new folder, or one that holds this sweep.
    client : distributed.Client, optional
        Compute on a Dask cluster whose workers see ``out`` under the same path; one task a block.
    processes : int
        Worker processes on this machine; 1 computes in this process.
    threads : int, optional
        Threads in all on this machine (default: all cores); with a ``client``, threads of each task (default 1).
    shard : str or tuple of int, optional
        ``"i/n"`` or ``(i, n)``: every n-th block from the i-th on, 1 <= i <= n, for job arrays.
    progress : bool
        Show points per second and remaining time on stderr.

    Raises
    ------
    ValueError
        For a plan that is not valid (PlanError), or a folder that holds another one.
    OSError
        If the folder cannot be written; a full disk is reported with path, bytes needed and bytes free.
    RuntimeError
        If a block cannot be computed; the message names it.
    KeyboardInterrupt
        On Ctrl-C and SIGTERM, within two seconds; finished blocks are kept.
    """
    plan, store = as_plan(plan), Store(out)
    mine = range(plan.blocks) if shard is None else _shard_blocks(plan, shard)
    processes = check_integer("processes", processes, 1, 10_000)
    threads = None if threads is None else check_integer("threads", threads, 1, 10_000)
    with termination_as_interrupt():
        store.prepare(plan)
        files = store.files()
        present = [index for index in mine if index in files]
        seen = Seen()
        sound = run_blocks(lambda index: judge(store, plan, index, files[index], seen), present)
        damaged = {index for index, good in zip(present, sound, strict=True) if not good}
        todo = [index for index in mine if index not in files or index in damaged]
        done = _run(plan, store, todo, damaged, client, processes, threads, progress)
        # A sweep that is complete may be on a disk that cannot be written.
        with contextlib.suppress(*(() if done else (OSError,))):
            store.write_manifest(plan)
    return Summary(
        len(mine), len(present), len(damaged), len(done), sum(d.bytes for d in done),
        sum(d.compute_seconds for d in done), sum(d.total_seconds for d in done),
    )  # fmt: skip


def _run(
    plan: Plan,
    store: Store,
    todo: list[int],
    damaged: set[int],
    client: Any,
    processes: int,
    threads: int | None,
    progress: bool,
) -> list[Done]:
    """Compute ``todo``, shared with other runs in the same folder; return what was computed here."""
    done: list[Done] = []
    free, remote = todo, client is not None or processes > 1
    left = {index: stop - start for index in todo for start, stop in [plan.block(index)]}
    try:
        with progress_bar(sum(left.values()), "points", progress and bool(left)) as bar:
            while left:
                steps = contextlib.closing(_backend(plan, store, free, damaged, client, processes, threads))
                with steps as finished:
                    for block in finished:
                        # A worker that died may have written its block before.
                        mine = block.bytes or (remote and store.files_of(block.block))
                        if mine:
                            done.append(block)
                            bar.update(left.pop(block.block))
                for index in _computed_elsewhere(plan, store, left, damaged):
                    bar.update(left.pop(index))
                free = [index for index in left if not claims.claimed_elsewhere(store, index)]
                if left and not free:
                    time.sleep(PAUSE)
        if done:
            # What runs that were killed meanwhile had claimed.
            store.remove_strays()
    except BaseException:
        claims.give_up()
        with contextlib.suppress(OSError):
            store.remove_strays()
        raise
    return done


def _computed_elsewhere(plan: Plan, store: Store, left: Iterable[int], damaged: set[int]) -> list[int]:
    """Blocks that another run has written meanwhile."""
    files = store.files(left)
    return [i for i in left if i in files and (i not in damaged or judge(store, plan, i, files[i], Seen()))]


def _backend(
    plan: Plan, store: Store, todo: list[int], damaged: set[int], client: Any, processes: int, threads: int | None
) -> Generator[Done, None, None]:
    if not todo:
        return (_ for _ in ())
    if client is not None:
        from .distributed import on_client

        return on_client(orders(plan, store, todo, damaged, threads or 1), client)
    threads = threads or thread_count()
    workers = min(len(todo), processes if processes > 1 else threads)
    listed = orders(plan, store, todo, damaged, max(1, threads // workers))
    return backends.on_processes(listed, workers) if processes > 1 else backends.on_threads(listed, workers)


def _shard_blocks(plan: Plan, shard: str | tuple[int, int]) -> range:
    if isinstance(shard, str):
        match = re.fullmatch(r"(\d{1,7})/(\d{1,7})", shard.strip())
        if match is None:
            raise PlanError(f"shard must be i/n with 1 <= i <= n; got {shard!r}")
        shard = int(match[1]), int(match[2])
    if not isinstance(shard, tuple | list) or len(shard) != 2:
        raise TypeError(f"shard must be a text i/n or two whole numbers (i, n); got {shown(shard)}")
    first, count = shard
    count = check_integer("shard count", count, 1, 10**6)
    first = check_integer("shard", first, 1, count)
    return range(first - 1, plan.blocks, count)
