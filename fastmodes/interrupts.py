"""Stopping early: Ctrl-C and SIGTERM leave every computing function at once, and what works for it stops too.

The main thread never computes for long itself: it waits for threads (:mod:`fastmodes.parallel`), and a signal ends the
waiting. A :class:`Stop` then tells the threads to end; Python looks at it between blocks, kernels that can run for more
than a second look at a number of their own, see :func:`fastmodes.kernels.compile.halted`. The kernels of one update by
recursion or on given sequences, and the compiler, do not: they are left behind, to end by themselves.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from .typing import IntArray

#: Seconds that work gets to stop before its thread is left behind.
PATIENCE = 0.5


class Stopped(BaseException):
    """Ends the work of a thread whose results nobody waits for any more."""


class Stop:
    """Whether a piece of work is to end, also if what it is part of is to end.

    Parameters
    ----------
    within : Stop, optional
        What the work is part of.
    """

    def __init__(self, within: Stop | None = None) -> None:
        self._watched: dict[int, IntArray] = {}
        self._set, self._within, self._lock = False, within, threading.Lock()

    def is_set(self) -> bool:
        """Whether the work is to end."""
        return self._set or (self._within is not None and self._within.is_set())

    def set(self) -> None:
        """Tell everyone, kernels included, to end."""
        self._set = True
        with self._lock:
            for flags in self._watched.values():
                flags.flat[-1] = 1

    def watch(self, flags: IntArray) -> None:
        """Let the last number of an int64 array become 1 when the work is to end."""
        with self._lock:
            self._watched[id(flags)] = flags
        if self._within is not None:
            self._within.watch(flags)
        if self._set:
            flags.flat[-1] = 1

    def forget(self, flags: IntArray) -> None:
        """No longer watch for an array."""
        with self._lock:
            self._watched.pop(id(flags), None)
        if self._within is not None:
            self._within.forget(flags)


_here = threading.local()
_never = Stop()
_running: weakref.WeakSet[Stop] = weakref.WeakSet()


def current_stop() -> Stop:
    """The Stop of the work that the calling thread does; one that is never set where nobody could."""
    return getattr(_here, "stop", _never)


@contextlib.contextmanager
def working_for(stop: Stop) -> Iterator[None]:
    """Inside, the calling thread works for ``stop``."""
    before = current_stop()
    _here.stop = stop
    _running.add(stop)
    try:
        yield
    finally:
        _here.stop = before


def leave_if_stopped() -> None:
    """Raise :class:`Stopped` if the calling thread's work is to end: for loops over long steps in Python."""
    if current_stop().is_set():
        raise Stopped


@contextlib.contextmanager
def halting(*arrays: IntArray) -> Iterator[None]:
    """Inside, the last number of each int64 array becomes 1 when the calling thread's work is to end.

    Raises
    ------
    Stopped
        At the end, if it was: what a kernel that returned early has left is no result.
    """
    stop = current_stop()
    for flags in arrays:
        stop.watch(flags)
    try:
        yield
    finally:
        for flags in arrays:
            stop.forget(flags)
    leave_if_stopped()


@contextlib.contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Inside, SIGTERM raises KeyboardInterrupt, as Ctrl-C does; outside the main thread nothing changes."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    saved = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, saved)


@atexit.register
def _stop_everything() -> None:
    """Threads left behind get a moment to leave their kernels before the process takes memory away from them."""
    from .compiling import compiling
    from .parallel import busy_workers

    with contextlib.suppress(RuntimeError):
        for stop in list(_running):
            stop.set()
    deadline = time.monotonic() + PATIENCE
    while busy_workers() and not compiling() and time.monotonic() < deadline:
        time.sleep(0.01)
