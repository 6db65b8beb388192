"""Students that learn several tasks in a row: losses on all of them, and how many directions the change of W takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..trained.checks import check_dataset
from .bands import draw_band, note_missing
from .palette import rule_looks, shades
from .style import axis_label, figure_legend, rule_labels, shown, title_of

if TYPE_CHECKING:
    from typing import Any

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_DIMS = ("rule", "seed", "phase", "epoch")
#: Losses below this, and shares of singular values, are drawn at it: they are rounding.
_SMALLEST_LOSS, _SMALLEST_SHARE = 1e-30, 1e-17


def task_losses(dataset: xr.Dataset) -> Figure:
    """Loss on every task against all epochs, a panel per rule; grey lines part the phases.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train_tasks`.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    TypeError, ValueError
        If it is no such dataset, or lacks a dimension.
    """
    return _panel_a_rule(dataset, "task_loss", _losses)


def task_spectra(dataset: xr.Dataset) -> Figure:
    """Singular values of the change of W since the first phase began, over the largest, at the end of every phase.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train_tasks`.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    TypeError, ValueError
        If it is no such dataset, or lacks a dimension.
    """
    return _panel_a_rule(dataset, "whole_change_singular_value", _spectra)


def _panel_a_rule(dataset: xr.Dataset, variable: str, draw: Any) -> Figure:
    """One variable of a task dataset, a panel for each rule."""
    check_dataset(dataset, (variable,), _DIMS, source="fastmodes.train_tasks")
    figure, panels = _panels(dataset, _rows(dataset))
    _each_rule(dataset, panels.ravel(), draw)
    figure_legend(figure, panels.flat[0])
    figure.suptitle(title_of(dataset, "Tasks in a row"))
    return shown(figure)


def task_switches() -> Figure:
    """Four rules on three random tasks with two outputs: losses, and the change of W, which RFLO confines."""
    import fastmodes as fm

    tasks = [fm.random_teacher(4, n_out=2, n_in=2, radius=0.8, seed=seed) for seed in range(3)]
    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
    runs = fm.train_tasks(
        rules, tasks, hidden=8, seeds=8, epochs=1000, steps=20, learning_rate=0.02, updates="expected", init_scale=0.3,
        progress=False,
    )  # fmt: skip
    figure, panels = _panels(runs, 2)
    _each_rule(runs, panels[0], _losses)
    _each_rule(runs, panels[1], _spectra)
    figure_legend(figure, panels[0, 0], panels[1, 0])
    figure.suptitle("Three tasks in a row, two outputs, eight seeds")
    return shown(figure)


def _rows(dataset: xr.Dataset) -> int:
    return -(-dataset.sizes["rule"] // 4)


def _panels(dataset: xr.Dataset, rows: int) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    columns = min(dataset.sizes["rule"], 4)
    figure = Figure(figsize=(max(4.5, 3.2 * columns), 1.2 + 2.8 * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, sharex="row", sharey="row", squeeze=False)


def _each_rule(dataset: xr.Dataset, panels: Any, draw: Any) -> None:
    """A panel for every rule: curves, a title, labels at the edges; panels left over go."""
    names = [str(name) for name in dataset["rule"].values]
    titles, looks = rule_labels(names, 24), rule_looks(dataset)
    for place, (ax, name) in enumerate(zip(panels, names, strict=False)):
        ax.set_yscale("log")
        draw(dataset, dataset.sel(rule=name), ax, looks[name].color)
        ax.set_title(titles[name], fontsize="medium")
        if place % 4:
            ax.set_ylabel("")
    for ax in panels[len(names) :]:
        ax.remove()


def _losses(dataset: xr.Dataset, run: xr.Dataset, ax: Axes, color: str) -> None:
    length = int(dataset["epoch"].values[-1])
    x = (dataset["phase"].values[:, np.newaxis] * length + dataset["epoch"].values).ravel()
    for task, shade in enumerate(shades(color, dataset.sizes["task"])):
        loss = run["task_loss"].isel(task=task).transpose("seed", "phase", "epoch")
        flat = loss.drop_vars(("phase", "epoch", "phase_task"), errors="ignore").stack(place=("phase", "epoch"))
        draw_band(ax, x, flat, label=f"task {run['task'].values[task]}", floor=_SMALLEST_LOSS, color=shade)
    note_missing(ax, run["task_loss"])
    for phase in dataset["phase"].values[1:]:
        ax.axvline(phase * length, color="0.6", linewidth=0.8, zorder=0)
    ax.set_xlabel("epoch, all phases")
    ax.set_ylabel(axis_label(dataset["task_loss"]))


def _spectra(dataset: xr.Dataset, run: xr.Dataset, ax: Axes, color: str) -> None:
    singular = run["whole_change_singular_value"].isel(epoch=-1).transpose("seed", "phase", "unit")
    share = singular / singular.max("unit").where(lambda largest: largest > 0)
    places = np.arange(1, dataset.sizes["unit"] + 1)
    for phase, shade in enumerate(shades(color, dataset.sizes["phase"])):
        label = f"change until phase {run['phase'].values[phase]}"
        here = share.isel(phase=phase)
        draw_band(ax, places, here, label=label, floor=_SMALLEST_SHARE, color=shade, marker=".")
    note_missing(ax, share)
    ax.set_xlabel("place of the singular value")
    ax.set_ylabel("singular value of the change of W\nover the largest")
