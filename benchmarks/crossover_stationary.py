"""Where doubling overtakes the recursion: ``python -m benchmarks.crossover_stationary``.

Both compute the same expected update over T steps; the number of steps at which they take equally long is found by
bisection in log T, for networks of spectral radius one, the worst case for doubling (no power is ever spent). The rule
that ``fm.expected_update`` decides by, :func:`fastmodes.updates.infinite.doubling_is_faster`, is printed beside the
measurement. Writes ``results/crossover_stationary.md``. Times are of one thread.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np

import fastmodes as fm
from fastmodes.parallel import run_blocks
from fastmodes.updates import infinite as stationary
from fastmodes.updates import one as updates

RULES = (fm.bptt(), fm.rflo(0.5), fm.eprop())
SIZES = ((4, 4), (8, 4), (16, 4), (16, 16), (32, 4), (64, 4), (64, 64), (128, 4))


def network(rng, n, channels):
    """Gaussian network of spectral radius one."""
    w = rng.standard_normal((n, n))
    return fm.LinearRNN(
        rng.standard_normal((channels, n)), w / np.abs(np.linalg.eigvals(w)).max(), rng.standard_normal((n, channels))
    )


def seconds(call):
    """Least time of one call: of five series long enough to be measured."""
    call()
    count, best = 1, math.inf
    for _ in range(5):
        while True:
            begin = time.thread_time()
            for _ in range(count):
                call()
            taken = time.thread_time() - begin
            if taken > 2e-3:
                break
            count *= 4
        best = min(best, taken / count)
    return best


def crossover(rule, student, teacher, feedback, loss):
    """Steps at which both take equally long, between 2 and 20,000."""
    low, high = 2, 20_000
    while high > low * 1.1:
        steps = round(math.sqrt(low * high))
        arguments = (rule, student, teacher, steps, feedback, loss)
        faster = seconds(lambda a=arguments: stationary.finite_update(*a)) < seconds(
            lambda a=arguments: updates.by_recursion(*a)
        )
        low, high = (low, steps) if faster else (steps, high)
    return round(math.sqrt(low * high))


def decided(student, teacher, loss):
    """Least number of steps at which the package doubles."""
    low, high = 1, 10**6
    while high > low + 1:
        steps = (low + high) // 2
        low, high = (low, steps) if stationary.doubling_is_faster(student, teacher, steps, loss) else (steps, high)
    return high


def main():
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "crossover_stationary.md")
    out = parser.parse_args().out
    lines = ["| rule | loss | n | n_in = n_out | measured T | decided T |", "|---|---|---|---|---|---|"]
    rng = np.random.default_rng(1)
    for n, channels in SIZES:
        student, teacher = network(rng, n, channels), network(rng, n, channels)
        for rule in RULES:
            feedback = None if rule.feedback == "readout" else rng.standard_normal((channels, n))
            for loss in ("final", "sequence"):
                found = crossover(rule, student, teacher, feedback, loss)
                lines.append(
                    f"| {rule.name} | {loss} | {n} | {channels} | {found} | {decided(student, teacher, loss)} |"
                )
                print(lines[-1], flush=True)
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    run_blocks(lambda _: main(), [None], threads=1)
