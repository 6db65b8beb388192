"""Updates of many students as vectors of the weights that learn, (student, weight)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..typing import BoolArray, FloatArray

#: Share of an update's size with a silent teacher below which it is rounding: errors are about 1e-15 of it.
AT_REST = 1e-12


def flat(parts: Sequence[FloatArray], learns: Sequence[Any]) -> FloatArray:
    """All weights that learn of every student as one vector."""
    return np.concatenate([(part * on).reshape(len(part), -1) for part, on in zip(parts, learns, strict=True)], axis=1)


def at_rest(vectors: FloatArray, silent: FloatArray) -> BoolArray:
    """Whether each update is nothing but rounding; ``silent`` are the same ones with a silent teacher."""
    resting: BoolArray = norms(vectors) <= AT_REST * norms(silent)
    return resting


def cosines(one: FloatArray, other: FloatArray) -> FloatArray:
    """Cosine of every vector with its partner, (student, weight) each; NaN where one of them is zero."""
    with np.errstate(all="ignore"):
        units = [vectors / np.abs(vectors).max(axis=1, keepdims=True) for vectors in (one, other)]
        units = [vectors / np.sqrt((vectors**2).sum(axis=1, keepdims=True)) for vectors in units]
        cosine: FloatArray = np.clip((units[0] * units[1]).sum(axis=1), -1.0, 1.0)
    return cosine


def norms(vectors: FloatArray) -> FloatArray:
    """Norm of every vector, whose squares may overflow."""
    largest = np.abs(vectors).max(axis=1)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    size: FloatArray = scale * np.sqrt(((vectors / scale[:, np.newaxis]) ** 2).sum(axis=1))
    return size
