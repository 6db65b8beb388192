"""Maps of stability, of basins and of convergence rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

import fastmodes as fm

from ..theory.learning_maps import BASINS, learning_map
from ..theory.linear_stability import convergence_rate, stability
from ..theory.stable_window import wrong_branch_window
from .palette import FILLS
from .style import axis_label, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    from fastmodes.typing import FloatArray


def _axis(name: str, values: FloatArray, long_name: str) -> xr.DataArray:
    return xr.DataArray(values, dims=name, coords={name: (name, values, {"long_name": long_name})})


def flag_map(flags: xr.DataArray, ax: Axes, colours: Sequence[str] = FILLS) -> list[Patch]:
    """A map of labelled regions over the two dimensions of ``flags`` (the second one horizontal).

    Parameters
    ----------
    flags : xarray.DataArray
        Two dimensions, with CF ``flag_meanings``.
    ax : matplotlib Axes
    colours : sequence of str, optional
        One per flag.

    Returns
    -------
    list of matplotlib artists
        One patch per flag that occurs, labelled, for a legend.
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    down, across = flags.dims
    norm = BoundaryNorm(np.arange(len(colours) + 1) - 0.5, len(colours))
    ax.pcolormesh(
        flags[across],
        flags[down],
        flags.values,
        cmap=ListedColormap(colours),
        norm=norm,
        shading="nearest",
        rasterized=True,
    )
    ax.set(xlabel=axis_label(flags[across]), ylabel=axis_label(flags[down]))
    names = flags.attrs["flag_meanings"].split()
    return [
        Patch(facecolor=colours[i], edgecolor="black", linewidth=0.5, label=names[i].replace("_", " "))
        for i in np.unique(flags.values)
    ]


def stable_window() -> Figure:
    """RFLO's wrong branch: kinds of fixed points over |s| and decay, with the window's two ends.

    The window lies between |s|^3 = p^2/|r| and the Hopf point; it exists only for decays below w*.
    """
    figure, axes = new_figure(1, 2, figsize=(11.5, 4.8), sharey=True)
    patches: dict[object, Patch] = {}
    for ax, r in zip(axes, (0.05, 0.2), strict=True):
        s = _axis("size", np.geomspace(0.5, 8, 500), "|s| on the branch with r s < 0")
        decay = _axis("decay", np.linspace(-0.95, 0.95, 400), "decay (fixed propagator)")
        found = stability(fm.rflo(), 0.8, 1.0, -s, feedback=r, decay=decay)["kind"].isel(rule=0)
        found = found.transpose("decay", "size")
        patches |= {patch.get_label(): patch for patch in flag_map(found, ax)}
        window = wrong_branch_window(fm.rflo(), 0.8, 1.0, feedback=r, decay=decay).isel(rule=0)
        ax.plot(window["window_start"], decay, color="black", linewidth=1.5, linestyle="--")
        hopf = window["window_end"].where(window["window_exists"] == 1)
        ax.plot(hopf, decay, color="black", linewidth=2)
        ax.set(xscale="log", title=f"w* = 0.8, p = 1, r = {r}")
        ax.set_xticks([0.5, 1, 2, 4, 8], ["0.5", "1", "2", "4", "8"])
        ax.minorticks_off()
    axes[1].set_ylabel("")
    figure.legend(handles=list(patches.values()), loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle("RFLO's wrong branch (dashed: |s|³ = p²/|r|; solid: Hopf points)")
    return figure


def basins_side_by_side() -> Figure:
    """Where learning goes from starts (a, b) at w = 0.2, for each of the four rules."""
    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
    a = _axis("start_a", np.linspace(-2.5, 2.5, 250), "start readout a")
    b = _axis("start_b", np.linspace(-2.5, 2.5, 250), "start input b")
    found = learning_map(rules, fm.Modes(0.2, a, b), fm.Modes(0.7, 1.0, 1.0), feedback=1.0, end=500.0, rtol=1e-5)
    figure, axes = new_figure(1, 4, figsize=(14, 4.4), sharey=True)
    patches: dict[object, Patch] = {}
    for rule, ax in zip(rules, axes, strict=True):
        flags = found["basin"].sel(rule=rule.name).transpose("start_b", "start_a")
        patches |= {patch.get_label(): patch for patch in flag_map(flags, ax)}
        for side in (-1, 1):
            s = side * np.geomspace(0.4, 2.5, 100)
            ax.plot(s, 1 / s, color="black", linewidth=2)
        ax.set(title=rule.name, aspect="equal", ylabel="")
    axes[0].set_ylabel(axis_label(b["start_b"]))
    order = [name.replace("_", " ") for name in BASINS]
    shown = [patches[name] for name in order if name in patches]
    figure.legend(handles=shown, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle("Where learning goes (w = 0.2 at the start, w* = 0.7, p = 1, r = 1; black: optimal branches)")
    return figure


def convergence_rate_ratio() -> Figure:
    """Convergence rate of each rule over BPTT's, on the good branch; above 1 (brown), BPTT is not the fastest."""
    from matplotlib.colors import TwoSlopeNorm

    s = _axis("position", np.geomspace(0.1, 5, 400), "position s on the manifold (readout a)")
    w = _axis("w_star", np.linspace(-0.95, 0.95, 381), "teacher's recurrent weight w*")
    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
    rates = convergence_rate(rules, w, 1.0, s, feedback=1.0)
    figure, axes = new_figure(1, 3, figsize=(13, 4.4), sharey=True)
    for name, ax in zip(("tBPTT(1)", "RFLO", "e-prop"), axes, strict=True):
        over: Any = rates.sel(rule=name) / rates.sel(rule="BPTT")
        ratio = np.log10(over).transpose("w_star", "position")
        colours = ax.pcolormesh(
            s, w, ratio, cmap="PuOr_r", norm=TwoSlopeNorm(0.0, -1.5, 1.5), shading="nearest", rasterized=True
        )
        ax.contour(s, w, ratio, levels=[1e-9], colors="black", linewidths=1.2)
        share = float((ratio > 1e-9).mean())
        ax.set(xscale="log", title=f"{name}: faster on {100 * share:.0f} %")
        ax.set_xlabel(axis_label(s["position"]))
        ax.set_xticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
        ax.minorticks_off()
    axes[0].set_ylabel(axis_label(w["w_star"]))
    figure.colorbar(colours, ax=axes, label="log10 of the rate over BPTT's", extend="both", fraction=0.03)
    figure.suptitle("Where is BPTT not the fastest? (p = 1, r = 1, decay 0.5; black: equal rates)")
    return figure
