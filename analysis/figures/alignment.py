"""Alignment of unaligned students with their teacher over training (Fig. 5B)."""

from .bands import draw_band
from .style import axis_label, new_figure, rule_style

_KINDS = {
    "recurrent": ("#2d004b", "-"),
    "readout": ("#3288bd", "--"),
    "input": ("#66c2a5", "-."),
    "feedback": ("#D55E00", ":"),
}


def alignments(dataset, rule, ax=None):
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
    """
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    run = dataset.sel(rule=rule)
    for kind, (colour, line) in _KINDS.items():
        draw_band(ax, run["epoch"], run[f"alignment_{kind}"], label=kind, color=colour, linestyle=line)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(axis_label(dataset["epoch"]))
    ax.set_ylabel("alignment (1: perfect)")
    ax.set_title(f"Alignment, {rule}")
    ax.legend(frameon=False, loc="lower right")
    return ax


def alignment_by_rule(dataset):
    """One panel for each kind of alignment, one curve for each rule.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.

    Returns
    -------
    matplotlib Figure
    """
    figure, axes = new_figure(1, 4, figsize=(13, 3.6), sharey=True)
    names = [str(name) for name in dataset["rule"].values]
    for ax, kind in zip(axes, _KINDS, strict=True):
        for name in names:
            values = dataset[f"alignment_{kind}"].sel(rule=name)
            draw_band(ax, dataset["epoch"], values, label=name, **rule_style(name, names))
        ax.set_title(kind)
        ax.set_xlabel(axis_label(dataset["epoch"]))
        ax.set_ylim(0, 1.02)
    axes[0].set_ylabel("alignment (1: perfect)")
    axes[0].legend(frameon=False, loc="lower right")
    return figure
