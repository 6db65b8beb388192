"""The command line: results on stdout, messages on stderr, exit codes, help on one screen."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time

import click
import numpy as np
import pytest
import xarray as xr

import fastmodes as fm
from fastmodes import cli
from fastmodes.commands import diagnosis

COMMAND = [sys.executable, "-c", "from fastmodes.cli import main; main()"]
SMALL = ("--epochs", "5", "--seeds", "2", "--steps", "6", "--hidden", "3", "--batch-size", "4")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(capsys, *arguments):
    """Exit code, stdout and stderr of one call in this process."""
    code = cli.run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def files():
    return sorted(name for _, _, names in os.walk(".") for name in names)


def test_demo_writes_both_files_and_prints_only_where(capsys):
    code, out, err = run(capsys, "demo", "--seeds", 2, "--epochs", 50)
    assert code == 0
    assert out.splitlines() == [os.path.join("fastmodes-demo", name) for name in ("demo.nc", "demo.png")]
    assert "BPTT" in err
    dataset = fm.read_netcdf(out.splitlines()[0])
    assert dict(dataset.sizes) | {"rule": 4, "seed": 2, "mode": 4} == dict(dataset.sizes)
    assert int(dataset["epoch"][-1]) == 50
    with open(out.splitlines()[1], "rb") as picture:
        assert picture.read(8) == b"\x89PNG\r\n\x1a\n"
    assert files() == ["demo.nc", "demo.png"]


def test_demo_twice_replaces_its_files(capsys):
    for epochs in (5, 6):
        assert run(capsys, "demo", "--seeds", 1, "--epochs", epochs, "--out", "here/there")[0] == 0
    assert int(fm.read_netcdf("here/there/demo.nc")["epoch"][-1]) == 6
    assert files() == ["demo.nc", "demo.png"]


def test_train_with_every_option(capsys):
    arguments = {
        "rule": "name=mine,feedback=random,propagator=diagonal,decay=0.9:0.5:0.1,horizon=2", "teacher": "0.8,-0.3",
        "teacher-basis": "random", "teacher-seed": 7, "hidden": 3, "seeds": "4,9", "epochs": 6, "steps": 5,
        "learning-rate": 0.02, "updates": "sampled", "batch-size": 3, "optimizer": "adam", "clip-norm": 0.5,
        "loss": "sequence", "init-scale": 0.3, "feedback-scale": 0.7, "record-every": 4, "stop-loss": 1e-9,
        "divergence-loss": 1e9, "validation-size": 7, "schedule": "cosine", "momentum": 0.0, "leak": 0.7, "data": 20,
        "nonlinearity": "tanh", "colour": 0.3, "private-noise": 0.2, "feedback-noise": 0.1, "target-noise": 0.4,
        "weight-decay": "readout=0.1,recurrent=0,input=0.2",
        "adam-betas": "0.8,0.99", "adam-epsilon": 1e-7, "threads": 1, "figure": "curves.svg", "out": "mine.nc",
        "checkpoint-every": 5,
    }  # fmt: skip
    options = {name for option in cli.train.params for name in option.opts if name.startswith("--")}
    assert options == {f"--{name}" for name in arguments} | {
        "--keep-weights", "--gradient-quality", "--progress", "--help-all", "--input-covariance",
    }  # fmt: skip
    given = list(itertools.chain.from_iterable((f"--{name}", value) for name, value in arguments.items()))
    code, out, err = run(capsys, "train", *given, "--keep-weights", "--no-progress")
    assert (code, out.split()) == (0, ["mine.nc", "curves.svg"]), err
    assert files() == ["curves.svg", "mine.nc"]
    rule = fm.LearningRule("mine", feedback="random", propagator="diagonal", decay=(0.9, 0.5, 0.1), horizon=2)
    expected = fm.train(
        rule, fm.aligned_teacher(fm.Modes([0.8, -0.3], 1.0, 1.0), basis="random", seed=7), hidden=3, seeds=(4, 9),
        epochs=6, steps=5, learning_rate=0.02, batch_size=3, optimizer="adam", clip_norm=0.5, loss="sequence",
        init_scale=0.3, feedback_scale=0.7, record_every=4, stop_loss=1e-9, divergence_loss=1e9, validation_size=7,
        data=20, schedule="cosine", leak=0.7, weight_decay={"readout": 0.1, "recurrent": 0.0, "input": 0.2},
        colour=0.3, private_noise=0.2, feedback_noise=0.1, target_noise=0.4,
        nonlinearity="tanh", adam_betas=(0.8, 0.99), adam_epsilon=1e-7, keep_weights=True, progress=False,
    )  # fmt: skip
    dataset = fm.read_netcdf("mine.nc")
    for attribute in ("created_at", "history"):
        dataset.attrs[attribute] = expected.attrs[attribute]
    assert dataset.identical(expected)


@pytest.mark.parametrize(("text", "seeds"), [("3", [0, 1, 2]), ("3,", None), ("5,2", [5, 2]), ("4:6", [4, 5])])
def test_seeds(text, seeds, capsys):
    code = run(capsys, "train", *SMALL, "--rule", "bptt", "--updates", "sampled", "--seeds", text)[0]
    if seeds is None:
        assert code == 2
    else:
        np.testing.assert_array_equal(fm.read_netcdf("training.nc")["seed"], seeds)


WRONG = {
    "unknown command": (["trian"], "did you mean.*train"),
    "unknown option": (["train", "--learning-rat", "1"], "did you mean.*--learning-rate"),
    "unknown choice": (["train", "--optimizer", "adamw"], "'adamw'.*adam"),
    "unknown rule": (["train", "--rule", "rlfo"], "did you mean 'rflo'"),
    "bad rule field": (["train", "--rule", "decays=3"], "did you mean 'decay'"),
    "same rule twice": (["train", "--rule", "bptt", "--rule", "bptt"], "distinct.*'BPTT'"),
    "diverging decay": (["train", "--rule", "rflo(inf)"], "decay.*finite.*inf"),
    "no seeds": (["train", "--seeds", "0"], "seeds.*>= 1.*'0'"),
    "negative seeds": (["train", "--seeds=-3"], "seeds.*>= 1.*'-3'"),
    "endless seeds": (["train", "--seeds", "1000000000000"], "seeds.*1000000"),
    "bad seeds": (["train", "--seeds", "1e3"], "seeds.*'1e3'"),
    "no epochs": (["train", "--epochs", "0"], "epochs.*from 1.*0"),
    "no learning": (["train", "--learning-rate", "nan"], "learning_rate.*> 0.*nan"),
    "huge": (["train", "--hidden", "90000"], "memory"),
    "batch without batches": (["train", "--updates", "expected", "--batch-size", "3"], "batch_size.*None.*3"),
    "bad teacher": (["train", "--teacher", "0.9;0.5"], "teacher.*commas.*0.9;0.5"),
    "out is a folder": (["train", "--out", "."], "out.*'.'.*folder"),
    "out is a URL": (["train", "--out", "https://a.org/b.nc"], "out.*local.*https"),
    "out is a device": (["train", "--out", os.devnull], "out.*device"),
    "unknown picture": (["train", "--figure", "a.docx"], "figure.*'png'.*'docx'"),
    "picture over data": (["train", "--figure", "a.nc.png", "--out", "./a.nc.png"], "another file.*a.nc.png"),
    "demo without seeds": (["demo", "--seeds", "0"], "seeds.*0.*1"),
    "demo without epochs": (["demo", "--epochs", "-5"], "epochs.*-5"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_usage_is_code_2_and_writes_nothing(kind, capsys):
    arguments, message = WRONG[kind]
    start = time.process_time()
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert re.search(message, " ".join(err.split()), re.IGNORECASE), err
    assert "Traceback" not in err
    assert time.process_time() - start < 5
    assert files() == []


@pytest.mark.parametrize("command", ["train", "demo"])
def test_no_place_to_write_is_code_3(command, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = run(capsys, command, "--out", "file/a.nc")
    assert (code, out) == (3, "")
    assert "out" in err
    assert "file" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130), (OSError(28, "full"), 3), (MemoryError(), 4), (FloatingPointError("x"), 4),
        (ValueError("x"), 2), (BrokenPipeError(), 3),
    ],
)  # fmt: skip
def test_exit_codes(error, code, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(fm, "train", fail)
    before = sys.stdout
    try:
        assert run(capsys, "train", *SMALL)[:2] == (code, "")
    finally:
        if sys.stdout is not before:
            sys.stdout.close()
        sys.stdout = before
    assert files() == []


@pytest.mark.parametrize("name", ["", *cli.commands.commands])
def test_help_fits_a_screen(name):
    done = subprocess.run(
        [*COMMAND, *name.split(), "-h"], capture_output=True, text=True, env={**os.environ, "COLUMNS": "110"}
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 110
    for command in cli.commands.commands if not name else ():
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)


def test_every_command_and_option_is_explained():
    for command in cli.commands.commands.values():
        assert command.help
        for option in command.params:
            assert (
                isinstance(option, click.Argument)
                or option.help
                or isinstance(option.type, click.Choice)
                or option.show_default
            )


def test_doctor_is_well(capsys):
    # Compiled first, which is announced on stderr.
    run(capsys, "doctor")
    code, out, err = run(capsys, "doctor")
    assert code == 0, out + err
    assert err == ""
    assert all(line.startswith("ok ") for line in out.splitlines())
    assert fm.__version__ in out


def test_doctor_reports_what_is_wrong(capsys, monkeypatch):
    def broken():
        raise ArithmeticError("expected and sampled updates differ")

    monkeypatch.setattr(diagnosis, "_kernels_agree", broken)
    code, out, err = run(capsys, "doctor")
    assert code == 4
    assert "FAIL kernels" in out
    assert "ArithmeticError: expected and sampled updates differ" in out
    assert "Traceback" not in out + err


@pytest.mark.parametrize("part", ["loss", "readout", "recurrent", "input"])
def test_doctor_shares_no_code_with_the_kernels_it_checks(monkeypatch, part):
    """An error of one in 1e10 in every update of the package, alike in all its functions, is seen."""
    for name in ("expected_update", "sampled_update"):
        true = getattr(diagnosis, name)

        def wrong(*args, true=true, **options):
            update = true(*args, **options)
            return update._replace(**{part: getattr(update, part) * (1 + 1e-10)})

        monkeypatch.setattr(diagnosis, name, wrong)
    with pytest.raises(ArithmeticError, match="plain NumPy"):
        diagnosis._kernels_agree()


# Real processes


def test_a_reader_that_leaves_early_is_no_traceback():
    process = subprocess.Popen([*COMMAND, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("ok ")
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) in (0, 3)
    assert err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_standard_output_is_code_3():
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "doctor"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


# Says on stderr when the first block of a training computes.
ANNOUNCED = """
import sys, threading
from fastmodes import cli
from fastmodes.training import runs

advances = {name: getattr(runs, name).advance for name in ("_ExpectedBlock", "_SampledBlock")}
for name, advance in advances.items():
    def announced(self, *args, advance=advance):
        sys.stderr.write("computing\\n")
        advance(self, *args)
    getattr(runs, name).advance = announced
cli.main()
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("updates", "hidden"), [("sampled", "4"), ("expected", "200")])
def test_an_interrupt_ends_a_long_training_at_once(updates, hidden):
    # Compiled first: a compilation is not interrupted.
    small = ["train", "--hidden", hidden, "--epochs", "1", "--seeds", "1", "--steps", "5", "--updates", updates]
    subprocess.run([*COMMAND, *small], check=True, capture_output=True)
    long = ["train", "--hidden", hidden, "--epochs", "1000000000", "--updates", updates, "--out", "long.nc"]
    with subprocess.Popen(
        [sys.executable, "-c", ANNOUNCED, *long], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for _ in range(3):
                assert process.stderr.readline().startswith("computing")
            process.send_signal(signal.SIGINT)
            start = time.perf_counter()
            # Computing is left at once; what was recorded is then written, which is said.
            err = ""
            for line in process.stderr:
                err += line
                if line.startswith(("stopped", "interrupted")):
                    break
            elapsed = time.perf_counter() - start
            out, rest = process.communicate(timeout=60)
            err += rest
        finally:
            process.kill()
    assert process.returncode == 130, err
    # What was recorded is kept where a file was asked for.
    assert out in ("", "long.nc\n")
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    assert elapsed < 2
    assert files() == sorted({"training.nc", *out.split()})


def test_infinitely_many_steps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "--steps", "inf", "--updates", "expected", "--seeds", "1", "--epochs", "5", "--hidden", "4"]
    assert cli.run(arguments) == 0
    stored = fm.read_netcdf("training.nc")
    assert json.loads(stored.attrs["configuration"])["steps"] == "inf"
    assert cli.run([*arguments[:2], "many", *arguments[3:]]) == 2


def test_flow_has_leak_and_rates(capsys):
    options = "--rule", "rflo(0.4)", "--start-w", "0.1,0.2,0.3", "--times", "1,9", "--leak", 0.4
    assert run(capsys, "flow", *options, "--rates", "readout=0,recurrent=1,input=2")[0] == 0
    rates = {"readout": 0.0, "recurrent": 1.0, "input": 2.0}
    w = xr.DataArray([0.1, 0.2, 0.3], dims="start_w")
    alone = fm.flow("rflo(0.4)", fm.Modes(w, 1.0, 1.0), fm.Modes(0.7, 1.0, 1.0), [1.0, 9.0], leak=0.4, rates=rates)
    for name in ("w", "a", "b", "loss"):
        np.testing.assert_array_equal(fm.read_netcdf("flow.nc")[name], alone[name])
    assert run(capsys, "flow", "--leak", 0)[0] == 2
    assert run(capsys, "flow", "--rates", "w=1")[0] == 2
