"""Odd but legal calls: tiny, huge, degenerate and unstable networks give labelled results, never warnings or errors."""

import copy
import pickle
import signal
import threading
import time

import numpy as np
import pytest
import xarray as xr

import fastmodes as fm

RULES = (fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop())
RUNNING, CONVERGED, DIVERGED = range(3)


def diagonal(*eigenvalues, **sizes):
    return fm.aligned_teacher(fm.Modes(eigenvalues, 1.0, 1.0), **sizes)


def gaussian(n_out, n, n_in):
    rng = np.random.default_rng(n_out + 10 * n + 100 * n_in)
    return fm.LinearRNN(
        rng.standard_normal((n_out, n)), 0.3 * rng.standard_normal((n, n)), rng.standard_normal((n, n_in))
    )


TEACHER = diagonal(0.9, 0.7, 0.5, 0.3)


def train(updates, **changes):
    parameters = {
        "rules": RULES, "teacher": TEACHER, "hidden": 4, "seeds": range(3), "epochs": 6, "learning_rate": 0.01,
        "steps": 5, "updates": updates, "validation_size": 8, "progress": False,
    }  # fmt: skip
    if updates == "sampled":
        parameters["batch_size"] = 4
    return fm.train(**(parameters | changes))


LEGAL = {
    "one hidden unit": {"hidden": 1},
    "one step": {"steps": 1},
    "one epoch": {"epochs": 1},
    "one seed": {"seeds": [2**63 - 1], "threads": 50},
    "recorded at both ends only": {"record_every": 10**9},
    "more outputs than units": {"teacher": diagonal(0.9, 0.5, n_out=9), "hidden": 3},
    "one input": {"teacher": gaussian(2, 3, 1), "hidden": 3},
    "one of everything": {"teacher": gaussian(1, 1, 1), "hidden": 1},
    "teacher larger than the student": {"hidden": 2},
    "student larger than the teacher": {"hidden": 13},
    "all eigenvectors degenerate": {"init_scale": 0.0},
    "all eigenvectors degenerate, padded": {"init_scale": 0.0, "hidden": 13, "optimizer": "adam"},
    "no feedback": {"feedback_scale": 0.0},
    "horizon beyond the steps": {"rules": fm.tbptt(10**9)},
    "hardly any step": {"learning_rate": 1e-320},
    "clipped to nothing": {"clip_norm": 1e-300},
    "teacher with complex eigenvalues": {"teacher": fm.LinearRNN(np.eye(2), [[0.5, 0.4], [-0.4, 0.5]], np.eye(2))},
    "defective teacher": {"teacher": fm.LinearRNN(np.eye(2), [[0.5, 1.0], [0.0, 0.5]], np.eye(2))},
    "teacher of zeros": {"teacher": fm.LinearRNN(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2)))},
    "teacher with negative modes": {"teacher": diagonal(-0.9, 0.5, -0.2)},
}

DIVERGING = {
    "unstable students": {"init_scale": 8.0, "steps": 50},
    "overflowing students": {"init_scale": 1e90, "steps": 100},
    "overflowing students, padded": {"init_scale": 1e90, "steps": 100, "hidden": 13},
    "overflowing teacher": {"teacher": diagonal(30.0, 0.5), "steps": 900},
    "loss above the threshold from the start": {"divergence_loss": 1e-3},
    "overflowing decay": {"rules": fm.rflo(1e200), "steps": 50},
    "a giant step": {"learning_rate": 1e8, "divergence_loss": 20.0},
    "an overflowing step": {"learning_rate": 1e300},
    "an overflowing step, padded": {"learning_rate": 1e300, "hidden": 13},
    "an overflowing step of Adam": {"learning_rate": 1e300, "optimizer": "adam"},
}


@pytest.mark.parametrize("updates", ["sampled", "expected"])
@pytest.mark.parametrize("call", LEGAL)
def test_legal_calls_run_to_their_end(call, updates):
    dataset = train(updates, **LEGAL[call])
    np.testing.assert_array_equal(dataset["status"], RUNNING)
    np.testing.assert_array_equal(dataset["epochs_made"], dataset["epoch"][-1])
    for name in ("loss", "validation_loss", "eigenvalue_real", "singular_value", "change_singular_value"):
        assert np.isfinite(dataset[name]).all(), name


@pytest.mark.parametrize("updates", ["sampled", "expected"])
@pytest.mark.parametrize("call", DIVERGING)
def test_divergence_is_a_labelled_result(call, updates):
    dataset = train(updates, **DIVERGING[call])
    np.testing.assert_array_equal(dataset["status"], DIVERGED)
    made = dataset["epochs_made"]
    assert (made <= 1).all()
    after = dataset["epoch"] > made
    assert np.isnan(dataset["loss"].where(after)).all()
    assert np.isnan(dataset["mode_recurrent"].where(after)).all()


@pytest.mark.parametrize("updates", ["sampled", "expected"])
def test_converged_from_the_start_repeats_its_first_record(updates):
    dataset = train(updates, stop_loss=1e5)
    np.testing.assert_array_equal(dataset["status"], CONVERGED)
    np.testing.assert_array_equal(dataset["epochs_made"], 0)
    for name in ("loss", "validation_loss", "mode_recurrent", "singular_value"):
        np.testing.assert_array_equal(dataset[name], dataset[name].isel(epoch=[0]).values.repeat(7, axis=2))


@pytest.mark.parametrize("function", [fm.estimate_modes, fm.alignment])
@pytest.mark.parametrize("scale", [0.0, 1e-200, 1.0, 1e60])
@pytest.mark.parametrize("hidden", [1, 2, 4, 7])
def test_estimates_of_degenerate_networks(function, scale, hidden):
    student = fm.random_student(hidden, TEACHER, scale=scale, seed=0)
    dataset = function(student, TEACHER, feedback=np.zeros((4, hidden)))
    for name in ("alignment_recurrent", "alignment_readout", "alignment_input"):
        if name in dataset:
            assert np.isnan(dataset[name]) or 0 <= dataset[name] <= 1 + 1e-12
    if "mode_recurrent" in dataset:
        assert np.isfinite(dataset["mode_recurrent"][: min(hidden, 4)]).all()
        assert np.isnan(dataset["mode_recurrent"][hidden:]).all()


def test_any_array_like_is_the_same_input():
    rng = np.random.default_rng(0)
    student = fm.random_student(5, TEACHER, scale=0.5, seed=1)
    single = rng.standard_normal((3, 6, 4)).astype(np.float32)
    frozen = single.astype(float)
    frozen.flags.writeable = False
    kinds = [
        single, single.astype(float), np.asfortranarray(single), frozen, single[:, ::-1][:, ::-1], single.tolist(),
        xr.DataArray(single), np.ma.array(single),
    ]  # fmt: skip
    for function in (fm.sampled_update, lambda *arguments: fm.sampled_update(*arguments, form="online")):
        losses = {function(fm.bptt(), student, TEACHER, kind).loss for kind in kinds}
        assert len(losses) == 1


def test_inputs_stay_as_they_were():
    inputs, feedback = np.ones((2, 3, 4)), np.ones((4, 5))
    student = fm.random_student(5, TEACHER, scale=0.5, seed=1)
    before = copy.deepcopy((inputs, feedback, student))
    update = fm.sampled_update(fm.eprop(), student, TEACHER, inputs, feedback=feedback)
    update.recurrent[:] = 7.0
    np.testing.assert_array_equal(inputs, before[0])
    np.testing.assert_array_equal(feedback, before[1])
    assert student == before[2]


def test_values_are_values():
    student = fm.random_student(5, TEACHER, scale=0.5, seed=1)
    for value in (student, *RULES, fm.LearningRule("d", propagator="diagonal", decay=np.array([0.5, 0.1]))):
        for twin in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            assert twin == value
            assert hash(twin) == hash(value)
    for twin in (copy.deepcopy(student), pickle.loads(pickle.dumps(student))):
        with pytest.raises(ValueError, match="read-only"):
            twin.recurrent[0, 0] = 1.0
    matrix = np.eye(2)
    network = fm.LinearRNN(matrix, matrix, matrix)
    matrix[0, 0] = 5.0
    assert network.recurrent[0, 0] == 1.0


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of POSIX")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("updates", ["sampled", "expected"])
def test_an_interrupt_in_a_loop_leaves_a_working_package(updates, threads):
    before = train(updates, threads=threads)
    main = threading.main_thread().ident
    for _ in range(2):
        timer = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT))
        timer.start()
        start = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            train(updates, epochs=10**9, threads=threads)
        assert time.perf_counter() - start < 5
        timer.join()
    after = train(updates, threads=threads)
    np.testing.assert_array_equal(after["loss"], before["loss"])
    assert threading.active_count() == 1
