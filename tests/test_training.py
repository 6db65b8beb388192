"""Training: against loops written out by hand, and independence of everything that should not matter."""

import dataclasses
import json

import numpy as np
import pytest
from problems import family, matrices, random_network

import fastmodes as fm
from fastmodes.streams import random_stream

RULES = (fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop())


def quick(teacher, rules=RULES, **changes):
    settings = {
        "hidden": 5, "seeds": [3, 0, 11], "epochs": 40, "learning_rate": 0.02, "steps": 12, "updates": "expected",
        "init_scale": 0.4, "progress": False, "keep_weights": True, "record_every": 10,
    }  # fmt: skip
    return fm.train(rules, teacher, **(settings | changes))


def same(one, other):
    """Equal bit for bit, NaN included; attributes apart."""
    assert set(one.variables) == set(other.variables)
    for name in one.variables:
        np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=str(name))


def weights_of(dataset, **where):
    run = dataset.sel(**where)
    return fm.LinearRNN(*(run[f"{name}_weights"].values for name in ("readout", "recurrent", "input")))


class Adam:
    """Kingma and Ba's algorithm 1."""

    def __init__(self, rate, betas=(0.9, 0.999), epsilon=1e-8):
        self.rate, self.betas, self.epsilon, self.t = rate, betas, epsilon, 0
        self.m = self.v = None

    def __call__(self, parameters, gradient):
        self.t += 1
        if self.m is None:
            self.m, self.v = ([np.zeros_like(g) for g in gradient] for _ in range(2))
        b1, b2 = self.betas
        self.m = [b1 * m + (1 - b1) * g for m, g in zip(self.m, gradient, strict=True)]
        self.v = [b2 * v + (1 - b2) * g**2 for v, g in zip(self.v, gradient, strict=True)]
        return [
            p - self.rate * (m / (1 - b1**self.t)) / (np.sqrt(v / (1 - b2**self.t)) + self.epsilon)
            for p, m, v in zip(parameters, self.m, self.v, strict=True)
        ]


def clipped(gradient, limit):
    norm = np.sqrt(sum(np.sum(g**2) for g in gradient))
    return [g * min(1.0, limit / (norm + 1e-6)) for g in gradient]


@pytest.mark.parametrize("hidden", [3, 13])
@pytest.mark.parametrize("clip_norm", [None, 0.3])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("updates", ["expected", "sampled"])
def test_training_is_the_loop_it_says(updates, optimizer, clip_norm, hidden, teacher):
    epochs, steps, batch, seed = 12, 9, 11, 5
    dataset = quick(
        teacher, seeds=[seed], epochs=epochs, steps=steps, updates=updates, optimizer=optimizer, clip_norm=clip_norm,
        hidden=hidden, batch_size=batch if updates == "sampled" else None, record_every=3,
    )  # fmt: skip
    for rule in RULES:
        student = fm.random_student(hidden, teacher, scale=0.4, seed=seed)
        r = fm.random_feedback(student, scale=1.0, seed=seed) if rule.feedback == "random" else None
        draw = random_stream(seed, "inputs")
        step = Adam(0.02) if optimizer == "adam" else lambda p, g: [a - 0.02 * b for a, b in zip(p, g, strict=True)]
        for epoch in range(epochs + 1):
            if updates == "expected":
                update = fm.expected_update(rule, student, teacher, steps, feedback=r)
            else:
                inputs = draw.standard_normal((steps, 4, batch)).transpose(2, 0, 1)
                update = fm.sampled_update(rule, student, teacher, inputs, feedback=r)
            if epoch in dataset.epoch:
                where = {"rule": rule.name, "seed": seed, "epoch": epoch}
                assert float(dataset.loss.sel(where)) == pytest.approx(update.loss, rel=1e-11)
                for got, wanted in zip(matrices(weights_of(dataset, **where)), matrices(student), strict=True):
                    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-13)
            gradient = list(update[1:]) if clip_norm is None else clipped(update[1:], clip_norm)
            student = fm.LinearRNN(*step(matrices(student), gradient))


@pytest.mark.parametrize("updates", ["expected", "sampled"])
@pytest.mark.parametrize("hidden", [4, 14])
def test_bits_do_not_depend_on_company(updates, hidden, teacher):
    """Threads, recording, other rules and other seeds change nothing."""
    reference = quick(teacher, updates=updates, hidden=hidden, threads=1)
    same(reference, quick(teacher, updates=updates, hidden=hidden, threads=2))
    same(reference, quick(teacher, updates=updates, hidden=hidden, threads=3))
    often = quick(teacher, updates=updates, hidden=hidden, record_every=1)
    # Mode estimates follow eigenvectors from record to record; all else is untouched by how often one looks.
    estimates = [name for name in reference if name.startswith(("mode_", "alignment_"))]
    same(reference.drop_vars(estimates), often.sel(epoch=reference.epoch).drop_vars(estimates))
    for rule in RULES:
        alone = quick(teacher, rules=rule, updates=updates, hidden=hidden)
        same(reference.sel(rule=[rule.name]), alone)
    turned = quick(teacher, rules=RULES[::-1], seeds=[0, 3], updates=updates, hidden=hidden)
    same(reference.sel(seed=[0, 3]), turned.sel(rule=reference.rule))
    many = quick(teacher, seeds=[*range(20), 3000], updates=updates, hidden=hidden)
    same(reference.sel(seed=[0, 3, 11]), many.sel(seed=[0, 3, 11]))


def test_every_rule_of_the_family_trains(teacher, rng):
    rules = [dataclasses.replace(rule, name=str(i)) for i, rule in enumerate(family(5, 12, rng))]
    for updates in ("expected", "sampled"):
        for loss in ("final", "sequence"):
            dataset = quick(
                teacher, rules=rules, epochs=900, updates=updates, loss=loss, record_every=900, learning_rate=0.005
            )
            # BPTT's propagator with random feedback may diverge, and says so; two of three seeds learn all the same.
            first, last = dataset.loss.isel(epoch=0), dataset.loss.isel(epoch=-1)
            assert ((last < 0.7 * first).sum("seed") >= 2).all()
            assert (np.isnan(last) == (dataset.status == 2)).all()


@pytest.mark.parametrize("updates", ["expected", "sampled"])
def test_divergence_is_a_labelled_result(updates, teacher):
    """A rate too large for BPTT at w* = 0.9 (2 D^3 / (p^2 (1 + w*^2)) = 0.0076) throws some runs out, not others."""
    settings = {"seeds": range(8), "epochs": 900, "learning_rate": 0.15, "updates": updates, "steps": 40, "hidden": 4}
    dataset = quick(teacher, rules=(fm.bptt(), fm.tbptt(1)), record_every=100, **settings)
    status = dataset.status.sel(rule="BPTT")
    assert (status == 2).all()
    for seed in dataset.seed.values:
        run = dataset.sel(rule="BPTT", seed=seed)
        beyond = run.epoch > run.epochs_made
        assert np.isnan(run.loss[beyond]).all()
        assert np.isnan(run.recurrent_weights[beyond]).all()
        assert np.isfinite(run.recurrent_weights[~beyond]).all()
    assert dataset.status.attrs["flag_meanings"].split() == ["running", "converged", "diverged"]
    # The others never notice.
    kept = quick(teacher, rules=fm.tbptt(1), record_every=100, **settings)
    same(dataset.sel(rule=["tBPTT(1)"]), kept)


def test_one_diverging_neighbour(teacher):
    """Eight networks lie side by side in memory: one that explodes leaves the other seven alone."""
    students = [fm.random_student(4, teacher, scale=0.3, seed=seed) for seed in range(8)]
    wild = fm.LinearRNN(np.full((4, 4), 1e150), np.full((4, 4), 1e150), np.full((4, 4), 1e150))
    tame = quick(teacher, rules=fm.bptt(), hidden=4, seeds=range(8), students=students)
    students[3] = wild
    mixed = quick(teacher, rules=fm.bptt(), hidden=4, seeds=range(8), students=students)
    assert mixed.status.sel(seed=3).item() == 2
    assert mixed.epochs_made.sel(seed=3).item() == 0
    others = [0, 1, 2, 4, 5, 6, 7]
    same(tame.sel(seed=others), mixed.sel(seed=others))


@pytest.mark.parametrize("updates", ["expected", "sampled"])
def test_converged_runs_stop_and_keep_their_values(updates, teacher):
    settings = {"epochs": 4000, "learning_rate": 0.05, "stop_loss": 1e-3, "record_every": 100, "updates": updates}
    dataset = quick(teacher, rules=(fm.tbptt(1), fm.rflo(0.3)), hidden=4, **settings)
    converged = dataset.where(dataset.status == 1, drop=True)
    assert converged.sizes["seed"] == 3
    assert (converged.epochs_made < 4000).all()
    assert (converged.loss.isel(epoch=-1) <= 1e-3).all()
    for rule in dataset.rule.values:
        for seed in dataset.seed.values:
            run = dataset.sel(rule=rule, seed=seed)
            after = run.epoch >= run.epochs_made
            assert (run.loss[after] == run.loss[-1]).all()
            assert (run.recurrent_weights[after] == run.recurrent_weights[-1]).all()


def test_same_seed_gives_every_rule_the_same_start(teacher):
    dataset = quick(teacher, updates="sampled")
    start = dataset.isel(epoch=0)
    for name in ("loss", "validation_loss", "readout_weights", "recurrent_weights", "input_weights"):
        assert (start[name] == start[name].isel(rule=0)).all()
    assert (dataset.loss.isel(epoch=-1, seed=0).values[0] != dataset.loss.isel(epoch=-1, seed=0).values[1:]).all()


def test_validation_loss_is_the_loss_of_held_out_sequences(teacher):
    for loss in ("final", "sequence"):
        dataset = quick(teacher, loss=loss, validation_size=21, rules=fm.bptt())
        for seed in dataset.seed.values:
            held_out = random_stream(int(seed), "validation").standard_normal((21, 12, 4))
            for epoch in dataset.epoch.values:
                student = weights_of(dataset, rule="BPTT", seed=seed, epoch=epoch)
                wanted = fm.sampled_update(fm.bptt(), student, teacher, held_out, loss=loss).loss
                assert float(dataset.validation_loss.sel(seed=seed, epoch=epoch).item()) == pytest.approx(wanted)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("n_out", [1, 2])
def test_rank_of_what_rflo_learns(optimizer, n_out, rng):
    """SGD, also clipped, keeps the rank at n_out exactly; Adam does for one output only (theory section 5)."""
    teacher = random_network(rng, n_out, 4, 3, radius=0.8)
    dataset = quick(
        teacher, rules=(fm.rflo(0.7), fm.bptt()), hidden=12, optimizer=optimizer, clip_norm=1.0, epochs=200,
        record_every=50,
    )  # fmt: skip
    values = dataset.change_singular_value.sel(rule="RFLO(0.7)").isel(epoch=slice(1, None))
    beyond = (values.isel(unit=n_out) / values.isel(unit=0)).max().item()
    if optimizer == "sgd":
        assert beyond < 1e-13
    elif n_out == 1:
        assert beyond < 1e-4
    else:
        assert beyond > 1e-2
    bptt = dataset.change_singular_value.sel(rule="BPTT").isel(epoch=-1)
    assert (bptt.isel(unit=n_out) / bptt.isel(unit=0)).min() > 1e-3


def test_configuration_and_records(teacher):
    dataset = quick(teacher, epochs=7, record_every=3)
    assert dataset.epoch.values.tolist() == [0, 3, 6, 7]
    stored = json.loads(dataset.attrs["configuration"])
    assert stored["epochs"] == 7
    assert stored["rules"][2] == {
        "name": "RFLO", "feedback": "random", "propagator": "scalar", "horizon": None, "decay": 0.5,
    }  # fmt: skip
    assert quick(teacher, epochs=3, record_every=100).epoch.values.tolist() == [0, 3]


def test_pytorch_agrees_on_the_optimisers(teacher):
    torch = pytest.importorskip("torch")
    for name, kind in (("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)):
        dataset = quick(teacher, rules=fm.bptt(), seeds=[1], epochs=30, optimizer=name, clip_norm=0.5, record_every=30)
        start = fm.random_student(5, teacher, scale=0.4, seed=1)
        parameters = [torch.tensor(matrix.copy(), requires_grad=True) for matrix in matrices(start)]
        stepper = kind(parameters, lr=0.02)
        for _ in range(30):
            update = fm.expected_update(fm.bptt(), fm.LinearRNN(*(p.detach().numpy() for p in parameters)), teacher, 12)
            for parameter, gradient in zip(parameters, update[1:], strict=True):
                parameter.grad = torch.tensor(gradient)
            torch.nn.utils.clip_grad_norm_(parameters, 0.5)
            stepper.step()
        learned = weights_of(dataset, rule="BPTT", seed=1, epoch=30)
        for got, wanted in zip(matrices(learned), parameters, strict=True):
            np.testing.assert_allclose(got, wanted.detach().numpy(), rtol=1e-9, atol=1e-12)
