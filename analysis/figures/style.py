"""What all figures share besides colours: text, labels from the dataset's attributes, legends, figures that show.

xarray's own plots write "[1]" beside every axis, because every variable here carries the unit "1", as the CF
conventions ask for. Figures of this package leave it out; ``dataset.loss.assign_attrs(units="").plot()`` does so in
xarray's.
"""

from __future__ import annotations

import functools
import io
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure


#: Letters of a name in a legend or a title before its middle is left out.
_LONGEST = 34


@functools.cache
def _known_letters(families: tuple[str, ...]) -> set[int]:
    """Code points that the fonts in use have."""
    from matplotlib import font_manager

    known: set[int] = set()
    for family in families:
        try:
            path = font_manager.findfont(font_manager.FontProperties(family=[family]), fallback_to_default=False)
        except ValueError:
            continue
        known |= font_manager.get_font(path).get_charmap().keys()
    return known


def plain(text: object, width: int | None = _LONGEST) -> str:
    """Text of a user as matplotlib shows it letter by letter: no formula, no line breaks, no hidden label.

    A dollar sign begins a formula, which may be none; a label that begins with an underscore is left out of legends; a
    letter that the font lacks is a warning. The middle of a text longer than ``width`` is left out (None: nothing is).
    """
    from matplotlib.font_manager import FontProperties

    text = " ".join(str(text).split()) or "?"
    known = _known_letters(tuple(FontProperties().get_family()))
    text = "".join(c if c.isprintable() and (not known or ord(c) in known) else "\N{WHITE SQUARE}" for c in text)
    if width is not None and len(text) > width:
        head = (width - 1) * 2 // 3
        text = f"{text[:head]}…{text[head + 1 - width :]}"
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def rule_labels(names: Iterable[str], width: int = _LONGEST) -> dict[str, str]:
    """What to write for every rule: its name as text, told apart by a number where shortening makes two equal."""
    labels: dict[str, str] = {}
    for name in names:
        label = plain(name, width)
        labels[name] = label if label not in labels.values() else f"{label} ({len(labels) + 1})"
    return labels


def rule_ticks(ax: Axes, labels: list[str]) -> None:
    """Names of rules along the horizontal axis, slanted where they would run into each other."""
    crowded = len(labels) > 6 or max(map(len, labels)) > 12
    slanted: dict[str, Any] = (
        {"rotation": 40, "ha": "right", "rotation_mode": "anchor", "fontsize": 8} if crowded else {}
    )
    ax.set_xticks(range(len(labels)), labels, **slanted)


def axis_label(variable: xr.DataArray) -> str:
    """Axis label from a DataArray's ``long_name`` and ``units``; the unit "1" is left out."""
    label = plain(variable.attrs.get("long_name", variable.name), 80)
    units = plain(variable.attrs.get("units", "1"))
    return textwrap.fill(label if units == "1" else f"{label} ({units})", 46, break_on_hyphens=False)


def title_of(dataset: xr.Dataset, otherwise: str = "") -> str:
    """Title of a dataset as text of a figure."""
    return plain(dataset.attrs.get("title", otherwise) or otherwise or "?", 90)


def of_seeds(count: int) -> str:
    """Words for what a band spans."""
    return f"median and 10-90 % of {count} seeds" if count > 1 else "one seed"


def new_figure(*args: Any, **kwargs: Any) -> tuple[Figure, Any]:
    """A matplotlib Figure and its axes that belong to no window system: ``subplots`` without pyplot's global state."""
    from matplotlib.figure import Figure

    size = kwargs.pop("figsize", None)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(*args, **kwargs)
    return shown(figure), axes


def shown(figure: Figure) -> Figure:
    """Let a notebook show the figure, and the figure of each of its axes, without pyplot."""
    for part in (figure, *figure.axes):
        part._repr_png_ = functools.partial(_png, figure)  # type: ignore[attr-defined]
    return figure


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    return stream.getvalue()


def epoch_axis(ax: Axes, variable: xr.DataArray, ticks: int = 4) -> None:
    """Label the horizontal axis by epochs, with few enough numbers, and short enough ones, for a small panel."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.set_xlabel(axis_label(variable))
    if variable.size == 1:
        ax.set_xticks([int(variable.values.flat[0])])
    else:
        ax.xaxis.set_major_locator(MaxNLocator(ticks, integer=True, steps=[1, 2, 3, 5, 10]))
    large = variable.size and abs(variable.values).max() >= 10_000
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}k" if large and x else f"{x:g}"))


def few_log_ticks(axis: Axis) -> None:
    """A logarithmic axis over about a decade or less: a few plain numbers, no minor ones that run into each other."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    if low > 0 and high / low < 30:
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0)) if high / low > 4 else MaxNLocator(3))
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend(ax: Axes, **options: Any) -> None:
    """A legend below the axes, or beside them if it is long, over no curve; inside where nobody makes room for it."""
    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return
    whole: Any = ax.get_figure()
    if whole.figure.get_layout_engine() is None:
        ax.legend(handles, labels, frameon=False, loc="best", **options)
        return
    extent: Any = ax.get_window_extent().size
    width, height = extent * 72 / whole.figure.dpi
    fitting = _columns(labels, width)
    if -(-len(labels) // fitting["ncols"]) * fitting["fontsize"] > 0.22 * height:
        where: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "fontsize": 7, "handlelength": 2.6}
    else:
        where = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 4.5} | fitting
    ax.legend(handles, labels, frameon=False, **(where | options))


def figure_legend(figure: Figure, *axes: Axes, **options: Any) -> None:
    """One legend below all panels: every label of the axes once."""
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        width = figure.bbox.width * 72 / figure.figure.dpi
        options = _columns(list(entries), width) | options
        # The panels keep their height, whatever stands below them.
        rows = -(-len(entries) // options["ncols"])
        figure.set_figheight(figure.get_figheight() + max(rows - 1, 0) * 1.35 * options["fontsize"] / 72)
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", frameon=False, **options)


def _columns(labels: list[str], width: float) -> dict[str, Any]:
    """Columns of a legend that fit into ``width`` points, and its letters' size."""
    size = 10 if len(labels) <= 6 and sum(map(len, labels)) <= 40 else 8
    each = size * (4.2 + 0.54 * max(map(len, labels)))
    most = int(min(len(labels), 6, max(1, width // each)))
    # As many columns as the same number of rows needs: no row with a single entry below a full one.
    rows = -(-len(labels) // most)
    return {"ncols": -(-len(labels) // rows), "fontsize": size, "handlelength": 2.6}
