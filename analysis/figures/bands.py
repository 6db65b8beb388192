"""Medians with bands over seeds, drawn so that runs which are lost are seen.

A median over seeds is one over the runs that are left. Where that is fewer than all, a strip above the panel counts
them at every place, the legend gives the number at the end and how many diverged, and a cross marks where each of those
ended (an arrowhead where that is outside of the panel). A rule without survivors says so in words. The axes reach as
far as surviving runs and initial values do, and a little further.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from .style import plain

if TYPE_CHECKING:
    from typing import Any

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from fastmodes.typing import AnyArray, ArrayLike, BoolArray, FloatArray

    IntArray = NDArray[np.integer[Any]]


#: Share of the seeds inside a band.
BAND = (0.1, 0.9)
#: How far beyond survivors and initial values lost runs are followed: a factor of values, a share of their range.
_BEYOND, _BESIDE = 10.0, 0.3
#: Ends of a run after which it has no values, and the words for them.
_LOST = {"diverged": "diverged", "left_domain": "left the domain"}
_STRIP, _NOTE, _MOST_NOTES = "runs left", "note", 5


def lost_runs(dataset: xr.Dataset) -> tuple[xr.DataArray | None, str]:
    """Runs that ended before their time, and the word for it.

    Parameters
    ----------
    dataset : xarray.Dataset
        With ``status`` and its CF flags, or without.

    Returns
    -------
    xarray.DataArray of bool (.., seed), str
        None instead of the array without a status over seeds.
    """
    status = dataset.get("status")
    if status is None or "seed" not in status.dims or "flag_meanings" not in status.attrs:
        return None, ""
    meanings = status.attrs["flag_meanings"].split()
    codes = np.atleast_1d(status.attrs.get("flag_values", np.arange(len(meanings))))
    lost = {meaning: code for meaning, code in zip(meanings, codes.tolist(), strict=False) if meaning in _LOST}
    return status.isin(list(lost.values())), " or ".join(_LOST[meaning] for meaning in lost)


def median_and_band(values: FloatArray) -> FloatArray:
    """Low, middle and high quantile over runs (run, place) -> three (place); runs that are missing drop out.

    Where every run is missing, so are the quantiles.
    """
    if values.size == 0:
        return np.empty((3, values.shape[1]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        warnings.filterwarnings("ignore", "invalid value", RuntimeWarning)
        return np.nanquantile(values, [BAND[0], 0.5, BAND[1]], axis=0)


def draw_band(
    ax: Axes,
    x: ArrayLike,
    variable: xr.DataArray,
    *,
    label: str | None = None,
    dataset: xr.Dataset | None = None,
    floor: float | None = None,
    alone: bool = False,
    linewidth: float = 2,
    **style: Any,
) -> None:
    """Median line and band over seeds of a variable along one axis; nothing if no run has a value and none is lost.

    Set the axes' scale before.

    Parameters
    ----------
    ax : matplotlib Axes
    x : array
    variable : xarray.DataArray (seed, place), in any order
    label : str, optional
        For the legend, as text of matplotlib; what is said about lost runs is appended.
    dataset : xarray.Dataset, optional
        The part of a dataset, one rule's, whose ``status`` tells which runs are lost.
    floor : float, optional
        Smaller values are drawn at it.
    alone : bool
        The panel is one rule's: :func:`note_lost` says once what is lost.
    **style
        Of ``Axes.plot``.
    """
    x, values = np.asarray(x), variable.transpose("seed", ...).values.astype(float)
    values = np.where(np.isfinite(values), values, np.nan)
    gone, word = (None, "") if dataset is None else lost_runs(dataset)
    lost = np.zeros(len(values), bool) if gone is None else gone.values
    counts = np.isfinite(values).sum(axis=0)
    if not counts.any() and not lost.any():
        return
    if floor is not None:
        values = np.maximum(values, floor)
    low, high = _reach(values, lost, ax.get_yscale() == "log")
    band = median_and_band(values)
    band[:, ~((band[1] >= low) & (band[1] <= high))] = np.nan
    label = _with_counts(label, counts, len(values), int(lost.sum()), word)
    single: dict[str, Any] = {"marker": "o", "markersize": 4} if np.isfinite(band[1]).sum() == 1 else {}
    (line,) = ax.plot(x, band[1], label=label, linewidth=linewidth, **(single | style))
    drawn: Any = line.get_color()
    below, above = np.clip(band[0], low, high), np.clip(band[2], low, high)
    if single:
        ax.vlines(x, below, above, color=line.get_color(), alpha=0.3, linewidth=3)
    elif x.size:
        ax.fill_between(x, below, above, color=line.get_color(), alpha=0.18, linewidth=0)
    _mark_ends(ax, x, values[lost], (low, high), drawn)
    if counts.size and counts.min() < len(values):
        _count_strip(ax, x, counts, len(values), line)
    if lost.all() and label is not None and not alone:
        note(ax, label, drawn)


def _reach(values: FloatArray, lost: BoolArray, logarithmic: bool) -> tuple[float, float]:
    """Lowest and highest value to show: what survivors and initial values span, and a little more for the lost."""
    kept = np.concatenate([values[~lost].ravel(), values[:, :1].ravel()])
    kept = kept[np.isfinite(kept)]
    if not lost.any() or not kept.size:
        return -np.inf, np.inf
    low, high = kept.min(), kept.max()
    if logarithmic and low > 0:
        return low / _BEYOND, high * _BEYOND
    room = _BESIDE * max(high - low, 0.1 * max(abs(low), abs(high)), 1e-3)
    return low - room, high + room


def _with_counts(label: str | None, counts: IntArray, total: int, lost: int, word: str) -> str | None:
    """The legend's entry: how many runs the median holds at the end where those are not all."""
    if label is None or (counts.min(initial=total) == total and not lost):
        return label
    left = int(counts[-1]) if counts.size else 0
    if lost == total:
        return f"{label} ({word})" if total == 1 else f"{label} (all {total} {word})"
    return f"{label} (median of {left} of {total}{f'; {lost} {word}' if lost else ''})"


def _mark_ends(ax: Axes, x: AnyArray, values: FloatArray, limits: tuple[float, float], colour: str) -> None:
    """A cross at the last value of every lost run, an arrowhead at the edge where that value lies outside."""
    ended = [np.flatnonzero(np.isfinite(run))[-1] for run in values if np.isfinite(run).any()]
    ends = np.array([run[k] for run, k in zip(values[np.isfinite(values).any(axis=1)], ended, strict=True)])
    places = x[ended] if ended else x[:0]
    for inside, marker in ((ends > limits[1], "^"), (ends < limits[0], "v")):
        ax.scatter(places[inside], np.clip(ends[inside], *limits), s=22, color=colour, marker=marker, zorder=4)
    inside = (ends >= limits[0]) & (ends <= limits[1])
    ax.scatter(places[inside], ends[inside], s=26, color=colour, marker="x", linewidths=1.4, zorder=4)


def _count_strip(ax: Axes, x: AnyArray, counts: IntArray, total: int, line: Line2D) -> None:
    """Runs that are left against the panel's own axis, in a strip above it, made when first needed."""
    strip: Any = next((child for child in ax.child_axes if child.get_gid() == _STRIP), None)
    if strip is None:
        strip = ax.inset_axes((0, 1.02, 1, 0.11), sharex=ax)
        strip.set_gid(_STRIP)
        strip.tick_params(which="both", bottom=False, labelbottom=False, labelsize=6, length=2)
        strip.set_ylabel("runs", fontsize=6, rotation=0, ha="right", va="center")
        strip.spines[["top", "right"]].set_visible(False)
        strip.set_yticks([0, total])
        strip.set_ylim(-0.12 * total, 1.15 * total)
    # Beside each other where rules lose runs alike.
    shift = 0.03 * total * (len(strip.get_lines()) % 3 - 1)
    strip.step(x, counts + shift, where="mid" if len(x) == 1 else "post", color=line.get_color(), linewidth=1.2,
               linestyle=line.get_linestyle(), marker="_" if len(x) == 1 else None)  # fmt: skip


def note(ax: Axes, text: str, colour: str = "0.3") -> None:
    """A line of text in a corner of the panel, above earlier ones; the first few only."""
    earlier = sum(entry.get_gid() == _NOTE for entry in ax.texts)
    if earlier >= _MOST_NOTES:
        return
    text = text if earlier < _MOST_NOTES - 1 else "... and more, see the legend"
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1}
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "in_layout": False}
    place = (5, 5 + 11 * earlier)
    ax.annotate(text, (0, 0), place, fontsize=8, color=colour, zorder=6, gid=_NOTE, bbox=box, **where)


def note_lost(ax: Axes, run: xr.Dataset) -> None:
    """Say in the panel of one rule that some of its runs are lost, or all."""
    lost, word = lost_runs(run)
    if lost is not None and lost.any():
        count, total = int(lost.sum()), lost.size
        who = f"{count} of {total} runs " if count < total else f"all {total} runs " if total > 1 else ""
        note(ax, who + word)


def note_missing(ax: Axes, variable: xr.DataArray) -> None:
    """Say in the panel that a variable has no value at all, and why if the dataset does."""
    if not np.isfinite(variable).any():
        reason = variable.attrs.get("comment", "")
        note(ax, plain(f"no values: {reason}" if reason else "no values", 60))
