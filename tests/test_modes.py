"""Mode updates and Jacobians against direct sums, high precision and complex steps."""

import math

import mpmath
import naive_modes
import numpy as np
import pytest
import xarray as xr
from fastmodes.kernels.modes.polynomials import homogeneous
from fastmodes.kernels.modes.update import mode_updates
from fastmodes.kernels.rule import RANDOM, READOUT, RECURRENT, SCALAR, Rule

import fastmodes as fm
from fastmodes.modes.update import mode_jacobian, mode_update

RULES = [
    fm.bptt(),
    fm.tbptt(1),
    fm.tbptt(4),
    fm.rflo(0.5),
    fm.rflo(-0.7),
    fm.eprop(),
    fm.LearningRule("truncated RFLO", "random", "scalar", horizon=3, decay=0.8),
    fm.LearningRule("RFLO with readout", "readout", "scalar", decay=0.6),
    fm.LearningRule("BPTT with random feedback", "random", "recurrent"),
]


def near_one(rng):
    """A ratio in (-1, 1), often within 1e-9 of an end."""
    close = 1 - 10 ** rng.uniform(-9, -1)
    return float(rng.choice([rng.uniform(-1, 1), close, -close]))


def one_mode(state, parameters, code):
    update, jacobian = np.empty((1, 3)), np.empty((1, 3, 3))
    steps, horizon, ones, readout, moving = (int(number) for number in code)
    rule = Rule(READOUT if readout else RANDOM, RECURRENT if moving else SCALAR, 0.0, horizon)
    mode_updates(np.array([state]), np.array([parameters]), rule, steps, ones, update, jacobian)
    return update[0], jacobian[0]


def nodes(values):
    high, low = np.zeros(5), np.zeros(5)
    high[: len(values)] = values
    return high, low


def test_homogeneous_polynomials_of_every_sign_pattern():
    rng = np.random.default_rng(0)
    for degree in (0, 1, 2, 3, 6, 13):
        for count in range(1, 6):
            x = rng.uniform(-1.5, 1.5, count)
            series = np.array([1.0] + [0.0] * degree)
            for node in x:
                series = np.convolve(series, node ** np.arange(degree + 1))[: degree + 1]
            assert homogeneous(degree, *nodes(x)) == pytest.approx(series[degree], rel=1e-12, abs=1e-13)


def test_homogeneous_polynomial_of_negative_degree_is_zero():
    assert homogeneous(-1, *nodes([0.5])) == 0


def test_updates_equal_direct_sums_in_high_precision():
    rng = np.random.default_rng(1)
    with mpmath.workdps(60):
        for _ in range(150):
            steps = int(rng.choice([1, 2, 3, 7, 20]))
            horizon = rng.choice([0, 1, 2, steps, max(1, steps - 1)])
            sequence, readout, moving = (int(x) for x in rng.integers(0, 2, 3))
            w, (a, b, product, r) = near_one(rng), rng.normal(size=4)
            teacher = rng.choice([near_one(rng), w, w * (1 - 1e-9)])
            decay = rng.choice([near_one(rng), w, teacher])
            code = [steps, horizon, 1 + sequence, readout, moving]
            update, _ = one_mode([w, a, b], [teacher, product, r, decay], code)
            f, pi = (a if readout else r), (w if moving else decay)
            rest = (f, pi, steps, int(horizon) or None, bool(sequence), mpmath.mpf(0))
            exact = [mpmath.mpf(float(x)) for x in (w, a, b, teacher, product)]
            zero = mpmath.mpf(0)
            rest = (mpmath.mpf(float(f)), mpmath.mpf(float(pi)), *rest[2:])
            own = naive_modes.mode_update(*exact[:4], zero, *rest)
            goal = naive_modes.mode_update(exact[0], zero, *exact[2:], *rest)
            for got, x, y in zip(update, own, goal, strict=True):
                assert abs(mpmath.mpf(got) - (x + y)) <= 1e-13 * (abs(x) + abs(y))


def test_updates_stay_accurate_over_millions_of_steps():
    """w -> pi, w w* -> 1 and T ~ 1/(1-w) together; reference: geometric sums in 80 digits."""

    def total(x, n):
        return mpmath.mpf(n) if x == 1 else (1 - x**n) / (1 - x)

    def double(y, z, steps, horizon):
        horizon = min(horizon, steps - 1)
        return (total(y, horizon) - z ** (steps - 1) * total(y / z, horizon)) / (1 - z)

    rng = np.random.default_rng(2)
    with mpmath.workdps(80):
        for _ in range(200):
            steps = int(10 ** rng.uniform(0.5, 7))
            horizon = int(rng.choice([0, 1, int(steps**0.5), max(1, steps - 1), max(1, steps // 3)]))
            w = float(rng.choice([near_one(rng), 1 - rng.uniform(0.2, 3) / steps]))
            teacher = float(rng.choice([near_one(rng), w, w * (1 - 1e-9)]))
            pi = float(rng.choice([near_one(rng), w, teacher]))
            a, b, p, r = rng.normal(size=4)
            (dw, da, db), _ = one_mode([w, a, b], [teacher, p, r, pi], [steps, horizon, 1, 0, 0])
            w, teacher, pi, a, b, p, r = (mpmath.mpf(float(x)) for x in (w, teacher, pi, a, b, p, r))
            tau, q = horizon or steps, a * b
            pairs = [
                (da, b * q * total(w * w, steps), -b * p * total(w * teacher, steps)),
                (db, r * q * total(pi * w, tau), -r * p * total(pi * teacher, tau)),
                (
                    dw,
                    r * b * q * w * double(pi * w, w * w, steps, tau),
                    -r * b * p * teacher * double(pi * teacher, w * teacher, steps, tau),
                ),
            ]
            for got, own, goal in pairs:
                assert abs(mpmath.mpf(float(got)) - own - goal) <= 1e-14 * (abs(own) + abs(goal))


@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_finite_jacobian_equals_complex_step(rule, sequence):
    rng = np.random.default_rng(3)
    readout, moving = rule.feedback == "readout", "recurrent" in rule.propagator
    for steps in (1, 2, 5, 20):
        w, teacher = near_one(rng), near_one(rng)
        a, b, product, r = rng.normal(size=4)

        def function(y, steps=steps, teacher=teacher, product=product, r=r):
            f, pi = (y[1] if readout else r), (y[0] if moving else rule.decay)
            return np.array(naive_modes.mode_update(*y, teacher, product, f, pi, steps, rule.horizon, sequence))

        expected = naive_modes.complex_step_jacobian(function, [w, a, b])
        got = mode_jacobian(
            rule,
            fm.Modes(w, a, b),
            fm.Modes(teacher, 1.0, product),
            steps,
            feedback=r,
            loss=("final", "sequence")[sequence],
        )
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_endless_update_and_jacobian(rule):
    rng = np.random.default_rng(4)
    readout, moving = rule.feedback == "readout", "recurrent" in rule.propagator
    for _ in range(20):
        w, teacher = rng.uniform(-0.95, 0.95, 2)
        a, b, product, r = rng.normal(size=4)

        def function(y, teacher=teacher, product=product, r=r):
            f, pi = (y[1] if readout else r), (y[0] if moving else rule.decay)
            return np.array(naive_modes.endless_update(*y, teacher, product, f, pi, rule.horizon))

        arguments = (rule, fm.Modes(w, a, b), fm.Modes(teacher, 1.0, product))
        np.testing.assert_allclose(mode_update(*arguments, feedback=r), function([w, a, b]), rtol=1e-12, atol=1e-12)
        expected = naive_modes.complex_step_jacobian(function, [w, a, b])
        np.testing.assert_allclose(
            mode_jacobian(*arguments, feedback=r), expected, rtol=0, atol=1e-13 * np.abs(expected).max()
        )


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_finite_steps_tend_to_infinity(rule, loss):
    arguments = (rule, fm.Modes(0.6, 0.8, -1.1), fm.Modes(0.7, 1.2, 0.5))
    limit = np.array(mode_update(*arguments, feedback=0.9))
    for steps in (10**4, 10**5):
        got = np.array(mode_update(*arguments, steps, feedback=0.9, loss=loss))
        # The sequence loss also averages over the first steps: a relative distance of order 1/T (App. H).
        bound = 1e-13 if loss == "final" else 30 / steps
        np.testing.assert_allclose(got, limit, rtol=0, atol=bound * np.abs(limit).max())


def test_sequence_loss_is_the_mean_over_horizons():
    rule, modes, teacher = fm.tbptt(3), fm.Modes(0.9, 0.5, 1.5), fm.Modes(0.8, 1.0, 1.0)
    mean = np.mean([mode_update(rule, modes, teacher, t) for t in range(1, 12)], axis=0)
    np.testing.assert_allclose(mode_update(rule, modes, teacher, 11, loss="sequence"), mean, rtol=1e-14)


def test_parameters_broadcast_by_name():
    w = xr.DataArray([0.1, 0.2], dims="w", coords={"w": [0.1, 0.2]})
    p = xr.DataArray([1.0, 2.0, 3.0], dims="p", coords={"p": [1.0, 2.0, 3.0]})
    update = mode_update(fm.bptt(), fm.Modes(w, 1.0, 1.0), fm.Modes(0.5, p, 1.0))
    assert dict(update.recurrent.sizes) == {"w": 2, "p": 3}
    single = mode_update(fm.bptt(), fm.Modes(0.2, 1.0, 1.0), fm.Modes(0.5, 3.0, 1.0))
    assert float(update.input.sel(w=0.2, p=3.0)) == single.input


def test_arrays_give_arrays_and_numbers_give_numbers():
    update = mode_update(fm.bptt(), fm.Modes(np.array([0.1, 0.2]), 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0), 5)
    assert isinstance(update.readout, np.ndarray)
    assert update.readout.shape == (2,)
    assert isinstance(mode_update(fm.bptt(), fm.Modes(0.1, 1, 1), fm.Modes(0.5, 1, 1), 5).readout, float)


@pytest.mark.parametrize("basis", ["identity", "random"])
@pytest.mark.parametrize("rule", [fm.bptt(), fm.tbptt(2), fm.rflo(0.4)], ids=lambda rule: rule.name)
def test_aligned_networks_fall_into_modes(rule, basis):
    goal, own = fm.Modes([0.9, 0.5], [1.0, 1.5], [1.0, 2.0]), fm.Modes([0.3, -0.2], [1.0, 0.1], [-0.4, 0.2])
    teacher = fm.aligned_teacher(goal, basis=basis, seed=1)
    student = fm.aligned_student(teacher, own, basis=basis, seed=2)
    got = mode_update(rule, student, teacher, 20, feedback=1.3)
    expected = mode_update(rule, fm.Modes(*map(np.array, own)), fm.Modes(*map(np.array, goal)), 20, feedback=1.3)
    # The sign of a mode's basis vectors is free: Delta w is not touched by it, a and b change sign together.
    np.testing.assert_allclose(got.recurrent, expected.recurrent, rtol=1e-9)
    np.testing.assert_allclose(np.abs(got.readout), np.abs(expected.readout), rtol=1e-9)


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_network_update_is_the_modes_update(rule, loss):
    goal, own = fm.Modes([0.9, 0.5], [1.0, 1.5], [1.0, -2.0]), fm.Modes([0.3, -0.2], [1.0, 0.1], [-0.4, 0.2])
    teacher = fm.aligned_teacher(goal)
    student = fm.aligned_student(teacher, own)
    matrix = np.diag([0.8, -1.2]) if rule.feedback == "random" else None
    whole = fm.expected_update(rule, student, teacher, 15, feedback=matrix, loss=loss)
    modes = mode_update(rule, student, teacher, 15, feedback=matrix, loss=loss)
    np.testing.assert_allclose(modes.recurrent, np.diagonal(whole.recurrent), rtol=1e-12)
    np.testing.assert_allclose(modes.readout, np.diagonal(whole.readout), rtol=1e-12)
    np.testing.assert_allclose(modes.input, np.diagonal(whole.input), rtol=1e-12)


def test_eprop_has_modes_only_in_the_neuron_basis():
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    own = fm.Modes([0.3, -0.2], [1.0, 0.1], [0.4, 0.2])
    inside = fm.aligned_student(teacher, own)
    np.testing.assert_allclose(
        mode_update(fm.eprop(), inside, teacher, 9, feedback=0.7).recurrent,
        mode_update(
            fm.eprop(), fm.Modes(*map(np.array, own)), fm.Modes(np.array([0.9, 0.5]), 1.0, 1.0), 9, feedback=0.7
        )[0],
        rtol=1e-12,
    )
    rotated = fm.aligned_student(teacher, own, basis="random", seed=3)
    with pytest.raises(ValueError, match="neuron basis"):
        mode_update(fm.eprop(), rotated, teacher, 9, feedback=0.7)
    with pytest.raises(ValueError, match="aligned with the teacher"):
        mode_update(fm.bptt(), fm.random_student(2, teacher, scale=1.0, seed=1), teacher, 9)


def test_fixed_diagonal_gives_each_mode_its_decay():
    rule = fm.LearningRule("diagonal", "random", "diagonal", decay=(0.2, 0.6))
    modes, teacher = fm.Modes(np.array([0.3, 0.4]), 1.0, 0.5), fm.Modes(0.8, 1.0, 1.0)
    got = mode_update(rule, modes, teacher, 30, feedback=1.1)
    for i, decay in enumerate(rule.decay):
        one = mode_update(fm.rflo(decay), fm.Modes(modes.recurrent[i], 1.0, 0.5), teacher, 30, feedback=1.1)
        assert got.recurrent[i] == one.recurrent


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modes": fm.Modes(1.0, 1.0, 1.0)}, "recurrent must be > -1 and < 1"),
        ({"teacher_modes": fm.Modes(-1.5, 1.0, 1.0)}, "teacher_recurrent must be > -1 and < 1"),
        ({"modes": fm.Modes(math.nan, 1.0, 1.0)}, "recurrent must be finite"),
        ({"rule": fm.rflo(1.5), "feedback": 1.0}, "decay must keep"),
        ({"steps": 0}, "steps must be"),
        ({"loss": "last"}, "loss must be one of"),
    ],
)
def test_refusals_name_parameter_and_range(change, message):
    arguments = {"rule": fm.bptt(), "modes": fm.Modes(0.5, 1.0, 1.0), "teacher_modes": fm.Modes(0.9, 1.0, 1.0)}
    with pytest.raises(ValueError, match=message):
        mode_update(**(arguments | change))


def test_wrong_kind_of_modes():
    with pytest.raises(TypeError, match="modes must be"):
        mode_update(fm.bptt(), 0.5, fm.Modes(0.9, 1.0, 1.0))
