"""Pictures of sweeps: a map or a curve per rule, over whatever axes the sweep has."""

import textwrap

import numpy as np
from fastmodes.analysis.trained.sweep_statistics import convergence_fraction, most_frequent

from .style import axis_label, new_figure, rule_style

#: Dims that belong to the results, not to the grid.
_OWN = ("time", "epoch", "mode", "unit", "eigenvalue")
_SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")


def sweep_figure(dataset):
    """What a sweep found, as one picture fit for its job: a panel per rule, over the sweep's two longest axes.

    Training: fraction of seeds that converged. Flows: how each start ended. Stability: kind of the fixed point.
    Expected updates: cosine to the exact gradient. Further axes are reduced (median; most frequent outcome), which the
    title says. With a single axis, all rules share one plot.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.open_sweep`, or a merged file.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        If the sweep has no axis with two values or more besides rule and seed.
    """
    values, bounds = _subject(dataset)
    dims = sorted((d for d in values.dims if d != "rule" and values.sizes[d] > 1), key=lambda d: -values.sizes[d])
    if not dims:
        raise ValueError("a sweep's figure needs an axis of two values or more besides rule and seed")
    kept = sorted(dims[:2], key=values.dims.index)
    values, bounds = _reduced(values, kept), [_reduced(bound, kept) for bound in bounds]
    note = f"; {'most frequent' if _flags(values) else 'median'} over {', '.join(dims[2:])}" if dims[2:] else ""
    title = f"{dataset.attrs.get('title', 'Sweep')}\n{axis_label(values)}{note}"
    if len(kept) == 1 and not _flags(values):
        figure, ax = new_figure(figsize=(6, 4.2))
        sweep_curves(values, kept[0], ax, bounds=bounds)
        figure.suptitle(title, fontsize=11)
        return figure
    return _panels(values, kept, title)


def _subject(dataset):
    """The variable that a job is about, and a lower and upper bound where there are such."""
    if "convergence_rate" in dataset and "kind" in dataset:
        return dataset["kind"], []
    if "gradient_cosine" in dataset:
        quantiles = dataset["gradient_cosine"].load().quantile([0.25, 0.5, 0.75], dim=_dims(dataset, "seed"))
        quantiles.attrs = dataset["gradient_cosine"].attrs
        return quantiles.sel(quantile=0.5), [quantiles.sel(quantile=q) for q in (0.25, 0.75)]
    if "status" in dataset and "seed" in dataset["status"].dims and "epoch" in dataset.dims:
        found = convergence_fraction(dataset)
        return found["convergence_fraction"], [found["convergence_low"], found["convergence_high"]]
    if "status" in dataset:
        return dataset["status"], []
    name = next(iter(dataset.data_vars))
    last = {dim: -1 for dim in ("time", "epoch") if dim in dataset[name].dims}
    return dataset[name].isel(last), []


def _dims(dataset, *names):
    return [name for name in names if name in dataset.dims]


def _flags(variable):
    return "flag_meanings" in variable.attrs


def _reduced(values, kept):
    """All dims but rule and ``kept`` reduced, in the order rule, kept."""
    others = [dim for dim in values.dims if dim not in (*kept, "rule")]
    if _flags(values):
        name = values.name
        values = most_frequent(values.to_dataset(), name, others)
    elif others:
        attributes = values.attrs
        values = values.load().median(others).assign_attrs(attributes)
    return values.transpose(*(d for d in ("rule", *kept) if d in values.dims))


def sweep_curves(values, dim, ax=None, *, bounds=()):
    """One curve per rule along ``dim``, with error bars between two ``bounds``.

    Parameters
    ----------
    values : xarray.DataArray
        Dims ``dim`` and, optionally, ``rule``.
    dim : str
    ax : matplotlib Axes, optional
    bounds : pair of xarray.DataArray, optional

    Returns
    -------
    matplotlib Axes
    """
    ax = new_figure(figsize=(6, 4.2))[1] if ax is None else ax
    axis, scale, labels = _axis(values, dim)
    names = [str(name) for name in values["rule"].values] if "rule" in values.dims else [""]
    for place, name in enumerate(names):
        chosen = {"rule": name} if name else {}
        shifted = _beside(axis, scale, (place - (len(names) - 1) / 2) * 0.006)
        style = rule_style(name, names) if name else {"color": _SERIES[0]}
        middle = values.sel(chosen).values
        if len(bounds) == 2:
            low, high = (bound.sel(chosen).values for bound in bounds)
            # Rounding may put a bound a hair on the wrong side of what it bounds.
            reach = np.maximum([middle - low, high - middle], 0.0)
            ax.errorbar(
                shifted, middle, reach, label=name, marker="o", markersize=3, capsize=2, elinewidth=0.7, **style
            )
        else:
            ax.plot(shifted, middle, label=name, marker="o", markersize=3, **style)
    ax.set_xscale(scale)
    if labels is not None:
        ax.set_xticks(axis, labels)
    ax.set_xlabel(_label(values, dim))
    ax.set_ylabel(axis_label(values))
    if names != [""]:
        ax.legend(frameon=False)
    return ax


def _beside(axis, scale, share):
    """Positions moved by a share of the axis, so that error bars stand side by side."""
    if scale == "log":
        return axis * (axis[-1] / axis[0]) ** share
    return axis + share * np.ptp(axis)


def sweep_map(values, ax=None, *, limits=None, logarithmic=False):
    """Map of a variable over two axes: colours for numbers, one colour a flag for flags.

    Parameters
    ----------
    values : xarray.DataArray
        Two dims, the first going up, the second across; or one, drawn as a strip.
    ax : matplotlib Axes, optional
    limits : pair of float, optional
        Ends of the colour scale.
    logarithmic : bool
        Colour scale.

    Returns
    -------
    matplotlib Axes, matplotlib ScalarMappable
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, Normalize

    ax = new_figure(figsize=(5, 4))[1] if ax is None else ax
    if values.ndim == 1:
        values = values.expand_dims({"": [0]})
    down, across = values.dims
    y, y_scale, y_labels = _axis(values, down)
    x, x_scale, x_labels = _axis(values, across)
    if _flags(values):
        count = len(values.attrs["flag_meanings"].split())
        colours = {"cmap": ListedColormap(_SERIES[:count]), "norm": BoundaryNorm(np.arange(count + 1) - 0.5, count)}
    else:
        low, high = limits if limits is not None else (np.nanmin(values), np.nanmax(values))
        colours = {"cmap": "viridis", "norm": (LogNorm if logarithmic else Normalize)(low, high)}
    mesh = ax.pcolormesh(_edges(x, x_scale), _edges(y, y_scale), values.values, **colours, rasterized=True)
    ax.set_xscale(x_scale)
    ax.set_yscale(y_scale)
    if x_labels is not None:
        ax.set_xticks(x, x_labels, rotation=30 if max(map(len, x_labels)) > 6 else 0, ha="center")
    if y_labels is not None:
        ax.set_yticks(y, y_labels)
    ax.set_xlabel(_label(values, across))
    ax.set_ylabel(_label(values, down))
    return ax, mesh


def _panels(values, kept, title):
    rules = values["rule"].values.tolist() if "rule" in values.dims else [None]
    columns = min(len(rules), 4) if len(rules) != 4 else 2
    rows = -(-len(rules) // columns)
    height = 3.0 if len(kept) == 2 else 1.6
    figure, axes = new_figure(rows, columns, figsize=(3.4 * columns + 1.6, height * rows + 1.0), squeeze=False)
    finite = values.values[np.isfinite(values.values)]
    limits = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    if "fraction" in str(values.name):
        limits = (0.0, 1.0)
    logarithmic = not _flags(values) and limits[0] > 0 and limits[1] / limits[0] > 100
    for place, (ax, rule) in enumerate(zip(axes.flat, rules, strict=False)):
        shown = values if rule is None else values.sel(rule=rule)
        _, mesh = sweep_map(shown, ax, limits=limits, logarithmic=logarithmic)
        ax.set_title("" if rule is None else str(rule), fontsize=10)
        if place % columns:
            ax.set_ylabel("")
        if place + columns < len(rules):
            ax.set_xlabel("")
    for ax in axes.flat[len(rules) :]:
        ax.set_axis_off()
    bar = figure.colorbar(mesh, ax=axes, shrink=0.9)
    if _flags(values):
        meanings = values.attrs["flag_meanings"].split()
        bar.set_ticks(range(len(meanings)), labels=[meaning.replace("_", " ") for meaning in meanings])
        bar.ax.tick_params(length=0)
    figure.suptitle(title, fontsize=11)
    return figure


def _axis(values, dim):
    """Positions along a dim, the scale they ask for, and labels where they are words."""
    size = values.sizes[dim]
    if dim not in values.coords or values[dim].dtype.kind not in "fi":
        labels = [str(label) for label in values[dim].values] if dim in values.coords and dim else [""] * size
        return np.arange(size), "linear", labels
    positions = values[dim].values.astype(float)
    steps = np.diff(positions)
    if size > 2 and (positions > 0).all() and (steps > 0).all():
        ratios = np.diff(np.log(positions))
        if np.ptp(ratios) < 1e-6 * ratios.max() < np.ptp(steps):
            return positions, "log", None
    return positions, "linear", [f"{value:g}" for value in positions] if size <= 6 else None


def _label(values, dim):
    label = axis_label(values[dim]) if dim in values.coords else dim
    return textwrap.fill(dim.replace("_", " ") if label == dim else label, 34)


def _edges(centres, scale):
    """Edges of the cells around ``centres``."""
    points = np.log(centres) if scale == "log" else np.asarray(centres, dtype=float)
    if len(points) == 1:
        edges = points[0] + np.array([-0.5, 0.5])
    else:
        middle = (points[1:] + points[:-1]) / 2
        edges = np.concatenate([[2 * points[0] - middle[0]], middle, [2 * points[-1] - middle[-1]]])
    return np.exp(edges) if scale == "log" else edges
