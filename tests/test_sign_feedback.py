"""Feedback through the signs of the readout, F = s sign(A), in every place that knows a rule."""

import dataclasses
import json
import math

import naive
import naive_modes
import naive_stationary
import numpy as np
import pytest
import scipy.integrate
import xarray as xr
from fastmodes.analysis import fixed_points, saddle_stability, stability, wrong_branch_window
from problems import matrices, random_network, worst

import fastmodes as fm
from fastmodes import cli
from fastmodes.sweeps import open_sweep, sweep

QUIET = {"progress": False}
S = 0.8
BPTT = fm.LearningRule("sign BPTT", "sign", sign_scale=S)
TBPTT = fm.LearningRule("sign tBPTT", "sign", horizon=1, sign_scale=S)
RFLO = fm.LearningRule("sign RFLO", "sign", "scalar", decay=0.5, sign_scale=S)
EPROP = fm.LearningRule("sign e-prop", "sign", "recurrent_diagonal", sign_scale=S)
SHORT = fm.LearningRule("sign, short", "sign", "scalar", horizon=3, decay=0.5, sign_scale=S)
RULES = (BPTT, TBPTT, RFLO, EPROP, SHORT)
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def with_random_feedback(rule):
    return dataclasses.replace(rule, feedback="random", sign_scale=None)


def twin_of(rule, network, teacher):
    f = naive.sign_feedback(network[0], rule.sign_scale)
    return rule.propagator, rule.decay, rule.horizon, f, network, teacher


# The rule itself


def test_scale_belongs_to_sign_feedback_alone():
    assert fm.LearningRule("sign", "sign").sign_scale == 1.0
    assert repr(BPTT) == "sign BPTT: sign feedback (scale 0.8), recurrent propagator, full horizon"
    assert not BPTT.reads_feedback
    assert [rule.reads_feedback for rule in (fm.bptt(), fm.rflo())] == [False, True]
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="sign_scale must be a finite real number and > 0"):
            fm.LearningRule("sign", "sign", sign_scale=scale)
    with pytest.raises(TypeError, match="sign_scale"):
        fm.LearningRule("sign", "sign", sign_scale="1")
    with pytest.raises(ValueError, match=r"sign_scale must be None for feedback 'random'; got 1\.0"):
        fm.LearningRule("random", "random", sign_scale=1.0)


def test_rule_as_text():
    assert fm.parse_rule("name=sign RFLO,feedback=sign,propagator=scalar,decay=0.5,sign_scale=0.8") == RFLO
    assert fm.parse_rule("feedback=sign").sign_scale == 1.0
    with pytest.raises(ValueError, match="'sign_scale' must be a number; got 'much'"):
        fm.parse_rule("feedback=sign,sign_scale=much")


# Whole networks; every member of the family is compared with its definition in test_updates.py and others


@pytest.mark.parametrize("n", [3, 9])
def test_readout_weights_of_zero_feed_nothing_back(n, rng):
    student, teacher = random_network(rng, 2, n, 3, radius=0.8), random_network(rng, 2, 4, 3, radius=0.9)
    readout = student.readout.copy()
    readout[0, 1], readout[1, 2], readout[:, 0] = 0.0, -0.0, 0.0
    student = fm.LinearRNN(readout, student.recurrent, student.input)
    inputs = rng.standard_normal((4, 6, 3))
    for rule in RULES:
        twin = twin_of(rule, matrices(student), matrices(teacher))
        for loss in ("final", "sequence"):
            wanted = naive.expected(*twin, 6, loss)
            assert worst(fm.expected_update(rule, student, teacher, 6, loss=loss), wanted) < 1e-12
            assert (
                worst(fm.sampled_update(rule, student, teacher, inputs, loss=loss), naive.sampled(*twin, inputs, loss))
                < 1e-12
            )
        update = fm.expected_update(rule, student, teacher, math.inf)
        assert worst(update, naive_stationary.expected(*twin, 400)) < 1e-11
        if rule.propagator != "recurrent":
            assert not update.recurrent[0].any()


def descend(rule, network, teacher, rate, epochs, update):
    for _ in range(epochs):
        _, *changes = update(*twin_of(rule, network, teacher))
        network = tuple(part - rate * change for part, change in zip(network, changes, strict=True))
    return network


@pytest.mark.parametrize("steps", [7, math.inf])
@pytest.mark.parametrize("n", [3, 9])
def test_training_lets_the_feedback_move_with_the_readout(n, steps, rng):
    teacher = random_network(rng, 2, 3, 2, radius=0.6)
    students = [random_network(rng, 2, n, 2, radius=0.3) for _ in range(2)]
    students = [fm.LinearRNN(0.01 * s.readout, s.recurrent, 0.3 * s.input) for s in students]
    runs = fm.train(
        RULES, teacher, hidden=n, seeds=range(2), epochs=25, learning_rate=0.005, steps=steps, updates="expected",
        students=students, keep_weights=True, record_every=25, **QUIET,
    )  # fmt: skip
    switched = False
    for rule in RULES:
        for seed, student in enumerate(students):

            def update(*twin):
                return naive_stationary.expected(*twin, 7 if steps == 7 else 400)

            a, w, b = descend(rule, matrices(student), matrices(teacher), 0.005, 25, update)
            run = runs.sel(rule=rule.name, seed=seed).isel(epoch=-1)
            got = (run.readout_weights.values, run.recurrent_weights.values, run.input_weights.values)
            assert worst(got, (a, w, b)) < 1e-10, rule
            switched |= bool((np.sign(a) != np.sign(student.readout)).any())
    assert switched


@pytest.mark.parametrize("n", [3, 9])
@pytest.mark.parametrize(("updates", "steps"), [("sampled", 6), ("expected", 6), ("expected", math.inf)])
def test_as_long_as_no_sign_changes_training_is_that_with_fixed_feedback(updates, steps, n, rng):
    teacher = random_network(rng, 2, 3, 2, radius=0.6)
    student = random_network(rng, 2, n, 2, radius=0.3)
    student = fm.LinearRNN(student.readout + 2 * np.sign(student.readout), student.recurrent, student.input)
    common = {
        "hidden": n, "seeds": [4], "epochs": 20, "learning_rate": 1e-3, "steps": steps, "students": [student],
        "updates": updates, "batch_size": 5 if updates == "sampled" else None, "keep_weights": True,
    }  # fmt: skip
    for loss in ("final", "sequence"):
        got = fm.train(RULES, teacher, loss=loss, **common, **QUIET)
        fixed = [with_random_feedback(rule) for rule in RULES]
        wanted = fm.train(fixed, teacher, loss=loss, feedbacks=[S * np.sign(student.readout)], **common, **QUIET)
        assert (np.sign(got.readout_weights) == np.sign(student.readout)).all()
        for name in ("loss", "validation_loss", "readout_weights", "recurrent_weights", "input_weights"):
            np.testing.assert_array_equal(got[name].values, wanted[name].values, name)
            assert loss == "final" or (got[name].isel(epoch=0, rule=0) != got[name].isel(epoch=-1, rule=0)).any()


def test_matrix_flow_is_the_flow_of_expected_updates(rng):
    teacher, student = random_network(rng, 2, 2, 2, radius=0.5), random_network(rng, 2, 2, 2, radius=0.3)
    times = np.array([0.2, 0.5])
    for rule in (RFLO, BPTT):
        flow = fm.matrix_flow(
            rule,
            teacher,
            seeds=[0],
            times=times,
            students=[student],
            keep_weights=True,
            rtol=1e-10,
            atol=1e-12,
            **QUIET,
        ).squeeze()

        def slope(_, y, rule=rule):
            network = (y[:4].reshape(2, 2), y[4:8].reshape(2, 2), y[8:].reshape(2, 2))
            _, *changes = naive_stationary.expected(*twin_of(rule, network, matrices(teacher)), 80)
            return -np.concatenate([change.ravel() for change in changes])

        start = np.concatenate([part.ravel() for part in matrices(student)])
        wanted = scipy.integrate.solve_ivp(slope, (0, 0.5), start, t_eval=times, rtol=1e-9, atol=1e-11).y.T
        got = [flow[f"{name}_weights"].values.reshape(2, -1) for name in ("readout", "recurrent", "input")]
        np.testing.assert_allclose(np.concatenate(got, axis=1), wanted, rtol=0, atol=1e-8)


# Modes


@pytest.mark.parametrize("loss", ["final", "sequence"])
@each_rule
def test_update_and_jacobian_of_modes(rule, loss, rng):
    for steps in (1, 2, 9, math.inf):
        w, teacher = rng.uniform(-0.9, 0.9, 2)
        a, b, product = rng.normal(size=3)
        for a_now in (a, -a, 0.0):
            f = S * float(np.sign(a_now))

            def function(y, f=f, steps=steps, teacher=teacher, product=product):
                pi = y[0] if "recurrent" in rule.propagator else rule.decay
                if steps == math.inf:
                    return np.array(naive_modes.endless_update(*y, teacher, product, f, pi, rule.horizon))
                rest = (f, pi, steps, rule.horizon, loss == "sequence")
                return np.array(naive_modes.mode_update(*y, teacher, product, *rest))

            modes = fm.Modes(w, a_now, b), fm.Modes(teacher, 1.0, product), steps
            update = np.array(fm.mode_update(rule, *modes, loss=loss))
            np.testing.assert_allclose(update, function((w, a_now, b)), rtol=1e-12, atol=1e-13)
            jacobian = fm.mode_jacobian(rule, *modes, loss=loss)
            # Between its jumps f does not move with a.
            wanted = naive_modes.complex_step_jacobian(function, [w, a_now, b])
            np.testing.assert_allclose(jacobian, wanted, rtol=1e-11, atol=1e-12)


def test_modes_ignore_the_r_of_other_rules():
    modes = fm.Modes(0.3, xr.DataArray([1.0, -0.5], dims="a"), 0.4), fm.Modes(0.6, 1.0, 1.0)
    for r in (2.0, xr.DataArray([1.0, -3.0, 0.0], dims="r")):
        got, alone = fm.mode_update(BPTT, *modes, feedback=r), fm.mode_update(BPTT, *modes)
        assert all((np.asarray(x.broadcast_like(y)) == y).all() for x, y in zip(alone, got, strict=True))


@each_rule
def test_networks_of_diagonal_matrices_are_their_modes(rule):
    teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5, 0.3], [1.0, 0.9, 1.1], 1.0), n_out=4)
    student = fm.aligned_student(teacher, fm.Modes([0.2, -0.4, 0.1], [0.6, -0.5, 0.7], [0.5, 0.4, -0.8]))
    for steps in (5, math.inf):
        update = fm.expected_update(rule, student, teacher, steps)
        modes = fm.mode_update(rule, student, teacher, steps)
        for matrix, entries in zip((update.recurrent, update.readout, update.input), modes, strict=True):
            np.testing.assert_allclose(np.sort(np.abs(np.diagonal(matrix))), np.sort(np.abs(entries)), atol=1e-13)
            off = matrix.copy()
            np.fill_diagonal(off, 0.0)
            assert not off.any()


@pytest.mark.parametrize("bases", [("random", "identity"), ("identity", "random"), ("random", "random")])
def test_other_bases_have_no_modes_under_sign_feedback(bases):
    teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0), basis=bases[0], seed=1)
    student = fm.aligned_student(teacher, fm.Modes([0.2, 0.1], [0.6, 0.5], 0.5), basis=bases[1], seed=2)
    fm.mode_update(fm.bptt(), student, teacher)
    with pytest.raises(ValueError, match="readout matrix is itself diagonal"):
        fm.mode_update(BPTT, student, teacher)
    with pytest.raises(ValueError, match="readout matrix is itself diagonal"):
        fm.flow((fm.bptt(), BPTT), student, teacher, 1.0)


# Flow, map, stability


@each_rule
def test_flow_and_map_follow_the_velocity(rule, rng):
    count = 12
    w, a, b = rng.uniform(-0.5, 0.5, count), rng.normal(size=count), rng.normal(size=count)
    goal, product = rng.uniform(-0.7, 0.7, count), rng.normal(size=count)

    def slope(y, i):
        pi = y[0] if "recurrent" in rule.propagator else rule.decay
        f = S * float(np.sign(y[1]))
        return -np.array(naive_modes.endless_update(*y, goal[i], product[i], f, pi, rule.horizon))

    modes = fm.Modes(w, a, b), fm.Modes(goal, product, 1.0)
    steps = fm.discrete_map(rule, *modes, [1, 5, 40], learning_rate=0.02)
    flow = fm.flow(rule, *modes, [0.1, 1.0], rtol=1e-9, atol=1e-11)
    for i in range(count):
        y = np.array([w[i], a[i], b[i]])
        for epoch in range(1, 41):
            y = y + 0.02 * slope(y, i)
            if epoch in (1, 5, 40):
                got = steps.isel(rule=0, point=i).sel(epoch=epoch)
                np.testing.assert_allclose([got.w, got.a, got.b], y, rtol=1e-10, atol=1e-12)
        wanted = scipy.integrate.solve_ivp(
            lambda _, y, i=i: slope(y, i), (0, 1), [w[i], a[i], b[i]], t_eval=[0.1, 1.0], rtol=1e-9, atol=1e-11
        ).y
        got = flow.isel(rule=0, point=i)
        np.testing.assert_allclose(np.stack([got.w, got.a, got.b]), wanted, rtol=0, atol=1e-6)


def test_e_prop_conserves_s_size_of_a_less_half_b_squared(rng):
    """As r a - b^2 / 2 under random feedback, through every change of sign of a."""
    w, b = rng.uniform(-0.5, 0.5, 200), rng.normal(size=200)
    a = rng.normal(size=200) * 0.3
    flow = fm.flow(EPROP, fm.Modes(w, a, b), fm.Modes(rng.uniform(-0.6, 0.6, 200), rng.normal(size=200), 1.0), [0.5, 5])
    flow = flow.isel(rule=0)
    assert (np.sign(flow.a[:, -1]) != np.sign(a)).any()
    inside = flow.status != flow.status.attrs["flag_meanings"].split().index("left_domain")
    kept = (S * np.abs(flow.a) - flow.b**2 / 2).where(inside)
    start = S * np.abs(a) - b**2 / 2
    assert float(np.abs(kept - xr.DataArray(start, dims="point")).max()) < 1e-6


@each_rule
def test_flow_ends_on_the_optimal_manifold_where_it_is_stable(rule):
    goal, position = 0.6, np.array([-1.5, -0.7, 0.8, 1.4])
    start = fm.Modes(goal + 1e-3, position, 1.0 / position + 1e-3)
    flow = fm.flow(rule, start, fm.Modes(goal, 1.0, 1.0), 1e4).isel(rule=0)
    stable = stability(rule, goal, 1.0, position).stable.values[0].astype(bool)
    assert stable.all()
    meanings = flow.status.attrs["flag_meanings"].split()
    assert {meanings[status] for status in flow.status.values} == {"optimal"}


@each_rule
def test_stability_is_that_of_random_feedback_with_the_sign_of_the_branch(rule, rng):
    goal, product = rng.uniform(-0.9, 0.9, 60), rng.normal(size=60)
    position = xr.DataArray(np.concatenate([-np.geomspace(0.1, 3, 9), np.geomspace(0.1, 3, 9)]), dims="s")
    got = stability(rule, goal, product, position)
    wanted = stability(with_random_feedback(rule), goal, product, position, feedback=S * np.sign(position))
    for name in got.data_vars:
        np.testing.assert_array_equal(got[name].values, wanted.transpose(*got[name].dims, ...)[name].values, name)
    jacobian = -fm.mode_jacobian(rule, fm.Modes(goal[:5], 0.7, product[:5] / 0.7), fm.Modes(goal[:5], product[:5], 1.0))
    eigenvalues = np.sort_complex(np.linalg.eigvals(jacobian.astype(complex)))
    alone = stability(rule, goal[:5], product[:5], 0.7)
    pairs = (alone.stability_real + 1j * alone.stability_imag).isel(rule=0).transpose("point", "eigenvalue").values
    for found, pair in zip(eigenvalues, pairs, strict=True):
        for value in pair:
            assert np.abs(found - value).min() < 1e-9 * np.abs(pair).max()


def test_what_needs_another_feedback_says_so():
    with pytest.raises(ValueError, match="must have readout feedback to rest on a = b = 0; got 'sign BPTT'"):
        saddle_stability(BPTT, 0.5, 1.0, 0.2)
    with pytest.raises(ValueError, match="must have random feedback to have a wrong branch; got 'sign RFLO'"):
        wrong_branch_window(RFLO, 0.5, 1.0)
    exists = fixed_points((fm.bptt(), fm.rflo(), BPTT), 0.5, 1.0, 0.3).fixed_point_exists.values
    assert exists.tolist() == [[1, 1], [1, 0], [1, 1]]
    assert fm.mode_update(BPTT, fm.Modes(0.3, 0.0, 0.0), fm.Modes(0.5, 1.0, 1.0)) == fm.Modes(0.0, 0.0, 0.0)


# Sweeps and the command line


def test_sweeps_take_the_rule_as_text_and_as_table(tmp_path):
    text = "name=sign RFLO,feedback=sign,propagator=scalar,decay=0.5,sign_scale=0.8"
    table = {"name": "sign BPTT", "feedback": "sign", "sign_scale": 0.8}
    for job, fixed, name in (
        ("flow", {"readout": -0.7, "input": 0.5, "teacher_recurrent": 0.6, "times": [1.0, 2.0]}, "w"),
        ("stability", {"position": -0.7, "teacher_recurrent": 0.6}, "convergence_rate"),
        ("expected", {"hidden": 3, "steps": 9}, "update_recurrent_norm"),
        ("train", {"hidden": 3, "steps": 5, "epochs": 4}, "loss"),
    ):
        plan = {"job": job, "fixed": fixed, "axes": {"rule": [text, table, "bptt"]}}
        sweep(plan, tmp_path / job, **QUIET)
        found = open_sweep(tmp_path / job).load()[name]
        values = [np.ravel(found.sel(rule=rule).values) for rule in ("sign RFLO", "sign BPTT", "BPTT")]
        assert np.isfinite(values).all()
        assert len({tuple(value) for value in values}) == 3, job
    flow = fm.flow(RFLO, fm.Modes(0.0, -0.7, 0.5), fm.Modes(0.6, 1.0, 1.0), [1.0, 2.0])
    swept = open_sweep(tmp_path / "flow").load().w.sel(rule="sign RFLO").values.ravel()
    np.testing.assert_array_equal(swept, flow.w.values.ravel())


def test_command_line_and_stored_configuration(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rule = "name=sign,feedback=sign,sign_scale=0.5"
    small = ["--epochs", "3", "--seeds", "1", "--steps", "4", "--hidden", "3", "--out", "runs.nc"]
    assert cli.run(["train", "--rule", rule, *small]) == 0
    capsys.readouterr()
    runs = fm.read_netcdf("runs.nc")
    (stored,) = json.loads(runs.attrs["configuration"])["rules"]
    assert fm.LearningRule(**stored) == fm.LearningRule("sign", "sign", sign_scale=0.5)
    assert np.isnan(runs.mode_feedback).all()
    assert cli.run(["flow", "--rule", rule, "--out", "flow.nc", "--times", "1"]) == 0
