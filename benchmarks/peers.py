"""fastmodes beside JAX and PyTorch: ``python -m benchmarks.peers``.

Training by BPTT in float64, the teacher has four modes. First every contender must give the same update; then all are
timed in one run, in interleaved rounds, and the medians are compared. Writes ``results/peers.md`` and ``peers.json``.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

import numpy as np

import fastmodes as fm

from .measure import interleaved, machine

N_MODES, INIT_SCALE, LEARNING_RATE = 4, 0.1, 0.002
EXPECTED_STEPS, SAMPLED_STEPS = 100, 50
EXPECTED_SIZES = (4, 16, 64)
SAMPLED_SIZES = ((4, 32), (16, 64), (64, 64))


def four_modes():
    """The teacher: n_in = n_out = 4, recurrent eigenvalues 0.9, 0.7, 0.5, 0.3."""
    return fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0))


def matrices(network):
    """(A, W, B)."""
    return network.readout, network.recurrent, network.input


def students(hidden, seeds):
    """A, W, B of the networks fm.train starts from, stacked along the seeds."""
    drawn = [matrices(fm.random_student(hidden, four_modes(), scale=INIT_SCALE, seed=seed)) for seed in range(seeds)]
    return tuple(np.stack(part) for part in zip(*drawn, strict=True))


def peer(name, module):
    """The peer's module of this folder, or None with a line that says what is missing."""
    try:
        return importlib.import_module(f".{module}", __package__)
    except ImportError as error:
        print(f"{name} skipped: {error}", file=sys.stderr)
        return None


def fastmodes_training(hidden, seeds, **settings):
    """``run(updates)``: fm.train, recorded at the first and the last epoch only."""

    def run(updates):
        return fm.train(
            fm.bptt(), four_modes(), hidden=hidden, seeds=range(seeds), epochs=updates, record_every=updates,
            learning_rate=LEARNING_RATE, init_scale=INIT_SCALE, progress=False, **settings,
        )  # fmt: skip

    return run


def check(what, ours, theirs, tolerance):
    """Relative difference of two results.

    Raises
    ------
    SystemExit
        If it is above the tolerance: figures of different computations are not compared.
    """
    difference = max(
        np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max()
        for a, b in zip(ours, theirs, strict=True)
    )
    if not difference <= tolerance:
        sys.exit(f"{what} differs by {difference:.1e} relative, more than {tolerance:.0e}: nothing was timed")
    return float(difference)


def flat(result):
    """Loss and gradient of a peer in the order of fm.Update."""
    return result[0], *result[1]


def agreement(peers):
    """Largest relative differences of the peers' updates and trainings to ours, checked before anything is timed."""
    teacher, found = four_modes(), {}
    rng = np.random.default_rng(0)
    for hidden in EXPECTED_SIZES:
        student = fm.random_student(hidden, teacher, scale=0.5, seed=1)
        inputs = rng.standard_normal((8, SAMPLED_STEPS, N_MODES))
        expected = fm.expected_update(fm.bptt(), student, teacher, EXPECTED_STEPS)
        sampled = fm.sampled_update(fm.bptt(), student, teacher, inputs)
        for name, module in peers.items():
            pair = matrices(student), matrices(teacher)
            for what, ours, theirs in (
                ("expected", expected, module.expected_update(*pair, EXPECTED_STEPS)),
                ("sampled", sampled, module.sampled_update(*pair, inputs)),
            ):
                key = f"{what} update, n={hidden}, {name}"
                found[key] = check(key, flat(theirs), ours, 1e-10)
    if "JAX" in peers:
        start, updates = students(16, 4), 40
        theirs = peers["JAX"].expected_training(start, matrices(teacher), EXPECTED_STEPS, LEARNING_RATE)(updates)
        ours = fastmodes_training(16, 4, steps=EXPECTED_STEPS, updates="expected")(updates)
        key = f"expected loss after {updates} updates, n=16, JAX"
        found[key] = check(key, [theirs], [ours["loss"].isel(epoch=-1).values.ravel()], 1e-10)
    return found


def expected_contenders(peers, hidden, seeds):
    """Trainings by expected updates."""
    contenders = {
        "fastmodes": (fastmodes_training(hidden, seeds, steps=EXPECTED_STEPS, updates="expected"), seeds),
    }
    if "JAX" in peers:
        start = students(hidden, seeds)
        for devices, name in ((1, "JAX"), (2, "JAX, 2 devices")):
            training = peers["JAX"].expected_training(
                start, matrices(four_modes()), EXPECTED_STEPS, LEARNING_RATE, devices
            )
            contenders[name] = (training, seeds)
    return contenders


def sampled_contenders(peers, hidden, batch_size, seeds):
    """Trainings on sampled inputs, drawing them included."""
    settings = {"steps": SAMPLED_STEPS, "updates": "sampled", "batch_size": batch_size}
    contenders = {"fastmodes": (fastmodes_training(hidden, seeds, **settings), seeds)}
    problem = matrices(four_modes()), SAMPLED_STEPS, batch_size, LEARNING_RATE
    if "JAX" in peers:
        for devices, name in ((1, "JAX"), (2, "JAX, 2 devices")):
            contenders[name] = (peers["JAX"].sampled_training(students(hidden, seeds), *problem, devices), seeds)
    if "PyTorch" in peers:
        for threads, name in ((1, "PyTorch"), (2, "PyTorch, 2 threads")):
            contenders[name] = (peers["PyTorch"].sampled_training(students(hidden, 1), *problem, threads), 1)
    return contenders


def measured(arguments, peers):
    """One row for each kind of update, size and number of seeds."""
    cases = [("expected", hidden, None) for hidden in EXPECTED_SIZES]
    cases += [("sampled", hidden, batch_size) for hidden, batch_size in SAMPLED_SIZES]
    rows = []
    for kind, hidden, batch_size in cases:
        for seeds in arguments.seeds:
            if kind == "expected":
                contenders = expected_contenders(peers, hidden, seeds)
            else:
                contenders = sampled_contenders(peers, hidden, batch_size, seeds)
            times = interleaved(contenders, arguments.rounds, arguments.seconds)
            rows.append({"kind": kind, "hidden": hidden, "batch_size": batch_size, "seeds": seeds, "times": times})
            print(line(rows[-1]), flush=True)
    return rows


COLUMNS = ("fastmodes", "JAX", "JAX, 2 devices", "PyTorch")


def best_medians(row):
    """Median of each column; PyTorch with the number of threads that suits it better."""
    medians = {name: times["median"] for name, times in row["times"].items()}
    if "PyTorch" in medians:
        medians["PyTorch"] = min(medians["PyTorch"], medians["PyTorch, 2 threads"])
    return medians


def line(row):
    """A line of the table: microseconds, and how many times slower than fastmodes."""
    medians = best_medians(row)
    cells = [row["kind"], row["hidden"], row["batch_size"] or "", row["seeds"]]
    for name in COLUMNS:
        if name not in medians:
            cells.append("")
        elif name == "fastmodes":
            cells.append(f"{medians[name]:.3g}")
        else:
            cells.append(f"{medians[name]:.3g} ({medians[name] / medians['fastmodes']:.1f}x)")
    cells.append(f"{row['times']['fastmodes']['milliseconds_around']:.0f}")
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(rows):
    """The whole table in Markdown."""
    heads = ("update", "n", "batch", "seeds", *COLUMNS, "fastmodes, around (ms)")
    return "\n".join(["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads), *map(line, rows)])


def page(result):
    """``peers.md``."""
    about, versions = result["machine"], result["machine"]["versions"]
    listed = ", ".join(f"{package} {version}" for package, version in versions.items())
    return f"""# fastmodes beside JAX and PyTorch

Microseconds per update and network of training with BPTT; in brackets, how many times as long as fastmodes. float64,
n_in = n_out = 4, T = {EXPECTED_STEPS} (expected) and {SAMPLED_STEPS} (sampled, drawing the inputs included).

* fastmodes: `fm.train`.
* JAX: `jit(vmap)` over the seeds of autodiff through `lax.scan`, all updates in one compiled loop, on one CPU device;
  and the same with the seeds sharded over two CPU devices.
* PyTorch: autograd loop, one seed at a time, the better of 1 and 2 threads.

Compilation is not included, nor is what a call costs besides its updates: for fastmodes, recording the first and the
last epoch of all seeds and making the dataset, the last column.

Medians of {result["rounds"]} interleaved rounds of one run. All gave the same updates before: largest relative
difference {max(result["agreement"].values(), default=0):.0e}.

{table(result["rows"])}

{about["processor"]}, {about["cores"]} cores, {about["system"]}, Python {about["python"]}, {listed}; {about["day"]}.
Written by `python -m benchmarks.peers`.
"""


def main():
    """Check, measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[16, 64], help="networks trained side by side")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="about how long the updates of one call take")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder of the results")
    arguments = parser.parse_args()

    found = {name: peer(name, module) for name, module in (("JAX", "peers_jax"), ("PyTorch", "peers_torch"))}
    peers = {name: module for name, module in found.items() if module is not None}
    result = {
        "agreement": agreement(peers),
        "machine": machine(("fastmodes", "numba", "numpy", "jax", "torch")),
        "rounds": arguments.rounds,
        "rows": measured(arguments, peers),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "peers.json").write_text(json.dumps(result, indent=1) + "\n")
    (arguments.out / "peers.md").write_text(page(result))
    print(f"\n{table(result['rows'])}\n\nwritten: peers.md and peers.json in {arguments.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
