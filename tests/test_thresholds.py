"""What decides "reproduced" stands in one table, and nowhere else; a quick run says what its verdicts are worth."""

import ast
import inspect
import json

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.report import claims_modes, claims_noise, claims_rank, claims_training, thresholds
from fastmodes.analysis.report.experiments import EXPERIMENTS, QUICK
from fastmodes.analysis.report.html import html_report
from fastmodes.analysis.report.verdicts import QUICK_CAVEAT, Claim, verdict_lines

import fastmodes as fm
from fastmodes.files.schema import annotate
from fastmodes.training.results import divergence_sentence

#: The values by which the verdicts of version 0.1.0 were reached, and those of later claims.
VALUES = {
    "AT_REST": 1e-10, "ON_THE_LINE": 1e-14, "LINE_LOSS": 1e-14, "MOVES": 0.1, "NEAR_ZERO": 0.06, "NO_FLOW": 1e-12,
    "ALIKE": 0.9, "OPPOSED": 0.01, "UNLIKE": 0.75, "MOST": 0.5, "SAME_RATE": 0.05, "SLOWEST_AT": 0.02, "GONE": 0.999,
    "FALLEN": 1e-4, "LONG_WAY": 5, "MUCH_LONGER": 2, "FITS": 0.5, "RECURRENT_ALIGNS": 0.9, "ENDS_ALIGN": 0.95,
    "MISALIGNED": 0.95, "LEARNED": 0.05, "OUTSIDE": 1e-9, "SECOND": 1e-2, "CLOSE_TO_ONE": 1.5, "GOES_WITH": -0.3,
    "VARIES": 1e-6, "ENOUGH_RUNS": 5, "WHATEVER": 0.8, "SAME_LIMIT": 1e-3, "FALLS": 0.01, "UNIT_LIMIT": 0.02,
    "POWER": 0.3, "NETWORK_LOW": 0.75, "NETWORK_HIGH": 1.33, "AS_CLEAR": 0.5, "SURE": 0.9,
}  # fmt: skip
#: Checks of every claim on the datasets of a quick run, C1 to C10 as version 0.1.0 had them.
QUICK_CHECKS = {
    "C1": "1111", "C2": "111", "C3": "1111111", "C4": "11011", "C5": "0000000001", "C6": "1110100", "C7": "1110",
    "C8": "111", "C9": "11", "C10": "100", "C11": "111111101111", "C12": "11110000111", "C13": "1101",
}  # fmt: skip


def test_values_are_those_of_the_verdicts():
    assert {name: one.value for name, one in thresholds.THRESHOLDS.items()} == VALUES
    for name, one in thresholds.THRESHOLDS.items():
        assert getattr(thresholds, name) == one.value
        assert len(one.reason) > 15, name
        assert one.what, name


@pytest.mark.parametrize("module", [claims_modes, claims_noise, claims_rank, claims_training])
def test_claims_compare_with_nothing_but_named_thresholds(module):
    """A number beside a comparison sign is a zero or a code, or it has a name and a reason."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                for part in (side.left, side.right) if isinstance(side, ast.BinOp) else (side,):
                    value = part.operand if isinstance(part, ast.UnaryOp) else part
                    if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
                        assert value.value in (0, 1, 2), ast.unparse(node)


def test_every_threshold_is_used():
    text = "".join(inspect.getsource(module) for module in (claims_modes, claims_noise, claims_rank, claims_training))
    for name in thresholds.THRESHOLDS:
        assert f"thresholds.{name}" in text, name


def test_verdicts_about_modes_are_as_before():
    for claim in claims_modes.mode_claims():
        assert "".join(str(int(holds)) for holds in claim.checks.values()) == QUICK_CHECKS[claim.name], claim.name


@pytest.mark.slow
def test_verdicts_of_a_quick_run_are_as_before():
    datasets = {}
    for experiment in EXPERIMENTS:
        datasets[experiment.name] = experiment.compute(QUICK, datasets, False)
    for claim in fm.analysis.claims(datasets):
        assert "".join(str(int(holds)) for holds in claim.checks.values()) == QUICK_CHECKS[claim.name], claim.name


CLAIMS = [Claim("C1", "All", ("one",), {"a": True}, "Fig. 1"), Claim("C2", "None", ("two",), {"b": False}, "Fig. 2")]


def test_a_quick_run_says_what_its_verdicts_are_worth_in_every_line():
    assert verdict_lines(CLAIMS) == ["C1   reproduced", "C2   not reproduced"]
    first, *rows, last = verdict_lines(CLAIMS, quick=True)
    assert first == last == QUICK_CAVEAT
    assert all("not to be quoted" in line for line in (first, *rows))


def test_the_report_prints_thresholds_and_the_caveat():
    data = annotate(xr.Dataset({"loss": 1.0}), title="One", configuration={})
    page, quick = html_report(CLAIMS, [], {"one": data}), html_report(CLAIMS, [], {"one": data}, quick=True)
    for one in thresholds.THRESHOLDS.values():
        assert f"<td>{one.value:g}</td>" in page
    assert "not to be quoted" not in page
    assert quick.count("not to be quoted") == 1 + len(CLAIMS)


def test_the_command_and_the_table_of_a_quick_run_carry_the_caveat(monkeypatch, tmp_path, capsys):
    import importlib

    from fastmodes.cli import run

    module = importlib.import_module("fastmodes.analysis.report.reproduction")
    monkeypatch.setattr(module, "EXPERIMENTS", ())
    monkeypatch.setattr(module, "PICTURES", ())
    monkeypatch.setattr(module, "claims", lambda datasets: CLAIMS)
    monkeypatch.setattr(module, "html_report", lambda *arguments, **options: "")
    for quick, count in (([], 0), (["--quick"], 2 + len(CLAIMS))):
        assert run(["reproduce", *quick, "--out", str(tmp_path)]) == 0
        assert capsys.readouterr().err.count("not to be quoted") == count
        rows = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
        assert ["caveat" in row for row in rows] == [bool(quick)] * len(CLAIMS)


def test_training_says_how_many_runs_diverged(capsys, teacher):
    job = {"hidden": 4, "seeds": range(3), "epochs": 60, "steps": 30, "updates": "expected", "init_scale": 0.5}
    wild = fm.train([fm.bptt(), fm.rflo()], teacher, learning_rate=0.5, **job)
    lost = int((wild.status == 2).sum())
    assert lost
    sentence = divergence_sentence(wild)
    assert sentence.startswith(f"{lost} of 6 runs diverged: ")
    assert "BPTT 3 of 3" in sentence
    assert capsys.readouterr().err.count(sentence) == 1
    fm.train(fm.bptt(), teacher, learning_rate=0.5, progress=False, **job)
    calm = fm.train(fm.bptt(), teacher, learning_rate=1e-4, **job)
    assert np.isfinite(calm.loss).all()
    assert divergence_sentence(calm) == ""
    assert "diverged" not in capsys.readouterr().err
