"""Parallel driver: blocks of independent work on plain threads.

Kernels release the interpreter lock, so a thread pool uses every core. A block writes only its own slice and nothing
is summed across blocks: results are bit-identical for any number of threads. No numba threading layer is involved, so
calls from several Python threads, from Dask workers and after a fork are safe. Linear algebra libraries are held to one
thread meanwhile: the blocks fill the cores already, and sums keep their order.

The main thread only waits, also for a single block, so that Ctrl-C ends the waiting at once; see
:mod:`fastmodes.interrupts` for how the threads learn of it. They are daemons: one that does not, in the middle of a
large matrix product or of compiling, does not hold the process up.
"""

from __future__ import annotations

import collections
import contextlib
import contextvars
import functools
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

import numba
import threadpoolctl

from .compiling import compiling
from .interrupts import PATIENCE, Stop, Stopped, current_stop, working_for
from .validation import check_integer

if TYPE_CHECKING:
    from types import CodeType

_Block = TypeVar("_Block")
_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


def thread_count() -> int:
    """Threads to use: numba's current number, at most ``SLURM_CPUS_PER_TASK`` where a cluster sets it.

    ``NUMBA_NUM_THREADS`` and :func:`numba.set_num_threads` choose numba's number; processor affinity is respected.
    """
    count: int = numba.get_num_threads()
    granted = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(count, int(granted)) if granted.isdigit() and int(granted) > 0 else count


def check_threads(threads: int | None) -> int:
    """Threads to use: ``threads``, or :func:`thread_count` where it is None.

    Raises
    ------
    TypeError, ValueError
        If it is no whole number from 1 to 4096.
    """
    return thread_count() if threads is None else check_integer("threads", threads, 1, 4096)


def run_blocks(
    task: Callable[[_Block], _Result],
    blocks: Iterable[_Block],
    threads: int | None = None,
    on_done: Callable[[_Block], object] | None = None,
    quick: bool = False,
) -> list[_Result]:
    """Call ``task(block)`` for every block, on ``threads`` threads, and return the results in the blocks' order.

    Parameters
    ----------
    task : callable
        Works on one block; releases the interpreter lock in its kernels. Long ones look at
        :func:`fastmodes.interrupts.current_stop`.
    blocks : iterable
        Independent pieces of work.
    threads : int, optional
        Default :func:`thread_count`. With 1, blocks are done one after another.
    on_done : callable, optional
        Called as ``on_done(block)`` in the calling thread after each block, for progress bars.
    quick : bool
        The work takes less time than waking a thread: once it has been done (and compiled), it is done right here.

    Raises
    ------
    Exception
        The first error of a block; blocks not yet started are dropped, also on an interrupt from the keyboard.
    """
    blocks = list(blocks)
    threads = min(thread_count() if threads is None else threads, len(blocks))
    with serial_linear_algebra:
        here = threading.current_thread() is not threading.main_thread() or (quick and task.__code__ in _done_before)
        if threads <= 1 and here:
            return [_run_here(task, block, on_done) for block in blocks]
        results = _run_on_threads(task, blocks, max(threads, 1), on_done) if blocks else []
        if quick:
            _done_before.add(task.__code__)
        return results


#: Code of quick tasks whose kernels are compiled.
_done_before: set[CodeType] = set()


def interruptibly(function: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
    """Call a function that may compute for seconds, such that the main thread can be interrupted."""
    return run_blocks(lambda _: function(*arguments), [None], 1)[0]


def _run_here(task: Callable[[_Block], _Result], block: _Block, on_done: Callable[[_Block], object] | None) -> _Result:
    if current_stop().is_set():
        raise Stopped
    result = task(block)
    if on_done is not None:
        on_done(block)
    return result


@functools.cache
def _linear_algebra_libraries() -> threadpoolctl.ThreadpoolController:
    """Handle on the BLAS libraries of the process; looking for them takes milliseconds, so once is enough."""
    # Products inside kernels are SciPy's BLAS, which numba loads no sooner than it needs it; NumPy has one of its own.
    import scipy.linalg.cython_blas  # noqa: F401

    return threadpoolctl.ThreadpoolController()


def _limit_to_one_thread() -> Any:
    """Set the number to one, for the process or for the calling thread; the result can restore it."""
    return _linear_algebra_libraries().limit(limits=1, user_api="blas")


class _SerialLinearAlgebra:
    """A context that holds linear algebra libraries to one thread while any Python thread is inside.

    For most of them the number is one setting of the process: the last thread out takes back what the first one found.
    Others have one for each thread, so every thread that comes in sets it.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            _release_control()
            limit = _limit_to_one_thread()
            if not self._inside:
                self._first = limit
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _release_control()
                self._first.restore_original_limits()
                _release_control()


def _release_control() -> None:
    """Let any thread set OpenBLAS's number: newer threadpoolctl obeys the first one and silently ignores others."""
    release = getattr(threadpoolctl.OpenBLASController, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)


serial_linear_algebra = _SerialLinearAlgebra()


_busy: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def busy_workers() -> int:
    """How many threads are at work."""
    return sum(thread.is_alive() for thread in list(_busy))


def _run_on_threads(
    task: Callable[[_Block], _Result],
    blocks: Sequence[_Block],
    threads: int,
    on_done: Callable[[_Block], object] | None,
) -> list[_Result]:
    finished: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()
    todo, stop = collections.deque(enumerate(blocks)), Stop(current_stop())
    # What a task itself gives to threads shares the same processors.
    inside = max(1, numba.get_num_threads() // threads)

    def serve() -> None:
        _limit_to_one_thread()
        with contextlib.suppress(Stopped), working_for(stop):
            numba.set_num_threads(inside)
            while not stop.is_set():
                try:
                    place, block = todo.popleft()
                except IndexError:
                    break
                try:
                    finished.put((place, task(block), None))
                except BaseException as error:
                    finished.put((place, None, error))
                    break

    workers = [
        threading.Thread(target=contextvars.copy_context().run, args=(serve,), daemon=True, name="fastmodes")
        for _ in range(threads)
    ]
    results: list[Any] = [None] * len(blocks)
    try:
        for worker in workers:
            _busy.add(worker)
            worker.start()
        for _ in blocks:
            place, results[place], error = _patiently(finished, current_stop())
            if error is not None:
                raise error
            if on_done is not None:
                on_done(blocks[place])
    except BaseException:
        stop.set()
        _wait_for(workers)
        raise
    for worker in workers:
        worker.join()
    return results


def _patiently(finished: queue.SimpleQueue[_Result], outer: Stop) -> _Result:
    """Take the next answer. Waiting in short steps lets signals through, wherever the system delivers them."""
    while True:
        with contextlib.suppress(queue.Empty):
            return finished.get(timeout=0.1)
        if outer.is_set():
            raise Stopped


def _wait_for(workers: Sequence[threading.Thread]) -> None:
    """Wait until threads have stopped, but no longer than a moment, and not for the compiler."""
    deadline = time.monotonic() + PATIENCE
    while any(map(threading.Thread.is_alive, workers)) and not compiling() and time.monotonic() < deadline:
        time.sleep(0.002)
