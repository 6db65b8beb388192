"""Learning curves beside the modes that they come from."""

from .bands import draw_band
from .style import axis_label, new_figure, rule_style

#: Losses below this are drawn at it: they are rounding.
_SMALLEST_LOSS = 1e-30


def learning_curves(dataset, ax=None, *, variable="loss"):
    """Loss against epoch, one curve per rule: median over seeds, band from the 10th to the 90th percentile.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.
    ax : matplotlib Axes, optional
    variable : str
        "loss" or "validation_loss".

    Returns
    -------
    matplotlib Axes
    """
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    names = [str(name) for name in dataset["rule"].values]
    for name in names:
        values = dataset[variable].sel(rule=name)
        draw_band(ax, dataset["epoch"], values, label=name, floor=_SMALLEST_LOSS, **rule_style(name, names))
    ax.set_yscale("log")
    ax.set_xlabel(axis_label(dataset["epoch"]))
    ax.set_ylabel(axis_label(dataset[variable]))
    ax.set_title(f"Learning curves: median and 10-90 % of {dataset.sizes['seed']} seeds", fontsize="medium")
    ax.legend(loc="upper right", frameon=False)
    return ax


def mode_estimates(dataset, rule, ax=None, *, variable="mode_recurrent", target="teacher_recurrent"):
    """Estimated entries of every mode against epoch under one rule, the teacher's values dashed.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.
    rule : str
        Its name in the dataset.
    ax : matplotlib Axes, optional
    variable, target : str
        Estimates, and the coordinate that holds the teacher's values.

    Returns
    -------
    matplotlib Axes
    """
    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    colour = rule_style(rule, [str(name) for name in dataset["rule"].values])["color"]
    count = dataset.sizes["mode"]
    for mode in range(count):
        shade = 1.0 - 0.6 * mode / max(count - 1, 1)
        ax.axhline(float(dataset[target].isel(mode=mode)), color="0.5", linestyle="--", linewidth=0.8)
        values = dataset[variable].sel(rule=rule).isel(mode=mode)
        draw_band(ax, dataset["epoch"], values, color=colour, alpha=shade, linewidth=1.6)
    ax.set_xlabel(axis_label(dataset["epoch"]))
    ax.set_ylabel(axis_label(dataset[variable]))
    ax.set_title(rule)
    return ax


def learning_summary(dataset):
    """Learning curves of all rules beside the recurrent modes under each.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.figure import Figure

    names = [str(name) for name in dataset["rule"].values]
    columns = 2 if len(names) > 1 else 1
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(6 + 2.8 * columns, max(4.6, 2.4 * rows)), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(5.4, 2.8 * columns))
    learning_curves(dataset, left.subplots())
    panels = right.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, name in zip(panels.flat, names, strict=False):
        mode_estimates(dataset, name, ax)
        ax.label_outer()
        ax.set_ylabel("")
        ax.tick_params(labelsize="small")
    for ax in panels.flat[len(names) :]:
        ax.remove()
    right.supylabel(axis_label(dataset["mode_recurrent"]), fontsize="medium")
    right.suptitle("Recurrent modes (dashed: teacher)", fontsize="medium")
    figure.suptitle(f"{dataset.attrs['title']}, T = {_steps(dataset)}")
    return figure


def _steps(dataset):
    import json

    return json.loads(dataset.attrs["configuration"]).get("steps", "?")
