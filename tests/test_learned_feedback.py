"""Feedback that learns: Kolen and Pollack's, and the weight mirror in expectation (theory section 11)."""

import itertools
import math

import naive_learned
import naive_modes
import numpy as np
import pytest
import scipy.integrate
import xarray as xr
from fastmodes.analysis import fixed_points, learning_map, saddle_stability, stability, stability_at
from fastmodes.kernels.flow.driver import STATUSES
from problems import matrices, random_network, worst

import fastmodes as fm

QUIET = {"progress": False}
LEARNERS = (("kolen_pollack", 0.0), ("kolen_pollack", 0.3), ("mirror", 0.3, 0.6), ("mirror", 0.0, 0.2))
PROPAGATORS = (("recurrent", None), ("scalar", 0.5), ("recurrent_diagonal", None))


def rule_of(learner, propagator="scalar", decay=0.5, horizon=None):
    kappa = learner[2] if learner[0] == "mirror" else None
    return fm.LearningRule(
        f"{learner} {propagator} {horizon}", learner[0], propagator, horizon, decay,
        feedback_decay=learner[1], mirror_rate=kappa,
    )  # fmt: skip


CASES = [
    (learner, rule_of(learner, propagator, decay, horizon))
    for learner, (propagator, decay), horizon in itertools.product(LEARNERS, PROPAGATORS, (None, 1, 3))
]
each_case = pytest.mark.parametrize(("learner", "rule"), CASES, ids=[rule.name for _, rule in CASES])
each_learner = pytest.mark.parametrize("learner", LEARNERS, ids=str)


def velocity(y, learner, rule, goal, product):
    moving = "recurrent" in rule.propagator
    return naive_learned.modes(y, learner, goal, product, rule.decay, rule.horizon, moving)


def letters(dataset):
    return np.stack([dataset.w, dataset.a, dataset.b, dataset.feedback_entry])


@each_case
def test_flow_and_map_of_four_variables(learner, rule, rng):
    count, times = 6, [0.1, 1.0, 3.0]
    w, (a, b, r) = rng.uniform(-0.3, 0.3, count), rng.uniform(0.2, 0.9, size=(3, count))
    goal, product = rng.uniform(-0.6, 0.6, count), rng.uniform(0.3, 1.0, count)
    modes = fm.Modes(w, a, b), fm.Modes(goal, product, 1.0)
    flow = fm.flow(rule, *modes, times, feedback=r, rtol=1e-10, atol=1e-12, **QUIET).isel(rule=0)
    steps = fm.discrete_map(rule, *modes, [0, 1, 40], learning_rate=0.02, feedback=r, **QUIET).isel(rule=0)
    for i in range(count):
        start = np.array([w[i], a[i], b[i], r[i]])

        def slope(y, i=i):
            return velocity(y, learner, rule, goal[i], product[i])

        wanted = scipy.integrate.solve_ivp(
            lambda _, y: slope(y), (0, 3), start, "DOP853", t_eval=times, rtol=1e-11, atol=1e-13
        ).y
        np.testing.assert_allclose(letters(flow.isel(point=i)), wanted, rtol=1e-7, atol=1e-7)
        y = start
        for epoch in range(1, 41):
            y = y + 0.02 * slope(y)
            if epoch in (1, 40):
                got = letters(steps.isel(point=i).sel(epoch=epoch))
                np.testing.assert_allclose(got, y, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(letters(steps.sel(epoch=0)), np.stack([w, a, b, r]), rtol=1e-15)
    assert (flow.status == 0).all()


@pytest.mark.parametrize("decay", [0.0, 0.05, 0.7, 3.0])
def test_readout_less_feedback_falls_by_an_exponential(decay, rng):
    times, learner = [0.0, 0.3, 1.0, 2.5], ("kolen_pollack", decay)
    w, (a, b, r) = rng.uniform(-0.3, 0.3, 5), rng.uniform(0.3, 1.0, size=(3, 5))
    modes = fm.Modes(w, a, b), fm.Modes(0.5, 1.0, 1.0)
    rules = [rule_of(learner, *kind) for kind in PROPAGATORS]
    flow = fm.flow(rules, *modes, times, feedback=r, **QUIET)
    wanted = (a - r)[:, np.newaxis] * np.exp(-decay * np.array(times))
    gap = (flow.a - flow.feedback_entry).transpose("rule", "point", "time").values
    # Beyond the tolerance of the flow, 1e-8.
    np.testing.assert_allclose(gap, np.broadcast_to(wanted, gap.shape), rtol=0, atol=1e-14)
    steps = fm.discrete_map(rules, *modes, [7, 60], learning_rate=0.01, feedback=r, **QUIET)
    gap = (steps.a - steps.feedback_entry).transpose("rule", "point", "epoch").values
    wanted = (a - r)[:, np.newaxis] * (1 - 0.01 * decay) ** np.array([7, 60])
    np.testing.assert_allclose(gap, np.broadcast_to(wanted, gap.shape), rtol=1e-12, atol=1e-14)


@each_learner
def test_update_of_the_feedback_itself(learner, rng):
    w, goal = rng.uniform(-0.9, 0.9, (2, 4))
    a, b, r, product = rng.normal(size=(4, 4))
    for (propagator, decay), steps, loss in itertools.product(PROPAGATORS, (1, 5, math.inf), ("final", "sequence")):
        rule, modes = rule_of(learner, propagator, decay), (fm.Modes(w, a, b), fm.Modes(goal, product, 1.0))
        got = fm.feedback_update(rule, *modes, steps, feedback=r, loss=loss)
        change = fm.mode_update(rule, *modes, steps, feedback=r, loss=loss)
        plain = fm.LearningRule("plain", "random", propagator, decay=decay)
        assert worst(change, fm.mode_update(plain, *modes, steps, feedback=r, loss=loss)) == 0
        if learner[0] == "mirror":
            np.testing.assert_allclose(got, learner[1] * r - learner[2] * a, rtol=1e-12)
        else:
            np.testing.assert_allclose(got, change.readout + learner[1] * r, rtol=1e-12)
            if steps == math.inf:
                every = velocity(np.stack([w, a, b, r]), learner, rule, goal, product)
                np.testing.assert_allclose(-got, every[3], rtol=1e-10, atol=1e-12)
    labelled = fm.feedback_update(rule, fm.Modes(0.1, 0.5, xr.DataArray([0.2, 0.4], dims="b")), fm.Modes(0.5, 1.0, 1.0))
    assert labelled.dims == ("b",)
    with pytest.raises(ValueError, match="must have feedback that learns"):
        fm.feedback_update(fm.rflo(), *modes)


# Stability


def four_by_four(learner, rule, goal, product, s, r):
    return naive_modes.complex_step_jacobian(
        lambda y: velocity(y, learner, rule, goal, product), [goal, s, product / s, r]
    )


@pytest.mark.parametrize("propagator", PROPAGATORS, ids=str)
def test_kolen_pollack_without_decay_has_the_stability_of_random_feedback_of_the_same_r(propagator, rng):
    learner = ("kolen_pollack", 0.0)
    goal, product, c = rng.uniform(-0.8, 0.8, 12), rng.normal(size=12), rng.normal(size=12)
    for horizon in (None, 1, 3):
        rule = rule_of(learner, *propagator, horizon)
        random = fm.LearningRule("random", "random", propagator[0], horizon, propagator[1])
        for s in (-1.3, -0.5, 0.6, 1.7):
            got = stability(rule, goal, product, s, feedback=s - c, **QUIET)
            wanted = stability(random, goal, product, s, feedback=s - c, **QUIET)
            for name in got.data_vars:
                np.testing.assert_array_equal(got[name].values, wanted[name].values, name)
            pairs = (got.stability_real + 1j * got.stability_imag).isel(rule=0).transpose("point", "eigenvalue").values
            for i, pair in enumerate(pairs):
                jacobian = four_by_four(learner, rule, goal[i], product[i], s, s - c[i])
                found = np.linalg.eigvals(jacobian)
                size = np.abs(found).max()
                for value in pair:
                    assert np.abs(found - value).min() < 1e-7 * size
                assert np.sort(np.abs(found))[1] < 1e-6 * size


def test_misfit_of_kolen_pollack_shrinks_the_unstable_branch():
    """With c = 0 every place is stable; a misfit c leaves 0 < s < c unstable (e-prop: without a window)."""
    s = np.concatenate([-np.geomspace(0.01, 4, 60), np.geomspace(0.01, 4, 60)])
    rule = rule_of(("kolen_pollack", 0.0), "recurrent_diagonal", None)
    assert stability(rule, 0.6, 1.0, s, feedback=s, **QUIET).stable.all()
    for c in (0.3, 1.1, -0.7):
        stable = stability(rule, 0.6, 1.0, s, feedback=s - c, **QUIET).stable.values[0].astype(bool)
        np.testing.assert_array_equal(stable, ~((s / c > 0) & (s / c < 1)))


def test_mirror_rests_at_a_copy_and_brings_an_eigenvalue_of_its_own(rng):
    goal, product = rng.uniform(-0.8, 0.8, 10), rng.normal(size=10)
    for (propagator, decay), (lam, kappa), s in itertools.product(
        PROPAGATORS, ((0.3, 0.6), (5.0, 2.0), (0.01, 0.02)), (-0.8, 1.2)
    ):
        learner = ("mirror", lam, kappa)
        rule = rule_of(learner, propagator, decay)
        got = stability(rule, goal, product, s, **QUIET).isel(rule=0)
        pairs = (got.stability_real + 1j * got.stability_imag).transpose("point", "eigenvalue").values
        for i, pair in enumerate(pairs):
            jacobian = four_by_four(learner, rule, goal[i], product[i], s, kappa / lam * s)
            found, size = np.linalg.eigvals(jacobian), np.abs(jacobian).max()
            for value in (*pair, -lam, 0.0):
                assert np.abs(found - value).min() < 1e-6 * size
            three = np.delete(found, np.abs(found).argmin())
            assert got.convergence_rate.values[i] == pytest.approx(-three.real.max(), rel=1e-6, abs=1e-9 * size)
            rate = got.largest_learning_rate.values[i]
            if got.stable.values[i]:
                assert np.abs(1 + rate * three).max() == pytest.approx(1.0, abs=1e-6)


def test_fixed_points_where_feedback_learns():
    rules = [rule_of(learner) for learner in LEARNERS]
    found = fixed_points(rules, 0.5, 1.0, 0.8).fixed_point_exists.values
    np.testing.assert_array_equal(found, [[1, 0], [0, 1], [1, 1], [0, 1]])
    for learner, rule in zip(LEARNERS, rules, strict=True):
        rest = {"kolen_pollack": 0.7, "mirror": 0.0}[learner[0]] if learner[1] == 0 else 0.0
        optimal = learner[2] / learner[1] * 0.8 if learner[0] == "mirror" and learner[1] else 0.7
        at = [velocity(np.array([0.5, 0.8, 1.25, optimal]), learner, rule, 0.5, 1.0)]
        at += [velocity(np.array([0.3, 0.0, 0.0, rest]), learner, rule, 0.5, 1.0)]
        np.testing.assert_array_equal([int(np.abs(v).max() < 1e-12) for v in at], found[rules.index(rule)])


def test_what_has_no_answer_says_why(rng):
    moved, grows = rule_of(("kolen_pollack", 0.2)), rule_of(("mirror", 0.0, 1.0))
    with pytest.raises(ValueError, match="feedback_decay must be 0 for modes to rest"):
        stability(moved, 0.5, 1.0, 1.0)
    with pytest.raises(ValueError, match="feedback_decay must be > 0 for modes to rest"):
        stability(grows, 0.5, 1.0, 1.0)
    with pytest.raises(ValueError, match="readout feedback"):
        saddle_stability(grows, 0.5, 1.0, 1.0)
    with pytest.raises(ValueError, match="variable of its own"):
        learning_map((fm.bptt(), moved), fm.Modes(0.1, 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0))
    student, teacher = random_network(rng, 2, 3, 2, radius=0.3), random_network(rng, 2, 3, 2, radius=0.5)
    with pytest.raises(ValueError, match="variable of its own"):
        stability_at(grows, student, teacher, feedback=np.ones((2, 3)))


def test_maps_and_networks_of_kolen_pollack_without_decay(rng):
    rule = rule_of(LEARNERS[0])
    modes = fm.Modes(0.2, [1.0, -0.6, 0.4], 0.8), fm.Modes(0.6, 1.0, 1.0)
    found = learning_map(rule, *modes, feedback=0.5, end=200.0, **QUIET)
    flow = fm.flow(rule, *modes, [200.0], feedback=0.5, **QUIET)
    np.testing.assert_allclose(found.w.values, flow.w.values[..., 0], atol=1e-5)
    teacher = random_network(rng, 2, 3, 2, radius=0.5)
    c = 0.3 * rng.standard_normal((2, 3))
    at = stability_at(rule, teacher, teacher, feedback=teacher.readout - c)
    plain = stability_at(fm.rflo(), teacher, teacher, feedback=teacher.readout - c)
    assert at.growth == pytest.approx(plain.growth, abs=1e-7 * plain.fastest)
    assert at.fastest == pytest.approx(plain.fastest, rel=1e-7)


# How flows end


def test_ends_of_four_variable_flows():
    names = STATUSES
    rule = rule_of(("mirror", 0.5, 0.5))
    out = fm.flow(rule, fm.Modes(0.9, -1.0, 3.0), fm.Modes(0.95, 1.0, 1.0), [1.0, 50.0], feedback=4.0, **QUIET)
    assert names[out.status.item()] == "left_domain"
    assert out.time_reached.item() < 50.0
    assert abs(out.w.values.flat[-1]) < 1.0
    short = fm.flow(rule, fm.Modes(0.1, 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0), 50.0, step_limit=3, **QUIET)
    assert names[short.status.item()] == "step_limit"
    rest = fm.flow(rule, fm.Modes(0.1, 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0), 200.0, **QUIET)
    assert names[rest.status.item()] == "reached_end"
    assert float(rest.loss.squeeze()) < 1e-12
    assert float(rest.feedback_entry.squeeze()) == pytest.approx(float(rest.a.squeeze()), rel=1e-6)


def test_points_do_not_depend_on_company_threads_or_other_rules(rng):
    w, a, b, r = 0.2 * rng.normal(size=(4, 700))
    goal, times = fm.Modes(0.5, 1.0, 1.0), [0.5, 2.0]
    rules = [rule_of(learner) for learner in LEARNERS]
    whole = fm.flow((*rules, fm.rflo(), fm.bptt()), fm.Modes(w, a, b), goal, times, feedback=r, threads=2, **QUIET)
    one = fm.flow(rules, fm.Modes(w, a, b), goal, times, feedback=r, threads=1, **QUIET)
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name].values, whole.isel(rule=slice(4))[name].values)
    for i in (0, 333, 699):
        alone = fm.flow(rules[2], fm.Modes(w[i], a[i], b[i]), goal, times, feedback=r[i], **QUIET)
        np.testing.assert_array_equal(letters(alone.isel(rule=0)), letters(whole.isel(rule=2, point=i)))
    plain = fm.flow((fm.rflo(), fm.bptt()), fm.Modes(w, a, b), goal, times, feedback=r, **QUIET)
    np.testing.assert_array_equal(plain.w.values, whole.w.values[4:])
    np.testing.assert_array_equal(whole.feedback_entry.values[4], np.broadcast_to(r[:, np.newaxis], (700, 2)))
    np.testing.assert_array_equal(whole.feedback_entry.values[5], whole.a.values[5])


def test_slabs_hold_the_entries_too(tmp_path):
    r = xr.DataArray(np.linspace(-1, 1, 7), dims="r")
    common = (rule_of(LEARNERS[2]), fm.Modes(0.1, 0.5, 0.7), fm.Modes(0.5, 1.0, 1.0), [0.5, 2.0])
    path = fm.write_flow(tmp_path / "flow.nc", *common, feedback=r, slab_points=2, **QUIET)
    with xr.open_dataset(path) as slabs:
        np.testing.assert_array_equal(
            slabs.feedback_entry,
            fm.flow(*common, feedback=r, **QUIET).feedback_entry.transpose(*slabs.feedback_entry.dims),
        )


# Whole networks


@pytest.mark.parametrize("n", [3, 9])
@each_learner
def test_flow_of_networks_with_their_feedback(learner, n, rng):
    teacher = random_network(rng, 2, 2, 2, radius=0.4)
    shapes = [(2, n), (n, n), (n, 2), (2, n)]
    students = [random_network(rng, 2, n, 2, radius=0.3) for _ in range(3)]
    students = [fm.LinearRNN(0.2 * s.readout, s.recurrent, 0.3 * s.input) for s in students]
    feedbacks = [0.5 * rng.standard_normal((2, n)) for _ in students]
    rules = [rule_of(learner, *kind) for kind in PROPAGATORS[:2]]
    times = [0.2, 0.6]
    flow = fm.matrix_flow(
        rules, teacher, seeds=3, times=times, students=students, feedbacks=feedbacks, keep_weights=True,
        rtol=1e-10, atol=1e-12, **QUIET,
    )  # fmt: skip
    names = ("readout", "recurrent", "input", "learned_feedback")
    for (place, rule), (seed, student) in itertools.product(enumerate(rules), enumerate(students)):

        def slope(_, y, rule=rule):
            parts = np.split(y, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
            parts = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
            kinds = (rule.propagator, rule.decay, rule.horizon)
            changes = naive_learned.networks(parts, learner, kinds, matrices(teacher), 60)
            return np.concatenate([change.ravel() for change in changes])

        start = np.concatenate([part.ravel() for part in (*matrices(student), feedbacks[seed])])
        wanted = scipy.integrate.solve_ivp(slope, (0, 0.6), start, t_eval=times, rtol=1e-9, atol=1e-11).y.T
        run = flow.isel(rule=place, seed=seed)
        got = np.concatenate([run[f"{name}_weights"].values.reshape(2, -1) for name in names], axis=1)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-8)
        np.testing.assert_array_equal(run.final_feedback_weights, run.learned_feedback_weights[-1])
        if learner[0] == "kolen_pollack":
            gap = run.readout_weights.values - run.learned_feedback_weights.values
            fallen = (student.readout - feedbacks[seed]) * np.exp(-learner[1] * np.array(times))[:, None, None]
            np.testing.assert_allclose(gap, fallen, rtol=0, atol=1e-10)


def test_flow_of_aligned_networks_is_that_of_their_modes():
    goal, own = fm.Modes([0.6, 0.3], 1.0, 1.0), fm.Modes([0.2, 0.1], [0.7, 0.4], [0.6, 0.9])
    teacher = fm.aligned_teacher(goal)
    student = fm.aligned_student(teacher, own)
    rules = [rule_of(learner, *kind) for learner in LEARNERS for kind in PROPAGATORS]
    r, times = np.array([0.8, -0.5]), [0.5, 2.0]
    options = {"rtol": 1e-9, "atol": 1e-11, **QUIET}
    flow = fm.matrix_flow(
        (*rules, fm.bptt(), fm.rflo()), teacher, seeds=1, times=times, students=student, feedbacks=np.diag(r),
        keep_weights=True, **options,
    )  # fmt: skip
    modes = fm.flow(rules, own, goal, times, feedback=r, **options)
    for name, letter in (("recurrent", "w"), ("readout", "a"), ("input", "b"), ("learned_feedback", "feedback_entry")):
        entries = np.diagonal(flow[f"{name}_weights"].values[: len(rules), 0], axis1=-2, axis2=-1)
        np.testing.assert_allclose(entries, modes[letter].transpose("rule", "time", "point").values, rtol=0, atol=1e-7)
    assert np.isnan(flow.final_feedback_weights.values[-2]).all()
    np.testing.assert_array_equal(flow.final_feedback_weights.values[-1, 0], np.diag(r))
    estimated = flow.mode_feedback.isel(seed=0, rule=slice(0, len(rules))).values
    wanted = modes.feedback_entry.transpose("rule", "time", "point").values
    np.testing.assert_allclose(np.abs(estimated), np.abs(wanted), atol=1e-6)
