"""Feedback as an axis: mixed, partly aligned, and the rules that have names of their own."""

import dataclasses
import itertools
import math

import naive
import naive_modes
import naive_stationary
import numpy as np
import pytest
import scipy.integrate
import xarray as xr
from fastmodes.analysis import fixed_points, stability, wrong_branch_window
from problems import FEEDBACK_NUMBERS, matrices, random_network, worst

import fastmodes as fm
from fastmodes.learning_rule import FEEDBACKS, rule_table
from fastmodes.rules import check_rules
from fastmodes.sweeps import open_sweep, sweep

QUIET = {"progress": False}
MIX = 0.3
PROPAGATORS = (("recurrent", None), ("scalar", 0.5), ("recurrent_diagonal", None))
MIXED = [
    fm.LearningRule(f"{propagator} {horizon}", "mixed", propagator, horizon, decay, mix=MIX)
    for (propagator, decay), horizon in itertools.product(PROPAGATORS, (None, 1, 3))
]
each_mixed = pytest.mark.parametrize("rule", MIXED, ids=lambda rule: rule.name)


def mixed_twin(rule, network, r):
    return rule.propagator, rule.decay, rule.horizon, MIX * network[0] + (1 - MIX) * r


# The rule itself


def test_every_feedback_has_its_numbers_and_no_others():
    values = {"sign_scale": 0.7, "mix": 0.3, "cosine": 0.4, "feedback_decay": 0.2, "mirror_rate": 0.6}
    for feedback in FEEDBACKS:
        own = FEEDBACK_NUMBERS.get(feedback, {})
        rule = fm.LearningRule("rule", feedback, **own)
        assert rule.reads_feedback == (feedback not in ("readout", "sign"))
        assert rule.learns_feedback == (feedback in ("kolen_pollack", "mirror"))
        for name, value in values.items():
            if name in own:
                assert getattr(rule, name) == own[name]
                if name != "sign_scale":
                    with pytest.raises(ValueError, match=f"{name} must be a finite real number for feedback"):
                        fm.LearningRule("rule", feedback, **(own | {name: None}))
            else:
                with pytest.raises(ValueError, match=f"{name} must be None for feedback '{feedback}'; got {value}"):
                    fm.LearningRule("rule", feedback, **(own | {name: value}))


@pytest.mark.parametrize(
    ("feedback", "name", "values", "allowed"),
    [
        ("mixed", "mix", (-0.1, 1.1, math.nan), ">= 0.0 and <= 1.0"),
        ("partly_aligned", "cosine", (-1.1, 1.1, math.inf), ">= -1.0 and <= 1.0"),
        ("kolen_pollack", "feedback_decay", (-1e-3, math.nan), ">= 0.0"),
        ("mirror", "mirror_rate", (0.0, -1.0, math.inf), "> 0.0"),
    ],
)
def test_numbers_out_of_range_are_refused(feedback, name, values, allowed):
    for value in values:
        with pytest.raises(ValueError, match=f"{name} must be a finite real number and {allowed}"):
            fm.LearningRule("rule", feedback, **(FEEDBACK_NUMBERS[feedback] | {name: value}))
    with pytest.raises(TypeError, match=name):
        fm.LearningRule("rule", feedback, **(FEEDBACK_NUMBERS[feedback] | {name: "1"}))


def test_rules_as_text_and_as_tables():
    rules = [fm.LearningRule(word, word, "scalar", decay=0.5, **FEEDBACK_NUMBERS.get(word, {})) for word in FEEDBACKS]
    assert len({repr(rule) for rule in check_rules(rules)}) == len(FEEDBACKS)
    for rule in rules:
        assert fm.LearningRule(**rule_table(rule)) == rule
        numbers = {**FEEDBACK_NUMBERS.get(rule.feedback, {}), "name": rule.name}
        fields = ",".join(f"{name}={value}" for name, value in numbers.items())
        assert fm.parse_rule(f"feedback={rule.feedback},propagator=scalar,decay=0.5,{fields}") == rule
        assert fm.parse_rule(f"rflo(0.5, feedback={rule.feedback}, {fields})") == rule
    text = "rflo(0.5, feedback=mixed, mix=0.3)"
    assert fm.parse_rule(text) == fm.LearningRule(text, "mixed", "scalar", decay=0.5, mix=0.3)
    assert fm.parse_rule("tbptt(3, feedback=random)") == fm.LearningRule(
        "tbptt(3, feedback=random)", "random", horizon=3
    )
    assert fm.parse_rule("bptt(name=mine)") == fm.bptt(name="mine")
    for wrong, why in (
        ("rflo(0.5,)", "rule field"),
        ("rflo(0.5, mix=0.3)", "mix must be None"),
        ("rflo(0.5, feedback=mixed)", "mix must be"),
        ("rflo(0.5, 0.3)", "rule field"),
        ("dfa(3)", "takes no argument"),
        ("snap2", "snap1"),
        ("rflo(feedback=mixed, mix=0.3, mix=0.2)", "must be given once"),
    ):
        with pytest.raises(ValueError, match=why):
            fm.parse_rule(wrong)


def test_named_members_of_the_family(rng):
    assert fm.snap1() == fm.LearningRule("SnAp-1", "readout", "recurrent_diagonal")
    assert fm.parse_rule("SnAp-1(3)") == fm.snap1(3) == fm.LearningRule("SnAp-1(3)", "readout", "recurrent_diagonal", 3)
    assert fm.parse_rule("dfa") == fm.dfa() == fm.LearningRule("DFA", "random", horizon=1)
    student, teacher = random_network(rng, 2, 4, 3, radius=0.7), random_network(rng, 2, 3, 3, radius=0.8)
    a, r = student.readout, rng.standard_normal((2, 4))
    # SnAp-1 keeps of the influence matrix d h_i / d W_kj the entries k = i.
    inputs = rng.standard_normal((5, 7, 3))
    got = fm.sampled_update(fm.snap1(), student, teacher, inputs)
    wanted = np.zeros((4, 4))
    for x in inputs:
        h, g, influence = np.zeros(4), np.zeros(3), np.zeros((4, 4, 4))
        for t in range(7):
            influence = np.einsum("il,lkj->ikj", student.recurrent, influence)
            for i in range(4):
                influence[i, i] += h
                influence[i, np.arange(4) != i] = 0.0
            h, g = student.recurrent @ h + student.input @ x[t], teacher.recurrent @ g + teacher.input @ x[t]
        wanted += np.einsum("i,ikj->kj", a.T @ (a @ h - teacher.readout @ g), influence) / len(inputs)
    np.testing.assert_allclose(got.recurrent, wanted, rtol=1e-12, atol=1e-13)
    for steps in (1, 6, math.inf):
        update = fm.expected_update(fm.dfa(), student, teacher, steps, feedback=r)
        assert worst(update, fm.expected_update(fm.rflo(0.0), student, teacher, steps, feedback=r)) < 1e-13
        back = fm.expected_update(fm.tbptt(1), student, teacher, steps, feedback=None)
        assert worst(fm.expected_update(fm.dfa(), student, teacher, steps, feedback=a), back) < 1e-13


# Mixed: beta A + (1 - beta) R


@pytest.mark.parametrize("n", [3, 9, 14])
def test_mixed_updates_are_their_definition(n, rng):
    teacher = random_network(rng, 2, 4, 3, radius=0.7)
    students = [random_network(rng, 2, n, 3, radius=radius) for radius in (0.6, 0.3, 0.7)]
    feedbacks = [rng.standard_normal((2, n)) for _ in students]
    inputs = rng.standard_normal((4, 6, 3))
    for rule in MIXED:
        many = fm.expected_updates(rule, students, teacher, math.inf, feedbacks=feedbacks)
        for i, (student, r) in enumerate(zip(students, feedbacks, strict=True)):
            twin = (*mixed_twin(rule, matrices(student), r), matrices(student), matrices(teacher))
            for loss in ("final", "sequence"):
                update = fm.expected_update(rule, student, teacher, 6, feedback=r, loss=loss)
                assert worst(update, naive.expected(*twin, 6, loss)) < 1e-12
                update = fm.sampled_update(rule, student, teacher, inputs, feedback=r, loss=loss)
                assert worst(update, naive.sampled(*twin, inputs, loss)) < 1e-12
                if rule.horizon is None:
                    online = fm.sampled_update(rule, student, teacher, inputs, feedback=r, loss=loss, form="online")
                    assert worst(online, update) < 1e-12
            update = fm.expected_update(rule, student, teacher, math.inf, feedback=r)
            assert worst(update, naive_stationary.expected(*twin, 300)) < 1e-12
            assert worst([part[i] for part in many], update) == 0


def test_the_ends_of_the_mix_are_random_and_readout_feedback(rng):
    student, teacher = random_network(rng, 2, 5, 3, radius=0.7), random_network(rng, 2, 4, 3, radius=0.8)
    r = rng.standard_normal((2, 5))
    for steps in (6, math.inf):
        for propagator, decay in PROPAGATORS:
            plain = fm.LearningRule("plain", "random", propagator, decay=decay)
            none = dataclasses.replace(plain, feedback="mixed", mix=0.0)
            whole = dataclasses.replace(plain, feedback="mixed", mix=1.0)
            wanted = fm.expected_update(plain, student, teacher, steps, feedback=r)
            assert worst(fm.expected_update(none, student, teacher, steps, feedback=r), wanted) == 0
            wanted = fm.expected_update(plain, student, teacher, steps, feedback=student.readout)
            assert worst(fm.expected_update(whole, student, teacher, steps, feedback=r), wanted) < 1e-13


@each_mixed
@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_mixed_modes_and_their_jacobian(rule, loss, rng):
    for steps in (1, 2, 9, math.inf):
        w, teacher = rng.uniform(-0.9, 0.9, 2)
        a, b, product, r = rng.normal(size=4)

        def function(y, r=r, steps=steps, teacher=teacher, product=product):
            pi = y[0] if "recurrent" in rule.propagator else rule.decay
            f = MIX * y[1] + (1 - MIX) * r
            if steps == math.inf:
                return np.array(naive_modes.endless_update(*y, teacher, product, f, pi, rule.horizon))
            return np.array(
                naive_modes.mode_update(*y, teacher, product, f, pi, steps, rule.horizon, loss == "sequence")
            )

        modes = fm.Modes(w, a, b), fm.Modes(teacher, 1.0, product), steps
        np.testing.assert_allclose(
            np.array(fm.mode_update(rule, *modes, feedback=r, loss=loss)), function((w, a, b)), rtol=1e-12, atol=1e-13
        )
        wanted = naive_modes.complex_step_jacobian(function, [w, a, b])
        np.testing.assert_allclose(
            fm.mode_jacobian(rule, *modes, feedback=r, loss=loss), wanted, rtol=1e-11, atol=1e-12
        )


def test_mixed_feedback_broadcasts_by_name():
    modes = fm.Modes(0.3, xr.DataArray([1.0, -0.5], dims="readouts"), 0.4), fm.Modes(0.6, 1.0, 1.0)
    r = xr.DataArray([1.0, -3.0, 0.0], dims="r")
    whole = fm.mode_update(MIXED[0], *modes, feedback=r)
    for i, j in itertools.product(range(2), range(3)):
        one = fm.mode_update(MIXED[0], fm.Modes(0.3, float(modes[0].readout[i]), 0.4), modes[1], feedback=float(r[j]))
        for part, number in zip(whole, one, strict=True):
            assert float(part.broadcast_like(whole.recurrent).isel(readouts=i, r=j)) == number


@pytest.mark.parametrize("basis", ["identity", "random"])
def test_aligned_networks_are_their_mixed_modes(basis):
    teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5, 0.3], [1.0, 0.9, 1.1], 1.0), basis=basis, seed=2)
    student = fm.aligned_student(teacher, fm.Modes([0.2, -0.4, 0.1], [0.6, -0.5, 0.7], [0.5, 0.4, -0.8]))
    r = fm.random_feedback(student, scale=1.0, seed=3, aligned=True)
    for rule in MIXED[:6]:
        for steps in (5, math.inf):
            update = fm.expected_update(rule, student, teacher, steps, feedback=r)
            modes = fm.mode_update(rule, student, teacher, steps, feedback=r)
            for matrix, entries in zip((update.recurrent, update.readout, update.input), modes, strict=True):
                sizes = np.linalg.svd(matrix, compute_uv=False)
                np.testing.assert_allclose(np.sort(sizes), np.sort(np.abs(entries)), rtol=1e-10, atol=1e-12)


@each_mixed
def test_mixed_flow_and_map_follow_the_velocity(rule, rng):
    count = 10
    w, a, b, r = rng.uniform(-0.5, 0.5, count), *rng.normal(size=(3, count))
    goal, product = rng.uniform(-0.7, 0.7, count), rng.normal(size=count)

    def slope(y, i):
        pi = y[0] if "recurrent" in rule.propagator else rule.decay
        f = MIX * y[1] + (1 - MIX) * r[i]
        return -np.array(naive_modes.endless_update(*y, goal[i], product[i], f, pi, rule.horizon))

    modes = fm.Modes(w, a, b), fm.Modes(goal, product, 1.0)
    steps = fm.discrete_map(rule, *modes, [1, 40], learning_rate=0.02, feedback=r, **QUIET)
    flow = fm.flow(rule, *modes, [0.1, 1.0], feedback=r, rtol=1e-10, atol=1e-12, **QUIET)
    assert "feedback_entry" not in flow
    for i in range(count):
        y = np.array([w[i], a[i], b[i]])
        for epoch in range(1, 41):
            y = y + 0.02 * slope(y, i)
            if epoch in (1, 40):
                got = steps.isel(rule=0, point=i).sel(epoch=epoch)
                np.testing.assert_allclose([got.w, got.a, got.b], y, rtol=1e-10, atol=1e-12)
        wanted = scipy.integrate.solve_ivp(
            lambda _, y, i=i: slope(y, i), (0, 1), [w[i], a[i], b[i]], t_eval=[0.1, 1.0], rtol=1e-10, atol=1e-12
        ).y
        got = flow.isel(rule=0, point=i)
        np.testing.assert_allclose(np.stack([got.w, got.a, got.b]), wanted, rtol=0, atol=1e-7)


@each_mixed
def test_stiff_mixed_flow_is_the_explicit_one(rule):
    modes = fm.Modes(0.9, [0.9, -0.8, 1.3], 1.1), fm.Modes(0.999, 1.0, 1.0)
    times = [1.0, 20.0, 200.0]
    handed = fm.flow(rule, *modes, times, feedback=0.6, rtol=1e-9, atol=1e-11, **QUIET).isel(rule=0)

    def slope(_, y):
        pi = y[0] if "recurrent" in rule.propagator else rule.decay
        f = MIX * y[1] + (1 - MIX) * 0.6
        return -np.array(naive_modes.endless_update(*y, 0.999, 1.0, f, pi, rule.horizon))

    for i, a in enumerate((0.9, -0.8, 1.3)):
        if handed.status[i] == 3:
            continue
        wanted = scipy.integrate.solve_ivp(
            slope, (0, 200), [0.9, a, 1.1], "Radau", t_eval=times, rtol=1e-9, atol=1e-11
        ).y
        got = handed.isel(point=i)
        np.testing.assert_allclose(np.stack([got.w, got.a, got.b]), wanted, rtol=0, atol=1e-5)


@each_mixed
def test_mixed_stability_is_that_of_its_entry(rule, rng):
    goal, product, r = rng.uniform(-0.9, 0.9, 30), rng.normal(size=30), rng.normal(size=30)
    position = xr.DataArray(np.concatenate([-np.geomspace(0.2, 3, 4), np.geomspace(0.2, 3, 4)]), dims="s")
    got = stability(rule, goal, product, position, feedback=r, **QUIET)
    found = got.stability_real + 1j * got.stability_imag
    for i, s in enumerate(position.values):
        jacobian = -fm.mode_jacobian(rule, fm.Modes(goal, s, product / s), fm.Modes(goal, product, 1.0), feedback=r)
        eigenvalues = np.linalg.eigvals(jacobian.astype(complex))
        pairs = found.isel(rule=0, s=i).transpose("point", "eigenvalue").values
        for each, pair in zip(eigenvalues, pairs, strict=True):
            for value in pair:
                assert np.abs(each - value).min() < 1e-7 * np.abs(pair).max()
    exists = fixed_points((rule, dataclasses.replace(rule, name="whole", mix=1.0)), 0.5, 1.0, 1.0).fixed_point_exists
    np.testing.assert_array_equal(exists, [[1, 0], [1, 1]])
    with pytest.raises(ValueError, match="must have random feedback to have a wrong branch"):
        wrong_branch_window(rule, 0.5, 1.0)


@pytest.mark.parametrize("steps", [7, math.inf])
@pytest.mark.parametrize("n", [3, 9])
def test_mixed_feedback_in_training(n, steps, rng):
    teacher = random_network(rng, 2, 3, 2, radius=0.6)
    students = [random_network(rng, 2, n, 2, radius=0.3) for _ in range(3)]
    students = [fm.LinearRNN(0.1 * s.readout, s.recurrent, 0.3 * s.input) for s in students]
    feedbacks = [0.5 * rng.standard_normal((2, n)) for _ in students]
    runs = fm.train(
        MIXED, teacher, hidden=n, seeds=3, epochs=12, learning_rate=0.005, steps=steps, updates="expected",
        students=students, feedbacks=feedbacks, keep_weights=True, record_every=12, **QUIET,
    )  # fmt: skip
    for rule, (seed, student) in itertools.product(MIXED, enumerate(students)):
        network = matrices(student)
        for _ in range(12):
            twin = (*mixed_twin(rule, network, feedbacks[seed]), network, matrices(teacher))
            _, *changes = naive_stationary.expected(*twin, 7 if steps == 7 else 300)
            network = [part - 0.005 * change for part, change in zip(network, changes, strict=True)]
        run = runs.sel(rule=rule.name, seed=seed).isel(epoch=-1)
        got = (run.readout_weights.values, run.recurrent_weights.values, run.input_weights.values)
        assert worst(got, network) < 1e-11, rule


def test_mixed_feedback_in_the_flow_of_networks(rng):
    teacher = fm.aligned_teacher(fm.Modes([0.6, 0.3], 1.0, 1.0))
    own = fm.Modes([0.2, 0.1], [0.7, 0.4], [0.6, 0.9])
    student = fm.aligned_student(teacher, own)
    r = np.array([0.8, 0.5])
    flow = fm.matrix_flow(
        MIXED[3:6], teacher, seeds=1, times=[0.5, 2.0], students=student, feedbacks=np.diag(r), keep_weights=True,
        rtol=1e-9, atol=1e-11, **QUIET,
    )  # fmt: skip
    modes = fm.flow(MIXED[3:6], own, fm.Modes([0.6, 0.3], 1.0, 1.0), [0.5, 2.0], feedback=r, rtol=1e-9, **QUIET)
    for name, letter in (("recurrent", "w"), ("readout", "a"), ("input", "b")):
        entries = np.diagonal(flow[f"{name}_weights"].values[:, 0], axis1=-2, axis2=-1)
        np.testing.assert_allclose(entries, modes[letter].transpose("rule", "time", "point").values, rtol=0, atol=1e-7)


def test_mixed_feedback_in_a_sweep(tmp_path):
    plan = {
        "job": "flow",
        "fixed": {"readout": 0.8, "input": 0.5, "teacher_recurrent": 0.6, "times": [0.5, 2.0], "feedback": 0.7},
        "axes": {
            "rule": [
                "bptt",
                "rflo(0.5, feedback=mixed, mix=0.3)",
                "rflo(0.5, feedback=mirror, mirror_rate=1, feedback_decay=1)",
            ],
            "recurrent": [0.1, 0.2],
        },
    }  # fmt: skip
    sweep(plan, tmp_path / "sweep", **QUIET)
    swept = open_sweep(tmp_path / "sweep")
    for place, text in enumerate(plan["axes"]["rule"]):
        direct = fm.flow(
            text, fm.Modes(np.array([0.1, 0.2]), 0.8, 0.5), fm.Modes(0.6, 1.0, 1.0), [0.5, 2.0], feedback=0.7, **QUIET
        )
        np.testing.assert_array_equal(swept.w.isel(rule=place).values, direct.w.values[0])


# Partly aligned


@pytest.mark.parametrize("cosine", [-1.0, -0.6, 0.0, 1e-9, 0.4, 0.999999, 1.0])
@pytest.mark.parametrize("shape", [(1, 2), (2, 5), (5, 2), (3, 40)])
def test_cosine_of_a_partly_aligned_feedback(shape, cosine, rng):
    student = random_network(rng, *shape, 2, radius=0.5)
    plain = fm.random_feedback(student, scale=0.8, seed=3)
    turned = fm.random_feedback(student, scale=0.8, seed=3, cosine=cosine)
    a = student.readout
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(plain), rel=1e-14)
    assert np.vdot(a, turned) / np.linalg.norm(a) / np.linalg.norm(turned) == pytest.approx(cosine, abs=1e-14)
    rest, own = (r - np.vdot(a, r) / np.vdot(a, a) * a for r in (plain, turned))
    if abs(cosine) < 0.9:
        assert np.vdot(rest, own) / np.linalg.norm(rest) / np.linalg.norm(own) == pytest.approx(1.0, abs=1e-12)


def test_what_cannot_be_turned_is_refused(rng):
    nothing = fm.LinearRNN(np.zeros((2, 3)), np.eye(3) / 2, np.ones((3, 1)))
    one = fm.LinearRNN([[1.0]], [[0.5]], [[1.0]])
    with pytest.raises(ValueError, match="cosine must be None for a readout of zeros"):
        fm.random_feedback(nothing, scale=1.0, seed=0, cosine=0.5)
    with pytest.raises(ValueError, match=r"cosine must be 1 or -1 where R lies along the readout .* got 0\.5"):
        fm.random_feedback(one, scale=1.0, seed=0, cosine=0.5)
    assert np.sign(fm.random_feedback(one, scale=1.0, seed=0, cosine=-1.0)) == -1
    assert not fm.random_feedback(one, scale=0.0, seed=0, cosine=0.5).any()
    for cosine in (1.5, math.nan):
        with pytest.raises(ValueError, match="cosine must be a finite real number"):
            fm.random_feedback(one, scale=1.0, seed=0, cosine=cosine)


def test_an_aligned_feedback_stays_aligned_when_it_turns():
    teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5, 0.3], 1.0, 1.0), basis="random", seed=1)
    student = fm.aligned_student(teacher, fm.Modes(0.2, [0.6, 0.5, 0.7], 0.5))
    r = fm.random_feedback(student, scale=1.0, seed=3, aligned=True, cosine=0.5)
    fm.mode_update(fm.rflo(), student, teacher, feedback=r)


def test_single_updates_read_a_partly_aligned_feedback_as_it_is(rng):
    rule = fm.LearningRule("q", "partly_aligned", "scalar", decay=0.5, cosine=0.3)
    student, teacher, r = *(random_network(rng, 2, 4, 3, radius=0.7) for _ in range(2)), rng.standard_normal((2, 4))
    for steps in (5, math.inf):
        got = fm.expected_update(rule, student, teacher, steps, feedback=r)
        assert worst(got, fm.expected_update(fm.rflo(), student, teacher, steps, feedback=r)) == 0
    modes = fm.Modes(0.2, [0.5, 0.4, 0.6], 0.8), fm.Modes(0.6, 1.0, 1.0)
    got, wanted = (fm.flow(each, *modes, 2.0, feedback=0.4, **QUIET) for each in (rule, fm.rflo()))
    np.testing.assert_array_equal(got.w, wanted.w)
    with pytest.raises(ValueError, match="feedback must be an array"):
        fm.expected_update(rule, student, teacher, 5)


def test_flow_of_networks_turns_the_feedback_of_every_seed(rng):
    teacher = random_network(rng, 2, 3, 2, radius=0.5)
    rules = [fm.LearningRule(f"{q}", "partly_aligned", "scalar", decay=0.5, cosine=q) for q in (-0.4, 0.9)]
    flow = fm.matrix_flow([fm.rflo(), *rules], teacher, seeds=3, times=[0.5], hidden=4, init_scale=0.5, **QUIET)
    for seed in range(3):
        student = fm.random_student(4, teacher, scale=0.5, seed=seed)
        np.testing.assert_array_equal(
            flow.final_feedback_weights.values[0, seed], fm.random_feedback(student, scale=1.0, seed=seed)
        )
        for place, rule in enumerate(rules, start=1):
            r = fm.random_feedback(student, scale=1.0, seed=seed, cosine=rule.cosine)
            np.testing.assert_array_equal(flow.final_feedback_weights.values[place, seed], r)
            alone = fm.matrix_flow(
                fm.rflo(), teacher, seeds=1, times=[0.5], students=student, feedbacks=r, **QUIET
            ).loss
            assert flow.loss.values[place, seed, 0] == alone.item()
