"""Teachers in words, in files and in plans: what each form makes, and how a wrong one is refused."""

import json

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from problems import random_network

import fastmodes as fm
from fastmodes.cli import commands, run
from fastmodes.networks.teacher_text import KINDS, teacher_from
from fastmodes.sweeps import Plan, PlanError, open_sweep, sweep

FORMS = {
    "0.9, 0.5,-0.3": fm.aligned_teacher(fm.Modes([0.9, 0.5, -0.3], 1.0, 1.0)),
    "aligned([0.9, 0.5], readout=2, n_out=3, basis=random, seed=4)": fm.aligned_teacher(
        fm.Modes([0.9, 0.5], 2.0, 1.0), n_out=3, basis="random", seed=4
    ),
    "rotating(0.9, [0.3, 1.2], input=[1, 0.5])": fm.rotating_teacher(0.9, [0.3, 1.2], input=[1, 0.5]),
    "Rotating_teacher(angle=.3,modulus=9e-1)": fm.rotating_teacher(0.9, 0.3),
    "nonnormal([0.8,0.5,0.2], 1.5, seed=3)": fm.nonnormal_teacher([0.8, 0.5, 0.2], 1.5, seed=3),
    "delay-line(3, gain=0.9)": fm.delay_line_teacher(3, gain=0.9),
    "random(5, n_out=2, n_in=3, radius=0.8, seed=1)": fm.random_teacher(5, n_out=2, n_in=3, radius=0.8, seed=1),
}


@pytest.mark.parametrize("text", FORMS)
def test_a_text_is_the_call_of_the_function(text):
    assert fm.parse_teacher(text) == FORMS[text]
    kept = teacher_from(text)
    assert teacher_from(json.loads(json.dumps(kept.table()))) == kept
    assert str(teacher_from(str(kept))) == str(kept)


def test_one_teacher_has_one_text_however_it_is_written():
    texts = {str(teacher_from(t)) for t in ("rotating(0.9,[0.3,1.2])", " rotating( angle=[0.3, 1.2], modulus=.9 )")}
    tables = ({"kind": "rotating", "modulus": 0.9, "angle": [0.3, 1.2]}, {"kind": "rotating-teacher", "modulus": 0.9})
    texts.add(str(teacher_from(tables[0])))
    texts.add(str(teacher_from(tables[1] | {"angle": np.array([0.3, 1.2])})))
    assert texts == {"rotating(modulus=0.9, angle=[0.3, 1.2])"}
    with pytest.raises(ValueError, match=r"teacher rotating: missing.*angle"):
        teacher_from(tables[1])


REFUSED = {
    "0.9;0.5": "separated by commas.*rotating.*0.9;0.5",
    "": "teacher must be",
    "rotatin(0.9, 0.3)": "did you mean 'rotating'",
    "rotating(0.9, angl=0.3)": "did you mean 'angle'",
    "rotating(0.9)": "teacher rotating: missing.*angle",
    "rotating(-1, 0.3)": "teacher rotating: modulus must be >= 0; got -1",
    "rotating(0.9, 0.3, modulus=1)": "'modulus' once",
    "rotating(0.9, 0.3, 1.0)": "takes modulus, angle without a name.*got '1.0'",
    "rotating(0.9, [0.3, 1.2)": "without a name|must be a number",
    "rotating(0.9, [a])": r"angle of teacher rotating must be a number, \[NUMBERS\]",
    "rotating(0.9, __import__('os'))": "must be",
    "aligned(0.9, 0.5)": "takes recurrent without a name.*0.5",
    "aligned(0.9, basis=rnd)": "teacher aligned: basis must be one of",
    "nonnormal([0.8, 0.5], 1.5)": "missing.*seed",
    "random(3, seed=0.5)": "teacher random: seed must be a whole number",
    "delay_line(nan)": "teacher delay_line: delay must be a whole number",
    "random(3, radius=1e999, seed=0)": "teacher random: radius must be a finite",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_wrong_text_is_refused(text):
    with pytest.raises(ValueError, match=REFUSED[text]):
        fm.parse_teacher(text)
    done = CliRunner().invoke(commands, ["train", "--teacher", text])
    assert done.exit_code != 0


def test_every_function_that_makes_teachers_has_a_word():
    made = {name.removesuffix("_teacher") for name in fm.__all__ if name.endswith("_teacher") and name[:5] != "parse"}
    assert made == set(KINDS)


def test_random_teachers_have_their_radius_and_deviation():
    for seed in range(3):
        teacher = fm.random_teacher(60, n_out=40, n_in=50, radius=0.7, seed=seed)
        assert teacher.spectral_radius == pytest.approx(0.7, rel=1e-12)
        assert teacher.readout.std() == pytest.approx(1 / np.sqrt(60), rel=0.1)
        assert teacher.input.std() == pytest.approx(1 / np.sqrt(60), rel=0.1)
    assert fm.random_teacher(3, seed=0) != fm.random_teacher(3, seed=1)
    assert not fm.random_teacher(3, radius=0.0, seed=0).recurrent.any()


# Files


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 4, 3), (5, 3, 1)])
def test_a_network_comes_back_from_its_file_bit_for_bit(shape, tmp_path, rng):
    network = random_network(rng, *shape)
    path = fm.write_network(network, tmp_path / "network.nc")
    np.savez(tmp_path / "network.npz", readout=network.readout, recurrent=network.recurrent, input=network.input)
    for back in (fm.read_network(path), fm.read_network(tmp_path / "network.npz"), fm.parse_teacher(str(path))):
        assert back == network
    fm.read_netcdf(path)
    # Axes in another order, under other known names, and without any.
    foreign = xr.Dataset(
        {
            "readout": (("n_hidden", "n_out"), network.readout.T),
            "recurrent": (("unit_from", "unit_to"), network.recurrent.T),
            "input": (("n_hidden", "n_in"), network.input),
        }
    )
    foreign.to_netcdf(tmp_path / "foreign.nc")
    assert fm.read_network(tmp_path / "foreign.nc") == network


def test_files_that_hold_no_network_are_refused(tmp_path, rng):
    network = random_network(rng, 2, 3, 3)
    with pytest.raises(ValueError, match=r"path must end in .nc; got"):
        fm.write_network(network, tmp_path / "network.npz")
    with pytest.raises(TypeError, match=r"network must be a fastmodes.LinearRNN"):
        fm.write_network(3, tmp_path / "network.nc")
    with pytest.raises(ValueError, match=r"path must end in .nc or .npz"):
        fm.read_network(tmp_path / "network.txt")
    for name in ("absent.nc", "absent.npz"):
        with pytest.raises(FileNotFoundError, match=r"there is none"):
            fm.read_network(tmp_path / name)
    np.savez(tmp_path / "two.npz", readout=network.readout, recurrent=network.recurrent)
    with pytest.raises(ValueError, match=r"two.npz must hold readout, recurrent and input; input missing"):
        fm.read_network(tmp_path / "two.npz")
    np.savez(tmp_path / "object.npz", readout=np.array([{}]), recurrent=network.recurrent, input=network.input)
    with pytest.raises(ValueError, match=r"object.npz"):
        fm.read_network(tmp_path / "object.npz")
    np.savez(tmp_path / "nan.npz", readout=network.readout * np.nan, recurrent=network.recurrent, input=network.input)
    with pytest.raises(ValueError, match=r"nan.npz: readout must be finite"):
        fm.read_network(tmp_path / "nan.npz")
    content = (tmp_path / "two.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match=r"damaged or no .npz"):
        fm.read_network(tmp_path / "cut.npz")
    path = fm.write_network(network, tmp_path / "network.nc")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"checksum"):
        fm.read_network(path)
    runs = fm.train(fm.bptt(), network, hidden=2, seeds=1, epochs=1, learning_rate=0.1, steps=2, progress=False)
    fm.write_netcdf(runs, tmp_path / "runs.nc")
    with pytest.raises(ValueError, match=r"fm.network_at"):
        fm.read_network(tmp_path / "runs.nc")


# The command line


def test_the_command_line_trains_on_any_teacher(tmp_path, rng):
    network = random_network(rng, 2, 3, 4, radius=0.8)
    fm.write_network(network, tmp_path / "teacher.nc")
    teachers = {"rotating(0.9, [0.3, 1.2])": fm.rotating_teacher(0.9, [0.3, 1.2])}
    teachers |= {str(tmp_path / "teacher.nc"): network, "delay_line(2)": fm.delay_line_teacher(2)}
    for text, teacher in teachers.items():
        out = tmp_path / "runs.nc"
        small = ["--hidden", "3", "--seeds", "2", "--epochs", "4", "--steps", "5", "-q", "--rule", "bptt"]
        done = CliRunner().invoke(commands, ["train", "--teacher", text, *small, "-o", str(out)])
        assert done.exit_code == 0, done.output
        wanted = fm.train("bptt", teacher, hidden=3, seeds=2, epochs=4, steps=5, learning_rate=0.005, progress=False)
        assert fm.read_netcdf(out).loss.values.tobytes() == wanted.loss.values.tobytes()


def test_a_basis_belongs_to_eigenvalues(capsys):
    assert run(["train", "--teacher", "rotating(0.9,0.3)", "--teacher-basis", "random"]) == 2
    assert "teacher-basis must be identity" in capsys.readouterr().err
    assert run(["train", "--teacher", "nothere.nc"]) == 3


# Sweeps

SMALL = {
    "job": "train", "seeds": 2, "record": ["loss", "mode_recurrent"],
    "fixed": {"rule": "bptt", "updates": "expected", "epochs": 6, "steps": 4, "hidden": 3},
}  # fmt: skip


def fixed(**changes):
    return SMALL | {"fixed": SMALL["fixed"] | changes}


@pytest.mark.parametrize("job", ["train", "expected"])
def test_a_sweep_over_teachers_is_its_parts(job, tmp_path, rng):
    network = random_network(rng, 2, 5, 2, radius=0.8)
    fm.write_network(network, tmp_path / "mine.nc")
    table = {"kind": "nonnormal", "eigenvalues": [0.8, 0.5, 0.2], "departure": 1.5, "seed": 0}
    matrices = {"name": "given", "readout": [[1.0]], "recurrent": [[0.5]], "input": [[2.0]]}
    written = ["0.9,0.5", "rotating(0.9,0.3)", table, matrices, str(tmp_path / "mine.nc"), fm.delay_line_teacher(1)]
    teachers = [teacher_from(one).network for one in written]
    plan = {"job": job, "fixed": {"hidden": 3, "rule": "rflo", "steps": 4}, "axes": {"teacher": written}}
    if job == "train":
        plan["fixed"] |= {"epochs": 6, "updates": "expected"}
    sweep(plan, tmp_path / "out", progress=False)
    found = open_sweep(tmp_path / "out").load()
    labels = found.teacher.values.tolist()
    assert labels[1] == "rotating(modulus=0.9, angle=0.3)"
    assert labels[3:5] == ["given", str(tmp_path / "mine.nc")]
    assert labels[5].startswith("network ")
    for place, teacher in enumerate(teachers):
        here = found.isel(teacher=place)
        if job == "train":
            alone = fm.train(
                "rflo", teacher, hidden=3, seeds=[0], epochs=6, steps=4, updates="expected", learning_rate=0.005,
                record_every=6, progress=False,
            )  # fmt: skip
            np.testing.assert_array_equal(here.loss.values, alone.loss.values[0, 0])
            modes = alone.mode_recurrent.values[0, 0]
            np.testing.assert_array_equal(here.mode_recurrent.values[:, : modes.shape[1]], modes)
            assert found.sizes["mode"] == 5
            assert np.isnan(here.mode_recurrent.values[:, modes.shape[1] :]).all()
        else:
            student = fm.random_student(3, teacher, scale=1.0, seed=0)
            feedback = fm.random_feedback(student, scale=1.0, seed=0)
            assert here.loss == fm.expected_update(fm.rflo(), student, teacher, 4, feedback=feedback).loss


def test_a_changed_file_is_a_changed_plan_and_the_plan_outlives_its_file(tmp_path, rng):
    path = tmp_path / "teacher.nc"
    first, second = (random_network(rng, 2, 3, 2, radius=0.5) for _ in range(2))
    fm.write_network(first, path)
    plan = Plan(fixed(teacher=str(path)))
    assert Plan(fixed(teacher=str(path))).sha256 == plan.sha256
    sweep(plan, tmp_path / "out", progress=False)
    before = open_sweep(tmp_path / "out").load()
    fm.write_network(second, path)
    assert Plan(fixed(teacher=str(path))).sha256 != plan.sha256
    with pytest.raises(ValueError, match=r"fixed.teacher"):
        sweep(fixed(teacher=str(path)), tmp_path / "out", progress=False)
    path.unlink()
    assert Plan(json.loads(plan.canonical)).canonical == plan.canonical
    sweep(Plan(json.loads(plan.canonical)), tmp_path / "out", progress=False)
    assert before.identical(open_sweep(tmp_path / "out").load())


def test_plans_without_a_teacher_of_the_new_kind_stay_what_they_were():
    stored = json.loads(Plan(SMALL).canonical)["fixed"]
    assert "teacher" not in stored
    assert stored["teacher_recurrent"] == [0.9, 0.7, 0.5, 0.3]
    stored = json.loads(Plan(fixed(teacher="0.9,0.5")).canonical)["fixed"]
    assert [name for name in stored if "teacher" in name] == ["teacher"]
    assert stored["teacher"] == "aligned(recurrent=[0.9, 0.5])"


def test_toml_takes_a_text_a_table_and_an_axis(tmp_path):
    head = 'job = "train"\nseeds = 2\n[fixed]\nrule = "bptt"\n'
    for text, wanted in (
        ('teacher = "delay_line(2)"', "delay_line(delay=2)"),
        (
            'teacher = { kind = "rotating", modulus = 0.9, angle = [0.3, 1.2] }',
            "rotating(modulus=0.9, angle=[0.3, 1.2])",
        ),
        ("teacher = { readout = [[1]], recurrent = [[0.5]], input = [[1.0]], name = 'mine' }", "mine"),
        ('[axes]\nteacher = ["0.9,0.5", "rotating(0.9,0.3)"]', "aligned(recurrent=[0.9, 0.5])"),
        ('[zipped.pair]\nteacher = ["0.9,0.5", "delay_line(2)"]\nhidden = [2, 3]', "aligned(recurrent=[0.9, 0.5])"),
    ):
        (tmp_path / "plan.toml").write_text(head + text)
        assert str(Plan.from_toml(tmp_path / "plan.toml").point(0)["teacher"]) == wanted


WRONG = [
    (fixed(teacher="0.9,0.5", teacher_recurrent=[0.9]), "fixed: teacher must be given without teacher_recurrent"),
    (fixed(teacher="0.9", teacher_seed=0), "teacher must be given without teacher_seed"),
    (fixed(teacher="0.9") | {"axes": {"teacher_recurrent": [[0.9], [0.5]]}}, "given without teacher_recurrent"),
    (fixed(teacher="rotatin(0.9,0.3)"), "fixed.teacher: teacher must be one of.*did you mean 'rotating'"),
    (fixed(teacher="absent.nc"), "fixed.teacher: .*there is none.*absent.nc"),
    (fixed(teacher=None), "fixed.teacher: teacher must be"),
    (fixed(teacher=0.9), "fixed.teacher: teacher must be"),
    (fixed(teacher={"kind": "rotating", "modulus": 0.9, "angel": 1}), "fixed.teacher: .*did you mean 'angle'"),
    (fixed(teacher={"readout": [[1.0]]}), "fixed.teacher: .*got the keys readout"),
    (fixed(teacher={"readout": [["a"]], "recurrent": [[1]], "input": [[1]]}), "fixed.teacher"),
    (SMALL | {"axes": {"teacher": ["0.9,0.5", None]}}, "axes.teacher.1: teacher must be"),
    (SMALL | {"axes": {"teacher": ["0.9,0.5", "0.9, 0.5"]}}, "axes.teacher: values must differ"),
]


@pytest.mark.parametrize(("plan", "message"), WRONG)
def test_a_wrong_teacher_of_a_plan_is_refused(plan, message):
    with pytest.raises(PlanError, match=message):
        Plan(plan)
