"""What does not fit into memory is refused by name before anything is computed, whoever limits the memory."""

import math
import resource

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis import stability
from fastmodes.analysis.theory.learning_maps import learning_map
from fastmodes.analysis.theory.linear_stability import convergence_rate

import fastmodes as fm
from fastmodes.memory import group_limit, memory_size

COUNT = 100_000
X = xr.DataArray(np.linspace(0.1, 0.5, COUNT), dims="x")
Y = xr.DataArray(np.linspace(0.1, 0.5, COUNT), dims="y")
COLUMN, ROW = np.full((COUNT, 1), 0.5), np.full((1, COUNT), 0.5)
MODES, TEACHER = fm.Modes(X, Y, 1.0), fm.Modes(0.6, 1.0, 1.0)
CASES = {
    "flow": (lambda: fm.flow(fm.bptt(), MODES, TEACHER, 10.0), "recurrent, readout", "write_flow"),
    "flow, plain arrays": (lambda: fm.flow(fm.bptt(), fm.Modes(COLUMN, ROW, 1.0), TEACHER, 1.0), "recurrent", "write"),
    "flow, decay": (lambda: fm.flow(fm.rflo(0.5), fm.Modes(X, 1.0, 1.0), TEACHER, 1.0, decay=Y), "decay", "write_flow"),
    "flow, one huge view": (
        lambda: fm.flow(fm.bptt(), fm.Modes(np.broadcast_to(0.5, COUNT**2), 1.0, 1.0), TEACHER, 1.0), "points", "write",
    ),
    "flow, times": (
        lambda: fm.flow(fm.bptt(), fm.Modes(X[:10000], 1.0, 1.0), TEACHER, np.linspace(1, 2, 10**6)),
        "recurrent, times", "write_flow",
    ),
    "teacher's product": (
        lambda: fm.flow(fm.bptt(), fm.Modes(0.5, 1.0, 1.0), fm.Modes(0.6, X, Y), 1.0), "teacher_modes", "cut",
    ),
    "discrete_map": (lambda: fm.discrete_map(fm.bptt(), MODES, TEACHER, 10, learning_rate=0.1), "recurrent", "cut"),
    "discrete_map, epochs": (
        lambda: fm.discrete_map(fm.bptt(), fm.Modes(X, 1.0, 1.0), TEACHER, range(COUNT), learning_rate=0.1),
        "recurrent, epochs", "cut",
    ),
    "mode_update": (lambda: fm.mode_update(fm.bptt(), MODES, TEACHER), "recurrent, readout", "cut"),
    "mode_jacobian": (lambda: fm.mode_jacobian(fm.bptt(), MODES, TEACHER), "recurrent, readout", "cut"),
    "learning_map": (lambda: learning_map(fm.bptt(), MODES, TEACHER), "recurrent, readout", "cut"),
    "stability": (lambda: stability(fm.bptt(), X, Y, 1.0), "teacher_recurrent, teacher_product", "write_stability"),
    "convergence_rate": (lambda: convergence_rate(fm.rflo(0.5), X, 1.0, Y), "position", "write_stability"),
    "matrix_flow": (
        lambda: fm.matrix_flow(
            fm.bptt(), fm.aligned_teacher(TEACHER), seeds=range(4), hidden=100, times=np.linspace(0, 1, 10**6)
        ),
        "times, hidden", "record fewer times",
    ),
    "covariance": (lambda: fm.autoregressive_input(0.5, 2).covariance(COUNT), "steps", "coloured_update"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_refused_by_name_with_the_way_out(kind, monkeypatch):
    monkeypatch.setattr("fastmodes.validation.memory_size", lambda: 16e9)
    call, names, way_out = CASES[kind]
    with pytest.raises(ValueError, match="must fit into memory, 16 GB here") as caught:
        call()
    message = str(caught.value)
    assert names in message
    assert way_out in message.partition("which takes at least")[2]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


GROUP = "sys/fs/cgroup/"
LIMITS = {
    "none": ({}, math.inf),
    "version 2, own group": ({"proc/self/cgroup": "0::/a/b", GROUP + "a/b/memory.max": "5000\n"}, 5000),
    "version 2, a group around it": (
        {"proc/self/cgroup": "0::/a/b/c\n", GROUP + "a/b/c/memory.max": "max", GROUP + "a/memory.max": "4000"}, 4000,
    ),
    "version 2, throttled": (
        {"proc/self/cgroup": "0::/a", GROUP + "a/memory.max": "9000", GROUP + "a/memory.high": "3000"}, 3000,
    ),
    "version 2, in a container": ({"proc/self/cgroup": "0::/", GROUP + "memory.max": "2000"}, 2000),
    "version 2, in a container that shows the host's path": (
        {"proc/self/cgroup": "0::/docker/123", GROUP + "memory.max": "2000"}, 2000,
    ),
    "version 2, no process file": ({GROUP + "memory.max": "2000"}, 2000),
    "version 1, nested": (
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/a/b\n0::/\n",
            GROUP + "memory/a/b/memory.limit_in_bytes": "9223372036854771712",
            GROUP + "memory/a/memory.limit_in_bytes": "7000",
            GROUP + "memory/memory.limit_in_bytes": "9000",
        },
        7000,
    ),
    "version 1, in a container": (
        {"proc/self/cgroup": "4:memory:/docker/1", GROUP + "memory/memory.limit_in_bytes": "6000"}, 6000,
    ),
    "both": (
        {
            "proc/self/cgroup": "4:memory:/a\n0::/u",
            GROUP + "memory/a/memory.limit_in_bytes": "6000", GROUP + "unified/u/memory.max": "5500",
        },
        5500,
    ),
    "nonsense": ({"proc/self/cgroup": "0::/a\ngarbage\n::\n", GROUP + "a/memory.max": "a lot"}, math.inf),
    "no limit of version 1": (
        {"proc/self/cgroup": "4:memory:/", GROUP + "memory/memory.limit_in_bytes": "9223372036854771712"}, math.inf,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LIMITS)
def test_limits_of_containers_are_read(kind, tmp_path):
    files, limit = LIMITS[kind]
    for name, text in files.items():
        write(tmp_path / name, text)
    assert group_limit(tmp_path) == limit
    assert memory_size(tmp_path) <= limit


def test_the_limit_of_the_process_itself_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**9, -1))
    assert memory_size(tmp_path) == 1e9
