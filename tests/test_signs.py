"""Signs of modes: one gauge, kept by every function that takes networks apart or puts them together."""

import itertools
import pickle

import numpy as np
import pytest

import fastmodes as fm
from fastmodes.networks.aligned import modes_of
from fastmodes.networks.bases import positive_columns, teacher_bases

SIZES = [(3, 3), (5, 3), (3, 6)]
RULES = [fm.bptt(), fm.rflo(-0.6), fm.LearningRule("mixed", "random", "recurrent", 3)]
EIGENVALUES = ([0.8, 0.5, -0.3], [0.5, 0.5, 0.5], [0.3, 0.7, 0.3])


def signs(count):
    return itertools.product((1.0, -1.0), repeat=count)


def networks(w, a, b, size=(3, 3), bases=("random", "random")):
    """Teacher and its modes sorted as a student takes them."""
    goal = fm.Modes(np.array(w), np.array(a), np.array(b))
    teacher = fm.aligned_teacher(goal, n_out=size[0], n_in=size[1], basis=bases[0], seed=3)
    order = np.argsort(-goal.recurrent, kind="stable")
    return teacher, fm.Modes(*(entry[order] for entry in goal))


@pytest.mark.parametrize("bases", list(itertools.product(("identity", "random"), repeat=2)))
@pytest.mark.parametrize("w", EIGENVALUES)
def test_a_student_of_the_teachers_own_modes_has_no_loss(w, bases):
    """Over every combination of signs, equal entries, vanishing entries and sizes."""
    for size, (i, j, k, m) in itertools.product(SIZES, signs(4)):
        for a, b in (([i, j, 1.0], [k, m, 1.0]), ([i, 2 * j, 0.5], [k, 0.0, m])):
            teacher, own = networks(w, a, b, size, bases)
            student = fm.aligned_student(teacher, own, basis=bases[1], seed=7)
            assert fm.expected_update(fm.bptt(), student, teacher, 12).loss < 1e-24
            for network in (student, pickle.loads(pickle.dumps(student))):
                mine, goal, _ = modes_of(network, teacher)
                np.testing.assert_allclose(np.array(mine), np.array(own), atol=1e-12)
                np.testing.assert_allclose(np.array(goal), np.array(own), atol=1e-12)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: repr(rule))
@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_numbers_networks_and_matrices_give_the_same_update(rule, loss):
    """r beside the modes, r beside the networks, R = U Rbar P^T, and the whole network's update, rotated."""
    rng = np.random.default_rng(5)
    for bases in (("identity", "identity"), ("random", "random")):
        for a, b, c, d in signs(4):
            teacher, goal = networks([0.8, 0.5, -0.3], [a, 1.2, b], [0.7, b, 1.0], (4, 5), bases)
            own = fm.Modes(rng.uniform(-0.6, 0.6, 3), np.array([c, 0.5 * d, -0.8]), np.array([0.6 * d, 1.1 * c, a]))
            student = fm.aligned_student(teacher, own, basis=bases[1], seed=8)
            r = rng.normal(size=3)
            p, (_, u, v) = student.bases.hidden, teacher_bases(teacher)
            matrix = u[:, :3] * r @ p.T
            wanted = fm.mode_update(rule, own, goal, 9, feedback=r, loss=loss)
            for feedback in (r, matrix):
                got = fm.mode_update(rule, student, teacher, 9, feedback=feedback, loss=loss)
                np.testing.assert_allclose(np.array(got), np.array(wanted), rtol=1e-10, atol=1e-12)
            given = None if rule.feedback == "readout" else matrix
            whole = fm.expected_update(rule, student, teacher, 9, feedback=given, loss=loss)
            rotated = (p.T @ whole.recurrent @ p, u.T @ whole.readout @ p, p.T @ whole.input @ v)
            for part, entries in zip(rotated, wanted, strict=True):
                np.testing.assert_allclose(np.diagonal(part), entries, rtol=1e-10, atol=1e-12)
            if b * d < 0:
                continue
            jacobian = fm.mode_jacobian(rule, own, goal, 9, feedback=r, loss=loss)
            of_networks = fm.mode_jacobian(rule, student, teacher, 9, feedback=r, loss=loss)
            np.testing.assert_allclose(of_networks, jacobian, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("basis", ["identity", "random"])
def test_the_flow_of_networks_is_the_flow_of_their_modes(basis):
    """On the wrong branch (r a < 0) above all: it ends elsewhere than the other one."""
    for a, r in signs(2):
        goal = fm.Modes(np.array([0.5, 0.2]), np.array([1.0, -1.0]), np.array([1.0, 0.7]))
        own = fm.Modes(np.array([0.4, 0.3]), np.array([0.8 * a, 0.9]), np.array([1.2 * a, -0.6]))
        teacher = fm.aligned_teacher(goal, basis=basis, seed=1)
        student = fm.aligned_student(teacher, own, basis=basis, seed=2)
        wanted = fm.flow(fm.rflo(0.3), own, goal, [5.0, 200.0], feedback=r)
        got = fm.flow(fm.rflo(0.3), student, teacher, [5.0, 200.0], feedback=r)
        np.testing.assert_array_equal(got.status, wanted.status)
        for name in ("w", "a", "b"):
            np.testing.assert_allclose(got[name], wanted[name], rtol=1e-6, atol=1e-8)


def test_networks_given_as_matrices_have_positive_columns():
    """Nobody knows the signs a matrix was made with: the gauge is a property of the matrices, not of rounding."""
    rng = np.random.default_rng(2)
    for a, b in signs(2):
        made = fm.aligned_teacher(fm.Modes([0.8, 0.3], [a, 1.0], [b, 1.0]), n_out=4, n_in=3, basis="random", seed=5)
        given = fm.LinearRNN(made.readout, made.recurrent, made.input)
        assert given == made
        for basis in teacher_bases(given):
            np.testing.assert_array_equal(basis, positive_columns(basis))
        noise = 1 + 1e-13 * rng.standard_normal(made.recurrent.shape)
        noisy = fm.LinearRNN(made.readout, (noise + noise.T) / 2 * made.recurrent, made.input)
        for one, two in zip(teacher_bases(given), teacher_bases(noisy), strict=True):
            np.testing.assert_allclose(one[:, :2], two[:, :2], atol=1e-10)
    halves = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)
    np.testing.assert_allclose(
        positive_columns(-halves * (1 + 1e-15 * rng.standard_normal((2, 2)))), halves, rtol=1e-14
    )


def test_a_diagonal_network_has_the_signs_of_its_diagonals():
    for a, b in signs(2):
        teacher = fm.LinearRNN(np.diag([a, 1.0]), np.diag([0.8, 0.3]), np.diag([b, -1.0]))
        mine, goal, _ = modes_of(fm.LinearRNN(np.diag([b, 2.0]), np.diag([0.1, 0.2]), np.diag([a, 1.0])), teacher)
        np.testing.assert_array_equal(np.array(goal), [[0.8, 0.3], [a, 1.0], [b, -1.0]])
        np.testing.assert_allclose(np.array(mine), [[0.1, 0.2], [b, 2.0], [a, 1.0]], atol=1e-15)


@pytest.mark.parametrize("basis", ["identity", "random"])
def test_estimated_modes_take_the_sign_of_the_teachers_input(basis):
    """So that a student that has learned stands on its teacher, and not on its mirror image."""
    for a, b in signs(2):
        teacher, own = networks([0.8, 0.5, -0.3], [a, 1.0, b], [b, -1.0, 0.5], bases=(basis, basis))
        student = fm.aligned_student(teacher, own, basis="random", seed=3)
        result = fm.estimate_modes(student, teacher)
        for name in ("recurrent", "readout", "input"):
            np.testing.assert_allclose(result[f"mode_{name}"], getattr(own, name), atol=1e-12)
            np.testing.assert_allclose(result[f"teacher_{name}"], getattr(own, name), atol=1e-12)
