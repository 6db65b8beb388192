"""Pieces that several figures share: medians with bands over seeds, colours of modes."""

import warnings

import numpy as np

#: Share of the seeds inside a band.
BAND = (0.1, 0.9)
#: Modes from large to small; dark to light, told apart in grey too.
_MODE_COLOURS = ("#2d004b", "#5e4fa2", "#3288bd", "#66c2a5", "#a6d96a", "#d9a441")


def mode_colour(place):
    """Colour of mode number ``place``, the largest first."""
    return _MODE_COLOURS[place % len(_MODE_COLOURS)]


def median_and_band(variable, dim="seed"):
    """Low, middle and high quantile over seeds, arrays without that dimension; missing values drop out.

    Where every seed is missing (all have diverged), so are the quantiles.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        quantiles = variable.quantile([BAND[0], 0.5, BAND[1]], dim=dim, skipna=True)
    return quantiles.transpose("quantile", ...).values


def draw_band(ax, x, variable, *, label=None, dim="seed", floor=None, linewidth=2, **style):
    """Median line and band over seeds of a variable along one axis; nothing if it is missing everywhere."""
    low, middle, high = median_and_band(variable, dim)
    if np.isnan(middle).all():
        return
    if floor is not None:
        low, middle, high = (np.maximum(part, floor) for part in (low, middle, high))
    (line,) = ax.plot(x, middle, label=label, linewidth=linewidth, **style)
    ax.fill_between(x, low, high, color=line.get_color(), alpha=0.18, linewidth=0)
