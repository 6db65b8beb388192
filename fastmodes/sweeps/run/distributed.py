"""Blocks on a Dask cluster: one task a block, written by the worker that computed it."""

import asyncio
import concurrent.futures
import contextlib
import errno
import itertools
from collections.abc import Generator, Iterable
from typing import Any

from ..store.folder import Store
from .backends import BlockError, located
from .worker import Done, Order, carry_out

#: Tasks handed out ahead, per thread of the cluster: enough to keep it busy, few enough to stop quickly.
AHEAD = 4


def on_client(orders: Iterable[Order], client: Any) -> Generator[Done, None, None]:
    """Compute blocks on the workers of a ``distributed.Client``.

    A worker that dies costs a retry of its blocks, which Dask hands to another one. Each task sets its own number of
    numba threads.

    Raises
    ------
    OSError
        If a block that a worker wrote cannot be seen here: the folder must be shared. ConnectionError, if the scheduler
        is gone.
    """
    from dask.distributed import as_completed

    remaining = iter(orders)
    futures: Any = as_completed(loop=client.loop)
    given: dict[Any, tuple[Order, Any]] = {}

    def submit_ahead() -> None:
        # Counted anew each time: workers may come later, out of the queue of a batch system.
        window = max(2, AHEAD * sum(client.nthreads().values()))
        for order in itertools.islice(remaining, max(0, window - len(given))):
            future = client.submit(carry_out, order, pure=False)
            given[future.key] = order, future
            futures.add(future)

    try:
        submit_ahead()
        for future in futures:
            order, _ = given.pop(future.key)
            error = future.exception()
            if error is not None:
                raise located(order, error)
            done = future.result()
            if done.bytes:
                _check_shared(order)
            submit_ahead()
            yield done
    except (asyncio.CancelledError, concurrent.futures.CancelledError) as error:
        # Nobody but a lost scheduler cancels them.
        raise ConnectionError(
            errno.ECONNRESET, "the Dask scheduler is gone; finished blocks are kept, the same sweep goes on from there"
        ) from error
    finally:
        with contextlib.suppress(Exception):
            client.cancel([future for _, future in given.values()])


def _check_shared(order: Order) -> None:
    if not Store(order.out).files_of(order.block):
        raise BlockError(
            f"block {order.block}: written by a worker, but not seen here: {order.out!r} must be a folder that all "
            "workers share under the same path"
        )
