"""Progress of long work on stderr: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import threading
import time

#: Seconds between two plain lines.
_LINE_EVERY = 5.0


class _Lines:
    """Progress as plain lines, none for work shorter than the interval between two."""

    def __init__(self, total, unit):
        self._total, self._unit = total, unit
        self._done, self._start, self._shown = 0, time.monotonic(), time.monotonic()

    def update(self, count):
        self._done += count
        now = time.monotonic()
        if now - self._shown >= _LINE_EVERY and self._done >= 0.05 * self._total:
            self._shown = now
            rate = self._done / (now - self._start)
            left = (self._total - self._done) / rate if rate > 0 else float("inf")
            print(
                f"{self._done}/{self._total} {self._unit} ({100 * self._done / self._total:.0f} %), "
                f"{rate:.3g} {self._unit}/s, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def close(self):
        pass


class _Silent:
    def update(self, count):
        pass

    def close(self):
        pass


class _Locked:
    """Lets several threads report to one bar."""

    def __init__(self, bar):
        self._bar, self._lock = bar, threading.Lock()

    def update(self, count):
        with self._lock:
            self._bar.update(count)


@contextlib.contextmanager
def progress_bar(total, unit, shown=True):
    """A bar with ``update(count)``, safe to call from any thread.

    Parameters
    ----------
    total : int
        Units of work.
    unit : str
        What is counted, plural.
    shown : bool
        False: nothing is printed.
    """
    if not shown:
        bar = _Silent()
    elif sys.stderr.isatty():
        from tqdm import tqdm

        bar = tqdm(total=total, unit=" " + unit, unit_scale=True, file=sys.stderr, leave=False, dynamic_ncols=True)
    else:
        bar = _Lines(total, unit)
    try:
        yield _Locked(bar)
    finally:
        bar.close()
