"""Random streams: one for each seed and purpose."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .validation import check_integer


def random_stream(seed: int, purpose: str) -> np.random.Generator:
    """Independent random stream of one seed and one purpose, the same whatever else is drawn.

    Parameters
    ----------
    seed : int
        Non-negative.
    purpose : str
        What the numbers are for, such as "student"; part of the stream's identity.

    Raises
    ------
    TypeError, ValueError
        If the seed is not a non-negative whole number below 2**63.
    """
    seed = check_integer("seed", seed, 0, 2**63 - 1)
    words = np.frombuffer(purpose.encode().ljust(-(-len(purpose) // 4) * 4), dtype="<u4")
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=tuple(int(word) for word in words))
    return np.random.Generator(np.random.SFC64(sequence))


def stream_state(stream: np.random.Generator) -> NDArray[np.uint64]:
    """Where a stream stands, (4,)."""
    return np.asarray(stream.bit_generator.state["state"]["state"], dtype=np.uint64).copy()


def with_state(stream: np.random.Generator, state: NDArray[np.uint64]) -> None:
    """Let a stream stand where one stood at ``state``."""
    whole: Any = dict(stream.bit_generator.state)
    whole["state"] = {"state": np.asarray(state, dtype=np.uint64)}
    stream.bit_generator.state = whole
