"""kill -9 at random moments, half of them inside a write or a rename: nothing wrong is ever committed, nothing lost."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sweep_toy import document

from fastmodes.sweeps import open_sweep, sweep, verify
from fastmodes.sweeps.run import backends

THREADS = 2
#: Some 60 ms of work in each of 12 blocks.
PLAN = document(points_per_block=2, fixed={"delay": 0.03})


def content(out):
    return {path.name: path.read_bytes() for path in sorted((out / "blocks").rglob("*.nc"))}


class Victims:
    """Runs sweeps one after the other and kills them."""

    def __init__(self):
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "sweep_victim.py")],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def run(self, out, rng):
        """Run the sweep and kill it at a random moment: the blocks it began, and whether it came to its end."""
        inside = rng.random() < 0.5
        # A block's commit makes five such calls, the plan and the manifest the same.
        order = {"plan": PLAN, "out": str(out), "call": rng.randint(1, 40) if inside else 0, "fraction": rng.random()}
        print(json.dumps(order), file=self.process.stdin)
        pid, began, ended, clock = None, [], False, None
        for line in self.process.stdout:
            word, *rest = line.split()
            if word == "pid":
                pid = int(rest[0])
                if not inside:
                    clock = threading.Timer(rng.uniform(0.0, 0.5), kill, (pid,))
                    clock.start()
            elif word == "began":
                began.append(int(rest[0]))
            elif word == "here":
                kill(pid)
            elif word == "ended":
                ended = True
            elif word == "dead":
                if clock is not None:
                    clock.cancel()
                    clock.join()
                return began, ended, int(rest[0]) == signal.SIGKILL
        raise AssertionError("the victims' parent died")

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=30)


def kill(pid):
    # It may have come to its end just now.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def victims():
    running = Victims()
    yield running
    running.end()


def check_sweeps_under_fire(victims, folder, sweeps, kills, seed):
    """Run at least ``sweeps`` sweeps, until ``kills`` have hit, each again and again until it comes to its end."""
    rng = random.Random(seed)
    sweep(PLAN, folder / "undisturbed", threads=2, progress=False)
    whole = content(folder / "undisturbed")
    numbers = {name: values.values.tobytes() for name, values in open_sweep(folder / "undisturbed").data_vars.items()}
    hits = finished = 0
    while finished < sweeps or hits < kills:
        out, ended = folder / f"sweep{finished}", False
        while not ended:
            before = content(out)
            began, ended, killed = victims.run(out, rng)
            hits += killed
            after = content(out)
            # What was committed stays, byte for byte, and is never begun again; what is there is right.
            assert before.items() <= after.items() <= whole.items()
            assert not {int(name[:6]) for name in before} & set(began)
            # Each thread loses at most the one block it was at.
            assert len(set(began) - {int(name[:6]) for name in after}) <= THREADS
        assert after == whole
        assert verify(out, progress=False).complete
        assert not list(out.rglob("*.part"))
        assert numbers == {name: values.values.tobytes() for name, values in open_sweep(out).data_vars.items()}
        finished += 1
    return hits


def test_sweeps_survive_kills(victims, tmp_path):
    assert check_sweeps_under_fire(victims, tmp_path, sweeps=2, kills=10, seed=0) >= 10


@pytest.mark.slow
def test_twenty_sweeps_survive_two_hundred_kills(victims, tmp_path):
    assert check_sweeps_under_fire(victims, tmp_path, sweeps=20, kills=200, seed=1) >= 200


def test_a_worker_process_that_is_killed_costs_a_retry_of_its_block(tmp_path):
    plan = document(points_per_block=2, fixed={"delay": 0.05})
    sweep(plan, tmp_path / "undisturbed", threads=2, progress=False)
    workers = []
    original = backends._Worker.__init__

    def remembered(worker):
        original(worker)
        workers.append(worker.process)

    def kill_one():
        while not list((tmp_path / "out").rglob("*.nc")):
            time.sleep(0.01)
        workers[0].kill()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends._Worker, "__init__", remembered)
        killer = threading.Thread(target=kill_one)
        killer.start()
        done = sweep(plan, tmp_path / "out", processes=2, progress=False)
        killer.join()
    assert len(workers) == 3
    assert done.computed == 12
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_block_that_kills_its_workers_is_given_up(tmp_path):
    plan = document(fixed={"delay": 0.0, "fatal": True})
    with pytest.raises(RuntimeError, match="worker process died 3 times"):
        sweep(plan, tmp_path / "out", processes=2, progress=False)
