"""Alignment that arises along the flow of whole networks, free of sampling noise."""

import numpy as np

from .bands import draw_band
from .style import axis_label, new_figure, rule_style

#: Losses below this are drawn at it: the integrator's tolerance.
_SMALLEST_LOSS = 1e-14
#: Misalignments below this are drawn at it.
_SMALLEST_GAP = 1e-6

_PANELS = (
    ("alignment_recurrent", "recurrent: W's eigenvectors orthogonal"),
    ("alignment_readout", "readout: A onto the teacher's outputs"),
    ("alignment_input", "input: B onto the teacher's inputs"),
    ("alignment_feedback", "feedback: R onto the teacher's outputs"),
)


def flow_loss(dataset, ax=None):
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
    names = [str(name) for name in dataset["rule"].values]
    for name in names:
        values = dataset["loss"].sel(rule=name)
        draw_band(ax, dataset["time"], values, label=name, floor=_SMALLEST_LOSS, **rule_style(name, names))
    ax.set_yscale("log")
    ax.set_xlabel(axis_label(dataset["time"]))
    ax.set_ylabel(axis_label(dataset["loss"]))
    return ax


def flow_alignment(dataset, ax=None, *, variable="alignment_recurrent"):
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
    names = [str(name) for name in dataset["rule"].values]
    for name in names:
        gap = 1.0 - dataset[variable].sel(rule=name)
        draw_band(ax, dataset["time"], gap, label=name, floor=_SMALLEST_GAP, **rule_style(name, names))
    ax.set_yscale("log")
    ax.set_xlabel(axis_label(dataset["time"]))
    ax.set_ylabel(f"1 - {axis_label(dataset[variable])}")
    return ax


def alignment_along_flow(dataset):
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
        handles, labels, loc="center", frameon=False, title=f"median and 10-90 % of {dataset.sizes['seed']} seeds",
        handlelength=3.5,
    )  # fmt: skip
    later = dataset["time"].values[dataset["time"].values > 0]
    for ax in (axes[0, 0], *shown) if len(later) > 1 else ():
        ax.set_xscale("log")
        ax.set_xlim(later[0], later[-1])
    figure.suptitle(dataset.attrs["title"])
    return figure


def alignment_without_noise():
    """Four rules on the paper's four-mode teacher, eight unaligned students of eight units each."""
    import fastmodes as fm
    from fastmodes.presets import four_mode_teacher

    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
    times = np.concatenate([[0.0], np.geomspace(0.3, 100.0, 60)])
    return alignment_along_flow(
        fm.matrix_flow(rules, four_mode_teacher(), hidden=8, seeds=range(8), times=times, progress=False)
    )
