"""Runs that go on where they were left are runs that were never interrupted, in every bit."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastmodes as fm
import fastmodes.training.runs as runs_module
import fastmodes.training.train
from fastmodes.interrupts import current_stop
from fastmodes.training import checkpoints

train_module = sys.modules["fastmodes.training.train"]
TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5, 0.3], 1.0, 1.0))
RULES = ["bptt", "rflo(0.5)", "eprop", fm.LearningRule("KP", feedback="kolen_pollack", feedback_decay=0.1)]
COMMON = {"hidden": 5, "seeds": [4, 0, 9], "steps": 6, "learning_rate": 0.02, "keep_weights": True, "progress": False}
X = np.random.default_rng(0).standard_normal((21, 6, 3))
DATA = (X, fm.simulate(TEACHER, X).output)


def same(one, other):
    """Every variable, bit for bit."""
    assert set(one.variables) == set(other.variables)
    for name in one.variables:
        np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=name)


KINDS = {
    "sampled": {"batch_size": 5},
    "expected": {"updates": "expected"},
    "infinite": {"updates": "expected", "steps": float("inf")},
    "adam": {"optimizer": "adam", "clip_norm": 0.5},
    "momentum": {"momentum": 0.8, "weight_decay": 0.01, "mask": np.tri(5)},
    "minibatches": {"data": DATA, "steps": None, "batch_size": 4},
    "full batch": {"data": 17, "hidden": 9},
    "rates": {"learning_rate": {"readout": [0.0, 0.01, 0.03], "recurrent": 0.02, "input": 0.01}},
    "some end": {"stop_loss": 1.2, "divergence_loss": 30.0, "learning_rate": 0.05, "init_scale": 0.5},
    "tanh": {"nonlinearity": "tanh", "leak": 0.4},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("every", [10, 7])
def test_a_resumed_run_is_an_undisturbed_one(kind, every, tmp_path):
    given = COMMON | KINDS[kind]
    rules = RULES if kind in ("sampled", "expected", "infinite", "adam") else RULES[:3]
    whole = fm.train(rules, TEACHER, epochs=75, record_every=every, **given)
    first = fm.train(rules, TEACHER, epochs=30, record_every=every, **given)
    fm.write_netcdf(first, tmp_path / "first.nc")
    data = {"data": DATA} if kind == "minibatches" else {}
    for left in (first, fm.read_netcdf(tmp_path / "first.nc")):
        same(fm.resume(left, epochs=75, progress=False, **data), whole)
    twice = fm.resume(fm.resume(first, epochs=41, progress=False, **data), epochs=75, threads=1, progress=False, **data)
    same(twice, whole)


def test_a_leaky_run_goes_on_in_every_bit_of_its_weights():
    given = COMMON | {"leak": 0.3, "updates": "expected"}
    whole = fm.train(RULES, TEACHER, epochs=75, record_every=10, **given)
    first = fm.train(RULES, TEACHER, epochs=30, record_every=10, **given)
    resumed = fm.resume(first, epochs=75, progress=False)
    for name in ("loss", "validation_loss", "readout_weights", "recurrent_weights", "input_weights", "resume_state"):
        np.testing.assert_array_equal(resumed[name], whole[name])
    np.testing.assert_allclose(resumed["mode_recurrent"], whole["mode_recurrent"], rtol=1e-12, atol=1e-13)


LONG = """
import sys, fastmodes as fm
teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5, 0.3], 1.0, 1.0))
first = fm.train(["bptt", "rflo(0.5)"], teacher, hidden=5, seeds=[4, 0, 9], steps=6, learning_rate=0.02, epochs=30,
                 keep_weights=True, record_every=10, progress=False)
fm.write_netcdf(first, "kept.nc")
print("kept", flush=True)
fm.resume(first, epochs=10**8, progress=False)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_killed_process_goes_on_from_its_file(tmp_path):
    with subprocess.Popen([sys.executable, "-c", LONG], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "kept\n"
        process.send_signal(signal.SIGKILL)
    whole = fm.train(RULES[:2], TEACHER, epochs=60, record_every=10, **COMMON)
    same(fm.resume(fm.read_netcdf(tmp_path / "kept.nc"), epochs=60, progress=False), whole)


RUNS = fm.train(RULES[:3], TEACHER, epochs=10, **COMMON)


@pytest.mark.parametrize(
    ("runs", "given", "words"),
    [
        (RUNS, {"epochs": 10}, "epochs must be a whole number .*got 10"),
        (RUNS.isel(seed=[0, 1]), {"epochs": 20}, "runs must hold all rules and seeds"),
        (RUNS.isel(rule=[2, 1, 0]), {"epochs": 20}, "runs must hold all rules and seeds"),
        (RUNS.drop_vars("resume_state"), {"epochs": 20}, "keep_weights=True"),
        (RUNS, {"epochs": 20, "data": DATA}, "data must be None"),
        ([1, 2], {"epochs": 20}, r"runs must be a dataset of fastmodes\.train; got list"),
    ],
)
def test_what_cannot_go_on_is_refused(runs, given, words):
    with pytest.raises((TypeError, ValueError), match=words):
        fm.resume(runs, progress=False, **given)


def test_other_sequences_and_schedules_are_refused():
    runs = fm.train("bptt", TEACHER, epochs=10, **(COMMON | {"data": DATA, "steps": None}))
    with pytest.raises(ValueError, match="data must be given again"):
        fm.resume(runs, epochs=20)
    with pytest.raises(ValueError, match="data must be those of the training; data differ"):
        fm.resume(runs, epochs=20, data=(DATA[0] + 1, DATA[1]))
    runs = fm.train("bptt", TEACHER, epochs=10, schedule="cosine", **COMMON)
    with pytest.raises(ValueError, match=r"epochs must be 10, at which the schedule .* ends"):
        fm.resume(runs, epochs=20)


class _Until:
    """A bar that stops a training once so many updates were made, by a signal to the process as Ctrl-C sends it."""

    def __init__(self, updates):
        self.left, self._lock = updates, threading.Lock()

    def update(self, count):
        with self._lock:
            self.left -= count
            over = self.left <= 0
        if over:
            signal.raise_signal(signal.SIGINT)
            while not current_stop().is_set():
                time.sleep(0.001)


def stopped_after(count, call, *given, **keywords):
    """What ``train`` or ``resume`` has recorded when it is stopped after so many updates of all runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_module, "progress_bar", lambda *_: contextlib.nullcontext(_Until(count)))
        with pytest.raises(KeyboardInterrupt) as stop:
            call(*given, **keywords)
    return stop.value.partial()


@pytest.mark.parametrize("kind", [*KINDS, "cosine", "factors"])
@pytest.mark.parametrize("updates", [35, 390])
def test_a_stopped_training_goes_on(kind, updates, tmp_path):
    schedules = {"cosine": {"schedule": "cosine"}, "factors": {"schedule": np.linspace(1, 0.2, 75)}}
    given = COMMON | (KINDS | schedules)[kind] | {"threads": 1, "record_every": 7, "epochs": 75}
    rules = RULES if kind in ("sampled", "expected", "infinite", "adam") else RULES[:3]
    whole = fm.train(rules, TEACHER, **given)
    left = stopped_after(updates, fm.train, rules, TEACHER, **given)
    assert left["loss"].isnull().any()
    fm.write_netcdf(left, tmp_path / "left.nc")
    left = fm.read_netcdf(tmp_path / "left.nc")
    data = {"data": DATA} if kind == "minibatches" else {}
    exact(fm.resume(left, progress=False, **data), whole, kind)
    # Stopped once more, with some runs that were to go on and have not.
    again = stopped_after(150, fm.resume, left, threads=1, progress=False, **data)
    assert (again["resume_epoch"] >= left["resume_epoch"]).all()
    exact(fm.resume(again, epochs=75, progress=False, **data), whole, kind)


def exact(one, other, kind):
    """As :func:`same`; estimates of leaky students before a break may differ in their last bits."""
    names = [name for name in one.variables if KINDS.get(kind, {}).get("leak", 1.0) == 1.0 or "mode" not in name]
    same(one[names], other[names])


@pytest.mark.parametrize("every", [1, 3, 40])
@pytest.mark.parametrize("at_once", [1, 4, 256])
def test_it_does_not_matter_where_in_a_block_the_stop_comes(every, at_once, monkeypatch):
    monkeypatch.setattr(runs_module, "_EPOCHS_AT_ONCE", at_once)
    for updates in ("sampled", "expected"):
        given = COMMON | {"threads": 1, "record_every": every, "epochs": 45, "updates": updates}
        whole = fm.train(RULES[:2], TEACHER, **given)
        for count in (1, 30, 100, 200):
            left = stopped_after(count, fm.train, RULES[:2], TEACHER, **given)
            if left is not None:
                same(fm.resume(left, progress=False), whole)


def checkpoint_after(count, path, *given, **keywords):
    """The checkpoint that a training leaves which is stopped after so many updates."""
    stopped_after(count, fm.train, *given, checkpoint=path, **keywords)
    return fm.read_netcdf(path)


@pytest.mark.parametrize("kind", [*KINDS, "cosine"])
@pytest.mark.parametrize("updates", [240, 500])
def test_a_training_goes_on_from_its_checkpoint(kind, updates, tmp_path):
    given = COMMON | (KINDS | {"cosine": {"schedule": "cosine"}})[kind]
    given |= {"threads": 1, "record_every": 7, "epochs": 75, "keep_weights": kind == "sampled"}
    rules = RULES if kind in ("sampled", "expected", "infinite", "adam") else RULES[:3]
    whole = fm.train(rules, TEACHER, **given)
    # Runs that end early count the rest of their updates at once: a late stop would come after the last one.
    updates = 240 if kind == "some end" else updates
    left = checkpoint_after(updates, tmp_path / "left.nc", rules, TEACHER, **given)
    data = {"data": DATA} if kind == "minibatches" else {}
    same(fm.resume(left, progress=False, **data), whole)
    stopped_after(100, fm.resume, left, threads=1, progress=False, checkpoint=tmp_path / "left.nc", **data)
    again = fm.read_netcdf(tmp_path / "left.nc")
    assert (again["resume_epoch"] >= np.minimum(left["resume_epoch"], 75)).all()
    same(fm.resume(again, progress=False, checkpoint=tmp_path / "left.nc", **data), whole)
    assert not (tmp_path / "left.nc").exists()


def test_a_checkpoint_is_written_at_work_and_removed_at_the_end(tmp_path, monkeypatch):
    written, path = [], tmp_path / "kept.nc"
    write = checkpoints.write_netcdf
    monkeypatch.setattr(
        checkpoints, "write_netcdf", lambda dataset, path: written.append(dataset) or write(dataset, path)
    )
    given = COMMON | {"epochs": 20_000, "record_every": 50, "learning_rate": 1e-4, "keep_weights": False}
    whole = fm.train(RULES[:2], TEACHER, checkpoint=path, checkpoint_every=0.01, **given)
    assert len(written) > 1
    assert not list(tmp_path.iterdir())
    for left in (written[0], written[-1]):
        same(fm.resume(left, progress=False), whole)


def test_checkpoints_that_cannot_be_are_refused(tmp_path):
    path = tmp_path / "left.nc"
    given = COMMON | {"threads": 1, "record_every": 7, "epochs": 75, "keep_weights": False}
    left = checkpoint_after(240, path, RULES[:3], TEACHER, **given)
    with pytest.raises(ValueError, match="checkpoint must be a new file"):
        fm.train(RULES[:3], TEACHER, checkpoint=path, **given)
    with pytest.raises(ValueError, match="epochs must be the 75 of the training"):
        fm.resume(left, epochs=90)
    with pytest.raises(ValueError, match=r"checkpoint_every must be .*got 0"):
        fm.train(RULES[:3], TEACHER, checkpoint=tmp_path / "new.nc", checkpoint_every=0.0, **given)
    with pytest.raises(FileNotFoundError, match="checkpoint must lie in an existing folder"):
        fm.train(RULES[:3], TEACHER, checkpoint=tmp_path / "none" / "new.nc", **given)


def test_a_disk_that_is_full_does_not_end_a_training(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_netcdf", full)
    given = COMMON | {"epochs": 20_000, "learning_rate": 1e-4}
    with pytest.warns(RuntimeWarning, match="no checkpoint could be written"):
        runs = fm.train("bptt", TEACHER, checkpoint=tmp_path / "kept.nc", checkpoint_every=0.01, **given)
    assert runs["loss"].notnull().all()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_killed_command_goes_on_from_its_checkpoint(tmp_path):
    command = [sys.executable, "-c", "from fastmodes.cli import main; main()"]
    options = ["--rule", "bptt", "--rule", "rflo(0.5)", "--hidden", "5", "--seeds", "3", "--steps", "6", "--quiet"]
    options += ["--learning-rate", "1e-5", "--record-every", "500", "--checkpoint-every", "0.002"]
    file = tmp_path / "long-checkpoint.nc"
    train = [*command, "train", *options, "--epochs", "15000"]
    with subprocess.Popen([*train, "-o", "long.nc"], cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        while not file.exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert file.exists()
    left = fm.read_netcdf(file)
    assert left["loss"].isnull().any()
    run = {"cwd": tmp_path, "check": True, "timeout": 120, "capture_output": True}
    subprocess.run([*command, "resume", file.name, "-o", "long.nc", "--quiet"], **run)
    subprocess.run([*train, "-o", "whole.nc"], **run)
    same(fm.read_netcdf(tmp_path / "long.nc"), fm.read_netcdf(tmp_path / "whole.nc"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.nc", "whole.nc"]


def test_tasks_in_a_row_do_not_go_on():
    given = {"hidden": 3, "seeds": 2, "epochs": 5, "steps": 4, "learning_rate": 0.01, "progress": False}
    runs = fm.train_tasks("bptt", [TEACHER, TEACHER], keep_weights=True, **given)
    with pytest.raises(ValueError, match="every phase is a training of its own"):
        fm.resume(runs, epochs=10)
    with pytest.raises(ValueError, match="checkpoint must be left out: every phase"):
        fm.train_tasks("bptt", [TEACHER, TEACHER], checkpoint="one.nc", **given)
