"""An API without surprises: what holds for one function holds for all of its kind."""

import decimal
import fractions
import inspect
import itertools
import math
import pickle

import numpy as np
import pytest
import xarray as xr

import fastmodes as fm
from fastmodes import cli, parallel
from fastmodes.updates import one

TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
STUDENT = fm.random_student(2, TEACHER, scale=0.4, seed=1)
R = fm.random_feedback(STUDENT, scale=1.0, seed=1)
INPUTS = np.random.default_rng(0).standard_normal((3, 4, 2))
MODES = fm.Modes(np.array([0.2, 0.4]), 0.8, 0.7), fm.Modes(0.6, 1.0, 1.1)
QUIET = {"progress": False}
TRAINING = {"seeds": 2, "epochs": 3, "steps": 4, "learning_rate": 0.1, "updates": "expected", **QUIET}
COLOUR = fm.autoregressive_input(0.5, 2)
RULES = ("bptt", "tbptt(2)", "rflo", "rflo(0.2)", "eprop", "eprop(2)")

#: Calls of functions of whole networks with a rule and R, and of modes with a rule and r.
OF_NETWORKS = {
    "expected_update": lambda rule, r: fm.expected_update(rule, STUDENT, TEACHER, 4, feedback=r),
    "expected_update at infinity": lambda rule, r: fm.expected_update(rule, STUDENT, TEACHER, math.inf, feedback=r),
    "expected_updates": lambda rule, r: fm.expected_updates(rule, [STUDENT] * 2, TEACHER, 4, feedbacks=r),
    "sampled_update": lambda rule, r: fm.sampled_update(rule, STUDENT, TEACHER, INPUTS, feedback=r),
    "coloured_update": lambda rule, r: fm.coloured_update(rule, STUDENT, TEACHER, 4, COLOUR, feedback=r),
    "train": lambda rule, r: fm.train(rule, TEACHER, students=STUDENT, feedbacks=r, **TRAINING).loss.values,
    "matrix_flow": lambda rule, r: (
        fm.matrix_flow(rule, TEACHER, students=STUDENT, feedbacks=r, seeds=1, times=[0.0, 0.2], **QUIET).loss.values
    ),
    "stability_at": lambda rule, r: fm.analysis.stability_at(rule, STUDENT, TEACHER, feedback=r),
}
OF_MODES = {
    "mode_update": lambda rule, **r: fm.mode_update(rule, *MODES, **r),
    "mode_update of networks": lambda rule, **r: fm.mode_update(rule, TEACHER, TEACHER, 5, **r),
    "mode_jacobian": lambda rule, **r: fm.mode_jacobian(rule, *MODES, **r),
    "flow": lambda rule, **r: fm.flow(rule, *MODES, [0.0, 0.5], **QUIET, **r).to_array().values,
    "discrete_map": lambda rule, **r: fm.discrete_map(
        rule, *MODES, [0, 3], learning_rate=0.1, **QUIET, **r
    ).to_array().values,
    "learning_map": lambda rule, **r: fm.analysis.learning_map(rule, *MODES, end=2.0, **QUIET, **r).to_array().values,
    "stability": lambda rule, **r: fm.analysis.stability(rule, 0.6, 1.1, 0.7, **QUIET, **r).stability_real.values,
    "convergence_rate": lambda rule, **r: fm.analysis.convergence_rate(rule, 0.6, 1.1, 0.7, **QUIET, **r).values,
    "largest_learning_rate": lambda rule, **r: fm.analysis.largest_learning_rate(
        rule, 0.6, 1.1, 0.7, **QUIET, **r
    ).values,
}  # fmt: skip


def same(found, other):
    """Equal to the bit: arrays, or tuples of arrays."""
    for a, b in zip(*((part if isinstance(part, tuple) else (part,)) for part in (found, other)), strict=True):
        np.testing.assert_array_equal(a, b)


# Feedback


@pytest.mark.parametrize("name", OF_NETWORKS)
def test_a_feedback_nobody_reads_changes_nothing_and_one_that_is_read_does(name):
    call = OF_NETWORKS[name]
    for rule in RULES:
        value = fm.parse_rule(rule)
        with_r = call(rule, R)
        same(with_r, call(value, R))
        if value.reads_feedback:
            assert not all(np.array_equal(a, b) for a, b in zip(with_r, call(value, 2 * R), strict=True))
        else:
            same(with_r, call(rule, None))
        with pytest.raises(ValueError, match=r"feedback must have shape \(n_out=2, n_hidden=2\)"):
            call(rule, R[:, :1])


@pytest.mark.parametrize("name", OF_MODES)
def test_r_is_1_unless_given_and_unread_where_nobody_reads_it(name):
    call = OF_MODES[name]
    for rule in RULES:
        value = fm.parse_rule(rule)
        same(call(rule), call(value, feedback=1.0))
        if not value.reads_feedback:
            same(call(rule), call(rule, feedback=0.37))
        with pytest.raises(ValueError, match="feedback must be finite"):
            call(rule, feedback=math.nan)


def test_only_random_feedback_is_read():
    assert [fm.parse_rule(rule).reads_feedback for rule in RULES] == [False, False, True, True, True, True]


# Rules


def test_rules_that_differ_differ_in_name():
    rules = [
        fm.bptt(),
        *map(fm.tbptt, (1, 2)),
        *map(fm.rflo, (0.5, 0.2, 0.9, 1, 1 / 3, 0.1 + 0.2, 0.3, -0.4)),
        fm.eprop(),
    ]
    rules += [fm.eprop(1), fm.eprop(3)]
    assert len({rule.name for rule in rules}) == len(rules)
    for rule in rules:
        assert fm.parse_rule(rule.name) == rule
        assert pickle.loads(pickle.dumps(rule)) == rule
    assert (fm.rflo().name, fm.rflo(0.5).name, fm.rflo(0.9).name, fm.rflo(1).name) == (
        "RFLO", "RFLO", "RFLO(0.9)", "RFLO(1)",
    )  # fmt: skip
    assert fm.eprop(math.inf) == fm.eprop()
    found = fm.train(["rflo(0.2)", fm.rflo(0.9)], TEACHER, hidden=2, **TRAINING)
    alone = fm.train("rflo(0.9)", TEACHER, hidden=2, **TRAINING)
    np.testing.assert_array_equal(found.loss.sel(rule="RFLO(0.9)"), alone.loss.sel(rule="RFLO(0.9)"))
    assert fm.flow(["rflo(0.2)", "rflo(0.9)"], *MODES, 1.0, **QUIET).rule.values.tolist() == ["RFLO(0.2)", "RFLO(0.9)"]
    with pytest.raises(ValueError, match=r"distinct names.*got 'RFLO\(0.2\)' more than once"):
        fm.flow(["rflo(0.2)", fm.rflo(0.2)], *MODES, 1.0)


@pytest.mark.parametrize("make", [fm.bptt, fm.tbptt, fm.rflo, fm.eprop])
def test_every_rule_takes_a_name(make):
    named = make(name="mine")
    assert named.name == "mine"
    assert str(named).split(":")[1] == str(make()).split(":")[1]


NUMBERS = (
    fractions.Fraction(5, 2), fractions.Fraction(10**400), decimal.Decimal(3), decimal.Decimal("inf"), 10**400,
    -(10**400), float("nan"), 2.5, True, "3", 1j, None, [3], np.array([1, 2]), np.float64(3.0), {},
)  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: repr(number)[:20])
def test_odd_numbers_are_refused_in_words(number):
    rule = fm.tbptt(2)
    for parameter, call in (
        ("horizon", lambda: fm.LearningRule("x", horizon=number)), ("horizon", lambda: fm.eprop(number)),
        ("decay", lambda: fm.rflo(number)),
        ("horizon", lambda: fm.flow(rule, *MODES, 1.0, horizon=number, **QUIET)),
        ("horizon", lambda: fm.analysis.stability(rule, 0.5, 1.0, 1.0, horizon=number, **QUIET)),
        ("learning_rate", lambda: fm.sgd(number)), ("clip_norm", lambda: fm.adam(clip_norm=number)),
    ):  # fmt: skip
        try:
            call()
        except (TypeError, ValueError) as error:
            assert parameter in str(error), error  # noqa: PT017


# Threads and limits


def public_functions():
    for module in (fm, fm.analysis):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                yield name, value


PARALLEL = {
    "flow", "discrete_map", "mode_update", "mode_jacobian", "matrix_flow", "expected_updates", "train", "resume",
    "stability", "write_stability", "convergence_rate", "largest_learning_rate", "learning_map", "learning_rate_limits",
    "sweep", "feedback_update", "predict_from_epoch", "theory_error", "gradient_quality", "update_moments",
    "mode_moments", "identify",
}  # fmt: skip


def test_parallel_functions_take_threads_and_integrators_a_step_limit():
    takes = {name for name, function in public_functions() if "threads" in inspect.signature(function).parameters}
    assert takes == PARALLEL
    limited = {name for name, function in public_functions() if "step_limit" in inspect.signature(function).parameters}
    assert limited == {"flow", "matrix_flow", "learning_map", "predict_from_epoch", "theory_error"}
    for name, function in public_functions():
        assert not {"most_steps", "max_steps"} & set(inspect.signature(function).parameters), name


W = xr.DataArray(np.linspace(0.1, 0.8, 700), dims="w0")
MANY = fm.Modes(W, 0.8, 0.7), fm.Modes(0.6, 1.0, 1.1)
LEARNING = fm.LearningRule("mirror", feedback="mirror", mirror_rate=0.5, feedback_decay=0.1)
LEFT = fm.train(
    "bptt", fm.aligned_teacher(fm.Modes([0.5], 1.0, 1.0)), hidden=2, seeds=3, epochs=4, steps=3, learning_rate=0.1,
    keep_weights=True, progress=False,
)  # fmt: skip
THREADED = {
    "identify": lambda **t: fm.analysis.identify(LEFT, **QUIET, **t)["posterior"],
    "flow": lambda **t: fm.flow(["bptt", "rflo"], *MANY, [0.0, 0.5], **QUIET, **t).to_array(),
    "write_flow": lambda **t: fm.read_netcdf(fm.write_flow("f.nc", "bptt", *MANY, [0.5], **QUIET, **t)).to_array(),
    "discrete_map": lambda **t: fm.discrete_map("eprop", *MANY, [3], learning_rate=0.1, **QUIET, **t).to_array(),
    "mode_update": lambda **t: xr.concat(fm.mode_update("rflo", *MANY, 7, **t), "part"),
    "mode_jacobian": lambda **t: fm.mode_jacobian("rflo", *MANY, 7, **t),
    "stability": lambda **t: fm.analysis.stability("rflo", W, 1.0, 0.7, **QUIET, **t).to_dataarray(),
    "write_stability": lambda **t: fm.read_netcdf(
        fm.analysis.write_stability("s.nc", "rflo", W, 1.0, 0.7, **QUIET, **t)
    ).to_dataarray(),
    "convergence_rate": lambda **t: fm.analysis.convergence_rate("rflo", W, 1.0, 0.7, **QUIET, **t),
    "largest_learning_rate": lambda **t: fm.analysis.largest_learning_rate("rflo", W, 1.0, 0.7, **QUIET, **t),
    "learning_map": lambda **t: fm.analysis.learning_map("rflo", *MANY, end=2.0, **QUIET, **t).to_array(),
    "expected_updates": lambda **t: fm.expected_updates("rflo", [STUDENT] * 40, TEACHER, 5, feedbacks=R, **t).recurrent,
    "train": lambda **t: fm.train(["bptt", "rflo"], TEACHER, hidden=2, **TRAINING, **t).loss,
    "resume": lambda **t: fm.resume(LEFT, epochs=9, progress=False, **t).loss,
    "gradient_quality": lambda **t: fm.analysis.gradient_quality(LEFT, **t).gradient_norm,
    "feedback_update": lambda **t: fm.feedback_update(LEARNING, *MANY, 7, feedback=0.3, **t),
    "matrix_flow": lambda **t: fm.matrix_flow("bptt", TEACHER, hidden=2, seeds=3, times=[0.2], **QUIET, **t).loss,
}


@pytest.mark.parametrize("name", THREADED)
def test_results_do_not_depend_on_threads_and_odd_ones_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = THREADED[name]
    whole = np.asarray(call())
    for threads in (1, 3):
        np.testing.assert_array_equal(np.asarray(call(threads=threads)), whole)
    for threads in (0, -1, 2.5, True, 10**6):
        with pytest.raises((TypeError, ValueError), match="threads must be a whole number from 1 to 4096"):
            call(threads=threads)


@pytest.mark.parametrize("threads", [-1, 0, 2.0])
def test_threads_are_checked_before_a_search_begins(threads):
    with pytest.raises((TypeError, ValueError), match="threads must be"):
        fm.analysis.learning_rate_limits("bptt", [0.5], threads=threads)


@pytest.mark.parametrize("steps", [math.inf, 300])
def test_one_update_holds_linear_algebra_to_one_thread(steps, monkeypatch):
    teacher = fm.random_student(40, TEACHER, scale=0.4, seed=2)
    held = []
    for name in ("infinite_update", "finite_update"):
        real = getattr(one.infinite, name)
        monkeypatch.setattr(
            one.infinite, name,
            lambda *a, real=real: held.append(parallel.serial_linear_algebra._inside) or real(*a),
        )  # fmt: skip
    monkeypatch.setattr(one.infinite, "doubling_is_faster", lambda *a: True)
    fm.expected_update("bptt", teacher, teacher, steps)
    assert held == [1]
    assert parallel.serial_linear_algebra._inside == 0


# Names


def test_completion_shows_the_public_names_and_nothing_else():
    for module, modules in ((fm, {"sweeps", "theory"}), (fm.analysis, {"figures"}), (fm.sweeps, set())):
        shown = {name for name in dir(module) if not name.startswith("__")}
        assert shown == set(module.__all__) >= modules
        for name in shown:
            assert getattr(module, name) is not None
    assert {"sweep", "open_sweep", "presets", "analysis", "sgd", "adam"} <= set(fm.__all__)
    with pytest.raises(AttributeError, match="No fastmodes attribute tarin"):
        fm.tarin  # noqa: B018


@pytest.mark.parametrize("name", sorted({*fm.analysis.__all__} - {"figures"}))
def test_every_public_function_of_analysis_says_what_it_takes_and_gives(name):
    value = getattr(fm.analysis, name)
    doc = inspect.getdoc(value)
    assert "Parameters\n----------" in doc
    for parameter in inspect.signature(value).parameters:
        assert parameter in doc, parameter


def test_a_prediction_is_named_as_the_training_it_is_laid_over():
    runs = fm.train("bptt", TEACHER, hidden=2, **TRAINING)
    theory = fm.analysis.predict_from_epoch(runs, 0)
    for name in ("mode_recurrent", "mode_readout", "mode_input"):
        assert (theory[name] - runs[name]).dims == runs[name].dims
        assert theory[name].attrs["long_name"].startswith("predicted")
    with pytest.raises(KeyError, match="mode_recurrent"):
        theory["predicted_recurrent"]
    flowed = fm.flow("bptt", *MODES, 1.0, **QUIET)
    for dataset in (runs, theory):
        assert {"w", "a", "b"} <= set(fm.analysis.letters(dataset)) & set(flowed)
    with pytest.raises(ValueError, match=r"dataset must hold 'mode_recurrent'.*it has w"):
        fm.analysis.letters(flowed)


# Orders


@pytest.mark.parametrize("order", list(itertools.permutations(("readout", "recurrent", "input")))[1:])
def test_matrices_in_another_order_are_refused_where_their_shapes_tell(order):
    shapes = {"readout": (3, 4), "recurrent": (4, 4), "input": (4, 2)}
    assert fm.LinearRNN(**{name: np.ones(shapes[name]) for name in order}).n_out == 3
    with pytest.raises(ValueError, match=r"must (be square|have shape)"):
        fm.LinearRNN(*(np.ones(shapes[name]) for name in order))
    with pytest.raises(ValueError, match="by position the order is readout, recurrent, input"):
        fm.LinearRNN(np.ones((4, 4)), np.ones((4, 2)), np.ones((3, 4)))
    with pytest.raises(TypeError):
        fm.Modes(*STUDENT)


# Command line


@pytest.mark.parametrize(
    "option", ["--start-w", "--start-a", "--teacher", "--feedback", "--decay", "--horizon", "--times"]
)
@pytest.mark.parametrize("value", ["0:1:0", "0:1:-3", "0:1", ""])
def test_a_range_of_no_values_names_its_option(option, value, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.run(["flow", option, value]) == 2
    message = capsys.readouterr().err
    assert option in message
    assert "COUNT of at least 1" in message
    assert not list(tmp_path.iterdir())


def test_what_the_system_says_comes_without_its_number(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    missing = tmp_path / "no"
    for arguments in (
        ["status", missing], ["plan", missing / "plan.toml"], ["train", "--out", missing / "a.nc"],
        ["figures", "1", "--out", tmp_path / "file" / "x"], ["verify", missing],
    ):  # fmt: skip
        assert cli.run([str(argument) for argument in arguments]) == 3
        message = capsys.readouterr().err
        assert "Errno" not in message
        assert str(arguments[-1])[:20] in message
