"""Values of runs at equal loss: where the loss of each first falls to a level, between two records.

Between the records k - 1, above the level, and k, the first at it or below, the loss is taken to fall exponentially:

    f = log(L_{k-1} / level) / log(L_{k-1} / L_k),    value = (1 - f) q_{k-1} + f q_k,

and linearly where L_k is 0. Later rises do not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from fastmodes.typing import FloatArray

#: Values of ``passage_status``.
REACHED, NEVER_REACHED, BEGAN_BELOW, NO_VALUE = range(4)
PASSAGES = ("reached", "never_reached", "began_below", "no_value")


class Passages(NamedTuple):
    """What runs have at levels, each (level, ...): the value, the epoch, and a code of :data:`PASSAGES`."""

    value: FloatArray
    epoch: FloatArray
    status: NDArray[Any]


def at_loss(levels: FloatArray, loss: FloatArray, value: FloatArray, epochs: FloatArray) -> Passages:
    """Values where the loss first falls to each level.

    Parameters
    ----------
    levels : array (level,)
    loss, value : array (..., epoch)
    epochs : array (epoch,)

    Returns
    -------
    Passages
        NaN for runs that never reach a level, or are below it at their first record, so that it is not known when
        they passed it; and where the value is missing beside the passage.
    """
    shape = (len(levels), *loss.shape[:-1])
    where, share = np.zeros(shape, dtype=int), np.full(shape, np.nan)
    status = np.full(shape, NEVER_REACHED, np.int8)
    with np.errstate(all="ignore"):
        for i, level in enumerate(levels):
            below = loss <= level
            k = np.argmax(below, axis=-1)
            status[i] = np.select([~below.any(axis=-1), k == 0], [NEVER_REACHED, BEGAN_BELOW], REACHED)
            where[i] = np.maximum(k, 1)
            if loss.shape[-1] > 1:
                share[i] = _share(level, _taken(loss, where[i] - 1), _taken(loss, where[i]))
    share[status != REACHED] = np.nan
    if loss.shape[-1] == 1:
        return Passages(np.full(shape, np.nan), np.full(shape, np.nan), status)
    along = np.broadcast_to(epochs.astype(float), loss.shape)
    found = _between(value, where, share)
    status[(status == REACHED) & ~np.isfinite(found)] = NO_VALUE
    return Passages(found, _between(along, where, share), status)


def at_epoch(levels: FloatArray, value: FloatArray, epochs: FloatArray) -> Passages:
    """Values at epochs, linear between two records; NaN where one of them is missing."""
    where = np.clip(np.searchsorted(epochs, levels), 1, max(len(epochs) - 1, 1))
    shape = (len(levels), *value.shape[:-1])
    if len(epochs) == 1:
        found = np.broadcast_to(value[..., 0], shape).copy()
    else:
        share = (levels - epochs[where - 1]) / (epochs[where] - epochs[where - 1])
        around = (-1, *(1,) * (value.ndim - 1))
        found = _between(value, np.broadcast_to(where.reshape(around), shape), share.reshape(around))
    status = np.where(np.isfinite(found), REACHED, NO_VALUE).astype(np.int8)
    return Passages(found, np.broadcast_to(levels.reshape(-1, *(1,) * (value.ndim - 1)), shape).astype(float), status)


def _share(level: float, before: FloatArray, after: FloatArray) -> FloatArray:
    """How far between two records the level lies; linearly where the loss falls to nothing, or from infinity."""
    steep = (after <= 0) | np.isinf(before)
    linear = np.where(np.isinf(before), 1.0, (before - level) / (before - after))
    share: FloatArray = np.where(steep | (level <= 0), linear, np.log(before / level) / np.log(before / after))
    return share


def _taken(values: FloatArray, places: NDArray[Any]) -> FloatArray:
    return np.take_along_axis(values, places[..., np.newaxis], axis=-1)[..., 0]


def _between(values: FloatArray, where: NDArray[Any], share: FloatArray) -> FloatArray:
    """Values between two records, (level, ...); a record that is met exactly needs no other."""
    before, after = (np.stack([_taken(values, places) for places in where - late]) for late in (1, 0))
    with np.errstate(all="ignore"):
        inside = (1.0 - share) * before + share * after
    found: FloatArray = np.where(share == 0, before, np.where(share == 1, after, inside))
    return found


def loss_levels(loss: FloatArray, count: int) -> FloatArray:
    """Levels that most runs pass, from high to low, evenly in their logarithm.

    From the lowest loss at which a run begins down to what half the runs of every rule reach; where no such range is
    (a rule that learns nothing, or loses all its runs), down to the lowest loss of all.

    Parameters
    ----------
    loss : array (rule, seed, epoch)
    count : int
    """
    known = np.where(np.isfinite(loss) & (loss > 0), loss, np.nan)
    if not np.isfinite(known).any():
        return np.ones(1)
    lowest = np.where(np.isnan(known).all(-1), np.inf, np.nanmin(np.where(np.isnan(known), np.inf, known), axis=-1))
    starts = known[..., 0][np.isfinite(known[..., 0])]
    high = starts.min() if starts.size else np.nanmax(known)
    low = np.median(lowest, axis=1).max()
    low = low if low < high else np.nanmin(known)
    if not low < high:
        return np.array([high])
    # The ends themselves are met by one run alone.
    return np.geomspace(high, low, count + 2)[1:-1] if count > 1 else np.array([np.sqrt(high * low)])
