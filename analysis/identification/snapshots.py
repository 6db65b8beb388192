"""Snapshots of a network's weights along learning, and the path between them.

A change between two snapshots is the sum of all updates between, each at the weights of its own epoch. They are not
known; the path is interpolated, cubic between the snapshots, and the sum taken by the two points that have the mean and
the variance of the epochs: exact for updates that change along the path no faster than its cube.
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

    ``changes`` (interval, ..), ``updates`` (interval,), ``nodes`` and ``chord`` (2, interval, ..): weights at two
    epochs of every interval, on the cubic and on the straight path.
    """

    changes: Weights
    updates: FloatArray
    nodes: Weights
    chord: Weights


def changes_of(snapshots: Weights, epochs: FloatArray) -> Changes:
    """Changes between neighbouring snapshots, which are the first axis."""
    updates = np.diff(epochs).astype(float)
    # The mean and the standard deviation of 0, 1 .. u - 1 as shares of u.
    middle, spread = (updates - 1) / (2 * updates), np.sqrt((updates**2 - 1) / 12) / updates
    places = np.stack([middle - spread, middle + spread])
    changes = Weights(*(np.diff(part, axis=0) for part in snapshots))
    nodes = Weights(*(_cubic(part, epochs, places) for part in snapshots))
    chord = Weights(*(_straight(part, places) for part in snapshots))
    return Changes(changes, updates, nodes, chord)


def _straight(values: FloatArray, places: FloatArray) -> FloatArray:
    place = places[..., None, None]
    return values[:-1] + place * np.diff(values, axis=0)


def _cubic(values: FloatArray, epochs: FloatArray, places: FloatArray) -> FloatArray:
    """Cubic Hermite interpolation; slopes from the parabola through three neighbours, at the ends one-sided."""
    if len(values) < 3:
        return _straight(values, places)
    width = np.diff(epochs)[:, None, None]
    secant = np.diff(values, axis=0) / width
    inner = (width[1:] * secant[:-1] + width[:-1] * secant[1:]) / (width[1:] + width[:-1])
    slope = np.concatenate([2 * secant[:1] - inner[:1], inner, 2 * secant[-1:] - inner[-1:]])
    p = places[..., None, None]
    return (
        (1 + 2 * p) * (1 - p) ** 2 * values[:-1] + p**2 * (3 - 2 * p) * values[1:]
        + width * (p * (1 - p) ** 2 * slope[:-1] - p**2 * (1 - p) * slope[1:])
    )  # fmt: skip
