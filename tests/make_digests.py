"""Small calls of everything that computes, and the SHA-256 of their results as version 0.1.0 computed them.

``python tests/make_digests.py print`` prints the digests of the package that is imported, as JSON;
``python tests/make_digests.py compare FILE ...`` makes digests.json from such outputs. The first file is the reference;
a result that another file has otherwise depends on the machine, and is marked.

The stored ones were compared for an AVX2 processor (znver3), and for the same one restricted to

    NUMBA_CPU_NAME=x86-64 NUMBA_CPU_FEATURES=       kernels without AVX and without fused multiply-add instructions
    OPENBLAS_CORETYPE=Prescott                      another BLAS
    NPY_DISABLE_CPU_FEATURES=X86_V3                 NumPy's own loops without AVX2
    NUMBA_NUM_THREADS=1

All that kernels compute is the same under all of them: sampled training, doubling, flows, maps. What goes through the
BLAS of NumPy or SciPy is not: the teacher's response in expected updates over finitely many steps, eigenvalues,
singular values, estimates of modes, the root of a covariance.
"""

import functools
import hashlib
import itertools
import json
import math
import platform
import sys
import tempfile
from pathlib import Path

import numba
import numpy as np
import scipy
import threadpoolctl
from numpy._core._multiarray_umath import __cpu_features__ as CPU_FEATURES

import fastmodes as fm
from fastmodes.sweeps import merge

#: Before the digest of a result that NumPy, SciPy or their BLAS compute, each in its way on each processor.
DEPENDS = "~"
FILE = Path(__file__).with_name("digests.json")
RULES = (fm.bptt(), fm.tbptt(2), fm.rflo(0.5), fm.eprop())
WITH_FEEDBACK = tuple(rule for rule in RULES if rule.feedback == "random")


def networks(hidden, radius=0.7):
    """Teacher, student and R; three outputs, two inputs, nothing symmetric."""
    teacher = fm.LinearRNN(
        [[1.0, 0.3, -0.4, 0.0], [0.1, 0.7, 0.6, 0.2], [-0.3, 0.1, 1.1, 0.4]],
        np.diag([0.9, 0.7, 0.5, -0.3]) + np.diag([0.1] * 3, k=1),
        [[1.1, 0.1], [0.4, 0.3], [0.1, -0.9], [0.7, 0.6]],
    )
    student = fm.random_student(hidden, teacher, scale=radius, seed=3)
    return teacher, student, fm.random_feedback(student, scale=1.0, seed=3)


def trained(hidden, *, updates, steps=6, **options):
    teacher = networks(hidden)[0]
    return fm.train(
        RULES, teacher, hidden=hidden, seeds=range(2), epochs=40, learning_rate=0.02, steps=steps, updates=updates,
        init_scale=0.5, record_every=20, keep_weights=True, progress=False, **options,
    )  # fmt: skip


def sampled(hidden, loss, form):
    teacher, student, feedback = networks(hidden)
    inputs = (np.arange(9 * 7 * 2).reshape(9, 7, 2) * 37 % 64 - 32) / 16.0
    rules = [rule for rule in RULES if form == "backward" or rule.horizon is None]
    return updates_of(
        rules,
        lambda rule, f: fm.sampled_update(rule, student, teacher, inputs, feedback=f, loss=loss, form=form),
        feedback,
    )


def expected(hidden, steps, loss, covariance=None):
    teacher, student, feedback = networks(hidden)
    return updates_of(
        RULES,
        lambda rule, f: fm.expected_update(
            rule, student, teacher, steps, feedback=f, loss=loss, input_covariance=covariance
        ),
        feedback,
    )


def updates_of(rules, compute, feedback):
    """Loss and changes under each rule; R only for those that read it."""
    found = [compute(rule, feedback if rule.feedback == "random" else None) for rule in rules]
    return {name: np.array([getattr(update, name) for update in found]) for name in fm.Update._fields}


def many_updates(steps):
    """Every student of a collection, by doubling."""
    teacher = networks(4)[0]
    students = [fm.random_student(5, teacher, scale=0.6, seed=seed) for seed in range(3)]
    feedbacks = [fm.random_feedback(student, scale=1.0, seed=seed) for seed, student in enumerate(students)]
    found = [
        fm.expected_updates(rule, students, teacher, steps, feedbacks=feedbacks if rule.feedback == "random" else None)
        for rule in RULES
    ]
    return {name: np.array([getattr(update, name) for update in found]) for name in fm.Update._fields}


def flowing(teacher, end, rules=RULES):
    start = fm.Modes(np.linspace(-0.7, 0.7, 21), np.linspace(0.5, 1.5, 21), 0.8)
    return fm.flow(rules, start, fm.Modes(teacher, 1.0, 1.25), end, feedback=0.75, rtol=1e-7)


def mapped():
    start = fm.Modes(np.linspace(-0.7, 0.7, 21), 1.0, 0.8)
    return fm.discrete_map(RULES, start, fm.Modes(0.6, 1.0, 1.25), [1, 10, 500], learning_rate=0.02, feedback=0.75)


def stability():
    position = np.concatenate([np.linspace(-2.0, -0.25, 20), np.linspace(0.25, 2.0, 20)])
    return fm.analysis.stability(RULES, np.linspace(-0.9, 0.9, 40), 1.25, position, feedback=0.75)


def learning_map():
    start = fm.Modes(0.5, np.linspace(-1.0, 1.0, 15), 0.75)
    return fm.analysis.learning_map(RULES, start, fm.Modes(0.6, 1.0, 1.0), feedback=-0.5, end=100.0)


def mode_updates(steps, loss="final"):
    modes = fm.Modes(np.linspace(-0.9, 0.9, 19), 0.5, 0.75)
    compute = functools.partial(fm.mode_update, loss=loss)
    teacher = fm.Modes(0.8, 1.0, 1.25)
    found = [compute(rule, modes, teacher, steps, feedback=0.75) for rule in WITH_FEEDBACK]
    found += [compute(rule, modes, teacher, steps) for rule in RULES if rule not in WITH_FEEDBACK]
    return {name: np.array([getattr(update, name) for update in found]) for name in fm.Modes._fields}


def mode_jacobians():
    modes = fm.Modes(np.linspace(-0.9, 0.9, 19), 0.5, 0.75)
    found = [fm.mode_jacobian(rule, modes, fm.Modes(0.8, 1.0, 1.25), feedback=0.75) for rule in WITH_FEEDBACK]
    return {"jacobian": np.array(found)}


def matrix_flow():
    teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5], [1.1, 0.7], 0.9))
    return fm.matrix_flow(
        RULES, teacher, hidden=3, seeds=range(2), times=[1.0, 10.0], init_scale=0.5, keep_weights=True, progress=False
    )


def coloured():
    teacher, student, feedback = networks(4)
    return updates_of(
        RULES,
        lambda rule, f: fm.coloured_update(rule, student, teacher, 9, fm.autoregressive_input(0.5, 2), feedback=f),
        feedback,
    )


def merged_sweep():
    plan = {
        "job": "train",
        "seeds": 2,
        "fixed": {
            "updates": "expected",
            "epochs": 30,
            "steps": 6,
            "teacher_recurrent": [0.9, 0.4],
            "init_scale": 0.5,
            "record_every": 15,
        },
        "axes": {"rule": ["bptt", "rflo(0.25)"], "hidden": [2, 3], "learning_rate": [0.01, 0.02]},
    }
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sweep"
        fm.sweep(plan, out, progress=False)
        merge(out, Path(folder) / "merged.nc", progress=False)
        return fm.read_netcdf(Path(folder) / "merged.nc")


def calls():
    """Every call by name; each gives a dataset, or arrays by name."""
    found = {}
    for hidden, updates, loss, optimizer in itertools.product(
        (4, 14), ("sampled", "expected"), ("final", "sequence"), ("sgd", "adam")
    ):
        found[f"train n={hidden} {updates} {loss} {optimizer}"] = functools.partial(
            trained, hidden, updates=updates, loss=loss, optimizer=optimizer, clip_norm=1.0
        )
    found["train n=5 T=inf"] = functools.partial(trained, 5, updates="expected", steps=math.inf)
    for hidden, loss, form in itertools.product((4, 14), ("final", "sequence"), ("backward", "online")):
        found[f"sampled_update n={hidden} {loss} {form}"] = functools.partial(sampled, hidden, loss, form)
    for hidden, steps, loss in itertools.product((4, 14), (7, 3000, math.inf), ("final", "sequence")):
        how = "recursion" if steps == 7 else "doubling"
        found[f"expected_update n={hidden} T={steps} {loss} {how}"] = functools.partial(expected, hidden, steps, loss)
    found["expected_update n=20 T=inf final BLAS"] = functools.partial(expected, 20, math.inf, "final")
    found["expected_update covariance"] = functools.partial(expected, 4, 7, "final", [[2.0, 0.5], [0.5, 1.0]])
    found["expected_updates T=inf"] = functools.partial(many_updates, math.inf)
    found["expected_updates T=40"] = functools.partial(many_updates, 40)
    found["coloured_update"] = coloured
    found["flow"] = functools.partial(flowing, 0.6, [1.0, 100.0])
    found["flow stiff"] = functools.partial(flowing, 0.99, [1.0, 30.0])
    found["flow finite horizons"] = functools.partial(flowing, 0.6, [1.0, 100.0], (fm.tbptt(2), fm.tbptt(3)))
    found["learning_map"] = learning_map
    found["discrete_map"] = mapped
    found["stability"] = stability
    found["mode_update T=inf"] = functools.partial(mode_updates, math.inf)
    found["mode_update T=7"] = functools.partial(mode_updates, 7)
    found["mode_update T=7 sequence"] = functools.partial(mode_updates, 7, "sequence")
    found["mode_jacobian"] = mode_jacobians
    found["matrix_flow"] = matrix_flow
    found["merged sweep"] = merged_sweep
    return found


def digests(result):
    """SHA-256 (the first 16 digits) of every variable's numbers, as little-endian float64 or int64."""
    found = {}
    for name in getattr(result, "data_vars", result):
        values = np.asarray(result[name])
        plain = values.astype("<f8" if values.dtype.kind == "f" else "<i8")
        found[str(name)] = hashlib.sha256(np.ascontiguousarray(plain).tobytes()).hexdigest()[:16]
    return found


def machine():
    """What results may depend on that NumPy, SciPy and their BLAS compute."""
    pools = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]
    blas = {f"{info['prefix']} {info['version']} {info.get('architecture')}" for info in pools}
    return {
        "machine": platform.machine(), "numpy": np.__version__, "scipy": scipy.__version__, "numba": numba.__version__,
        "simd": sorted(name for name, has in CPU_FEATURES.items() if has), "blas": sorted(blas),
    }  # fmt: skip


def compare(paths):
    """Write digests.json: the digests of the first file, those marked that another file has otherwise."""
    first, *others = (json.loads(Path(path).read_text()) for path in paths)
    for call, found in first["digests"].items():
        for name, digest in found.items():
            if any(other["digests"][call][name] != digest for other in others):
                found[name] = DEPENDS + digest
    FILE.write_text(json.dumps(first, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "compare":
        compare(sys.argv[2:])
    else:
        found = {name: digests(call()) for name, call in calls().items()}
        print(json.dumps({"version": fm.__version__, "machine": machine(), "digests": found}))
