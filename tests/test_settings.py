"""One model of train's settings: what derives from it agrees with it, in Python, plans and on the command line."""

import inspect
import json
import math
import warnings

import click
import numpy as np
import pytest

import fastmodes as fm
from fastmodes import cli
from fastmodes.presets import PRESETS, Demo
from fastmodes.sweeps import Plan, PlanError
from fastmodes.sweeps.jobs.train import TrainParameters
from fastmodes.training.parameter_kinds import Choice
from fastmodes.training.parameters import REQUIRED, TRAIN

TEACHER = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
STUDENT = fm.random_student(3, TEACHER, scale=0.5, seed=5)
SMALL = {"epochs": 2, "learning_rate": 0.01, "steps": 3, "validation_size": 2, "batch_size": 2, "progress": False}
PLAN = {"epochs": 2, "hidden": 2, "steps": 3, "teacher_recurrent": [0.9, 0.5]}


def train(**changes):
    return fm.train(**({"rules": "bptt", "teacher": TEACHER, "hidden": 3, "seeds": 1} | SMALL | changes))


def configuration(dataset):
    return json.loads(dataset.attrs["configuration"])


def plan(**document):
    fixed = {"rule": "bptt"} | PLAN | document.pop("fixed", {})
    return Plan({"job": "train", "fixed": fixed} | document)


# The model


def test_the_signature_of_train_is_the_model():
    parameters = inspect.signature(fm.train).parameters
    assert list(parameters) == list(TRAIN)
    for name, parameter in parameters.items():
        missing = parameter.default is inspect.Parameter.empty
        assert (REQUIRED if missing else parameter.default) == TRAIN[name].default, name


def test_every_stored_setting_is_in_the_configuration():
    found = configuration(train())
    assert set(found) == {"command"} | {name for name, parameter in TRAIN.items() if parameter.stored}
    # What version 0.1.0 stored, under the same names.
    assert set(found) >= {
        "rules", "teacher", "hidden", "seeds", "epochs", "learning_rate", "steps", "updates", "batch_size", "optimizer",
        "clip_norm", "loss", "init_scale", "feedback_scale", "record_every", "stop_loss", "divergence_loss",
        "validation_size", "adam_betas", "adam_epsilon", "students", "feedbacks", "keep_weights",
    }  # fmt: skip


def test_a_training_is_computed_again_from_its_configuration():
    first = train(rules=["rflo(0.2)", "eprop(2)"], seeds=2, optimizer=fm.adam(clip_norm=1.0))
    given = configuration(first)
    given["rules"] = [fm.LearningRule(**rule) for rule in given["rules"]]
    given["teacher"] = fm.LinearRNN(**given["teacher"])
    given.pop("command")
    again = fm.train(**given, progress=False)
    assert again.drop_attrs(deep=False).identical(first.drop_attrs(deep=False))
    assert configuration(again) == configuration(first)


def test_plans_and_the_command_line_take_what_the_model_says():
    fields = TrainParameters.model_fields
    options = {option.name: option for option in cli.train.params}
    for name, parameter in TRAIN.items():
        # A plan names its teacher in its own words.
        assert (name in fields) == bool(parameter.sweep) or name == "teacher", name
        if parameter.sweep:
            default = fields[name].default
            assert (tuple(default) if isinstance(default, list) else default) == parameter.elsewhere
        if parameter.option:
            default = options[name].get_default(click.Context(cli.train))
            assert str(default) in (str(parameter.elsewhere), str(parameter.elsewhere).strip("()").replace(" ", ""))
            assert options[name].help.startswith(parameter.help) or name == "progress"
        if isinstance(parameter.kind, Choice):
            assert tuple(options[name].type.choices) == parameter.kind.words


def test_one_default_of_updates_and_of_progress():
    assert TRAIN["updates"].default == plan().fixed["updates"] == "sampled"
    functions = [fm.train, fm.matrix_flow, fm.flow, fm.write_flow, fm.discrete_map, fm.sweep]
    functions += [getattr(fm.analysis, name) for name in (
        "stability", "write_stability", "convergence_rate", "largest_learning_rate", "learning_map", "reproduce",
    )]  # fmt: skip
    for function in functions:
        assert inspect.signature(function).parameters["progress"].default is True, function.__name__
    for command in cli.commands.commands.values():
        for option in command.params:
            assert option.name != "progress" or option.get_default(click.Context(cli.train)) is True


def test_presets_set_what_train_takes():
    for preset in (*PRESETS.values(), Demo()):
        assert set(preset.parameters()) <= set(TRAIN)
    with pytest.raises(ValueError, match="did you mean 'epochs'"):
        PRESETS["fig5"].derive("other", "other", epoch=3)


def test_steps_of_a_plan_may_be_infinite():
    assert plan(fixed={"updates": "expected", "steps": "inf"}).fixed["steps"] == math.inf


# Optimisers


def test_optimisers_are_values():
    assert fm.adam(0.1) == fm.adam(0.1, betas=[0.9, 0.999]) != fm.sgd(0.1)
    assert len({fm.sgd(0.1), fm.sgd(0.1), fm.sgd(0.1, clip_norm=1.0)}) == 2
    for value in (fm.sgd(), fm.sgd(0.01, clip_norm=1.0), fm.adam(betas=(0.8, 0.99), epsilon=1e-6)):
        assert eval(repr(value), {"sgd": fm.sgd, "adam": fm.adam}) == value
    for wrong in (
        lambda: fm.sgd(0.0), lambda: fm.sgd(clip_norm=-1.0), lambda: fm.adam(betas=(0.9, 1.0)),
        lambda: fm.adam(epsilon=0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="must be a finite real number"):
            wrong()


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ({"optimizer": "sgd", "clip_norm": 0.1}, {"optimizer": fm.sgd(0.02, clip_norm=0.1), "learning_rate": None}),
        (
            {"optimizer": "adam", "adam_betas": (0.8, 0.9), "adam_epsilon": 1e-3},
            {"optimizer": fm.adam(betas=(0.8, 0.9), epsilon=1e-3)},
        ),
        (
            {"optimizer": "adam", "adam_betas": (0.8, 0.9), "clip_norm": 0.1},
            {"optimizer": fm.adam(0.02, betas=(0.8, 0.9)), "adam_betas": (0.8, 0.9), "clip_norm": 0.1},
        ),
    ],
)
def test_a_value_is_short_for_the_keywords(word, value):
    one, other = (train(**({"learning_rate": 0.02} | changes)) for changes in (word, value))
    assert one.drop_attrs(deep=False).identical(other.drop_attrs(deep=False))
    assert configuration(one) == configuration(other)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"optimizer": fm.adam(0.1)}, ValueError, "learning_rate must be given once.*0.01.*0.1"),
        ({"optimizer": fm.sgd(clip_norm=1.0), "clip_norm": 2.0}, ValueError, "clip_norm must be given once"),
        ({"optimizer": fm.adam(), "adam_betas": (0.8, 0.9)}, ValueError, "adam_betas must be given once"),
        ({"optimizer": fm.adam(), "adam_epsilon": 1.0}, ValueError, "adam_epsilon must be given once"),
        ({"optimizer": fm.sgd(), "learning_rate": None}, TypeError, "learning_rate must be .*got None"),
        ({"optimizer": 3}, TypeError, r"optimizer must be 'sgd', 'adam', fm.sgd\(...\).*got 3"),
    ],
)
def test_what_contradicts_an_optimiser_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        train(**changes)


def test_an_axis_of_optimisers(tmp_path):
    chosen = ["sgd", {"name": "adam", "clip_norm": 1.0}, fm.adam(betas=(0.5, 0.9))]
    asked = plan(axes={"optimizer": chosen}, record=["loss"], fixed={"learning_rate": 0.1, "epochs": 20})
    fm.sweep(asked, tmp_path / "out", progress=False)
    found = fm.open_sweep(tmp_path / "out")
    assert list(found["optimizer"].values) == ["sgd", str(fm.adam(clip_norm=1.0)), str(fm.adam(betas=(0.5, 0.9)))]
    settings = {"hidden": 2, "epochs": 20, "steps": 3, "learning_rate": 0.1, "progress": False}
    for name, optimizer in zip(found["optimizer"].values, ("sgd", fm.adam(clip_norm=1.0), chosen[2]), strict=True):
        alone = fm.train("bptt", TEACHER, seeds=1, optimizer=optimizer, **settings)
        assert found.loss.sel(optimizer=name).isel(epoch=-1).item() == alone.loss.isel(epoch=-1).item()
    assert Plan(json.loads(asked.canonical)).sha256 == asked.sha256


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("adamw", "did you mean 'adam'"), (3, "one of 'sgd', 'adam'; got 3"),
        ({"name": "sgd", "betas": [0.1, 0.2]}, "key of sgd"),
        ({"name": "adam", "learning_rate": 0.1}, "key of adam"), (fm.adam(0.1), "parameter of its own"),
        ({"name": "adam", "betas": [0.9, 2.0]}, "betas must be"), ({}, "name must be one of"),
    ],
)  # fmt: skip
def test_a_wrong_optimiser_of_a_plan_is_refused(optimizer, message):
    with pytest.raises(PlanError, match=message) as refused:
        plan(fixed={"optimizer": optimizer})
    assert str(refused.value).startswith("fixed.optimizer: ")
    assert str(refused.value).count("; got ") == 1
    with pytest.raises(PlanError, match="values must differ"):
        plan(axes={"optimizer": ["sgd", {"name": "adam"}, fm.adam()]})


# Seeds, students, feedbacks


def test_a_number_of_seeds_is_a_count_everywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train(seeds=3).seed.values.tolist() == [0, 1, 2]
    assert train(seeds=np.int64(2)).seed.values.tolist() == [0, 1]
    assert train(seeds=[8]).seed.values.tolist() == [8]
    flowed = fm.matrix_flow("bptt", TEACHER, hidden=2, seeds=2, times=[0.0, 0.1], progress=False)
    assert flowed.seed.values.tolist() == [0, 1]
    assert plan(seeds=3).dimensions[-1].columns["seed"] == [0, 1, 2]
    assert cli.run(["train", "--seeds", "3", "--epochs", "2", "--steps", "3", "--rule", "bptt", "-q"]) == 0
    assert fm.read_netcdf("training.nc").seed.values.tolist() == [0, 1, 2]
    capsys.readouterr()


def test_one_student_and_one_feedback_serve_all_seeds():
    feedback = fm.random_feedback(STUDENT, scale=1.0, seed=3)
    common = {"rules": ["bptt", "rflo"], "seeds": [4, 9], "hidden": None}
    one = train(**common, students=STUDENT, feedbacks=feedback)
    each = train(**common, students=[STUDENT] * 2, feedbacks=[feedback, feedback.tolist()])
    assert one.identical(each.assign_attrs(one.attrs))
    assert configuration(one) == configuration(each)
    assert one.sizes["unit"] == 3
    times = {"times": [0.0, 0.5], "seeds": 2, "progress": False}
    one = fm.matrix_flow("rflo", TEACHER, students=STUDENT, feedbacks=feedback, **times)
    each = fm.matrix_flow("rflo", TEACHER, students=[STUDENT] * 2, feedbacks=[feedback] * 2, **times)
    assert one.loss.equals(each.loss)


def test_old_names_work_and_say_the_new_one():
    arguments = {"hidden": 2, "seeds": 1, "times": [0.0, 50.0], "progress": False}
    new = fm.matrix_flow("bptt", TEACHER, step_limit=3, **arguments)
    with pytest.warns(DeprecationWarning, match="most_steps of matrix_flow.. is now called step_limit"):
        old = fm.matrix_flow("bptt", TEACHER, most_steps=3, **arguments)
    assert old.identical(new.assign_attrs(old.attrs))
    with pytest.raises(TypeError, match="step_limit, formerly most_steps; got both"):
        fm.matrix_flow("bptt", TEACHER, most_steps=3, step_limit=3, **arguments)
    assert "most_steps" not in inspect.signature(fm.matrix_flow).parameters
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(optimizer="adam", adam_betas=(0.8, 0.9), adam_epsilon=1e-7, clip_norm=1.0)


# Plans that differ


def test_a_changed_plan_is_refused_with_what_differs(tmp_path):
    fm.sweep(plan(seeds=1), tmp_path, progress=False)
    with pytest.raises(PlanError) as refused:
        fm.sweep(plan(seeds=1, fixed={"epochs": 3}, axes={"learning_rate": [0.1]}), tmp_path, progress=False)
    message = str(refused.value)
    for part in (
        "fixed.epochs (2 there, 3 asked for)", "fixed.learning_rate (only there)",
        "axes.learning_rate (only asked for)", plan(seeds=1).sha256,
    ):  # fmt: skip
        assert part in message


def test_a_name_of_a_result_is_no_axis():
    with pytest.raises(
        PlanError, match=r"axes.w: job 'flow' has no parameter 'w' \(a result is called so; .*recurrent"
    ):
        Plan({"job": "flow", "fixed": {"rule": "bptt"}, "axes": {"w": [0.1, 0.2]}})
    with pytest.raises(PlanError, match=r"axes: 'loss' is also a result and cannot be an axis; set it under \[fixed\]"):
        plan(axes={"loss": ["final", "sequence"]})
    assert plan(fixed={"loss": "sequence"}).fixed["loss"] == "sequence"
