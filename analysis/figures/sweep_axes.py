"""The axes of a sweep's pictures: places, scale and labels along a dimension."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from .style import axis_label, plain

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Literal

    import xarray as xr
    from matplotlib.axis import XAxis, YAxis

    from fastmodes.typing import AnyArray, FloatArray

    Scale = Literal["log", "linear"]


def beside(axis: AnyArray, scale: Scale, share: float) -> AnyArray:
    """Positions moved by a share of the axis, so that error bars stand side by side."""
    if scale == "log":
        return np.asarray(axis * (axis[-1] / axis[0]) ** share)
    return np.asarray(axis + share * np.ptp(axis))


def place_ticks(axis: XAxis | YAxis, places: AnyArray, labels: list[str] | None) -> None:
    """Words or numbers at the cells, thinned out and slanted where they would run into each other."""
    if labels is None:
        return
    step = -(-len(labels) // 24)
    slanted = axis.axis_name == "x" and len(labels) * max(map(len, labels)) > 30
    style = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axis.set_ticks(places[::step], labels=labels[::step], minor=False, **style)


def positions_along(values: xr.DataArray, dim: Hashable) -> tuple[AnyArray, Scale, list[str] | None]:
    """Positions along a dim, the scale they ask for, and labels where they are words."""
    size = values.sizes[dim]
    if dim not in values.coords or values[dim].dtype.kind not in "fi":
        return np.arange(size), "linear", _words(values, dim)
    positions = values[dim].values.astype(float)
    steps = np.diff(positions)
    if size > 2 and (positions > 0).all() and (steps > 0).all():
        ratios = np.diff(np.log(positions))
        if np.ptp(ratios) < 1e-6 * ratios.max() < np.ptp(steps):
            return positions, "log", None
    return positions, "linear", [f"{value:g}" for value in positions] if size <= 6 else None


def _along(values: xr.DataArray, dim: Hashable) -> list[Hashable]:
    """Names of the parameters that vary together along a dim without values of its own."""
    return [name for name, coord in values.coords.items() if coord.dims == (dim,) and name != dim]


def _words(values: xr.DataArray, dim: Hashable) -> list[str]:
    """Labels of the places along a dim: its own words, or the values of all that varies along it."""
    if dim in values.coords:
        return [plain(label, 18) for label in values[dim].values]
    columns = [values[name].values for name in _along(values, dim)]
    if not columns:
        return [str(place) if dim else "" for place in range(values.sizes[dim])]
    rows = zip(*columns, strict=True)
    return [", ".join(plain(f"{v:g}" if isinstance(v, float) else v, 18) for v in row) for row in rows]


def label_along(values: xr.DataArray, dim: Hashable) -> str:
    """Label of the axis along a dim: its own, or the names of all that varies along it."""
    if dim in values.coords:
        label = axis_label(values[dim])
        return textwrap.fill(dim.replace("_", " ") if label == dim else label, 34)
    along = ", ".join(plain(name).replace("_", " ") for name in _along(values, dim))
    return textwrap.fill(plain(dim).replace("_", " ") + (f": {along}" if along else ""), 34)


def cell_edges(centres: AnyArray, scale: Scale) -> FloatArray:
    """Edges of the cells around ``centres``."""
    points = np.log(centres) if scale == "log" else np.asarray(centres, dtype=float)
    if len(points) == 1:
        edges = points[0] + np.array([-0.5, 0.5])
    else:
        middle = (points[1:] + points[:-1]) / 2
        edges = np.concatenate([[2 * points[0] - middle[0]], middle, [2 * points[-1] - middle[-1]]])
    return np.asarray(np.exp(edges) if scale == "log" else edges)
