"""Child processes trust no current folder, and die with their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweep_toy import document

from fastmodes import children
from fastmodes.sweeps import merge, sweep

TRAP = "import os\nos.mkdir({mark!r})\nraise SystemExit('executed what lay in the current folder')\n"


@pytest.fixture
def trapped(tmp_path, monkeypatch):
    """A current folder full of files named as modules that are imported early or late."""
    folder, mark = tmp_path / "current", tmp_path / "mark"
    folder.mkdir()
    for name in ("json", "numba", "numpy", "fastmodes", "netCDF4", "sitecustomize", "cupy", "tqdm", "encodings"):
        (folder / f"{name}.py").write_text(TRAP.format(mark=str(mark)))
    monkeypatch.chdir(folder)
    return mark


def test_what_lies_in_the_current_folder_is_not_executed(trapped, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    sweep(document(points_per_block=12, fixed={"delay": 0.0}), tmp_path / "out", processes=2, progress=False)
    merge(tmp_path / "out", tmp_path / "merged.nc", progress=False)
    assert (tmp_path / "merged.nc").exists()
    assert not trapped.exists()


def test_the_path_of_an_interactive_session_is_not_handed_on(tmp_path, monkeypatch):
    (tmp_path / "shown.py").write_text("import sys\ndef main():\n    print(sys.path, flush=True)\n")
    monkeypatch.setattr(sys, "path", ["", *sys.path, str(tmp_path)])
    child = children.start("shown", "main")
    assert child.stdout.readline() == f"{sys.path[1:]}\n"
    children.end(child)


def test_a_child_finds_the_modules_that_its_parent_finds(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def main():\n    print('found', flush=True)\n")
    monkeypatch.syspath_prepend(tmp_path)
    child = children.start("only_here", "main")
    assert child.stdout.readline() == "found\n"
    children.end(child)


BUSY = """
import os, time
from fastmodes import children
{watch}
def main():
    print(os.getpid(), flush=True)
    for order in children.orders():
        print("busy", flush=True)
        while True:
            time.sleep(0.001)
"""
PARENT = """
import sys, time
sys.path.insert(0, {folder!r})
from fastmodes import children
child = children.start("busy", "main")
print(child.stdout.readline().strip(), flush=True)
children.give(child, [])
print(child.stdout.readline().strip(), flush=True)
time.sleep(100)
"""


@pytest.mark.parametrize("watch", ["", "children._die_with_parent = lambda: None"], ids=["both ways", "the pipe alone"])
def test_a_busy_child_ends_when_its_parent_is_killed(tmp_path, watch):
    (tmp_path / "busy.py").write_text(BUSY.format(watch=watch))
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(folder=str(tmp_path))], stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    assert parent.stdout.readline() == "busy\n"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for_end([child])


def wait_for_end(processes, seconds=1.5):
    deadline = time.monotonic() + seconds
    while any(map(alive, processes)):
        assert time.monotonic() < deadline, "still running"
        time.sleep(0.02)


def alive(process):
    try:
        os.kill(process, 0)
        status = Path(f"/proc/{process}/stat")
        # A dead process whose new parent has not noticed yet.
        return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
    except (ProcessLookupError, FileNotFoundError):
        return False


def children_of(parent):
    """Process numbers of all that run on behalf of a parent, itself excluded."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(status.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_workers_of_a_killed_sweep_end_within_a_second(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from sweep_toy import document\nfrom fastmodes.sweeps import sweep\n"
        "sweep(document(points_per_block=1, fixed={'delay': 1.0}), sys.argv[2], processes=2, progress=False)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path / "out")])
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out").rglob("*.nc")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = children_of(parent.pid)
    assert len(workers) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for_end(workers)
