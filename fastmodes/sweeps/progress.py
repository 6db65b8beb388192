"""How far a sweep is: a bar on a terminal, a plain line every few seconds otherwise; always on stderr."""

import sys
import time

import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts points; shows points per second and the time that remains.

    Parameters
    ----------
    total, done : int
        All points, and those that were there already.
    show : bool
        Without it, nothing is printed.
    """

    def __init__(self, total, done, show):
        self.total, self.before, self.done = total, done, done
        self.started = self.last = time.monotonic()
        terminal = show and sys.stderr.isatty()
        self.bar = tqdm.tqdm(total=total, initial=done, unit="point", unit_scale=True) if terminal else None
        self.lines = show and not terminal

    def add(self, points):
        """Count ``points`` more."""
        self.done += points
        if self.bar is not None:
            self.bar.update(points)
        elif self.lines and time.monotonic() - self.last >= _SECONDS_BETWEEN_LINES:
            self._print_line()

    def _print_line(self):
        self.last = time.monotonic()
        rate = (self.done - self.before) / max(self.last - self.started, 1e-9)
        left = duration((self.total - self.done) / rate) if rate else "unknown"
        print(f"{self.done} of {self.total} points, {rate:.3g} points/s, {left} left", file=sys.stderr, flush=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()
        elif self.lines and self.done > self.before:
            self._print_line()


def duration(seconds):
    """Seconds in words a reader can take in: "3.2 s", "12 min", "4.1 h", "9 days"."""
    for unit, size, below in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172800)):
        if seconds < below:
            return f"{seconds / size:.2g} {unit}" if seconds / size < 10 else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def byte_count(count):
    """Bytes in words: "1.5 MB"."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count} {unit}" if unit == "bytes" else f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError("unreachable")
