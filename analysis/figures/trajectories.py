"""Trajectories of learning in the space of one mode, and their loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fastmodes as fm

from .palette import rule_looks
from .style import figure_legend, new_figure, rule_labels

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def paths(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Paths in the plane (a, b), one per rule, from the start (circle) to the end (square).

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.flow`, on the dimensions rule and time.
    ax : matplotlib Axes

    Returns
    -------
    matplotlib Axes
    """
    looks = rule_looks(dataset)
    for name, label in rule_labels(looks).items():
        one = dataset.sel(rule=name)
        ax.plot(one["a"], one["b"], linewidth=2, label=label, **looks[name].line)
        ax.plot(one["a"][-1], one["b"][-1], "s", color=looks[name].color, markersize=7, zorder=4)
    ax.plot(dataset["a"][0, 0], dataset["b"][0, 0], "o", color="black", markersize=7, zorder=5)
    ax.set(xlabel="readout a", ylabel="input b")
    return ax


def losses(dataset: xr.Dataset, ax: Axes) -> Axes:
    """Loss against flow time, one curve per rule.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.flow`, on the dimensions rule and time.
    ax : matplotlib Axes

    Returns
    -------
    matplotlib Axes
    """
    looks = rule_looks(dataset)
    for name, label in rule_labels(looks).items():
        loss = np.maximum(dataset["loss"].sel(rule=name), 1e-12)
        ax.plot(dataset["time"], loss, linewidth=2, label=label, **looks[name].line)
    ax.set(xscale="log", yscale="log", xlabel="flow time s (epochs times learning rate)", ylabel="loss")
    return ax


def detour_of_wrong_feedback() -> Figure:
    """From (a, b, w) = (1, 1, 0.6), near the positive branch, with r = -1: RFLO goes round to the opposite branch.

    The start is the paper's; w* = 0.7, p = 1, r = -1 and the decay 0.5 are ours.
    """
    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5)]
    times = np.concatenate([[0.0], np.geomspace(1e-2, 100.0, 1500)])
    found = fm.flow(rules, fm.Modes(0.6, 1.0, 1.0), fm.Modes(0.7, 1.0, 1.0), times, feedback=-1.0)
    figure, (left, middle, right) = new_figure(1, 3, figsize=(13.5, 4.4))
    for side in (-1, 1):
        s = side * np.geomspace(0.4, 2.5, 200)
        label = "optimal branches" if side > 0 else None
        left.plot(s, 1 / s, color="0.73", linewidth=5, zorder=0, solid_capstyle="round", label=label)
    paths(found, left)
    left.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), title="Path (circle: start, squares: ends)")
    for name, look in rule_looks(found).items():
        middle.plot(times[1:], found["w"].sel(rule=name)[1:], linewidth=2, **look.line)
    middle.axhline(0.7, color="0.73", linewidth=5, zorder=0)
    middle.set(
        xscale="log",
        xlabel="flow time s (epochs times learning rate)",
        ylabel="recurrent w",
        title="Recurrent weight (grey: w*)",
    )
    losses(found.isel(time=slice(1, None)), right)
    figure_legend(figure, left)
    right.set_title("Loss")
    figure.suptitle("A start near one branch, feedback of the other sign (w* = 0.7, p = 1, r = -1, decay 0.5)")
    return figure
