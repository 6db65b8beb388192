"""Durations, byte counts and lists of blocks in words."""

from collections.abc import Sequence


def duration(seconds: float) -> str:
    """Seconds in words a reader can take in: "3.2 s", "12 min", "4.1 h", "9 days"."""
    for unit, size, below in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172800)):
        if seconds < below:
            return f"{seconds / size:.2g} {unit}" if seconds / size < 10 else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def byte_count(count: float) -> str:
    """Bytes in words: "1.5 MB"."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count} {unit}" if unit == "bytes" else f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def listed_blocks(blocks: Sequence[int]) -> str:
    """The first twenty block numbers, and how many more there are."""
    return ", ".join(map(str, blocks[:20])) + (f" and {len(blocks) - 20} more" if len(blocks) > 20 else "")
