"""Moments of sampled updates beside JAX's gradients of single samples: ``python -m benchmarks.peers_moments``.

1,000 networks, n = 16, T = 100, BPTT, final loss, float64. fastmodes: exact variances of every entry, their totals, and
the variance along one direction, on all cores. JAX: gradients of 1,000 samples of each network, whose empirical
variances are off by a relative error of about sqrt(2 / 1000); jit(vmap) over networks and samples, on two devices.
Results must agree within it before anything is timed. Writes ``results/peers_moments.md``.
"""

import statistics
import time
from pathlib import Path

import numpy as np

import fastmodes as fm

from . import peers_jax
from .measure import machine
from .peers_stationary import network

NETWORKS, SAMPLES, STEPS, HIDDEN = 1000, 1000, 100, 16
#: Networks whose samples' gradients JAX holds at once.
TOGETHER = 10


def per_sample_gradients(teacher):
    """A compiled function of (students, inputs (student, time, sample, input)): mean and summed variance of each."""
    import jax
    import jax.numpy as jnp

    goal = tuple(map(jnp.asarray, (teacher.readout, teacher.recurrent, teacher.input)))

    def gradient(student, inputs):
        return jax.grad(peers_jax.sampled_loss)(student, goal, inputs[:, None])

    def spread(student, inputs):
        gradients = jax.vmap(gradient, in_axes=(None, 1))(student, inputs)
        return sum(jnp.sum(jnp.var(part, axis=0)) for part in gradients)

    return jax.jit(jax.vmap(spread))


def main():
    import jax

    rng = np.random.default_rng(0)
    students, teacher = [network(rng, HIDDEN) for _ in range(NETWORKS)], network(rng, 4)
    along = fm.expected_updates("bptt", students, teacher, STEPS)
    spread = per_sample_gradients(teacher)
    stacked = [np.stack([getattr(s, name) for s in students]) for name in ("readout", "recurrent", "input")]

    def ours():
        return fm.update_moments("bptt", students, teacher, STEPS, along=along).total_variance.values

    def theirs(first, seed):
        part = slice(first, first + TOGETHER)
        inputs = jax.random.normal(jax.random.key(seed), (TOGETHER, STEPS, SAMPLES, teacher.n_in))
        given = peers_jax.spread((tuple(array[part] for array in stacked), inputs), 2)
        return np.asarray(spread(*given))

    exact, sampled = ours(), theirs(0, 0)
    off = np.abs(sampled / exact[:TOGETHER] - 1).max()
    assert off < 0.5, off
    ours_seconds, theirs_seconds = [], []
    for r in range(5):
        begin = time.perf_counter()
        ours()
        ours_seconds.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        theirs(TOGETHER * r, r + 1)
        theirs_seconds.append((time.perf_counter() - begin) * NETWORKS / TOGETHER)
    a, b = statistics.median(ours_seconds), statistics.median(theirs_seconds)
    on = machine(["fastmodes", "jax", "numpy", "numba"])
    text = f"""# Moments of {NETWORKS:,} networks

n = {HIDDEN}, T = {STEPS}, BPTT, final loss; medians of five interleaved rounds. JAX is timed on {TOGETHER} networks and
scaled up; its variances are off by up to {off:.0%} from so many samples.

| | seconds |
|---|---|
| fastmodes, exact: every entry, totals, one direction | {a:.2f} |
| JAX, gradients of {SAMPLES:,} samples each | {b:.1f} |

fastmodes takes 1/{b / a:.0f} of the time. {on["processor"]}, {on["cores"]} cores, {on["system"]},
Python {on["python"]}, {", ".join(f"{name} {version}" for name, version in on["versions"].items())}, {on["day"]}.
"""
    print(text)
    (Path(__file__).parent / "results" / "peers_moments.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
