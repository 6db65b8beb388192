"""Spectra and rank of the learned changes (Fig. 6), and what in a rule limits the rank."""

import numpy as np

from .bands import draw_band
from .style import axis_label, new_figure, rule_style

_FLOOR = 1e-6
_PROPAGATORS = {"w_hat I": "#D55E00", "fixed diagonal": "#CC79A7", "diag(W)": "#009E73", "W": "#0072B2"}
_NAMED = {"BPTT": ("A", "W"), "RFLO": ("R", "w_hat I"), "e-prop": ("R", "diag(W)")}


def spectra(dataset):
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
    names = [str(name) for name in dataset["rule"].values]
    place = np.arange(1, dataset.sizes["unit"] + 1)
    for ax, variable, title in (
        (axes[0], "normalised_eigenvalue", "A  eigenvalues (moduli)"),
        (axes[1], "normalised_singular_value", "B  singular values"),
    ):
        for name in names:
            style = rule_style(name, names)
            draw_band(
                ax, place, values[variable].sel(rule=name), label=name, floor=_FLOOR, marker="o", markersize=3, **style
            )
        ax.set_yscale("log")
        ax.set_ylim(_FLOOR, 2)
        ax.set_title(title, loc="left")
        ax.set_xlabel("place, by decreasing size")
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylabel("size over the largest, change of W")
    axes[1].legend(frameon=False)
    return figure


def rank_over_training(dataset, ax=None, *, variable="participation_ratio", matrix="recurrent"):
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
    """
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    names = [str(name) for name in dataset["rule"].values]
    for name in names:
        values = dataset[variable].sel(rule=name, matrix=matrix).isel(epoch=slice(1, None))
        draw_band(ax, values["epoch"], values, label=name, **rule_style(name, names))
    ax.set_xlabel(axis_label(dataset["epoch"]))
    ax.set_ylabel(axis_label(dataset[variable]))
    ax.set_title(f"Change of {'W' if matrix == 'recurrent' else 'B'}")
    ax.legend(frameon=False)
    return ax


def rank_curves(dataset):
    """Participation ratio and effective rank of the changes of W and B against epoch, every rule.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.rank`.

    Returns
    -------
    matplotlib Figure
    """
    figure, axes = new_figure(2, 2, figsize=(9.5, 7), sharex=True)
    for row, variable in zip(axes, ("participation_ratio", "effective_rank"), strict=True):
        for ax, matrix in zip(row, ("recurrent", "input"), strict=True):
            rank_over_training(dataset, ax, variable=variable, matrix=matrix)
            if ax is not axes[0, 0]:
                ax.get_legend().remove()
    for ax in axes[0]:
        ax.set_xlabel("")
    return figure


def _choice(name):
    """Feedback and propagator of a rule of the family, by its name."""
    return _NAMED[name] if name in _NAMED else tuple(name.split(", "))


def what_limits_rank(dataset):
    """Rank against epoch, and loss against rank, for every combination of feedback and propagator.

    Colours tell the propagator, panels and markers the feedback: curves of one colour lie together where the propagator
    decides.

    Parameters
    ----------
    dataset : xarray.Dataset
        The family of :mod:`fastmodes.presets`, with rank results.

    Returns
    -------
    matplotlib Figure
    """
    from ..report.experiments import final_loss

    figure, axes = new_figure(1, 3, figsize=(14, 4.2))
    ratio, loss = dataset["participation_ratio"].sel(matrix="recurrent"), final_loss(dataset)
    axes[1].sharey(axes[0])
    for name in map(str, dataset["rule"].values):
        if name.startswith("tBPTT"):
            continue
        feedback, propagator = _choice(name)
        colour, panel = _PROPAGATORS[propagator], axes[0] if feedback == "A" else axes[1]
        label = f"P = {propagator}" + (f" ({name})" if name in _NAMED else "")
        values = ratio.sel(rule=name).isel(epoch=slice(1, None))
        draw_band(panel, values["epoch"], values, label=label, color=colour, linestyle="-" if feedback == "A" else "--")
        at_end, ends = ratio.sel(rule=name).isel(epoch=-1).values, loss.sel(rule=name).values
        style = {"facecolor": colour} if feedback == "A" else {"facecolor": "none"}
        axes[2].scatter(at_end, ends, s=22, edgecolor=colour, marker="o" if feedback == "A" else "^", **style)
    for ax, title in zip(
        axes, ("A  feedback by the readout A", "B  feedback by a random R", "C  loss against rank"), strict=True
    ):
        ax.set_title(title, loc="left")
    for ax in axes[:2]:
        ax.set_xlabel(axis_label(dataset["epoch"]))
        ax.set_ylabel(axis_label(ratio))
        ax.legend(frameon=False, fontsize=8)
    axes[2].scatter([], [], color="0.4", marker="o", label="feedback A")
    axes[2].scatter([], [], edgecolor="0.4", facecolor="none", marker="^", label="feedback R")
    axes[2].legend(frameon=False, fontsize=8)
    axes[2].set_yscale("log")
    axes[2].set_xlabel(axis_label(ratio))
    axes[2].set_ylabel("final validation loss")
    return figure


def proposition(dataset):
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
    looks = zip(dataset["optimizer"].values, ("#0072B2", "#E69F00", "#D55E00"), ("o", "s", "^"), strict=True)
    for name, colour, marker in looks:
        run = dataset.sel(optimizer=name).isel(rule=0)
        singular = run["change_singular_value"].isel(epoch=-1)
        draw_band(
            axes[0], place, singular / singular.max("unit"), label=str(name), floor=1e-17, color=colour, marker=marker,
            markersize=4,
        )  # fmt: skip
        outside = run["outside_factors"].sel(matrix="recurrent").isel(epoch=slice(1, None))
        draw_band(axes[1], outside["epoch"], outside, floor=1e-17, color=colour, marker=marker, markersize=3)
    for ax in axes:
        ax.set_yscale("log")
    axes[0].axvline(dataset.sizes["output"], color="0.6", linestyle=":", label="n_out")
    axes[0].set_title("A  singular values of the change of W", loc="left")
    axes[0].set_xlabel("place, by decreasing size")
    axes[0].xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylabel("size over the largest")
    axes[0].legend(frameon=False)
    axes[1].set_title("B  outside the rows of R", loc="left")
    axes[1].set_xlabel(axis_label(dataset["epoch"]))
    axes[1].set_ylabel("share of the norm")
    return figure
