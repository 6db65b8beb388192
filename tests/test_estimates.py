"""Mode estimates: exact where theory says so, continuous along histories, honest about doubtful matches."""

import numpy as np
import pytest

import fastmodes as fm
from fastmodes.networks.teacher_modes import teacher_modes
from fastmodes.training.estimates import MATCHES, history_estimates
from fastmodes.training.tracks import follow

CLEAR, DEGENERATE, UNCERTAIN, CROSSING, MISSING = range(len(MATCHES))


def diagonal_teacher(*values):
    return fm.aligned_teacher(fm.Modes(np.array(values), 1.0, 1.0))


def orthogonal(n, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def history(teacher, w, a, b, basis, feedback=None):
    """Estimates along a history of mode entries (epoch, mode) in one orthogonal basis."""
    diagonal = np.einsum("em,mn->emn", np.asarray(w), np.eye(np.shape(w)[1]))
    recurrent = basis @ diagonal @ basis.T
    readout = np.einsum("em,hm->emh", np.broadcast_to(a, np.shape(w)), basis)
    input_ = np.einsum("em,hm->ehm", np.broadcast_to(b, np.shape(w)), basis)
    return history_estimates(readout, recurrent, input_, teacher_modes(teacher), feedback)


@pytest.mark.parametrize("basis", ["identity", "random"])
def test_aligned_student_gives_back_its_modes(basis):
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5, -0.6], [1.0, 2.0, 0.5], [1.0, -1.0, 3.0]), basis=basis, seed=3)
    modes = fm.Modes(np.array([0.8, 0.4, -0.3]), np.array([-0.5, 1.5, 0.7]), np.array([0.3, 0.6, 1.1]))
    student = fm.aligned_student(teacher, modes, basis="random", seed=5)
    feedback = fm.random_feedback(student, scale=1.0, seed=1, aligned=True)
    result = fm.estimate_modes(student, teacher, feedback=feedback)
    np.testing.assert_allclose(result["mode_recurrent"], modes.recurrent, atol=1e-12)
    np.testing.assert_allclose(np.abs(result["mode_readout"]), np.abs(modes.readout), atol=1e-12)
    np.testing.assert_allclose(np.abs(result["mode_input"]), np.abs(modes.input), atol=1e-12)
    # The sign of a mode is free, but only that of the pair: a b and r a keep theirs.
    products = result["mode_readout"] * result["mode_input"] * result["teacher_readout"] * result["teacher_input"]
    own = modes.readout * modes.input * result["teacher_readout"] * result["teacher_input"]
    np.testing.assert_allclose(products, own, atol=1e-12)
    assert (result["mode_match"] == CLEAR).all()
    for value in fm.alignment(student, teacher, feedback=feedback).values():
        np.testing.assert_allclose(value, 1.0, atol=1e-12)


def test_sign_flips_of_the_eigenvectors_do_not_show():
    epochs, n = 30, 3
    w = np.linspace([0.1, 0.05, 0.0], [0.9, 0.6, 0.3], epochs)
    a, b = np.linspace(-0.2, 1.0, epochs)[:, None], np.linspace(0.1, 1.2, epochs)[:, None]
    teacher = diagonal_teacher(0.9, 0.6, 0.3)
    reference = history(teacher, w, a, b, np.eye(n))
    # Turning hidden space anew at every epoch changes eigenvectors wildly, and modes not at all.
    turned = history(teacher, w, a, b, orthogonal(n, 1))
    for name in ("mode_recurrent", "mode_readout", "mode_input"):
        np.testing.assert_allclose(turned[name], reference[name], atol=1e-12)
        assert np.abs(np.diff(reference[name], axis=0)).max() < 0.05
    # a passes through zero: the sign follows the eigenvector and not the entry.
    assert (reference["mode_readout"][0] < 0).all()
    assert (reference["mode_readout"][-1] > 0).all()


def test_curves_that_cross_belong_to_one_mode_each():
    epochs = 41
    w = np.stack([np.linspace(0.1, 0.9, epochs), np.linspace(0.6, 0.3, epochs)], axis=1)
    a = np.broadcast_to([1.0, 2.0], w.shape)
    result = history(diagonal_teacher(0.9, 0.3), w, a, 1.0, orthogonal(2, 4))
    np.testing.assert_allclose(result["mode_recurrent"], w, atol=1e-12)
    np.testing.assert_allclose(result["mode_readout"] ** 2, a**2, atol=1e-10)
    assert (result["mode_match"] == CLEAR).all()


def test_degenerate_teacher_is_flagged_and_continuous():
    epochs = 20
    w = np.linspace([0.2, 0.1, 0.05], [0.8, 0.79, 0.4], epochs)
    result = history(diagonal_teacher(0.8, 0.8, 0.4), w, 1.0, 1.0, orthogonal(3, 2))
    assert (result["mode_match"] == [DEGENERATE, DEGENERATE, CLEAR]).all()
    np.testing.assert_allclose(result["mode_recurrent"], w, atol=1e-12)


def test_unlearned_mode_with_a_closer_unit_is_uncertain():
    teacher = diagonal_teacher(0.9, 0.2)
    recurrent = np.diag([0.85, 0.5, 0.21])
    student = fm.LinearRNN(np.eye(3)[:2], recurrent, np.eye(3)[:, :2])
    assert list(fm.estimate_modes(student, teacher)["mode_match"].values) == [CLEAR, UNCERTAIN]


def test_more_hidden_units_than_the_teacher():
    teacher = diagonal_teacher(0.9, 0.5)
    basis = orthogonal(5, 7)
    recurrent = basis @ np.diag([0.1, 0.9, -0.2, 0.5, 0.05]) @ basis.T
    readout, input_ = basis[:, [1, 3]].T, basis[:, [1, 3]]
    student = fm.LinearRNN(readout, recurrent, input_)
    result = fm.estimate_modes(student, teacher)
    np.testing.assert_allclose(result["mode_recurrent"], [0.9, 0.5], atol=1e-12)
    np.testing.assert_allclose(result["mode_readout"], 1.0, atol=1e-12)
    np.testing.assert_allclose(result["mode_input"], 1.0, atol=1e-12)
    assert (result["mode_match"] == CLEAR).all()
    np.testing.assert_allclose(fm.alignment(student, teacher)["alignment_readout"], 1.0, atol=1e-12)


def test_fewer_hidden_units_leave_missing_modes():
    teacher = diagonal_teacher(0.9, 0.5)
    result = fm.estimate_modes(fm.LinearRNN([[1.0], [0.0]], [[0.7]], [[1.0, 0.0]]), teacher)
    assert list(result["mode_match"].values) == [CLEAR, MISSING]
    assert np.isnan(result["mode_recurrent"][1])


def test_complex_pair_keeps_its_imaginary_part_and_its_flag():
    teacher = diagonal_teacher(0.6, 0.3)
    angle = 0.4
    turn = 0.7 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    student = fm.LinearRNN(np.eye(2), turn, np.eye(2))
    result = fm.estimate_modes(student, teacher)
    np.testing.assert_allclose(result["mode_recurrent"], 0.7 * np.cos(angle), atol=1e-12)
    np.testing.assert_allclose(np.abs(result["mode_recurrent_imag"]), 0.7 * np.sin(angle), atol=1e-12)
    assert (result["mode_is_complex"] == 1).all()


def test_pair_that_becomes_real_is_flagged_where_it_splits():
    epochs = 61
    coupling = np.linspace(-0.2, 0.2, epochs)
    recurrent = np.stack([[[0.5, 0.4 * c], [0.4, 0.5]] for c in coupling])
    eye = np.broadcast_to(np.eye(2), recurrent.shape)
    result = history_estimates(eye, recurrent, eye, teacher_modes(diagonal_teacher(0.7, 0.3)))
    real = coupling > 0
    assert (result["mode_is_complex"][coupling < 0] == 1).all()
    # Once the pair has split, everything is real: no phase is left over from the complex stretch.
    assert (result["mode_is_complex"][real] == 0).all()
    for name in ("recurrent", "readout", "input"):
        assert np.abs(result[f"mode_{name}_imag"][real]).max() == 0
    doubtful = (result["mode_match"] == CROSSING).any(axis=1)
    assert doubtful.any()
    assert doubtful.sum() <= 3
    steps = np.abs(np.diff(result["mode_recurrent"], axis=0)).max(axis=1)
    assert steps.max() < 0.1


def test_exchange_never_happens_without_a_flag():
    """Two eigenvectors that turn by a right angle between two records cannot be told apart, and this is said."""
    basis = np.eye(2)
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    half = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
    for turn, flagged in ((basis, False), (half, True), (quarter, False)):
        recurrent = np.stack([turn @ np.diag([0.3, 0.2]) @ turn.T, np.diag([0.8, 0.4])])
        eye = np.broadcast_to(np.eye(2), recurrent.shape)
        result = history_estimates(eye, recurrent, eye, teacher_modes(diagonal_teacher(0.8, 0.4)))
        assert (result["mode_match"][0] == CROSSING).all() == flagged


def test_following_does_not_depend_on_order_or_length():
    rng = np.random.default_rng(5)
    base = rng.standard_normal((4, 4))
    matrices = np.stack([base + 0.01 * k * rng.standard_normal((4, 4)) for k in range(12)])
    values, vectors = np.linalg.eig(matrices)
    followed = np.take_along_axis(values, follow(values, vectors, np.linalg.inv(vectors))[0], axis=1)
    mixed_values, mixed_vectors = values.copy(), vectors.copy()
    for epoch in range(11):
        order = rng.permutation(4)
        mixed_values[epoch], mixed_vectors[epoch] = values[epoch][order], vectors[epoch][:, order]
    mixed_vectors = mixed_vectors * np.exp(rng.uniform(-3, 3, (12, 1, 4)))
    order, _ = follow(mixed_values, mixed_vectors, np.linalg.inv(mixed_vectors))
    np.testing.assert_array_equal(np.take_along_axis(mixed_values, order, axis=1), followed)


def test_weights_that_are_not_finite_are_missing_not_an_error():
    w = np.full((3, 2), 0.5) * [1.0, 0.4]
    recurrent = np.einsum("em,mn->emn", w, np.eye(2))
    recurrent[2] = np.nan
    eye = np.broadcast_to(np.eye(2), recurrent.shape)
    result = history_estimates(eye, recurrent, eye, teacher_modes(diagonal_teacher(0.5, 0.2)))
    assert (result["mode_match"][:2] == CLEAR).all()
    assert (result["mode_match"][2] == MISSING).all()
    assert np.isnan(result["mode_recurrent"][2]).all()


def test_coarse_records_follow_the_same_modes_as_fine_ones():
    """Between the same weights recorded at every epoch and at every fifth, a curve changes only at a flag."""
    teacher = diagonal_teacher(0.9, 0.7, 0.5, 0.3)
    data = fm.train(
        fm.tbptt(), teacher, hidden=6, seeds=range(4), epochs=600, learning_rate=0.02, steps=30, updates="expected",
        record_every=1, keep_weights=True, progress=False,
    )  # fmt: skip
    assert data["mode_match"].attrs["flag_meanings"].split() == list(MATCHES)
    jumps = np.abs(np.diff(data["mode_recurrent"].values, axis=2))
    assert jumps[data["mode_match"].values[:, :, :-1] != CROSSING].max() < 0.05
    followed = 0
    for seed in range(4):
        run = data.isel(rule=0, seed=seed)
        weights = [run[f"{name}_weights"].values[::5] for name in ("readout", "recurrent", "input")]
        coarse, fine = history_estimates(*weights, teacher_modes(teacher)), run.isel(epoch=slice(None, None, 5))
        doubt = (coarse["mode_match"] == CROSSING) | (fine["mode_match"].values == CROSSING)
        between = (run["mode_match"].values[:-1].reshape(-1, 5, 4) == CROSSING).any(axis=1)
        doubt[:-1] |= between
        sure = ~np.flip(np.logical_or.accumulate(np.flip(doubt, 0), 0), 0)
        np.testing.assert_allclose(coarse["mode_recurrent"][sure], fine["mode_recurrent"].values[sure], atol=1e-12)
        followed += sure.sum()
    assert followed > 100
