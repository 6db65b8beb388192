"""The flow against SciPy, its invariants, its orders, its ends; the discrete map against its definition."""

import naive_modes
import numpy as np
import pytest
import xarray as xr
from fastmodes.kernels.flow.driver import STATUSES
from fastmodes.kernels.flow.observables import mode_losses
from scipy.integrate import solve_ivp

import fastmodes as fm
from fastmodes.modes.flow import integrate
from fastmodes.modes.update import mode_entries, rule_grid
from fastmodes.parallel import run_blocks

FOUR = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
REACHED_END, OPTIMAL, NON_OPTIMAL, LEFT_DOMAIN, STEP_LIMIT = range(5)


def random_starts(n, seed=0, largest_teacher=0.9):
    rng = np.random.default_rng(seed)
    return {
        "modes": fm.Modes(rng.uniform(-0.9, 0.9, n), rng.normal(size=n), rng.normal(size=n)),
        "teacher_modes": fm.Modes(rng.uniform(-largest_teacher, largest_teacher, n), 1.0, rng.normal(size=n)),
        "feedback": rng.normal(size=n),
    }


def plain_rule(rule):
    return rule.feedback == "readout", "recurrent" in rule.propagator, rule.decay, rule.horizon


def reference(rule, starts, i, end, method="DOP853", tolerance=1e-12):
    """State at ``end`` by SciPy, or the state and time at which |w| comes within 1e-6 of 1."""

    def pick(values):
        return float(np.broadcast_to(values, len(starts["feedback"]))[i])

    start = np.array([pick(v) for v in starts["modes"]])
    goal, product, r = pick(starts["teacher_modes"][0]), pick(starts["teacher_modes"][2]), starts["feedback"][i]

    def function(s, y):
        return naive_modes.velocity(y, plain_rule(rule), goal, product, r)

    def jacobian(s, y):
        return naive_modes.complex_step_jacobian(lambda z: function(s, z), y)

    def border(s, y):
        return 1 - 1e-6 - abs(y[0])

    border.terminal = True
    more = {} if method == "DOP853" else {"jac": jacobian}
    options = {"rtol": tolerance, "atol": tolerance * 1e-2, "events": border} | more
    try:
        found = solve_ivp(function, (0, end), start, method, **options)
    except ValueError:
        # SciPy's interpolant of LSODA may miss the border where its step has crossed it.
        found = solve_ivp(function, (0, end), start, "Radau", **options)
    # SciPy gives up (status -1) where steps vanish at the border.
    return found.y[:, -1], found.t[-1], found.status != 0


def sensitivities(rule, starts, end):
    """How much a change of the start grows until the end, by finite differences of tight flows."""
    tight = {"feedback": starts["feedback"], "rtol": 1e-12, "atol": 1e-14}
    base = fm.flow(rule, starts["modes"], starts["teacher_modes"], end, **tight)
    growth = np.ones(len(starts["feedback"]))
    for v in range(3):
        moved = list(starts["modes"])
        moved[v] = moved[v] + 1e-7
        other = fm.flow(rule, fm.Modes(*moved), starts["teacher_modes"], end, **tight)
        for name in "wab":
            growth = np.maximum(growth, np.abs(other[name] - base[name]).values.ravel() / 1e-7)
    return growth


def compare_with_scipy(rule, starts, end, count, rtol, method="DOP853"):
    """Worst error over tolerance among the modes that stay inside; the same modes must leave.

    Trajectories that pass a saddle magnify every error, their own rounding too: their sensitivity is divided out.
    """
    growth = sensitivities(rule, starts, end)
    result = fm.flow(rule, **starts, times=end, rtol=rtol, atol=rtol * 1e-2).isel(rule=0, time=-1)
    got = np.stack([result.w, result.a, result.b], axis=-1)
    worst, left = 0.0, 0
    for i in range(count):
        expected, time, gone = reference(rule, starts, i, end, method)
        assert gone == (int(result.status[i]) == LEFT_DOMAIN), i
        if gone:
            left += 1
            # Where RFLO's a b vanishes on the way, w creeps to the border: the time depends on the last digits.
            assert float(result.time_reached[i]) == pytest.approx(time, rel=1e-4)
        else:
            size = rtol * np.maximum(np.abs(expected), 0.1) * max(1.0, growth[i] / 10)
            worst = max(worst, float((np.abs(got[i] - expected) / size).max()))
    return worst, left


@pytest.mark.parametrize("rule", FOUR, ids=lambda rule: rule.name)
def test_end_states_of_scipy(rule):
    worst, _ = compare_with_scipy(rule, random_starts(12, seed=1), 10.0, 12, 1e-8)
    assert worst < 10


@pytest.mark.slow
@pytest.mark.parametrize("rule", FOUR, ids=lambda rule: rule.name)
def test_end_states_of_scipy_on_a_thousand_starts(rule):
    worst, _ = compare_with_scipy(rule, random_starts(1000, seed=2), 20.0, 1000, 1e-8)
    assert worst < 10


@pytest.mark.parametrize("rule", FOUR, ids=lambda rule: rule.name)
def test_stiff_end_states_of_scipy(rule):
    starts = random_starts(4, seed=3)
    goal = np.array([0.99, -0.99, 0.999, -0.999])
    starts["teacher_modes"] = fm.Modes(goal, 1.0, starts["teacher_modes"][2])
    starts["feedback"] = np.abs(starts["feedback"]) * np.sign(starts["modes"].readout)
    worst, _ = compare_with_scipy(rule, starts, 5.0, 4, 1e-8, "Radau")
    assert worst < 10


@pytest.mark.slow
@pytest.mark.parametrize("rule", FOUR, ids=lambda rule: rule.name)
def test_end_states_of_scipy_on_a_thousand_stiff_starts(rule):
    starts, rng = random_starts(1000, seed=11), np.random.default_rng(12)
    goal = (1 - np.geomspace(0.05, 0.001, 1000)) * rng.choice([-1, 1], 1000)
    starts["teacher_modes"] = fm.Modes(goal, 1.0, starts["teacher_modes"][2])
    worst, _ = compare_with_scipy(rule, starts, 5.0, 1000, 1e-8, "LSODA")
    assert worst < 10


@pytest.mark.parametrize("rule", [fm.bptt(), fm.eprop()], ids=lambda rule: rule.name)
def test_conserved_quantity_drifts_less_than_the_tolerance_allows(rule):
    starts = random_starts(3000, seed=4, largest_teacher=0.99)
    result = fm.flow(rule, **starts, times=np.linspace(0, 50, 6), rtol=1e-8, atol=1e-10).isel(rule=0)
    inside = (result.status != LEFT_DOMAIN).values
    a, b, r = result.a.values, result.b.values, starts["feedback"][:, None]
    kept = a**2 - b**2 if rule.name == "BPTT" else r * a - b**2 / 2
    scale = 1 + (a**2 + b**2 if rule.name == "BPTT" else np.abs(r * a) + b**2).max(axis=1, keepdims=True)
    drift = np.abs(kept - kept[:, :1]) / scale
    assert drift[inside].max() < 100 * 1e-8
    assert inside.mean() > 0.5


def fixed_step_ends(method, steps, dense=False):
    """End of one smooth trajectory by ``steps`` equal steps, or states at the odd fractions inside the steps."""
    entries = mode_entries((fm.bptt(),), fm.Modes(0.2, 1.2, 0.7), fm.Modes(0.6, 1.0, 1.1), 0.0)
    grid = rule_grid((fm.bptt(),), entries)
    h = 1.0 / steps
    times = np.array([0.37 * h, 0.5 * h, 1.0]) if dense else np.array([1.0])
    options = np.array([1e-8, 1e-10, 1e6, h, 0.0])
    states, ends = integrate((fm.bptt(),), grid, times, options, hand_over=False, method=method)
    assert ends.evaluations[0, 0] == steps * {"explicit": 6, "stiff": 8}[method]
    return states[:, 0, 0, 0]


def exact_state(time):
    def function(s, y):
        return naive_modes.velocity(y, (True, True, None, None), 0.6, 1.1, 0.0)

    return solve_ivp(function, (0, time), [0.2, 1.2, 0.7], "DOP853", rtol=3e-14, atol=1e-15).y[:, -1]


@pytest.mark.parametrize(("method", "order"), [("explicit", 5), ("stiff", 5)])
def test_order_of_the_methods(method, order):
    import mpmath

    def function(s, y):
        w, a, b = y
        return [-x for x in naive_modes.endless_update(w, a, b, mpmath.mpf("0.6"), mpmath.mpf("1.1"), a, w)]

    counts = np.array([32, 64, 128])
    with mpmath.workdps(30):
        exact = mpmath.odefun(function, 0, [mpmath.mpf("0.2"), mpmath.mpf("1.2"), mpmath.mpf("0.7")])(1)
        exact = np.array([float(x) for x in exact])
    errors = [np.abs(fixed_step_ends(method, n) - exact).max() for n in counts]
    slopes = np.log(np.array(errors[:-1]) / errors[1:]) / np.log(counts[1:] / counts[:-1])
    assert slopes[-1] == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_order_of_dense_output(method):
    """One step from the start: the interpolant's error falls with the fifth power of the step (order 4)."""
    counts = np.array([8, 16, 32])
    errors = [np.abs(fixed_step_ends(method, n, dense=True) - exact_state(0.37 / n)).max() for n in counts]
    slopes = np.log(np.array(errors[:-1]) / errors[1:]) / np.log(2)
    assert slopes[-1] > 4.8


def test_asked_times_lie_on_the_trajectory():
    starts = random_starts(64, seed=5)
    times = np.linspace(0, 10, 41)
    for rule in FOUR:
        dense = fm.flow(rule, **starts, times=times, rtol=1e-9, atol=1e-11).isel(rule=0)
        part = fm.flow(rule, **starts, times=times[17], rtol=1e-11, atol=1e-13).isel(rule=0)
        inside = (dense.status != LEFT_DOMAIN).values
        for name in "wab":
            np.testing.assert_allclose(dense[name].values[inside, 17], part[name].values[inside, 0], atol=3e-7, rtol=0)
            np.testing.assert_array_equal(
                dense[name].values[:, 0], np.broadcast_to(starts["modes"]["wab".index(name)], 64)
            )


def test_outputs_do_not_change_the_steps():
    starts = random_starts(50, seed=6)
    for rule in FOUR:
        dense = fm.flow(rule, **starts, times=np.linspace(0, 10, 100))
        end = fm.flow(rule, **starts, times=10.0)
        xr.testing.assert_equal(dense.evaluations, end.evaluations)
        np.testing.assert_array_equal(dense.w.values[..., -1], end.w.values[..., -1])


def test_loss_of_bptt_never_rises():
    result = fm.flow(fm.bptt(), **random_starts(2000, seed=7, largest_teacher=0.99), times=np.linspace(0, 30, 200))
    loss = result.loss.isel(rule=0).values
    # Where it is as good as zero, rounding of a b - p is all that is left.
    assert (np.diff(loss, axis=1) <= 1e-9 * loss[:, :1] + 1e-15).all()
    assert (np.diff(loss[loss[:, -1] > 1e-6], axis=1) <= 0).all()


def test_loss_formula_is_half_the_squared_impulse_response():
    k = np.arange(2000)
    for w, a, b, goal, product in (
        (0.3, 1.2, -0.4, 0.8, 0.9),
        (0.9, 1.0, 1.0, 0.9, 1.0 + 1e-9),
        (-0.5, 0.0, 1.0, 0.2, 0.3),
    ):
        direct = 0.5 * ((a * b * w**k - product * goal**k) ** 2).sum()
        loss = np.empty((1, 1))
        mode_losses(tuple(np.array([w, a, b]).reshape(3, 1, 1)), np.array([[goal, product]]), loss)
        assert loss.item() == pytest.approx(direct, rel=1e-6, abs=1e-30)


@pytest.mark.parametrize("rule", FOUR, ids=lambda rule: rule.name)
def test_statuses_tell_the_truth(rule):
    starts = random_starts(4000, seed=8)
    result = fm.flow(rule, **starts, times=1000.0).isel(rule=0, time=0)
    status = result.status.values
    goal, product = starts["teacher_modes"].recurrent, starts["teacher_modes"].input
    at_optimum = np.abs(result.w.values - goal) + np.abs(result.a.values * result.b.values - product)
    assert at_optimum[status == OPTIMAL].max() < 1e-6
    assert (status == OPTIMAL).mean() > 0.5
    left = status == LEFT_DOMAIN
    assert left.any() == (rule.feedback == "random")
    assert (np.abs(result.w.values[left]) > 0.999).all()
    assert (result.time_reached.values[left] < 1000).all()
    assert not (status == STEP_LIMIT).any()


def test_share_of_modes_that_leave_the_domain():
    """About 15 % of RFLO's and 25 % of e-prop's random starts (an independent prototype's count), none of BPTT's."""
    starts = random_starts(4000, seed=9)
    result = fm.flow(FOUR, **starts, times=20.0)
    share = (result.status == LEFT_DOMAIN).mean("point")
    assert share.sel(rule=["BPTT", "tBPTT(1)"]).max() == 0
    assert 0.1 < share.sel(rule="RFLO") < 0.3
    assert 0.2 < share.sel(rule="e-prop") < 0.4


def test_rest_on_the_non_optimal_line_and_on_the_optimal_one():
    result = fm.flow([fm.bptt(), fm.tbptt(1)], fm.Modes(0.3, 0.0, 0.0), fm.Modes(0.8, 1.0, 1.0), 50.0)
    assert (result.status == NON_OPTIMAL).all()
    assert (result.w == 0.3).all()
    resting = fm.flow([fm.bptt(), fm.rflo()], fm.Modes(0.5, 2.0, 0.5), fm.Modes(0.5, 1.0, 1.0), 50.0)
    assert (resting.status == OPTIMAL).all()
    assert fm.flow(fm.rflo(), fm.Modes(0.3, 0.0, 0.0), fm.Modes(0.8, 1.0, 1.0), 50.0).status.item() != NON_OPTIMAL


@pytest.mark.parametrize("size", [1e150, 1e200, 1e300])
def test_overflow_ends(size):
    rules = [*FOUR, fm.tbptt(3)]
    for modes in (fm.Modes(0.1, size, 1.0), fm.Modes(0.1, 1.0, -size), fm.Modes(0.1, size, size)):
        result = fm.flow(rules, modes, fm.Modes(0.8, 1.0, 1.0), [0.0, 50.0])
        assert (result.status != NON_OPTIMAL).all()
        assert (result.time_reached <= 50.0).all()
        # Steps that were rejected must not write outputs.
        for name, start in zip("wab", modes, strict=True):
            assert (result[name].isel(time=0) == start).all()


def test_step_limit_is_a_result():
    result = fm.flow(fm.bptt(), fm.Modes(0.1, 1.0, 1.0), fm.Modes(0.8, 1.0, 1.0), 50.0, step_limit=3)
    assert STATUSES[result.status.item()] == "step_limit"
    assert 0 < result.time_reached.item() < 50


@pytest.mark.parametrize("rule", FOUR, ids=lambda rule: rule.name)
def test_stiff_teacher_costs_ten_times_fewer_evaluations(rule):
    start, teacher = fm.Modes(0.5, 1.0, 1.0), fm.Modes(0.99, 1.0, 1.0)
    result = fm.flow(rule, start, teacher, 20.0, rtol=1e-6, atol=1e-9)

    def function(s, y):
        return naive_modes.velocity(y, plain_rule(rule), 0.99, 1.0, 1.0)

    # SciPy's explicit pair would take minutes for the whole; a part of it is a lower bound.
    part = {"BPTT": 0.2, "e-prop": 0.2}.get(rule.name, 20.0)
    explicit = solve_ivp(function, (0, part), [0.5, 1.0, 1.0], "RK45", rtol=1e-6, atol=1e-9)
    assert result.evaluations.item() * 10 < explicit.nfev * (20.0 / part if part < 20 else 1)


def test_results_do_not_depend_on_threads_or_on_the_split(monkeypatch):
    starts = random_starts(5000, seed=10)
    rules = [*FOUR, fm.tbptt(5)]
    whole = fm.flow(rules, **starts, times=[1.0, 5.0])
    monkeypatch.setattr(
        "fastmodes.modes.flow.run_blocks", lambda work, blocks, _, **k: run_blocks(work, blocks, 1, **k)
    )
    single = fm.flow(rules, **starts, times=[1.0, 5.0])
    xr.testing.assert_equal(whole, single)
    some = {
        "modes": fm.Modes(*(v[301:350] for v in starts["modes"])),
        "teacher_modes": fm.Modes(starts["teacher_modes"][0][301:350], 1.0, starts["teacher_modes"][2][301:350]),
        "feedback": starts["feedback"][301:350],
    }
    part = fm.flow(rules, **some, times=[1.0, 5.0])
    xr.testing.assert_equal(part, whole.isel(point=slice(301, 350)))


def test_mixed_horizons_equal_single_ones():
    tau = xr.DataArray([1, 3, 8], dims="tau")
    modes, teacher = fm.Modes(0.2, 1.0, 0.5), fm.Modes(0.8, 1.0, 1.0)
    grid = fm.flow(fm.tbptt(1), modes, teacher, 5.0, horizon=tau)
    for i, horizon in enumerate(tau.values):
        one = fm.flow(fm.tbptt(int(horizon)), modes, teacher, 5.0)
        assert grid.w.values.ravel()[i] == one.w.item()


def test_every_rule_of_the_family_flows_like_its_update():
    rules = [
        fm.LearningRule("RFLO with readout, 3 steps", "readout", "scalar", horizon=3, decay=1.5),
        fm.LearningRule("BPTT with random feedback, 4 steps", "random", "recurrent", horizon=4),
        fm.LearningRule("diagonal", "random", "diagonal", decay=(0.3,)),
    ]
    start, teacher = fm.Modes(0.3, 1.1, -0.4), fm.Modes(0.7, 1.0, 0.9)
    for rule in rules:
        h = 1e-4
        moved = fm.flow(rule, start, teacher, h, feedback=0.8, rtol=1e-12, atol=1e-14)
        update = fm.mode_update(rule, start, teacher, feedback=0.8)
        for name, before, delta in zip("wab", start, update, strict=True):
            assert (moved[name].item() - before) / h == pytest.approx(-delta, rel=2e-3, abs=1e-4)


def test_grids_carry_their_coordinates():
    w = xr.DataArray([0.1, 0.2], dims="start", coords={"start": [0.1, 0.2]})
    r = xr.DataArray([-1.0, 1.0, 2.0], dims="r", coords={"r": [-1.0, 1.0, 2.0]})
    result = fm.flow(FOUR, fm.Modes(w, 1.0, 0.8), fm.Modes(0.6, 1.0, 1.0), [0.0, 1.0], feedback=r)
    assert result.w.dims == ("rule", "start", "r", "time")
    one = fm.flow(fm.rflo(), fm.Modes(0.2, 1.0, 0.8), fm.Modes(0.6, 1.0, 1.0), [0.0, 1.0], feedback=2.0)
    xr.testing.assert_equal(one.w.squeeze(drop=True), result.w.sel(rule="RFLO", start=0.2, r=2.0, drop=True))


def test_result_survives_a_file(tmp_path):
    from fastmodes.files.netcdf import read_netcdf, write_netcdf

    result = fm.flow(FOUR, fm.Modes(0.2, 1.0, 0.8), fm.Modes(0.6, 1.0, 1.0), [0.0, 1.0])
    xr.testing.assert_identical(read_netcdf(write_netcdf(result, tmp_path / "flow.nc")), result)


@pytest.mark.parametrize("rule", FOUR, ids=lambda rule: rule.name)
def test_map_is_the_repeated_update(rule):
    w, a, b = 0.2, 1.1, 0.6
    for _ in range(25):
        update = fm.mode_update(rule, fm.Modes(w, a, b), fm.Modes(0.7, 1.0, 1.2), feedback=0.9)
        w, a, b = w - 0.02 * update.recurrent, a - 0.02 * update.readout, b - 0.02 * update.input
    arguments = {"feedback": 0.9, "learning_rate": 0.02}
    result = fm.discrete_map(rule, fm.Modes(0.2, 1.1, 0.6), fm.Modes(0.7, 1.0, 1.2), [0, 25], **arguments)
    got = [result[name].values.ravel()[1] for name in "wab"]
    np.testing.assert_allclose(got, [w, a, b], rtol=1e-13)


def test_map_tends_to_the_flow():
    errors = []
    flowed = fm.flow(FOUR, fm.Modes(0.2, 1.1, 0.6), fm.Modes(0.7, 1.0, 1.2), 1.0, rtol=1e-11, atol=1e-13)
    for rate in (1e-3, 5e-4):
        mapped = fm.discrete_map(
            FOUR, fm.Modes(0.2, 1.1, 0.6), fm.Modes(0.7, 1.0, 1.2), round(1 / rate), learning_rate=rate
        )
        errors.append(np.abs(mapped.w.values - flowed.w.values).ravel())
    np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.02)


def test_map_is_stable_up_to_the_largest_learning_rate():
    from fastmodes import analysis

    for rule in FOUR:
        limit = analysis.largest_learning_rate(rule, 0.8, 1.0, 0.7).item()
        start, teacher = fm.Modes(0.8 + 1e-5, 0.7 + 1e-5, 1 / 0.7 + 1e-5), fm.Modes(0.8, 1.0, 1.0)
        below = fm.discrete_map(rule, start, teacher, 20_000, learning_rate=0.98 * limit)
        above = fm.discrete_map(rule, start, teacher, 300, learning_rate=1.1 * limit)
        assert STATUSES[below.status.item()] == "optimal"
        assert STATUSES[above.status.item()] != "optimal"


def test_map_that_leaves_says_when():
    result = fm.discrete_map(fm.bptt(), fm.Modes(0.5, 1.0, 1.0), fm.Modes(0.9, 1.0, 5.0), [1, 50], learning_rate=0.5)
    assert STATUSES[result.status.item()] == "left_domain"
    assert 0 < result.time_reached.item() <= 25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": []}, "times must"),
        ({"times": [1.0, 0.5]}, "times must be >= 0 and ascending"),
        ({"times": [0.0]}, "times must end after 0"),
        ({"rtol": 0}, "rtol must be"),
        ({"atol": -1.0}, "atol must be"),
        ({"step_limit": 0}, "step_limit must be"),
        ({"modes": fm.Modes(1.0, 1.0, 1.0)}, "recurrent must be"),
        ({"teacher_modes": fm.Modes(1.0, 1.0, 1.0)}, "teacher_recurrent must be"),
        ({"decay": 0.3}, "decay must be None"),
        ({"feedback": np.array([np.inf])}, "feedback must be finite"),
    ],
)
def test_refusals_name_parameter_and_range(change, message):
    arguments = {
        "rules": fm.bptt(), "modes": fm.Modes(0.5, 1.0, 1.0), "teacher_modes": fm.Modes(0.9, 1.0, 1.0), "times": 1.0,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        fm.flow(**(arguments | change))


def test_unaligned_networks_are_refused():
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    with pytest.raises(ValueError, match="aligned with the teacher"):
        fm.flow(fm.bptt(), fm.random_student(2, teacher, scale=1.0, seed=1), teacher, 1.0)
