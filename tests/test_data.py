"""Training on finite sets: the user's own sequences, or sequences drawn once from the teacher."""

import numpy as np
import pytest
import xarray as xr

import fastmodes as fm
from fastmodes import cli
from fastmodes.streams import random_stream

TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5, 0.3], 1.0, 1.0))
WEIGHTS = ("readout_weights", "recurrent_weights", "input_weights")
FAST = {"seeds": [5, 0, 7], "epochs": 17, "learning_rate": 0.02, "hidden": 5, "keep_weights": True, "progress": False}


def sequences(seed=0, samples=23, steps=7, n_in=3, n_out=2):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((samples, steps, n_in)), rng.standard_normal((samples, steps, n_out))


def forward(theta, x):
    a, w, b = theta
    h = np.zeros((x.shape[1] + 1, len(x), len(w)))
    for t in range(x.shape[1]):
        h[t + 1] = h[t] @ w.T + x[:, t] @ b.T
    return h, h[1:] @ a.T


def plain_gradient(theta, x, y, loss):
    """Loss and gradient of BPTT, one batch, as everybody writes it."""
    a, w, b = theta
    h, out = forward(theta, x)
    errors = out - y.transpose(1, 0, 2)
    scale = 1 / len(x) / (1 if loss == "final" else len(out))
    if loss == "final":
        errors[:-1] = 0
    da, dw, db, q = np.zeros_like(a), np.zeros_like(w), np.zeros_like(b), np.zeros((len(x), len(w)))
    for t in range(len(out) - 1, -1, -1):
        da += errors[t].T @ h[t + 1]
        q = q @ w + errors[t] @ a
        dw += q.T @ h[t]
        db += q.T @ x[:, t]
    return 0.5 * scale * (errors**2).sum(), [scale * part for part in (da, dw, db)]


def order(seed, count, batch, epochs):
    per_pass, chosen = count // batch, []
    for epoch in range(epochs):
        done, place = divmod(epoch, per_pass)
        permutation = random_stream(seed, f"order {done}").permutation(count)
        chosen.append(permutation[place * batch : (place + 1) * batch])
    return chosen


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("batch", [None, 4, 18, 7])
def test_given_sequences_are_learned_as_by_a_plain_loop(loss, batch):
    x, y = sequences()
    runs = fm.train("bptt", None, data=(x, y), batch_size=batch, loss=loss, validation_size=5, **FAST)
    for seed in FAST["seeds"]:
        run = runs.sel(seed=seed).squeeze("rule")
        theta = [run[name].isel(epoch=0).values for name in WEIGHTS]
        held = (x[18:], y[18:])
        for epoch, chosen in enumerate(order(seed, 18, batch or 18, FAST["epochs"])):
            if batch in (None, 18):
                chosen = np.arange(18)
            value, gradient = plain_gradient(theta, x[chosen], y[chosen], loss)
            np.testing.assert_allclose(run["loss"].sel(epoch=epoch), value, rtol=1e-11)
            whole = plain_gradient(theta, x[:18], y[:18], loss)[0]
            np.testing.assert_allclose(run["training_loss"].sel(epoch=epoch), whole, rtol=1e-11)
            np.testing.assert_allclose(
                run["validation_loss"].sel(epoch=epoch), plain_gradient(theta, *held, loss)[0], rtol=1e-11
            )
            theta = [t - 0.02 * g for t, g in zip(theta, gradient, strict=True)]
        for name, matrix in zip(WEIGHTS, theta, strict=True):
            np.testing.assert_allclose(run[name].isel(epoch=-1), matrix, rtol=1e-10, atol=1e-12)


def test_every_rule_reads_the_same_batches_and_recording_changes_nothing():
    x, y = sequences(n_out=3)
    rules = ["bptt", "rflo(0.5)", "eprop", "tbptt(2)"]
    together = fm.train(rules, TEACHER, data=(x, y), batch_size=6, **FAST)
    sparse = fm.train(rules, TEACHER, data=(x, y), batch_size=6, record_every=5, threads=1, **FAST)
    for place, rule in enumerate(rules):
        alone = fm.train(rule, TEACHER, data=(x, y), batch_size=6, **FAST)
        for name in ("loss", "training_loss", *WEIGHTS, "mode_recurrent"):
            np.testing.assert_array_equal(together[name].isel(rule=[place]), alone[name])
    for name in ("training_loss", *WEIGHTS):
        np.testing.assert_array_equal(together[name].sel(epoch=sparse["epoch"]), sparse[name])


def test_labelled_sequences_are_read_by_name():
    x, y = sequences()
    labelled = (
        xr.DataArray(x.transpose(2, 0, 1), dims=("input", "sample", "time")),
        xr.DataArray(y.transpose(1, 2, 0), dims=("time", "output", "sample")),
    )
    plain = fm.train("bptt", None, data=(x, y), **FAST)
    whole = xr.Dataset({"inputs": labelled[0], "targets": labelled[1]})
    for given in (labelled, whole):
        np.testing.assert_array_equal(fm.train("bptt", None, data=given, **FAST)["loss"], plain["loss"])
    last = fm.train("bptt", None, data=(x, y[:, -1]), **FAST)
    np.testing.assert_array_equal(last["loss"], plain["loss"])


def test_a_set_drawn_once_is_the_teachers():
    runs = fm.train(
        "bptt", TEACHER, data=40, steps=6, hidden=5, seeds=3, epochs=400, learning_rate=0.02, progress=False
    )
    for seed in range(3):
        x = random_stream(seed, "data").standard_normal((40, 6, 3))
        y = fm.simulate(TEACHER, x).output
        held = random_stream(seed, "validation").standard_normal((128, 6, 3))
        given = fm.train(
            "bptt", TEACHER, data=(np.concatenate([x, held]), np.concatenate([y, fm.simulate(TEACHER, held).output])),
            validation_size=128, hidden=5, seeds=[seed], epochs=400, learning_rate=0.02, progress=False,
        )  # fmt: skip
        for name in ("training_loss", "validation_loss"):
            np.testing.assert_allclose(runs[name].sel(seed=[seed]), given[name], rtol=1e-9)
    gap = runs["validation_loss"] - runs["training_loss"]
    assert (gap.isel(epoch=-1) > 0).all()


def test_stopping_at_a_loss_is_as_before():
    runs = fm.train(
        "bptt", TEACHER, data=30, steps=6, hidden=5, seeds=3, epochs=4000, learning_rate=0.02, stop_loss=0.5,
        progress=False,
    )  # fmt: skip
    assert (runs["status"] == 1).all()
    assert (runs["training_loss"].isel(epoch=-1) <= 0.5).all()


X, Y = sequences(n_out=3)
BROKEN = Y.copy()
BROKEN[3, 2, 1] = np.nan


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data": (X, BROKEN), "loss": "sequence"}, "targets of data .*finite.*nan"),
        ({"data": (X, Y[:-1])}, r"targets of data must have shape \(23, 7, any\)|targets of data must have shape"),
        ({"data": (X[..., :2], Y)}, r"data must have the teacher's n_in, n_out = \(3, 3\); got \(2, 3\)"),
        ({"data": (X, Y), "batch_size": 40}, "batch_size must be at most the 19 sequences"),
        ({"data": (X, Y), "validation_size": 23}, "validation_size must be smaller than the 23 sequences"),
        ({"data": (X, Y), "steps": 8}, "steps must be left out or be the 7 steps of data; got 8"),
        ({"data": (X, Y), "updates": "expected"}, "data must be None for expected updates"),
        ({"data": 0, "steps": 5}, "data must be a whole number from 1 to 10000000; got 0"),
        ({"data": (X,)}, r"data must be \(inputs, targets\)"),
        ({"data": "mine.nc"}, "data must be a whole number"),
        ({"data": 10}, "steps must be a whole number"),
        ({"data": xr.Dataset({"x": 1})}, "data must hold the variables inputs and targets"),
    ],
)
def test_what_does_not_fit_is_refused(given, words):
    with pytest.raises((TypeError, ValueError), match=words):
        fm.train("bptt", TEACHER, **(FAST | given))


def test_no_teacher_and_no_data_is_refused():
    with pytest.raises(TypeError, match=r"teacher must be a fastmodes\.LinearRNN; got NoneType"):
        fm.train("bptt", None, steps=5, **FAST)


def test_a_file_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = sequences(n_out=4, n_in=4)
    xr.Dataset({"inputs": (("sample", "time", "input"), x), "targets": (("sample", "time", "output"), y)}).to_netcdf(
        "mine.nc"
    )
    arguments = ["train", "--rule", "bptt", "--seeds", "3", "--epochs", "9", "--hidden", "5", "--batch-size", "4", "-q"]
    assert cli.run([*arguments, "--data", "mine.nc", "-o", "file.nc"]) == 0
    assert cli.run([*arguments, "--data", "20", "--steps", "6", "-o", "drawn.nc"]) == 0
    stored = fm.read_netcdf("file.nc")
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0))
    direct = fm.train(
        "bptt", teacher, data=(x, y), seeds=3, epochs=9, hidden=5, batch_size=4, learning_rate=0.005, progress=False
    )
    np.testing.assert_array_equal(stored["training_loss"], direct["training_loss"])
    assert "training_loss" in fm.read_netcdf("drawn.nc")
    assert cli.run([*arguments, "--data", "none.nc"]) == 2
