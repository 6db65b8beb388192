"""How well updates follow the exact gradient: over training, and at equal loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..trained.checks import check_dataset
from ..trained.passages import at_loss
from .bands import draw_band, note_missing
from .palette import rule_looks
from .style import axis_label, epoch_axis, figure_legend, legend, new_figure, of_seeds, rule_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastmodes.typing import FloatArray

#: Places along the loss.
_PLACES = 40
#: Losses below this share of the first are not followed: rules that go on would take the whole axis.
_LOWEST = 1e-6
_ALONG = ("rule", "seed", "epoch")


def quality_over_training(dataset: xr.Dataset, ax: Axes | None = None, *, variable: str = "gradient_cosine") -> Axes:
    """A measure of quality against epoch, one curve per rule: median and 10-90 % over seeds.

    Parameters
    ----------
    dataset : xarray.Dataset
        From ``fastmodes.train(.., gradient_quality=True)``, or :func:`fastmodes.analysis.gradient_quality`.
    ax : matplotlib Axes, optional
    variable : str
        Any variable on (rule, seed, epoch).

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If the dataset does not hold the variable.
    """
    check_dataset(dataset, (variable, "rule"), _ALONG)
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    looks = rule_looks(dataset)
    for name, label in rule_labels(looks).items():
        run = dataset.sel(rule=name)
        draw_band(ax, run["epoch"], run[variable], label=label, dataset=run, **looks[name].line)
    note_missing(ax, dataset[variable])
    epoch_axis(ax, dataset["epoch"])
    ax.set_ylabel(axis_label(dataset[variable]))
    ax.set_title(f"Over training: {of_seeds(dataset.sizes['seed'])}", fontsize="medium")
    legend(ax)
    return ax


def quality_against_loss(
    dataset: xr.Dataset, ax: Axes | None = None, *, variable: str = "gradient_cosine", loss: str = "loss"
) -> Axes:
    """A measure of quality where each run's loss first falls to a level, one curve per rule; learning goes right.

    Parameters
    ----------
    dataset : xarray.Dataset
        As for :func:`quality_over_training`, with a loss.
    ax : matplotlib Axes, optional
    variable : str
        Any variable on (rule, seed, epoch).
    loss : str
        Which loss.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If the dataset does not hold the variable or the loss.
    """
    check_dataset(dataset, (variable, loss, "rule"), _ALONG)
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    ordered = dataset.sortby("epoch")
    losses, values = (ordered[name].transpose(*_ALONG).values.astype(float) for name in (loss, variable))
    levels = _levels(losses)
    found = at_loss(levels, losses, values, ordered["epoch"].values)
    reached = xr.DataArray(found.value, dims=("level", "rule", "seed"), coords={"rule": dataset["rule"]})
    ax.set_xscale("log")
    looks = rule_looks(dataset)
    for name, label in rule_labels(looks).items():
        # A run that has diverged is one that does not come to later levels.
        draw_band(ax, levels, reached.sel(rule=name), label=label, **looks[name].line)
    note_missing(ax, reached)
    ax.set_xlabel(axis_label(dataset[loss]))
    if len(levels) > 1:
        ax.set_xlim(levels[0], levels[-1])
    ax.set_ylabel(axis_label(dataset[variable]))
    ax.set_title("At equal loss", fontsize="medium")
    legend(ax)
    return ax


def _levels(losses: FloatArray) -> FloatArray:
    """Losses from the lowest start down to what half the runs of the best rule reach."""
    known = np.where(np.isfinite(losses) & (losses > 0), losses, np.inf)
    starts = known[..., 0][np.isfinite(known[..., 0])]
    high = starts.min() if starts.size else 1.0
    low = np.median(known.min(axis=-1), axis=1).min()
    low = max(low, _LOWEST * high) if np.isfinite(low) else high
    return np.geomspace(high, low, _PLACES) if low < high else np.array([high])


def quality_summary(dataset: xr.Dataset, *, variable: str = "gradient_cosine") -> Figure:
    """A measure of quality against epoch beside the same at equal loss.

    Parameters
    ----------
    dataset : xarray.Dataset
        As for :func:`quality_against_loss`.
    variable : str
        Any variable on (rule, seed, epoch).

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    TypeError, ValueError
        If the dataset does not hold the variable or the loss.
    """
    figure, axes = new_figure(1, 2, figsize=(10, 4.2), sharey=True)
    quality_over_training(dataset, axes[0], variable=variable)
    quality_against_loss(dataset, axes[1], variable=variable)
    axes[1].set_ylabel("")
    for ax in axes:
        if ax.get_legend() is not None:
            ax.get_legend().remove()
    figure_legend(figure, axes[0])
    return figure


def gradient_quality() -> Figure:
    """Four rules on a teacher of four modes: how far their updates turn away from the gradient, and when."""
    import fastmodes as fm

    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0))
    runs = fm.train(
        [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()], teacher, hidden=8, seeds=16, epochs=3000, steps=30,
        learning_rate=0.005, updates="expected", init_scale=0.3, gradient_quality=True, progress=False,
    )  # fmt: skip
    figure = quality_summary(runs)
    figure.suptitle("Expected updates beside the exact gradient, 16 seeds")
    return figure
