"""Fixed-point manifolds of one mode in the space of (w, a, b)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fastmodes as fm

from ..theory.linear_stability import stability
from ..theory.manifolds import fixed_points
from .palette import NEUTRALS
from .style import figure_legend, new_figure

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d.axes3d import Axes3D


_LOOKS = {
    "optimal, stable": NEUTRALS[0][0], "optimal, unstable": NEUTRALS[1][0], "non-optimal, saddle": NEUTRALS[2][0],
}  # fmt: skip


def manifolds(dataset: xr.Dataset, rule: str, ax: Axes3D, *, stable: xr.DataArray | None = None) -> Axes3D:
    """Manifolds of fixed points of one rule, solid where stable, dashed where not, dotted where they are saddles.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.fixed_points`, on one dimension of positions.
    rule : str
        Its name in the dataset.
    ax : matplotlib Axes
        With projection "3d".
    stable : DataArray, optional
        Along the positions of the optimal manifold; default stable everywhere.

    Returns
    -------
    matplotlib Axes
    """
    exists = dataset["fixed_point_exists"].sel(rule=rule)
    optimal = dataset.sel(manifold="optimal")
    s = optimal["a"].values
    steady = np.ones(s.shape, bool) if stable is None else stable.values.astype(bool)
    for side in (s > 0, s < 0):
        for part, line, label in (
            (side & steady, "-", "optimal, stable"),
            (side & ~steady, "--", "optimal, unstable"),
        ):
            if part.any():
                w, a, b = (np.where(part, optimal[name], np.nan) for name in "wab")
                ax.plot(a, b, w, linestyle=line, color=_LOOKS[label], linewidth=2.5, label=label)
    if bool(exists.sel(manifold="non_optimal")):
        w, a, b = (dataset.sel(manifold="non_optimal")[name].values for name in "wab")
        ax.plot(a, b, w, linestyle=":", color=_LOOKS["non-optimal, saddle"], linewidth=2.5, label="non-optimal, saddle")
    ax.set(xlabel="readout a", ylabel="input b", zlabel="recurrent w", zlim=(-1, 1))
    ax.set_box_aspect((1, 1, 0.85), zoom=0.88)
    ax.zaxis.labelpad = 8
    ax.view_init(elev=22, azim=-58)
    return ax


def fixed_point_manifolds() -> Figure:
    """Fixed points for w* = 0.6, p = 1: two branches of the optimum for every rule, a line of saddles for some."""
    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
    half = np.geomspace(1 / 3, 3, 200)
    position = np.concatenate([-half[::-1], np.linspace(-0.99, 0.99, 99)[np.newaxis, 0:99].ravel(), half])
    position = np.sort(position[np.abs(position) > 1e-9])
    points = fixed_points(rules, 0.6, 1.0, position)
    # The hyperbola is drawn to |b| = 3 only.
    points = points.assign(
        a=points["a"].where(np.abs(points["b"]) <= 3.0), b=points["b"].where(np.abs(points["b"]) <= 3.0)
    )
    steady = stability(rules, 0.6, 1.0, position, feedback=1.0)["stable"]
    figure, axes = new_figure(1, 2, figsize=(10, 5.2), subplot_kw={"projection": "3d"})
    manifolds(points, "BPTT", axes[0], stable=steady.sel(rule="BPTT"))
    manifolds(points, "RFLO", axes[1], stable=steady.sel(rule="RFLO"))
    axes[0].set_title("BPTT, tBPTT(1): readout feedback")
    axes[1].set_title("RFLO, e-prop: random feedback r = 1")
    figure_legend(figure, *axes)
    figure.suptitle("Fixed points of one mode (w* = 0.6, p = 1)")
    return figure
