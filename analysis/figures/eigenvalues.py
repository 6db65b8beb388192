"""Eigenvalues of the flow along the optimal manifold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

import fastmodes as fm

from ..theory.linear_stability import stability
from .palette import rule_look, rule_looks, shades
from .style import figure_legend, legend, new_figure, rule_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def real_parts(dataset: xr.Dataset, ax: Axes, *, names: Sequence[str] | None = None, label: bool = True) -> Axes:
    """Both real parts along the manifold, one colour per rule.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.stability`, on the dimension ``position``.
    ax : matplotlib Axes
    names : sequence of str, optional
        Rules to draw; default all.
    label : bool
        Whether the lines go into the legend.

    Returns
    -------
    matplotlib Axes
    """
    return _lines(dataset, "stability_real", ax, names, label)


def imaginary_parts(dataset: xr.Dataset, ax: Axes, *, names: Sequence[str] | None = None, label: bool = False) -> Axes:
    """Both imaginary parts along the manifold; arguments as :func:`real_parts`."""
    return _lines(dataset, "stability_imag", ax, names, label)


def _lines(dataset: xr.Dataset, variable: str, ax: Axes, names: Sequence[str] | None, label: bool) -> Axes:
    looks = rule_looks(dataset)
    labels = rule_labels(looks)
    s = dataset["position"].values
    for name in looks if names is None else names:
        for eigenvalue in (0, 1):
            values = dataset[variable].sel(rule=name).isel(eigenvalue=eigenvalue).values
            shown = labels[name] if label and eigenvalue == 1 else None
            values = np.where(np.abs(np.gradient(np.sign(s))) > 0, np.nan, values)
            ax.plot(s, values, linewidth=1.8, label=shown, **looks[name].line)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set_xlim(s.min(), s.max())
    return ax


def _positions(largest: float = 3.0) -> xr.DataArray:
    half = np.linspace(0.02, largest, 700)
    s = np.concatenate([-half[::-1], half])
    return xr.DataArray(s, dims="position", coords={"position": s})


def eigenvalues_along_the_manifold() -> Figure:
    """Weak feedback; strong feedback with little decay (RFLO oscillates); a small w*, where tBPTT is nearly BPTT."""
    settings = [
        ("A", {"teacher": 0.6, "feedback": 0.5, "decay": 0.5}),
        ("B", {"teacher": 0.7, "feedback": 0.8, "decay": 0.1}),
        ("C", {"teacher": 0.15, "feedback": 0.5, "decay": 0.5}),
    ]
    figure, axes = new_figure(2, 3, figsize=(12, 6.4), sharex=True, height_ratios=[2, 1])
    for (letter, values), (upper, lower) in zip(settings, axes.T, strict=True):
        rules = [fm.bptt(), fm.tbptt(1), fm.rflo(values["decay"]), fm.eprop()]
        found = stability(rules, values["teacher"], 1.0, _positions(), feedback=values["feedback"])
        real_parts(found, upper)
        upper.set_yscale("symlog", linthresh=1.0)
        upper.set_ylim(-100, 100)
        imaginary_parts(found, lower)
        for ax in (upper, lower):
            for s in (-1, 1):
                ax.axvline(s, color="grey", linestyle=(0, (1, 2)), linewidth=1)
        upper.set_title(f"{letter}: w* = {values['teacher']}, r = {values['feedback']}, decay {values['decay']}")
        lower.set_xlabel("position s on the manifold (readout a)")
    axes[0, 0].set_ylabel("real parts")
    axes[1, 0].set_ylabel("imaginary parts")
    figure_legend(figure, axes[0, 0])
    figure.suptitle("Eigenvalues on the optimal manifold, p = 1 (dotted: |s| = sqrt p, where BPTT is slowest)")
    return figure


def eigenvalues_by_feedback_and_decay() -> Figure:
    """RFLO's real parts on both branches: more feedback, or more decay, pushes them away from zero."""
    decays = (0.0, 0.3, 0.6, 0.9)
    by_decay = [rule_look(fm.rflo(decay)).line for decay in decays]
    by_feedback = [{"color": colour} for colour in shades(rule_look(fm.rflo()).color, 4)]
    figure, axes = new_figure(1, 2, figsize=(11, 4.6), sharey=True)
    settings = [
        ("feedback r", [{"feedback": r, "decay": 0.5} for r in (2.0, 1.0, 0.5, 0.25)], by_feedback, "decay 0.5"),
        ("decay", [{"feedback": 0.5, "decay": d} for d in decays], by_decay, "r = 0.5"),
    ]
    for ax, (title, choices, looks, fixed) in zip(axes, settings, strict=True):
        key = title.split()[0]
        for look, choice in zip(looks, choices, strict=True):
            found = stability(fm.rflo(choice["decay"]), 0.6, 1.0, _positions(), feedback=choice["feedback"])
            s = found["position"].values
            for eigenvalue in (0, 1):
                values = found["stability_real"].isel(rule=0, eigenvalue=eigenvalue).values
                values = np.where(np.abs(np.gradient(np.sign(s))) > 0, np.nan, values)
                ax.plot(s, values, label=f"{choice[key]:g}" if eigenvalue else None, **look)
        ax.axhline(0, color="black", linewidth=0.6)
        ax.set(title=f"by {title} ({fixed})", xlabel="position s on the manifold (readout a)", xlim=(-3, 3))
        ax.set_yscale("symlog", linthresh=0.3)
        ax.set_ylim(-30, 30)
        legend(ax, title=title)
    axes[0].set_ylabel("real parts of the two eigenvalues")
    figure.suptitle("RFLO: stability against feedback and decay, w* = 0.6, p = 1, r > 0")
    return figure
