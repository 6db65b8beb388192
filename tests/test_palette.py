"""The palette: told apart by everyone, one meaning per colour, and a rule looks the same in every company."""

import dataclasses
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis import figures
from fastmodes.analysis.figures import palette
from fastmodes.analysis.figures.palette import FILLS, NEUTRALS, rule_look, rule_looks, shades
from hostile_datasets import CASES, ODD_NAMES, training, twenty_rules

import fastmodes as fm

# Machado, Oliveira and Fernandes (2009), full severity, on linear RGB.
VIEWS = {
    "everyone": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
)


def lab(colour, view):
    """CIELAB of a colour as it is seen."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    ratio = _TO_XYZ @ np.clip(VIEWS[view] @ linear, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one, other):
    """Smallest difference Delta E over all readers; about 2 is just noticed side by side."""
    return min(np.linalg.norm(lab(one, view) - lab(other, view)) for view in VIEWS)


def test_hues_of_all_kinds_of_rules_are_told_apart_by_colour_alone():
    hues = [family[0] for family in palette._FAMILIES.values()] + [rule_look(fm.tbptt(1)).color]
    assert len(hues) == 13
    for one, other in itertools.combinations(hues, 2):
        assert distance(one, other) > 15, (one, other)


def test_lines_are_seen_on_white():
    for rule in twenty_rules():
        assert distance(rule_look(rule).color, "#FFFFFF") > 20, rule


def test_twenty_rules_have_twenty_looks():
    looks = rule_looks(twenty_rules())
    assert len(looks) == 20
    for (a, one), (b, other) in itertools.combinations(looks.items(), 2):
        assert one.linestyle != other.linestyle or distance(one.color, other.color) > 8, (a, b)


@pytest.mark.parametrize("rules", [[fm.tbptt(k) for k in (1, 3, 10)], [fm.rflo(d) for d in (0.1, 0.5, 0.8)]])
def test_parameters_of_one_kind_differ_in_shade_and_in_dashes_and_in_markers(rules):
    looks = [rule_look(rule) for rule in rules]
    for field in ("color", "linestyle", "marker"):
        assert len({str(getattr(look, field)) for look in looks}) == 3, field


def test_a_rule_looks_the_same_alone_and_in_company():
    looks = rule_looks(twenty_rules())
    for rule in twenty_rules():
        assert looks[rule.name] == rule_look(rule)
        assert rule_looks([rule])[rule.name] == rule_look(rule)


def test_own_rules_never_share_a_look():
    looks = rule_looks([f"own rule {i}" for i in range(30)])
    assert len({(look.color, str(look.linestyle)) for look in looks.values()}) == 30
    near = rule_looks([fm.LearningRule(f"r{d}", "random", "scalar", decay=d) for d in (0.9, 0.91, 0.92, 0.93)])
    assert len({str(look.linestyle) for look in near.values()}) == 4


def test_names_of_rules_say_how_they_look():
    for rule in (fm.bptt(), fm.tbptt(3), fm.rflo(), fm.eprop()):
        assert rule_look(rule.name) == rule_look(rule)


def test_the_configuration_says_how_own_names_look():
    rule = fm.LearningRule("mine: random feedback, recurrent propagator", "random", "scalar", horizon=3, decay=0.8)
    for stored in (repr(rule), dataclasses.asdict(rule)):
        attrs = {"configuration": json.dumps({"command": "x", "axes": {"rules": [stored]}})}
        assert rule_looks(xr.Dataset(coords={"rule": [rule.name]}, attrs=attrs))[rule.name] == rule_look(rule)
    case = CASES["odd names"]
    looks = rule_looks(training(case))
    assert [looks[rule.name].color for rule in case.rules] == [rule_look(rule).color for rule in case.rules]


@pytest.mark.parametrize("stored", ["", "{", "3", "[[]]", json.dumps({"rules": ["BPTT", 3, None]})])
def test_other_configurations_do_no_harm(stored):
    dataset = xr.Dataset(coords={"rule": ["BPTT", *ODD_NAMES]}, attrs={"configuration": stored})
    assert rule_looks(dataset)["BPTT"] == rule_look(fm.bptt())


@pytest.mark.parametrize("propagator", ["recurrent", "scalar", "diagonal", "recurrent_diagonal", "tomorrow's"])
def test_feedbacks_and_propagators_of_tomorrow_have_a_look(propagator):
    fields = {"name": "x", "feedback": "mirror", "propagator": propagator, "horizon": 2, "decay": 0.5}
    assert rule_look(fields).color not in {rule_look(rule).color for rule in twenty_rules()}


def test_no_colour_of_a_rule_has_another_meaning():
    families = [rule_look(rule).color for rule in twenty_rules() if "diagonal" not in rule.name]
    for colour in (*FILLS, *(colour for colour, _ in NEUTRALS)):
        chroma = np.hypot(*lab(colour, "everyone")[1:])
        for rule in families:
            assert distance(colour, rule) > 12 or chroma < 12, (colour, rule)


def test_regions_of_maps_are_told_apart():
    for one, other in itertools.combinations(FILLS[:6], 2):
        assert distance(one, other) > 9, (one, other)


def test_shades_go_from_dark_to_light():
    lightness = [lab(colour, "everyone")[0] for colour in shades("#0072B2", 6)]
    assert (np.diff(lightness) > 3).all()
    assert shades("#0072B2", 1) == ["#0072B2"]


def test_colours_are_named_in_the_palette_alone():
    for path in Path(figures.__file__).parent.glob("*.py"):
        if path.name != "palette.py":
            assert not re.search(r"#[0-9A-Fa-f]{6}", path.read_text(encoding="utf-8").replace('"#BBBBBB"', "")), (
                path.name
            )
