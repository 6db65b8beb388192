"""Training of nonlinear networks: the loop against updates one by one, its dataset, and where it is refused."""

import json

import naive_nonlinear
import numpy as np
import pytest
import xarray as xr
from problems import matrices

import fastmodes as fm
from fastmodes import cli
from fastmodes.streams import random_stream

TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
STEPS, BATCH, EPOCHS, HIDDEN = 6, 8, 12, 5
RULES = (fm.bptt(), fm.tbptt(2), fm.rflo(0.6), fm.eprop())
RATES = {"readout": 0.05, "recurrent": 0.1, "input": 0.02}


def trained(rules=RULES, **settings):
    given = {
        "hidden": HIDDEN, "seeds": [3], "epochs": EPOCHS, "steps": STEPS, "batch_size": BATCH, "learning_rate": 0.05,
        "init_scale": 0.8, "record_every": 1, "keep_weights": True, "validation_size": 5, "progress": False,
    }  # fmt: skip
    return fm.train(rules, TEACHER, **(given | settings))


def one_by_one(rule, units, loss, rates, mask, runs):
    """Losses and weights of the same training, by fm.sampled_update and plain arithmetic."""
    stream = random_stream(3, "inputs")
    first = runs.isel(rule=0, seed=0, epoch=0)
    weights = [first[f"{name}_weights"].values for name in ("readout", "recurrent", "input")]
    feedback = runs["feedback_weights"].isel(seed=0).values
    losses, history = [], []
    for _ in range(EPOCHS + 1):
        inputs = stream.standard_normal((STEPS, TEACHER.n_in, BATCH)).transpose(2, 0, 1)
        update = fm.sampled_update(
            rule, fm.LinearRNN(*weights), TEACHER, inputs, feedback=feedback, loss=loss, nonlinearity=units[0],
            leak=units[1],
        )  # fmt: skip
        losses.append(update.loss)
        history.append(weights)
        change = [update.readout, update.recurrent * mask, update.input]
        weights = [w - rate * d for w, rate, d in zip(weights, rates, change, strict=True)]
    return losses, history


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("units", [("tanh", 1.0), ("tanh", 0.4), ("relu", 0.4)], ids=str)
@pytest.mark.parametrize("plastic", [False, True])
def test_training_is_one_update_after_another(units, loss, plastic):
    mask = (np.random.default_rng(0).random((HIDDEN, HIDDEN)) < 0.6).astype(float) if plastic else 1.0
    settings = {"mask": mask, "learning_rate": RATES} if plastic else {}
    runs = trained(nonlinearity=units[0], leak=units[1], loss=loss, **settings)
    rates = list(RATES.values()) if plastic else [0.05] * 3
    for rule in RULES:
        losses, history = one_by_one(rule, units, loss, rates, mask, runs)
        run = runs.sel(rule=rule.name, seed=3)
        np.testing.assert_allclose(run["loss"], losses, rtol=1e-11)
        for name, wanted in zip(("readout", "recurrent", "input"), zip(*history, strict=True), strict=True):
            np.testing.assert_allclose(run[f"{name}_weights"], wanted, rtol=1e-11, atol=1e-13)


def test_validation_and_estimates():
    runs = trained(nonlinearity="tanh", leak=0.4)
    drawn = random_stream(3, "validation").standard_normal((5, STEPS, TEACHER.n_in))
    for rule in RULES:
        run = runs.sel(rule=rule.name, seed=3).isel(epoch=-1)
        weights = tuple(run[f"{name}_weights"].values for name in ("readout", "recurrent", "input"))
        wanted = naive_nonlinear.loss_of(weights, "tanh", 0.4, matrices(TEACHER), drawn, "final")
        np.testing.assert_allclose(run["validation_loss"], wanted, rtol=1e-12)
        small = 0.6 * np.eye(HIDDEN) + 0.4 * weights[1]
        found = np.sort_complex(run["eigenvalue_real"].values + 1j * run["eigenvalue_imag"].values)
        np.testing.assert_allclose(found, np.sort_complex(np.linalg.eigvals(small)), rtol=1e-10, atol=1e-12)
    assert runs.attrs["nonlinearity"] == "tanh"
    assert "sampled" in runs.attrs["title"]
    assert "exact" in runs.attrs["comment"]
    assert json.loads(runs.attrs["configuration"])["nonlinearity"] == "tanh"
    assert "nonlinearity" not in trained(leak=0.4).attrs


def test_files_keep_what_they_are(tmp_path):
    runs = trained(nonlinearity="relu")
    fm.write_netcdf(runs, tmp_path / "runs.nc")
    assert xr.open_dataset(tmp_path / "runs.nc").attrs["nonlinearity"] == "relu"


def test_threads_and_seeds_change_nothing():
    settings = {"nonlinearity": "tanh", "leak": 0.5, "loss": "sequence", "batch_size": 11}
    together = trained(seeds=[1, 3, 4], threads=2, **settings)
    for seed in (1, 3, 4):
        alone = trained(seeds=[seed], threads=1, **settings)
        np.testing.assert_array_equal(together["loss"].sel(seed=seed), alone["loss"].sel(seed=seed))


def test_what_is_exact_is_refused():
    for kind in ("tanh", "relu"):
        with pytest.raises(ValueError, match=f"nonlinearity must be 'identity' for updates='expected'.*got '{kind}'"):
            trained(updates="expected", batch_size=None, nonlinearity=kind)
    with pytest.raises(ValueError, match="nonlinearity must be one of"):
        trained(nonlinearity="sigmoid")


def test_command_line_and_sweep(tmp_path):
    out = tmp_path / "runs.nc"
    arguments = ["train", "--hidden", "3", "--seeds", "1", "--epochs", "3", "--steps", "4", "--nonlinearity", "tanh"]
    assert cli.run([*arguments, "--out", str(out), "--no-progress"]) == 0
    assert xr.open_dataset(out).attrs["nonlinearity"] == "tanh"
    plan = {
        "job": "train", "fixed": {"epochs": 3, "steps": 4, "hidden": 3, "rule": "bptt", "seed": 0},
        "axes": {"nonlinearity": ["identity", "tanh", "relu"], "leak": [1.0, 0.5]},
    }  # fmt: skip
    fm.sweep(plan, tmp_path / "sweep", progress=False)
    found = fm.open_sweep(tmp_path / "sweep")
    assert found.sizes["nonlinearity"] == 3
    assert len(np.unique(found["loss"].isel(epoch=-1).values.round(14))) == 6


@pytest.mark.parametrize("data", [None, 16])
def test_feedback_learns_beside_nonlinear_units(data):
    """Kolen and Pollack's A - R falls by 1 - eta lambda an update, whatever the units and the sequences."""
    rule = fm.LearningRule("kp", feedback="kolen_pollack", feedback_decay=2.0)
    for kind in ("identity", "tanh", "relu"):
        runs = trained(nonlinearity=kind, leak=0.6, rules=rule, data=data)
        apart = (runs["readout_weights"] - runs["learned_feedback_weights"]).isel(rule=0, seed=0).values
        np.testing.assert_allclose(
            apart, apart[0] * 0.9 ** np.arange(EPOCHS + 1)[:, None, None], rtol=1e-10, atol=1e-14
        )
