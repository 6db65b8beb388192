"""Labelled arrays go by the names of their dimensions, everywhere; names that would collide are refused beforehand."""

import itertools
import re

import numpy as np
import pytest
import xarray as xr

import fastmodes as fm
from fastmodes import analysis
from fastmodes.validation import by_name

TEACHER = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0), n_out=2, n_in=2)
STUDENT = fm.random_student(2, TEACHER, scale=0.8, seed=0)
RNG = np.random.default_rng(3)
INPUTS, R = RNG.standard_normal((2, 2, 2)), RNG.standard_normal((2, 2))


def same(one, two):
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dims", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("name", ["input", "channel"])
def test_inputs_are_transposed_by_name(dims, name):
    """All three lengths are equal: nothing but the names tells the axes apart."""
    labelled = xr.DataArray(INPUTS, dims=("sample", "time", name)).transpose(
        *np.array(["sample", "time", name])[[*dims]]
    )
    same(
        fm.sampled_update(fm.bptt(), STUDENT, TEACHER, labelled), fm.sampled_update(fm.bptt(), STUDENT, TEACHER, INPUTS)
    )


@pytest.mark.parametrize("dims", [("output", "unit"), ("n_out", "n_hidden")])
def test_feedback_is_transposed_by_name(dims):
    turned = xr.DataArray(R, dims=dims).T
    rule = fm.rflo(0.5)
    for of in (
        lambda r: fm.sampled_update(rule, STUDENT, TEACHER, INPUTS, feedback=r),
        lambda r: fm.expected_update(rule, STUDENT, TEACHER, 5, feedback=r),
        lambda r: fm.coloured_update(rule, STUDENT, TEACHER, 5, fm.autoregressive_input(0.5, 2), feedback=r),
        lambda r: [fm.estimate_modes(STUDENT, TEACHER, feedback=r).mode_feedback],
        lambda r: [fm.alignment(STUDENT, TEACHER, feedback=r).alignment_feedback],
    ):
        same(of(turned), of(R))


def test_lists_of_feedbacks_are_taken_apart_along_the_seeds():
    many = RNG.standard_normal((2, 2, 2))
    labelled = xr.DataArray(many, dims=("seed", "output", "unit")).transpose("unit", "seed", "output")
    settings = {
        "hidden": 2, "seeds": [0, 1], "epochs": 2, "learning_rate": 0.1, "steps": 4, "updates": "expected",
        "progress": False,
    }  # fmt: skip
    one, two = (fm.train(fm.rflo(), TEACHER, feedbacks=f, **settings) for f in (many, labelled))
    np.testing.assert_array_equal(one.loss, two.loss)
    students = [STUDENT, fm.random_student(2, TEACHER, scale=0.8, seed=1)]
    same(*(fm.expected_updates(fm.rflo(), students, TEACHER, 6, feedbacks=f) for f in (many, labelled)))


def test_networks_come_back_from_labelled_weights():
    runs = fm.train(
        fm.bptt(), TEACHER, hidden=2, seeds=[0], epochs=2, learning_rate=0.1, steps=4, updates="expected",
        keep_weights=True, progress=False,
    )  # fmt: skip
    last = runs.isel(rule=0, seed=0, epoch=-1)
    parts = [last[f"{name}_weights"] for name in ("readout", "recurrent", "input")]
    plain = fm.LinearRNN(*(part.values for part in parts))
    assert fm.LinearRNN(*parts) == plain
    assert fm.LinearRNN(*(part.T for part in parts)) == plain
    parts[0] = parts[0].assign_coords(unit=[1, 2])
    with pytest.raises(ValueError, match="must have the hidden units of readout"):
        fm.LinearRNN(parts[0], parts[1], parts[2].assign_coords(unit=[0, 1]))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (xr.DataArray(R, dims=("a", "unit")), r"feedback must have the dimensions \(n_out or output, n_hidden or unit"),
        (xr.DataArray(R, dims=("output", "unit"), coords={"unit": [1, 0]}), "increasing coordinates along 'unit'"),
    ],
)
def test_what_names_do_not_tell_is_refused(array, message):
    with pytest.raises(ValueError, match=message):
        fm.expected_update(fm.rflo(), STUDENT, TEACHER, 5, feedback=array)
    assert by_name("x", xr.DataArray(R), ("n_out", "n_hidden")).dims == ("dim_0", "dim_1")


def test_plain_arrays_and_labelled_ones_multiply_by_name():
    """p = a* b* of an array and a DataArray of the same length is a grid, as everywhere else, and lists are arrays."""
    a, b = xr.DataArray([1.0, 2.0], dims="readout"), np.array([1.0, 3.0])
    got = fm.mode_update(fm.bptt(), fm.Modes(0.1, 1.0, 1.0), fm.Modes(0.5, a, b), 5).recurrent
    assert set(got.dims) == {"readout", "point"}
    for i, j in itertools.product(range(2), repeat=2):
        one = fm.mode_update(fm.bptt(), fm.Modes(0.1, 1.0, 1.0), fm.Modes(0.5, float(a[i]), b[j]), 5)
        assert float(got.isel(readout=i, point=j)) == one.recurrent
    listed = fm.mode_update(fm.bptt(), fm.Modes(0.1, 1.0, 1.0), fm.Modes(0.5, [1.0, 2.0], 2), 5)
    arrays = fm.mode_update(fm.bptt(), fm.Modes(0.1, 1.0, 1.0), fm.Modes(0.5, np.array([1.0, 2.0]), 2.0), 5)
    same(listed, arrays)


def test_feedback_along_mode_belongs_to_the_modes_of_networks():
    student = fm.aligned_student(TEACHER, fm.Modes([0.3, 0.1], 1.0, 0.5))
    r = xr.DataArray([0.5, -1.0], dims="mode")
    for function in (fm.mode_update, fm.mode_jacobian):
        named = function(fm.rflo(), student, TEACHER, 5, feedback=r)
        plain = function(fm.rflo(), student, TEACHER, 5, feedback=r.values)
        same(named, plain)


RESULTS = {
    "flow": ("w", "a", "b", "loss", "status", "time", "time_reached", "evaluations", "rule"),
    "write_flow": ("w", "status", "time", "rule"),
    "discrete_map": ("w", "a", "b", "loss", "status", "epoch", "time_reached", "rule"),
    "learning_map": ("basin", "status", "w", "a", "b", "detour", "path_length", "rule"),
    "mode_jacobian": ("update", "variable"),
    "stability": ("kind", "stable", "oscillatory", "eigenvalue", "stability_real", "convergence_rate", "rule"),
    "write_stability": ("kind", "stable", "eigenvalue", "rule"),
    "convergence_rate": ("kind", "eigenvalue", "rule"),
    "saddle_stability": ("kind", "eigenvalue", "stability_imag", "rule"),
    "wrong_branch_window": ("window_exists", "window_start", "rule"),
    "fixed_points": ("manifold", "w", "a", "b", "loss", "fixed_point_exists", "rule"),
}
NATURAL = sorted({name for names in RESULTS.values() for name in names} | {"mode", "horizon", "decay", "seed", "start"})


def call(function, values, tmp_path):
    """The function of a grid with one labelled parameter."""
    goal, start, rule = fm.Modes(0.5, 1.0, 1.0), fm.Modes(values, 1.0, 1.0), fm.tbptt(2)
    return {
        "flow": lambda: fm.flow(rule, start, goal, 1.0),
        "write_flow": lambda: xr.load_dataset(fm.write_flow(tmp_path / "f.nc", rule, start, goal, 1.0)),
        "discrete_map": lambda: fm.discrete_map(rule, start, goal, 3, learning_rate=0.1),
        "learning_map": lambda: analysis.learning_map(rule, start, goal, end=5.0),
        "mode_update": lambda: fm.mode_update(rule, start, goal, 5).recurrent,
        "mode_jacobian": lambda: fm.mode_jacobian(rule, start, goal, 5),
        "stability": lambda: analysis.stability(rule, values, 1.0, 1.0),
        "write_stability": lambda: xr.load_dataset(analysis.write_stability(tmp_path / "s.nc", rule, values, 1.0, 1.0)),
        "convergence_rate": lambda: analysis.convergence_rate(rule, values, 1.0, 1.0),
        "largest_learning_rate": lambda: analysis.largest_learning_rate(rule, values, 1.0, 1.0),
        "saddle_stability": lambda: analysis.saddle_stability(rule, values, 1.0, 0.1),
        "wrong_branch_window": lambda: analysis.wrong_branch_window(fm.rflo(), values, 1.0),
        "fixed_points": lambda: analysis.fixed_points(rule, values, 1.0, 0.5),
    }[function]


@pytest.mark.parametrize("function", [*RESULTS, "mode_update", "largest_learning_rate"])
def test_natural_names_work_or_are_refused_before_computing(function, tmp_path):
    plain = call(function, xr.DataArray([0.1, 0.2], dims="plain"), tmp_path)()
    reserved = RESULTS.get("stability" if function == "largest_learning_rate" else function, ())
    for name in {*NATURAL[::4], *reserved, "mode", "w", "time"}:
        run = call(function, xr.DataArray([0.1, 0.2], dims=name, coords={name: [3.0, 4.0]}), tmp_path)
        try:
            result = run()
        except ValueError as error:
            if not re.search(rf"must not have a dimension named '{name}'.*\.rename", str(error)):
                raise
            assert name in reserved or name not in ("mode", "horizon", "decay", "seed", "start")
            continue
        assert name not in reserved
        assert name in result.dims
        if isinstance(result, xr.Dataset):
            assert set(result.data_vars) == set(plain.data_vars)
        else:
            np.testing.assert_array_equal(result, plain.values)


def test_a_start_taken_from_a_flow_keeps_no_time():
    """What was selected from a result (rule, time) does not stand in the way of the next one."""
    first = fm.flow(
        [fm.bptt(), fm.tbptt()], fm.Modes(np.array([0.1, 0.2]), 1.0, 0.5), fm.Modes(0.5, 1.0, 1.0), [1.0, 2.0]
    )
    last = first.sel(rule="BPTT").isel(time=-1)
    again = fm.flow(fm.tbptt(), fm.Modes(last.w, last.a, last.b), fm.Modes(0.5, 1.0, 1.0), [1.0])
    assert again.rule.values.tolist() == ["tBPTT(1)"]
    assert again.time.values.tolist() == [1.0]
