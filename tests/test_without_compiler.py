"""The kernels as plain Python (NUMBA_DISABLE_JIT=1) and compiled give the same numbers."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from fastmodes.kernels import compile

import fastmodes as fm

# Small calls of every kernel; run by both interpreters.
CALLS = """
import numpy as np
import fastmodes as fm

def calls():
    results = {}
    rng = np.random.default_rng(4)
    for hidden in (2, 13):
        teacher = fm.LinearRNN(rng.standard_normal((2, 3)), 0.4 * rng.standard_normal((3, 3)), np.ones((3, 2)))
        student = fm.random_student(hidden, teacher, scale=0.7, seed=1)
        feedback = fm.random_feedback(student, scale=1.0, seed=1)
        inputs = rng.standard_normal((3, 4, 2))
        rules = (
            fm.bptt(), fm.tbptt(2), fm.rflo(0.6), fm.eprop(),
            fm.LearningRule("diagonal", propagator="diagonal", decay=np.linspace(-0.5, 0.5, hidden)),
        )
        for rule in rules:
            given = feedback if rule.feedback == "random" else None
            for loss in ("final", "sequence"):
                key = f"{hidden} {rule.name} {loss}"
                results[key + " expected"] = fm.expected_update(rule, student, teacher, 4, feedback=given, loss=loss)
                results[key + " sampled"] = fm.sampled_update(
                    rule, student, teacher, inputs, feedback=given, loss=loss
                )
                for kind in ("identity", "tanh", "relu"):
                    results[f"{key} {kind}"] = fm.sampled_update(
                        rule, student, teacher, inputs, feedback=given, loss=loss, nonlinearity=kind, leak=0.4
                    )
                if rule.horizon is None and hidden == 2:
                    results[key + " online"] = fm.sampled_update(
                        rule, student, teacher, inputs, feedback=given, loss=loss, form="online"
                    )
        results[f"{hidden} runs"] = student.run(inputs, nonlinearity="tanh", leak=0.4)
    for updates in ("expected", "sampled"):
        for optimizer in ("sgd", "adam"):
            dataset = fm.train(
                (fm.bptt(), fm.eprop()), teacher, hidden=3, seeds=range(2), epochs=3, learning_rate=0.05, steps=3,
                updates=updates, batch_size=2 if updates == "sampled" else None, optimizer=optimizer, clip_norm=1.0,
                validation_size=4, threads=1, progress=False,
            )
            results[f"train {updates} {optimizer}"] = [dataset[name].values for name in ("loss", "validation_loss")]
    dataset = fm.train(
        (fm.bptt(), fm.rflo()), teacher, hidden=3, seeds=1, epochs=3, learning_rate=0.05, steps=3, batch_size=2,
        nonlinearity="tanh", leak=0.5, validation_size=4, threads=1, progress=False,
    )
    for updates in ("sampled", "expected"):
        noisy = fm.train(
            (fm.bptt(), fm.rflo()), teacher, hidden=3, seeds=1, epochs=3, learning_rate=0.05, steps=3, updates=updates,
            batch_size=2 if updates == "sampled" else None, colour=0.3, private_noise=0.2, validation_size=4,
            threads=1, progress=False,
        )
        results[f"train coloured {updates}"] = [noisy[name].values for name in ("loss", "validation_loss")]
    results["train tanh"] = [dataset[name].values for name in ("loss", "validation_loss")]
    small = fm.random_student(2, teacher, scale=0.4, seed=2)
    several = [small, fm.random_student(2, teacher, scale=0.4, seed=3)]
    for steps in (np.inf, 9000):
        results[f"one {steps}"] = fm.expected_update(fm.bptt(), small, teacher, steps)
        results[f"many {steps}"] = fm.expected_updates(fm.bptt(), several, teacher, steps)
    for steps, loss in ((4, "final"), (4, "sequence"), (np.inf, "final")):
        moments = fm.update_moments(fm.tbptt(2), several, teacher, steps, loss=loss, along=several)
        results[f"moments {steps} {loss}"] = [moments[name].values for name in moments.data_vars]
    results["train infinite"] = [
        fm.train(
            fm.bptt(), teacher, hidden=2, seeds=1, epochs=2, learning_rate=0.05, steps=np.inf, updates="expected",
            progress=False,
        )["loss"].values
    ]
    found = fm.matrix_flow(
        fm.bptt(), teacher, hidden=2, seeds=1, times=[0.1], rtol=1e-3, atol=1e-4, threads=1, progress=False
    )
    results["matrix flow"] = [found["loss"].values, found["status"].values]
    modes = fm.Modes(np.array([0.1, 0.7, 0.9]), 1.0, 0.8), fm.Modes(np.array([0.6, 0.6, 0.9999]), 1.0, 1.0)
    rules = (fm.bptt(), fm.tbptt(1), fm.tbptt(3), fm.rflo(0.5))
    found = fm.flow(rules, *modes, [0.5, 2.0], rtol=1e-3, atol=1e-5)
    noise = fm.mode_moments(fm.rflo(0.5), *modes, feedback=0.7)
    results["mode moments"] = [noise[name].values for name in noise.data_vars]
    results["flow"] = [found[name].values for name in ("w", "a", "b", "loss", "status")]
    signs = (
        fm.LearningRule("w", feedback="sign"), fm.LearningRule("1", feedback="sign", horizon=1),
        fm.LearningRule("3", feedback="sign", horizon=3),
        fm.LearningRule("d", feedback="sign", propagator="scalar", decay=0.5),
    )
    found = fm.flow(signs, *modes, [0.5], rtol=1e-3, atol=1e-5)
    results["flow sign"] = [found[name].values for name in ("w", "a", "b", "loss", "status")]
    rated = fm.flow(
        (*rules, *signs), *modes, [0.5], rtol=1e-3, atol=1e-5, rates={"readout": 0.5, "recurrent": 2.0, "input": 1.0}
    )
    results["flow rated"] = [rated[name].values for name in ("w", "a", "b", "loss", "status")]
    learning = (
        fm.LearningRule("kp", feedback="kolen_pollack", feedback_decay=0.2),
        fm.LearningRule("mirror", feedback="mirror", mirror_rate=0.5, feedback_decay=0.1),
    )
    found = fm.flow(learning, *modes, [0.5], rtol=1e-3, atol=1e-5, feedback=0.3)
    results["flow learned"] = [found[name].values for name in ("w", "a", "b", "loss", "status")]
    found = fm.discrete_map(learning, *modes, [1, 3], learning_rate=0.1, feedback=0.3)
    results["map learned"] = [found[name].values for name in ("w", "a", "b", "loss", "status")]
    found = fm.discrete_map(rules, *modes, [1, 3], learning_rate=0.1)
    results["map"] = [found[name].values for name in ("w", "a", "b", "loss", "status")]
    found = fm.analysis.learning_map(rules, *modes)
    results["learning map"] = [found[name].values for name in ("status", "path_length") if name in found]
    found = fm.analysis.stability(rules, 0.6, 1.0, np.array([0.5, 1.0, 1e30]))
    results["stability"] = [found[name].values for name in ("stability_real", "stability_imag", "kind")]
    for steps in (3, 30, np.inf):
        results[f"modes {steps}"] = fm.mode_update(fm.bptt(), *modes, steps)
        results[f"jacobian {steps}"] = [fm.mode_jacobian(fm.bptt(), *modes, steps)]
    return results | kernels_alone()


def kernels_alone():
    # What the package calls in checks and tests alone.
    from fastmodes.kernels.modes.eigenvalues import plain_stability
    from fastmodes.kernels.modes.polynomials import homogeneous

    pairs, kinds = np.empty((3, 2)), np.empty(2, np.int8)
    plain_stability(np.array([[0.5, 1.0, 0.7, 0.7, 0.5, 0.0], [0.5, 1.0, -0.7, 1.0, 0.3, 3.0]]), pairs, kinds)
    nodes = np.array([0.5, 0.25, -0.1, 0.0, 0.0])
    return {"plain stability": [pairs, kinds], "homogeneous": [homogeneous(3, nodes, np.zeros(5))]}


def everything():
    results = calls()
    return {f"{key} {i}": np.asarray(part) for key, parts in results.items() for i, part in enumerate(parts)}
"""


# Counts, in plain Python, the calls of every kernel.
COUNTED = """
import functools, importlib, inspect, json, pkgutil, sys
import numpy as np
import numba.core.config
import fastmodes.kernels

assert numba.core.config.DISABLE_JIT
made = {}
for found in pkgutil.walk_packages(fastmodes.kernels.__path__, "fastmodes.kernels."):
    importlib.import_module(found.name)
for found in pkgutil.walk_packages(fastmodes.__path__, "fastmodes."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)

def is_kernel(value):
    # compile.kernel leaves the mark of numpy.errstate.
    return inspect.isfunction(value) and hasattr(value, "__wrapped__") and (
        value.__code__.co_filename == np.errstate.__call__.__code__.co_filename
    )

def counted(value):
    key = f"{value.__module__}.{value.__name__} {value.__code__.co_firstlineno} {id(value)}"
    if key not in made:
        made[key] = 0, functools.wraps(value)(lambda *a, key=key: (count(key), value(*a))[1])
    return made[key][1]

def count(key):
    made[key] = made[key][0] + 1, made[key][1]

for module in [m for name, m in sys.modules.items() if name.startswith("fastmodes.")]:
    for name, value in list(vars(module).items()):
        if is_kernel(value):
            setattr(module, name, counted(value))
        elif isinstance(value, tuple) and any(map(is_kernel, value)):
            setattr(module, name, tuple(map(counted, value)))
"""


def kernel_names():
    """Every function that ``kernel`` decorates, by the sources."""
    folder = Path(compile.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(ast.unparse(d) == "kernel" for d in node.decorator_list):
                name = ".".join(path.relative_to(folder).with_suffix("").parts)
                yield f"fastmodes.kernels.{name}.{node.name}"


def test_plain_python_computes_the_same(tmp_path):
    path, counts = tmp_path / "plain.npz", tmp_path / "counts.json"
    code = (
        COUNTED
        + CALLS
        + (
            f"\nnp.savez({str(path)!r}, **everything())"
            f"\nwith open({str(counts)!r}, 'w') as file: json.dump({{key: n for key, (n, _) in made.items()}}, file)"
        )
    )
    # Vectors of eight are NumPy arrays there, whose overflow or division NumPy would report.
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    called = json.loads(counts.read_text())
    assert {key.partition(" ")[0] for key in called} == set(kernel_names())
    assert [key for key, count in called.items() if count == 0] == []
    names = {"np": np, "fm": fm}
    exec(CALLS, names)
    compiled = names["everything"]()
    with np.load(path) as plain:
        assert set(plain) == set(compiled)
        for key, ours in compiled.items():
            # At rtol = 1e-3 the stiff mode's steps follow the last digits: its ends agree to a few tolerances.
            scale = np.abs(ours, where=np.isfinite(ours), out=np.zeros(ours.shape)).max() * (
                1e10 if key.startswith(("flow", "learning map")) else 1.0
            )
            np.testing.assert_allclose(plain[key], ours, rtol=0, atol=1e-12 * scale, err_msg=key)
