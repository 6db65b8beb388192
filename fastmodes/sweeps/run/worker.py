"""One block, from the plan to the disk: what every thread, process and cluster task does.

:func:`main` is a worker process: it reads one JSON line per order on stdin, answers with one
on stdout, and ends when its stdin does. A fresh interpreter, never a fork, and no pickles.
"""

import json
import os
import time
from collections.abc import Callable, Container, Iterable
from typing import Any, NamedTuple

import numba
from numba.core import config

from ... import children
from ...files import schema
from ...parallel import serial_linear_algebra
from ..plan.plan import Plan, rebuild
from ..store import blocks
from ..store.claims import claimed
from ..store.folder import Store


class Done(NamedTuple):
    """What one block cost."""

    block: int
    points: int
    bytes: int
    compute_seconds: float
    total_seconds: float


class Order(NamedTuple):
    """What a worker needs to know to compute one block; plain values only."""

    module: str
    plan: str
    out: str
    block: int
    threads: int
    replace: bool


def orders(plan: Plan, store: Store, indices: Iterable[int], damaged: Container[int], threads: int) -> list[Order]:
    """One order a block."""
    module = plan.job.compute.__module__
    return [Order(module, plan.canonical, str(store.folder), i, threads, i in damaged) for i in indices]


def carry_out(order: Order, stopped: Callable[[], bool] = lambda: False) -> Done | None:
    """Compute and commit one block; None if ``stopped()`` before it was written.

    A block that is there already, or that another process is computing, is left alone: no bytes are then reported.

    The number of numba threads is set for the calling thread only. Linear algebra libraries get one thread: a block's
    numbers must not depend on how many a worker happens to give them.
    """
    started = time.perf_counter()
    plan, store = rebuild(order.module, order.plan), Store(order.out)
    start, stop = plan.block(order.block)
    with claimed(store, order.block) as mine:
        if not mine or (not order.replace and store.files_of(order.block)):
            return Done(order.block, stop - start, 0, 0.0, time.perf_counter() - started)
        most = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        numba.set_num_threads(max(1, min(order.threads, most)))
        with serial_linear_algebra:
            dataset = blocks.compute(plan, order.block)
        computed = time.perf_counter()
        content = blocks.encode(dataset, blocks.block_attributes(plan, order.block, schema.versions()))
        if stopped():
            return None
        store.commit(order.block, content)
    ended = time.perf_counter()
    return Done(order.block, stop - start, len(content), computed - started, ended - started)


def main() -> None:
    """Serve orders from stdin until it is closed."""
    # Whatever a job prints goes to stderr: stdout is the answer line.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for order in children.orders():
        try:
            answer: dict[str, Any] = {"done": carry_out(Order(*order))}
        except Exception as error:
            number, path = getattr(error, "errno", None), getattr(error, "filename", None)
            message = getattr(error, "strerror", None) or str(error)
            answer = {"error": [type(error).__name__, message, number, path]}
        try:
            print(json.dumps(answer), file=answers)
        except BrokenPipeError:
            return
