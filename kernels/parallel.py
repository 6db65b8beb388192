"""Parallel driver: blocks of independent work on plain threads.

Kernels release the interpreter lock, so a thread pool uses every core. A block writes only its own slice and nothing
is summed across blocks: results are bit-identical for any number of threads. No numba threading layer is involved, so
calls from several Python threads, from Dask workers and after a fork are safe. Linear algebra libraries are held to one
thread meanwhile: the blocks fill the cores already, and sums keep their order.
"""

import concurrent.futures
import functools
import os

import numba
import threadpoolctl


def thread_count():
    """Threads to use: numba's current number, at most ``SLURM_CPUS_PER_TASK`` where a cluster sets it.

    ``NUMBA_NUM_THREADS`` and :func:`numba.set_num_threads` choose numba's number; processor affinity is respected.
    """
    count = numba.get_num_threads()
    granted = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(count, int(granted)) if granted.isdigit() and int(granted) > 0 else count


def run_blocks(task, blocks, threads=None, on_done=None, stop=None):
    """Call ``task(block)`` for every block, on ``threads`` threads, and return the results in the blocks' order.

    Parameters
    ----------
    task : callable
        Works on one block; releases the interpreter lock in its kernels.
    blocks : iterable
        Independent pieces of work.
    threads : int, optional
        Default :func:`thread_count`. With 1, everything runs in the calling thread.
    on_done : callable, optional
        Called as ``on_done(block)`` in the calling thread after each block, for progress bars.
    stop : threading.Event, optional
        Set when a block fails or the keyboard interrupts: long tasks look at it and return early.

    Raises
    ------
    Exception
        The first error of a block; blocks not yet started are dropped, also on an interrupt from the keyboard.
    """
    blocks = list(blocks)
    threads = min(thread_count() if threads is None else threads, len(blocks))
    with _linear_algebra_libraries().limit(limits=1, user_api="blas"):
        if threads <= 1:
            return [_run_one(task, block, on_done) for block in blocks]
        return _run_on_threads(task, blocks, threads, on_done, stop)


@functools.cache
def _linear_algebra_libraries():
    """Handle on the BLAS libraries of the process; looking for them takes milliseconds, so once is enough."""
    return threadpoolctl.ThreadpoolController()


def _run_on_threads(task, blocks, threads, on_done, stop):
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        futures = {pool.submit(task, block): block for block in blocks}
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
                if on_done is not None:
                    on_done(futures[future])
        except BaseException:
            if stop is not None:
                stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _run_one(task, block, on_done):
    result = task(block)
    if on_done is not None:
        on_done(block)
    return result
