"""Odd arguments of analysis and extremes of updates: refused by name, or labelled; never an accident further in."""

import fractions
import math
import warnings

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.trained.sweep_statistics import convergence_fraction, outcome_fractions, over_seeds
from fastmodes.kernels.modes.horizon_sums import horizon_sums

import fastmodes as fm
from fastmodes import analysis, sweeps

TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
RULES = (fm.bptt(), fm.rflo())
ROTATING = fm.LinearRNN(np.eye(2), [[0.5, 0.4], [-0.4, 0.5]], np.eye(2))


def train(teacher=TEACHER, **changes):
    arguments = {
        "hidden": 3, "seeds": [0, 1], "epochs": 20, "learning_rate": 0.01, "steps": 8, "updates": "expected",
        "record_every": 5, "keep_weights": True, "progress": False,
    }  # fmt: skip
    return fm.train(RULES, teacher, **(arguments | changes))


@pytest.fixture(scope="module")
def runs():
    return train()


READERS = {
    "predict_from_epoch": lambda data: analysis.predict_from_epoch(data, 0),
    "theory_error": analysis.theory_error,
    "rank": analysis.rank,
    "spectrum": analysis.spectrum,
    "principal_angles": analysis.principal_angles,
    "over_seeds": over_seeds,
    "outcome_fractions": outcome_fractions,
    "convergence_fraction": convergence_fraction,
}
MORE_READERS = READERS | {"most_frequent": lambda data: analysis.most_frequent(data, "status", ["seed"])}


@pytest.mark.parametrize("reader", MORE_READERS)
def test_what_is_no_training_dataset_is_refused(reader, runs):
    read = MORE_READERS[reader]
    for odd in (3, None, "runs.nc", runs["loss"], {"loss": 1}, 1e-300, np.eye(2)):
        with pytest.raises(TypeError, match=r"dataset must be an xarray\.Dataset"):
            read(odd)
    for odd in (xr.Dataset(), runs[["loss"]].isel(seed=0), runs.drop_vars(["rule", "seed", "epoch"]).isel(seed=0)):
        with pytest.raises(ValueError, match=r"dataset must|dims must"):
            read(odd)


@pytest.mark.parametrize("dim", ["rule", "seed", "epoch"])
@pytest.mark.parametrize("reader", READERS)
def test_a_selected_dimension_works_or_is_asked_for(reader, dim, runs):
    try:
        READERS[reader](runs.isel({dim: 0}))
    except ValueError as error:
        if f"must have the dimension '{dim}' (select with a list to keep it: .sel({dim}=[...]))" not in str(error):
            raise
    kept = runs.isel({dim: [0, 1]})
    READERS[reader](kept.isel(epoch=slice(None, 2)) if dim == "epoch" else kept)


def test_a_part_of_the_rules_is_read_as_those_rules(runs):
    whole, part = analysis.rank(runs), analysis.rank(runs.sel(rule=["RFLO"]))
    for name in ("outside_factors", "share_in_feedback_rows"):
        np.testing.assert_array_equal(part[name], whole[name].sel(rule=["RFLO"]))
    with pytest.raises(ValueError, match="dataset must name its rules as they were trained"):
        analysis.rank(runs.assign_coords(rule=["a", "b"]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda runs: analysis.principal_angles(runs, dimensions="x"), "dimensions must be a whole number from 1 to 3"),
        (lambda runs: analysis.principal_angles(runs, dimensions=0), "dimensions must be a whole number from 1 to 3"),
        (lambda runs: analysis.spectrum(runs, epoch="x"), "epoch must be a whole number"),
        (lambda runs: analysis.rank(runs, tolerance=-1), "tolerance must be"),
        (lambda runs: analysis.predict_from_epoch(runs, 5, rtol="x"), "rtol must be"),
        (lambda runs: analysis.theory_error(runs, [10**6]), "epochs must lie from 0 to 20"),
        (lambda runs: analysis.theory_error(runs, "x"), "epochs must hold real numbers"),
        (lambda runs: analysis.unit_rate([fm.bptt(), fm.rflo()], 0.5), "rule"),
        (lambda runs: analysis.unit_rate(np.ones(3), 0.5), "rule"),
        (lambda runs: analysis.unit_rate(fm.bptt(), 2**31), "w must be .* < 1"),
        (lambda runs: analysis.unit_rate(fm.rflo(), 0.5, feedback="x"), "feedback must be"),
        (lambda runs: analysis.learning_rate_limits(fm.bptt(), [0.5], threads=-1), "threads must be"),
        (lambda runs: analysis.learning_rate_limits(fm.bptt(), [0.5 + 0.1j]), "eigenvalues must hold real numbers"),
        (lambda runs: analysis.learning_rate_limits(fm.bptt(), []), "eigenvalues must lie in"),
        (lambda runs: analysis.claims(3), "datasets must be a dict .* missing: unaligned"),
        (lambda runs: analysis.claims({}), "datasets must be a dict"),
        (lambda runs: sweeps.verify("nowhere", recompute=-1), "recompute must be a whole number from 0"),
        (lambda runs: fm.LearningRule("x", horizon=fractions.Fraction(3, 2)), "horizon must be a whole number"),
        (lambda runs: fm.LearningRule("x", horizon=fractions.Fraction(10**400)), "horizon must be a whole number"),
        (lambda runs: fm.rflo(10**400), "decay must be a finite real number"),
        (lambda runs: analysis.stability(fm.tbptt(), 0.5, 1.0, 1.0, horizon="x"), "horizon must hold real numbers"),
        (lambda runs: fm.flow(fm.bptt(), fm.Modes(0.1, 1, 1), fm.Modes(0.5, 1, 1), [[1.0], [1.0, 2.0]]), "times must"),
    ],
)
def test_odd_arguments_are_refused_by_name(call, message, runs):
    with pytest.raises((TypeError, ValueError), match=message):
        call(runs)


STATISTICS = ("outcome_fractions", "convergence_fraction", "most_frequent")


@pytest.mark.parametrize("reader", STATISTICS)
def test_flags_without_meanings_are_refused(reader, runs):
    status = runs["status"].attrs
    for attributes in (
        {}, {"flag_values": status["flag_values"]}, {"flag_meanings": status["flag_meanings"]},
        status | {"flag_meanings": "one"}, status | {"flag_values": 3}, status | {"flag_meanings": 3},
    ):  # fmt: skip
        odd = runs.assign(status=runs["status"].drop_attrs().assign_attrs(attributes))
        with pytest.raises(ValueError, match="dataset must say what the numbers of 'status' mean"):
            MORE_READERS[reader](odd)


@pytest.mark.parametrize("variable", [0, 10**400, np.full((2, 2), np.nan), None, "nowhere"])
def test_a_flag_variable_goes_by_its_name(variable, runs):
    with pytest.raises((TypeError, ValueError), match=r"variable must be|dataset must hold"):
        analysis.most_frequent(runs, variable, ["seed"])


@pytest.mark.parametrize("dims", [0, np.bool_(False), -math.inf, [3], np.zeros((0, 3)), np.eye(2), fm.rflo(), {"a": 1}])
def test_dims_are_names_of_dims(dims, runs):
    with pytest.raises((TypeError, ValueError), match="dims must"):
        analysis.most_frequent(runs, "status", dims)


NO_NUMBERS = ("x", None, math.nan, 10**400, [1.0], float, True, np.eye(2), xr.DataArray([0.1]), fm.bptt())


@pytest.mark.parametrize("z", [*NO_NUMBERS, math.inf, complex(0, math.nan), 1.3])
def test_the_error_is_transferred_where_its_sum_converges(z):
    with pytest.raises((TypeError, ValueError), match="z must be"):
        analysis.error_transfer(fm.random_student(3, TEACHER, scale=0.1, seed=0), TEACHER, z)


@pytest.fixture(scope="module")
def flowed():
    return fm.matrix_flow("rflo", TEACHER, seeds=[0, 1], times=[0.0, 0.5], hidden=3, progress=False)


def test_end_points_ask_for_a_flow_its_rules_and_teacher(flowed):
    for odd in (*NO_NUMBERS, xr.Dataset(), flowed.isel(rule=0), flowed.isel(seed=[]), flowed.drop_vars("rule")):
        with pytest.raises((TypeError, ValueError), match="flow must"):
            analysis.end_points(odd, "rflo", TEACHER)
    with pytest.raises(ValueError, match="rules must be among those of the flow, RFLO; got 'BPTT'"):
        analysis.end_points(flowed, "bptt", TEACHER)
    for odd in (*NO_NUMBERS, range(3)):
        with pytest.raises(TypeError, match="teacher must be"):
            analysis.end_points(flowed, "rflo", odd)
    with pytest.raises(ValueError, match="student must have the teacher's n_in"):
        analysis.end_points(flowed, "rflo", fm.LinearRNN([[1.0]], [[0.5]], [[1.0]]))


@pytest.mark.parametrize("students", [0.5, True, 10**400, fractions.Fraction(1, 2), xr.DataArray(0.5), [], [3]])
def test_students_are_networks_for_every_function(students):
    options = {"seeds": [0], "students": students, "progress": False}
    for call in (
        lambda: fm.matrix_flow("rflo", TEACHER, times=[1.0], **options),
        lambda: fm.train("rflo", TEACHER, epochs=1, steps=2, learning_rate=0.1, **options),
        lambda: fm.expected_updates("bptt", students, TEACHER, 3),
    ):
        with pytest.raises((TypeError, ValueError), match="student"):
            call()


@pytest.mark.parametrize("odd", [[], [1.0, [2.0]], xr.Dataset(), np.ones((2, 2))], ids=["empty", "ragged", "set", "2"])
def test_what_cannot_be_a_grid_is_refused_before_it_is_cut(odd, tmp_path):
    start, goal = fm.Modes(0.1, 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0)
    for name, modes in (("modes", odd), ("modes", start._replace(input=odd)), ("modes", start._replace(recurrent=odd))):
        with pytest.raises((TypeError, ValueError), match=rf"{name}|recurrent|input"):
            fm.write_flow(tmp_path / "flow.nc", "rflo", modes, goal, 1.0)
    with pytest.raises((TypeError, ValueError), match="position"):
        analysis.write_stability(tmp_path / "map.nc", "rflo", 0.5, 1.0, odd)
    if not isinstance(odd, np.ndarray):
        with pytest.raises((TypeError, ValueError), match=r"teacher_input|point"):
            analysis.learning_map("rflo", start, goal._replace(input=odd), end=5.0)
    with pytest.raises((TypeError, ValueError), match="input_covariance"):
        fm.impulse_expectation(lambda x: (x,), 3, 3, odd)
    assert not list(tmp_path.iterdir())


def test_a_plan_and_a_sweep_that_are_not_there_are_named_by_parameter(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"plan must be a TOML file .*nowhere"):
        fm.sweep(str(tmp_path / "nowhere.toml"), tmp_path / "out")
    with pytest.raises(IsADirectoryError, match="plan must be a TOML file"):
        fm.sweep(tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="out holds no sweep"):
        fm.open_sweep(tmp_path / "nowhere")


@pytest.mark.parametrize("shape", [(0, 4, 2), (2, 0, 4, 2)])
def test_no_sequences_have_no_outputs(shape):
    found = fm.simulate(fm.random_student(3, TEACHER, scale=0.1, seed=0), np.ones(shape), initial=np.ones(3))
    assert found.output.shape == (*shape[:-1], 2)
    assert found.hidden.shape == (*shape[:-1], 3)


@pytest.mark.parametrize("shard", [(1,), 3, (1, 2, 3), ("a", "b"), "x"])
def test_a_shard_is_two_numbers(shard):
    from fastmodes.sweeps.run.runner import _shard_blocks

    with pytest.raises((TypeError, ValueError), match="shard"):
        _shard_blocks(None, shard)


def test_a_rotating_teacher_is_refused_where_modes_are_real():
    data = train(ROTATING)
    for read in (lambda: analysis.predict_from_epoch(data, 5), lambda: analysis.theory_error(data)):
        with pytest.raises(ValueError, match=r"real eigenvalues.*got 0\.5\+0\.4j at mode 0"):
            read()
    with pytest.raises(ValueError, match="symmetric"):
        fm.flow(fm.bptt(), fm.random_student(2, ROTATING, scale=0.1, seed=0), ROTATING, 1.0)


DIVERGING = {
    "2 I": 2.0 * np.eye(2),
    "-2 I": -2.0 * np.eye(2),
    "1e200": 1e200 * np.ones((2, 2)),
    "rotation": 3.0 * np.array([[0.0, 1.0], [-1.0, 0.0]]),
    "one unit": np.diag([0.5, 2.0]),
}


@pytest.mark.parametrize("matrix", DIVERGING.values(), ids=DIVERGING)
@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_the_loss_of_a_diverged_sum_is_infinite(matrix, loss):
    """Whichever way it is computed, student or teacher or both diverging; and never a warning."""
    wild = fm.LinearRNN(np.eye(2), matrix, np.eye(2))
    other = fm.LinearRNN(np.eye(2), np.flip(matrix), np.ones((2, 2)))
    inputs = np.ones((2, 1200, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rule, r in ((fm.bptt(), None), (fm.rflo(), np.eye(2)), (fm.tbptt(2), None)):
            for student, teacher in ((wild, TEACHER), (TEACHER, wild), (wild, other)):
                for update in (
                    fm.expected_update(rule, student, teacher, 5000, feedback=r, loss=loss),
                    fm.expected_update(rule, student, teacher, 1200, feedback=r, loss=loss, input_covariance=np.eye(2)),
                    fm.sampled_update(rule, student, teacher, inputs, feedback=r, loss=loss),
                    fm.coloured_update(
                        rule, student, teacher, 1200, fm.autoregressive_input(0.5, 2), feedback=r, loss=loss
                    ),
                ):
                    assert update.loss == math.inf
                many = fm.expected_updates(
                    rule, [student] * 3, teacher, 5000, feedbacks=None if r is None else [r] * 3, loss=loss
                )
                assert (many.loss == math.inf).all()


def test_a_diverging_unit_that_nobody_hears_leaves_the_loss_finite():
    """Its weights' updates overflow; the outputs do not: neither may hide the other."""
    for readout, inputs in (([[1.0, 0.0]], [[1.0], [1.0]]), ([[1.0, 1.0]], [[1.0], [0.0]])):
        student = fm.LinearRNN(readout, np.diag([0.5, 2.0]), inputs)
        teacher = fm.LinearRNN([[1.0]], [[0.5]], [[2.0]])
        assert fm.expected_update(fm.bptt(), student, teacher, 3000).loss == pytest.approx(0.5 / (1 - 0.25))


def test_training_that_diverges_never_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rate in (0.3, 10.0, 1e200):
            data = train(steps=math.inf, learning_rate=rate, record_every=1, seeds=range(6), init_scale=0.4)
            assert set(np.unique(data.status)) <= {0, 1, 2}


@pytest.mark.parametrize("p", [5e-324, 1e-300, 1e-39, 1.0, 1e39, 1e300])
@pytest.mark.parametrize("r", [1e-300, 1.0, 1e300])
def test_the_window_scales_with_p_and_r(p, r):
    """|s| goes with (p^2 / |r|)^(1/3), and its end depends on p r besides: no power of either may overflow."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        window = analysis.wrong_branch_window([fm.rflo(0.3), fm.eprop()], np.array([0.9, -0.5]), p, feedback=r)
    start, end = window.window_start.values, window.window_end.values
    assert not np.isnan(start).any()
    assert not np.isnan(end).any()
    if p == 1.0 and r == 1.0:
        np.testing.assert_allclose(start[0], 1.0, rtol=1e-12)
    unit = np.cbrt(p) ** 2 / np.cbrt(r)
    one = analysis.wrong_branch_window([fm.rflo(0.3), fm.eprop()], np.array([0.9, -0.5]), 1.0).window_start.values
    np.testing.assert_allclose(start, one * unit, rtol=1e-12)


@pytest.mark.parametrize("y", [1.0, 1 - 1e-12, -1.0, 0.0, 0.7, -0.3, 1.5, 1e200])
def test_sums_over_the_horizon_are_the_sums(y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for steps in (1, 2, 3, 7, 12):
            powers = [min(y**j, math.inf) if abs(y) < 1e20 else (1.0, y, math.inf)[min(j, 2)] for j in range(steps)]
            slopes = [j * powers[j - 1] for j in range(1, steps)]
            got = horizon_sums(y, steps)
            np.testing.assert_allclose([float(v) for v in got], [sum(powers), sum(slopes)], rtol=1e-13)


def test_the_saddle_is_no_accident_where_decay_times_w_is_one():
    rule = fm.LearningRule("x", "readout", "scalar", horizon=4, decay=2.0)
    found = analysis.saddle_stability(rule, 0.5, 1.0, 0.1)
    assert float(found.stability_real.max()) == pytest.approx(math.sqrt(4 / 0.95))
