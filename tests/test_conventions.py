"""House rules: layers, compile policy, docstrings, file sizes, what an import costs."""

import ast
import importlib
import importlib.util
import inspect
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import fastmodes as fm

ROOT = Path(fm.__file__).resolve().parent.parent
FOLDERS = ("kernels", "fastmodes", "analysis")
pytestmark = pytest.mark.skipif(not (ROOT / "kernels").is_dir(), reason="looks at a source tree")


def sources(*folders):
    """Modules; the examples in docs are data."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in paths if "docs" not in path.relative_to(ROOT).parts]


def module_name(path):
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    parts = parts if parts[0] == "fastmodes" else ["fastmodes", *parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def relative(path):
    return str(path.relative_to(ROOT))


MODULES = sorted(module_name(path) for path in sources(*FOLDERS))


def imported(path):
    """(absolute module name, whether inside a function) of every import in a file but those for type checkers alone."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    module = tree(path)
    inside = {
        id(node)
        for function in ast.walk(module)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    never = {
        id(node)
        for branch in ast.walk(module)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(module):
        if id(node) in never:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield base, id(node) in inside
            yield from ((f"{base}.{alias.name}", id(node) in inside) for alias in node.names)


# Layers


@pytest.mark.parametrize("path", sources("kernels"), ids=relative)
def test_kernels_import_only_numpy_and_numba(path):
    outside = {"numpy", "numba", "llvmlite"}
    outside |= {"code_cache.py": {"platformdirs"}}.get(path.name, set())
    for name, _ in imported(path):
        top = name.partition(".")[0]
        allowed = top in sys.stdlib_module_names or top in outside or name.startswith("fastmodes.kernels")
        assert allowed, f"{relative(path)} imports {name}"


@pytest.mark.parametrize("path", sources("fastmodes"), ids=relative)
def test_only_the_command_line_imports_analysis_and_only_inside_functions(path):
    for name, inside in imported(path):
        if name.startswith("fastmodes.analysis"):
            assert path.parent.name == "commands", f"{relative(path)} imports {name}"
            assert inside, f"{relative(path)} imports {name} at its top"


@pytest.mark.parametrize("path", sources("analysis"), ids=relative)
def test_analysis_does_not_import_the_command_line(path):
    assert not [name for name, _ in imported(path) if name.startswith("fastmodes.cli")]


@pytest.mark.parametrize("path", sources("fastmodes", "analysis"), ids=relative)
def test_heavy_libraries_are_imported_where_they_are_used(path):
    for name, inside in imported(path):
        heavy = name.partition(".")[0] in ("matplotlib", "distributed", "dask", "torch", "jax", "tqdm")
        assert inside or not (heavy or name.startswith("scipy.stats")), f"{relative(path)} imports {name} at its top"


# Compile policy


@pytest.mark.parametrize("path", sources(*FOLDERS), ids=relative)
def test_only_one_file_touches_numbas_decorators(path):
    if path == ROOT / "kernels" / "compile.py":
        return
    allowed = {"intrinsic"} if path.name in ("lanes.py", "machine.py", "views.py") else set()
    decorators = {
        "jit",
        "njit",
        "vectorize",
        "guvectorize",
        "stencil",
        "cfunc",
        "generated_jit",
        "overload",
        "intrinsic",
    }
    decorators |= {"prange", "overload_method", "overload_attribute", "register_jitable", "jit_module"}
    names = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
    names |= {alias.name for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert not names & (decorators - allowed)


def test_no_kernel_assumes_finite_numbers():
    policy = tree(ROOT / "kernels" / "compile.py")
    flags = [
        node.value for node in ast.walk(policy) if isinstance(node, ast.keyword) and node.arg == "fastmath"
    ]  # fmt: skip
    assert {ast.unparse(flag) for flag in flags} <= {"{'contract'}"}


def dispatchers():
    """Every compiled function that Python calls, by name."""
    found = {}
    for name in MODULES:
        if name.startswith("fastmodes.kernels"):
            for key, values in vars(importlib.import_module(name)).items():
                for i, value in enumerate(values if isinstance(values, tuple) else (values,)):
                    if hasattr(value, "signatures") and not value.targetoptions.get("no_cpython_wrapper"):
                        found[f"{value.py_func.__module__}.{key}{i or ''}"] = value
    return found


VARIED = """
import numpy as np
import fastmodes as fm
import importlib, json, sys

rng = np.random.default_rng(0)
rules = (
    fm.bptt(), fm.tbptt(2), fm.rflo(0.5), fm.eprop(), fm.LearningRule("d", propagator="diagonal", decay=(0.5,) * 3),
    fm.LearningRule("r", feedback="random", horizon=2),
)
def arrays(*shape):
    plain = rng.standard_normal(shape)
    frozen = plain.copy()
    frozen.flags.writeable = False
    return plain, plain.astype(np.float32), np.asfortranarray(plain), frozen, plain[..., ::-1]

for hidden in (3, 14):
    rules_here = [rule for rule in rules if rule.propagator != "diagonal" or hidden == 3]
    teacher = fm.LinearRNN(*(a[i] for i, a in enumerate([arrays(2, 4), arrays(4, 4), arrays(4, 3)])))
    students = [
        fm.LinearRNN(a, w, b) for a, w, b in zip(arrays(2, hidden), arrays(hidden, hidden), arrays(hidden, 3))
    ]
    for student, inputs, feedback in zip(students, arrays(5, 4, 3), arrays(2, hidden)):
        for rule in rules_here:
            given = feedback if rule.feedback == "random" else None
            for loss in ("final", "sequence"):
                fm.sampled_update(rule, student, teacher, inputs, feedback=given, loss=loss)
                if rule.horizon is None:
                    fm.sampled_update(rule, student, teacher, inputs, feedback=given, loss=loss, form="online")
                fm.expected_update(rule, student, teacher, 4, feedback=given, loss=loss)
    for updates in ("sampled", "expected"):
        for optimizer in ("sgd", "adam"):
            for loss in ("final", "sequence"):
                fm.train(
                    rules_here, teacher, hidden=hidden, seeds=range(2), epochs=3, learning_rate=0.01, steps=4,
                    updates=updates, optimizer=optimizer, loss=loss, clip_norm=1.0, progress=False,
                )

rules = (fm.bptt(), fm.rflo(0.5), fm.tbptt(1), fm.tbptt(3))
for size, times in ((1, 1.0), (1, [0.5, 1.0]), (700, 1.0), (700, [0.5, 1.0])):
    modes = fm.Modes(np.full(size, 0.1), 1.0, 0.8), fm.Modes(0.6, 1.0, 1.0)
    fm.flow(rules, *modes, times)
    fm.discrete_map(rules, *modes, [1, 2][: np.size(times)], learning_rate=0.1)

# Whatever kind of array comes in from outside, everywhere one may.
def kinds(values):
    values = np.asarray(values)
    frozen = values.copy()
    frozen.flags.writeable = False
    padded = np.zeros(values.shape[:-1] + (2 * values.shape[-1],))
    padded[..., ::2] = values
    swapped = values.astype(values.dtype.newbyteorder())
    return values, frozen, padded[..., ::2], np.asfortranarray(values), values.astype(np.float32), swapped

from fastmodes.analysis import stability
from fastmodes.analysis.theory.learning_maps import learning_map

pairs = [kinds(np.full((3, 2), 0.1)), kinds(np.full((3, 2), 0.8)), kinds(np.full((3, 2), 0.6))]
for w, b, goal, times, epochs in zip(*pairs, kinds([0.5, 1.0]), kinds([1.0, 2.0])):
    modes, goals = fm.Modes(w, b, b), fm.Modes(goal, b, b)
    for rule in rules:
        for steps in (np.inf, 5):
            fm.mode_update(rule, modes, goals, steps, feedback=b)
            fm.mode_jacobian(rule, modes, goals, steps, feedback=b)
    fm.flow(rules, modes, goals, times, feedback=b)
    fm.flow(rules, modes, goals, times[-1:], feedback=b)
    fm.discrete_map(rules, modes, goals, epochs, learning_rate=w, feedback=b)
    learning_map(rules, modes, goals, feedback=b, end=5.0)
    stability(rules, goal, b, w, feedback=b)

teacher = fm.aligned_teacher(fm.Modes([0.5, 0.2], 1.0, 1.0))
matrices = [kinds(0.2 * rng.standard_normal(shape)) for shape in ((2, 3), (3, 3), (3, 2), (2, 3), (2, 2))]
for a, w, b, feedback, square, times in zip(*matrices, kinds([0.5, 1.0])):
    students, feedbacks = [fm.LinearRNN(a, w, b)] * 2, [feedback] * 2
    covariance = kinds(np.eye(2))[1]
    for rule in rules:
        given = feedback if rule.feedback == "random" else None
        colour = fm.InputFilter(square, square, square, square)
        fm.coloured_update(rule, students[0], teacher, 4, colour, feedback=given)
        for steps in (4, 10_000, np.inf):
            fm.expected_update(rule, students[0], teacher, steps, feedback=given, input_covariance=covariance)
            fm.expected_updates(rule, students, teacher, steps, feedbacks=feedbacks if given is not None else None)
        fm.impulse_expectation(
            lambda x: fm.sampled_update(rule, students[0], teacher, x, feedback=given), 3, 2, covariance
        )
    several = dict(hidden=3, seeds=range(2), students=students, feedbacks=feedbacks, progress=False)
    fm.matrix_flow(rules, teacher, times=times, **several)
    for updates, steps in (("sampled", 4), ("expected", 4), ("expected", np.inf)):
        fm.train(rules, teacher, epochs=2, learning_rate=0.01, steps=steps, updates=updates, **several)

counts = {}
for name in sys.argv[1:]:
    for key, values in vars(importlib.import_module(name)).items():
        for i, value in enumerate(values if isinstance(values, tuple) else (values,)):
            if hasattr(value, "signatures") and not value.targetoptions.get("no_cpython_wrapper"):
                counts[f"{value.py_func.__module__}.{key}{i or ''}"] = [str(s) for s in value.signatures]
print(json.dumps(counts))
"""


def test_one_compiled_signature_per_kernel_and_layout():
    names = [name for name in MODULES if name.startswith("fastmodes.kernels")]
    done = subprocess.run([sys.executable, "-c", VARIED, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    called = (
        "updates.sampled.sampled_update",
        "updates.recursion.expected_update",
        "updates.online.online_update",
        "modes.iterated_map.map_lanes",
        "modes.update.mode_updates",
        "modes.stability.optimal_stability",
        "flow.networks.matrix_flow",
        "training.infinite.train_infinite",
        "updates.many.infinite_updates",
        "updates.many.finite_updates",
        "updates.finite.finite_update",
        "updates.infinite.infinite_update",
    )
    for name in (*called, *(f"flow.kinds.FLOW_LANES{i or ''}" for i in range(4))):
        assert counts[f"fastmodes.kernels.{name}"], name
    for name, signatures in counts.items():
        # Kernels of expected updates are compiled for one network and for eight side by side.
        layouts = 2 if name.endswith(("expected_update", "train_expected")) else 1
        assert len(signatures) <= layouts, (name, signatures)


# Style


@pytest.mark.parametrize("path", sources(*FOLDERS), ids=relative)
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 310


@pytest.mark.parametrize("path", sources(*FOLDERS), ids=relative)
def test_nothing_is_evaluated_or_unpickled(path):
    called = {
        node.func.id for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"eval", "exec", "__import__"}
    assert not {name.partition(".")[0] for name, _ in imported(path)} & {
        "pickle",
        "cloudpickle",
        "dill",
        "marshal",
        "shelve",
    }
    assert "allow_pickle=True" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sources("fastmodes", "analysis"), ids=relative)
def test_no_global_random_numbers(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(("np.random.", "numpy.random.")):
            assert node.attr in {"Generator", "SeedSequence", "SFC64"}, ast.unparse(node)


def public_objects(name):
    module = importlib.import_module(name)
    for key, value in vars(module).items():
        if key.startswith("_") or not (inspect.isfunction(value) or inspect.isclass(value)):
            continue
        if value.__module__ == name:
            yield key, value


@pytest.mark.parametrize("name", MODULES)
def test_public_names_have_docstrings(name):
    assert importlib.import_module(name).__doc__, name
    for key, value in public_objects(name):
        assert value.__doc__, f"{name}.{key}"
        assert not value.__doc__.startswith(f"{key}("), f"{name}.{key} has no docstring of its own"


@pytest.mark.parametrize("key", fm.__all__)
def test_docstrings_of_the_package_describe_every_parameter(key):
    value = getattr(fm, key)
    if inspect.ismodule(value):
        assert value.__doc__
        return
    parameters = [p for p in inspect.signature(value).parameters if p != "self"]
    doc = inspect.getdoc(value)
    assert doc
    if isinstance(value, type) and issubclass(value, tuple):
        return
    if len(parameters) > 1:
        assert re.search(r"^Parameters\n-{10}$", doc, re.MULTILINE), key
        for parameter in parameters:
            assert re.search(rf"^[\w, ]*\b{parameter}\b[\w, ]*( :|$)", doc, re.MULTILINE), f"{key}: {parameter}"
    if inspect.isfunction(value) and parameters and key != "bptt":
        assert re.search(r"^Raises\n-{6}$", doc, re.MULTILINE), key


def test_everything_exported_exists_and_is_sorted():
    assert sorted(fm.__all__) == list(fm.__all__)
    for key in fm.__all__:
        assert hasattr(fm, key)


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name):
    import doctest

    results = doctest.testmod(importlib.import_module(name), verbose=False)
    assert results.failed == 0


def test_every_folder_with_modules_is_packaged():
    tomllib = importlib.import_module("tomllib")
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {path.parent for path in sources(*FOLDERS) if path.name == "__init__.py"}
    packages = {module_name(folder / "__init__.py") for folder in folders}
    assert packages == set(setup["packages"])
    assert {path.parent for path in sources(*FOLDERS)} == folders
    for name, folder in setup["package-dir"].items():
        assert module_name(ROOT / folder / "__init__.py") == name
    # A package outside its parent's folder needs a line of its own.
    outside = {name for name in packages if name.startswith(("fastmodes.kernels", "fastmodes.analysis"))}
    assert outside <= set(setup["package-dir"])


def tracked_files():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("no git repository")
    return [ROOT / name for name in done.stdout.split("\0") if name]


def test_no_machine_paths_and_no_registry_hosts():
    # Put together from pieces, so that this file does not hold them.
    words = [
        "/" + "tmp/",
        "/" + "work/",
        "/" + "root/",
        "/" + "home/",
        "/opt/" + "pypi",
        "localhost" + ":",
        "index" + "-url",
    ]
    words += ["pypi" + ".org", "artifact" + "ory", "wheel" + "house", "farm" + "-"]
    for path in tracked_files():
        if path.suffix in (".png", ".nc") or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        assert not [word for word in words if word in text], relative(path)


# What an import costs


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_heavy_and_compiles_nothing(tmp_path):
    heavy = ("matplotlib", "distributed", "dask", "torch", "jax", "tqdm", "scipy.stats", "scipy.integrate", "IPython")
    code = f"""
import sys
import numba, xarray
before = set(sys.modules)
import fastmodes, fastmodes.cli
fastmodes.train, fastmodes.train_tasks, fastmodes.flow, fastmodes.matrix_flow, fastmodes.expected_updates
print([name for name in {heavy} if name in sys.modules and name not in before])
from fastmodes.kernels import compile
compiled = [
    value for name, module in list(sys.modules.items()) if name.startswith("fastmodes.kernels")
    for value in vars(module).values() if getattr(value, "signatures", None)
]
print(compiled, [path.suffix for path in compile.cache_folder().rglob("*.nb?")])
"""
    assert run(code, FASTMODES_CACHE_DIR=str(tmp_path)).splitlines() == ["[]", "[] []"]


def test_importing_the_package_adds_little_to_xarray_and_numba(tmp_path):
    # Shares of processor time: what other processes do to the machine they do to both. Bytecode is written first.
    code = """
import time
start = time.process_time()
import numba, xarray
others = time.process_time()
import fastmodes
package = time.process_time()
fastmodes.train, fastmodes.flow, fastmodes.expected_update
used = time.process_time()
print(package - others, (package - others) / (others - start), (used - others) / (others - start))
"""
    environment = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    shares = [[float(share) for share in run(code, **environment).split()] for _ in range(6)][1:]
    seconds, package, used = (statistics.median(column) for column in zip(*shares, strict=True))
    assert seconds <= 0.15
    assert package <= 0.03
    assert used <= 0.3
