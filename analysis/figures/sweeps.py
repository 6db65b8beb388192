"""Pictures of sweeps: a map or a curve per rule, over whatever axes the sweep has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from fastmodes.analysis.trained.sweep_statistics import convergence_fraction, most_frequent

from fastmodes.files.schema import flag_attributes

from .palette import FILLS, rule_looks
from .style import axis_label, legend, new_figure, plain, rule_labels, title_of
from .sweep_axes import beside, cell_edges, label_along, place_ticks, positions_along

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Any, Literal

    from fastmodes.analysis.figures.palette import Look
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    Scale = Literal["log", "linear"]


#: Dims that belong to the results, not to the grid.
_OWN = ("time", "epoch", "mode", "unit", "eigenvalue")
#: A flow has learned when its loss has fallen to this share of the first.
_LEARNED = 0.01


def sweep_figure(dataset: xr.Dataset) -> Figure:
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
    reduced = ", ".join(plain(dim) for dim in dims[2:])
    note = f"; {'most frequent' if _flags(values) else 'median'} over {reduced}" if reduced else ""
    title = f"{title_of(dataset, 'Sweep')}\n{axis_label(values)}{note}"
    if len(kept) == 1 and not _flags(values):
        figure, ax = new_figure(figsize=(6, 4.2))
        sweep_curves(values, kept[0], ax, bounds=bounds, looks=rule_looks(dataset) if "rule" in values.dims else None)
        figure.suptitle(title, fontsize=11)
        return figure
    return _panels(values, kept, title)


def _subject(dataset: xr.Dataset) -> tuple[xr.DataArray, list[xr.DataArray]]:
    """The variable that a job is about, and a lower and upper bound where there are such."""
    if "convergence_rate" in dataset and "kind" in dataset:
        return dataset["kind"], []
    if "gradient_cosine" in dataset:
        cosine = dataset["gradient_cosine"].load()
        # Quantiles of nothing are nothing; NumPy would warn of it.
        some: Any = np.isfinite(cosine).any(_dims(dataset, "seed"))  # type: ignore[call-overload]
        quantiles = cosine.where(some, 0.0).quantile([0.25, 0.5, 0.75], dim=_dims(dataset, "seed")).where(some)
        quantiles.attrs = cosine.attrs
        return quantiles.sel(quantile=0.5), [quantiles.sel(quantile=q) for q in (0.25, 0.75)]
    if "status" in dataset and "seed" in dataset["status"].dims and "epoch" in dataset.dims:
        found = convergence_fraction(dataset)
        return found["convergence_fraction"], [found["convergence_low"], found["convergence_high"]]
    if "status" in dataset:
        return _outcome(dataset), []
    name = next(iter(dataset.data_vars))
    last = {dim: -1 for dim in ("time", "epoch") if dim in dataset[name].dims}
    return dataset[name].isel(last), []


def _outcome(dataset: xr.Dataset) -> xr.DataArray:
    """How flows ended; one that had the time to arrive and one that had just not are alike where both have learned."""
    status = dataset["status"]
    meanings = status.attrs.get("flag_meanings", "").split()
    if "optimal" not in meanings or "loss" not in dataset or "time" not in dataset["loss"].dims:
        return status
    first, last = (dataset["loss"].isel(time=place) for place in (0, -1))
    codes = {name: meanings.index(name) for name in ("optimal", "reached_end")}
    arrived = (status == codes["reached_end"]) & (last <= _LEARNED * first)
    merged: Any = xr.where(arrived, codes["optimal"], status).transpose(*status.dims)
    words = {"optimal": "learned", "reached_end": "not_learned_in_time"}
    label = {"long_name": f"outcome (learned: optimal, or a loss below {100 * _LEARNED:g} % of the first)"}
    flags = flag_attributes([words.get(name, name) for name in meanings])
    named: xr.DataArray = merged.rename("status").assign_attrs(label | flags)
    return named


def _dims(dataset: xr.Dataset, *names: str) -> list[str]:
    return [name for name in names if name in dataset.dims]


def _flags(variable: xr.DataArray) -> bool:
    return "flag_meanings" in variable.attrs


def _reduced(values: xr.DataArray, kept: Sequence[Hashable]) -> xr.DataArray:
    """All dims but rule and ``kept`` reduced, in the order rule, kept."""
    others = [dim for dim in values.dims if dim not in (*kept, "rule")]
    if _flags(values):
        name = values.name
        values = most_frequent(values.to_dataset(), name, others)
    elif others:
        attributes = values.attrs
        values = values.load().median(others).assign_attrs(attributes)
    return values.transpose(*(d for d in ("rule", *kept) if d in values.dims))


def sweep_curves(
    values: xr.DataArray,
    dim: Hashable,
    ax: Axes | None = None,
    *,
    bounds: Sequence[xr.DataArray] = (),
    looks: dict[str, Look] | None = None,
) -> Axes:
    """One curve per rule along ``dim``, with error bars between two ``bounds``.

    Parameters
    ----------
    values : xarray.DataArray
        Dims ``dim`` and, optionally, ``rule``.
    dim : str
    ax : matplotlib Axes, optional
    bounds : pair of xarray.DataArray, optional
    looks : dict of str to Look, optional
        Of the rules; default: from their names.

    Returns
    -------
    matplotlib Axes
    """
    ax = new_figure(figsize=(6, 4.2))[1] if ax is None else ax
    axis, scale, labels = positions_along(values, dim)
    looks = (rule_looks(values) if looks is None else looks) if "rule" in values.dims else {}
    entries: dict[str, Any] = rule_labels(looks) or {"": None}
    for place, (name, label) in enumerate(entries.items()):
        chosen = {"rule": name} if looks else {}
        shifted = beside(axis, scale, (place - (len(entries) - 1) / 2) * 0.006)
        style = looks[name].line | {"marker": looks[name].marker} if looks else {"color": "black", "marker": "o"}
        middle = values.sel(chosen).values
        if len(bounds) == 2:
            low, high = (bound.sel(chosen).values for bound in bounds)
            # Rounding may put a bound a hair on the wrong side of what it bounds.
            reach = np.maximum([middle - low, high - middle], 0.0)
            ax.errorbar(shifted, middle, reach, label=label, markersize=4, capsize=2, elinewidth=0.7, **style)
        else:
            ax.plot(shifted, middle, label=label, markersize=4, **style)
    ax.set_xscale(scale)
    place_ticks(ax.xaxis, axis, labels)
    ax.set_xlabel(label_along(values, dim))
    ax.set_ylabel(axis_label(values))
    legend(ax)
    return ax


def sweep_map(
    values: xr.DataArray,
    ax: Axes | None = None,
    *,
    limits: tuple[float, float] | None = None,
    logarithmic: bool = False,
) -> tuple[Axes, ScalarMappable]:
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
    y, y_scale, y_labels = positions_along(values, down)
    x, x_scale, x_labels = positions_along(values, across)
    if _flags(values):
        count = len(values.attrs["flag_meanings"].split())
        colours: dict[str, Any] = {
            "cmap": ListedColormap([FILLS[i % len(FILLS)] for i in range(count)]),
            "norm": BoundaryNorm(np.arange(count + 1) - 0.5, count),
        }
    else:
        low, high = _limits(values) if limits is None else limits
        colours = {"cmap": "viridis", "norm": (LogNorm if logarithmic else Normalize)(low, high)}
    mesh = ax.pcolormesh(cell_edges(x, x_scale), cell_edges(y, y_scale), values.values, **colours, rasterized=True)
    ax.set_xscale(x_scale)
    ax.set_yscale(y_scale)
    place_ticks(ax.xaxis, x, x_labels)
    place_ticks(ax.yaxis, y, y_labels)
    ax.set_xlabel(label_along(values, across))
    ax.set_ylabel(label_along(values, down))
    return ax, mesh


def _panels(values: xr.DataArray, kept: Sequence[Hashable], title: str) -> Figure:
    rules = values["rule"].values.tolist() if "rule" in values.dims else [None]
    columns = min(len(rules), 4) if len(rules) != 4 else 2
    rows = -(-len(rules) // columns)
    height = 3.0 if len(kept) == 2 else 1.6
    figure, axes = new_figure(rows, columns, figsize=(3.4 * columns + 1.6, height * rows + 1.0), squeeze=False)
    limits = (0.0, 1.0) if "fraction" in str(values.name) else _limits(values)
    logarithmic = not _flags(values) and limits[0] > 0 and limits[1] / limits[0] > 100
    titles = rule_labels(map(str, rules), 26)
    for place, (ax, rule) in enumerate(zip(axes.flat, rules, strict=False)):
        shown = values if rule is None else values.sel(rule=rule)
        _, mesh = sweep_map(shown, ax, limits=limits, logarithmic=logarithmic)
        ax.set_title("" if rule is None else titles[str(rule)], fontsize=10)
        if place % columns:
            ax.set_ylabel("")
        if place + columns < len(rules):
            ax.set_xlabel("")
    for ax in axes.flat[len(rules) :]:
        ax.set_axis_off()
    if _flags(values):
        _flag_legend(figure, values)
    else:
        figure.colorbar(mesh, ax=axes, shrink=0.9)
    figure.suptitle(title, fontsize=11)
    return figure


def _flag_legend(figure: Figure, values: xr.DataArray) -> None:
    """Patches of the flags that occur."""
    from matplotlib.patches import Patch

    meanings = values.attrs["flag_meanings"].split()
    patches = [
        Patch(facecolor=FILLS[i % len(FILLS)], edgecolor="black", linewidth=0.5, label=meanings[i].replace("_", " "))
        for i in np.unique(values)
        if 0 <= i < len(meanings)
    ]
    if patches:
        figure.legend(handles=patches, loc="outside lower center", ncols=min(len(patches), 4), frameon=False)


def _limits(values: xr.DataArray) -> tuple[float, float]:
    """Smallest and largest finite value."""
    finite = values.values[np.isfinite(values.values)]
    return (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
