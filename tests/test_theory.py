"""The theory in the package: what docstrings cite exists, and the formulas are those that the kernels compute."""

import inspect
import pydoc
import re
from pathlib import Path

import numpy as np
import pytest

import fastmodes as fm
from fastmodes import cli

ROOT = Path(__file__).parents[1]
FOLDERS = ("kernels", "fastmodes", "analysis")
CITATION = re.compile(r"\btheory\s+sections?\s+(\d+(?:(?:,\s*|\s+and\s+|\s*-\s*)\d+)*)", re.IGNORECASE)
#: What no code computes: the list of claims, and how presets were chosen.
WORDS_ALONE = {8, 9}


def citations():
    """(file, section) of every citation in the sources and in the tests."""
    for folder in (*FOLDERS, "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for cited in CITATION.findall(path.read_text(encoding="utf-8")):
                for number in re.findall(r"\d+", cited):
                    yield str(path.relative_to(ROOT)), int(number)


def test_sections_are_numbered_upwards():
    numbers = list(fm.theory.sections())
    assert numbers == sorted(set(numbers))
    assert numbers[:9] == list(range(1, 10))


def test_every_cited_section_exists():
    known = fm.theory.sections()
    assert not [(path, number) for path, number in citations() if number not in known]


def test_every_section_with_formulas_is_cited_by_the_code_that_computes_them():
    with_formulas = {n for n in fm.theory.sections() if re.search(r"^ {4}\S.* = ", fm.theory.section(n), re.MULTILINE)}
    cited = {number for path, number in citations() if not path.startswith("tests")}
    assert with_formulas - WORDS_ALONE <= cited


def test_sections_make_up_the_text_and_refer_to_each_other():
    parts = [fm.theory.section(number) for number in fm.theory.sections()]
    assert re.sub(r"\n+", "\n", fm.theory.text()).endswith(re.sub(r"\n+", "\n", "".join(parts)))
    for part in parts:
        for number in re.findall(r"\bsection (\d+)", part):
            assert int(number) in fm.theory.sections()


def test_lines_fit_a_terminal_and_are_plain():
    assert all(len(line) <= 120 for line in fm.theory.text().splitlines())
    assert fm.theory.text().isascii()


def test_names_of_the_package_in_the_text_exist():
    for name in re.findall(r"\bfastmodes\.(\w+)", fm.theory.text()):
        assert hasattr(fm, name) or name == "presets"


@pytest.mark.parametrize("number", [0, 99, -1, 1.5, "x", None])
def test_other_sections_are_refused(number):
    with pytest.raises((TypeError, ValueError), match="section must be"):
        fm.theory.section(number)


def test_help_shows_the_theory():
    assert "## 4." in inspect.getdoc(fm.theory)
    assert "Delta W = N W Pg - Ns W* Qg" in pydoc.plain(pydoc.render_doc(fm.theory))


def test_command_line(capsys):
    assert cli.run(["theory"]) == 0
    assert capsys.readouterr().out == fm.theory.text()
    assert cli.run(["theory", "6"]) == 0
    assert capsys.readouterr().out == fm.theory.section(6)
    assert cli.run(["theory", "99"]) == 2
    assert "section must be" in capsys.readouterr().err


# The closed forms of sections 5 and 6, read from the text as they stand there


def formulas(number, rule):
    """{left side: right side} of a rule's lines in a table of formulas, as Python."""
    lines, inside = [], False
    for line in fm.theory.section(number).splitlines():
        if not line.startswith(" " * 6):
            inside = line.startswith(f"    {rule} ")
        if inside and " = " in line:
            lines.append(re.sub(r"^.*?(Delta \w|c\d) = ", r"\1 = ", line.strip()))
    found = dict(line.split(" = ") for line in lines)
    assert found
    return {left: as_python(right) for left, right in found.items()}


def as_python(formula):
    """``p^2 (1+w*^2)/D^3`` as Python: juxtaposition multiplies, w* is a name."""
    tokens = re.findall(r"w_hat|w\*|[A-Za-z]+|\d+|\^|[-+/()\[\]]", formula)
    assert "".join(tokens) == formula.replace(" ", "")
    out = []
    for token in tokens:
        one = {"w*": "goal", "^": "**", "[": "(", "]": ")"}.get(token, token)
        begins = one[0].isalnum() or one == "("
        if out and begins and (out[-1][-1].isalnum() or out[-1] == ")"):
            out.append("*")
        out.append(one)
    return "".join(out)


RULES = {"BPTT": fm.bptt(), "tBPTT(1)": fm.tbptt(1), "RFLO": fm.rflo(0.4), "e-prop": fm.eprop()}


def value(formula, **names):
    # A division binds what was multiplied before it, and products in a denominator are in parentheses.
    return eval(formula, {"__builtins__": {}}, names)


@pytest.mark.parametrize("name", RULES)
def test_updates_of_modes_are_the_text_s(name):
    rng = np.random.default_rng(5)
    text = formulas(5, name)
    for _ in range(20):
        w, goal = rng.uniform(-0.9, 0.9, 2)
        a, b, p, r = rng.standard_normal(4)
        given = None if RULES[name].feedback == "readout" else r
        update = fm.mode_update(RULES[name], fm.Modes(w, a, b), fm.Modes(goal, 1.0, p), feedback=given)
        names = dict(w=w, a=a, b=b, p=p, r=r, goal=goal, w_hat=0.4)
        assert value(text["Delta w"], **names) == pytest.approx(float(update.recurrent), rel=1e-9, abs=1e-12)
        assert value(text["Delta b"], **names) == pytest.approx(float(update.input), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_eigenvalues_are_the_text_s(name):
    rng = np.random.default_rng(6)
    text = formulas(6, name)
    for _ in range(20):
        goal = rng.uniform(-0.9, 0.9)
        p, s, r = rng.standard_normal(3)
        names = dict(p=p, s=s, r=r, goal=goal, w_hat=0.4, D=1 - goal**2, E=1 - 0.4 * goal)
        c0, c1 = (value(text[key], **names) for key in ("c0", "c1"))
        found = fm.analysis.stability(RULES[name], goal, p, s, feedback=r)
        pair = found.stability_real.values.ravel() + 1j * found.stability_imag.values.ravel()
        assert -pair.sum().real == pytest.approx(c1, rel=1e-9, abs=1e-12)
        assert pair.prod().real == pytest.approx(c0, rel=1e-9, abs=1e-12)
