"""Learning curves beside the modes that they come from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..trained.checks import check_dataset
from .bands import draw_band, note_lost, note_missing
from .palette import rule_looks, shades
from .style import axis_label, epoch_axis, legend, new_figure, of_seeds, plain, rule_labels, shown, title_of

if TYPE_CHECKING:
    from typing import Any, Literal

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Losses below this are drawn at it: they are rounding.
_SMALLEST_LOSS = 1e-30


def learning_curves(
    dataset: xr.Dataset,
    ax: Axes | None = None,
    *,
    variable: Literal["loss", "validation_loss", "training_loss"] = "loss",
) -> Axes:
    """Loss against epoch, one curve per rule: median over seeds, band from the 10th to the 90th percentile.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.
    ax : matplotlib Axes, optional
    variable : str
        "loss", "validation_loss" or, of trainings on data, "training_loss".

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If the dataset does not hold the variable.
    """
    check_dataset(dataset, (variable,), ("rule", "seed", "epoch"))
    ax = new_figure(figsize=(5, 4) if dataset.sizes["rule"] <= 6 else (9, 5))[1] if ax is None else ax
    ax.set_yscale("log")
    looks = rule_looks(dataset)
    for name, label in rule_labels(looks).items():
        run = dataset.sel(rule=name)
        draw_band(
            ax,
            run["epoch"],
            run[variable],
            label=label,
            dataset=run,
            floor=_SMALLEST_LOSS,
            gid=name,
            **looks[name].line,
        )
    note_missing(ax, dataset[variable])
    epoch_axis(ax, dataset["epoch"])
    ax.set_ylabel(axis_label(dataset[variable]))
    ax.set_title(f"Learning curves: {of_seeds(dataset.sizes['seed'])}", fontsize="medium")
    legend(ax)
    return ax


def mode_estimates(
    dataset: xr.Dataset,
    rule: str,
    ax: Axes | None = None,
    *,
    variable: str = "mode_recurrent",
    target: str = "teacher_recurrent",
) -> Axes:
    """Estimated entries of every mode against epoch under one rule, the teacher's values dashed.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.
    rule : str
        Its name in the dataset.
    ax : matplotlib Axes, optional
    variable, target : str
        Estimates, and the coordinate that holds the teacher's values.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If the dataset holds no modes, as one that was trained without a teacher.
    """
    check_dataset(dataset, (variable, target), ("rule", "epoch"))
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    run = dataset.sel(rule=rule)
    for mode, colour in enumerate(shades(rule_looks(dataset)[rule].color, dataset.sizes["mode"])):
        ax.axhline(float(dataset[target].isel(mode=mode)), color="0.5", linestyle="--", linewidth=0.8)
        draw_band(ax, run["epoch"], run[variable].isel(mode=mode), dataset=run, color=colour, linewidth=1.6)
    note_lost(ax, run)
    note_missing(ax, run[variable])
    epoch_axis(ax, dataset["epoch"], ticks=3)
    ax.set_ylabel(axis_label(dataset[variable]))
    ax.set_title(plain(rule))
    return ax


def learning_summary(dataset: xr.Dataset) -> Figure:
    """Learning curves of all rules beside the recurrent modes under each.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`, with a teacher; :func:`learning_curves` shows the others.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    TypeError, ValueError
        If the dataset holds no modes, as one that was trained without a teacher.
    """
    from matplotlib.figure import Figure

    check_dataset(dataset, ("loss", "mode_recurrent", "teacher_recurrent"), ("rule", "seed", "epoch"))

    names = [str(name) for name in dataset["rule"].values]
    columns = min(len(names), 2 if len(names) <= 8 else 4)
    rows = -(-len(names) // columns)
    widths = (5.4 if len(names) <= 6 else 8.0, 2.8 * columns)
    figure = Figure(figsize=(0.6 + sum(widths), max(4.6, 2.4 * rows)), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=widths)
    left, right = halves
    learning_curves(dataset, left.subplots())
    panels = right.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    titles = rule_labels(names, 24 if columns <= 2 else 18)
    for place, (ax, name) in enumerate(zip(panels.flat, names, strict=False)):
        mode_estimates(dataset, name, ax)
        ax.set_title(titles[name], fontsize="medium")
        ax.set_ylabel("")
        # The lowest panel of every column carries the axis, also where the last row is not full.
        lowest = place + columns >= len(names)
        ax.tick_params(labelsize="small", labelbottom=lowest)
        ax.set_xlabel(ax.get_xlabel() if lowest else "", fontsize="small" if columns > 2 else "medium")
    for ax in panels.flat[len(names) :]:
        ax.remove()
    right.supylabel(axis_label(dataset["mode_recurrent"]), fontsize="medium")
    right.suptitle("Recurrent modes (dashed: teacher)", fontsize="medium")
    steps = json.loads(dataset.attrs.get("configuration", "{}")).get("steps")
    figure.suptitle(title_of(dataset, "Learning") + (f", T = {steps}" if steps is not None else ""))
    return shown(figure)
