"""Progress of long work on stderr: a bar on a terminal and in a notebook, plain lines elsewhere.

The time left is estimated without the time spent compiling. ``FASTMODES_QUIET=1`` shows nothing.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from .compiling import quiet, seconds_compiling

#: Seconds between two plain lines, and between two states of the line in a notebook.
_LINE_EVERY, _NOTEBOOK_EVERY = 5.0, 0.5


class _Lines:
    """Progress as plain lines, none for work shorter than the interval between two."""

    _every = _LINE_EVERY

    def __init__(self, total: int, unit: str) -> None:
        self._total, self._unit, self._done = total, unit, 0
        self._start, self._shown, self._compiling = time.monotonic(), time.monotonic(), seconds_compiling()

    def update(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._shown >= self._every and self._done >= 0.05 * self._total:
            self._shown = now
            self._show(self._line(now))

    def _line(self, now: float) -> str:
        spent = now - self._start - (seconds_compiling() - self._compiling)
        rate = self._done / spent if spent > 0 else 0.0
        left = f"{(self._total - self._done) / rate:.0f} s left" if rate > 0 else "time left unknown"
        share = 100 * self._done / self._total
        return f"{self._done}/{self._total} {self._unit} ({share:.0f} %), {rate:.3g} {self._unit}/s, {left}"

    def _show(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class _NotebookLine(_Lines):
    """One line of a notebook's cell, rewritten in place."""

    _every = _NOTEBOOK_EVERY

    def __init__(self, total: int, unit: str) -> None:
        from IPython.display import display

        super().__init__(total, unit)
        self._handle = display({"text/plain": f"0/{total} {unit}"}, raw=True, display_id=True)

    def _show(self, line: str) -> None:
        self._handle.update({"text/plain": line}, raw=True)

    def close(self) -> None:
        self._show(self._line(time.monotonic()))


class _Bar:
    """A bar of tqdm whose clock stands still while kernels compile."""

    def __init__(self, kind: Any, total: int, unit: str) -> None:
        self._bar = kind(
            total=total, unit=" " + unit, unit_scale=True, file=sys.stderr, leave=False, dynamic_ncols=True
        )
        self._compiling = seconds_compiling()

    def update(self, count: int) -> None:
        compiling = seconds_compiling()
        self._bar.start_t += compiling - self._compiling
        self._bar.last_print_t += compiling - self._compiling
        self._compiling = compiling
        self._bar.update(count)

    def close(self) -> None:
        self._bar.close()


class _Silent:
    def update(self, count: int) -> None:
        pass

    def close(self) -> None:
        pass


class _Locked:
    """Lets several threads report to one bar."""

    def __init__(self, bar: _Lines | _Bar | _Silent) -> None:
        self._bar, self._lock = bar, threading.Lock()

    def update(self, count: int) -> None:
        with self._lock:
            self._bar.update(count)


def _in_notebook() -> bool:
    """Whether a notebook's kernel shows what is displayed."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _make_bar(total: int, unit: str) -> _Lines | _Bar | _Silent:
    if _in_notebook():
        if importlib.util.find_spec("ipywidgets") is None:
            return _NotebookLine(total, unit)
        from tqdm.notebook import tqdm as bar

        return _Bar(bar, total, unit)
    if sys.stderr is None or sys.stderr.closed:
        return _Silent()
    if sys.stderr.isatty():
        from tqdm import tqdm

        return _Bar(tqdm, total, unit)
    return _Lines(total, unit)


@contextlib.contextmanager
def progress_bar(total: int, unit: str, shown: bool = True) -> Iterator[_Locked]:
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
    bar = _make_bar(total, unit) if shown and not quiet() else _Silent()
    try:
        yield _Locked(bar)
    finally:
        bar.close()
