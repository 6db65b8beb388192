"""Ctrl-C and SIGTERM leave every computing function within two seconds, and its threads stop computing."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.theory.learning_maps import learning_map
from fastmodes.analysis.theory.linear_stability import write_stability

import fastmodes as fm
from fastmodes import cli, interrupts, parallel

#: Seconds within which everyone has left.
PROMPTLY = 2.0
TEACHER = fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0))
GOAL = fm.Modes(0.6, 1.0, 1.0)


def network(n, seed=0):
    rng = np.random.default_rng(seed)
    scale = 0.5 / math.sqrt(n)
    shapes = (4, n), (n, n), (n, 4)
    return fm.LinearRNN(*(scale * rng.standard_normal(shape) for shape in shapes))


def starts(count):
    return fm.Modes(np.linspace(0.1, 0.5, count), 1.0, 0.8)


def many(count):
    """A grid whose parameters are small."""
    axes = {name: xr.DataArray(np.linspace(0.1, 0.5, count), dims=name) for name in ("x", "y")}
    return fm.Modes(axes["x"], axes["y"], 0.8)


def train(hidden, epochs, **changes):
    options = {"seeds": range(4), "learning_rate": 1e-4, "steps": 100, "progress": False} | changes
    return fm.train([fm.bptt(), fm.eprop()], TEACHER, hidden=hidden, epochs=epochs, **options)


#: The same with little work, to compile first, and with hours of it.
QUICK = {
    "discrete_map": lambda much: fm.discrete_map(
        fm.bptt(), starts(20), GOAL, [10**9 if much else 10], learning_rate=1e-9
    ),
    "flow": lambda much: fm.flow(
        fm.bptt(), many(2000 if much else 5), GOAL, 1e5, rtol=1e-12, atol=1e-15, step_limit=10**6
    ),
    "train": lambda much: train(64 if much else 4, 10**6 if much else 2),
}  # fmt: skip
SLOW = {
    "one thread": lambda much: fm.discrete_map(fm.bptt(), starts(1), GOAL, [10**9 if much else 1], learning_rate=1e-9),
    "train, expected": lambda much: train(64 if much else 4, 10**6 if much else 2, updates="expected"),
    "train, infinite": lambda much: train(
        64 if much else 4, 10**6 if much else 2, updates="expected", steps=math.inf, threads=1
    ),
    "matrix_flow": lambda much: fm.matrix_flow(
        fm.bptt(), TEACHER, hidden=100 if much else 4, seeds=range(4), times=[1e6 if much else 1e-3], rtol=1e-12,
        progress=False,
    ),
    "expected_update": lambda much: fm.expected_update(fm.bptt(), network(800 if much else 8), TEACHER, 10**6),
    "expected_update, infinite": lambda much: fm.expected_update(
        fm.bptt(), network(800 if much else 8), TEACHER, math.inf
    ),
    "expected_updates": lambda much: fm.expected_updates(
        fm.bptt(), [network(200 if much else 4, i) for i in range(300 if much else 2)], TEACHER, 10**5
    ),
    "coloured_update": lambda much: fm.coloured_update(
        fm.bptt(), network(600 if much else 4), TEACHER, 10**6, fm.autoregressive_input(0.5, 4)
    ),
    "impulse_expectation": lambda much: fm.impulse_expectation(
        lambda x: fm.sampled_update(fm.bptt(), network(4), TEACHER, x), 10**5 if much else 2, 4
    ),
    "sampled_update": lambda much: fm.sampled_update(
        fm.bptt(), network(200 if much else 4), TEACHER, np.zeros((1000 if much else 8, 100, 4))
    ),
    "learning_map": lambda much: learning_map(
        fm.bptt(), many(2000 if much else 5), GOAL, rtol=1e-12, atol=1e-15, end=1e6
    ),
    "write_flow": lambda much: fm.write_flow(
        "flow.nc", fm.bptt(), many(5000 if much else 5), GOAL, 1e3, slab_points=10**5
    ),
    "write_stability": lambda much: write_stability(
        "map.nc", fm.rflo(0.5), *many(10_000 if much else 5)[:2], 1.0, slab_points=10**5
    ),
}  # fmt: skip


@contextlib.contextmanager
def signalled(number, after):
    """Send a signal to the main thread; yields the list that receives the time of it."""
    main, sent = threading.main_thread().ident, []

    def send():
        sent.append(time.monotonic())
        signal.pthread_kill(main, number)

    timer = threading.Timer(after, send)
    timer.start()
    try:
        yield sent
    finally:
        timer.cancel()
        timer.join()


def check_left_promptly(work, number, folder, monkeypatch, bounded=False):
    monkeypatch.chdir(folder)
    work(False)
    with (
        interrupts.termination_as_interrupt(),
        signalled(number, 0.7) as sent,
        pytest.raises(KeyboardInterrupt),
    ):
        work(True)
    assert time.monotonic() - sent[0] < PROMPTLY
    while parallel.busy_workers() and not bounded:
        assert time.monotonic() - sent[0] < PROMPTLY, "a thread goes on computing"
        time.sleep(0.01)
    assert not list(folder.glob("*.part")) + list(folder.glob(".*.part"))
    # Nothing of it stays: the same works again.
    work(False)


@pytest.mark.parametrize("name", QUICK)
def test_an_interrupt_leaves_at_once(name, tmp_path, monkeypatch):
    check_left_promptly(QUICK[name], signal.SIGINT, tmp_path, monkeypatch)


PARTS = {
    "sampled": {"steps": 20, "updates": "sampled", "batch_size": 8, "validation_size": 8},
    "expected": {"steps": 20, "updates": "expected", "validation_size": 8},
    "infinite": {"steps": math.inf, "updates": "expected"},
}  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", PARTS)
def test_what_training_has_recorded_is_kept_where_a_file_is_asked_for(kind, number, tmp_path, monkeypatch, capsys):
    """More seeds than threads: some runs have not begun, some are learning; what is kept is a part of the whole run."""
    monkeypatch.chdir(tmp_path)
    options = PARTS[kind] | {"hidden": 4, "learning_rate": 1e-4, "record_every": 1000, "keep_weights": True}
    words = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    words = [word for word in words if word != "True"]
    whole = fm.train(["bptt", "rflo"], TEACHER, seeds=20, epochs=2000, progress=False, **options)
    begun = ["train", "--rule", "bptt", "--rule", "rflo", "--seeds", "20", "--epochs", "1000000", *words, "--quiet"]
    for name in ("training.nc", "training-partial.nc"):
        with signalled(number, 0.7):
            assert cli.run([*begun, "-o", "training.nc"]) == 130
        assert f"writing the partial results to {name}" in capsys.readouterr().err
    found = fm.read_netcdf("training.nc")
    assert "stopped before its end" in found.attrs["partial"]
    made = found["epochs_made"]
    assert (made > 0).any()
    assert (made < 10**6).all()
    assert (found["status"] == 0).all()
    for name, variable in found.data_vars.items():
        if "epoch" in variable.dims and variable.dtype.kind == "f" and "feedback" not in name:
            known = variable.notnull().any([dim for dim in variable.dims if dim not in ("rule", "seed", "epoch")])
            begun_ones = found["loss"].notnull().any("epoch")
            assert (known == (begun_ones & (found["epoch"] <= made))).all(), name
    first = found.isel(epoch=slice(0, 3)).where(made >= 2000)
    for name in ("loss", "recurrent_weights", "validation_loss"):
        xr.testing.assert_equal(first[name], whole[name].where(made >= 2000).assign_coords(first[name].coords))


def test_training_that_has_recorded_nothing_writes_nothing(tmp_path, monkeypatch, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fastmodes.training.train.run_blocks", stopped)
    assert cli.run(["train", "--epochs", "5", "--quiet"]) == 130
    assert "no file is written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", SLOW)
def test_a_signal_leaves_every_computing_function_at_once(name, number, tmp_path, monkeypatch):
    # The kernel of one update on given sequences is left behind.
    check_left_promptly(SLOW[name], number, tmp_path, monkeypatch, bounded=name == "sampled_update")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("cold", [False, True], ids=["computing", "compiling"])
def test_the_command_line_leaves_at_once_with_code_130(number, cold, tmp_path):
    environment = os.environ | ({"FASTMODES_CACHE_DIR": str(tmp_path / "empty")} if cold else {})
    command = [sys.executable, "-c", "from fastmodes.cli import main; print('here', flush=True); main()", "flow"]
    command += ["--start-w", "0.1:0.5:3000000", "--rtol", "1e-12", "--times", "100000"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    time.sleep(4.0)
    process.send_signal(number)
    sent = time.monotonic()
    _, messages = process.communicate(timeout=60)
    assert time.monotonic() - sent < PROMPTLY
    assert process.returncode == 130, messages
    assert messages.strip().endswith("interrupted")
    assert [path.name for path in tmp_path.iterdir()] in ([], ["empty"])


def test_an_error_in_one_block_stops_the_others():
    stopped = []

    def work(block):
        if block == 0:
            time.sleep(0.05)
            raise ValueError("block 0")
        flags = np.zeros(3, np.int64)
        try:
            with interrupts.halting(flags):
                while not flags[-1]:
                    time.sleep(0.001)
        finally:
            stopped.append(block)

    with pytest.raises(ValueError, match="block 0"):
        parallel.run_blocks(work, range(4), 2)
    assert stopped == [1]


def test_work_inside_other_work_stops_with_it():
    inner, flags = [], np.zeros(1, np.int64)

    def within(_):
        with interrupts.halting(flags):
            inner.append(interrupts.current_stop())
            while not flags[0]:
                time.sleep(0.001)

    def work(block):
        if block == 0:
            while not inner:
                time.sleep(0.001)
            raise ValueError("outer")
        parallel.run_blocks(within, [0], 1)

    with pytest.raises(ValueError, match="outer"):
        parallel.run_blocks(work, range(2), 2)
    assert inner[0].is_set()
    assert flags[0] == 1


def test_settings_of_the_caller_hold_in_threads_and_no_thread_is_left():
    def settings(_):
        return np.geterr()["over"], threading.current_thread().name

    with np.errstate(over="raise"):
        first = parallel.run_blocks(settings, range(4), 2)
    second = parallel.run_blocks(settings, range(4), 2)
    assert {over for over, _ in first} == {"raise"}
    assert {over for over, _ in second} == {"warn"}
    assert {name for _, name in first + second} == {"fastmodes"}
    assert parallel.busy_workers() == 0
