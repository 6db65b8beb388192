"""Alignment of unaligned students with their teacher over training (Fig. 5B)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..trained.checks import check_dataset
from .bands import draw_band, note_lost, note_missing
from .palette import NEUTRALS, rule_looks
from .style import epoch_axis, figure_legend, legend, new_figure, plain, rule_labels

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_KINDS = ("recurrent", "readout", "input", "feedback")
_ALIGNMENTS = tuple(f"alignment_{kind}" for kind in _KINDS)


def alignments(dataset: xr.Dataset, rule: str, ax: Axes | None = None) -> Axes:
    """The four alignments of one rule against epoch: median over seeds, band from the 10th to the 90th percentile.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.
    rule : str
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If the dataset holds no alignments, as one that was trained without a teacher.
    """
    check_dataset(dataset, _ALIGNMENTS, ("rule", "epoch"))
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    run = dataset.sel(rule=rule)
    for kind, (colour, line) in zip(_KINDS, NEUTRALS, strict=True):
        values = run[f"alignment_{kind}"]
        # Rules that read no R have no feedback alignment: there is nothing to say about their runs.
        if np.isfinite(values).any():
            draw_band(ax, run["epoch"], values, label=kind, dataset=run, alone=True, color=colour, linestyle=line)
    note_lost(ax, run)
    note_missing(ax, run["alignment_readout"])
    ax.set_ylim(0, 1.02)
    epoch_axis(ax, dataset["epoch"])
    ax.set_ylabel("alignment (1: perfect)")
    ax.set_title(f"Alignment, {plain(rule)}")
    legend(ax)
    return ax


def alignment_by_rule(dataset: xr.Dataset) -> Figure:
    """One panel for each kind of alignment, one curve for each rule.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    TypeError, ValueError
        If the dataset holds no alignments, as one that was trained without a teacher.
    """
    check_dataset(dataset, _ALIGNMENTS, ("rule", "epoch"))
    figure, axes = new_figure(1, 4, figsize=(13, 3.6), sharey=True)
    looks = rule_looks(dataset)
    for ax, kind in zip(axes, _KINDS, strict=True):
        for name, label in rule_labels(looks).items():
            run = dataset.sel(rule=name)
            values = run[f"alignment_{kind}"]
            if np.isfinite(values).any():
                draw_band(ax, run["epoch"], values, label=label, dataset=run, **looks[name].line)
        note_missing(ax, dataset[f"alignment_{kind}"])
        ax.set_title(kind)
        epoch_axis(ax, dataset["epoch"])
        ax.set_ylim(0, 1.02)
    axes[0].set_ylabel("alignment (1: perfect)")
    figure_legend(figure, *axes)
    return figure
