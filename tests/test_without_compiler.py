"""The kernels as plain Python (NUMBA_DISABLE_JIT=1) and compiled give the same numbers."""

import os
import subprocess
import sys

import numpy as np

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
                if rule.horizon is None and hidden == 2:
                    results[key + " online"] = fm.sampled_update(
                        rule, student, teacher, inputs, feedback=given, loss=loss, form="online"
                    )
    for updates in ("expected", "sampled"):
        for optimizer in ("sgd", "adam"):
            dataset = fm.train(
                (fm.bptt(), fm.eprop()), teacher, hidden=3, seeds=range(2), epochs=3, learning_rate=0.05, steps=3,
                updates=updates, batch_size=2 if updates == "sampled" else None, optimizer=optimizer, clip_norm=1.0,
                validation_size=4, threads=1, progress=False,
            )
            results[f"train {updates} {optimizer}"] = [dataset[name].values for name in ("loss", "validation_loss")]
    return {f"{key} {i}": np.asarray(part) for key, parts in results.items() for i, part in enumerate(parts)}
"""


def test_plain_python_computes_the_same(tmp_path):
    path = tmp_path / "plain.npz"
    code = (
        CALLS + f"\nimport numba.core.config\nassert numba.core.config.DISABLE_JIT\nnp.savez({str(path)!r}, **calls())"
    )
    # Vectors of eight are NumPy arrays there, whose overflow or division NumPy would report.
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = {"np": np, "fm": fm}
    exec(CALLS, names)
    compiled = names["calls"]()
    with np.load(path) as plain:
        assert set(plain) == set(compiled)
        for key, ours in compiled.items():
            scale = np.abs(ours).max()
            np.testing.assert_allclose(plain[key], ours, rtol=0, atol=1e-12 * scale, err_msg=key)
