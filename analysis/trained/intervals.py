"""Intervals for counts and for medians over seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastmodes.typing import ArrayLike


#: Confidence of all intervals.
CONFIDENCE = 0.95
_RESAMPLES = 2000


def count_interval(successes: int, total: int) -> tuple[float, float]:
    """Wilson's interval for a proportion.

    Parameters
    ----------
    successes, total : int

    Returns
    -------
    low, high : float
        Bounds of the proportion at 95 % confidence.
    """
    from scipy.stats import binomtest

    interval = binomtest(int(successes), int(total)).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def median_interval(values: ArrayLike) -> tuple[float, float, float]:
    """Median over seeds with its bootstrap interval; missing values drop out.

    Parameters
    ----------
    values : array (seed,)

    Returns
    -------
    median, low, high : float
        At 95 % confidence, by percentiles of 2000 resamples from a fixed stream; NaN for no values.
    """
    from scipy.stats import bootstrap

    numbers = np.asarray(values, dtype=float)
    numbers = numbers[np.isfinite(numbers)]
    if numbers.size == 0:
        return (np.nan,) * 3
    middle = float(np.median(numbers))
    if numbers.size == 1 or np.ptp(numbers) == 0:
        return middle, middle, middle
    result = bootstrap(
        (numbers,), np.median, confidence_level=CONFIDENCE, n_resamples=_RESAMPLES, method="percentile", rng=1
    )
    return middle, float(result.confidence_interval.low), float(result.confidence_interval.high)
