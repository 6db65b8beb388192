"""Random streams: one for each seed and purpose."""

import numpy as np

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
