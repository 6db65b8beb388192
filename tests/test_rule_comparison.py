"""Rules compared at equal loss and at equal epoch: interpolation, pairs, tests and their correction."""

import json
import math

import naive_quality
import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.figures import quality
from fastmodes.analysis.trained.intervals import median_interval
from fastmodes.analysis.trained.paired import holm, paired_test
from fastmodes.analysis.trained.passages import PASSAGES, loss_levels
from hostile_datasets import CASES, training

import fastmodes as fm

NAN = math.nan


def hand_made(loss, value, epochs=(0, 10, 20, 30), rules=("BPTT", "RFLO")):
    """Losses and values (rule, seed, epoch) as a dataset."""
    along = ("rule", "seed", "epoch")
    coords = {"rule": list(rules), "seed": np.arange(np.shape(loss)[1]), "epoch": list(epochs)}
    return xr.Dataset({"loss": (along, np.array(loss, float)), "q": (along, np.array(value, float))}, coords=coords)


HAND = hand_made(
    [
        [[1.0, 0.1, 0.001, 0.0], [1.0, 0.5, 0.7, 0.02], [0.01, 0.001, 0.001, 0.001]],
        [[1.0, 1e-4, NAN, NAN], [1.0, 2.0, NAN, NAN], [1.0, 0.05, 0.05, 0.05]],
    ],
    [
        [[1.0, 2.0, 4.0, 8.0], [1.0, 3.0, 5.0, 9.0], [1.0, 1.0, 1.0, 1.0]],
        [[0.0, 1.0, NAN, NAN], [0.0, 1.0, NAN, NAN], [NAN, 0.5, 0.5, 0.5]],
    ],
)


def test_values_at_equal_loss_lie_between_two_records():
    found = fm.analysis.compare_rules(HAND, "q", levels=[0.01, 0.1, 0.6])
    assert found.level.values.tolist() == [0.6, 0.1, 0.01]
    words = fm.status_names(found, "passage_status")
    at = found.sel(level=0.01)
    # From 0.1 to 0.001 the level 0.01 is half the way, in logarithms.
    assert at.value.sel(rule="BPTT", seed=0) == pytest.approx(3.0, abs=1e-12)
    assert at.passage_epoch.sel(rule="BPTT", seed=0) == pytest.approx(15.0, abs=1e-12)
    assert words.sel(level=0.01, rule="BPTT").values.tolist() == ["reached", "never_reached", "began_below"]
    # A record that is met exactly; the first passage, whatever comes later.
    assert found.value.sel(level=0.1, rule="BPTT", seed=0) == 2.0
    share = math.log(1.0 / 0.6) / math.log(1.0 / 0.5)
    assert found.value.sel(level=0.6, rule="BPTT", seed=1) == pytest.approx(1 + 2 * share, abs=1e-12)
    share = math.log(0.7 / 0.1) / math.log(0.7 / 0.02)
    assert found.value.sel(level=0.1, rule="BPTT", seed=1) == pytest.approx(5 + 4 * share, abs=1e-12)
    # One that diverged had come there before; one never; one has no value beside its passage.
    assert words.sel(level=0.1, rule="RFLO").values.tolist() == ["reached", "never_reached", "no_value"]
    assert found.value.sel(level=0.1, rule="RFLO", seed=0) == pytest.approx(0.25, abs=1e-12)
    assert found.runs_used.sel(level=0.1).values.tolist() == [2, 1]
    assert found.pairs_used.sel(level=0.1, rule="RFLO", other_rule="BPTT") == 1
    assert found.median_value.sel(level=0.1, rule="BPTT") == pytest.approx(3.5 + 2 * share, abs=1e-12)
    # Down to nothing the loss falls linearly.
    found = fm.analysis.compare_rules(HAND, "q", levels=[0.00025])
    assert found.value.sel(rule="BPTT", seed=0).item() == pytest.approx(7.0, abs=1e-12)
    assert fm.analysis.compare_rules(HAND, "q", levels=[0.0]).value.sel(rule="BPTT", seed=0).item() == 8.0


def test_values_at_equal_epoch():
    found = fm.analysis.compare_rules(HAND, "q", at="epoch", levels=[0, 5, 10, 25, 30])
    wanted = [1.0, 1.5, 2.0, 6.0, 8.0]
    np.testing.assert_allclose(found.value.sel(rule="BPTT", seed=0), wanted, rtol=1e-15)
    np.testing.assert_array_equal(found.value.sel(rule="RFLO", seed=0), [0.0, 0.5, 1.0, NAN, NAN])
    assert found.runs_used.sel(rule="RFLO").values.tolist() == [2, 2, 3, 1, 1]
    np.testing.assert_array_equal(found.passage_epoch.sel(rule="BPTT", seed=2), [0, 5, 10, 25, 30])
    with pytest.raises(ValueError, match=r"levels must lie from 0 to 30.*got \[31.0\]"):
        fm.analysis.compare_rules(HAND, "q", at="epoch", levels=[31])


def test_labels_decide_not_places(rng):
    loss = np.sort(rng.uniform(0.01, 1.0, (3, 5, 6)))[..., ::-1]
    whole = hand_made(loss, rng.standard_normal(loss.shape), range(0, 60, 10), ("BPTT", "RFLO", "e-prop"))
    mixed = whole.isel(rule=[2, 0, 1], seed=[3, 1, 0, 4, 2], epoch=[5, 0, 3, 1, 4, 2]).transpose()
    for at in ("loss", "epoch"):
        one, other = (fm.analysis.compare_rules(data, "q", at=at) for data in (whole, mixed))
        other = other.sel(rule=one.rule.values, other_rule=one.rule.values, seed=one.seed.values)
        xr.testing.assert_allclose(one, other, rtol=1e-12)
        turned = one.median_difference.rename(rule="other_rule", other_rule="rule").transpose(*one.p_value.dims)
        np.testing.assert_array_equal(one.median_difference, -turned)


def test_pairs_are_those_of_each_level(rng):
    """Three rules in shuffled order, seven seeds, some of which never come to a level."""
    loss = np.sort(10 ** rng.uniform(-3, 0, (3, 7, 9)))[..., ::-1]
    loss[..., 0] = 1.0
    value = rng.standard_normal(loss.shape)
    data = hand_made(loss, value, range(9), ("e-prop", "BPTT", "RFLO"))
    levels = [0.5, 0.02, 0.004]
    found = fm.analysis.compare_rules(data, "q", levels=levels)
    for level in levels:
        at = {rule: found.value.sel(level=level, rule=rule).values for rule in data.rule.values}
        pairs, p = [("e-prop", "BPTT"), ("e-prop", "RFLO"), ("BPTT", "RFLO")], []
        for rule, other in pairs:
            difference = (at[rule] - at[other])[np.isfinite(at[rule] - at[other])]
            here = found.sel(level=level, rule=rule, other_rule=other)
            assert here.pairs_used == len(difference)
            p.append(naive_quality.sign_flips(difference) if len(difference) else NAN)
            np.testing.assert_allclose(here.p_value, p[-1], rtol=1e-12)
            np.testing.assert_allclose(here.median_difference, median_interval(difference)[0])
        known = [x for x in p if not math.isnan(x)]
        adjusted = iter(naive_quality.holm(known))
        for (rule, other), each in zip(pairs, p, strict=True):
            wanted = NAN if math.isnan(each) else next(adjusted)
            np.testing.assert_allclose(found.p_value_holm.sel(level=level, rule=other, other_rule=rule), wanted)


@pytest.mark.parametrize("count", [2, 3, 5, 8, 11])
def test_exact_p_by_counting_every_flip(count, rng):
    for shift in (0.0, 0.4, 3.0):
        one = rng.standard_normal(count) + shift
        other = rng.standard_normal(count)
        np.testing.assert_allclose(paired_test(one, other), naive_quality.sign_flips(one - other), rtol=1e-12)
    assert paired_test(np.full(count, 2.0), np.zeros(count)) == pytest.approx(2 / 2**count)


def test_p_of_few_and_many_pairs(rng):
    assert math.isnan(paired_test([NAN, 1.0], [1.0, NAN]))
    assert paired_test([1.0, NAN], [0.0, 2.0]) == 1.0
    assert paired_test([1.0, 2.0], [1.0, 2.0]) == 1.0
    many = rng.standard_normal(40)
    assert paired_test(many, many - 2.0) == pytest.approx(2 / 10_000)
    assert paired_test(many, many[::-1]) == paired_test(many, many[::-1])
    from scipy.stats import ttest_1samp

    shifted = many + 0.2
    assert abs(paired_test(shifted, np.zeros(40)) - ttest_1samp(shifted, 0).pvalue) < 0.03


def test_holms_correction(rng):
    for _ in range(20):
        values = rng.uniform(0, 0.2, 6)
        np.testing.assert_allclose(holm(values), naive_quality.holm(list(values)))
    np.testing.assert_array_equal(holm([0.01, NAN, 0.04]), [0.02, NAN, 0.04])
    assert holm([NAN]).tolist() != [0]
    assert holm([]).size == 0


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("at", ["loss", "epoch"])
def test_hostile_datasets_are_compared(case, at):
    data = training(CASES[case])
    if case == "twenty rules":
        data = data.isel(rule=slice(0, 20, 3))
    found = fm.analysis.compare_rules(data, "alignment_readout", at=at)
    reached = found.passage_status == PASSAGES.index("reached")
    assert reached.equals(found.value.notnull())
    np.testing.assert_array_equal(found.runs_used, reached.sum("seed"))
    assert found.median_value.notnull().equals((found.runs_used > 0).astype(bool))
    known = found.p_value.notnull()
    assert ((found.p_value > 0) & (found.p_value <= 1)).where(known, True).all()
    assert (found.p_value_holm >= found.p_value).where(known, True).all()
    assert (known == (found.pairs_used > 0)).all()
    json.loads(found.attrs["configuration"])


def test_levels_that_half_the_runs_pass():
    loss = np.array([[[1.0, 0.1], [2.0, 0.01]], [[1.5, 0.5], [1.5, 0.2]]])
    levels = loss_levels(loss, 3)
    assert ((levels < 1.0) & (levels > 0.35)).all()
    assert (np.diff(levels) < 0).all()
    assert loss_levels(np.full((2, 3, 4), NAN), 3).tolist() == [1.0]
    assert loss_levels(np.ones((2, 3, 4)), 3).tolist() == [1.0]


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match=r"runs must hold 'gradient_cosine'.*gradient_quality=True"):
        fm.analysis.compare_rules(HAND)
    with pytest.raises(ValueError, match="at must be one of 'loss', 'epoch'; got 'los'"):
        fm.analysis.compare_rules(HAND, "q", at="los")
    with pytest.raises(ValueError, match="levels must be losses >= 0"):
        fm.analysis.compare_rules(HAND, "q", levels=[-1.0])
    with pytest.raises(ValueError, match=r"quantity must be a variable on rule, seed, epoch; 'r' has.*along matrix"):
        fm.analysis.compare_rules(HAND.assign(r=HAND.q.expand_dims(matrix=2)), "r")
    with pytest.raises(ValueError, match="runs must hold 'validation_loss'"):
        fm.analysis.compare_rules(HAND, "q", loss="validation_loss")


def test_a_curve_at_equal_loss_is_what_the_comparison_says():
    ax = quality.quality_against_loss(HAND.isel(seed=[0, 1]), variable="q")
    lines = {line.get_gid() or line.get_label(): line for line in ax.get_lines()}
    levels = lines["BPTT"].get_xdata() if "BPTT" in lines else ax.get_lines()[0].get_xdata()
    found = fm.analysis.compare_rules(HAND.isel(seed=[0, 1]), "q", levels=levels)
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), found.median_value.sel(rule="BPTT"), rtol=1e-12)
    assert ax.get_xlim()[0] > ax.get_xlim()[1]
