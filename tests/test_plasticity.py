"""Leak, rates per matrix and run, masks, decay, momentum, schedules: training against a plain loop, in combination."""

import math

import numpy as np
import pytest
import xarray as xr

import fastmodes as fm
from fastmodes.streams import random_stream

MATRICES = ("readout", "recurrent", "input")
WEIGHTS = ("readout_weights", "recurrent_weights", "input_weights")


def plain_training(rule, student, gradient, epochs, o):
    """Weights after ``epochs`` steps on a leaky student's own matrices, written as everybody would."""
    theta = [student.readout, student.recurrent, student.input]
    m = [np.zeros_like(part) for part in theta]
    v = [np.zeros_like(part) for part in theta]
    learns = [np.full(part.shape, float(rate > 0)) for part, rate in zip(theta, o["rates"], strict=True)]
    learns[1] = learns[1] * o["mask"]
    leak = o["leak"]
    for epoch in range(epochs):
        a, w, b = theta
        seen = fm.LinearRNN(a, (1 - leak) * np.eye(len(w)) + leak * w, leak * b)
        update = gradient(rule, seen, epoch)
        g = [on * part for on, part in zip(learns, (update[1], leak * update[2], leak * update[3]), strict=True)]
        if o["clip_norm"]:
            g = [part * min(1, o["clip_norm"] / (math.sqrt(sum((x**2).sum() for x in g)) + 1e-6)) for part in g]
        g = [part + d * on * t for part, d, on, t in zip(g, o["decay"], learns, theta, strict=True)]
        eta = [rate * o["factors"][epoch] for rate in o["rates"]]
        if o["optimizer"] == "sgd":
            m = [o["momentum"] * old + part for old, part in zip(m, g, strict=True)]
            step = m
        else:
            m = [0.9 * old + 0.1 * part for old, part in zip(m, g, strict=True)]
            v = [0.999 * old + 0.001 * part**2 for old, part in zip(v, g, strict=True)]
            t = epoch + 1
            step = [x / (1 - 0.9**t) / (np.sqrt(y / (1 - 0.999**t)) + 1e-8) for x, y in zip(m, v, strict=True)]
        theta = [t - e * s for t, e, s in zip(theta, eta, step, strict=True)]
    return theta


def gradients(teacher, steps, updates, batch, loss, seed, feedback):
    """The update of epoch k of one seed, from single updates."""
    rng = random_stream(seed, "inputs")
    drawn = {}

    def sampled(rule, seen, epoch):
        while epoch not in drawn:
            drawn[len(drawn)] = rng.standard_normal((steps, teacher.n_in, batch)).transpose(2, 0, 1)
        return fm.sampled_update(rule, seen, teacher, drawn[epoch], feedback=feedback, loss=loss)

    def expected(rule, seen, epoch):
        return fm.expected_update(rule, seen, teacher, steps, feedback=feedback, loss=loss)

    return sampled if updates == "sampled" else expected


def options(rng, hidden):
    """A random combination of everything that changes how weights learn."""
    mask = np.ones((hidden, hidden)) if rng.random() < 0.4 else (rng.random((hidden, hidden)) < 0.6).astype(float)
    rates = rng.uniform(0.002, 0.02, 3) * (1.0 if rng.random() < 0.5 else np.array([0.0, 1.0, 1.0]))
    return {
        "leak": float(rng.choice([1.0, rng.uniform(0.1, 0.9)])),
        "mask": mask,
        "rates": rates,
        "decay": rng.uniform(0, 0.2, 3) * (rng.random() < 0.5),
        "clip_norm": float(rng.choice([0, 0.3])),
        "optimizer": str(rng.choice(["sgd", "adam"])),
        "momentum": float(rng.choice([0.0, 0.7])),
    }


@pytest.mark.parametrize("case", range(24))
def test_training_is_the_plain_loop(case):
    rng = np.random.default_rng(case)
    updates = ("sampled", "expected", "infinite")[case % 3]
    hidden, n_in, n_out = (int(x) for x in rng.integers(2, 10, 3))
    steps = math.inf if updates == "infinite" else int(rng.integers(3, 9))
    loss = str(rng.choice(["final", "sequence"]))
    teacher = fm.random_student(
        hidden + 1, fm.LinearRNN(np.ones((n_out, 2)), np.zeros((2, 2)), np.ones((2, n_in))), scale=0.4, seed=case
    )
    o = options(rng, hidden)
    epochs, seeds, batch = 6, [3, 11, 4], int(rng.integers(3, 11))
    o["factors"] = 1 - np.arange(epochs) / epochs if rng.random() < 0.5 else np.ones(epochs)
    rules = [fm.bptt(), fm.rflo(0.4), fm.eprop(), fm.tbptt(2)]
    common = {"learning_rate": dict(zip(MATRICES, o["rates"], strict=True)), "leak": o["leak"], "mask": o["mask"]}
    runs = fm.train(
        rules, teacher, hidden=hidden, seeds=seeds, epochs=epochs, steps=steps, loss=loss, init_scale=0.3,
        updates="sampled" if updates == "sampled" else "expected", keep_weights=True, progress=False,
        batch_size=batch if updates == "sampled" else None, optimizer=o["optimizer"],
        clip_norm=o["clip_norm"] or None, momentum=o["momentum"] if o["optimizer"] == "sgd" else 0.0,
        schedule=o["factors"] if (o["factors"] < 1).any() else "constant",
        weight_decay=dict(zip(MATRICES, o["decay"], strict=True)), **common,
    )  # fmt: skip
    for rule in rules:
        for seed in seeds:
            run = runs.sel(rule=rule.name, seed=seed)
            start = [run[name].isel(epoch=0).values for name in WEIGHTS]
            assert (start[1][o["mask"] == 0] == 0).all()
            feedback = runs["feedback_weights"].sel(seed=seed).values
            gradient = gradients(teacher, steps, updates, batch, loss, seed, feedback)
            wanted = plain_training(rule, fm.LinearRNN(*start), gradient, epochs, o)
            for name, matrix in zip(WEIGHTS, wanted, strict=True):
                np.testing.assert_allclose(run[name].isel(epoch=-1), matrix, rtol=1e-11, atol=1e-12)


TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5, 0.3], 1.0, 1.0))
FAST = {"hidden": 5, "epochs": 30, "steps": 8, "progress": False, "keep_weights": True}


@pytest.mark.parametrize("updates", ["sampled", "expected"])
@pytest.mark.parametrize("frozen", MATRICES)
def test_a_frozen_matrix_does_not_change_in_any_bit(updates, frozen):
    rates = dict.fromkeys(MATRICES, 0.01) | {frozen: 0.0}
    for optimizer in ("sgd", "adam"):
        runs = fm.train(
            ["bptt", "rflo(0.5)"], TEACHER, seeds=3, learning_rate=rates, updates=updates, optimizer=optimizer,
            weight_decay=0.1, **FAST,
        )  # fmt: skip
        for name in WEIGHTS:
            same = (runs[name] == runs[name].isel(epoch=0)).all()
            assert bool(same) == name.startswith(frozen)


def test_rates_of_runs_are_those_of_runs_alone():
    by_seed = fm.train("bptt", TEACHER, seeds=[0, 1, 2], learning_rate=[0.01, 0.02, 0.04], updates="expected", **FAST)
    for seed, rate in enumerate((0.01, 0.02, 0.04)):
        alone = fm.train("bptt", TEACHER, seeds=[seed], learning_rate=rate, updates="expected", **FAST)
        for name in ("loss", *WEIGHTS):
            np.testing.assert_allclose(by_seed[name].sel(seed=seed), alone[name].sel(seed=seed), rtol=1e-13)
    labelled = xr.DataArray([[0.01], [0.02]], dims=("rule", "seed"))
    by_rule = fm.train(["bptt", "eprop"], TEACHER, seeds=3, learning_rate=labelled, updates="sampled", **FAST)
    alone = fm.train(["eprop"], TEACHER, seeds=3, learning_rate=0.02, updates="sampled", **FAST)
    np.testing.assert_allclose(by_rule["loss"].isel(rule=[1]), alone["loss"], rtol=1e-13)


def test_switched_off_is_never_there():
    plain = fm.train(["bptt", "rflo(0.5)"], TEACHER, seeds=3, learning_rate=0.01, **FAST)
    off = fm.train(
        ["bptt", "rflo(0.5)"], TEACHER, seeds=3, learning_rate=dict.fromkeys(MATRICES, 0.01), leak=1.0,
        mask=np.ones((5, 5)), momentum=0.0, weight_decay=0.0, schedule="constant", **FAST,
    )  # fmt: skip
    for name in ("loss", "validation_loss", *WEIGHTS):
        np.testing.assert_array_equal(off[name], plain[name])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"leak": 0.0}, r"leak must be .*> 0.*<= 1.*got 0"),
        ({"leak": 1.5}, r"leak must be .*got 1.5"),
        ({"mask": np.ones((4, 5))}, r"mask must have shape"),
        ({"mask": np.full((5, 5), 0.5)}, r"mask must hold 0 and 1 alone; got 0.5"),
        ({"learning_rate": {"readout": 0.1}}, r"learning_rate must name readout, recurrent and input"),
        ({"learning_rate": {"readout": -0.1, "recurrent": 0.1, "input": 0.1}}, r"learning_rate of readout .*-0.1"),
        ({"learning_rate": dict.fromkeys(MATRICES, 0.0)}, r"learning_rate must be > 0 for at least one"),
        ({"learning_rate": [0.1, 0.2]}, r"one number for each of 3 seeds; got 2"),
        ({"momentum": 1.0}, r"momentum must be .*< 1"),
        ({"momentum": 0.5, "optimizer": "adam"}, r"momentum must be 0 for adam"),
        ({"weight_decay": -1.0}, r"weight_decay must be .*>= 0"),
        ({"schedule": "cosin"}, r"schedule must be one of"),
        ({"schedule": [1.0, 0.5]}, r"schedule must have shape"),
        ({"schedule": -np.ones(30)}, r"schedule must hold numbers >= 0"),
        ({"optimizer": fm.sgd(0.1), "learning_rate": {"readout": 0, "recurrent": 1, "input": 1}}, "given once"),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(given, words):
    with pytest.raises((TypeError, ValueError), match=words):
        fm.train("bptt", TEACHER, seeds=3, **({"learning_rate": 0.01} | FAST | given))


def test_a_leaky_teacher_is_the_effective_network():
    network = fm.random_student(4, TEACHER, scale=0.5, seed=1)
    inputs = np.random.default_rng(0).standard_normal((3, 7, network.n_in))
    h = np.zeros((3, 4))
    for t in range(7):
        h = 0.7 * h + 0.3 * (h @ network.recurrent.T + inputs[:, t] @ network.input.T)
    np.testing.assert_allclose(network.leaky(0.3).run(inputs).hidden[:, -1], h, rtol=1e-12)
