"""Spectra and rank of the learned changes (Fig. 6), and what in a rule limits the rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..trained.checks import check_dataset
from .bands import draw_band, note_missing
from .palette import NEUTRALS, rule_looks
from .style import axis_label, epoch_axis, figure_legend, legend, new_figure, plain, rule_labels

if TYPE_CHECKING:
    from typing import Any, Literal

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Measure = Literal["numeric_rank", "participation_ratio", "stable_rank", "effective_rank"]


_FLOOR = 1e-6
_CURVES: tuple[Measure, ...] = ("participation_ratio", "effective_rank")
_MATRICES: tuple[Literal["recurrent", "input"], ...] = ("recurrent", "input")
_PROPAGATORS = {"scalar": "w_hat I", "diagonal": "fixed diagonal", "recurrent_diagonal": "diag(W)", "recurrent": "W"}


def spectra(dataset: xr.Dataset) -> Figure:
    """Normalised spectra of the change of W at the end, by rule (Fig. 6): moduli of eigenvalues, singular values.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train` or :func:`fastmodes.analysis.rank`.

    Returns
    -------
    matplotlib Figure
    """
    from ..trained.learned_rank import spectrum

    values = spectrum(dataset)
    figure, axes = new_figure(1, 2, figsize=(9.5, 4), sharey=True)
    looks = rule_looks(dataset)
    place = np.arange(1, dataset.sizes["unit"] + 1)
    for ax, variable, title in (
        (axes[0], "normalised_eigenvalue", "A  eigenvalues (moduli)"),
        (axes[1], "normalised_singular_value", "B  singular values"),
    ):
        ax.set_yscale("log")
        for name, label in rule_labels(looks).items():
            draw_band(
                ax, place, values[variable].sel(rule=name), label=label, dataset=dataset.sel(rule=name), floor=_FLOOR,
                marker=looks[name].marker, markersize=3, **looks[name].line,
            )  # fmt: skip
        note_missing(ax, values[variable])
        ax.set_ylim(_FLOOR, 2)
        ax.set_title(title, loc="left")
        ax.set_xlabel("place, by decreasing size")
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylabel("size over the largest, change of W")
    figure_legend(figure, *axes)
    return figure


def rank_over_training(
    dataset: xr.Dataset,
    ax: Axes | None = None,
    *,
    variable: Measure = "participation_ratio",
    matrix: Literal["recurrent", "input"] = "recurrent",
) -> Axes:
    """A measure of rank against epoch, one curve per rule.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.rank`.
    ax : matplotlib Axes, optional
    variable : str
        Any of the rank measures.
    matrix : {"recurrent", "input"}

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If the dataset holds no such measure, or not of this matrix, as where weights were not kept.
    """
    check_dataset(dataset, (variable, "matrix"), ("rule", "epoch"), source="fastmodes.analysis.rank")
    measured = [str(name) for name in dataset["matrix"].values]
    if matrix not in measured:
        raise ValueError(
            f"matrix must be one that the dataset holds, {', '.join(measured)}; got {matrix!r}. "
            "Training with keep_weights=True has both"
        )
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    looks = rule_looks(dataset)
    for name, label in rule_labels(looks).items():
        values = dataset[variable].sel(rule=name, matrix=matrix).isel(epoch=slice(1, None))
        draw_band(ax, values["epoch"], values, label=label, dataset=dataset.sel(rule=name), **looks[name].line)
    note_missing(ax, dataset[variable].sel(matrix=matrix).isel(epoch=slice(1, None)))
    epoch_axis(ax, dataset["epoch"])
    ax.set_ylabel(axis_label(dataset[variable]))
    ax.set_title(f"Change of {'W' if matrix == 'recurrent' else 'B'}")
    legend(ax)
    return ax


def rank_curves(dataset: xr.Dataset) -> Figure:
    """Participation ratio and effective rank of the changes of W and B against epoch, every rule.

    Of W alone where the weights were not kept.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.rank`.

    Returns
    -------
    matplotlib Figure
    """
    check_dataset(dataset, ("matrix",), source="fastmodes.analysis.rank")
    matrices = [matrix for matrix in _MATRICES if matrix in dataset["matrix"]]
    size = (4.75 * len(matrices), 7)
    figure, axes = new_figure(2, len(matrices), figsize=size, sharex=True, squeeze=False)
    for row, variable in zip(axes, _CURVES, strict=True):
        for ax, matrix in zip(row, matrices, strict=True):
            rank_over_training(dataset, ax, variable=variable, matrix=matrix)
            if ax.get_legend() is not None:
                ax.get_legend().remove()
    for ax in axes[0]:
        ax.set_xlabel("")
    figure_legend(figure, *axes.flat)
    return figure


def what_limits_rank(dataset: xr.Dataset) -> Figure:
    """Rank against epoch, and loss against rank, for every combination of feedback and propagator.

    Related colours tell the propagator, panels and markers the feedback: related curves lie together where the
    propagator decides. Truncated rules are left out.

    Parameters
    ----------
    dataset : xarray.Dataset
        The family of :mod:`fastmodes.presets`, with rank results.

    Returns
    -------
    matplotlib Figure
    """
    from ..report.experiments import final_loss
    from ..trained.checks import training_rules

    figure, axes = new_figure(1, 3, figsize=(14, 4.2))
    ratio, loss = dataset["participation_ratio"].sel(matrix="recurrent"), final_loss(dataset)
    axes[1].sharey(axes[0])
    axes[2].set_yscale("log")
    looks = rule_looks(dataset)
    for rule, (name, label) in zip(training_rules(dataset), rule_labels(looks).items(), strict=True):
        if rule.horizon is not None:
            continue
        colour, panel = looks[name].color, axes[0] if rule.feedback == "readout" else axes[1]
        propagator = _PROPAGATORS.get(rule.propagator, rule.propagator)
        label = f"P = {propagator}" + (f" ({label})" if propagator not in label else "")
        values = ratio.sel(rule=name).isel(epoch=slice(1, None))
        draw_band(panel, values["epoch"], values, label=label, dataset=dataset.sel(rule=name), **looks[name].line)
        at_end, ends = ratio.sel(rule=name).isel(epoch=-1).values, loss.sel(rule=name).values
        marker, face = ("o", colour) if rule.feedback == "readout" else ("^", "none")
        axes[2].scatter(at_end, np.where(np.isfinite(ends), ends, np.nan), s=22, edgecolor=colour, marker=marker,
                        facecolor=face)  # fmt: skip
    for ax, title in zip(
        axes, ("A  feedback by the readout A", "B  feedback by a random R", "C  loss against rank"), strict=True
    ):
        ax.set_title(title, loc="left")
    for ax in axes[:2]:
        epoch_axis(ax, dataset["epoch"])
        ax.set_ylabel(axis_label(ratio))
        legend(ax)
    axes[2].scatter([], [], color="0.4", marker="o", label="feedback A")
    axes[2].scatter([], [], edgecolor="0.4", facecolor="none", marker="^", label="feedback R")
    legend(axes[2])
    axes[2].set_xlabel(axis_label(ratio))
    axes[2].set_ylabel("final validation loss")
    return figure


def proposition(dataset: xr.Dataset) -> Figure:
    """RFLO with two outputs: singular values of the change of W by optimiser, and what lies outside R^T Q.

    Parameters
    ----------
    dataset : xarray.Dataset
        The experiment "proposition", along ``optimizer``.

    Returns
    -------
    matplotlib Figure
    """
    figure, axes = new_figure(1, 2, figsize=(9.5, 4))
    place = np.arange(1, dataset.sizes["unit"] + 1)
    for ax in axes:
        ax.set_yscale("log")
    for name, (colour, line), marker in zip(dataset["optimizer"].values, NEUTRALS, "os^D", strict=False):
        run = dataset.sel(optimizer=name).isel(rule=0)
        look: dict[str, Any] = {
            "dataset": run,
            "floor": 1e-17,
            "color": colour,
            "linestyle": line,
            "marker": marker,
            "markersize": 4,
        }
        singular = run["change_singular_value"].isel(epoch=-1)
        draw_band(axes[0], place, singular / singular.max("unit"), label=plain(name), **look)
        outside = run["outside_factors"].sel(matrix="recurrent").isel(epoch=slice(1, None))
        draw_band(axes[1], outside["epoch"], outside, **look)
    note_missing(axes[0], dataset["change_singular_value"])
    note_missing(axes[1], dataset["outside_factors"].isel(epoch=slice(1, None)))
    axes[0].axvline(dataset.sizes["output"], color="0.6", linestyle=":", label="n_out")
    axes[0].set_title("A  singular values of the change of W", loc="left")
    axes[0].set_xlabel("place, by decreasing size")
    axes[0].xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylabel("size over the largest")
    axes[1].set_title("B  outside the rows of R", loc="left")
    epoch_axis(axes[1], dataset["epoch"])
    axes[1].set_ylabel("share of the norm")
    figure_legend(figure, *axes)
    return figure
