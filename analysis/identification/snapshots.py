"""Snapshots of a network's weights along learning, and the path between them.

A change between two snapshots is the sum of all updates between, each at the weights of its own epoch. They are not
known; the path is interpolated, cubic between the snapshots, and the sum taken by the two points that have the mean and
the variance of the epochs: exact for updates that change along the path no faster than its cube. The slopes at the
snapshots are the mean updates of a rule that fits, which a fast transition of learning does not smear; before any is
known, those of parabolas through three snapshots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fastmodes.typing import FloatArray


class Weights(NamedTuple):
    """A (.., n_out, n_hidden), W (.., n_hidden, n_hidden), B (.., n_hidden, n_in) of many networks."""

    readout: FloatArray
    recurrent: FloatArray
    input: FloatArray


class Changes(NamedTuple):
    """What is explained: the change in every interval, the updates it holds, and networks on its path.

    ``changes`` (interval, ..), ``updates`` (interval,), ``nodes`` and ``rough`` (2, interval, ..): weights at two
    epochs of every interval, on the best path that is known and on one of lower order, to tell how well it is known.
    """

    changes: Weights
    updates: FloatArray
    nodes: Weights
    rough: Weights


def changes_of(snapshots: Weights, epochs: FloatArray, slopes: Weights | None = None) -> Changes:
    """Changes between neighbouring snapshots, which are the first axis; ``slopes``: change per update there."""
    updates = np.diff(epochs).astype(float)
    # The mean and the standard deviation of 0, 1 .. u - 1 as shares of u.
    middle, spread = (updates - 1) / (2 * updates), np.sqrt((updates**2 - 1) / 12) / updates
    places = np.stack([middle - spread, middle + spread])
    changes = Weights(*(np.diff(part, axis=0) for part in snapshots))
    simple = _cubics(snapshots, finite_slopes(snapshots, epochs), epochs, places)
    if slopes is None:
        return Changes(changes, updates, simple, Weights(*(_straight(part, places) for part in snapshots)))
    return Changes(changes, updates, _cubics(snapshots, slopes, epochs, places), simple)


def _straight(values: FloatArray, places: FloatArray) -> FloatArray:
    place = places[..., None, None]
    return values[:-1] + place * np.diff(values, axis=0)


def finite_slopes(snapshots: Weights, epochs: FloatArray) -> Weights:
    """Slopes from the parabola through three neighbours, at the ends one-sided."""
    return Weights(*(_slopes(part, epochs) for part in snapshots))


def _slopes(values: FloatArray, epochs: FloatArray) -> FloatArray:
    width = np.diff(epochs)[:, None, None]
    secant = np.diff(values, axis=0) / width
    inner = (width[1:] * secant[:-1] + width[:-1] * secant[1:]) / (width[1:] + width[:-1])
    if not len(inner):
        return np.concatenate([secant, secant])
    return np.concatenate([2 * secant[:1] - inner[:1], inner, 2 * secant[-1:] - inner[-1:]])


def _cubics(snapshots: Weights, slopes: Weights, epochs: FloatArray, places: FloatArray) -> Weights:
    """Cubic Hermite interpolation."""
    width, p = np.diff(epochs)[:, None, None], places[..., None, None]
    first, last = (1 + 2 * p) * (1 - p) ** 2, p**2 * (3 - 2 * p)
    rise, fall = width * p * (1 - p) ** 2, width * p**2 * (1 - p)
    return Weights(
        *(
            first * part[:-1] + last * part[1:] + rise * slope[:-1] - fall * slope[1:]
            for part, slope in zip(snapshots, slopes, strict=True)
        )
    )
