"""Performance against rank (Fig. 10), convergence, and how both depend on our choices."""

import numpy as np

from .style import new_figure, rule_style


def performance_and_rank(dataset):
    """Learning curves, and final validation loss against the rank of the change of W, one point per run (Fig. 10).

    Parameters
    ----------
    dataset : xarray.Dataset
        Training with rank results.

    Returns
    -------
    matplotlib Figure
    """
    from .learning import learning_curves

    figure, axes = new_figure(1, 2, figsize=(10, 4))
    learning_curves(dataset, axes[0], variable="validation_loss")
    axes[0].set_title("")
    axes[0].set_title("A  learning curves", loc="left")
    axes[0].legend(frameon=False, fontsize=8, loc="upper right")
    ratio = dataset["participation_ratio"].sel(matrix="recurrent").isel(epoch=-1)
    loss = dataset["validation_loss"].isel(epoch=-1)
    names = [str(name) for name in dataset["rule"].values]
    for name, marker in zip(names, "osD^vPX*<" * 2, strict=False):
        colour = rule_style(name, names)["color"]
        axes[1].scatter(
            ratio.sel(rule=name), loss.sel(rule=name), s=26, color=colour, marker=marker, alpha=0.7, label=name
        )
    axes[1].set_yscale("log")
    axes[1].set_title("B  one point per run", loc="left")
    axes[1].set_xlabel("participation ratio of the change of W")
    axes[1].set_ylabel("final validation loss")
    axes[1].legend(frameon=False)
    return figure


def convergence(dataset, ax=None):
    """Runs that do not diverge, by rule, with 95 % intervals.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    from ..trained.intervals import count_interval

    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    names = [str(name) for name in dataset["rule"].values]
    total = dataset.sizes["seed"]
    for place, name in enumerate(names):
        count = int((dataset["status"].sel(rule=name) != 2).sum())
        low, high = count_interval(count, total)
        share = count / total
        ax.bar(place, share, color=rule_style(name, names)["color"], width=0.6)
        ax.errorbar(place, share, yerr=[[share - low], [high - share]], color="black", capsize=4)
        ax.text(place, 0.04, f"{count} of {total}", ha="center", color="white", fontweight="bold")
    ax.set_xticks(range(len(names)), names)
    ax.set_ylim(0, 1.05)
    ax.set_xlabel("learning rule")
    ax.set_ylabel("share of runs that do not diverge")
    ax.set_title("Convergence at a high learning rate")
    return ax


def choices(sweep, panels):
    """One choice changed at a time: medians by rule in every variation.

    Parameters
    ----------
    sweep : xarray.Dataset
        Along ``variation``, with ``rule`` and ``seed``.
    panels : dict of str to DataArray
        Title, and values (variation, rule, seed) or (variation, rule).

    Returns
    -------
    matplotlib Figure
    """
    labels = [str(v) for v in sweep["variation"].values]
    names = [str(name) for name in sweep["rule"].values]
    figure, axes = new_figure(1, len(panels), figsize=(4.2 * len(panels) + 1, 4.4), sharey=True, squeeze=False)
    height = np.arange(len(labels))[::-1]
    for ax, (title, values) in zip(axes[0], panels.items(), strict=True):
        for i, (name, marker) in enumerate(zip(names, "osD^", strict=False)):
            one = values.sel(rule=name)
            one = one.median("seed") if "seed" in one.dims else one
            shift = 0.3 * (0.5 - i / max(1, len(names) - 1))
            ax.plot(one, height + shift, marker, color=rule_style(name, names)["color"], label=name, markersize=6)
        ax.set_title(title, loc="left", fontsize=10)
        ax.set_xlabel("median over seeds" if "seed" in values.dims else "over all seeds")
        ax.grid(axis="y", color="0.9")
        ax.set_axisbelow(True)
    axes[0, 0].set_yticks(height, labels)
    axes[0, -1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def theory_over_choices(sweep):
    """Theory error of the two largest modes from both starts, over variations of our choices.

    Parameters
    ----------
    sweep : xarray.Dataset
        The experiment "unaligned_sweep".

    Returns
    -------
    matplotlib Figure
    """
    from ..report.experiments import after_transient

    errors = sweep["theory_error"].isel(mode=[0, 1]).mean("mode")
    figure = choices(
        sweep,
        {
            "A  theory error, started at once": errors.isel(start=0),
            "B  started after the transient": after_transient(errors),
            "C  final loss": sweep["validation_loss"],
        },
    )
    for ax in figure.axes:
        ax.set_xscale("log")
    return figure


def rank_over_choices(sweep):
    """Participation ratio, loss and diverged runs over variations of our choices.

    Parameters
    ----------
    sweep : xarray.Dataset
        The experiment "rank_sweep".

    Returns
    -------
    matplotlib Figure
    """
    from ..trained.learned_rank import rank_measures

    ratio = rank_measures(sweep["change_singular_value"], dim="unit")["participation_ratio"]
    figure = choices(
        sweep,
        {
            "A  participation ratio": ratio,
            "B  final loss": sweep["validation_loss"],
            f"C  diverged runs of {sweep.sizes['seed']}": (sweep["status"] == 2).sum("seed"),
        },
    )
    figure.axes[1].set_xscale("log")
    figure.axes[2].xaxis.get_major_locator().set_params(integer=True)
    figure.axes[2].set_xlim(-0.3, sweep.sizes["seed"] + 0.3)
    return figure
