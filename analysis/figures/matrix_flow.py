"""Alignment that arises along the flow of whole networks, free of sampling noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .bands import draw_band, note_missing
from .palette import rule_looks
from .style import axis_label, new_figure, of_seeds, rule_labels, title_of

if TYPE_CHECKING:
    from typing import Literal

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Alignment = Literal["alignment_recurrent", "alignment_readout", "alignment_input", "alignment_feedback"]


#: Losses below this are drawn at it: the integrator's tolerance.
_SMALLEST_LOSS = 1e-14
#: Misalignments below this are drawn at it.
_SMALLEST_GAP = 1e-6

_PANELS: tuple[tuple[Alignment, str], ...] = (
    ("alignment_recurrent", "recurrent: W's eigenvectors orthogonal"),
    ("alignment_readout", "readout: A onto the teacher's outputs"),
    ("alignment_input", "input: B onto the teacher's inputs"),
    ("alignment_feedback", "feedback: R onto the teacher's outputs"),
)


def flow_loss(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Loss against flow time, one curve per rule: median over seeds, band from the 10th to the 90th percentile.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.matrix_flow`.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    _draw_rules(dataset, dataset["loss"], ax, _SMALLEST_LOSS)
    ax.set_ylabel(axis_label(dataset["loss"]))
    return ax


def _draw_rules(dataset: xr.Dataset, variable: xr.DataArray, ax: Axes, floor: float) -> None:
    ax.set_yscale("log")
    looks = rule_looks(dataset)
    for name, label in rule_labels(looks).items():
        values, run = variable.sel(rule=name), dataset.sel(rule=name)
        draw_band(ax, dataset["time"], values, label=label, dataset=run, floor=floor, **looks[name].line)
    note_missing(ax, variable)
    ax.set_xlabel(axis_label(dataset["time"]))


def flow_alignment(dataset: xr.Dataset, ax: Axes | None = None, *, variable: Alignment = "alignment_recurrent") -> Axes:
    """Distance of an alignment from one against flow time, one curve per rule.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.matrix_flow`.
    ax : matplotlib Axes, optional
    variable : str
        One of the alignments.

    Returns
    -------
    matplotlib Axes
    """
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    _draw_rules(dataset, 1.0 - dataset[variable], ax, _SMALLEST_GAP)
    ax.set_ylabel(f"1 - {axis_label(dataset[variable])}")
    return ax


def alignment_along_flow(dataset: xr.Dataset) -> Figure:
    """Loss and the four alignments along the flow of whole networks, all rules.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.matrix_flow`.

    Returns
    -------
    matplotlib Figure
    """
    figure, axes = new_figure(2, 3, figsize=(13, 7.2))
    flow_loss(dataset, axes[0, 0]).set_title("loss")
    shown = list(axes.flat[1:5])
    for ax, (variable, title) in zip(shown, _PANELS, strict=True):
        flow_alignment(dataset, ax, variable=variable).set_title(title)
        ax.set_ylim(_SMALLEST_GAP / 2, 1.5)
    legend = axes[1, 2]
    legend.axis("off")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend.legend(
        handles, labels, loc="center", frameon=False, title=of_seeds(dataset.sizes["seed"]), handlelength=3.5,
        fontsize=10 if len(labels) <= 6 else 8,
    )  # fmt: skip
    later = dataset["time"].values[dataset["time"].values > 0]
    for ax in (axes[0, 0], *shown) if len(later) > 1 else ():
        ax.set_xscale("log")
        ax.set_xlim(later[0], later[-1])
    figure.suptitle(title_of(dataset))
    return figure


def alignment_without_noise() -> Figure:
    """Four rules on the paper's four-mode teacher, eight unaligned students of eight units each."""
    import fastmodes as fm
    from fastmodes.presets import four_mode_teacher

    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
    times = np.concatenate([[0.0], np.geomspace(0.3, 100.0, 60)])
    return alignment_along_flow(
        fm.matrix_flow(rules, four_mode_teacher(), hidden=8, seeds=range(8), times=times, progress=False)
    )
