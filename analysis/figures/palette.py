"""One colour, line style and marker per rule everywhere, and the separate palettes of everything that is no rule.

The hue tells the kind of rule: its propagator P and its feedback F. The shade and the dashes tell its parameter: the
decay, or how far credit reaches back. The same rule looks the same in every figure, whatever stands beside it; only two
rules that would be told apart by nothing (decays 0.9 and 0.95, say) let the second one change its dashes.

Modes are shades of their rule's colour. Regions of maps, branches and stability are sand and slate, black and grey, so
that no colour of a rule has a second meaning. All this was measured as colour-blind readers see it.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastmodes.rules import parse_rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import xarray as xr

    from fastmodes.rules import LearningRule

    AnyRule = LearningRule | str | dict[str, Any]


_DASHES = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1.5, 1, 1.5, 1, 1.5)),
    (0, (8, 2)),
    (0, (3, 1)),
    (0, (1, 3)),
    (0, (8, 2, 2, 2)),
    (0, (5, 1, 1, 1, 1, 1, 1, 1)),
)
_MARKERS = "osD^vPX*<>hpd8"
_OTHER = "other feedback"
#: (feedback, propagator): hue, dashes without a parameter, place among the markers. A feedback that is not listed takes
#: the third hue of its propagator.
_FAMILIES = {
    ("readout", "recurrent"): ("#0072B2", 0, 0),
    ("random", "recurrent"): ("#2A2AD0", 5, 4),
    (_OTHER, "recurrent"): ("#020E92", 8, 8),
    ("random", "scalar"): ("#D55E00", 2, 2),
    ("readout", "scalar"): ("#E8A200", 2, 5),
    (_OTHER, "scalar"): ("#6C3B07", 2, 9),
    ("random", "recurrent_diagonal"): ("#009E73", 3, 3),
    ("readout", "recurrent_diagonal"): ("#31C855", 3, 6),
    (_OTHER, "recurrent_diagonal"): ("#86E0D8", 9, 10),
    ("random", "diagonal"): ("#CC79A7", 6, 7),
    ("readout", "diagonal"): ("#6A0F72", 6, 11),
    (_OTHER, "diagonal"): ("#4A4A4A", 6, 12),
}
#: What BPTT's hue becomes at a horizon of one step.
_ONE_STEP = "#56B4E9"
#: Dashes by decay: the first entry that is larger; the middle one is the default's, 0.5.
_DECAYS = ((0.15, 4), (0.35, 9), (0.65, 2), (0.85, 6), (math.inf, 1))
#: Two colours nearer than this (Euclidean, in RGB from 0 to 1) with the same dashes count as the same look.
_ALIKE = 0.12

#: Regions of maps: light sand to dark slate, told apart by lightness alone.
FILLS = ("#FBF1D3", "#E9CF8E", "#C9B8B0", "#8E93A3", "#5A5F70", "#FFFFFF", "#2B2D36", "#DADCE2")
#: Lines that belong to no rule: branches, optimisers, kinds of alignment; darkest first.
NEUTRALS = (("#000000", "-"), ("#5C5C5C", "--"), ("#8F8F8F", "-."), ("#767676", ":"))


class Look(NamedTuple):
    """How a rule is drawn."""

    color: str
    linestyle: Any
    marker: str

    @property
    def line(self) -> dict[str, Any]:
        """Keyword arguments of ``Axes.plot``."""
        return {"color": self.color, "linestyle": self.linestyle}


def mix(colour: str, other: str, share: float) -> str:
    """``colour`` with a ``share`` from 0 to 1 of ``other``, both "#RRGGBB"."""
    return "#" + "".join(f"{round(x + share * (y - x)):02X}" for x, y in zip(_rgb(colour), _rgb(other), strict=True))


def _rgb(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def shades(colour: str, count: int) -> list[str]:
    """``count`` shades of a colour from dark to light: modes by decreasing size, or values of one parameter."""
    places = np.linspace(-0.55, 0.62, count) if count > 1 else [0.0]
    return [mix(colour, "#000000" if p < 0 else "#FFFFFF", abs(p)) for p in places]


def rule_look(rule: AnyRule) -> Look:
    """Look of one rule, whatever stands beside it.

    Parameters
    ----------
    rule : LearningRule, dict of its fields, or str
        A name is read as :func:`fastmodes.parse_rule` does; one that says nothing gets a look of its own from its
        letters.
    """
    fields = _fields(rule)
    if fields is None:
        code = zlib.crc32(str(rule).encode("utf-8", "replace"))
        colours = [family[0] for (feedback, _), family in _FAMILIES.items() if feedback == _OTHER]
        return Look(colours[code % 4], _DASHES[code // 4 % len(_DASHES)], _MARKERS[code // 64 % len(_MARKERS)])
    feedback, propagator, horizon, decay = fields
    key = (feedback, propagator) if (feedback, propagator) in _FAMILIES else (_OTHER, propagator)
    colour, dash, mark = _FAMILIES.get(key, _FAMILIES[_OTHER, "diagonal"])
    if decay is not None:
        middle = min(max(float(np.mean(decay)), 0.0), 1.0) - 0.5
        colour = mix(colour, "#FFFFFF" if middle < 0 else "#000000", 0.7 * abs(middle))
        place = next(i for i, (end, _) in enumerate(_DECAYS) if middle + 0.5 < end)
        dash = _DECAYS[place][1] if propagator == "scalar" else dash
        mark += place - 2
    if horizon is not None:
        lightest = _ONE_STEP if key == ("readout", "recurrent") else mix(colour, "#FFFFFF", 0.45)
        colour = mix(colour, lightest, 1.0 / horizon)
        # One step, two, three, up to six, up to fourteen, more: "--", "-.", "-..", ...
        place = next((i for i, end in enumerate((1, 2, 3, 6, 14)) if horizon <= end), 5)
        dash, mark = (1, 2, 4, 9, 5, 8)[place], mark + 1 + place
    return Look(colour, _DASHES[dash], _MARKERS[mark % len(_MARKERS)])


def rule_looks(rules: xr.Dataset | xr.DataArray | Iterable[AnyRule]) -> dict[str, Look]:
    """Looks of all rules of a figure by name, no two of them the same.

    Parameters
    ----------
    rules : xarray.Dataset, xarray.DataArray, or sequence of LearningRule or str
        A dataset names its rules on ``rule``; their fields are taken from its configuration where they are there.
    """
    given: Any = rules
    if hasattr(rules, "attrs"):
        known = _configured(given)
        listed = [known.get(str(name), str(name)) for name in np.atleast_1d(given["rule"].values)]
    else:
        listed = list(given)
    looks: dict[str, Look] = {}
    for rule in listed:
        name = rule["name"] if isinstance(rule, dict) else getattr(rule, "name", str(rule))
        looks[name] = _apart(rule_look(rule), looks.values())
    return looks


def _apart(look: Look, taken: Collection[Look]) -> Look:
    """The look, or its hue with other dashes and another marker where one like it is taken."""
    for turn in range(len(_DASHES)):
        dash = _DASHES[(_DASHES.index(look.linestyle) + turn) % len(_DASHES)]
        if not any(dash == other.linestyle and _near(look.color, other.color) for other in taken):
            mark = _MARKERS[(_MARKERS.index(look.marker) + turn) % len(_MARKERS)]
            return Look(look.color, dash, mark)
    return look


def _near(one: str, other: str) -> bool:
    return math.dist(_rgb(one), _rgb(other)) < 255 * _ALIKE


_REPR = re.compile(
    r"(?P<name>.*): (?P<feedback>\w+) feedback(?: \([^()]*\))?, "
    r"(?P<propagator>\w+) propagator(?: \(decay (?P<decay>.*)\))?, (?:full horizon|horizon (?P<horizon>\d+))",
    re.DOTALL,
)


def _configured(data: xr.Dataset | xr.DataArray) -> dict[str, dict[str, Any]]:
    """The fields of every rule that a dataset's configuration describes, by name."""
    try:
        stored = json.loads(data.attrs.get("configuration", "{}"))
    except (TypeError, ValueError):
        return {}
    found: dict[str, dict[str, Any]] = {}
    pending = [stored]
    while pending:
        value = pending.pop()
        if isinstance(value, dict) and {"name", "feedback", "propagator"} <= value.keys():
            found.setdefault(str(value["name"]), value)
        elif isinstance(value, dict | list):
            pending += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str) and (match := _REPR.fullmatch(value)):
            numbers = [float(part) for part in re.findall(r"-?[\d.]+(?:e[+-]?\d+)?", match["decay"] or "")]
            found.setdefault(match["name"], match.groupdict() | {"decay": numbers or None})
    return found


def _fields(rule: AnyRule) -> tuple[str, str, int | None, Any] | None:
    """(feedback, propagator, horizon, decay) of a rule, or None where its name says nothing."""
    if isinstance(rule, str):
        try:
            rule = parse_rule(rule)
        except (TypeError, ValueError):
            return None
    get = rule.get if isinstance(rule, dict) else lambda key: getattr(rule, key, None)
    horizon = get("horizon")
    return str(get("feedback")), str(get("propagator")), None if horizon is None else max(int(horizon), 1), get("decay")
