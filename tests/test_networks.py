"""Networks: alignment of what is called aligned, reproducible streams, values that cannot change."""

import numpy as np
import pytest
from problems import matrices, random_network

import fastmodes as fm
from fastmodes.networks.bases import teacher_bases
from fastmodes.streams import random_stream


@pytest.mark.parametrize("basis", ["identity", "random"])
@pytest.mark.parametrize(("n_out", "n_in"), [(4, 4), (6, 4), (4, 7), (9, 5)])
def test_aligned_networks_share_their_bases(basis, n_out, n_in):
    w = np.array([0.9, 0.5, 0.5, -0.3])
    teacher = fm.aligned_teacher(fm.Modes(w, 2.0, 0.5), n_out=n_out, n_in=n_in, basis=basis, seed=4)
    p, u, v = teacher_bases(teacher)
    a, recurrent, b = matrices(teacher)
    np.testing.assert_allclose(p.T @ recurrent @ p, np.diag(w), atol=1e-12)
    np.testing.assert_allclose(np.abs(u.T @ a @ p), np.eye(n_out, 4) * 2.0, atol=1e-12)
    np.testing.assert_allclose(np.abs(p.T @ b @ v), np.eye(4, n_in) * 0.5, atol=1e-12)
    for student_basis in ("identity", "random"):
        modes = fm.Modes([0.1, 0.2, 0.3, 0.4], [1.0, 2.0, 3.0, 4.0], [0.5, 0.6, 0.7, -0.8])
        student = fm.aligned_student(teacher, modes, basis=student_basis, seed=9)
        estimated = fm.estimate_modes(student, teacher)
        order = np.argsort(-np.array(modes.recurrent))
        np.testing.assert_allclose(estimated.mode_recurrent, np.array(modes.recurrent)[order], atol=1e-12)
        measured = fm.alignment(student, teacher)
        assert measured.alignment_recurrent.item() == pytest.approx(1.0)


def test_aligned_updates_stay_diagonal(rng):
    """Every rule but e-prop keeps an aligned student aligned in any basis; e-prop does in the neuron basis only."""
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.4], 1.0, 1.0), basis="random", seed=1)
    modes = fm.Modes([0.5, 0.3, 0.2], [0.4, 0.6, 0.8], [0.9, 0.7, 0.5])
    for basis in ("identity", "random"):
        student = fm.aligned_student(teacher, modes, basis=basis, seed=2)
        feedback = fm.random_feedback(student, scale=1.0, seed=3, aligned=True)
        p = np.eye(3) if basis == "identity" else teacher_bases(student)[0]
        for rule in (fm.bptt(), fm.tbptt(2), fm.rflo(0.6), fm.eprop()):
            r = feedback if rule.feedback == "random" else None
            inner = p.T @ fm.expected_update(rule, student, teacher, 20, feedback=r).recurrent @ p
            off = np.abs(inner - np.diag(np.diagonal(inner))).max() / np.abs(inner).max()
            assert (off < 1e-12) == (rule.name != "e-prop" or basis == "identity")


def test_bases_of_what_is_not_aligned(rng):
    with pytest.raises(ValueError, match="symmetric"):
        teacher_bases(random_network(rng, 4, 4, 4))
    crooked = fm.LinearRNN(rng.standard_normal((3, 3)), np.diag([0.9, 0.5, 0.1]), np.eye(3))
    with pytest.raises(ValueError, match="diagonal in W"):
        teacher_bases(crooked)


def test_degenerate_eigenvalues_take_the_basis_of_readout_and_input(rng):
    q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    teacher = fm.LinearRNN(np.diag([3.0, 2.0, 1.0]) @ q.T, 0.6 * np.eye(3), q)
    p, u, _ = teacher_bases(teacher)
    inner = u.T @ teacher.readout @ p
    np.testing.assert_allclose(np.abs(inner), np.diag(np.diagonal(np.abs(inner))), atol=1e-12)


def test_streams_are_reproducible_and_apart(teacher):
    one, two = (fm.random_student(6, teacher, scale=0.5, seed=seed) for seed in (7, 8))
    assert one == fm.random_student(6, teacher, scale=0.5, seed=7)
    assert hash(one) == hash(fm.random_student(6, teacher, scale=0.5, seed=7))
    assert one != two
    draws = [random_stream(7, purpose).standard_normal(3).tolist() for purpose in ("inputs", "student", "validation")]
    assert len({tuple(draw) for draw in draws}) == 3
    wide = fm.random_student(400, teacher, scale=0.5, seed=0).recurrent
    assert wide.std() == pytest.approx(0.5 / 20, rel=0.02)


def test_networks_cannot_change(teacher):
    source = np.eye(4)
    network = fm.LinearRNN(source, source, source)
    source[0, 0] = 5.0
    assert network.readout[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        network.recurrent[0, 0] = 2.0
    with pytest.raises(AttributeError):
        network.recurrent = source
    assert repr(network) == "LinearRNN(n_in=4, n_hidden=4, n_out=4)"


def test_rules_are_values():
    assert fm.tbptt(3) == fm.tbptt(3)
    assert len({fm.bptt(), fm.bptt(), fm.eprop(), fm.rflo(0.5), fm.rflo(0.6)}) == 4
    assert fm.LearningRule("x", horizon=float("inf")).horizon is None
    for text, rule in {
        "bptt": fm.bptt(), "tbptt(4)": fm.tbptt(4), "RFLO(0.25)": fm.rflo(0.25), "e-prop": fm.eprop(),
        "name=mine,feedback=random,propagator=scalar,decay=0.5,horizon=2":
            fm.LearningRule("mine", "random", "scalar", 2, 0.5),
    }.items():  # fmt: skip
        assert fm.parse_rule(text) == rule
