"""Leak and rates per matrix beside training: expected updates, modes, flows, stability (theory section 10)."""

import math

import numpy as np
import pytest
import scipy.integrate
import xarray as xr
from fastmodes.analysis import (
    convergence_rate,
    end_points,
    largest_learning_rate,
    learning_map,
    saddle_stability,
    stability,
    write_stability,
    wrong_branch_window,
)

import fastmodes as fm

LEAKS = (1.0, 0.6, 0.15)
RULES = [fm.bptt(), fm.tbptt(2), fm.rflo(0.4), fm.eprop(), fm.dfa()]


def some(seed, sizes=(2, 4, 3), scale=0.4):
    """Student, teacher and R of random entries."""
    n_out, n, n_in = sizes
    rng = np.random.default_rng(seed)
    make = [
        fm.LinearRNN(*(scale * rng.standard_normal(s) for s in ((n_out, k), (k, k), (k, n_in)))) for k in (n, n + 1)
    ]
    return make[0], make[1], rng.standard_normal((n_out, n))


def complex_loss(matrices, teacher, steps, leak, loss, covariance):
    """Expected loss of a leaky network of complex matrices, from its impulse responses alone."""
    a, w, b = matrices
    w, b = (1 - leak) * np.eye(len(w)) + leak * w, leak * b
    total, carried, goal = 0, b, teacher.input
    for k in range(steps):
        error = a @ carried - teacher.readout @ goal
        weight = 1 if loss == "final" else (steps - k) / steps
        total = total + 0.5 * weight * np.trace(error @ covariance @ error.T)
        carried, goal = w @ carried, teacher.recurrent @ goal
    return total


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("steps", [1, 7, 400])
def test_bptt_is_the_gradient_by_complex_step(leak, loss, steps):
    for seed in range(3):
        student, teacher, _ = some(seed, scale=0.3)
        root = np.random.default_rng(seed).standard_normal((3, 3))
        covariance = root @ root.T
        update = fm.expected_update("bptt", student, teacher, steps, loss=loss, leak=leak, input_covariance=covariance)
        matrices = [student.readout, student.recurrent, student.input]
        for part, matrix in enumerate(matrices):
            wanted = np.empty(matrix.shape)
            for place in np.ndindex(matrix.shape):
                moved = [m.astype(complex) for m in matrices]
                moved[part][place] += 1e-30j
                wanted[place] = complex_loss(moved, teacher, steps, leak, loss, covariance).imag / 1e-30
            np.testing.assert_allclose(update[1 + part], wanted, rtol=1e-13, atol=1e-13 * np.abs(wanted).max())


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_expected_updates_are_the_average_of_sampled_ones(leak, loss):
    for seed in range(3):
        student, teacher, r = some(seed)
        for rule in RULES:
            given = {"feedback": r, "loss": loss, "leak": leak}

            def sampled(x, rule=rule, student=student, teacher=teacher, given=given):
                return fm.sampled_update(rule, student, teacher, x, **given)

            wanted = fm.impulse_expectation(sampled, 6, 3)
            for got, part in zip(fm.expected_update(rule, student, teacher, 6, **given), wanted, strict=True):
                np.testing.assert_allclose(got, part, rtol=1e-12, atol=1e-12)
            colour = fm.autoregressive_input(0.6, 3)
            wanted = fm.impulse_expectation(sampled, 6, 3, colour.covariance(6))
            for got, part in zip(fm.coloured_update(rule, student, teacher, 6, colour, **given), wanted, strict=True):
                np.testing.assert_allclose(got, part, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [5, math.inf])
def test_many_students_and_infinitely_many_steps(steps):
    teacher = some(9)[1]
    students, feedbacks = zip(*(some(seed, scale=0.25)[::2] for seed in range(3)), strict=True)
    for rule in RULES:
        for leak in (0.5, 0.2):
            together = fm.expected_updates(rule, students, teacher, steps, feedbacks=feedbacks, leak=leak)
            for i, (student, r) in enumerate(zip(students, feedbacks, strict=True)):
                alone = fm.expected_update(rule, student, teacher, steps, feedback=r, leak=leak)
                late = fm.expected_update(
                    rule, student, teacher, 3000 if steps == math.inf else 5, feedback=r, leak=leak
                )
                for whole, one, long in zip(together, alone, late, strict=True):
                    np.testing.assert_allclose(whole[i], one, rtol=1e-12, atol=1e-13)
                    np.testing.assert_allclose(one, long, rtol=1e-11, atol=1e-12)
            colour = fm.autoregressive_input(0.0, 3)
            white = fm.coloured_update(rule, students[0], teacher, steps, colour, feedback=feedbacks[0], leak=leak)
            for one, whole in zip(white, together, strict=True):
                np.testing.assert_allclose(one, whole[0], rtol=1e-11, atol=1e-12)


def test_without_leak_nothing_changes_in_any_bit():
    student, teacher, r = some(0)
    for rule in RULES:
        for steps in (5, math.inf):
            plain = fm.expected_update(rule, student, teacher, steps, feedback=r)
            for a, b in zip(plain, fm.expected_update(rule, student, teacher, steps, feedback=r, leak=1), strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("leak", [0.0, -0.1, 1.01, math.nan, "slow", None])
def test_a_leak_out_of_range_is_refused(leak):
    student, teacher, _ = some(0)
    for call in (
        lambda: fm.expected_update("bptt", student, teacher, 5, leak=leak),
        lambda: fm.expected_updates("bptt", [student] * 3, teacher, 5, leak=leak),
        lambda: fm.coloured_update("bptt", student, teacher, 5, fm.autoregressive_input(0.5, 3), leak=leak),
    ):
        with pytest.raises((TypeError, ValueError), match="leak"):
            call()


@pytest.mark.parametrize("steps", [7, math.inf])
@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_mode_updates_are_those_of_aligned_networks(steps, loss):
    goal = fm.Modes([0.7, 0.4, -0.3], [1.0, 0.8, 1.2], [0.9, 1.1, 0.7])
    teacher, r = fm.aligned_teacher(goal), np.array([0.9, 1.3, -0.4])
    modes = fm.Modes([0.5, 0.3, -1.1], [0.6, -0.7, 1.0], [1.1, 0.5, 2.0])
    student = fm.aligned_student(teacher, modes)
    feedback = student.readout @ np.diag(r / modes.readout)
    given = {"loss": loss, "feedback": feedback}
    for leak in (0.6, 0.15):
        for rule in RULES:
            whole = fm.expected_update(rule, student, teacher, steps, leak=leak, **given)
            for got in (
                fm.mode_update(rule, modes, goal, steps, leak=leak, feedback=r, loss=loss),
                fm.mode_update(rule, student, teacher, steps, leak=leak, **given),
            ):
                # In the bases in which the student's matrices are diagonal, the update's are.
                readout = student.readout @ np.diag(np.asarray(got.readout) / modes.readout)
                input_ = np.diag(np.asarray(got.input) / modes.input) @ student.input
                wanted = (np.diag(got.recurrent), readout, input_)
                for part, matrix in zip((whole.recurrent, whole.readout, whole.input), wanted, strict=True):
                    np.testing.assert_allclose(part, matrix, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [6, math.inf])
def test_jacobians_of_leaky_modes_are_derivatives(steps):
    rng = np.random.default_rng(1)
    for leak in LEAKS:
        w, a, b, goal = rng.uniform(-0.5, 0.9, (4, 5))
        for rule in RULES:
            jacobian = fm.mode_jacobian(rule, fm.Modes(w, a, b), fm.Modes(goal, 1.0, 0.8), steps, leak=leak)
            for j in range(3):
                sides = []
                for h in (-2e-4, -1e-4, 1e-4, 2e-4):
                    moved = [w, a, b]
                    moved[j] = moved[j] + h
                    sides.append(
                        np.stack(fm.mode_update(rule, fm.Modes(*moved), fm.Modes(goal, 1.0, 0.8), steps, leak=leak))
                    )
                slope = (sides[0] - 8 * sides[1] + 8 * sides[2] - sides[3]) / 12e-4
                np.testing.assert_allclose(jacobian[:, :, j].T, slope, rtol=1e-8, atol=1e-9 * np.abs(jacobian).max())


def test_leaky_modes_out_of_range_are_named_by_their_own_w():
    assert np.isfinite(fm.mode_update("bptt", fm.Modes(-2.5, 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0), leak=0.5)).all()
    with pytest.raises(ValueError, match=r"recurrent must be > -3.0 and < 1.0 everywhere; got -3.5"):
        fm.mode_update("bptt", fm.Modes(-3.5, 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0), leak=0.5)
    plain = fm.mode_update("rflo", fm.Modes([0.1, 0.2, 0.3], 1.0, 1.0), fm.Modes(0.5, 1.0, 2.0))
    off = fm.mode_update("rflo", fm.Modes([0.1, 0.2, 0.3], 1.0, 1.0), fm.Modes(0.5, 1.0, 2.0), leak=1.0)
    np.testing.assert_array_equal(np.stack(off), np.stack(plain))


RATES = (None, 0.3, {"readout": 0.5, "recurrent": 2.0, "input": 1.3}, {"readout": 0.0, "recurrent": 1.0, "input": 2.0})


def plain_flow(rule, starts, goal, r, times, leak, rates):
    """States (variable, point, time) of modes along their own w, a, b, by another integrator."""
    eta = np.array([rates[name] for name in ("recurrent", "readout", "input")]) if isinstance(rates, dict) else rates
    eta = 1.0 if eta is None else eta
    starts = np.asarray(starts, dtype=float)

    def slope(_, y):
        modes = fm.Modes(*y.reshape(starts.shape))
        return np.ravel((-eta * np.stack(fm.mode_update(rule, modes, goal, feedback=r, leak=leak)).T).T)

    options = {"rtol": 1e-10, "atol": 1e-11, "method": "LSODA", "t_eval": times}
    found = scipy.integrate.solve_ivp(slope, (0, times[-1]), starts.ravel(), **options).y
    return found.reshape(*starts.shape, len(times))


@pytest.mark.parametrize(
    "rates", [RATES[1], *(pytest.param(one, marks=pytest.mark.slow) for one in RATES[2:])], ids=str
)
@pytest.mark.parametrize("leak", [pytest.param(1.0, marks=pytest.mark.slow), 0.4])
def test_flows_follow_the_velocity_at_their_rates(leak, rates):
    rng = np.random.default_rng(5)
    times = np.array([0.0, 0.5, 3.0, 40.0, 400.0])
    starts = rng.uniform([-0.3, 0.4, 0.3], [0.6, 1.2, 1.1], (3, 3)).T
    goal, r = fm.Modes(rng.uniform(0.2, 0.8, 3), 1.0, 0.9), rng.uniform(0.5, 1.5, 3)
    rules = [fm.bptt(), fm.tbptt(1), fm.tbptt(3), fm.rflo(0.4), fm.parse_rule("rflo(0.3, feedback=sign)")]
    flows = fm.flow(rules, fm.Modes(*starts), goal, times, feedback=r, leak=leak, rates=rates, progress=False)
    for rule in rules:
        found = flows.sel(rule=rule.name)
        wanted = plain_flow(rule, starts, goal, r, times, leak, rates)
        for name, values in zip("wab", wanted, strict=True):
            np.testing.assert_allclose(found[name], values, rtol=2e-6, atol=2e-6)
        if isinstance(rates, dict) and not rates["readout"]:
            assert (found["a"] == starts[1][:, None]).all()
    names = fm.status_names(flows).values
    assert (names == "optimal").sum() >= 0.8 * names.size


@pytest.mark.parametrize("frozen", ["readout", "recurrent", "input"])
def test_frozen_variables_stay_and_only_learnt_modes_are_optimal(frozen):
    rates = {"readout": 1.0, "recurrent": 1.0, "input": 1.0} | {frozen: 0.0}
    modes = fm.Modes([0.1, 0.3, 0.6], [1.0, 0.0, 1.0], [0.8, 0.5, 0.3])
    flows = fm.flow(
        ["bptt", "tbptt(1)", "rflo(0.5)"], modes, fm.Modes(0.6, 1.0, 1.0), 3000.0, rates=rates, progress=False
    )
    letter = {"readout": "a", "recurrent": "w", "input": "b"}[frozen]
    np.testing.assert_array_equal(flows[letter].isel(time=-1), np.broadcast_to(getattr(modes, frozen), (3, 3)))
    learnt = (np.abs(flows["w"] - 0.6) < 1e-5) & (np.abs(flows["a"] * flows["b"] - 1) < 1e-5)
    optimal = fm.status_names(flows) == "optimal"
    assert not (optimal & ~learnt.isel(time=-1)).any()
    if frozen != "recurrent":
        assert optimal.isel(point=0).all()


def test_stiff_flows_have_rates_too():
    goal, start = fm.Modes(0.9999, 1.0, 1.0), (0.3, 0.8, 1.1)
    times, rates = np.array([1.0, 10.0, 50.0]), RATES[2]
    found = fm.flow("bptt", fm.Modes(*start), goal, times, leak=0.7, rates=rates, progress=False).squeeze()
    wanted = plain_flow("bptt", start, goal, 1.0, times, 0.7, rates)
    for name, values in zip("wab", wanted, strict=True):
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)


def test_flows_without_leak_and_rates_are_what_they_were():
    given = (["bptt", "rflo(0.4)"], fm.Modes([0.1, 0.2, 0.3], 1.0, 0.8), fm.Modes(0.6, 1.0, 1.0), [1.0, 50.0])
    plain = fm.flow(*given, progress=False)
    for off in ({"leak": 1.0}, {"rates": 1.0}, {"rates": dict.fromkeys(("readout", "recurrent", "input"), 1)}):
        flows = fm.flow(*given, **off, progress=False)
        for name in ("w", "a", "b", "loss", "status", "evaluations"):
            np.testing.assert_array_equal(flows[name], plain[name])


def test_rates_that_fit_nothing_are_refused():
    modes, goal = fm.Modes(0.1, 1.0, 0.8), fm.Modes(0.6, 1.0, 1.0)
    for rates in (-1.0, math.nan, {"readout": 1.0}, dict.fromkeys(("w", "a", "b"), 1.0), 0.0, "fast", [1.0, 2.0, 3.0]):
        with pytest.raises((TypeError, ValueError), match="rates"):
            fm.flow("bptt", modes, goal, 1.0, rates=rates, progress=False)
    mirror = fm.parse_rule("rflo(0.5, feedback=mirror, mirror_rate=1, feedback_decay=0.5)")
    with pytest.raises(ValueError, match="rates and leak must be 1"):
        fm.flow(mirror, modes, goal, 1.0, leak=0.5, progress=False)
    with pytest.raises(ValueError, match=r"recurrent must be > -3.0 and < 1.0 everywhere; got -3.2"):
        fm.flow("bptt", fm.Modes(-3.2, 1.0, 1.0), goal, 1.0, leak=0.5, progress=False)


@pytest.mark.parametrize("rates", RATES, ids=str)
@pytest.mark.parametrize("leak", [1.0, 0.4])
def test_stability_is_of_the_jacobian_times_the_rates(leak, rates):
    rng = np.random.default_rng(3)
    goal, p, s, r = rng.uniform([-0.7, 0.3, -1.4, -0.3], [0.9, 1.5, 1.4, 1.5], (40, 4)).T
    eta = 1.0 if rates is None else rates
    if isinstance(eta, dict):
        eta = np.array([eta[name] for name in ("recurrent", "readout", "input")])[:, None]
    rules = [fm.bptt(), fm.tbptt(1), fm.tbptt(3), fm.rflo(0.4), fm.eprop(), fm.parse_rule("rflo(0.3, feedback=sign)")]
    found = stability(rules, goal, p, s, feedback=r, leak=leak, rates=rates, progress=False)
    kinds = fm.status_names(found, "kind")
    for rule in rules:
        at = fm.Modes((goal - (1 - leak)) / leak, s, p / s / leak)
        jacobian = -eta * fm.mode_jacobian(rule, at, fm.Modes(goal, p, 1.0), feedback=r, leak=leak)
        own = found.sel(rule=rule.name)
        for i in range(40):
            values = np.linalg.eigvals(jacobian[i])
            # One zero: that of the manifold, or the frozen variable's.
            pair = np.sort_complex(np.delete(values, np.argmin(np.abs(values))))
            got = own["stability_real"].values[:, i] + 1j * own["stability_imag"].values[:, i]
            np.testing.assert_allclose(np.sort_complex(got), pair, rtol=1e-8, atol=1e-11 * np.abs(pair).max())
            stable = (pair.real < 0).all()
            assert bool(own["stable"][i]) == stable == str(kinds.sel(rule=rule.name).values[i]).startswith("stable")
            limit = float(own["largest_learning_rate"][i])
            if stable:
                assert (np.abs(1 + 0.999 * limit * pair) < 1).all()
                assert (np.abs(1 + 1.001 * limit * pair) > 1).any()
            else:
                assert limit == 0


def test_stability_without_leak_and_rates_is_what_it_was():
    given = (["bptt", "rflo(0.4)", "tbptt(2)"], np.linspace(-0.9, 0.9, 37), 1.2, -0.7)
    plain = stability(*given, progress=False)
    np.testing.assert_array_equal(
        stability(*given, leak=1.0, rates=1, progress=False)["stability_real"], plain.stability_real
    )
    half = stability(*given, rates=0.5, progress=False)
    np.testing.assert_allclose(half["stability_real"], plain["stability_real"] / 2, rtol=1e-11)
    np.testing.assert_array_equal(half["kind"], plain["kind"])
    limit = largest_learning_rate(*given, leak=1.0, rates=0.5, progress=False)
    np.testing.assert_allclose(limit, 2 * plain["largest_learning_rate"], rtol=1e-11)
    assert (
        fm.status_names(stability(*given, rates=RATES[3] | {"recurrent": 0.0}, progress=False), "kind") == "marginal"
    ).all()
    for wrong in ({"leak": 0.0}, {"rates": -1.0}, {"rates": {"readout": 1.0}}):
        with pytest.raises(ValueError, match=r"leak|rates"):
            stability(*given, **wrong, progress=False)


@pytest.mark.parametrize("rates", [None, *RATES[2:]], ids=str)
def test_flows_of_whole_networks_are_those_of_their_modes(rates):
    goal = fm.Modes([0.7, 0.4, 0.2], [1.0, 0.8, 1.2], [0.9, 1.1, 0.7])
    teacher, times = fm.aligned_teacher(goal), [0.0, 1.0, 10.0, 40.0]
    modes = fm.Modes([0.3, 0.2, -0.4], [0.6, 0.7, 1.0], [1.1, 0.5, 0.8])
    student, r = fm.aligned_student(teacher, modes), np.array([0.9, 1.3, 0.7])
    feedback = student.readout @ np.diag(r / modes.readout)
    rules, same = ["bptt", "tbptt(2)", "rflo(0.4)"], {"leak": 0.6, "rates": rates, "progress": False}
    whole = fm.matrix_flow(
        rules, teacher, seeds=1, times=times, students=student, feedbacks=feedback, settled=0.0, keep_weights=True,
        rtol=1e-10, atol=1e-12, **same,
    )  # fmt: skip
    flows = fm.flow(rules, modes, goal, times, feedback=r, **same)
    for rule in ("BPTT", "tBPTT(2)", "RFLO(0.4)"):
        own, weights = flows.sel(rule=rule), whole.sel(rule=rule).isel(seed=0)
        for i in range(4):
            w, a, b = (own[name].isel(time=i).values for name in "wab")
            readout = student.readout @ np.diag(a / modes.readout)
            input_ = np.diag(b / modes.input) @ student.input
            for name, matrix in zip(("readout", "recurrent", "input"), (readout, np.diag(w), input_), strict=True):
                np.testing.assert_allclose(weights[f"{name}_weights"].isel(time=i), matrix, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(weights["loss"], own["loss"].sum("point"), rtol=1e-5, atol=1e-12)


def test_end_points_of_leaky_flows_are_refused():
    teacher = fm.aligned_teacher(fm.Modes([0.5, 0.3, 0.2], 1.0, 1.0))
    for given in ({"leak": 0.5}, {"rates": 0.5}):
        flow = fm.matrix_flow("bptt", teacher, seeds=3, hidden=3, times=[1.0], progress=False, **given)
        with pytest.raises(ValueError, match="flow must be of students without leak"):
            end_points(flow, "bptt", teacher)


def test_flows_of_networks_that_are_not_aligned_have_the_velocity_of_their_updates():
    teacher = some(1, scale=0.3)[1]
    students = [some(seed, scale=0.3)[0] for seed in range(3)]
    feedbacks, h, rates = [some(seed)[2] for seed in range(3)], 1e-3, RATES[2]
    for rule in RULES[:4]:
        given = {"seeds": 3, "students": students, "feedbacks": feedbacks, "keep_weights": True, "progress": False}
        flow = fm.matrix_flow(rule, teacher, times=[0.0, h, 2 * h], leak=0.5, rates=rates, rtol=1e-12, **given).isel(
            rule=0
        )
        for i, student in enumerate(students):
            update = fm.expected_update(rule, student, teacher, math.inf, feedback=feedbacks[i], leak=0.5)
            for name in rates:
                x = flow[f"{name}_weights"].isel(seed=i).values
                np.testing.assert_allclose(x[0], getattr(student, name), atol=1e-14)
                slope = (-3 * x[0] + 4 * x[1] - x[2]) / (2 * h)
                np.testing.assert_allclose(slope, -rates[name] * getattr(update, name), rtol=1e-4, atol=1e-5)


def test_a_decay_tied_to_the_leak_is_one_minus_alpha():
    tied, leak = fm.rflo("leak"), 0.3
    given = fm.rflo(1 - leak)
    assert tied.name == "RFLO(leak)"
    assert fm.parse_rule("rflo(leak)") == tied
    assert fm.parse_rule("name=x,propagator=scalar,decay=leak").decay == "leak"
    student, teacher, r = some(0, scale=0.3)
    inputs = np.random.default_rng(0).standard_normal((5, 6, 3))
    modes, goal = fm.Modes([0.1, 0.3, 0.2], 1.0, 0.8), fm.Modes(0.6, 1.0, 1.0)
    both, few = {"feedback": r, "leak": leak}, {"hidden": 4, "seeds": 3, "leak": leak, "progress": False}
    for of in (
        lambda rule: fm.sampled_update(rule, student, teacher, inputs, nonlinearity="tanh", **both),
        lambda rule: fm.expected_update(rule, student, teacher, 7, **both),
        lambda rule: fm.coloured_update(rule, student, teacher, 7, fm.autoregressive_input(0.5, 3), **both),
        lambda rule: fm.expected_updates(rule, [student] * 3, teacher, 7, feedbacks=r, leak=leak),
        lambda rule: fm.mode_update(rule, modes, goal, leak=leak),
        lambda rule: [fm.flow(rule, modes, goal, [1.0, 9.0], leak=leak, progress=False)["w"].values],
        lambda rule: [stability(rule, [0.1, 0.5, 0.9], 1.0, 0.8, leak=leak, progress=False)["stability_real"].values],
        lambda rule: [fm.matrix_flow(rule, teacher, times=[5.0], **few)["loss"].values],
        lambda rule: [fm.train(rule, teacher, epochs=9, steps=5, learning_rate=0.01, **few)["loss"].values],
    ):
        for a, b in zip(of(tied), of(given), strict=True):
            np.testing.assert_array_equal(a, b)
    runs = fm.train(["bptt", tied], teacher, epochs=9, steps=5, learning_rate=0.01, **few)
    assert runs["rule"].values.tolist() == ["BPTT", "RFLO(leak)"]
    with pytest.raises(ValueError, match="decay must be a number where no leak is known"):
        wrong_branch_window(tied, 0.5, 1.0)
    with pytest.raises(ValueError, match="decay"):
        fm.LearningRule("x", propagator="diagonal", decay="leak")
    with pytest.raises(TypeError, match="decay"):
        fm.rflo("leaky")


BOTH = [(1.0, RATES[2]), (0.4, None), (0.4, RATES[2]), (0.4, RATES[3])]


@pytest.mark.parametrize(("leak", "rates"), BOTH, ids=str)
def test_written_grids_and_single_results_have_leak_and_rates(leak, rates, tmp_path):
    rng = np.random.default_rng(8)
    w, p, s = (
        xr.DataArray(rng.uniform(*ends, 4), dims=dim)
        for dim, ends in {"x": (0.1, 0.8), "y": (0.5, 1.5), "z": (0.3, 1.4)}.items()
    )
    both, rules = {"leak": leak, "rates": rates}, ["bptt", "tbptt(2)", "rflo(0.4)"]
    whole = stability(rules, w, p, s, **both, progress=False)
    xr.testing.assert_equal(
        fm.read_netcdf(write_stability(tmp_path / "s.nc", rules, w, p, s, **both, slab_points=17, progress=False)),
        whole,
    )
    rate = convergence_rate(rules, w, p, s, **both, progress=False)
    np.testing.assert_array_equal(rate, whole["convergence_rate"])
    np.testing.assert_array_equal(rate["kind"], whole["kind"])
    given = rules, fm.Modes(w, s, 0.7), fm.Modes(0.5, p, 1.0), [1.0, 20.0]
    xr.testing.assert_equal(
        fm.read_netcdf(fm.write_flow(tmp_path / "f.nc", *given, **both, slab_points=17, progress=False)),
        fm.flow(*given, **both, progress=False),
    )


@pytest.mark.parametrize(("leak", "rates"), BOTH, ids=str)
def test_saddles_are_those_of_the_jacobian_times_the_rates(leak, rates):
    w, goal, p = np.random.default_rng(4).uniform([-0.5, -0.8, 0.2], [0.9, 0.9, 2.0], (20, 3)).T
    eta = 1.0 if rates is None else np.array([rates[name] for name in ("recurrent", "readout", "input")])[:, None]
    rules = [fm.bptt(), fm.tbptt(1), fm.tbptt(3)]
    found = saddle_stability(rules, goal, p, w, leak=leak, rates=rates)
    for rule in rules:
        jacobian = -eta * fm.mode_jacobian(rule, fm.Modes(w, 0.0, 0.0), fm.Modes(goal, p, 1.0), leak=leak)
        for i in range(20):
            values = np.sort(np.linalg.eigvals(jacobian[i]).real)[[0, -1]]
            np.testing.assert_allclose(found["stability_real"].sel(rule=rule.name)[:, i], values, rtol=1e-7, atol=1e-7)
    saddle = fm.status_names(found, "kind") == "saddle"
    assert saddle.all() if rates != RATES[3] else not saddle.any()


@pytest.mark.parametrize(("leak", "rates"), BOTH, ids=str)
def test_maps_of_modes_iterate_their_updates(leak, rates):
    rng = np.random.default_rng(6)
    starts = rng.uniform([-0.3, 0.4, 0.3], [0.6, 1.2, 1.1], (11, 3)).T
    goal, r = fm.Modes(rng.uniform(0.2, 0.8, 11), 1.0, 0.9), rng.uniform(0.5, 1.5, 11)
    eta = 1.0 if rates is None else np.array([rates[name] for name in ("recurrent", "readout", "input")])[:, None]
    rules = [fm.bptt(), fm.tbptt(3), fm.rflo(0.4), fm.parse_rule("rflo(0.3, feedback=sign)")]
    given = {"feedback": r, "leak": leak, "rates": rates, "progress": False}
    found = fm.discrete_map(rules, fm.Modes(*starts), goal, [0, 1, 7, 60], learning_rate=0.03, **given)
    for rule in rules:
        state, own = starts, found.sel(rule=rule.name)
        for epoch in range(61):
            if epoch in (0, 1, 7, 60):
                for name, values in zip("wab", state, strict=True):
                    np.testing.assert_allclose(own[name].sel(epoch=epoch), values, rtol=1e-11, atol=1e-12)
            state = state - 0.03 * eta * np.stack(fm.mode_update(rule, fm.Modes(*state), goal, feedback=r, leak=leak))
    mirror = fm.parse_rule("rflo(0.5, feedback=mirror, mirror_rate=1, feedback_decay=0.5)")
    with pytest.raises(ValueError, match="rates and leak must be 1"):
        fm.discrete_map(mirror, fm.Modes(*starts), goal, 3, learning_rate=0.1, leak=0.5, progress=False)


@pytest.mark.parametrize(("leak", "rates"), BOTH, ids=str)
def test_learning_maps_measure_the_flow_at_its_rates(leak, rates):
    starts = np.array([[0.1, -0.2, 0.4], [0.6, 1.0, -0.7], [0.5, 0.9, -0.4]])
    goal, rules = fm.Modes([0.7, 0.4, 0.6], 1.0, 0.9), ["bptt", "tbptt(1)", "rflo(0.4)"]
    both = {"leak": leak, "rates": rates, "progress": False}
    times = np.linspace(0.0, 60.0, 6001)
    found = learning_map(rules, fm.Modes(*starts), goal, end=60.0, rtol=1e-9, atol=1e-11, **both)
    flows = fm.flow(rules, fm.Modes(*starts), goal, times, rtol=1e-10, atol=1e-12, **both)
    for name in "wab":
        np.testing.assert_allclose(found[name], flows[name].isel(time=-1), rtol=1e-4, atol=1e-5)
    path = np.stack([leak * flows["w"], flows["a"], leak * flows["b"]])
    length = np.linalg.norm(np.diff(path, axis=-1), axis=0).sum(axis=-1)
    np.testing.assert_allclose(found["path_length"], length, rtol=2e-3)
    power = 0.9**2 / (2 * (1 - np.array([0.7, 0.4, 0.6]) ** 2))
    learnt = (flows["loss"].values <= 0.01 * power[:, None]).argmax(axis=-1) * 0.01
    early = np.isfinite(found["learning_time"].values)
    np.testing.assert_allclose(found["learning_time"].values[early], learnt[early], atol=0.02)
    np.testing.assert_array_equal(early, (flows["loss"].values <= 0.01 * power[:, None]).any(axis=-1))
