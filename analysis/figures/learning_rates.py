"""The largest stable learning rate, predicted and found in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .palette import rule_looks
from .style import few_log_ticks, figure_legend, new_figure, rule_labels

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def learning_rate_limits(dataset: xr.Dataset) -> Figure:
    """Largest stable rate against 1 - w*^2: lines predicted, markers found; one unit left, whole networks right.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.learning_rate_limits`.

    Returns
    -------
    matplotlib Figure
    """
    figure, axes = new_figure(1, 2, figsize=(10, 4.3), sharey=True)
    looks = rule_looks(dataset)
    gap = 1 - dataset["teacher_eigenvalue"].values ** 2
    panels = (("", "A  one hidden unit near (w*, 1, 1)"), ("network_", "B  whole networks, small random start"))
    for ax, (prefix, title) in zip(axes, panels, strict=True):
        for name, label in rule_labels(looks).items():
            run, look = dataset.sel(rule=name), looks[name]
            ax.plot(gap, run[f"{prefix}predicted_rate"], linewidth=2, **look.line)
            ax.plot(gap, run[f"{prefix}measured_rate"], look.marker, color=look.color, markersize=7, label=label)
        ax.set_xscale("log")
        ax.set_yscale("log")
        few_log_ticks(ax.xaxis)
        ax.set_title(title, loc="left")
        ax.set_xlabel("1 - w*², teacher eigenvalue w* on top")
        top = ax.secondary_xaxis("top")
        top.set_xticks(gap, [f"{w:g}" for w in dataset["teacher_eigenvalue"].values])
        top.minorticks_off()
        low = gap.min()
        for power, place in ((3, 0.5), (2, 4.0)):
            guide = place * dataset["predicted_rate"].min().item() * (np.array([low, 3 * low]) / low) ** power
            ax.plot([low, 3 * low], guide, color="0.6", linewidth=1)
            ax.annotate(
                f"slope {power}",
                (3 * low, guide[1]),
                color="0.4",
                fontsize=8,
                va="top",
                xytext=(3, -2),
                textcoords="offset points",
            )
    axes[0].set_ylabel("largest stable learning rate")
    figure_legend(figure, axes[0], title="lines: 2/|λ|, markers: training")
    return figure
