"""Directions along which changes are looked at: what the likeliest rules make, where they differ, and random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .snapshots import Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastmodes.typing import FloatArray

    from .fits import Fit
    from .seen import Seen

#: Random directions of each interval, which ask whether the best rule explains the rest.
N_RANDOM = 12


class Directions(NamedTuple):
    """``along`` (interval, direction, ..) of A, W, B; ``seen`` the changes along them (interval, direction)."""

    along: Weights
    seen: FloatArray

    def projected(self, readout: FloatArray, hidden: FloatArray) -> FloatArray:
        """Changes of A, and of W and B, along the directions (interval, direction)."""
        return _projected(self.along, readout, hidden)


def _projected(along: Weights, readout: FloatArray, hidden: FloatArray) -> FloatArray:
    n = along.recurrent.shape[-1]
    pairs = zip(along, (readout, hidden[..., :n], hidden[..., n:]), strict=True)
    out = np.zeros(along.readout.shape[:2])
    for along_part, change in pairs:
        flat = along_part.reshape(*out.shape, -1)
        out += (flat @ change.reshape(len(change), -1, 1))[..., 0]
    return out


def directions_for(seen: Seen, found: Sequence[Fit], random: np.random.Generator) -> Directions:
    """Along the first fit, along its differences from the others, each for A, W and B, and random directions."""
    n = seen.hidden.shape[-2]
    no_readout, no_hidden = np.zeros_like(seen.readout), np.zeros_like(seen.hidden)
    pairs = [(found[0].readout, no_hidden)]
    for i, fit in enumerate(found):
        change = found[0].hidden - fit.hidden if i else fit.hidden
        for part in (slice(None, n), slice(n, None)):
            one = np.zeros_like(change)
            one[..., part] = change[..., part]
            pairs.append((no_readout, one))
    return seen_along(seen, [*pairs, *random_pairs(seen, N_RANDOM, random)])


def random_pairs(seen: Seen, count: int, random: np.random.Generator) -> list[tuple[FloatArray, FloatArray]]:
    """Random directions of A, and of W and B."""
    return [
        (random.standard_normal(seen.readout.shape), random.standard_normal(seen.hidden.shape)) for _ in range(count)
    ]


def seen_along(seen: Seen, pairs: Sequence[tuple[FloatArray, FloatArray]]) -> Directions:
    """The changes along pairs of directions of A, and of W and B, as far as these are seen."""
    n = seen.hidden.shape[-2]
    readout = np.stack([pair[0] for pair in pairs], 1) * seen.columns
    hidden = np.stack([pair[1] for pair in pairs], 1) * seen.rows[:, None]
    along = Weights(readout, hidden[..., :n], hidden[..., n:])
    return Directions(along, _projected(along, seen.readout, seen.hidden))
