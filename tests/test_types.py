"""What mypy says of programs that use the package: mistakes are errors, and what is right is not.

A program marks a line that mypy is to complain about with ``#! code``, the code of the error; all others are right.
"""

import collections
import re
import subprocess
import sys
import tomllib

import pytest
from typed_tree import ROOT, lay_out

pytestmark = pytest.mark.skipif(not (ROOT / "kernels").is_dir(), reason="looks at a source tree")

HEAD = """
from pathlib import Path
from typing import assert_type
import numpy as np
import xarray as xr
import fastmodes as fm
from fastmodes.typing import FloatArray, Rule

teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
student = fm.random_student(3, teacher, scale=0.5, seed=0)
several: list[Rule] = ["bptt", fm.rflo(0.9)]
labelled = xr.DataArray([0.1, 0.2], dims="start")
"""

PROGRAMS = {
    "training": """
trained = fm.train(several, teacher, hidden=4, seeds=[3, 5], epochs=10, steps=np.inf, updates="expected")
assert_type(trained, xr.Dataset)
assert_type(trained, int)  #! assert-type
fm.train(["bptt", fm.eprop()], teacher, seeds=8, epochs=10, steps=5, students=student, optimizer=fm.adam())
fm.train(fm.rflo(), teacher, hidden=4, seeds=np.arange(3), epochs=10, steps=5, optimizer="adam", loss="sequence")
fm.train(("bptt", fm.eprop()), teacher, hidden=4, seeds=range(3), epochs=10, steps=5, feedbacks=np.ones((2, 4)))
fm.train("bptt", teacher, hidden=4, seeds=8, epochs=10, steps=5, updates="expcted")  #! arg-type
fm.train("bptt", teacher, hidden=4, seeds=8, epochs=10, steps=5, loss="finale")  #! arg-type
fm.train("bptt", teacher, hidden=4, seeds=8, epochs=10, steps=5, optimizer="amad")  #! arg-type
fm.train("bptt", teacher, hiden=4, seeds=8, epochs=10, steps=5)  #! call-arg
fm.train("bptt", teacher, hidden=4, epochs=10, steps=5)  #! call-arg
fm.train([1, fm.bptt()], teacher, hidden=4, seeds=8, epochs=10, steps=5)  #! list-item
fm.train("bptt", fm.Modes(0.5, 1.0, 1.0), hidden=4, seeds=8, epochs=10, steps=5)  #! arg-type
assert_type(fm.presets.FIG5.run(seeds=2), xr.Dataset)
assert_type(fm.matrix_flow(several, teacher, seeds=8, times=[1.0, 2.0], hidden=4), xr.Dataset)
""",
    "rules": """
assert_type(fm.parse_rule("tbptt(3)"), fm.LearningRule)
fm.LearningRule("mine", feedback="random", propagator="diagonal", decay=[0.9, 0.5], horizon=3)
fm.LearningRule("mine", feedback="redout")  #! arg-type
fm.LearningRule("mine", propagator="W")  #! arg-type
fm.rflo("0.9")  #! arg-type
fm.tbptt(0.5)  #! arg-type
assert_type(fm.bptt().horizon, int | None)
fm.bptt().horizon = 3  #! misc
""",
    "networks": """
assert_type(fm.parse_teacher("rotating(0.9, 0.3)"), fm.LinearRNN)
assert_type(fm.network_at(xr.Dataset(), rule=fm.eprop(), seed=3, epoch=-1), fm.LinearRNN)
assert_type(fm.feedback_at(xr.Dataset(), rule="eprop"), FloatArray)
assert_type(fm.networks_of(xr.Dataset()), xr.DataArray)
assert_type(fm.status_names(xr.Dataset()), xr.DataArray)
assert_type(fm.train_tasks(several, [teacher, teacher], seeds=2, epochs=3, steps=np.inf, hidden=4), xr.Dataset)
fm.train_tasks(several, teacher, seeds=2, epochs=3, steps=5, hidden=4)  #! arg-type
fm.network_at(xr.Dataset(), epoch="last")  #! arg-type
fm.LinearRNN([[1.0]], xr.DataArray([[1.0]]), np.ones((1, 1)))
fm.LinearRNN([[1.0]], [[1.0]])  #! call-arg
assert_type(teacher.recurrent, FloatArray)
assert_type(teacher.n_hidden, int)
assert_type(teacher.impulse_response(5), FloatArray)
teacher.reccurent  #! attr-defined
teacher.recurrent = np.eye(2)  #! misc
fm.Modes(0.5, 1.0, 1.0).recurrent * 2
fm.Modes(0.5, 1.0)  #! call-arg
fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0), basis="rnadom", seed=0)  #! arg-type
fm.random_student(3, teacher, seed=0)  #! call-arg
fm.simulate(teacher, xr.DataArray(np.ones((3, 2)), dims=("time", "input"))).output.mean("time")
fm.rotating_teacher([0.8, 0.5], np.pi / 2)
""",
    "updates": """
update = fm.expected_update(fm.bptt(), student, teacher, np.inf)
assert_type(update, fm.Update)
assert_type(update.recurrent, FloatArray)
loss, *matrices = fm.sampled_update("rflo", student, teacher, np.ones((1, 5, 2)), feedback=[[1.0] * 3] * 2)
assert_type(fm.impulse_expectation(lambda x: fm.sampled_update("bptt", student, teacher, x), 20, 2), fm.Update)
assert_type(fm.impulse_expectation(lambda x: (float(x.sum()) ** 2,), 20, 2), tuple[float])
assert_type(fm.expected_updates("bptt", [student, student], teacher, 50), fm.Update)
fm.coloured_update("bptt", student, teacher, 50, fm.autoregressive_input(0.5, 2))
fm.expected_update(several, student, teacher, 50)  #! arg-type
fm.expected_update("bptt", student, teacher, "50")  #! arg-type
fm.expected_update("bptt", student, teacher)  #! call-arg
fm.expected_updates("bptt", student, teacher, 50)  #! arg-type
fm.sampled_update("bptt", student, teacher, np.ones((1, 5, 2)), form="onlin")  #! arg-type
fm.coloured_update("bptt", student, teacher, 50, 0.5)  #! arg-type
""",
    "modes": """
start, goal = fm.Modes(labelled, 1.0, 0.8), (0.6, np.ones(2), [1.0, 2.0])
assert_type(fm.flow(several, start, goal, np.linspace(0, 1, 3), feedback=labelled, decay=labelled), xr.Dataset)
assert_type(fm.flow(["bptt", fm.rflo(0.9)], start, goal, 100), xr.Dataset)
assert_type(fm.flow("bptt", student, teacher, [1.0, 2.0]), xr.Dataset)
assert_type(fm.discrete_map(fm.bptt(), start, goal, [1, 2], learning_rate=labelled), xr.Dataset)
assert_type(fm.write_flow(Path("a.nc"), "bptt", start, goal, 1.0, rtol=1e-6), Path)
assert_type(fm.mode_update("bptt", start, goal), fm.Modes)
assert_type(fm.mode_jacobian("bptt", start, goal, 50, loss="sequence"), FloatArray | xr.DataArray)
fm.flow("bptt", 0.1, goal, 1.0)  #! arg-type
fm.flow("bptt", (0.1, 1.0), goal, 1.0)  #! arg-type
fm.flow("bptt", start, goal, 1.0, step_limit="many")  #! arg-type
fm.mode_update("bptt", start, goal, loss="squence")  #! arg-type
fm.mode_update(several, start, goal)  #! arg-type
""",
    "analysis": """
assert_type(fm.analysis.stability("bptt", 0.5, 1.0, 1.0), xr.Dataset)
fm.analysis.figures.FIGURES
fm.analysis.stabilty  #! attr-defined
fm.analysis.stability("bptt", 0.5, 1.0, 1.0, thread=2)  #! call-arg
""",
    "names": """
assert_type(fm.open_sweep("folder"), xr.Dataset)
fm.sweep("plan.json", Path("folder"), processes=2).computed
fm.sweep("plan.json")  #! call-arg
fm.tarin()  #! attr-defined
assert_type(fm.theory.section(1), str)
fm.sweeps.sweep
fm.read_netcdf("a.nc").loss
fm.write_netcdf(fm.read_netcdf("a.nc"), "b.nc")
""",
}

#: Libraries that these programs have no part in: mypy reads on where an import is not skipped.
_UNREAD = (
    "IPython", "click", "dask", "distributed", "fastmodes.kernels", "matplotlib", "netCDF4", "numba", "pandas",
    "pydantic", "scipy", "tqdm",
)  # fmt: skip


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """What mypy says of every program: line of the program to codes of errors, and the whole text."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("types")
    tree = lay_out(folder / "typed")
    for name, program in PROGRAMS.items():
        (folder / f"{name}_program.py").write_text(HEAD + program, encoding="utf-8")
    settings = folder / "mypy.ini"
    settings.write_text(
        f"[mypy]\nmypy_path = {tree}\ncache_dir = {folder / 'cache'}\nignore_missing_imports = true\n"
        "follow_imports = silent\n[mypy-fastmodes.*]\nignore_errors = true\n"
        f"[mypy-{','.join(f'{name}.*' for name in _UNREAD)}]\nfollow_imports = skip\n",
        encoding="utf-8",
    )
    programs = [f"{name}_program.py" for name in PROGRAMS]
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), *programs]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    found = {name: collections.defaultdict(set) for name in PROGRAMS}
    for name, line, code in re.findall(r"^(\w+)_program\.py:(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE):
        found[name][int(line) - HEAD.count("\n")].add(code)
    return found, done.stdout + done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_mypy_finds_the_mistakes_of_a_program_and_nothing_else(name, complaints):
    found, text = complaints
    lines = enumerate(PROGRAMS[name].splitlines(), 1)
    assert found[name] == {i: {line.split("#! ")[1]} for i, line in lines if "#! " in line}, text


def test_no_room_of_the_package_is_spared_the_strict_rules():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert settings["strict"]
    ours = [rule for rule in settings["overrides"] if any(name.startswith("fastmodes") for name in rule["module"])]
    assert [rule["module"] for rule in ours] == [["fastmodes.kernels", "fastmodes.kernels.*"]]
