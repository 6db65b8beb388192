"""What compiling costs: said once for each family of kernels, and left out of every estimate of the time left.

``FASTMODES_QUIET=1`` keeps these messages, and all progress, from being shown. ``progress=False`` hides bars alone: a
call that shows none otherwise would seem to hang when it compiles.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any

from numba.core import event

from .kernels import code_cache

#: Families of kernels by the beginning of their module's name: what they are for, seconds on one processor of today.
FAMILIES = {
    "fastmodes.kernels.flow.networks": ("the flow of whole networks", 20),
    "fastmodes.kernels.flow.kinds": ("the flow of modes", 20),
    "fastmodes.kernels.modes.stability": ("stability maps", 10),
    "fastmodes.kernels.modes.iterated_map": ("discrete maps", 4),
    "fastmodes.kernels.training.infinite": ("training at infinitely many steps", 20),
    "fastmodes.kernels.training": ("training", 10),
    "fastmodes.kernels.moments": ("second moments of updates", 40),
    "fastmodes.kernels.updates.many": ("updates of many networks", 20),
    "fastmodes.kernels.updates.finite": ("updates by doubling", 15),
    "fastmodes.kernels.updates.infinite": ("updates at infinitely many steps", 15),
    "fastmodes.kernels.updates.sampled": ("sampled updates", 5),
    "fastmodes.kernels.updates.recursion": ("expected updates", 5),
}


def quiet() -> bool:
    """Whether the environment asks for silence."""
    return os.environ.get("FASTMODES_QUIET", "") not in ("", "0")


def say(message: str) -> None:
    """A line on stderr, unless silence is asked for or nobody listens."""
    if not quiet() and sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(f"fastmodes: {message}", file=sys.stderr, flush=True)


class _Clock(event.Listener):  # type: ignore[misc, unused-ignore]
    """Follows the compiler, which works for one thread at a time; kernels compile others while they are compiled."""

    def __init__(self) -> None:
        self._announced: set[str] = set()
        self._depth, self._began, self._spent = 0, 0.0, 0.0

    def on_start(self, event: Any) -> None:
        """The compiler begins with a function."""
        if self._depth == 0:
            self._began = time.monotonic()
            self._announce(getattr(event.data.get("dispatcher"), "py_func", None))
        self._depth += 1

    def on_end(self, event: Any) -> None:
        """The compiler is done with a function."""
        self._depth -= 1
        if self._depth == 0:
            self._spent += time.monotonic() - self._began

    def seconds(self) -> float:
        """Seconds spent compiling so far."""
        return self._spent + (time.monotonic() - self._began if self._depth else 0.0)

    def working(self) -> bool:
        """Whether the compiler is at work."""
        return self._depth > 0

    def _announce(self, function: object) -> None:
        module = getattr(function, "__module__", None) or ""
        for beginning, (what, seconds) in FAMILIES.items():
            if module.startswith(beginning) and beginning not in self._announced:
                self._announced.add(beginning)
                why = code_cache.cache_problem()
                kept = f"not kept for next time: {why}" if why else "kept for next time"
                say(f"compiling the kernels of {what}, about {seconds} s; {kept}")
                return
            if module.startswith(beginning):
                return


_clock = _Clock()
event.register("numba:compile", _clock)


def seconds_compiling() -> float:
    """Seconds that this process has spent compiling."""
    return _clock.seconds()


def compiling() -> bool:
    """Whether the compiler is at work: it cannot be stopped."""
    return _clock.working()


def _not_kept(why: str) -> None:
    say(f"compiled code is not kept for next time: {why}")


code_cache.listeners.append(_not_kept)
