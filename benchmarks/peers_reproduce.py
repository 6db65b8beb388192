"""``fastmodes reproduce`` beside plain PyTorch loops: ``python -m benchmarks.peers_reproduce``.

Every experiment's training is written in PyTorch as a user writes it: one network at a time, loops over time, the same
updates (checked first), SGD or Adam from torch.optim. A small part of each is timed on one thread and extrapolated to
all its updates; two processes on two cores are granted to PyTorch by halving. Ours is the wall-clock time of the whole
command, compiling, figures and report included, in a fresh folder; PyTorch's share holds training alone. Writes
``results/reproduce.md`` and ``reproduce.json``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fastmodes as fm
from fastmodes.presets import CONVERGENCE, FAMILY, FIG6, PROPOSITION, UNALIGNED, variations

from .measure import machine

CORES = 2
_SEED = 0


def training_parts():
    """(name, parameters of fm.train, rule, number of updates) of every training in ``fastmodes reproduce``."""
    from fastmodes.analysis.report.experiments import _OPTIMIZERS, _SWEEP_SEEDS

    parts = []

    def add(name, parameters, seeds):
        parts.extend((name, parameters, rule, seeds * parameters["epochs"]) for rule in parameters["rules"])

    for preset in (UNALIGNED, FIG6, CONVERGENCE, FAMILY):
        parameters = preset.parameters()
        add(preset.name, parameters, len(parameters["seeds"]))
    for label, changes in _OPTIMIZERS.items():
        parameters = PROPOSITION.parameters(**changes)
        add(f"proposition, {label}", parameters, len(parameters["seeds"]))
    for preset in (UNALIGNED, FIG6):
        base = preset.parameters()
        for label, changes in variations(preset).items():
            parameters = base | {"updates": "expected", "batch_size": None} | changes
            parameters["epochs"] = int(base["epochs"] * base["learning_rate"] / parameters["learning_rate"])
            add(f"{preset.name} sweep, {label}", parameters, len(_SWEEP_SEEDS))
    return parts


def _propagator(torch, rule, w):
    if rule.propagator == "recurrent":
        return w
    if rule.propagator == "scalar":
        return rule.decay * torch.eye(len(w), dtype=w.dtype)
    return torch.diag(
        torch.diagonal(w) if rule.propagator == "recurrent_diagonal" else torch.tensor(rule.decay, dtype=w.dtype)
    )


def sampled_update(torch, rule, student, teacher, inputs, feedback, sequence):
    """Updates of A, W, B on inputs (time, sample, input) by loops over time, any rule, without autograd.

    Credit of the sequence loss reaches back from every time step: with a full horizon one backward sweep adds each
    step's error as it passes; with a finite horizon the errors are carried back from each step.
    """
    a, w, b = student
    steps, samples = inputs.shape[:2]
    h = torch.zeros(samples, len(w), dtype=w.dtype)
    g = torch.zeros(samples, len(teacher[1]), dtype=w.dtype)
    states, errors = [h], []
    for x in inputs:
        h = h @ w.T + x @ b.T
        g = g @ teacher[1].T + x @ teacher[2].T
        states.append(h)
        errors.append(h @ a.T - g @ teacher[0].T)
    f, p = (a if feedback is None else feedback), _propagator(torch, rule, w)
    ends = range(steps) if sequence else [steps - 1]
    scale = 1.0 / (samples * len(ends))
    da = scale * sum(errors[t].T @ states[t + 1] for t in ends)
    dw, db = torch.zeros_like(w), torch.zeros_like(b)
    horizon = rule.horizon or steps
    if horizon == 1:
        for t in ends:
            credit = errors[t] @ f
            dw += credit.T @ states[t]
            db += credit.T @ inputs[t]
    elif horizon >= steps:
        credit = torch.zeros_like(h)
        for t in range(steps - 1, -1, -1):
            if sequence or t == steps - 1:
                credit = credit + errors[t] @ f
            dw += credit.T @ states[t]
            db += credit.T @ inputs[t]
            credit = credit @ p
    else:
        raise NotImplementedError("no experiment needs a horizon between 1 and all steps")
    return da, scale * dw, scale * db


def expected_update(torch, rule, student, target, feedback, weights):
    """Expected updates of A, W, B by the backward recursion over the impulse response, any rule."""
    a, w, b = student
    steps, f = len(target), (a if feedback is None else feedback)
    p = _propagator(torch, rule, w)
    power, errors = b, []
    for k in range(steps):
        errors.append(weights[k] * (a @ power - target[k]))
        power = w @ power
    backward = [torch.zeros_like(a)]
    for k in range(steps - 1, -1, -1):
        backward.append(errors[k] @ b.T + backward[-1] @ w.T)
    backward = backward[::-1]
    dw, db, carried = torch.zeros_like(w), torch.zeros_like(b), f
    for j in range(min(rule.horizon or steps, steps)):
        dw = dw + carried.T @ backward[j + 1]
        db = db + carried.T @ errors[j]
        carried = carried @ p
    return backward[0], dw, db


def trainer(torch, parameters, rule):
    """``run(updates)`` of one network in PyTorch, and the function that gives its single update."""
    teacher_network = parameters["teacher"]
    network = fm.random_student(parameters["hidden"], teacher_network, scale=parameters["init_scale"], seed=_SEED)
    r = fm.random_feedback(network, scale=parameters["feedback_scale"], seed=_SEED)
    tensor = lambda array: torch.tensor(np.array(array), dtype=torch.float64)  # noqa: E731
    teacher = [tensor(m) for m in (teacher_network.readout, teacher_network.recurrent, teacher_network.input)]
    feedback = tensor(r) if rule.feedback == "random" else None
    steps, sequence = parameters["steps"], parameters["loss"] == "sequence"
    target = torch.stack([teacher[0] @ torch.linalg.matrix_power(teacher[1], k) @ teacher[2] for k in range(steps)])
    weights = [(steps - k) / steps if sequence else 1.0 for k in range(steps)]

    def start():
        return [tensor(m).requires_grad_() for m in (network.readout, network.recurrent, network.input)]

    def update(student, inputs=None):
        with torch.no_grad():
            if parameters["updates"] == "expected":
                return expected_update(torch, rule, student, target, feedback, weights)
            return sampled_update(torch, rule, student, teacher, inputs, feedback, sequence)

    def run(updates):
        student = start()
        make = torch.optim.Adam if parameters["optimizer"] == "adam" else torch.optim.SGD
        optimizer = make(student, lr=parameters["learning_rate"])
        for _ in range(updates):
            inputs = None
            if parameters["updates"] == "sampled":
                inputs = torch.randn(steps, parameters["batch_size"], teacher[2].shape[1], dtype=torch.float64)
            for weight, change in zip(student, update(student, inputs), strict=True):
                weight.grad = change
            if parameters.get("clip_norm") is not None:
                torch.nn.utils.clip_grad_norm_(student, parameters["clip_norm"])
            optimizer.step()

    return run, update, start, network, r


def check(torch, parameters, rule):
    """The loop's update is the package's, to rounding.

    Raises
    ------
    AssertionError
        If it is not: then the comparison means nothing.
    """
    _, update, start, network, r = trainer(torch, parameters, rule)
    options = {"feedback": r if rule.feedback == "random" else None, "loss": parameters["loss"]}
    teacher, steps = parameters["teacher"], parameters["steps"]
    if parameters["updates"] == "expected":
        ours, theirs = fm.expected_update(rule, network, teacher, steps, **options), update(start())
    else:
        inputs = np.random.default_rng(0).standard_normal((parameters["batch_size"], steps, network.n_in))
        ours = fm.sampled_update(rule, network, teacher, inputs, **options)
        theirs = update(start(), torch.tensor(inputs).swapaxes(0, 1))
    for one, other in zip(ours[1:], theirs, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-9, atol=1e-12)


def seconds_per_update(run, seconds, rounds):
    """Median over rounds of the time per update, from about ``seconds`` of updates each."""
    run(2)
    began = time.perf_counter()
    run(5)
    count = max(5, int(seconds * 5 / (time.perf_counter() - began)))
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        run(count)
        times.append((time.perf_counter() - began) / count)
    return statistics.median(times)


def peers(torch, seconds, rounds):
    """Extrapolated seconds of every experiment, alike ones measured once."""
    measured, totals = {}, {}
    for name, parameters, rule, updates in training_parts():
        alike = (
            rule.feedback, rule.propagator, rule.horizon, parameters["updates"], parameters["hidden"],
            parameters["steps"], parameters["batch_size"], parameters["optimizer"], parameters["teacher"].n_out,
            parameters.get("clip_norm") is not None,
        )  # fmt: skip
        if alike not in measured:
            check(torch, parameters, rule)
            measured[alike] = seconds_per_update(trainer(torch, parameters, rule)[0], seconds, rounds)
        group = name.split(",")[0]
        seen = totals.setdefault(group, {"updates": 0, "seconds": 0.0})
        seen["updates"] += updates
        seen["seconds"] += updates * measured[alike]
    return totals


def ours(cold):
    """Wall-clock seconds of ``fastmodes reproduce`` into a fresh folder, with an empty kernel cache if ``cold``."""
    with tempfile.TemporaryDirectory() as folder:
        cache = {"FASTMODES_CACHE_DIR": f"{folder}/cache"} if cold else {}
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", "from fastmodes.cli import main; main()", "reproduce", "--out", f"{folder}/out"],
            check=True, env=os.environ | cache,
        )  # fmt: skip
        return time.perf_counter() - began


def table(result):
    """The result as a Markdown table."""
    lines = ["| experiment | updates | PyTorch loops, s |", "|---|---:|---:|"]
    for name, row in result["peers"].items():
        lines.append(f"| {name} | {row['updates']:,} | {row['seconds']:,.0f} |")
    whole = sum(row["seconds"] for row in result["peers"].values())
    lines += [
        f"| all, one core | {sum(row['updates'] for row in result['peers'].values()):,} | {whole:,.0f} |",
        "",
        f"PyTorch on {CORES} cores (halved, extrapolated): {whole / CORES:,.0f} s. "
        f"`fastmodes reproduce`, everything: {result['ours']:.0f} s "
        f"({result['cold']:.0f} s with an empty kernel cache). "
        f"Ratio {whole / CORES / result['ours']:.0f} ({whole / CORES / result['cold']:.0f}).",
    ]
    return "\n".join(lines) + "\n"


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="of updates per measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError as error:
        sys.exit(f"PyTorch is needed (extra 'bench'): {error}")
    torch.set_num_threads(1)
    result = {
        "peers": peers(torch, arguments.seconds, arguments.rounds),
        "cold": ours(cold=True),
        "ours": ours(cold=False),
        "machine": machine(("fastmodes", "numba", "numpy", "torch")),
    }
    text = table(result)
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reproduce.md").write_text(text, encoding="utf-8")
    (folder / "reproduce.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
