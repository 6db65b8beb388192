"""Claims: verdicts follow from numbers, intervals are right, rate limits lie where theory has them."""

import dataclasses
import inspect

import numpy as np
import pytest
from fastmodes.analysis.report.claims_modes import mode_claims
from fastmodes.analysis.report.verdicts import Claim
from fastmodes.analysis.trained.intervals import count_interval, median_interval
from fastmodes.analysis.trained.learning_rates import learning_rate_limits, power_of_gap, unit_rate

import fastmodes as fm
from fastmodes.presets import FIG6, PRESETS, UNALIGNED, family, ten_mode_teacher, variations


def test_verdict_follows_from_the_checks():
    claim = Claim("C0", "", (), {"one": True, "two": True}, "")
    assert claim.verdict == "reproduced"
    assert dataclasses.replace(claim, checks={"one": True, "two": False}).verdict == "reproduced in part"
    assert dataclasses.replace(claim, checks={"one": False}).verdict == "not reproduced"


def test_claims_about_modes():
    rows = {claim.name: claim for claim in mode_claims()}
    assert list(rows) == ["C1", "C2", "C3", "C4", "C8", "C9"]
    for name in ("C1", "C2", "C8", "C9"):
        assert rows[name].verdict == "reproduced", rows[name].checks
    assert rows["C4"].checks["RFLO to the opposite branch"]
    # Averages over T of a geometrically converging sequence: the difference falls like 1/T.
    assert rows["C9"].numbers["power"] == pytest.approx(-1, abs=0.01)


def test_wilson_interval_by_its_formula():
    for successes, total in ((13, 20), (0, 20), (20, 20)):
        z, p = 1.959963984540054, successes / total
        middle = (p + z**2 / (2 * total)) / (1 + z**2 / total)
        half = z / (1 + z**2 / total) * np.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
        np.testing.assert_allclose(count_interval(successes, total), (middle - half, middle + half), atol=1e-12)


def test_bootstrap_interval_covers_and_repeats():
    values = np.random.default_rng(0).standard_normal(200)
    middle, low, high = median_interval([*values, np.nan])
    assert low < middle < high
    assert median_interval(values) == (middle, low, high)
    assert median_interval([2.0, 2.0, 2.0]) == (2.0, 2.0, 2.0)
    assert np.isnan(median_interval([np.nan])).all()
    # Standard error of a normal sample's median: sqrt(pi / (2 n)).
    assert (high - low) / (2 * 1.96) == pytest.approx(np.sqrt(np.pi / 400), rel=0.4)


@pytest.mark.parametrize("rule", [fm.bptt(), fm.tbptt(), fm.rflo(0.5)], ids=lambda rule: rule.name)
def test_one_unit_is_stable_up_to_two_over_lambda(rule):
    """The Jacobian's eigenvalues are written out here, not taken from the package (s = p = r = 1)."""
    w, decay = 0.6, 0.5
    d, e = 1 - w**2, 1 - decay * w
    c1, c0 = {
        "BPTT": ((1 + w**2) / d**3 + 2 / d, 2 / d**4),
        "tBPTT(1)": (1 / d**2 + 1 / d + 1, 2 / d**2),
        "RFLO": ((1 - decay * w**3) / (d**2 * e**2) + 1 / d + 1 / e, 2 / (d**2 * e**2)),
    }[rule.name]
    fastest = (c1 + np.sqrt(c1**2 - 4 * c0)) / 2
    assert unit_rate(rule, w, epochs=2000) == pytest.approx(2 / fastest, rel=0.01)


def test_power_of_gap_of_a_known_law():
    data = learning_rate_limits(fm.bptt(), [0.8, 0.9], networks=False)
    data["predicted_rate"][0] = (1 - data["teacher_eigenvalue"].values ** 2) ** 2.5
    assert power_of_gap(data, "predicted_rate", "BPTT") == pytest.approx(2.5)
    assert np.isnan(power_of_gap(data.isel(teacher_eigenvalue=[0]), "predicted_rate", "BPTT"))


def test_limits_refuse_eigenvalues_outside_of_the_unit_interval():
    with pytest.raises(ValueError, match=r"eigenvalues must lie in \(0, 1\)"):
        learning_rate_limits(fm.bptt(), [0.5, 1.0])


def test_presets_are_frozen_values_that_say_whose_numbers_they_are():
    for preset in PRESETS.values():
        assert preset.from_paper
        assert preset.ours
        hash(preset)
        with pytest.raises(dataclasses.FrozenInstanceError):
            preset.name = "other"
    assert len(dict(FIG6.settings)["seeds"]) == len(dict(UNALIGNED.settings)["seeds"]) == 20
    np.testing.assert_array_equal(
        np.diagonal(ten_mode_teacher().recurrent), [0.828] * 2 + [0.736] * 2 + [0.644] * 3 + [0.552] * 3
    )


def test_parts_of_the_unaligned_preset_are_the_figures_themselves():
    """Runs do not depend on the other rules: figure 5 alone gives the same numbers."""
    small = {"seeds": (3,), "epochs": 20, "record_every": 10, "progress": False}
    whole, part = UNALIGNED.run(**small), PRESETS["fig5"].run(**small)
    np.testing.assert_array_equal(whole["loss"].sel(rule="RFLO"), part["loss"].sel(rule="RFLO"))


def test_family_holds_every_combination_once():
    rules = family()
    pairs = {(rule.feedback, rule.propagator) for rule in rules if rule.horizon is None}
    assert len(pairs) == len(rules) - 1 == 8
    fixed = next(rule for rule in rules if rule.propagator == "diagonal")
    assert np.mean(fixed.decay) == pytest.approx(0.5)


def test_public_functions_are_found_by_name():
    for name in ("rank", "spectrum", "claims", "reproduce", "predict_from_epoch", "theory_error"):
        assert inspect.isfunction(getattr(fm.analysis, name))


def test_variations_change_one_thing_each():
    for label, changes in variations(FIG6).items():
        assert len(changes) == (0 if label == "as chosen" else 1)
