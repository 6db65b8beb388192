"""How far back credit must go: cosine against the horizon, and the horizon that is required over training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from ..trained.checks import check_dataset
from .bands import draw_band, note, note_missing
from .palette import rule_looks, shades
from .style import axis_label, epoch_axis, few_log_ticks, figure_legend, legend, new_figure, of_seeds, rule_labels

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SOURCE = "fastmodes.analysis.required_horizon"
#: Records whose curves are drawn.
_CURVES = 5


def cosine_by_horizon(dataset: xr.Dataset, rule: str, ax: Axes | None = None) -> Axes:
    """Cosine between tBPTT(tau) and the gradient against tau, at some epochs of one rule's students, dark to light.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.required_horizon` of a training.
    rule : str
        Its name in the dataset.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If it is no such dataset.
    """
    check_dataset(dataset, ("gradient_cosine", "rule"), ("rule", "seed", "epoch", "horizon"), source=_SOURCE)
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    ax.set_xscale("log")
    run = dataset.sel(rule=rule)
    places = np.unique(np.linspace(0, dataset.sizes["epoch"] - 1, _CURVES).round().astype(int))
    for place, colour in zip(places, shades(rule_looks(dataset)[rule].color, len(places)), strict=True):
        values = run["gradient_cosine"].isel(epoch=place)
        draw_band(ax, dataset["horizon"], values, label=f"epoch {int(dataset['epoch'][place])}", color=colour)
    _line(dataset, ax)
    note_missing(ax, run["gradient_cosine"])
    few_log_ticks(ax.xaxis)
    ax.set_xlabel("horizon of truncated BPTT, in steps")
    ax.set_ylabel(axis_label(dataset["gradient_cosine"]))
    ax.set_title(f"Students of {rule_labels([rule])[rule]}", fontsize="medium")
    legend(ax)
    return ax


def _line(dataset: xr.Dataset, ax: Axes) -> None:
    """The cosine that is asked for."""
    try:
        asked = json.loads(dataset.attrs.get("configuration", "{}")).get("cosine")
    except (AttributeError, TypeError, ValueError):
        return
    if isinstance(asked, int | float):
        ax.axhline(asked, color="0.5", linestyle="--", linewidth=0.8)


def horizon_over_training(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Horizon that truncated BPTT needs to follow the gradient, at the students that every rule comes to.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.required_horizon` of a training.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If it is no such dataset.
    """
    check_dataset(dataset, ("required_horizon", "horizon_status", "rule"), ("rule", "seed", "epoch"), source=_SOURCE)
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    looks = rule_looks(dataset)
    for name, label in rule_labels(looks).items():
        values = dataset["required_horizon"].sel(rule=name)
        draw_band(ax, dataset["epoch"], values, label=label, **looks[name].line)
    words = dataset["horizon_status"].attrs.get("flag_meanings", "").split()
    if "beyond" in words and (count := int((dataset["horizon_status"] == words.index("beyond")).sum())):
        note(ax, f"{count} of {dataset['horizon_status'].size} beyond the longest horizon")
    note_missing(ax, dataset["required_horizon"])
    epoch_axis(ax, dataset["epoch"])
    ax.set_ylabel("horizon required, in steps")
    ax.set_title(f"Required horizon: {of_seeds(dataset.sizes['seed'])}", fontsize="medium")
    legend(ax)
    return ax


def horizons_over_training() -> Figure:
    """How far back credit must go while BPTT, tBPTT(1) and RFLO learn a slow teacher."""
    import fastmodes as fm

    teacher = fm.aligned_teacher(fm.Modes([0.95, 0.7, 0.4], 1.0, 1.0))
    runs = fm.train(
        [fm.bptt(), fm.tbptt(1), fm.rflo(0.5)], teacher, hidden=8, seeds=16, epochs=3000, steps=60,
        learning_rate=0.002, updates="expected", init_scale=0.3, keep_weights=True, progress=False,
    )  # fmt: skip
    found = fm.analysis.required_horizon(runs, cosine=0.95)
    figure, axes = new_figure(1, 2, figsize=(10, 4.2))
    cosine_by_horizon(found, "BPTT", axes[0])
    horizon_over_training(found, axes[1])
    figure.suptitle("Horizon at which truncated BPTT follows the gradient (cosine 0.95), 16 seeds")
    for ax in axes:
        if ax.get_legend() is not None:
            ax.get_legend().remove()
    figure_legend(figure, *axes)
    return figure
