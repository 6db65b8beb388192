"""The mode flow beside diffrax and SciPy, and stability maps beside NumPy: ``python -m benchmarks.peers_flow``.

Random starts, w, w* uniform in (-0.9, 0.9), a, b, p, r standard normal, followed to s = 20. Every contender integrates
the same right-hand side; the error is that of the end state, the median over the modes that stay inside, against a run
of SciPy's DOP853 at 1e-12. Work and precision: one curve per contender over tolerances, and the ratio of times at equal
error, read off the curves. Writes ``results/peers_flow.md``, ``.json`` and ``work_precision.png``.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from fastmodes.kernels.modes.stability import optimal_stability
from scipy.integrate import solve_ivp

import fastmodes as fm
from fastmodes.modes.flow import flow_grid, integrate
from fastmodes.parallel import run_blocks, thread_count
from fastmodes.rule_codes import kernel_rule

from .measure import machine

END = 20.0
RULES = {"BPTT": fm.bptt(), "tBPTT(1)": fm.tbptt(1), "RFLO": fm.rflo(0.5), "e-prop": fm.eprop()}
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def starts(count, seed=0):
    """w, a, b, w*, p, r of random modes, (6, count)."""
    rng = np.random.default_rng(seed)
    w, goal = rng.uniform(-0.9, 0.9, (2, count))
    a, b, p, r = rng.normal(size=(4, count))
    return np.stack([w, a, b, goal, p, r])


def velocity(name, w, a, b, goal, p, r):
    """The right-hand side as plain formulas, for any array library."""
    q = a * b
    d, e = 1 - w * w, 1 - w * goal
    da = b * (q / d - p / e)
    if name == "BPTT":
        return -q * (q * w / d**2 - p * goal / e**2), -da, -a * (q / d - p / e)
    if name == "tBPTT(1)":
        return -q * (q * w / d - p * goal / e), -da, -a * (q - p)
    if name == "e-prop":
        return -r * b * (q * w / d**2 - p * goal / e**2), -da, -r * (q / d - p / e)
    g, g_star = 1 / (1 - 0.5 * w), 1 / (1 - 0.5 * goal)
    return -r * b * (q * w * g / d - p * goal * g_star / e), -da, -r * (q * g - p * g_star)


def by_fastmodes(name, modes, tolerance, times=(END,)):
    """End states (count, 3), and the statuses."""
    w, a, b, goal, p, r = modes
    rule = RULES[name]
    rules, grid = flow_grid(rule, fm.Modes(w, a, b), fm.Modes(goal, 1.0, p), r, None, None)
    options = np.array([tolerance, 1e-3 * tolerance, 1e5, 0.0, 0.0])
    states, ends = integrate(rules, grid, np.asarray(times), options)
    return states[:, 0, :, -1].T, ends


def by_scipy(name, modes, tolerance, method="RK45"):
    """End states by ``solve_ivp``, one mode after the other; NaN where it stopped early."""
    ends = np.full((modes.shape[1], 3), np.nan)
    for i, (w, a, b, *teacher) in enumerate(modes.T):
        with np.errstate(all="ignore"):
            found = solve_ivp(
                lambda s, y, teacher=teacher: velocity(name, *y, *teacher),
                (0, END), [w, a, b], method, rtol=tolerance, atol=1e-3 * tolerance,
                events=_border,
            )  # fmt: skip
        if found.status == 0:
            ends[i] = found.y[:, -1]
    return ends


def _border(s, y):
    return 1 - 1e-5 - abs(y[0])


_border.terminal = True


def diffrax_solver(name):
    """A compiled function (modes, tolerance) -> end states: ``vmap`` over Dopri5, float64, on the processor."""
    import diffrax
    import jax

    jax.config.update("jax_enable_x64", True)

    def one(mode, tolerance):
        w, a, b, *teacher = mode
        term = diffrax.ODETerm(lambda s, y, args: velocity(name, *y, *teacher))
        found = diffrax.diffeqsolve(
            term, diffrax.Dopri5(), 0.0, END, None, (w, a, b),
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=1e-3 * tolerance),
            event=diffrax.Event(lambda t, y, args, **rest: 1 - 1e-5 - abs(y[0]) < 0), max_steps=4096, throw=False,
        )  # fmt: skip
        ok = found.result == diffrax.RESULTS.successful
        return jax.numpy.where(ok, jax.numpy.stack([part[-1] for part in found.ys]), jax.numpy.nan)

    solve = jax.jit(jax.vmap(one, in_axes=(1, None)))
    return lambda modes, tolerance: np.asarray(solve(modes, tolerance))


def seconds_each(run, modes, rounds):
    """Median time per mode; the first call, which compiles, is not counted."""
    run(modes)
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run(modes)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) / modes.shape[1]


def error_of(ends, exact):
    """Median over modes of the largest relative error (absolute below 0.1), where both stayed inside."""
    error = np.abs(ends - exact).max(axis=1) / np.maximum(np.abs(exact).max(axis=1), 0.1)
    return float(np.nanmedian(error))


def work_precision(name, counts, rounds):
    """Time and error of each contender over the tolerances."""
    modes = {key: starts(count) for key, count in counts.items()}
    exact = by_scipy(name, modes["exact"], 1e-12, "DOP853")
    size = exact.shape[0]
    solve = diffrax_solver(name)
    contenders = {
        "fastmodes": lambda modes, tolerance: by_fastmodes(name, modes, tolerance)[0],
        "diffrax": solve,
        "SciPy RK45": lambda modes, tolerance: by_scipy(name, modes, tolerance),
    }
    curves = {key: [] for key in contenders}
    for tolerance in TOLERANCES:
        for key, run in contenders.items():
            error = error_of(run(modes["exact"], tolerance), exact[:size])
            repeats = rounds if key != "SciPy RK45" else 1
            seconds = seconds_each(lambda m, run=run, t=tolerance: run(m, t), modes[key], repeats)
            curves[key].append({"tolerance": tolerance, "error": error, "seconds": seconds})
    return curves


def at_equal_error(curves, key, error):
    """Seconds per mode of a contender at an error: the line through its two nearest points, both axes logarithmic."""
    points = sorted((np.log(p["error"]), np.log(p["seconds"])) for p in curves[key])
    x, y = np.array(points).T
    i = int(np.clip(np.searchsorted(x, np.log(error)) - 1, 0, len(x) - 2))
    slope = (y[i + 1] - y[i]) / (x[i + 1] - x[i])
    return float(np.exp(y[i] + slope * (np.log(error) - x[i])))


def ratios(curves, key, errors):
    """A contender's time over ours, at the error that it has at rtol 1e-6, and at the error that we have there."""
    return [
        at_equal_error(curves, key, error) / at_equal_error(curves, "fastmodes", error)
        for error in (errors[key], errors["fastmodes"])
    ]


def dense_ratio(name, count, rounds):
    """Time with 100 output times over time with the end alone."""
    modes, times = starts(count), np.linspace(END / 100, END, 100)
    alone = seconds_each(lambda m: by_fastmodes(name, m, 1e-6), modes, rounds)
    return seconds_each(lambda m: by_fastmodes(name, m, 1e-6, times), modes, rounds) / alone


def stiff_evaluations(name):
    """Right-hand sides for w* = 0.99 from (0.5, 1, 1): ours, and ours held to the explicit pair."""
    rules, grid = flow_grid(RULES[name], fm.Modes(0.5, 1.0, 1.0), fm.Modes(0.99, 1.0, 1.0), 1.0, None, None)
    options = np.array([1e-6, 1e-9, 1e6, 0.0, 0.0])
    counts = []
    for hand_over in (True, False):
        # Held to the explicit pair, a part of the time is enough to count by.
        end = END if hand_over else END / 20
        _, ends = integrate(rules, grid, np.array([end]), options, hand_over=hand_over)
        calls, reached = int(ends.evaluations[0, 0]), float(ends.time[0, 0])
        counts.append(calls if hand_over else calls * END / reached)
    return counts


def stability_speed(name, count, rounds):
    """Points per second of a stability map (rate and kind), and of the same closed form in NumPy on one thread."""
    rule = RULES[name]
    position = np.linspace(0.01, 3, count)
    pool = np.concatenate([[0.8, 1.0], position, [1.0, rule.decay or 0.0, float(rule.horizon or 0)]])
    places = np.array([[0, 0], [1, 0], [2, 1], [2 + count, 0], [3 + count, 0], [4 + count, 0]])
    in_kernel = kernel_rule(rule)
    rates, kinds, shape = np.empty((1, count)), np.empty(count, np.int8), np.array([count])
    block = 1 << 17

    def ours():
        def work(start):
            stop = min(start + block, count)
            optimal_stability(pool, places, shape, start, in_kernel, rates[:, start:stop], kinds[start:stop])

        run_blocks(work, range(0, count, block))

    def numpy():
        some = position[: count // 10]
        c1, c0 = coefficients(name, 0.8, 1.0, some, 1.0, 0.5)
        disc = c1 * c1 - 4 * c0
        root = np.sqrt(np.maximum(disc, 0))
        far = -0.5 * (c1 + np.copysign(root, c1))
        near = c0 / far
        high = np.where(disc < 0, -0.5 * c1, np.maximum(far, near))
        low = np.where(disc < 0, -0.5 * c1, np.minimum(far, near))
        return -high, np.where(high < 0, 0, np.where(low > 0, 1, 2)).astype(np.int8)

    ours()
    numpy()
    times = {"ours": [], "numpy": []}
    for _ in range(rounds):
        for key, run, points in (("ours", ours, count), ("numpy", numpy, count // 10)):
            begin = time.perf_counter()
            run()
            times[key].append((time.perf_counter() - begin) / points)
    return {key: 1 / statistics.median(values) for key, values in times.items()}


def coefficients(name, w, p, s, r, decay):
    """c1 and c0 of the published closed forms, in NumPy."""
    d, e, b2 = 1 - w * w, 1 - decay * w, p**2 / s**2
    if name == "BPTT":
        return p**2 * (1 + w**2) / d**3 + (s**2 + b2) / d, p**2 * (s**2 + b2) / d**4
    if name == "tBPTT(1)":
        return p**2 / d**2 + b2 / d + s**2, p**2 * (s**2 + b2) / d**2
    if name == "RFLO":
        c1 = r * p**2 * (1 - decay * w**3) / (s * d**2 * e**2) + b2 / d + r * s / e
        return c1, r * p**2 * (p**2 + r * s**3) / (s**3 * d**2 * e**2)
    c1 = r * p**2 * (1 + w**2) / (s * d**3) + b2 / d + r * s / d
    return c1, r * p**2 * (p**2 + r * s**3) / (s**3 * d**4)


def limits(rounds):
    """Bytes per second of copying on all threads, and points per second that the divider alone would allow."""
    from .limits import divider_points, spread

    size = 1 << 25
    source, target = np.ones(size), np.zeros(size)
    parts = [slice(i, i + (1 << 20)) for i in range(0, size, 1 << 20)]

    def copy():
        run_blocks(lambda part: np.copyto(target[part], source[part]), parts)

    copy()
    copying, dividing = [], []
    spread(1)
    for _ in range(rounds):
        begin = time.perf_counter()
        copy()
        copying.append(16 * size / (time.perf_counter() - begin))
        dividing.append(divider_points(1 << 24))
    return {"copy": statistics.median(copying), "divider": statistics.median(dividing)}


def draw(curves, path):
    """Work against precision, one panel per rule."""
    from fastmodes.analysis.figures.style import new_figure

    figure, axes = new_figure(1, len(curves), figsize=(13, 3.8), sharey=True, squeeze=False)
    for (name, found), ax in zip(curves.items(), axes[0], strict=True):
        for key, points in found.items():
            ax.plot([p["error"] for p in points], [1e6 * p["seconds"] for p in points], "o-", label=key)
        ax.set(xscale="log", yscale="log", title=name, xlabel="median relative error of the end")
    axes[0, 0].set_ylabel("microseconds per mode")
    axes[0, 0].legend(frameon=False)
    figure.suptitle("Work and precision: random modes to s = 20")
    figure.savefig(path, dpi=120)


def table(found):
    """The results as Markdown."""

    def by(pair):
        return f"{pair[0]:,.0f}x, {pair[1]:,.0f}x"

    lines = [
        "At equal errors of the end: the error that the other one has at rtol 1e-6, then the one that fastmodes has "
        "there (which holds local errors to 15 % of the tolerance).",
        "",
        "| rule | modes/s at rtol 1e-6 | over diffrax | over SciPy RK45 | 100 outputs cost | "
        "evaluations at w* = 0.99: ours, explicit |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in found["flow"].items():
        lines.append(
            f"| {name} | {row['rate']:.3g} | {by(row['over_diffrax'])} | {by(row['over_scipy'])} | "
            f"{row['dense']:.2f}x | {row['evaluations'][0]:.0f}, {row['evaluations'][1]:.0f} |"
        )
    bound = found["limits"]
    memory = bound["copy"] / 16 * 24 / 26
    lines += [
        "",
        f"The memory copies {bound['copy'] / 1e9:.1f} GB/s: 24 bytes of traffic for each number copied, as a line is "
        f"read before it is written. A point causes 26 (a number read, a number and a byte written): the memory "
        f"would allow {memory / 1e6:.0f} M points/s, the divider alone (a division and a square root a point) "
        f"{bound['divider'] / 1e6:.0f} M points/s.",
        "",
        "| rule | stability map, M points/s | of the memory's limit | of the divider's | which binds | over NumPy |",
        "|---|---|---|---|---|---|",
    ]
    binding = "memory" if memory < bound["divider"] else "divider"
    for name, row in found["stability"].items():
        lines.append(
            f"| {name} | {row['ours'] / 1e6:.0f} | {100 * row['ours'] / memory:.0f} % | "
            f"{100 * row['ours'] / bound['divider']:.0f} % | {binding} | {row['ours'] / row['numpy']:.0f}x |"
        )
    return "\n".join(lines) + "\n"


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modes", type=int, default=200_000, help="modes of a timed run of ours")
    parser.add_argument("--points", type=int, default=100_000_000, help="points of a stability map")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))
    parser.add_argument("--out", default=str(Path(__file__).parent / "results"))
    options = parser.parse_args()
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    counts = {
        "fastmodes": options.modes, "diffrax": max(500, options.modes // 100),
        "SciPy RK45": max(10, options.modes // 5000), "exact": 200,
    }  # fmt: skip
    found = {"flow": {}, "stability": {}, "curves": {}, "limits": limits(options.rounds)}
    for name in options.rules:
        curves = found["curves"][name] = work_precision(name, counts, options.rounds)
        errors = {key: points[TOLERANCES.index(1e-6)]["error"] for key, points in curves.items()}
        ours = at_equal_error(curves, "fastmodes", errors["fastmodes"])
        found["flow"][name] = {
            "rate": 1 / ours, "over_diffrax": ratios(curves, "diffrax", errors),
            "over_scipy": ratios(curves, "SciPy RK45", errors), "errors": errors,
            "dense": dense_ratio(name, options.modes // 4, options.rounds), "evaluations": stiff_evaluations(name),
        }  # fmt: skip
        found["stability"][name] = stability_speed(name, options.points, options.rounds)
        print(name, found["flow"][name], found["stability"][name], flush=True)
    found["machine"] = machine(["fastmodes", "numba", "numpy", "scipy", "diffrax", "jax"]) | {"threads": thread_count()}
    text = table(found)
    (folder / "peers_flow.md").write_text(text)
    (folder / "peers_flow.json").write_text(json.dumps(found, indent=1))
    draw(found["curves"], folder / "work_precision.png")
    print(text)


if __name__ == "__main__":
    main()
