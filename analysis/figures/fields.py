"""Vector fields of the rules in the plane of readout and input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

import fastmodes as fm

from .style import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure


def vector_field(velocity: xr.Dataset, product: float, ax: Axes) -> LineCollection:
    """Streamlines in the plane (a, b), coloured by speed, with the optimal branches a b = p.

    Parameters
    ----------
    velocity : xarray.Dataset
        Variables ``a`` and ``b``, the velocities, on the dimensions ``readout`` and ``input``.
    product : float
        p.
    ax : matplotlib Axes

    Returns
    -------
    matplotlib Axes
    """
    a, b = velocity["readout"].values, velocity["input"].values
    da, db = (velocity[name].transpose("input", "readout").values for name in ("a", "b"))
    speed = np.log10(np.hypot(da, db) + 1e-3)
    lines = ax.streamplot(a, b, da, db, color=speed, cmap="viridis", density=1.1, linewidth=0.8, arrowsize=0.8)
    lines.lines.set_clim(-1.5, 1.5)
    for side in (-1, 1):
        s = side * np.geomspace(abs(product) / np.abs(b).max(), np.abs(a).max(), 200)
        ax.plot(s, product / s, color="black", linewidth=2)
    ax.set(xlim=(a.min(), a.max()), ylim=(b.min(), b.max()), xlabel="readout a", aspect="equal")
    return lines.lines


def vector_fields() -> Figure:
    """Flow in the plane w = w* = 0.6 for p = 1, r = 1: BPTT and tBPTT alike, random feedback without the saddle."""
    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
    grid = np.linspace(-2.5, 2.5, 61)
    a = xr.DataArray(grid, dims="readout", coords={"readout": grid})
    b = xr.DataArray(grid, dims="input", coords={"input": grid})
    figure, axes = new_figure(1, 4, figsize=(14, 4.1), sharey=True)
    for rule, ax in zip(rules, axes, strict=True):
        update = fm.mode_update(rule, fm.Modes(0.6, a, b), fm.Modes(0.6, 1.0, 1.0), feedback=1.0)
        colours = vector_field(xr.Dataset({"a": -update.readout, "b": -update.input}), 1.0, ax)
        ax.set_title(rule.name)
        if not rule.reads_feedback:
            ax.plot(0, 0, "o", color="white", markeredgecolor="black", markersize=8, zorder=5)
    axes[0].set_ylabel("input b")
    figure.colorbar(colours, ax=axes, label="log10 speed in the plane", fraction=0.015)
    figure.suptitle("Flow at w = w* = 0.6, p = 1, r = 1 (black: optimal branches; circle: saddle)")
    return figure
