"""Updates by doubling beside SciPy, JAX and dgemm in one run: ``python -m benchmarks.peers_stationary``.

* infinitely many steps, n = 16: the same update by scipy.linalg.solve_discrete_lyapunov and solve_sylvester;
* T = 1,000 and 10,000, n = 16: JAX's autodiff through the steps, jit and vmap over the seeds;
* n = 256: the share of dgemm's rate, both on all cores, one network or product to a core;
* T = 100 against T = 10,000, n = 64.

BPTT, float64, student radius 0.9. Results must agree before anything is timed. Writes ``results/peers_stationary.md``.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import scipy.linalg
from fastmodes.kernels.updates import infinite as kernel

import fastmodes as fm
from fastmodes.parallel import run_blocks, thread_count
from fastmodes.rule_codes import kernel_rule
from fastmodes.updates import infinite as stationary

from .measure import interleaved, machine
from .peers import matrices, peer

RADIUS = 0.9


def network(rng, n, n_out=4, n_in=4):
    """Gaussian weights, spectral radius 0.9."""
    w = rng.standard_normal((n, n))
    return fm.LinearRNN(
        rng.standard_normal((n_out, n)) / np.sqrt(n), RADIUS * w / np.abs(np.linalg.eigvals(w)).max(),
        rng.standard_normal((n, n_in)),
    )  # fmt: skip


def scipy_update(student, teacher):
    """(loss, Delta A, Delta W, Delta B) of BPTT at infinitely many steps, by SciPy's solvers."""
    (a, w, b), (ta, tw, tb) = matrices(student), matrices(teacher)
    lyapunov, inverse = scipy.linalg.solve_discrete_lyapunov, np.linalg.inv(tw)
    covariance, credit = lyapunov(w, b @ b.T), lyapunov(w.T, a.T @ a)
    mixed = scipy.linalg.solve_sylvester(inverse, -w.T, inverse @ tb @ b.T)
    wanted = scipy.linalg.solve_sylvester(-w.T, inverse, a.T @ ta @ inverse)
    power = lyapunov(tw, tb @ tb.T)
    loss = 0.5 * np.sum(a @ covariance * a) - np.sum(ta @ mixed * a) + 0.5 * np.sum(ta @ power * ta)
    return (
        loss, a @ covariance - ta @ mixed,
        credit @ w @ covariance - wanted @ tw @ mixed, credit @ b - wanted @ tb,
    )  # fmt: skip


def repeated(call):
    """``run(updates)``: as many calls."""

    def run(updates):
        for _ in range(updates):
            call()

    return run


def agree(ours, theirs, tolerance=1e-9):
    """Raise unless two updates agree."""
    for a, b in zip(ours, theirs, strict=True):
        if not np.abs(np.asarray(a) - b).max() <= tolerance * np.abs(b).max():
            raise SystemExit("the contenders disagree: nothing was timed")


def timed(title, contenders, arguments, base):
    """Rows of the table: microseconds of each contender, and how many times ``base``'s."""
    times = interleaved(contenders, arguments.rounds, arguments.seconds)
    medians = {name: found["median"] for name, found in times.items()}
    rows = [f"| {title} | {name} | {value:.4g} | {value / medians[base]:.2f} |" for name, value in medians.items()]
    print("\n".join(rows), flush=True)
    return rows, medians


def main():
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "peers_stationary.md")
    arguments = parser.parse_args()
    rng = np.random.default_rng(2)
    rule, rows = fm.bptt(), []

    students, teacher = [network(rng, 16) for _ in range(256)], network(rng, 16)
    agree(fm.expected_update(rule, students[0], teacher, math.inf), scipy_update(students[0], teacher))
    contenders = {
        "fastmodes": (repeated(lambda: fm.expected_updates(rule, students, teacher, math.inf)), 256),
        "SciPy": (repeated(lambda: scipy_update(students[0], teacher)), 1),
    }
    rows += timed("n = 16, T infinite", contenders, arguments, "fastmodes")[0]

    jax = peer("JAX", "peers_jax")
    for steps, seeds in ((1000, 256), (10_000, 64)):
        contenders = {
            f"fastmodes, T = {steps}": (
                repeated(lambda steps=steps, some=students[:seeds]: fm.expected_updates(rule, some, teacher, steps)),
                seeds,
            )
        }  # fmt: skip
        if jax is not None:
            ours = fm.expected_updates(rule, students[:1], teacher, steps)
            loss, changes = jax.expected_update(matrices(students[0]), matrices(teacher), steps)
            agree([part[0] for part in ours], [loss, *changes])
            stacked = tuple(np.stack(part) for part in zip(*map(matrices, students[:seeds]), strict=True))
            for devices in (1, 2):
                training = jax.expected_training(stacked, matrices(teacher), steps, 1e-9, devices)
                contenders[f"JAX, {devices} device{'s' if devices > 1 else ''}"] = (training, seeds)
        rows += timed(f"n = 16, T = {steps}", contenders, arguments, f"fastmodes, T = {steps}")[0]

    rows += share_of_dgemm(rng, rule, arguments)

    students, teacher = [network(rng, 64) for _ in range(16)], network(rng, 64)
    contenders = {
        f"fastmodes, T = {steps}": (
            repeated(lambda steps=steps: fm.expected_updates(rule, students, teacher, steps)), 16,
        )
        for steps in (100, 10_000)
    }  # fmt: skip
    rows += timed("n = 64, by doubling", contenders, arguments, "fastmodes, T = 100")[0]
    contenders = {
        f"fastmodes, T = {steps}": (
            repeated(lambda steps=steps: fm.expected_update(rule, students[0], teacher, steps)), 1,
        )
        for steps in (100, 10_000)
    }  # fmt: skip
    rows += timed("n = 64, the faster of both", contenders, arguments, "fastmodes, T = 100")[0]

    about = machine(("fastmodes", "numba", "numpy", "scipy", "jax"))
    arguments.out.write_text(
        "# Updates by doubling beside SciPy, JAX and dgemm\n\nMicroseconds per update and network, medians of "
        f"{arguments.rounds} interleaved rounds; BPTT, float64.\n\n"
        "| case | contender | microseconds | ratio |\n|---|---|---|---|\n" + "\n".join(rows)
        + f"\n\n{about['processor']}, {about['cores']} cores, {about['system']}, Python {about['python']}, "
        + ", ".join(f"{package} {version}" for package, version in about["versions"].items())
        + f"; {about['day']}\n"
    )  # fmt: skip


def share_of_dgemm(rng, rule, arguments):
    """Time of an update at n = 256 against that of as many products of 256 x 256 matrices by dgemm."""
    n, cores = 256, thread_count()
    students, teacher = [network(rng, n) for _ in range(cores)], network(rng, n)
    spaces = [stationary.work_space(rule, student, teacher, None) for student in students]
    terms = kernel.infinite_update(spaces[0], kernel_rule(rule), 40)[1]
    products = 10 * round(math.log2(terms)) + 4
    factors = [(rng.standard_normal((n, n)), rng.standard_normal((n, n)), np.empty((n, n))) for _ in range(cores)]

    def multiply(place):
        a, b, out = factors[place]
        for _ in range(products):
            np.dot(a, b, out=out)

    contenders = {
        "fastmodes": (
            repeated(lambda: run_blocks(lambda m: kernel.infinite_update(m, kernel_rule(rule), 40), spaces)), cores,
        ),
        f"dgemm, {products} products": (repeated(lambda: run_blocks(multiply, range(cores))), cores),
    }  # fmt: skip
    found, medians = timed("n = 256, T infinite", contenders, arguments, "fastmodes")
    share = medians[f"dgemm, {products} products"] / medians["fastmodes"]
    return [*found, f"| n = 256, T infinite | share of dgemm's rate | | {share:.2f} |"]


if __name__ == "__main__":
    main()
