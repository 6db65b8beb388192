"""How often the right rule is named, and how sure it is, on trainings that were never looked at before.

``python -m benchmarks.identification_study [--cases 100]`` trains the four rules of the paper on random tasks
(teacher, size, learning rate, w_hat, R drawn anew for each case), other rules and tanh networks beside them, gives
:func:`fastmodes.analysis.identify` 40 snapshots of the weights and counts. Writes ``results/identification.md`` and
``results/identification.json``.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import fastmodes as fm

from .measure import machine

SNAPSHOTS, BATCH, STEPS = 40, 32, 30
#: Learning is over when the expected loss has come down to this share: as long as snapshots are taken.
LEARNED = 0.1
FOUR = ("BPTT", "tBPTT(1)", "RFLO", "e-prop")
_OTHERS = ("SnAp-1", "sign_RFLO", "tBPTT(3)", "feedback_alignment", "diagonal_RFLO")


def drawn(case):
    """What a case is made of: teacher, hidden units, learning rate, w_hat."""
    random = np.random.Generator(np.random.SFC64([2026, case]))
    modes = int(random.integers(2, 5))
    values = random.uniform(0.2, 0.95, modes) * random.choice([-1, 1, 1, 1], modes)
    teacher = fm.aligned_teacher(fm.Modes(values, random.uniform(0.7, 1.3, modes), 1.0), basis="random", seed=case)
    return {
        "teacher": teacher, "hidden": int(random.integers(8, 33)),
        "rate": float(np.exp(random.uniform(np.log(5e-4), np.log(4e-3)))), "decay": float(random.uniform(0.2, 0.9)),
        "random": random,
    }  # fmt: skip


def paper_rules(setting):
    """The four rules, by the name that identification gives them."""
    rules = {"BPTT": fm.bptt(), "tBPTT(1)": fm.tbptt(1), "RFLO": fm.rflo(setting["decay"]), "e-prop": fm.eprop()}
    return list(rules.items())


def other_rule(setting, case):
    """One rule outside the four."""
    decays = setting["random"].uniform(0.2, 0.9, setting["hidden"])
    rules = {
        "SnAp-1": fm.LearningRule("SnAp-1", feedback="readout", propagator="recurrent_diagonal"),
        "sign_RFLO": fm.LearningRule("sign_RFLO", feedback="sign", propagator="scalar", decay=setting["decay"]),
        "tBPTT(3)": fm.tbptt(3),
        "feedback_alignment": fm.LearningRule("feedback_alignment", feedback="random", propagator="recurrent"),
        "diagonal_RFLO": fm.LearningRule("diagonal", feedback="random", propagator="diagonal", decay=tuple(decays)),
    }  # fmt: skip
    name = _OTHERS[case % len(_OTHERS)]
    return name, rules[name]


def trained(rule, setting, case, **options):
    """A sampled training with 40 intervals within which the rule learns, or None where it does not."""
    common = {
        "hidden": setting["hidden"], "seeds": [case], "steps": STEPS, "learning_rate": setting["rate"],
        "init_scale": 0.1, "progress": False, **options,
    }  # fmt: skip
    expected = {name: value for name, value in common.items() if name != "nonlinearity"}
    expected |= {"updates": "expected", "epochs": 20_000, "record_every": 20}
    before = fm.train([rule], setting["teacher"], **(expected | {"epochs": 1}))
    goal = LEARNED * float(before["loss"].values.ravel()[0])
    pilot = fm.train([rule], setting["teacher"], stop_loss=goal, **expected)
    if fm.status_names(pilot, "status").values.ravel()[0] != "converged":
        return None
    every = max(2, int(np.ceil(int(pilot["epochs_made"].values.ravel()[0]) / SNAPSHOTS)))
    runs = fm.train(
        [rule], setting["teacher"], epochs=SNAPSHOTS * every, record_every=every, batch_size=BATCH, keep_weights=True,
        **common,
    )  # fmt: skip
    return runs if np.isfinite(runs["recurrent_weights"].values).all() else None


def identified(trainings, threads, rules=None):
    """(identifications, wall seconds, processor seconds)."""
    options = {"rules": rules, "threads": 1, "progress": False}
    begin, busy = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda runs: fm.analysis.identify(runs, **options), trainings))
    return found, time.perf_counter() - begin, time.process_time() - busy


def outcome(name, setting, found):
    """What is kept of one identification."""
    names = found["hypothesis"].values.tolist()
    row = found.isel(rule=0, seed=0)
    posterior = row["posterior"].values
    best = int(row["likeliest"])
    return {
        "rule": name, "hidden": setting["hidden"], "rate": setting["rate"], "decay": setting["decay"],
        "likeliest": names[best] if best >= 0 else None, "posterior": float(np.nanmax(posterior)),
        "of_true": float(posterior[names.index(name)]) if name in names else None,
        "verdict": str(fm.status_names(found, "verdict").values[0, 0]),
        "rate_estimate": float(row["learning_rate_estimate"][best]),
        "rate_error": float(row["learning_rate_error"][best]), "squares_left": float(row["squares_left"][best]),
    }  # fmt: skip


def study(cases, others, threads=2, first=0):
    """Outcomes of ``cases`` times four rules, of ``others`` other rules and as many tanh networks.

    Returns
    -------
    dict
        ``four``, ``others``, ``tanh``: lists of outcomes; ``seconds``, ``processor_seconds`` of the identifications of
        the four; ``not_learned``: trainings left out, whose loss did not come down tenfold within 20,000 epochs.
    """
    four, rest, bent, left_out = [], [], [], 0
    for case in range(first, first + cases):
        setting = drawn(case)
        for name, rule in paper_rules(setting):
            runs = trained(rule, setting, case)
            left_out += runs is None
            if runs is not None:
                four.append((name, setting, runs))
    for case in range(first + 10_000, first + 10_000 + others):
        setting = drawn(case)
        name, rule = other_rule(setting, case)
        runs = trained(rule, setting, case)
        left_out += runs is None
        if runs is not None:
            rest.append((name, setting, runs))
        name, rule = paper_rules(setting)[case % 4]
        runs = trained(rule, setting, case, nonlinearity="tanh")
        if runs is not None:
            bent.append((name, setting, runs))
    out = {"not_learned": left_out}
    for key, kept in (("four", four), ("others", rest), ("tanh", bent)):
        found, seconds, busy = identified([runs for *_, runs in kept], threads)
        if key == "four":
            out |= {"seconds": seconds, "processor_seconds": busy}
            among, *_ = identified([runs for *_, runs in kept], threads, FOUR)
            out["among_four"] = [
                outcome(name, setting, one) for (name, setting, _), one in zip(kept, among, strict=True)
            ]
        out[key] = [outcome(name, setting, one) for (name, setting, _), one in zip(kept, found, strict=True)]
    return out


def summary(found):
    """Shares that the study is about."""
    four, among = found["four"], found["among_four"]
    right = [one["likeliest"] == one["rule"] for one in four]
    named = [one for one in four if one["verdict"] == "named"]
    between = [one for one in four if 0.9 <= one["posterior"] <= 0.99]
    errors = [
        (one["rate_estimate"] - one["rate"]) / one["rate_error"] for one in four if one["rule"] == one["likeliest"]
    ]
    return {
        "runs": len(four), "among_four_right": sum(one["likeliest"] == one["rule"] for one in among),
        "among_four_named": sum(one["verdict"] == "named" for one in among),
        "among_four_named_right": sum(one["verdict"] == "named" and one["likeliest"] == one["rule"] for one in among),
        "right": sum(right), "named": len(named),
        "named_right": sum(one["likeliest"] == one["rule"] for one in named),
        "between": len(between), "between_right": sum(one["likeliest"] == one["rule"] for one in between),
        "expected_right": sum(one["posterior"] for one in four),
        "rate_within_two": float(np.mean(np.abs(errors) < 2)) if errors else None,
        "others": len(found["others"]),
        "others_right": sum(one["likeliest"] == one["rule"] for one in found["others"]),
        "tanh": len(found["tanh"]),
        "tanh_refused": sum(one["verdict"] == "none_of_the_family" for one in found["tanh"]),
        "seconds": found["seconds"], "processor_seconds": found["processor_seconds"],
        "not_learned": found["not_learned"],
    }  # fmt: skip


def table(numbers):
    """Lines of the table."""
    n = numbers
    return [
        "| measured | |", "|---|---|",
        f"| among the four rules: right | {n['among_four_right']} of {n['runs']} "
        f"({100 * n['among_four_right'] / n['runs']:.1f} %) |",
        f"| among the four: named (posterior of 0.9 or more, noise explained), and right | {n['among_four_named']}, "
        f"{n['among_four_named_right']} |",
        f"| among all rules: right | {n['right']} of {n['runs']} ({100 * n['right'] / n['runs']:.1f} %) |",
        f"| among all: named, and right | {n['named']}, {n['named_right']} |",
        f"| among all: posterior 0.9 to 0.99, and right | {n['between']}, {n['between_right']} |",
        f"| among all: right by the sum of the likeliest's posteriors | {n['expected_right']:.1f} |",
        f"| learning rate within two errors | {100 * n['rate_within_two']:.0f} % |",
        f"| {', '.join(_OTHERS)}: right | {n['others_right']} of {n['others']} |",
        f"| tanh networks: none of the family | {n['tanh_refused']} of {n['tanh']} |",
        f"| seconds, processor seconds of the {n['runs']} | {n['seconds']:.0f}, {n['processor_seconds']:.0f} |",
        f"| trainings left out: not learned | {n['not_learned']} |",
    ]  # fmt: skip


def main():
    """Run the study, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--others", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "identification")
    arguments = parser.parse_args()
    found = study(arguments.cases, arguments.others, arguments.threads, arguments.first)
    numbers = summary(found)
    lines = table(numbers)
    print("\n".join(lines))
    about = machine(("fastmodes", "numba", "numpy", "scipy"))
    arguments.out.with_suffix(".json").write_text(json.dumps({"summary": numbers, "machine": about}, indent=1) + "\n")
    arguments.out.with_suffix(".md").write_text(
        f"# Which rule made the change: {SNAPSHOTS} intervals, batch {BATCH}, T = {STEPS}\n\n" + "\n".join(lines)
        + f"\n\n{about['processor']}, {about['cores']} cores, {about['system']}, Python {about['python']}, "
        + ", ".join(f"{package} {version}" for package, version in about["versions"].items())
        + f"; {about['day']}\n"
    )  # fmt: skip


if __name__ == "__main__":
    main()
