"""Where blocks are computed: threads of this process, worker processes, a Dask cluster.

Each backend is a generator: orders in, one :class:`~fastmodes.sweeps.run.worker.Done` out per finished block. Closing
it, or an interrupt inside it, abandons the running blocks; nothing half done is ever left under a block's name.
"""

from __future__ import annotations

import collections
import contextlib
import json
import queue
import selectors
import threading
import time
from collections.abc import Generator, Sequence
from typing import Any, TypeAlias

from ... import children
from ...interrupts import Stop, working_for
from .worker import Done, Order, carry_out

#: Seconds that blocks being written get to finish after an interrupt.
PATIENCE = 1.0
#: A block that ends this many workers is given up.
ATTEMPTS = 3


#: An order, what it cost unless it was stopped, and the error that ended it.
_Result: TypeAlias = tuple[Order, Done | None, BaseException | None]


class BlockError(RuntimeError):
    """A block could not be computed; the message says which and why."""


def on_threads(orders: Sequence[Order], threads: int) -> Generator[Done, None, None]:
    """Compute blocks on ``threads`` threads of this process."""
    todo, stop = collections.deque(orders), Stop()
    results: queue.SimpleQueue[_Result] = queue.SimpleQueue()

    def serve() -> None:
        with working_for(stop):
            serve_here()

    def serve_here() -> None:
        while not stop.is_set():
            try:
                order = todo.popleft()
            except IndexError:
                return
            try:
                results.put((order, carry_out(order, stop.is_set), None))
            except BaseException as error:
                results.put((order, None, error))
                stop.set()

    # Daemons: the process may end while a long block is still being computed.
    workers = [threading.Thread(target=serve, daemon=True, name=f"sweep-{i}") for i in range(threads)]
    try:
        for worker in workers:
            worker.start()
        for _ in range(len(orders)):
            order, done, error = _patiently(results)
            if error is not None:
                raise located(order, error)
            if done is not None:
                yield done
    finally:
        stop.set()
        deadline = time.monotonic() + PATIENCE
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))


def _patiently(results: queue.SimpleQueue[_Result]) -> _Result:
    """Take the next result; waiting in short steps lets signals through."""
    while True:
        with contextlib.suppress(queue.Empty):
            return results.get(timeout=0.1)


def located(order: Order, error: BaseException) -> BaseException:
    """The error of one block as the user sees it: the system's own as they are, others with the block's number."""
    if isinstance(error, OSError | KeyboardInterrupt):
        return error
    located = BlockError(f"block {order.block}: {type(error).__name__}: {error}")
    located.__cause__ = error
    return located


class _Worker:
    """A worker process and the order it is busy with."""

    #: The first worker of this process says on stderr what it compiles, for all.
    quiet = False

    def __init__(self) -> None:
        self.process = children.start("fastmodes.sweeps.run.worker", "main", quiet=_Worker.quiet)
        assert self.process.stdout is not None
        self.stdout = self.process.stdout
        _Worker.quiet = True
        self.order: Order | None = None

    def give(self, order: Order) -> None:
        self.order = order
        children.give(self.process, order)

    def answer(self) -> Any:
        """The answer to the order, or None if the process has died."""
        line = self.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None

    def end(self) -> None:
        children.end(self.process)


def on_processes(orders: Sequence[Order], processes: int) -> Generator[Done, None, None]:
    """Compute blocks in ``processes`` worker processes; one that dies costs a retry of its block."""
    todo, left = collections.deque(orders), len(orders)
    attempts: collections.Counter[int] = collections.Counter()
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as ended:

        def start(order: Order) -> None:
            worker = _Worker()
            ended.callback(worker.end)
            selector.register(worker.stdout, selectors.EVENT_READ, worker)
            worker.give(order)

        for _ in range(min(processes, len(todo))):
            start(todo.popleft())
        while left:
            for key, _ in selector.select(timeout=0.1):
                worker, order = key.data, key.data.order
                answer = worker.answer()
                if answer is None:
                    selector.unregister(worker.stdout)
                    worker.end()
                    if order is None:
                        continue
                    attempts[order.block] += 1
                    if attempts[order.block] >= ATTEMPTS:
                        raise BlockError(
                            f"block {order.block}: its worker process died {ATTEMPTS} times; is there enough memory?"
                        )
                    start(order)
                    continue
                if "error" in answer:
                    raise _rebuilt(order, *answer["error"])
                left -= 1
                worker.order = None
                if todo:
                    worker.give(todo.popleft())
                yield Done(*answer["done"])


def _rebuilt(order: Order, kind: str, message: str, number: int | None, filename: str | None) -> Exception:
    if number is not None:
        return OSError(number, message, filename)
    return BlockError(f"block {order.block}: {kind}: {message}")
