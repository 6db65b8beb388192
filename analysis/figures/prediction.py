"""Theory against training of unaligned students (Figs. 5, 8, 9)."""

import numpy as np

from ..trained.prediction import predict_from_epoch
from .alignment import alignments
from .bands import draw_band, mode_colour
from .style import axis_label, new_figure


def theory_errors(errors, rule, ax=None):
    """Theory error of every mode against the epoch the theory starts from (Fig. 5A), standing still dotted.

    Parameters
    ----------
    errors : xarray.Dataset
        From :func:`fastmodes.analysis.theory_error`.
    rule : str
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    run = errors.sel(rule=rule)
    for place, mode in enumerate(run["mode"].values):
        one = run.sel(mode=mode)
        label = f"mode {place + 1}, w* = {float(one['teacher_recurrent']):g}"
        draw_band(ax, run["epoch"], one["theory_error"], label=label, color=mode_colour(place))
        ax.plot(
            run["epoch"], one["standstill_error"].median("seed"), color=mode_colour(place), linestyle=":", linewidth=1
        )
    ax.set_yscale("log")
    ax.set_ylim(bottom=3e-4)
    ax.set_xlabel("epoch the theory starts from")
    ax.set_ylabel(axis_label(errors["theory_error"]))
    ax.set_title(f"Theory error, {rule} (dotted: no change)")
    ax.legend(frameon=False, fontsize=8)
    return ax


def one_run(dataset, rule, start, seed=None, ax=None):
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
    theory = predict_from_epoch(run, start).squeeze(["rule", "seed"])
    measured = run.squeeze(["rule", "seed"])
    for place, mode in enumerate(measured["mode"].values):
        colour = mode_colour(place)
        ax.plot(measured["epoch"], measured["mode_recurrent"].sel(mode=mode), color=colour, linewidth=2.5, alpha=0.55)
        ax.plot(theory["epoch"], theory["mode_recurrent"].sel(mode=mode), color=colour, linestyle="--")
        ax.axhline(float(measured["teacher_recurrent"].sel(mode=mode)), color="0.75", linewidth=0.8, zorder=0)
    ax.plot([], [], color="0.3", linewidth=2.5, alpha=0.55, label="training")
    ax.plot([], [], color="0.3", linestyle="--", label="theory")
    ax.axvline(float(theory["start_epoch"]), color="0.6", linestyle=":", label="theory starts")
    ax.set_xlabel(axis_label(dataset["epoch"]))
    ax.set_ylabel(axis_label(dataset["mode_recurrent"]))
    ax.set_title(f"One run, {rule}, seed {seed}")
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return ax


def typical_seed(run):
    """Seed of the run whose final loss is the median of those that did not diverge."""
    loss = run["loss"].isel(epoch=-1).squeeze("rule").values
    order = np.argsort(loss)
    finite = order[np.isfinite(loss[order])]
    return int(run["seed"].values[finite[len(finite) // 2]]) if finite.size else int(run["seed"].values[0])


def unaligned_students(dataset, errors, rule, start):
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
    theory_errors(errors, rule, axes[0])
    alignments(dataset, rule, axes[1])
    one_run(dataset, rule, start, ax=axes[2])
    for ax, letter in zip(axes, "ABC", strict=True):
        ax.set_title(f"{letter}  {ax.get_title()}", loc="left", fontsize=11)
        ax.set_title("")
    return figure
