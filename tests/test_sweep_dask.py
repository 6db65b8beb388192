"""Sweeps on a real Dask cluster of several processes."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numba
import pytest
from sweep_toy import document

from fastmodes.cli import run as command_line
from fastmodes.sweeps import Plan, open_sweep, sweep, verify
from fastmodes.sweeps.run.distributed import on_client
from fastmodes.sweeps.run.worker import orders
from fastmodes.sweeps.store.folder import Store

distributed = pytest.importorskip("dask.distributed", reason="needs the extra 'dask'")


def content(out):
    return {path.name: path.read_bytes() for path in sorted((out / "blocks").rglob("*.nc"))}


@pytest.fixture(scope="module")
def cluster():
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as running:
        yield running


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as connected:
        yield connected


def test_blocks_are_bit_identical_to_those_of_one_process(client, tmp_path):
    sweep(document(points_per_block=1), tmp_path / "here", progress=False)
    done = sweep(document(points_per_block=1), tmp_path / "there", client=client, progress=False)
    assert done.computed == 24
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert sweep(document(points_per_block=1), tmp_path / "there", client=client, progress=False).computed == 0


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_each_task_sets_its_own_number_of_threads(client, tmp_path, threads):
    most = numba.config.NUMBA_NUM_THREADS
    plan = {"job": "threads", "fixed": {"rule": "bptt"}, "axes": {"x": [1.0, 2.0, 3.0, 4.0]}, "points_per_block": 1}
    sweep(plan, tmp_path / "out", client=client, threads=threads, progress=False)
    assert (open_sweep(tmp_path / "out").loss == min(threads or 1, most)).all()


def test_workers_compute_side_by_side(client, tmp_path):
    # Blocks that sleep overlap however busy the machine is.
    plan = document(points_per_block=2, fixed={"delay": 0.1})
    begin = time.perf_counter()
    done = sweep(plan, tmp_path / "out", client=client, progress=False)
    assert done.compute_seconds > 1.5 * (time.perf_counter() - begin)


def test_workers_that_come_later_get_blocks_too(client, tmp_path, monkeypatch):
    answers = iter([{}, {}])
    monkeypatch.setattr(client, "nthreads", lambda: next(answers, {"one": 2, "other": 1}))
    plan, store = Plan(document(points_per_block=1)), Store(tmp_path / "out")
    store.prepare(plan)
    given = [len(client.futures) for _ in on_client(orders(plan, store, range(24), set(), 1), client)]
    assert given[0] <= 3
    assert max(given) >= 12


def test_a_worker_that_is_killed_costs_a_retry_and_nothing_else(client, tmp_path):
    plan = document(points_per_block=2, fixed={"delay": 0.1})
    sweep(plan, tmp_path / "here", threads=4, progress=False)
    victim = next(iter(client.run(os.getpid).values()))

    def kill():
        while not list((tmp_path / "there").rglob("*.nc")):
            time.sleep(0.01)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    done = sweep(plan, tmp_path / "there", client=client, progress=False)
    killer.join()
    assert done.computed == 12
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert verify(tmp_path / "there", progress=False).complete


def test_an_error_on_a_worker_names_the_block(client, tmp_path):
    plan = document(fixed={"faulty": True})
    with pytest.raises(RuntimeError, match=r"block \d: FloatingPointError: asked for"):
        sweep(plan, tmp_path / "out", client=client, progress=False)


def test_the_command_line_finds_the_scheduler(cluster, tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('job = "toy"\nseeds = 3\n[fixed]\nrule = "bptt"\nx = 1.0\n')
    out = tmp_path / "out"
    assert command_line(["run", str(plan), "--out", str(out), "--scheduler", cluster.scheduler_address, "-q"]) == 0
    assert verify(out, progress=False).complete
    assert Plan.from_toml(plan).points == 3


def test_a_scheduler_that_dies_is_one_sentence(tmp_path):
    """And exit code 3; the finished blocks stay, and the sweep goes on without Dask."""
    folder = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": str(folder)}
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'job = "toy"\nseeds = 8\npoints_per_block = 1\n[fixed]\ndelay = 0.3\n[axes]\n'
        'rule = ["bptt", "rflo(0.5)"]\nx = [0.0, 1.0, 2.0]\n'
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "distributed.cli.dask_"]
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    scheduler = subprocess.Popen([*dask[:2], f"{dask[2]}scheduler", "--port", str(port), "--no-dashboard"], **quiet)
    worker = subprocess.Popen(
        [*dask[:2], f"{dask[2]}worker", here, "--no-dashboard", "--no-nanny", "--nthreads", "1"], **quiet
    )
    out = tmp_path / "out"
    try:
        code = "import sys, test_sweep_dask; sys.exit(test_sweep_dask.command_line(sys.argv[1:]))"
        run = subprocess.Popen(
            [sys.executable, "-c", code, "run", str(plan), "--out", str(out), "--scheduler", here, "-q"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while not list(out.rglob("*.nc")):
            assert time.monotonic() < deadline
            assert run.poll() is None, run.communicate()
            time.sleep(0.05)
        scheduler.kill()
        _, said = run.communicate(timeout=60)
    finally:
        for process in (scheduler, worker, run):
            process.kill()
            process.wait()
    assert run.returncode == 3
    assert said == (
        "fastmodes: the Dask scheduler is gone; finished blocks are kept, the same sweep goes on from there\n"
    )
    assert verify(out, progress=False).sound
