"""Directions in which seeds change W: angles, overlaps and what chance gives."""

import json
import math

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.figures import geometry as figures
from fastmodes.analysis.trained.geometry import QUANTILES, STATUS, angles_between, random_bases, shared_directions
from scipy.linalg import subspace_angles
from scipy.stats import beta

import fastmodes as fm

N, SEEDS = 8, [4, 0, 9, 2]
TEACHER = fm.random_teacher(4, n_out=2, n_in=3, radius=0.8, seed=1)
ONE = fm.random_feedback(fm.random_student(N, TEACHER, scale=1.0, seed=7), scale=1.0, seed=7)
RULES = ["bptt", "rflo(0.5)", "eprop"]


def trained(feedbacks=None, rules=RULES, **changes):
    given = {
        "hidden": N, "seeds": SEEDS, "epochs": 150, "record_every": 50, "steps": 12, "learning_rate": 0.02,
        "updates": "expected", "init_scale": 0.5, "keep_weights": True, "progress": False,
    }  # fmt: skip
    return fm.train(rules, TEACHER, feedbacks=feedbacks, **(given | changes))


@pytest.fixture(scope="module")
def own():
    return trained()


@pytest.fixture(scope="module")
def shared():
    return trained(ONE)


@pytest.mark.parametrize("matrix", ["recurrent", "input"])
@pytest.mark.parametrize("k", [1, 3])
def test_angles_and_cosines_of_every_pair(own, matrix, k):
    mixed = own.isel(rule=[1, 2, 0], seed=[2, 0, 3, 1], epoch=[2, 0, 3, 1]).transpose()
    found = fm.analysis.change_geometry(mixed, matrix=matrix, dimensions=k, draws=50)
    dims = ("unit_to", "unit_from") if matrix == "recurrent" else ("unit", "channel")
    weights = own[f"{matrix}_weights"].transpose(..., *dims)
    change = weights.sel(epoch=150) - weights.sel(epoch=0)
    for rule in ("BPTT", "RFLO", "e-prop"):
        if k == 3 and rule == "RFLO":
            assert np.isnan(found.overlap.sel(rule=rule)).all()
            assert (fm.status_names(found, "geometry_status").sel(rule=rule) == "lower_rank").all()
            continue
        for one, other in ((4, 9), (2, 0), (9, 4)):
            d = [change.sel(rule=rule, seed=seed).values for seed in (one, other)]
            at = found.sel(rule=rule, seed=one, other_seed=other)
            np.testing.assert_allclose(
                at.change_cosine, np.sum(d[0] * d[1]) / np.linalg.norm(d[0]) / np.linalg.norm(d[1]), atol=1e-13
            )
            for side, turned in (("receiving", d), ("sending", [x.T for x in d])):
                bases = [np.linalg.svd(x)[0][:, :k] for x in turned]
                wanted = np.sort(subspace_angles(*bases))
                np.testing.assert_allclose(at.seed_angle.sel(side=side), wanted, atol=1e-8)
                np.testing.assert_allclose(at.overlap.sel(side=side), np.mean(np.cos(wanted) ** 2), atol=1e-12)
    for seed in SEEDS:
        assert np.isnan(found.overlap.sel(seed=seed, other_seed=seed)).all()


def test_one_feedback_for_all_makes_rflo_write_into_one_subspace(own, shared):
    """Prop. 3.1 across seeds: with one R the receiving subspaces are the rows of R; with their own they are random."""
    found = {name: fm.analysis.change_geometry(runs) for name, runs in (("own", own), ("shared", shared))}
    words = {name: fm.status_names(one, "shared_feedback").item() for name, one in found.items()}
    assert words == {"own": "own", "shared": "shared"}
    assert found["own"].sizes["angle"] == 2
    rflo = found["shared"].sel(rule="RFLO", side="receiving")
    pairs = ~np.eye(len(SEEDS), dtype=bool)
    assert rflo.overlap.values[pairs].min() > 1 - 1e-12
    assert rflo.seed_angle.values[pairs].max() < 1e-6
    np.testing.assert_allclose(rflo.shared_directions, 2.0, rtol=1e-10)
    weights = shared.recurrent_weights.sel(rule="RFLO", seed=9).transpose("epoch", "unit_to", "unit_from").values
    basis = np.linalg.svd(weights[-1] - weights[0])[0][:, :2]
    assert np.max(subspace_angles(basis, ONE.T)) < 1e-7
    # Elsewhere it is as by chance: sending units, and own feedback. The mean of six pairs holds within the quantiles.
    for name, side in (("shared", "sending"), ("own", "receiving"), ("own", "sending")):
        one = found[name].sel(rule="RFLO", side=side)
        low, _, high = one.chance_overlap.values
        assert low < one.overlap.mean() < high, (name, side)
    assert found["shared"].overlap.sel(rule="e-prop", side="receiving").median() > 0.5
    assert found["own"].overlap.sel(rule="e-prop", side="receiving").median() < 0.5


def test_factors_tell_the_same_as_weights(shared):
    measured = fm.analysis.change_geometry(shared)
    ranked = fm.analysis.rank(shared)
    factors = fm.analysis.change_geometry(ranked.assign(feedback_weights=shared.feedback_weights))
    for name in ("overlap", "change_cosine"):
        np.testing.assert_allclose(factors[name].sel(rule="RFLO"), measured[name].sel(rule="RFLO"), atol=1e-9)
    assert (fm.status_names(factors, "geometry_status").sel(rule="BPTT") == "not_finite").all()


def test_chance_in_one_dimension_is_a_beta_distribution():
    """The squared cosine of two random lines in n dimensions is Beta(1/2, (n-1)/2)."""
    runs = trained(rules=["bptt"])
    found = fm.analysis.change_geometry(runs, matrix="input", dimensions=1, draws=40_000, seed=3)
    for side, n in (("receiving", N), ("sending", 3)):
        exact = beta.ppf(QUANTILES, 0.5, (n - 1) / 2)
        np.testing.assert_allclose(found.chance_overlap.sel(side=side), exact, rtol=0.05, atol=2e-4)
        angles = found.chance_angle.sel(side=side).isel(angle=0)
        np.testing.assert_allclose(angles, np.arccos(np.sqrt(exact))[::-1], atol=0.02)
    again = fm.analysis.change_geometry(runs, matrix="input", dimensions=1, draws=40_000, seed=3)
    assert found.chance_overlap.equals(again.chance_overlap)
    assert not found.chance_overlap.equals(
        fm.analysis.change_geometry(runs, matrix="input", dimensions=1, draws=40_000, seed=4).chance_overlap
    )
    flat = np.random.default_rng(0).standard_normal((2, 20_000, N * 3))
    cosines = (flat[0] * flat[1]).sum(-1) / np.linalg.norm(flat, axis=-1).prod(axis=0)
    np.testing.assert_allclose(found.chance_cosine, np.quantile(cosines, QUANTILES), atol=0.02)


def test_bases_of_chance(rng):
    bases = random_bases(rng, 500, 6, 2)
    np.testing.assert_allclose(bases.swapaxes(1, 2) @ bases, np.broadcast_to(np.eye(2), (500, 2, 2)), atol=1e-12)
    projector = (bases @ bases.swapaxes(1, 2)).mean(axis=0)
    np.testing.assert_allclose(projector, np.eye(6) / 3, atol=0.06)
    assert shared_directions(bases[[0, 0, 0]]) == pytest.approx(2.0)
    whole = np.eye(6)
    assert shared_directions(np.stack([whole[:, :2], whole[:, 2:4], whole[:, 4:]])) == pytest.approx(6.0)
    np.testing.assert_allclose(angles_between(whole[:, :2], whole[:, 1:3]), [0, math.pi / 2], atol=1e-12)


def test_directions_by_energy(own):
    change = own.recurrent_weights.sel(epoch=150) - own.recurrent_weights.sel(epoch=0)
    s = np.linalg.svd(change.transpose("rule", "seed", "unit_to", "unit_from").values, compute_uv=False)
    counts = [int((np.cumsum(x**2) < 0.9 * np.sum(x**2)).sum()) + 1 for x in s.reshape(-1, N)]
    found = fm.analysis.change_geometry(own, energy=0.9, draws=20)
    assert found.sizes["angle"] == math.ceil(np.median(counts))
    assert json.loads(found.attrs["configuration"])["dimensions"] == found.sizes["angle"]


def said(found):
    return fm.status_names(found, "geometry_status").values.tolist()


def test_hostile_runs(own):
    frozen = trained(learning_rate={"readout": 0.1, "recurrent": 0.0, "input": 0.0}, rules=["bptt"])
    found = fm.analysis.change_geometry(frozen, draws=10)
    assert said(found) == [["no_change"] * 4]
    assert found.overlap.isnull().all()
    lost = own.assign(recurrent_weights=own.recurrent_weights * np.nan)
    found = fm.analysis.change_geometry(lost, draws=10, energy=0.5)
    assert said(found) == [["not_finite"] * 4] * 3
    assert found.shared_directions.isnull().all()
    figures.seed_geometry(found).canvas.draw()
    for part in (own.isel(seed=[1]), own.isel(epoch=[0])):
        found = fm.analysis.change_geometry(part, draws=10)
        assert found.overlap.isnull().all()
        figures.seed_geometry(found).canvas.draw()
    one = own.recurrent_weights.copy()
    one[{"rule": 0, "seed": 2, "epoch": 3}] = np.inf
    found = fm.analysis.change_geometry(own.assign(recurrent_weights=one), draws=10)
    assert said(found)[0] == ["measured", "measured", "not_finite", "measured"]
    assert int(found.overlap.sel(rule="BPTT", side="sending").notnull().sum()) == 6
    assert set(STATUS) >= set(np.ravel(said(found)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dimensions": 9}, "dimensions must be a whole number from 1 to 8"), ({"energy": 0.0}, "energy must be"),
        ({"energy": 0.5, "dimensions": 1}, "energy must be left out"), ({"matrix": "readout"}, "matrix must be one of"),
        ({"draws": 1}, "draws must be"), ({"seed": -1}, "seed must be"), ({"epoch": -2}, "epoch must be"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(own, changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fm.analysis.change_geometry(own, **changes)
    with pytest.raises(ValueError, match=r"runs must hold 'recurrent_weights'.*keep_weights=True"):
        fm.analysis.change_geometry(own.drop_vars("recurrent_weights"))
    with pytest.raises(TypeError, match=r"runs must be an xarray.Dataset"):
        fm.analysis.change_geometry(3)


def test_twenty_rules_and_odd_names_are_drawn(own):
    from hostile_datasets import ODD_NAMES

    found = fm.analysis.change_geometry(own, draws=10)
    many = xr.concat([found] * 7, "rule", data_vars="minimal", coords="minimal", compat="override")
    many = many.assign_coords(rule=[f"{ODD_NAMES[i % 8]} {i}" for i in range(21)])
    figures.seed_geometry(many).canvas.draw()
