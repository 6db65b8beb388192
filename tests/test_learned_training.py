"""Training with feedback that is partly aligned, or learns, against loops written out by hand."""

import itertools
import math

import naive_stationary
import numpy as np
import pytest
from problems import matrices, random_network, worst

import fastmodes as fm
from fastmodes.streams import random_stream

QUIET = {"progress": False}
LEARNERS = (("kolen_pollack", 0.0, 0.0), ("kolen_pollack", 2.0, 0.0), ("mirror", 2.0, 3.0), ("mirror", 0.0, 1.0))
PROPAGATORS = (("recurrent", None), ("scalar", 0.5), ("recurrent_diagonal", None))
ETA, EPOCHS = 0.005, 20


def rule_of(learner, propagator="scalar", decay=0.5, horizon=None):
    kappa = learner[2] or None
    return fm.LearningRule(
        f"{learner} {propagator} {horizon}", learner[0], propagator, horizon, decay,
        feedback_decay=learner[1], mirror_rate=kappa,
    )  # fmt: skip


RULES = [(learner, rule_of(learner, *kind)) for learner, kind in itertools.product(LEARNERS, PROPAGATORS)]


def problem(rng, n, count=3):
    teacher = random_network(rng, 2, 3, 2, radius=0.5)
    students = [random_network(rng, 2, n, 2, radius=0.3) for _ in range(count)]
    students = [fm.LinearRNN(0.1 * s.readout, s.recurrent, 0.3 * s.input) for s in students]
    return teacher, students, [0.4 * rng.standard_normal((2, n)) for _ in students]


def descend(learner, rule, student, r, changes_of, rates=(ETA, ETA, ETA)):
    """(A, W, B, R) after the epochs, by the definition: R learns at the rate of A."""
    a, w, b = matrices(student)
    for epoch in range(EPOCHS):
        da, dw, db = changes_of(epoch, rule, r, (a, w, b))
        step = rates[0] * da
        if learner[0] == "kolen_pollack":
            r = r - step - rates[0] * learner[1] * r
        else:
            r = r + rates[0] * (learner[2] * a - learner[1] * r)
        decayed = rates[0] * learner[1] * a if learner[0] == "kolen_pollack" else 0.0
        a, w, b = a - step - decayed, w - rates[1] * dw, b - rates[2] * db
    return a, w, b, r


def last_of(run):
    names = ("readout", "recurrent", "input", "learned_feedback")
    return [run[f"{name}_weights"].isel(epoch=-1).values for name in names]


@pytest.mark.parametrize("steps", [6, math.inf])
@pytest.mark.parametrize("n", [3, 9, 14])
def test_expected_updates(n, steps, rng):
    teacher, students, feedbacks = problem(rng, n)
    runs = fm.train(
        [rule for _, rule in RULES], teacher, seeds=3, epochs=EPOCHS, learning_rate=ETA, steps=steps,
        updates="expected", students=students, feedbacks=feedbacks, keep_weights=True, record_every=5, **QUIET,
    )  # fmt: skip

    def changes_of(_, rule, r, network):
        kinds = (rule.propagator, rule.decay, rule.horizon)
        return naive_stationary.expected(*kinds, r, network, matrices(teacher), min(steps, 80))[1:]

    for (place, (learner, rule)), seed in itertools.product(enumerate(RULES), range(3)):
        wanted = descend(learner, rule, students[seed], feedbacks[seed], changes_of)
        assert worst(last_of(runs.isel(rule=place, seed=seed)), wanted) < 1e-11, rule
    for place in range(6):
        decay = RULES[place][0][1]
        gap = (runs.readout_weights - runs.learned_feedback_weights).isel(rule=place).transpose("seed", "epoch", ...)
        start = np.stack([s.readout - r for s, r in zip(students, feedbacks, strict=True)])
        fallen = (1 - ETA * decay) ** runs.epoch.values
        np.testing.assert_allclose(gap, start[:, None] * fallen[:, None, None], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_sampled_updates(loss, rng):
    teacher, students, feedbacks = problem(rng, 5)
    runs = fm.train(
        [rule for _, rule in RULES], teacher, seeds=[3, 1, 7], epochs=EPOCHS, learning_rate=ETA, steps=6, batch_size=4,
        updates="sampled", students=students, feedbacks=feedbacks, keep_weights=True, loss=loss, **QUIET,
    )  # fmt: skip
    for place, seed in enumerate((3, 1, 7)):
        inputs = random_stream(seed, "inputs").standard_normal((EPOCHS, 6, 2, 4)).transpose(0, 3, 1, 2)

        def changes_of(epoch, rule, r, network, inputs=inputs):
            return fm.sampled_update(
                rule, fm.LinearRNN(*network), teacher, inputs[epoch], feedback=r, loss=loss
            )[1:]  # fmt: skip

        for which, (learner, rule) in enumerate(RULES):
            wanted = descend(learner, rule, students[place], feedbacks[place], changes_of)
            assert worst(last_of(runs.isel(rule=which, seed=place)), wanted) < 1e-11, rule


@pytest.mark.parametrize(
    ("updates", "steps"), [("sampled", 6), ("expected", 6), ("expected", math.inf)], ids=["sampled", "expected", "inf"]
)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_readout_less_feedback_falls_whatever_the_optimiser_does(optimizer, updates, steps, rng):
    teacher, students, feedbacks = problem(rng, 4)
    runs = fm.train(
        [rule_of(("kolen_pollack", decay, 0.0)) for decay in (0.0, 1.0, 20.0)], teacher, seeds=3, epochs=50,
        learning_rate=0.002, steps=steps, updates=updates, optimizer=optimizer, clip_norm=0.05, students=students,
        feedbacks=feedbacks, keep_weights=True, **QUIET,
    )  # fmt: skip
    gap = (runs.readout_weights - runs.learned_feedback_weights).transpose("rule", "seed", "epoch", ...).values
    start = np.stack([s.readout - r for s, r in zip(students, feedbacks, strict=True)])
    for place, decay in enumerate((0.0, 1.0, 20.0)):
        fallen = (1 - 0.002 * decay) ** runs.epoch.values
        np.testing.assert_allclose(gap[place], start[:, None] * fallen[:, None, None], rtol=1e-11, atol=1e-14)


def test_rates_of_its_own_mask_and_schedule(rng):
    teacher, students, feedbacks = problem(rng, 4)
    mask, rates = np.ones((4, 4)), (0.004, 0.01, 0.0)
    mask[0, 1:] = 0.0
    students = [fm.LinearRNN(s.readout, s.recurrent * mask, s.input) for s in students]
    runs = fm.train(
        [rule for _, rule in RULES], teacher, seeds=3, epochs=EPOCHS, steps=6, updates="expected", students=students,
        learning_rate=dict(zip(("readout", "recurrent", "input"), rates, strict=True)), mask=mask,
        feedbacks=feedbacks, keep_weights=True, **QUIET,
    )  # fmt: skip

    def changes_of(_, rule, r, network):
        kinds = (rule.propagator, rule.decay, rule.horizon)
        _, da, dw, db = naive_stationary.expected(*kinds, r, network, matrices(teacher), 6)
        return da, mask * dw, db

    for (place, (learner, rule)), seed in itertools.product(enumerate(RULES), range(3)):
        wanted = descend(learner, rule, students[seed], feedbacks[seed], changes_of, rates)
        assert worst(last_of(runs.isel(rule=place, seed=seed)), wanted) < 1e-11, rule


def test_runs_do_not_depend_on_company_and_stop_alone(rng):
    teacher = fm.aligned_teacher(fm.Modes([0.6, 0.3], 1.0, 1.0))
    rules = [fm.bptt(), *(rule for _, rule in RULES[3:9])]
    common = {
        "hidden": 3, "epochs": 400, "learning_rate": 0.05, "steps": 6, "init_scale": 0.4, "keep_weights": True,
        "stop_loss": 0.05, "record_every": 20, **QUIET,
    }  # fmt: skip
    for updates in ("expected", "sampled"):
        whole = fm.train(rules, teacher, seeds=5, updates=updates, **common)
        assert len(np.unique(whole.epochs_made)) > 3
        for place, seed in ((1, 0), (3, 4), (5, 2)):
            alone = fm.train(rules[place], teacher, seeds=[seed], updates=updates, **common)
            for name in ("loss", "readout_weights", "learned_feedback_weights", "mode_feedback"):
                got = whole[name].sel(seed=[seed], rule=[rules[place].name]).values
                np.testing.assert_array_equal(got, alone[name].values, name)
        plain = fm.train(fm.bptt(), teacher, seeds=5, updates=updates, **common)
        assert "learned_feedback_weights" not in plain
        np.testing.assert_array_equal(plain.readout_weights, whole.readout_weights.isel(rule=[0]))
        assert np.isnan(whole.learned_feedback_weights.isel(rule=0)).all()


def test_small_steps_follow_the_flow_of_networks(rng):
    teacher, students, feedbacks = problem(rng, 3)
    rules = [rule for _, rule in RULES]
    common = {"students": students, "feedbacks": feedbacks, "seeds": 3, "keep_weights": True, **QUIET}
    flow = fm.matrix_flow(rules, teacher, times=[0.2], **common)
    distances = []
    for epochs in (40, 80):
        runs = fm.train(
            rules, teacher, epochs=epochs, learning_rate=0.2 / epochs, steps=math.inf, updates="expected", **common
        )
        last = runs.learned_feedback_weights.isel(epoch=-1) - flow.learned_feedback_weights.isel(time=-1)
        distances.append(np.abs(last).max(("seed", "output", "unit")).values)
    moved = distances[1] > 1e-9
    assert moved.all()
    np.testing.assert_allclose(distances[0] / distances[1], 2.0, rtol=0.1)


@pytest.mark.parametrize("updates", ["expected", "sampled"])
def test_partly_aligned_feedback_is_made_of_each_seeds_own(updates):
    teacher = fm.aligned_teacher(fm.Modes([0.6, 0.3], 1.0, 1.0))
    rules = [fm.rflo(0.5)] + [
        fm.LearningRule(f"q={q}", "partly_aligned", "scalar", decay=0.5, cosine=q) for q in (-0.5, 0.0, 0.9)
    ]
    common = {"hidden": 4, "epochs": 15, "learning_rate": 0.02, "steps": 5, "init_scale": 0.5, "updates": updates}
    runs = fm.train(rules, teacher, seeds=3, keep_weights=True, **common, **QUIET)
    for seed, rule in itertools.product(range(3), rules):
        student = fm.random_student(4, teacher, scale=0.5, seed=seed)
        r = fm.random_feedback(student, scale=1.0, seed=seed, cosine=rule.cosine)
        run = runs.sel(rule=rule.name, seed=seed)
        np.testing.assert_array_equal(run.learned_feedback_weights, np.broadcast_to(r, (len(runs.epoch), 2, 4)))
        alone = fm.train(fm.rflo(0.5), teacher, seeds=[seed], feedbacks=r, **common, **QUIET)
        np.testing.assert_array_equal(run.loss, alone.loss.values.ravel())
    shared = fm.train(rules[3], teacher, seeds=3, feedbacks=np.ones((2, 4)), keep_weights=True, **common, **QUIET)
    for seed in range(3):
        student = fm.random_student(4, teacher, scale=0.5, seed=seed)
        r = shared.learned_feedback_weights.isel(rule=0, seed=seed, epoch=0).values
        cosine = np.vdot(r, student.readout) / np.linalg.norm(r) / np.linalg.norm(student.readout)
        assert cosine == pytest.approx(0.9, abs=1e-14)


def test_what_cannot_be_turned_is_refused_before_training():
    rule = fm.LearningRule("q", "partly_aligned", "scalar", decay=0.5, cosine=0.3)
    teacher = fm.aligned_teacher(fm.Modes([0.6], 1.0, 1.0))
    for wrong, why in (
        ({"hidden": 1}, "cosine must be 1 or -1"),
        ({"hidden": 3, "init_scale": 0.0}, "readout of zeros"),
    ):
        with pytest.raises(ValueError, match=why):
            fm.train(rule, teacher, seeds=2, epochs=10**7, learning_rate=0.01, steps=5, **wrong, **QUIET)
        with pytest.raises(ValueError, match=why):
            fm.matrix_flow(rule, teacher, seeds=2, times=[1.0], **wrong, **QUIET)
