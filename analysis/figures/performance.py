"""Performance against rank (Fig. 10), convergence, and how both depend on our choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .bands import note_missing
from .palette import rule_looks
from .style import few_log_ticks, figure_legend, new_figure, plain, rule_labels, rule_ticks

if TYPE_CHECKING:
    from typing import Any

    import xarray as xr
    from fastmodes.analysis.figures.palette import Look
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastmodes.typing import FloatArray


def performance_and_rank(dataset: xr.Dataset) -> Figure:
    """Learning curves, and final validation loss against the rank of the change of W, one point per run (Fig. 10).

    Parameters
    ----------
    dataset : xarray.Dataset
        Training with rank results.

    Returns
    -------
    matplotlib Figure
    """
    from .learning import learning_curves

    figure, axes = new_figure(1, 2, figsize=(10, 4))
    learning_curves(dataset, axes[0], variable="validation_loss")
    axes[0].set_title("")
    axes[0].set_title("A  learning curves", loc="left")
    if axes[0].get_legend() is not None:
        axes[0].get_legend().remove()
    ratio = dataset["participation_ratio"].sel(matrix="recurrent").isel(epoch=-1)
    loss = dataset["validation_loss"].isel(epoch=-1)
    axes[1].set_yscale("log")
    looks = rule_looks(dataset)
    for name, look in looks.items():
        points = {"s": 26, "color": look.color, "marker": look.marker, "alpha": 0.7}
        axes[1].scatter(ratio.sel(rule=name), loss.sel(rule=name), **points)
    for line in axes[0].get_legend_handles_labels()[0]:
        # One entry of the legend for both panels: the curve itself carries no markers.
        line.set(marker=looks[line.get_gid()].marker, markevery=[])
    note_missing(axes[1], ratio + loss)
    few_log_ticks(axes[1].yaxis)
    axes[1].set_title("B  one point per run", loc="left")
    axes[1].set_xlabel("participation ratio of the change of W")
    axes[1].set_ylabel("final validation loss")
    figure_legend(figure, axes[0])
    return figure


def convergence(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Runs that do not diverge, by rule, with 95 % intervals.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    from ..trained.intervals import count_interval

    looks = rule_looks(dataset)
    ax = new_figure(figsize=(max(5, 0.45 * len(looks)), 4))[1] if ax is None else ax
    total = dataset.sizes["seed"]
    for place, name in enumerate(looks):
        count = int((dataset["status"].sel(rule=name) != 2).sum())
        low, high = count_interval(count, total)
        share = count / total
        ax.bar(place, share, color=looks[name].color, width=0.6)
        ax.errorbar(place, share, yerr=[[share - low], [high - share]], color="black", capsize=4)
        # Readable on every colour, and where there is no bar.
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
        crowded = len(looks) > 8
        ax.text(
            place, 0.04, f"{count} of {total}", ha="center", va="bottom", bbox=box, fontsize=7 if crowded else 9,
            rotation=90 if crowded else 0,
        )  # fmt: skip
    rule_ticks(ax, list(rule_labels(looks, 20).values()))
    ax.set_ylim(0, 1.05)
    ax.set_xlabel("learning rule")
    ax.set_ylabel("share of runs that do not diverge")
    ax.set_title("Convergence at a high learning rate")
    return ax


def choices(sweep: xr.Dataset, panels: dict[str, xr.DataArray]) -> Figure:
    """One choice changed at a time: medians by rule in every variation.

    A hollow marker with numbers is a median over the runs that are left; a cross stands where none is.

    Parameters
    ----------
    sweep : xarray.Dataset
        Along ``variation``, with ``rule`` and ``seed``.
    panels : dict of str to DataArray
        Title, and values (variation, rule, seed) or (variation, rule).

    Returns
    -------
    matplotlib Figure
    """
    labels = [plain(v) for v in sweep["variation"].values]
    looks = rule_looks(sweep)
    names = list(looks)
    size = (4.2 * len(panels) + 1, max(4.4, 0.09 * len(labels) * len(names)))
    figure, axes = new_figure(1, len(panels), figsize=size, sharey=True, squeeze=False)
    height = np.arange(len(labels))[::-1]
    for ax, (title, values) in zip(axes[0], panels.items(), strict=True):
        shifts = np.linspace(0.2, -0.2, len(names)) if len(names) <= 4 else np.linspace(0.4, -0.4, len(names))
        for (name, label), shift in zip(rule_labels(looks).items(), shifts, strict=True):
            _medians(ax, values.sel(rule=name), height + shift, looks[name], label, left=shift > 0)
        ax.set_title(title, loc="left", fontsize=10)
        ax.set_xlabel("median over seeds" if "seed" in values.dims else "over all seeds")
        ax.grid(axis="y", color="0.9")
        ax.set_axisbelow(True)
    axes[0, 0].set_yticks(height, labels)
    figure_legend(figure, axes[0, 0])
    return figure


def _logarithmic(ax: Axes) -> None:
    """A logarithmic horizontal axis, if there is anything on it."""
    if np.isfinite(ax.dataLim.intervalx).all():
        ax.set_xscale("log")
        few_log_ticks(ax.xaxis)


def _medians(ax: Axes, values: xr.DataArray, height: FloatArray, look: Look, label: str, left: bool) -> None:
    """Medians over seeds, filled where all runs are there, hollow with their number where some are lost."""
    style: dict[str, Any] = {"color": look.color, "marker": look.marker, "linestyle": "none", "markersize": 6}
    if "seed" not in values.dims:
        ax.plot(values, height, label=label, **style)
        return
    values = values.where(np.isfinite(values))
    there: Any = np.isfinite(values)
    middle, counts = values.median("seed").values, there.sum("seed").values
    whole, total = counts == values.sizes["seed"], values.sizes["seed"]
    beside: dict[str, Any] = {
        "textcoords": "offset points",
        "va": "center",
        "fontsize": 6,
        "color": look.color,
        "in_layout": False,
    }
    ax.plot(np.where(whole, middle, np.nan), height, label=label, **style)
    ax.plot(np.where(whole, np.nan, middle), height, markerfacecolor="white", **style)
    for x, y, count in zip(middle, height, counts, strict=True):
        if 0 < count < total:
            place: dict[str, Any] = {"xytext": (-5, 0), "ha": "right"} if left else {"xytext": (5, 0), "ha": "left"}
            ax.annotate(f"{count} of {total}", (x, y), **place, **beside)
        if count == 0:
            ax.plot(0.015, y, "x", color=look.color, transform=ax.get_yaxis_transform(), markersize=6)
            ax.annotate(f"none of {total}", (0.015, y), (5, 0), xycoords=ax.get_yaxis_transform(), **beside)


def theory_over_choices(sweep: xr.Dataset) -> Figure:
    """Theory error of the two largest modes from both starts, over variations of our choices.

    Parameters
    ----------
    sweep : xarray.Dataset
        The experiment "unaligned_sweep".

    Returns
    -------
    matplotlib Figure
    """
    from ..report.experiments import after_transient

    errors = sweep["theory_error"].isel(mode=[0, 1]).mean("mode")
    figure = choices(
        sweep,
        {
            "A  theory error, started at once": errors.isel(start=0),
            "B  started after the transient": after_transient(errors),
            "C  final loss": sweep["validation_loss"],
        },
    )
    for ax in figure.axes:
        _logarithmic(ax)
    return figure


def rank_over_choices(sweep: xr.Dataset) -> Figure:
    """Participation ratio, loss and diverged runs over variations of our choices.

    Parameters
    ----------
    sweep : xarray.Dataset
        The experiment "rank_sweep".

    Returns
    -------
    matplotlib Figure
    """
    from ..trained.learned_rank import rank_measures

    ratio = rank_measures(sweep["change_singular_value"], dim="unit")["participation_ratio"]
    figure = choices(
        sweep,
        {
            "A  participation ratio": ratio,
            "B  final loss": sweep["validation_loss"],
            f"C  diverged runs of {sweep.sizes['seed']}": (sweep["status"] == 2).sum("seed"),
        },
    )
    _logarithmic(figure.axes[1])
    locator: Any = figure.axes[2].xaxis.get_major_locator()
    locator.set_params(integer=True)
    figure.axes[2].set_xlim(-0.3, sweep.sizes["seed"] + 0.3)
    return figure
