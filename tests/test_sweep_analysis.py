"""Sweep datasets reduced over seeds and drawn."""

import matplotlib
import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.figures.sweeps import sweep_figure
from fastmodes.analysis.trained.sweep_statistics import (
    convergence_fraction,
    most_frequent,
    outcome_fractions,
    over_seeds,
)
from scipy.stats import binomtest

from fastmodes.files.schema import flag_attributes

SEEDS = 12


@pytest.fixture
def trained():
    """Losses of four rules over three rates: some seeds converge, some diverge, some do neither."""
    rng = np.random.default_rng(0)
    status = rng.integers(0, 3, (4, 3, SEEDS)).astype(np.int8)
    first = rng.uniform(1.0, 2.0, status.shape)
    last = first * np.where(rng.random(status.shape) < 0.5, 0.5, 1e-3)
    last[status == 2] = np.nan
    return xr.Dataset(
        {
            "loss": (("rule", "learning_rate", "seed", "epoch"), np.stack([first, last], -1), {"long_name": "loss"}),
            "status": (
                ("rule", "learning_rate", "seed"),
                status,
                flag_attributes(("running", "converged", "diverged")),
            ),
        },
        coords={"rule": ["BPTT", "tBPTT(1)", "RFLO", "e-prop"], "learning_rate": [0.01, 0.1, 1.0], "epoch": [0, 9]},
        attrs={"title": "A sweep"},
    )


def test_the_fraction_that_converged_counts_by_status_or_loss_with_an_exact_interval(trained):
    found = convergence_fraction(trained, threshold=0.01, confidence=0.9)
    for rule in range(4):
        for rate in range(3):
            runs = trained.isel(rule=rule, learning_rate=rate)
            hits = 0
            for seed in range(SEEDS):
                code, (first, last) = int(runs.status[seed]), runs.loss[seed].values
                hits += code == 1 or (code == 0 and last <= 0.01 * first)
            interval = binomtest(hits, SEEDS).proportion_ci(0.9, "exact")
            here = found.isel(rule=rule, learning_rate=rate)
            assert float(here.convergence_fraction) == hits / SEEDS
            assert float(here.convergence_low) == pytest.approx(interval.low, abs=1e-12)
            assert float(here.convergence_high) == pytest.approx(interval.high, abs=1e-12)


@pytest.mark.parametrize("code", [1, 2])
def test_the_interval_of_all_or_none_ends_at_its_bound(trained, code):
    trained["status"] = trained.status.copy(data=np.full_like(trained.status, code))
    found = convergence_fraction(trained)
    interval = binomtest(SEEDS if code == 1 else 0, SEEDS).proportion_ci(0.95, "exact")
    np.testing.assert_allclose(found.convergence_low, interval.low, atol=1e-12)
    np.testing.assert_allclose(found.convergence_high, interval.high, atol=1e-12)


def test_quantiles_over_seeds_leave_out_runs_without_a_value(trained):
    found = over_seeds(trained, [0.0, 0.5, 1.0])
    last = trained.loss.isel(epoch=-1)
    np.testing.assert_array_equal(found.loss.isel(quantile=1, epoch=-1), last.median("seed", skipna=True))
    np.testing.assert_array_equal(found.loss.isel(quantile=2, epoch=-1), last.max("seed", skipna=True))
    assert found.loss.attrs["long_name"] == "loss"
    with pytest.raises(ValueError, match="quantiles"):
        over_seeds(trained, [2.0])
    for function in (over_seeds, outcome_fractions, convergence_fraction):
        with pytest.raises(ValueError, match="'seed'"):
            function(trained.isel(seed=0))


def test_outcome_fractions_sum_to_one(trained):
    found = outcome_fractions(trained).outcome_fraction
    np.testing.assert_allclose(found.sum("outcome"), 1.0, rtol=1e-15)
    np.testing.assert_array_equal(found.sel(outcome="diverged"), (trained.status == 2).mean("seed"))


def test_the_most_frequent_flag(trained):
    found = most_frequent(trained, "status", ["seed"])
    for rule in range(4):
        for rate in range(3):
            codes = trained.status[rule, rate].values
            assert int(found[rule, rate]) == np.bincount(codes).argmax()
    np.testing.assert_array_equal(most_frequent(trained, "status", []), trained.status)


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in (ax.xaxis.label, ax.yaxis.label, ax.title)]


def test_figures_are_labelled_and_leave_global_settings_alone(trained):
    before = dict(matplotlib.rcParams)
    curves = sweep_figure(trained)
    assert "learning rate" in texts(curves)
    assert "fraction of seeds that converged" in texts(curves)
    assert curves.axes[0].get_xscale() == "log"
    wide = trained.expand_dims(init_scale=[0.1, 0.5, 0.7, 0.9])
    maps = sweep_figure(wide)
    assert {"BPTT", "tBPTT(1)", "RFLO", "e-prop", "init scale", "learning rate"} <= set(texts(maps))
    flags = sweep_figure(wide[["status"]])
    assert "most frequent over" in flags.get_suptitle()
    assert dict(matplotlib.rcParams) == before
    with pytest.raises(ValueError, match="axis of two values"):
        sweep_figure(trained.isel(learning_rate=0))
