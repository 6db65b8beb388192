"""Theory against training of unaligned students (Figs. 5, 8, 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..trained.prediction import predict_from_epoch
from .alignment import alignments
from .bands import draw_band, note_lost, note_missing
from .palette import rule_looks, shades
from .style import axis_label, epoch_axis, legend, new_figure, plain

if TYPE_CHECKING:
    from typing import Any

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Errors below this are drawn at it: they are rounding.
_SMALLEST = 1e-30


def theory_errors(errors: xr.Dataset, rule: str, ax: Axes | None = None, *, training: xr.Dataset | None = None) -> Axes:
    """Theory error of every mode against the epoch the theory starts from (Fig. 5A), standing still dotted.

    Parameters
    ----------
    errors : xarray.Dataset
        From :func:`fastmodes.analysis.theory_error`.
    rule : str
    ax : matplotlib Axes, optional
    training : xarray.Dataset, optional
        The training that the errors are of, whose ``status`` tells which runs diverged.

    Returns
    -------
    matplotlib Axes
    """
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    run, trained = errors.sel(rule=rule), None if training is None else training.sel(rule=rule)
    ax.set_yscale("log")
    colours = shades(rule_looks(errors if training is None else training)[rule].color, run.sizes["mode"])
    for place, (mode, colour) in enumerate(zip(run["mode"].values, colours, strict=True)):
        one = run.sel(mode=mode)
        label = f"mode {place + 1}, w* = {float(one['teacher_recurrent']):.3g}"
        band: dict[str, Any] = {"label": label, "dataset": trained, "floor": _SMALLEST, "alone": True, "color": colour}
        draw_band(ax, run["epoch"], one["theory_error"], **band)
        still = one["standstill_error"].median("seed").clip(_SMALLEST)
        ax.plot(run["epoch"], still, color=colour, linestyle=":", linewidth=1)
    if trained is not None:
        note_lost(ax, trained)
    note_missing(ax, run["theory_error"])
    ax.set_ylim(bottom=3e-4)
    epoch_axis(ax, run["epoch"])
    ax.set_xlabel("epoch the theory starts from")
    ax.set_ylabel(axis_label(errors["theory_error"]))
    ax.set_title(f"Theory error, {plain(rule)} (dotted: no change)")
    legend(ax)
    return ax


def one_run(dataset: xr.Dataset, rule: str, start: int, seed: int | None = None, ax: Axes | None = None) -> Axes:
    """w of every mode in one run, and the theory from epoch ``start`` on, dashed (Fig. 5C).

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.
    rule : str
    start : int
    seed : int, optional
        Default: the run whose loss ends at the median.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    run = dataset.sel(rule=[rule])
    seed = typical_seed(run) if seed is None else seed
    run = run.sel(seed=[seed])
    # Theory from the last recorded epoch has nothing to predict.
    follows = start < dataset["epoch"].values[-1]
    theory = predict_from_epoch(run, start).squeeze(["rule", "seed"]) if follows else None
    measured = run.squeeze(["rule", "seed"])
    colours = shades(rule_looks(dataset)[rule].color, measured.sizes["mode"])
    for mode, colour in zip(measured["mode"].values, colours, strict=True):
        ax.plot(measured["epoch"], measured["mode_recurrent"].sel(mode=mode), color=colour, linewidth=2.5, alpha=0.55)
        if theory is not None:
            ax.plot(theory["epoch"], theory["mode_recurrent"].sel(mode=mode), color=colour, linestyle="--")
        ax.axhline(float(measured["teacher_recurrent"].sel(mode=mode)), color="0.75", linewidth=0.8, zorder=0)
    ax.plot([], [], color="0.3", linewidth=2.5, alpha=0.55, label="training")
    ax.plot([], [], color="0.3", linestyle="--", label="theory")
    if theory is not None:
        ax.axvline(float(theory["start_epoch"]), color="0.6", linestyle=":", label="theory starts")
    note_lost(ax, measured.expand_dims("seed"))
    epoch_axis(ax, dataset["epoch"])
    ax.set_ylabel(axis_label(dataset["mode_recurrent"]))
    ax.set_title(f"One run, {plain(rule)}, seed {seed}")
    legend(ax)
    return ax


def typical_seed(run: xr.Dataset) -> int:
    """Seed of the run whose final loss is the median of those that did not diverge."""
    loss = run["loss"].isel(epoch=-1).squeeze("rule").values
    order = np.argsort(loss)
    finite = order[np.isfinite(loss[order])]
    return int(run["seed"].values[finite[len(finite) // 2]]) if finite.size else int(run["seed"].values[0])


def unaligned_students(dataset: xr.Dataset, errors: xr.Dataset, rule: str, start: int) -> Figure:
    """Theory error, alignments and one run under one rule (Fig. 5; Figs. 8, 9 for BPTT and tBPTT).

    Parameters
    ----------
    dataset, errors : xarray.Dataset
        From :func:`fastmodes.train` and :func:`fastmodes.analysis.theory_error`.
    rule : str
    start : int
        Epoch from which the theory of the third panel starts.

    Returns
    -------
    matplotlib Figure
    """
    figure, axes = new_figure(1, 3, figsize=(14, 4))
    theory_errors(errors, rule, axes[0], training=dataset)
    alignments(dataset, rule, axes[1])
    one_run(dataset, rule, start, ax=axes[2])
    for ax, letter in zip(axes, "ABC", strict=True):
        ax.set_title(f"{letter}  {ax.get_title()}", loc="left", fontsize=11)
        ax.set_title("")
    return figure
