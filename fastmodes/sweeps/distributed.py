"""Blocks on a Dask cluster: one task a block, written by the worker that computed it."""

import contextlib

from .backends import BlockError, _located
from .worker import carry_out

#: Tasks handed out ahead, per thread of the cluster: enough to keep it busy, few enough to stop quickly.
AHEAD = 4


def on_client(orders, client):
    """Compute blocks on the workers of a ``distributed.Client``.

    A worker that dies costs a retry of its blocks, which Dask hands to another one. Each task sets its own number of
    numba threads.

    Raises
    ------
    OSError
        If a block that a worker wrote cannot be seen here: the folder must be shared.
    """
    from dask.distributed import as_completed

    remaining = iter(orders)
    window = max(2, AHEAD * sum(client.nthreads().values()))
    given = {}

    def submit():
        order = next(remaining, None)
        if order is None:
            return None
        future = client.submit(carry_out, order, pure=False, retries=0)
        given[future.key] = order
        return future

    futures = as_completed(filter(None, [submit() for _ in range(min(window, len(orders)))]))
    try:
        for future in futures:
            order = given.pop(future.key)
            error = future.exception()
            if error is not None:
                raise _located(order, error)
            done = future.result()
            _check_shared(order)
            following = submit()
            if following is not None:
                futures.add(following)
            yield done
    finally:
        with contextlib.suppress(Exception):
            client.cancel([future for future, _ in futures.queue.queue] + list(futures.futures))


def _check_shared(order):
    from .store import Store

    if not Store(order.out).files_of(order.block):
        raise BlockError(
            f"block {order.block}: written by a worker, but not seen here: {order.out!r} must be a folder that all "
            "workers share under the same path"
        )
