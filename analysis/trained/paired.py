"""Tests of paired differences, seed by seed, and what several of them are worth together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastmodes.typing import ArrayLike, FloatArray

#: Sign flips, all of them where there are no more: up to 13 pairs.
_FLIPS = 9999


def paired_test(first: ArrayLike, second: ArrayLike) -> float:
    """Two-sided p of the hypothesis that the signs of paired differences are a matter of chance.

    The mean difference is held against those under flips of the pairs' signs: under all of them, exactly, where that
    are at most 9999 (up to 13 pairs), otherwise under 9999 from a fixed stream.

    Parameters
    ----------
    first, second : array (pair,)
        Pairs with a missing value drop out.

    Returns
    -------
    float
        NaN without pairs; 1 for a single one, which tells nothing, and at least 2 / 2^n for n.
    """
    from scipy.stats import permutation_test

    one, other = (np.asarray(values, dtype=float) for values in (first, second))
    there = np.isfinite(one) & np.isfinite(other)
    if not there.any():
        return np.nan
    if np.array_equal(one[there], other[there]) or there.sum() == 1:
        return 1.0

    def mean_difference(x: FloatArray, y: FloatArray, axis: int) -> Any:
        return np.mean(x - y, axis=axis)

    found = permutation_test(
        (one[there], other[there]), mean_difference, permutation_type="samples", vectorized=True, n_resamples=_FLIPS,
        rng=1,
    )  # fmt: skip
    return float(found.pvalue)


def holm(values: ArrayLike) -> FloatArray:
    """Holm's correction of several p: the largest of (m - i + 1) p_i over the smaller ones, at most 1.

    Below a level, it holds for all of them together that the chance of a single wrong rejection is below that level.

    Parameters
    ----------
    values : array (test,)
        Missing ones are no part of the family.

    Returns
    -------
    array (test,)
    """
    p = np.asarray(values, dtype=float)
    there = np.flatnonzero(np.isfinite(p))
    order = there[np.argsort(p[there], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0) if len(order) else p[order]
    return adjusted
