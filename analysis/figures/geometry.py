"""Whether seeds learn in the same directions: overlaps of the changes of pairs of seeds, beside chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ..trained.checks import check_dataset
from .bands import note_missing
from .palette import rule_looks
from .style import axis_label, new_figure, rule_labels, rule_ticks

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Side = Literal["receiving", "sending"]

_SOURCE = "fastmodes.analysis.change_geometry"
_SIDES: tuple[Side, ...] = ("receiving", "sending")


def seed_overlaps(dataset: xr.Dataset, ax: Axes | None = None, *, side: Side = "receiving") -> Axes:
    """Overlap of the changes of every pair of seeds, a column a rule; grey: what 95 % of random subspaces have.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.change_geometry`.
    ax : matplotlib Axes, optional
    side : {"receiving", "sending"}

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If it is no such dataset.
    """
    needed = ("overlap", "chance_overlap", "rule", "side")
    check_dataset(dataset, needed, ("rule", "seed", "other_seed", "side", "quantile"), source=_SOURCE)
    looks = rule_looks(dataset)
    ax = new_figure(figsize=(max(5, 0.5 * len(looks)), 4))[1] if ax is None else ax
    values = dataset["overlap"].sel(side=side)
    low, middle, high = dataset["chance_overlap"].sel(side=side).values
    ax.axhspan(low, high, color="0.85", zorder=0)
    ax.axhline(middle, color="0.5", linewidth=0.8, linestyle="--", zorder=1)
    upper = np.triu_indices(dataset.sizes["seed"], 1)
    rng = np.random.Generator(np.random.SFC64(0))
    for place, name in enumerate(looks):
        pairs = values.sel(rule=name).transpose("seed", "other_seed").values[upper]
        pairs = pairs[np.isfinite(pairs)]
        beside = place + rng.uniform(-0.25, 0.25, len(pairs))
        ax.scatter(beside, pairs, s=10, alpha=0.5, color=looks[name].color, marker=looks[name].marker, linewidths=0)
        if len(pairs):
            ax.hlines(np.median(pairs), place - 0.32, place + 0.32, color="black", linewidth=1.6, zorder=3)
    note_missing(ax, values)
    rule_ticks(ax, list(rule_labels(looks, 20).values()))
    ax.set_xlim(-0.6, len(looks) - 0.4)
    ax.set_ylim(-0.04, 1.04)
    ax.set_xlabel("learning rule")
    ax.set_ylabel(axis_label(dataset["overlap"]))
    feedback = "one R for all seeds" if int(dataset["shared_feedback"]) else "an R for each seed"
    ax.set_title(f"{side.capitalize()} units, {feedback}", fontsize="medium")
    return ax


def seed_geometry(dataset: xr.Dataset) -> Figure:
    """Overlaps among the units that receive beside those among the units that send.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.change_geometry`.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    TypeError, ValueError
        If it is no such dataset.
    """
    check_dataset(dataset, ("overlap",), ("rule",), source=_SOURCE)
    figure, axes = new_figure(1, 2, figsize=(max(9.0, 1.0 * dataset.sizes["rule"]), 4), sharey=True)
    for ax, side in zip(axes, _SIDES, strict=True):
        seed_overlaps(dataset, ax, side=side)
    axes[1].set_ylabel("")
    return figure


def directions_by_feedback() -> Figure:
    """Where four rules change W with an R for each seed, and with one R for all: RFLO's lies in its rows."""
    import fastmodes as fm

    teacher = fm.random_teacher(6, n_out=2, n_in=3, radius=0.9, seed=0)
    one = fm.random_feedback(fm.random_student(16, teacher, scale=1.0, seed=0), scale=1.0, seed=0)
    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
    figure, axes = new_figure(2, 2, figsize=(9, 7.2), sharex=True, sharey=True)
    for row, feedbacks in zip(axes, (None, one), strict=True):
        runs = fm.train(
            rules, teacher, hidden=16, seeds=12, epochs=1500, steps=20, learning_rate=0.01, updates="expected",
            init_scale=0.5, feedbacks=feedbacks, keep_weights=True, progress=False,
        )  # fmt: skip
        found = fm.analysis.change_geometry(runs)
        for ax, side in zip(row, _SIDES, strict=True):
            seed_overlaps(found, ax, side=side)
    for ax in axes[:, 1]:
        ax.set_ylabel("")
    for ax in axes[0]:
        ax.set_xlabel("")
    figure.suptitle("Directions of change shared by pairs of 12 seeds, two outputs (grey: chance)")
    return figure
