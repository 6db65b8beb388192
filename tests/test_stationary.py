"""Updates by doubling against the O(T) sums, Stein equations, SciPy's solvers, closed forms and the unit circle."""

import math

import mpmath
import naive_stationary
import numpy as np
import pytest
import scipy.linalg
from fastmodes.kernels.updates import doubling
from fastmodes.kernels.updates import infinite as kernel
from problems import family, feedback_for, matrices, random_network, worst

import fastmodes as fm
from fastmodes.rule_codes import kernel_rule
from fastmodes.updates import infinite as stationary
from fastmodes.updates import one as updates
from fastmodes.updates.loss import error_loss, power_loss

#: (n_out, n_hidden, n_in, teacher's n_hidden): rectangular, single, equal, more outputs than units (and than their
#: padding), more than one lane.
SIZES = ((1, 3, 2, 2), (1, 1, 1, 1), (4, 4, 4, 4), (10, 2, 1, 3), (3, 9, 5, 11))


def by_sums(rule, f, student, teacher, steps, loss="final"):
    return naive_stationary.expected(
        rule.propagator, rule.decay, rule.horizon, f, matrices(student), matrices(teacher), steps, loss
    )


def without_explosion(rule, student, teacher):
    return rule.horizon is not None or stationary.propagated_radius(rule, student, teacher) < 0.995


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("radius", [0.3, 0.99, 1.01])
@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_doubling_equals_the_sums_at_every_length(rng, sizes, radius, loss):
    n_out, n, n_in, m = sizes
    student = random_network(rng, n_out, n, n_in, radius=radius)
    teacher = random_network(rng, n_out, m, n_in, radius=radius)
    for steps in (1, 2, 3, 6, 13, 100):
        for rule in family(n, steps, rng, horizons=(None, 1, 2, 5)):
            r, f = feedback_for(rule, student, rng)
            got = stationary.finite_update(rule, student, teacher, steps, r, loss)
            wanted = by_sums(rule, f, student, teacher, steps, loss)
            scale = [np.abs(part).max() for part in wanted]
            assert all(np.abs(np.asarray(a) - b).max() <= 1e-11 * s for a, b, s in zip(got, wanted, scale, strict=True))


@pytest.mark.parametrize(
    ("radius", "steps"), [(0.5, 1000), (0.99, 1000), pytest.param(0.99, 10_000, marks=pytest.mark.slow)]
)
def test_doubling_equals_the_recursion_on_long_sequences(rng, steps, radius):
    student, teacher = random_network(rng, 2, 5, 3, radius=radius), random_network(rng, 2, 4, 3, radius=radius)
    for loss in ("final", "sequence"):
        for rule in family(5, steps, rng, horizons=(None, 1, 300)):
            if without_explosion(rule, student, teacher):
                r, _ = feedback_for(rule, student, rng)
                got = stationary.finite_update(rule, student, teacher, steps, r, loss)
                assert worst(got, updates.by_recursion(rule, student, teacher, steps, r, loss)) < 1e-11


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("radius", [0.3, 0.99])
def test_infinity_is_the_limit_of_long_sequences(rng, sizes, radius):
    n_out, n, n_in, m = sizes
    student = random_network(rng, n_out, n, n_in, radius=radius)
    teacher = random_network(rng, n_out, m, n_in, radius=radius)
    for rule in family(n, 4000, rng, horizons=(None, 1, 7)):
        if without_explosion(rule, student, teacher):
            r, _ = feedback_for(rule, student, rng)
            got = fm.expected_update(rule, student, teacher, math.inf, feedback=r)
            assert worst(got, updates.by_recursion(rule, student, teacher, 4000, r, "final")) < 1e-11


def test_recursion_or_doubling_is_the_callers_no_concern(rng):
    student, teacher = random_network(rng, 2, 6, 2, radius=0.9), random_network(rng, 2, 6, 2, radius=0.9)
    lengths = (20, 50_000)
    assert [stationary.doubling_is_faster(student, teacher, steps, "final") for steps in lengths] == [False, True]
    short, long = (fm.expected_update(fm.bptt(), student, teacher, steps) for steps in lengths)
    assert worst(short, stationary.finite_update(fm.bptt(), student, teacher, 20, None, "final")) < 1e-12
    assert worst(long, updates.by_recursion(fm.bptt(), student, teacher, 50_000, None, "final")) < 1e-12


def test_overflow_of_a_power_falls_back_to_the_recursion():
    student = fm.LinearRNN(np.ones((1, 2)), np.diag([0.3, 0.0099]), np.ones((2, 1)))
    rule = fm.LearningRule("growing credit", "readout", "scalar", None, 100.0)
    got = fm.expected_update(rule, student, student, 60_000)
    assert worst(got[1:], updates.by_recursion(rule, student, student, 60_000, None, "final")[1:]) == 0.0


def rounding_ratio(x, w, v, q):
    """LAPACK's measure: residual of X = W X V + Q over n eps (||W|| ||X|| ||V|| + ||Q||); rounding if below 10."""
    norm = np.linalg.norm
    residual = norm(w @ x @ v + q - x)
    return residual / (len(x) * np.finfo(float).eps * (norm(w, 2) * norm(v, 2) * norm(x) + norm(q)))


@pytest.mark.parametrize("radius", [0.3, 0.9, 0.99, 0.9999, 1 - 1e-7])
@pytest.mark.parametrize("n", [8, 16, 72])
def test_stein_residuals_are_rounding(rng, radius, n):
    student, teacher = random_network(rng, 2, n, 8, radius=radius), random_network(rng, 2, 8, 8, radius=0.9)
    m = stationary.work_space(fm.bptt(), student, teacher, None)
    assert kernel.infinite_update(m, kernel_rule(fm.bptt()), 40)[1] > 0
    (a, w, b), (ta, tw, tb) = matrices(student), matrices(teacher)
    covariance, mixed = (stationary.get(m, doubling.SUM + s, (k, n)) for s, k in ((0, n), (1, 8)))
    credit, wanted = (stationary.get(m, doubling.CREDIT + s, (n, k)) for s, k in ((0, n), (1, 8)))
    assert rounding_ratio(covariance, w, w.T, b @ b.T) < 10
    assert rounding_ratio(mixed, tw, w.T, tb @ b.T) < 10
    assert rounding_ratio(credit, w.T, w, a.T @ a) < 10
    assert rounding_ratio(wanted, w.T, tw, -a.T @ ta) < 10


def test_loss_is_the_squared_h2_norm_of_scipy(rng):
    student, teacher = random_network(rng, 3, 6, 2, radius=0.9), random_network(rng, 3, 4, 2, radius=0.95)
    a = np.hstack([student.readout, -teacher.readout])
    w = scipy.linalg.block_diag(student.recurrent, teacher.recurrent)
    b = np.vstack([student.input, teacher.input])
    covariance = scipy.linalg.solve_discrete_lyapunov(w, b @ b.T)
    wanted = 0.5 * np.trace(a @ covariance @ a.T)
    assert fm.expected_update(fm.bptt(), student, teacher, math.inf).loss == pytest.approx(wanted, rel=1e-12)
    assert error_loss(student, teacher, math.inf) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("steps", [1, 2, 13, 200])
def test_factored_loss_equals_the_sum(rng, steps, loss):
    student, teacher = random_network(rng, 3, 6, 2, radius=1.02), random_network(rng, 3, 4, 2, radius=0.95)
    wanted = by_sums(fm.bptt(), student.readout, student, teacher, steps, loss)[0]
    assert error_loss(student, teacher, steps, loss=loss) == pytest.approx(wanted, rel=1e-12)
    silent = fm.LinearRNN(0 * student.readout, student.recurrent, student.input)
    wanted = by_sums(fm.bptt(), silent.readout, silent, teacher, steps, loss)[0]
    assert power_loss(teacher, steps, loss=loss) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("steps", [math.inf, 100_000])
def test_a_small_loss_keeps_its_digits_and_its_sign(rng, steps):
    teacher = random_network(rng, 2, 4, 2, radius=0.9)
    basis = scipy.linalg.qr(rng.standard_normal((4, 4)))[0]
    same = fm.LinearRNN(teacher.readout @ basis, basis.T @ teacher.recurrent @ basis, basis.T @ teacher.input)
    assert 0 <= fm.expected_update(fm.bptt(), same, teacher, steps).loss < 1e-28
    near = fm.LinearRNN(same.readout * (1 + 1e-9), same.recurrent, same.input)
    wanted = 1e-18 * power_loss(teacher, steps)
    assert fm.expected_update(fm.bptt(), near, teacher, steps).loss == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("steps", [math.inf, 10_000])
def test_input_covariance_is_a_change_of_input_weights(rng, steps):
    student, teacher = random_network(rng, 2, 4, 3, radius=0.8), random_network(rng, 2, 3, 3, radius=0.9)
    root = rng.standard_normal((3, 3))
    turned = [fm.LinearRNN(x.readout, x.recurrent, x.input @ root) for x in (student, teacher)]
    for rule in family(4, 100, rng, horizons=(None, 2)):
        if without_explosion(rule, student, teacher):
            r, _ = feedback_for(rule, student, rng)
            got = fm.expected_update(rule, student, teacher, steps, feedback=r, input_covariance=root @ root.T)
            wanted = fm.expected_update(rule, *turned, steps, feedback=r)
            assert worst(got[:3], wanted[:3]) < 1e-12
            assert worst([got.input], [wanted.input @ root.T]) < 1e-12


def aligned_mode_update(rule, w, a, b, r, ws, p):
    """Closed forms of theory section 5, any rule, infinitely many steps."""
    pi = {"recurrent": w, "recurrent_diagonal": w}.get(rule.propagator, rule.decay)
    f = a if rule.feedback == "readout" else r
    tau = math.inf if rule.horizon is None else rule.horizon

    def g(x):
        return (1 - (0 if tau == math.inf else x**tau)) / (1 - x)

    da = b * (a * b / (1 - w**2) - p / (1 - w * ws))
    db = f * (a * b * g(pi * w) - p * g(pi * ws))
    dw = f * b * (a * b * w * g(pi * w) / (1 - w**2) - p * ws * g(pi * ws) / (1 - w * ws))
    return da, dw, db


def test_aligned_students_follow_the_closed_forms_of_modes(rng):
    ws, p = np.array([0.9, 0.7, 0.5, 0.3]), np.array([1.0, -1.2, 0.8, 1.1])
    w, a, b, r = (rng.uniform(-0.9, 0.9, 4) for _ in range(4))
    teacher = fm.aligned_teacher(fm.Modes(ws, p, 1.0))
    student = fm.aligned_student(teacher, fm.Modes(w, a, b))
    for feedback in ("readout", "random"):
        for propagator, decay in (("recurrent", None), ("scalar", 0.6), ("recurrent_diagonal", None)):
            for horizon in (None, 1, 3):
                rule = fm.LearningRule("rule", feedback, propagator, horizon, decay)
                got = fm.expected_update(
                    rule, student, teacher, math.inf, feedback=np.diag(r) if feedback == "random" else None
                )
                wanted = [np.diag(part) for part in aligned_mode_update(rule, w, a, b, r, ws, p)]
                assert worst(got[1:], wanted) < 1e-12
                modes = fm.mode_update(rule, fm.Modes(w, a, b), fm.Modes(ws, p, 1.0), feedback=r)
                assert worst(got[1:], [np.diag(modes.readout), np.diag(modes.recurrent), np.diag(modes.input)]) < 1e-12


def test_sequence_loss_tends_to_the_final_loss_at_the_rate_of_one_over_the_steps(rng):
    student, teacher = random_network(rng, 2, 5, 2, radius=0.8), random_network(rng, 2, 4, 2, radius=0.8)
    for rule in family(5, 100, rng, horizons=(None, 2)):
        if not without_explosion(rule, student, teacher):
            continue
        r, _ = feedback_for(rule, student, rng)
        limit = fm.expected_update(rule, student, teacher, math.inf, feedback=r, loss="sequence")
        assert worst(limit, fm.expected_update(rule, student, teacher, math.inf, feedback=r)) == 0.0
        gaps = [
            np.abs(stationary.finite_update(rule, student, teacher, t, r, "sequence")[2] - limit.recurrent).max()
            for t in (1000, 2000, 4000)
        ]
        assert gaps[0] / gaps[1] == pytest.approx(2, rel=1e-3)
        assert gaps[1] / gaps[2] == pytest.approx(2, rel=1e-3)


def rotations(angles, radii):
    return scipy.linalg.block_diag(
        *(r * np.array([[np.cos(x), -np.sin(x)], [np.sin(x), np.cos(x)]]) for x, r in zip(angles, radii, strict=True))
    )


@pytest.mark.parametrize(
    "w", [rotations((0.3, 2.0), (0.9, 0.7)), np.eye(4) * 0.8 + np.diag(np.ones(3), 1), np.diag([0.7, 0.7, 0.7, 0.0])],
    ids=["rotations", "Jordan block", "degenerate"],
)  # fmt: skip
def test_rotational_defective_and_degenerate_teachers(rng, w):
    teacher = fm.LinearRNN(rng.standard_normal((2, 4)), w, rng.standard_normal((4, 3)))
    student = fm.LinearRNN(rng.standard_normal((2, 4)), 0.9 * w.T, rng.standard_normal((4, 3)))
    for rule in family(4, 100, rng, horizons=(None, 2)):
        r, f = feedback_for(rule, student, rng)
        got = fm.expected_update(rule, student, teacher, math.inf, feedback=r)
        assert worst(got, by_sums(rule, f, student, teacher, 600)) < 1e-11


def exact_gradient(student, teacher):
    """Delta W of BPTT in 50 digits, by the Stein equations written out as linear systems."""
    with mpmath.workdps(50):
        (a, w, b), (ta, tw, tb) = ([mpmath.matrix(x.tolist()) for x in matrices(z)] for z in (student, teacher))

        def stein(left, right, q):
            """X = left X right + q."""
            n, m = q.rows, q.cols
            system, known = mpmath.eye(n * m), mpmath.matrix(n * m, 1)
            for i in range(n):
                for j in range(m):
                    known[i * m + j] = q[i, j]
                    for k in range(n):
                        for h in range(m):
                            system[i * m + j, k * m + h] -= left[i, k] * right[h, j]
            x = mpmath.lu_solve(system, known)
            return (
                mpmath.matrix(
                    n,
                    m,
                )
                if n * m == 0
                else mpmath.matrix([[x[i * m + j] for j in range(m)] for i in range(n)])
            )

        covariance, mixed = stein(w, w.T, b * b.T), stein(tw, w.T, tb * b.T)
        credit, wanted = stein(w.T, w, a.T * a), stein(w.T, tw, a.T * ta)
        change = credit * w * covariance - wanted * tw * mixed
        return np.array(change.tolist(), dtype=float)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-8])
def test_close_to_the_unit_circle_six_digits_stay(rng, distance):
    teacher = fm.LinearRNN(np.ones((1, 2)), np.diag([0.9, -0.4]), np.ones((2, 1)))
    turn = scipy.linalg.qr(rng.standard_normal((3, 3)))[0]
    w = turn @ np.diag([1 - distance, -0.7, 0.2]) @ turn.T
    student = fm.LinearRNN(rng.standard_normal((1, 3)), w, rng.standard_normal((3, 1)))
    got = fm.expected_update(fm.bptt(), student, teacher, math.inf).recurrent
    assert worst([got], [exact_gradient(student, teacher)]) < 1e-6


@pytest.mark.parametrize("w", [np.diag([1 - 1e-12, 0.5]), [[1 - 1e-5, 1.0], [0.0, 1 - 1e-5]]])
def test_too_close_to_the_unit_circle_is_refused(w):
    teacher = fm.LinearRNN(np.ones((1, 2)), np.diag([0.9, -0.4]), np.ones((2, 1)))
    student = fm.LinearRNN(np.ones((1, 2)), w, np.ones((2, 1)))
    with pytest.raises(ValueError, match="stable enough for double precision"):
        fm.expected_update(fm.bptt(), student, teacher, math.inf)


def test_divergent_sums_are_refused_with_the_radius(teacher):
    student = fm.LinearRNN(np.ones((4, 4)), 1.01 * np.eye(4), np.ones((4, 4)))
    with pytest.raises(ValueError, match=r"student must have a spectral radius of W below 1.*got 1\.01"):
        fm.expected_update(fm.bptt(), student, teacher, math.inf)
    with pytest.raises(ValueError, match=r"teacher must have a spectral radius of W\* below 1"):
        fm.expected_update(fm.bptt(), teacher, student, math.inf)
    stable = fm.LinearRNN(np.ones((4, 4)), 0.9 * np.eye(4), np.ones((4, 4)))
    with pytest.raises(ValueError, match="rule must carry credit with a factor below 1"):
        fm.expected_update(fm.rflo(1.2), stable, teacher, math.inf, feedback=np.ones((4, 4)))
    truncated = fm.LearningRule("truncated", "random", "scalar", 5, 1.2)
    assert np.isfinite(fm.expected_update(truncated, stable, teacher, math.inf, feedback=np.ones((4, 4))).loss)


def test_products_beyond_the_registers_use_the_same_formulas(rng):
    student, teacher = random_network(rng, 3, 70, 2, radius=0.9), random_network(rng, 3, 5, 2, radius=0.9)
    for rule in (fm.bptt(), fm.rflo(0.7), fm.tbptt(3)):
        r, f = feedback_for(rule, student, rng)
        wanted = by_sums(rule, f, student, teacher, 500)
        assert worst(fm.expected_update(rule, student, teacher, math.inf, feedback=r), wanted) < 1e-11
        assert worst(stationary.finite_update(rule, student, teacher, 500, r, "final"), wanted) < 1e-11


def test_training_at_infinity_equals_plain_gradient_descent(teacher):
    rules, seeds = [fm.bptt(), fm.rflo(0.5)], [0, 3]
    found = fm.train(
        rules, teacher, hidden=5, seeds=seeds, epochs=3, learning_rate=0.1, steps=math.inf, updates="expected",
        init_scale=0.5, record_every=1, keep_weights=True, progress=False,
    )  # fmt: skip
    for rule in rules:
        for seed in seeds:
            student = fm.random_student(5, teacher, scale=0.5, seed=seed)
            r = fm.random_feedback(student, scale=1.0, seed=seed) if rule.feedback == "random" else None
            for epoch in range(4):
                run = found.sel(rule=rule.name, seed=seed, epoch=epoch)
                update = fm.expected_update(rule, student, teacher, math.inf, feedback=r)
                assert float(run["loss"]) == pytest.approx(update.loss, rel=1e-13)
                assert float(run["validation_loss"]) == pytest.approx(update.loss, rel=1e-12)
                np.testing.assert_allclose(run["recurrent_weights"], student.recurrent, rtol=0, atol=1e-14)
                student = fm.LinearRNN(*(x - 0.1 * d for x, d in zip(matrices(student), update[1:], strict=True)))


def test_training_past_the_unit_circle_diverges_with_a_label(teacher):
    found = fm.train(
        fm.bptt(), teacher, hidden=4, seeds=[2], epochs=200, learning_rate=0.5, steps=math.inf, updates="expected",
        progress=False,
    )  # fmt: skip
    assert int(found["status"].squeeze()) == 2
    assert np.isnan(found["loss"].squeeze()[-1])


def test_training_at_infinity_needs_expected_updates_and_a_stable_teacher(teacher):
    settings = {"hidden": 4, "seeds": [1], "epochs": 2, "learning_rate": 0.1, "steps": math.inf, "progress": False}
    with pytest.raises(ValueError, match="steps must be a finite whole number"):
        fm.train(fm.bptt(), teacher, **settings)
    unstable = fm.LinearRNN(np.eye(4), np.eye(4), np.eye(4))
    with pytest.raises(ValueError, match="teacher must have a spectral radius below 1"):
        fm.train(fm.bptt(), unstable, updates="expected", **settings)


@pytest.mark.parametrize("steps", [math.inf, 300])
@pytest.mark.parametrize("rule", [fm.bptt(), fm.rflo(0.5), fm.LearningRule("e", "random", "recurrent_diagonal", 3)])
def test_many_networks_at_once_equal_one_at_a_time(rng, rule, steps):
    students = [random_network(rng, 2, 5, 3, radius=radius) for radius in np.linspace(0.1, 0.95, 21)]
    teacher = students[7]
    feedbacks = None if rule.feedback == "readout" else [rng.standard_normal((2, 5)) for _ in students]
    found = fm.expected_updates(rule, students, teacher, steps, feedbacks=feedbacks, threads=2)
    for i, student in enumerate(students):
        r = None if feedbacks is None else feedbacks[i]
        if steps == math.inf:
            wanted = fm.expected_update(rule, student, teacher, steps, feedback=r)
        else:
            wanted = stationary.finite_update(rule, student, teacher, steps, r, "final")
        for part, single in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(part[i], single)


def test_many_networks_need_one_size_and_one_feedback_each(rng, teacher):
    students = [fm.random_student(n, teacher, scale=0.5, seed=0) for n in (3, 4)]
    with pytest.raises(ValueError, match="students must have one size"):
        fm.expected_updates(fm.bptt(), students, teacher, math.inf)
    with pytest.raises(ValueError, match="feedbacks must hold one array for each of the 2 students"):
        fm.expected_updates(fm.rflo(0.5), [students[0]] * 2, teacher, math.inf, feedbacks=[np.ones((4, 3))])
