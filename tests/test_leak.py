"""Leak and rates per matrix beside training: expected updates, modes, flows, stability (theory section 10)."""

import math

import numpy as np
import pytest

import fastmodes as fm

LEAKS = (1.0, 0.6, 0.15)
RULES = [fm.bptt(), fm.tbptt(2), fm.rflo(0.4), fm.eprop(), fm.dfa()]


def some(seed, sizes=(2, 4, 3), scale=0.4):
    """Student, teacher and R of random entries."""
    n_out, n, n_in = sizes
    rng = np.random.default_rng(seed)
    make = [fm.LinearRNN(*(scale * rng.standard_normal(s) for s in ((n_out, k), (k, k), (k, n_in)))) for k in (n, n + 1)]
    return make[0], make[1], rng.standard_normal((n_out, n))


def complex_loss(matrices, teacher, steps, leak, loss, covariance):
    """Expected loss of a leaky network of complex matrices, from its impulse responses alone."""
    a, w, b = matrices
    w, b = (1 - leak) * np.eye(len(w)) + leak * w, leak * b
    total, carried, goal = 0, b, teacher.input
    for k in range(steps):
        error = a @ carried - teacher.readout @ goal
        weight = 1 if loss == "final" else (steps - k) / steps
        total = total + 0.5 * weight * np.trace(error @ covariance @ error.T)
        carried, goal = w @ carried, teacher.recurrent @ goal
    return total


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("steps", [1, 7, 400])
def test_bptt_is_the_gradient_by_complex_step(leak, loss, steps):
    for seed in range(3):
        student, teacher, _ = some(seed, scale=0.3)
        root = np.random.default_rng(seed).standard_normal((3, 3))
        covariance = root @ root.T
        update = fm.expected_update(
            "bptt", student, teacher, steps, loss=loss, leak=leak, input_covariance=covariance
        )
        matrices = [student.readout, student.recurrent, student.input]
        for part, matrix in enumerate(matrices):
            wanted = np.empty(matrix.shape)
            for place in np.ndindex(matrix.shape):
                moved = [m.astype(complex) for m in matrices]
                moved[part][place] += 1e-30j
                wanted[place] = complex_loss(moved, teacher, steps, leak, loss, covariance).imag / 1e-30
            np.testing.assert_allclose(update[1 + part], wanted, rtol=1e-13, atol=1e-13 * np.abs(wanted).max())


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_expected_updates_are_the_average_of_sampled_ones(leak, loss):
    for seed in range(3):
        student, teacher, r = some(seed)
        for rule in RULES:
            given = {"feedback": r, "loss": loss, "leak": leak}

            def sampled(x, rule=rule, student=student, teacher=teacher, given=given):
                return fm.sampled_update(rule, student, teacher, x, **given)

            wanted = fm.impulse_expectation(sampled, 6, 3)
            for got, part in zip(fm.expected_update(rule, student, teacher, 6, **given), wanted, strict=True):
                np.testing.assert_allclose(got, part, rtol=1e-12, atol=1e-12)
            colour = fm.autoregressive_input(0.6, 3)
            wanted = fm.impulse_expectation(sampled, 6, 3, colour.covariance(6))
            for got, part in zip(fm.coloured_update(rule, student, teacher, 6, colour, **given), wanted, strict=True):
                np.testing.assert_allclose(got, part, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [5, math.inf])
def test_many_students_and_infinitely_many_steps(steps):
    teacher = some(9)[1]
    students, feedbacks = zip(*(some(seed, scale=0.25)[::2] for seed in range(3)), strict=True)
    for rule in RULES:
        for leak in (0.5, 0.2):
            together = fm.expected_updates(rule, students, teacher, steps, feedbacks=feedbacks, leak=leak)
            for i, (student, r) in enumerate(zip(students, feedbacks, strict=True)):
                alone = fm.expected_update(rule, student, teacher, steps, feedback=r, leak=leak)
                late = fm.expected_update(rule, student, teacher, 3000 if steps == math.inf else 5, feedback=r, leak=leak)
                for whole, one, long in zip(together, alone, late, strict=True):
                    np.testing.assert_allclose(whole[i], one, rtol=1e-12, atol=1e-13)
                    np.testing.assert_allclose(one, long, rtol=1e-11, atol=1e-12)
            colour = fm.autoregressive_input(0.0, 3)
            white = fm.coloured_update(rule, students[0], teacher, steps, colour, feedback=feedbacks[0], leak=leak)
            for one, whole in zip(white, together, strict=True):
                np.testing.assert_allclose(one, whole[0], rtol=1e-11, atol=1e-12)


def test_without_leak_nothing_changes_in_any_bit():
    student, teacher, r = some(0)
    for rule in RULES:
        for steps in (5, math.inf):
            plain = fm.expected_update(rule, student, teacher, steps, feedback=r)
            for a, b in zip(plain, fm.expected_update(rule, student, teacher, steps, feedback=r, leak=1), strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("leak", [0.0, -0.1, 1.01, math.nan, "slow", None])
def test_a_leak_out_of_range_is_refused(leak):
    student, teacher, r = some(0)
    for call in (
        lambda: fm.expected_update("bptt", student, teacher, 5, leak=leak),
        lambda: fm.expected_updates("bptt", [student] * 3, teacher, 5, leak=leak),
        lambda: fm.coloured_update("bptt", student, teacher, 5, fm.autoregressive_input(0.5, 3), leak=leak),
    ):
        with pytest.raises((TypeError, ValueError), match="leak"):
            call()


@pytest.mark.parametrize("steps", [7, math.inf])
@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_mode_updates_are_those_of_aligned_networks(steps, loss):
    goal = fm.Modes([0.7, 0.4, -0.3], [1.0, 0.8, 1.2], [0.9, 1.1, 0.7])
    teacher, r = fm.aligned_teacher(goal), np.array([0.9, 1.3, -0.4])
    modes = fm.Modes([0.5, 0.3, -1.1], [0.6, -0.7, 1.0], [1.1, 0.5, 2.0])
    student = fm.aligned_student(teacher, modes)
    feedback = student.readout @ np.diag(r / modes.readout)
    given = {"loss": loss, "feedback": feedback}
    for leak in (0.6, 0.15):
        for rule in RULES:
            whole = fm.expected_update(rule, student, teacher, steps, leak=leak, **given)
            for got in (
                fm.mode_update(rule, modes, goal, steps, leak=leak, feedback=r, loss=loss),
                fm.mode_update(rule, student, teacher, steps, leak=leak, **given),
            ):
                # In the bases in which the student's matrices are diagonal, the update's are.
                readout = student.readout @ np.diag(np.asarray(got.readout) / modes.readout)
                input_ = np.diag(np.asarray(got.input) / modes.input) @ student.input
                wanted = (np.diag(got.recurrent), readout, input_)
                for part, matrix in zip((whole.recurrent, whole.readout, whole.input), wanted, strict=True):
                    np.testing.assert_allclose(part, matrix, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [6, math.inf])
def test_jacobians_of_leaky_modes_are_derivatives(steps):
    rng = np.random.default_rng(1)
    for leak in LEAKS:
        w, a, b, goal = rng.uniform(-0.5, 0.9, (4, 5))
        for rule in RULES:
            jacobian = fm.mode_jacobian(rule, fm.Modes(w, a, b), fm.Modes(goal, 1.0, 0.8), steps, leak=leak)
            for j in range(3):
                sides = []
                for h in (-2e-4, -1e-4, 1e-4, 2e-4):
                    moved = [w, a, b]
                    moved[j] = moved[j] + h
                    sides.append(np.stack(fm.mode_update(rule, fm.Modes(*moved), fm.Modes(goal, 1.0, 0.8), steps, leak=leak)))
                slope = (sides[0] - 8 * sides[1] + 8 * sides[2] - sides[3]) / 12e-4
                np.testing.assert_allclose(jacobian[:, :, j].T, slope, rtol=1e-8, atol=1e-9 * np.abs(jacobian).max())


def test_leaky_modes_out_of_range_are_named_by_their_own_w():
    assert np.isfinite(fm.mode_update("bptt", fm.Modes(-2.5, 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0), leak=0.5)).all()
    with pytest.raises(ValueError, match=r"recurrent must be > -3.0 and < 1.0 everywhere; got -3.5"):
        fm.mode_update("bptt", fm.Modes(-3.5, 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0), leak=0.5)
    plain = fm.mode_update("rflo", fm.Modes([0.1, 0.2, 0.3], 1.0, 1.0), fm.Modes(0.5, 1.0, 2.0))
    off = fm.mode_update("rflo", fm.Modes([0.1, 0.2, 0.3], 1.0, 1.0), fm.Modes(0.5, 1.0, 2.0), leak=1.0)
    np.testing.assert_array_equal(np.stack(off), np.stack(plain))
