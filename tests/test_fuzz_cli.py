"""Random command lines and plans: an exit code that means something, a message, never a traceback."""

import copy
import json
import math
import warnings

import click
import numpy as np
import pytest

import fastmodes as fm
from fastmodes import cli

ORDINARY, ALL, TOGETHER = 40, 1000, 20
#: 0 done, 2 wrong usage or input, 3 could not read or write, 4 the computation failed.
CODES = (0, 2, 3, 4)
SMALL = {
    "train": [
        "--epochs", "2", "--steps", "3", "--hidden", "2", "--seeds", "1", "--rule", "bptt", "--updates", "expected",
    ],
    "flow": ["--times", "0:1:2", "--rule", "rflo"],
    "plan": ["plan.toml"],
    "run": ["plan.toml", "--out", "sweep", "--quiet"],
    "status": ["sweep"],
    "verify": ["sweep"],
    "merge": ["sweep", "-o", "merged.nc"],
    "figures": ["fixed-points", "--out", "pictures"],
}  # fmt: skip
#: Whole numbers are small or beyond any limit, so that no legal call takes for ever.
TEXTS = (
    "", " ", "x", "-1", "0", "1", "2", "3", "0.5", "-0.5", "1e-3", "nan", "inf", "-inf", "1e999", "1e300", "5e-324",
    "1,2",
    "0.1,0.2", "1,,2", ",", ":", "0:1:0", "0:1:3", "0:1:-1", "0:x:2", "0:1:1e9", "1:0:3", "0:1:3:4", "3:1", "bptt",
    "bptt()",
    "rflo(1e999)", "rflo(nan)", "tbptt(0)", "tbptt(99999999999)", "tbptt(2)", "e-prop", "name=x,decay=", "=", "name=,",
    "name=x,feedback=random,propagator=diagonal,decay=0.1:0.2", "horizon=2", "random", "identity", "sampled", "adam",
    "sequence", "99999999999999999999", "é", "$x$", "日本", "../x", "/", ".", "None", "--", "-", "a" * 300, "x.png",
    "x.nc",
    "plan.toml", "sweep", "1/2", "2/1", "0/0", "a/b", "http://x", "nowhere/x.nc", "%s", "{}", "\t", "\n",
)  # fmt: skip
PLAN = {
    "job": "expected",
    "seeds": 2,
    "fixed": {"steps": 4, "hidden": 2, "teacher_recurrent": [0.8, 0.5]},
    "axes": {"rule": ["bptt", "rflo(0.4)"], "init_scale": {"start": 0.1, "stop": 1.0, "num": 3}},
    "zipped": {"pair": {"feedback_scale": [0.5, 1.0], "teacher_readout": [1.0, 2.0]}},
}
VALUES = (
    -1, 0, 1, 2, 0.5, -0.5, math.nan, math.inf, 1e300, 10**18, True, "", "x", "inf", "bptt", "rflo(", [], [1],
    [[1.0]], {},
    [0.1, 0.1], [None], ["bptt", 3], {"start": 0, "stop": 1, "num": 0}, {"start": 1, "stop": 0, "num": 2,
    "scale": "log"},
    {"name": "x", "feedback": "random"}, "é", "$", "../x", [10**18], [1.0, "x"], {"count": 3}, {"first": -1,
    "count": 2},
)  # fmt: skip
KEYS = (
    "rule",
    "seed",
    "seeds",
    "loss",
    "status",
    "x",
    "",
    "é",
    "fixed",
    "axes",
    "hidden",
    "record",
    "decay",
    "../y",
    "a.b",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(toml(PLAN))
    fm.sweep(PLAN, tmp_path / "sweep", progress=False)
    return tmp_path


def toml(value):
    """A plan as text; what TOML cannot say (None) is left for the parser to refuse."""
    if isinstance(value, dict):
        return "\n".join(f"{json.dumps(key)} = {_inline(part)}" for key, part in value.items())
    return _inline(value)


def _inline(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return json.dumps(value)


def answer(arguments, capsys):
    """What is wrong with the answer to a command line, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            code = cli.run(arguments)
        except Exception as error:
            return f"{arguments}: {type(error).__name__}: {error}"
    out, err = capsys.readouterr()
    if code not in CODES or "Traceback" in out + err:
        return f"{arguments}: exit code {code}, {err[-300:]}"
    if code and not err.strip():
        return f"{arguments}: exit code {code} and not a word"
    return None


def spoilt_line(rng):
    name = str(rng.choice(list(SMALL)))
    arguments = [name, *SMALL[name]]
    options = [p for p in cli.commands.commands[name].params if isinstance(p, click.Option) and p.name != "scheduler"]
    for _ in range(int(rng.integers(1, 4))):
        text = TEXTS[rng.integers(len(TEXTS))]
        kind = rng.random()
        if kind < 0.7 and options:
            option = options[rng.integers(len(options))]
            arguments += [option.opts[0]] if option.is_flag else [option.opts[0], text]
        elif kind < 0.8:
            arguments.insert(int(rng.integers(1, len(arguments) + 1)), text)
        elif kind < 0.9 and len(arguments) > 1:
            arguments[int(rng.integers(1, len(arguments)))] = text
        else:
            del arguments[int(rng.integers(0, len(arguments)))]
        if not arguments:
            break
    # These take what nobody waits for: a report of everything, a training of the full size.
    return (
        arguments if arguments and arguments[0] in SMALL and set(SMALL[name][:6]) <= set(arguments) else [name, "--x"]
    )


def spoilt_plan(rng):
    plan = json.loads(json.dumps(PLAN))
    for _ in range(int(rng.integers(1, 3))):
        node, parent, key = plan, None, None
        while isinstance(node, dict) and node and rng.random() < 0.75:
            parent, key = node, str(rng.choice(list(node)))
            node = node[key]
        if parent is None:
            parent, key = plan, str(rng.choice(KEYS))
        kind = rng.random()
        if kind < 0.6:
            parent[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
        elif kind < 0.8:
            parent[str(rng.choice(KEYS))] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
        else:
            parent.pop(key, None)
    text = toml(plan)
    if rng.random() < 0.25 and text:
        place = int(rng.integers(len(text)))
        text = text[:place] + str(rng.choice(["", "=", "[", '"', "\n", "é", "\x00", "}"])) + text[place + 1 :]
    return text


def run_lines(start, capsys):
    lines = [spoilt_line(np.random.default_rng([number, 5])) for number in range(start, start + TOGETHER)]
    faults = [fault for line in lines if (fault := answer(line, capsys))]
    assert not faults, "\n".join(faults)


def run_plans(start, folder, capsys):
    faults = []
    for number in range(start, start + TOGETHER):
        text = spoilt_plan(np.random.default_rng([number, 6]))
        (folder / "odd.toml").write_text(text, encoding="utf-8")
        if fault := answer(["plan", "odd.toml"], capsys):
            faults.append(f"{number}: {fault}\n{text}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("start", range(0, ORDINARY, TOGETHER))
def test_spoilt_command_lines(start, folder, capsys):
    run_lines(start, capsys)


@pytest.mark.parametrize("start", range(0, ORDINARY, TOGETHER))
def test_spoilt_plans(start, folder, capsys):
    run_plans(start, folder, capsys)


@pytest.mark.fuzz
@pytest.mark.parametrize("start", range(ORDINARY, ALL, TOGETHER))
def test_spoilt_command_lines_at_length(start, folder, capsys):
    run_lines(start, capsys)


@pytest.mark.fuzz
@pytest.mark.parametrize("start", range(ORDINARY, ALL, TOGETHER))
def test_spoilt_plans_at_length(start, folder, capsys):
    run_plans(start, folder, capsys)
