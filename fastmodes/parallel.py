"""Parallel driver: blocks of independent work on plain threads.

Kernels release the interpreter lock, so a thread pool uses every core. A block writes only its own slice and nothing
is summed across blocks: results are bit-identical for any number of threads. No numba threading layer is involved, so
calls from several Python threads, from Dask workers and after a fork are safe. Linear algebra libraries are held to one
thread meanwhile: the blocks fill the cores already, and sums keep their order.
"""

import concurrent.futures
import functools
import os
import threading

import numba
import threadpoolctl

from .validation import check_integer


def thread_count():
    """Threads to use: numba's current number, at most ``SLURM_CPUS_PER_TASK`` where a cluster sets it.

    ``NUMBA_NUM_THREADS`` and :func:`numba.set_num_threads` choose numba's number; processor affinity is respected.
    """
    count = numba.get_num_threads()
    granted = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(count, int(granted)) if granted.isdigit() and int(granted) > 0 else count


def check_threads(threads):
    """Threads to use: ``threads``, or :func:`thread_count` where it is None.

    Raises
    ------
    TypeError, ValueError
        If it is no whole number from 1 to 4096.
    """
    return thread_count() if threads is None else check_integer("threads", threads, 1, 4096)


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
    with serial_linear_algebra:
        if threads <= 1:
            return [_run_one(task, block, on_done) for block in blocks]
        return _run_on_threads(task, blocks, threads, on_done, stop)


@functools.cache
def _linear_algebra_libraries():
    """Handle on the BLAS libraries of the process; looking for them takes milliseconds, so once is enough."""
    # Products inside kernels are SciPy's BLAS, which numba loads no sooner than it needs it; NumPy has one of its own.
    import scipy.linalg.cython_blas  # noqa: F401

    return threadpoolctl.ThreadpoolController()


def _limit_to_one_thread():
    """Set the number to one, for the process or for the calling thread; the result can restore it."""
    return _linear_algebra_libraries().limit(limits=1, user_api="blas")


class _SerialLinearAlgebra:
    """A context that holds linear algebra libraries to one thread while any Python thread is inside.

    For most of them the number is one setting of the process: the last thread out takes back what the first one found.
    Others have one for each thread, so every thread that comes in sets it.
    """

    def __init__(self):
        self._lock, self._inside = threading.Lock(), 0

    def __enter__(self):
        with self._lock:
            _release_control()
            limit = _limit_to_one_thread()
            if not self._inside:
                self._first = limit
            self._inside += 1

    def __exit__(self, *_):
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _release_control()
                self._first.restore_original_limits()
                _release_control()


def _release_control():
    """Let any thread set OpenBLAS's number: newer threadpoolctl obeys the first one and silently ignores others."""
    release = getattr(threadpoolctl.OpenBLASController, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)


serial_linear_algebra = _SerialLinearAlgebra()


def _run_on_threads(task, blocks, threads, on_done, stop):
    with concurrent.futures.ThreadPoolExecutor(threads, initializer=_limit_to_one_thread) as pool:
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
