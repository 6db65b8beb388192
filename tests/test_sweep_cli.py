"""The sweep commands: what they print, and the codes they end with."""

import os

import pytest
import sweep_toy  # noqa: F401
import xarray as xr

from fastmodes.cli import run
from fastmodes.commands.wording import byte_count, duration
from fastmodes.sweeps import Plan
from fastmodes.sweeps.run import estimate

PLAN = """
job = "toy"
seeds = 2
points_per_block = 5
[fixed]
rule = "bptt"
[axes]
x = { start = 0.0, stop = 2.0, num = 6 }
"""


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


def test_from_plan_to_merged_file(plan, tmp_path, capsys):
    out, merged = tmp_path / "out", tmp_path / "all.nc"
    assert run(["plan", str(plan)]) == 0
    shown = capsys.readouterr().out
    for text in (
        "points:      12",
        "blocks:      3 of 5 points",
        "first point:",
        "last point:",
        "time:",
        "memory:",
        "disk:",
    ):
        assert text in shown
    assert "x=0, " in shown
    assert "x=2, " in shown
    assert run(["run", str(plan), "--out", str(out), "--shard", "1/3", "-q"]) == 0
    assert run(["status", str(out)]) == 3
    assert "missing blocks: 1, 2" in capsys.readouterr().out
    assert run(["verify", str(out), "-q"]) == 3
    assert run(["merge", str(out), "-o", str(merged), "-q"]) == 3
    assert "2 of 3 blocks are missing" in capsys.readouterr().err
    assert run(["run", str(plan), "--out", str(out), "-q"]) == 0
    assert "3 blocks: 2 computed, 1 found" in capsys.readouterr().out
    assert run(["status", str(out)]) == 0
    assert run(["verify", str(out), "-q", "--recompute", "2"]) == 0
    assert "3 of 3 blocks are right, 2 of them computed again" in capsys.readouterr().out
    assert run(["merge", str(out), "-o", str(merged), "-q"]) == 0
    with xr.open_dataset(merged) as dataset:
        assert dict(dataset.sizes) == {"x": 6, "seed": 2, "time": 2}
    assert run(["figures", "sweep", str(out), "-o", str(tmp_path / "map.png")]) == 0
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("job = ", "not valid TOML"),
        ('jb = "toy"', "jb: unknown key (did you mean 'job'?)"),
        ('job = "toy"\n[fixed]\nrule = "bptt"\nx = "a"', "fixed.x"),
        ("", "job: missing"),
    ],
)
def test_a_wrong_plan_ends_with_code_2_and_the_key(tmp_path, capsys, text, message):
    (tmp_path / "plan.toml").write_text(text)
    for command in (["plan"], ["run", "--out", str(tmp_path / "out")]):
        assert run([command[0], str(tmp_path / "plan.toml"), *command[1:]]) == 2
        assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["plan.toml"]


def test_what_cannot_be_read_or_written_ends_with_code_3(plan, tmp_path, capsys):
    assert run(["plan", str(tmp_path / "none.toml")]) == 3
    assert run(["plan", str(tmp_path)]) == 3
    assert run(["status", str(tmp_path / "none")]) == 3
    (tmp_path / "file").write_text("")
    assert run(["run", str(plan), "--out", str(tmp_path / "file"), "-q"]) == 3
    assert run(["run", str(plan), "--out", "https://example.org/x", "-q"]) == 2
    assert run(["run", "https://example.org/x.toml", "--out", str(tmp_path / "out"), "-q"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_block_that_fails_ends_with_code_4(tmp_path, capsys):
    (tmp_path / "plan.toml").write_text(PLAN.replace("[fixed]", "[fixed]\nfaulty = true"))
    assert run(["run", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "out"), "-q"]) == 4
    assert "FloatingPointError: asked for" in capsys.readouterr().err


def test_the_estimate_of_bytes_is_what_the_run_takes(plan, tmp_path):
    checked = Plan.from_toml(plan)
    promised = estimate.estimate(checked)
    assert run(["run", str(plan), "--out", str(tmp_path / "out"), "-q"]) == 0
    taken = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.nc"))
    assert taken == pytest.approx(promised.bytes, rel=0.02)
    slow = Plan(
        {"job": "toy", "fixed": {"rule": "bptt", "delay": 0.01}, "axes": {"x": {"start": 0, "stop": 1, "num": 1000}}}
    )
    assert 10.0 < estimate.estimate(slow, threads=1).seconds < 20.0


def test_durations_and_sizes_are_worded():
    assert [duration(s) for s in (0.5, 30, 600, 7200, 86400 * 3)] == ["0.5 s", "30 s", "10 min", "2 h", "3 days"]
    assert [byte_count(b) for b in (12, 1500, 2_000_000)] == ["12 bytes", "1.5 kB", "2 MB"]
