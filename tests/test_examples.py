"""The example scripts of the package run, and show what they say."""

import re
import runpy
from importlib import resources

import pytest

EXAMPLES = {path.name: path for path in (resources.files("fastmodes") / "docs" / "examples").iterdir()}


def lines_of(name, capsys):
    runpy.run_path(str(EXAMPLES[name]), run_name="__main__")
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("name", sorted(name for name in EXAMPLES if name.endswith(".py")))
def test_examples_are_short(name):
    assert len(EXAMPLES[name].read_text(encoding="utf-8").splitlines()) <= 40


def test_tanh_leaves_the_linear_theory_as_the_input_grows(capsys):
    found = {}
    for line in lines_of("tanh.py", capsys):
        scale, rule, apart = re.fullmatch(r"input scale (\S+), (.+): losses (\S+) apart after training", line).groups()
        found[rule, float(scale)] = float(apart)
    assert len(found) == 8
    for (rule, scale), apart in found.items():
        assert apart < 2e-3 if scale == 0.01 else apart > 100 * found[rule, 0.01]
