"""Which rule made the change: how often the right one is named, and how many snapshots and trials that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..trained.checks import check_dataset
from .palette import rule_looks
from .style import axis_label, legend, new_figure, plain

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Probabilities below this are drawn at it.
_SMALLEST = 1e-12


def confusion(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Share of a rule's runs for which each rule is the likeliest, the true rules from top to bottom.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.identify`, of a training.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If it is no such dataset, or lacks a dimension.
    """
    check_dataset(dataset, ("likeliest",), ("rule", "seed"), source="fastmodes.analysis.identify")
    if ax is None:
        ax = new_figure(figsize=(8, 0.5 * dataset.sizes["rule"] + 2.4))[1]
    names = [str(name) for name in dataset["hypothesis"].values]
    likeliest = dataset["likeliest"].transpose("rule", "seed").values
    shares = np.stack([np.mean(likeliest == place, axis=1) for place in range(len(names))], axis=1)
    image = ax.imshow(shares, vmin=0, vmax=1, cmap="Greys", aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        if share:
            colour = "white" if share > 0.5 else "black"
            ax.text(column, row, f"{share:.2g}", ha="center", va="center", color=colour, fontsize=8)
    ax.set_xticks(range(len(names)), [plain(name) for name in names], rotation=45, ha="right")
    ax.set_yticks(range(dataset.sizes["rule"]), [plain(str(name)) for name in dataset["rule"].values])
    ax.set_xlabel("likeliest rule")
    ax.set_ylabel("rule that made the change")
    ax.figure.colorbar(image, ax=ax, label="share of runs")
    left_out = int(np.sum(likeliest < 0))
    ax.set_title(f"{dataset.sizes['seed']} runs of each" + (f", {left_out} too short to tell" if left_out else ""))
    return ax


def misnamed(dataset: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Probability of naming the other of two rules against the snapshots seen, a line for each pair.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.analysis.identifiability`.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If it is no such dataset, or lacks a dimension.
    """
    source = "fastmodes.analysis.identifiability"
    check_dataset(dataset, ("misnamed_probability",), ("rule", "hypothesis", "snapshot"), source=source)
    if ax is None:
        ax = new_figure(figsize=(6.5, 4))[1]
    looks, styles = rule_looks(dataset), ("-", "--", ":", "-.")
    for name, look in looks.items():
        others = [str(other) for other in dataset["hypothesis"].values if str(other) != name]
        for i, other in enumerate(others):
            values = dataset["misnamed_probability"].sel(rule=name, hypothesis=other)
            line = look.line | {"linestyle": styles[i % len(styles)]}
            ax.plot(
                dataset["snapshot"], np.maximum(values, _SMALLEST), label=f"{plain(name)}, not {plain(other)}", **line
            )
    ax.set_yscale("log")
    ax.set_ylim(_SMALLEST, 1)
    ax.set_xlabel(axis_label(dataset["snapshot"]))
    ax.set_ylabel("probability of naming the other rule")
    ax.set_title("two rules at a time")
    legend(ax)
    return ax


def which_rule() -> Figure:
    """Seven rules of the family on one task, five seeds each: the likeliest rule of every run."""
    import fastmodes as fm

    signs = fm.LearningRule("sign_RFLO", feedback="sign", propagator="scalar", decay=0.5)
    through = fm.LearningRule("feedback_alignment", feedback="random", propagator="recurrent")
    runs = fm.train(
        ["bptt", "tbptt(1)", "tbptt(3)", "rflo(0.5)", "eprop", signs, through],
        fm.aligned_teacher(fm.Modes([0.9, 0.6, -0.4], 1.0, 1.0)), hidden=10, seeds=5, epochs=800, record_every=20,
        steps=20, learning_rate=0.004, init_scale=0.2, batch_size=32, keep_weights=True, progress=False,
    )  # fmt: skip
    ax = confusion(fm.analysis.identify(runs, progress=False))
    figure: Figure = ax.figure  # type: ignore[assignment]
    figure.suptitle("Which rule made the change between 40 snapshots of the weights?")
    return figure


def how_many_snapshots() -> Figure:
    """Four rules on one task: how fast they are told apart where weights are seen with little noise, and with more."""
    import fastmodes as fm

    from .. import identifiability

    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.6], 1.0, 1.0))
    student = fm.random_student(8, teacher, scale=0.2, seed=0)
    figure, axes = new_figure(1, 2, figsize=(12, 4.5), sharey=True)
    for ax, noise in zip(axes, (3e-4, 3e-3), strict=True):
        found = identifiability(
            ["bptt", "tbptt(2)", "rflo(0.5)", "eprop"], student, teacher, 12, learning_rate=0.003, snapshots=30,
            every=5, observation_noise=noise,
        )  # fmt: skip
        misnamed(found, ax)
        ax.set_title(f"noise of observation {noise:g}")
    axes[1].get_legend().remove()
    axes[1].set_ylabel("")
    figure.suptitle("How many snapshots, five updates apart, tell two rules apart")
    return figure
