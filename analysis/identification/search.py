"""Unknown decays: searched for on a grid, then refined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastmodes.typing import FloatArray

#: Decays among which the best is looked for before it is refined.
DECAYS = np.linspace(-0.95, 1.0, 40)


def least(left: Callable[[float], float], grid: FloatArray) -> float:
    """Where ``left`` is least: the best of a grid, refined between its neighbours."""
    values = [left(float(decay)) for decay in grid]
    best = int(np.argmin(values))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(left, bounds=(low, high), method="bounded", options={"xatol": 1e-4})
    return float(found.x) if found.fun <= values[best] else float(grid[best])


def least_of_each(table: FloatArray) -> FloatArray:
    """The decay of each unit from squares (decay, unit) at ``DECAYS``: vertex of a parabola through the least three."""
    best = np.clip(np.argmin(table, axis=0), 1, len(table) - 2)
    below, at, above = (np.take_along_axis(table, (best + shift)[None], 0)[0] for shift in (-1, 0, 1))
    bend = below - 2 * at + above
    shift = np.where(bend > 0, 0.5 * (below - above) / np.where(bend > 0, bend, 1.0), 0.0)
    return DECAYS[best] + np.clip(shift, -1, 1) * (DECAYS[1] - DECAYS[0])
