"""Closed forms of stability against the published ones, the numerical Jacobian, and the claims about signs."""

import naive_modes
import numpy as np
import pytest
import xarray as xr

import fastmodes as fm
from fastmodes import analysis

FOUR = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
OTHERS = [
    fm.tbptt(3),
    fm.LearningRule("RFLO with readout", "readout", "scalar", decay=-0.4),
    fm.LearningRule("BPTT with random feedback, 4 steps", "random", "recurrent", horizon=4),
]


def random_points(n, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "teacher_recurrent": rng.uniform(-0.98, 0.98, n),
        "teacher_product": rng.normal(size=n),
        "position": rng.normal(size=n),
        "feedback": rng.normal(size=n),
    }


@pytest.mark.parametrize("rule", FOUR, ids=lambda rule: rule.name)
def test_published_closed_forms(rule):
    points = random_points(2000)
    result = analysis.stability(rule, **points).isel(rule=0)
    real, imaginary = result.stability_real.values, result.stability_imag.values
    w, p, s, r = points.values()
    c1, c0 = naive_modes.optimal_coefficients(rule.name, w, p, s, r, 0.5)
    size = np.abs(real).max(axis=0) + imaginary[1]
    np.testing.assert_allclose(-(real[0] + real[1]), c1, rtol=0, atol=1e-12 * size.max())
    assert (np.abs(-(real[0] + real[1]) - c1) <= 1e-13 * (size + np.abs(c1)) + 1e-11 * size).all()
    # Both closed forms lose digits where a sum of opposite terms is small; the sum of the sizes is the fair scale.
    _, scale = naive_modes.optimal_coefficients(rule.name, np.abs(w), np.abs(p), np.abs(s), np.abs(r), -0.5)
    assert (np.abs(real[0] * real[1] + imaginary[1] ** 2 - c0) <= 1e-11 * (scale + np.abs(c0))).all()
    np.testing.assert_array_equal(imaginary[0], -imaginary[1])


@pytest.mark.parametrize("rule", FOUR + OTHERS, ids=lambda rule: rule.name)
def test_eigenvalues_of_the_jacobian(rule):
    points = random_points(200, seed=1)
    result = analysis.stability(rule, **points).isel(rule=0)
    w, p, s, r = points.values()
    jacobian = -fm.mode_jacobian(rule, fm.Modes(w, s, p / s), fm.Modes(w, 1.0, p), feedback=r)
    values = np.linalg.eigvals(jacobian)
    values = np.take_along_axis(values, np.argsort(np.abs(values), axis=1), axis=1)
    size = np.abs(values[:, 2])
    assert (np.abs(values[:, 0]) <= 1e-9 * size).all()
    order = np.lexsort((values[:, 1:].imag, values[:, 1:].real), axis=1)
    expected = np.take_along_axis(values[:, 1:], order, axis=1).T
    got = result.stability_real.values + 1j * result.stability_imag.values
    # Near an exceptional point eigenvalues move with the square root of a rounding; their sum and product do not.
    np.testing.assert_allclose(got.sum(axis=0).real / size, expected.sum(axis=0).real / size, atol=1e-12)
    np.testing.assert_allclose(
        np.prod(got, axis=0).real / size**2, np.prod(expected, axis=0).real / size**2, atol=1e-11
    )
    far = np.abs(expected[0] - expected[1]) > 1e-3 * size
    np.testing.assert_allclose(got[:, far] / size[far], expected[:, far] / size[far], atol=1e-9)


def test_small_eigenvalue_keeps_its_digits():
    """BPTT at w* = 0.999: the two rates differ by ten orders of magnitude."""
    import mpmath

    with mpmath.workdps(50):
        w, p, s = mpmath.mpf(0.999), mpmath.mpf(1), mpmath.mpf(0.01)
        c1, c0 = naive_modes.optimal_coefficients("BPTT", w, p, s)
        exact = (c1 - mpmath.sqrt(c1**2 - 4 * c0)) / 2
        got = analysis.convergence_rate(fm.bptt(), 0.999, 1.0, 0.01).item()
        assert abs(got / exact - 1) < 1e-12


def test_kinds_follow_from_the_eigenvalues():
    result = analysis.stability(fm.rflo(-0.6), **random_points(5000, seed=2)).isel(rule=0)
    low, high = result.stability_real.values
    spiral = result.stability_imag.values[1] > 0
    names = np.array(result.kind.attrs["flag_meanings"].split())[result.kind.values]
    expected = np.where(high < 0, "stable", np.where(low > 0, "unstable", "saddle")).astype(object)
    expected = np.where(expected == "saddle", expected, expected + np.where(spiral, "_spiral", "_node"))
    np.testing.assert_array_equal(names, expected)
    assert {"stable_node", "stable_spiral", "saddle", "unstable_node"} <= set(names)


def test_one_step_tbptt_is_always_real_and_stable():
    result = analysis.stability(fm.tbptt(1), **random_points(20000, seed=3))
    assert not result.oscillatory.any()
    assert result.stable.all()


def test_bptt_is_always_real_and_stable():
    result = analysis.stability(fm.bptt(), **random_points(20000, seed=4))
    assert not result.oscillatory.any()
    assert result.stable.all()


def test_good_branch_of_rflo_is_stable_and_real_where_decay_and_teacher_agree():
    points = random_points(20000, seed=5)
    points["feedback"] = np.abs(points["feedback"]) * np.sign(points["position"])
    decay = np.random.default_rng(6).uniform(-0.99, 0.99, 20000)
    result = analysis.stability(fm.rflo(), **points, decay=decay).isel(rule=0)
    assert result.stable.all()
    agree = decay * points["teacher_recurrent"] >= 0
    assert not result.oscillatory.values[agree].any()
    assert result.oscillatory.values[~agree].any()


def test_good_branch_of_eprop_is_stable_and_real_and_its_wrong_branch_never():
    points = random_points(20000, seed=7)
    result = analysis.stability(fm.eprop(), **points).isel(rule=0)
    good = points["feedback"] * points["position"] > 0
    assert result.stable.values[good].all()
    assert not result.stable.values[~good].any()
    assert not result.oscillatory.any()


def test_wrong_branch_of_rflo_is_stable_only_inside_the_window():
    points = random_points(50000, seed=8)
    points["feedback"] = -np.abs(points["feedback"]) * np.sign(points["position"])
    decay = np.random.default_rng(9).uniform(-0.99, 0.99, 50000)
    stable = analysis.stability(fm.rflo(), **points, decay=decay).isel(rule=0).stable.values.astype(bool)
    size = np.abs(points.pop("position"))
    window = analysis.wrong_branch_window(fm.rflo(), **points, decay=decay).isel(rule=0)
    start, end = window.window_start.values, window.window_end.values
    inside = (start < size) & (size < end)
    clear = (np.abs(size - start) > 1e-9 * size) & (np.abs(size - end) > 1e-9 * size)
    np.testing.assert_array_equal(stable[clear], inside[clear])
    assert stable.any()
    w = points["teacher_recurrent"]
    exists = window.window_exists.values.astype(bool)
    assert exists.any()
    assert (decay * w < w * w)[exists].all()
    np.testing.assert_allclose(start**3, points["teacher_product"] ** 2 / np.abs(points["feedback"]), rtol=1e-13)


def test_window_ends_in_a_hopf_point():
    w, p, r = 0.8, 1.2, 0.05
    end = analysis.wrong_branch_window(fm.rflo(0.1), w, p, feedback=r).window_end.item()
    at_end = analysis.stability(fm.rflo(0.1), w, p, -end, feedback=r)
    assert np.abs(at_end.stability_real).max() < 1e-12 * np.abs(at_end.stability_imag).max()
    around = analysis.stability(fm.rflo(0.1), w, p, np.array([-end * 0.999, -end * 1.001]), feedback=r).isel(rule=0)
    assert around.stable.values.tolist() == [1, 0]
    assert around.oscillatory.values.tolist() == [1, 1]


def test_eprop_has_no_window():
    points = random_points(5000, seed=10)
    del points["position"]
    assert not analysis.wrong_branch_window(fm.eprop(), **points).window_exists.any()


def test_bptt_is_slowest_where_readout_and_input_share_the_product():
    s = np.linspace(0.3, 3, 2001)
    for p in (0.5, -1.4):
        rate = analysis.convergence_rate(fm.bptt(), 0.6, p, s).values[0]
        assert s[rate.argmin()] == pytest.approx(np.sqrt(abs(p)), abs=2e-3)


def test_bptt_is_usually_but_not_always_the_fastest():
    points = random_points(20000, seed=11)
    points["feedback"] = np.abs(points["feedback"]) * np.sign(points["position"])
    rate = analysis.convergence_rate([fm.bptt(), fm.tbptt(1), fm.rflo(0.5)], **points)
    against_tbptt = float((rate.sel(rule="BPTT") > rate.sel(rule="tBPTT(1)")).mean())
    against_rflo = float((rate.sel(rule="BPTT") > rate.sel(rule="RFLO")).mean())
    assert 0.9 < against_tbptt < 1
    assert 0.5 < against_rflo < 0.95


def test_more_feedback_or_decay_pushes_real_parts_away_from_zero():
    """C8, on the good branch and for w* > 0."""
    r = np.linspace(0.2, 3, 30)
    by_feedback = analysis.stability(fm.rflo(0.5), 0.7, 1.0, 0.8, feedback=r).isel(rule=0).stability_real.values
    assert (np.diff(by_feedback.sum(axis=0)) < 0).all()
    by_decay = analysis.stability(fm.rflo(), 0.7, 1.0, 0.8, decay=np.linspace(0, 0.95, 30)).isel(rule=0)
    assert (np.diff(by_decay.stability_real.values.sum(axis=0)) < 0).all()


@pytest.mark.parametrize("rule", FOUR, ids=lambda rule: rule.name)
def test_largest_learning_rate_is_the_border_of_the_discrete_map(rule):
    points = random_points(500, seed=12)
    points["feedback"] = np.abs(points["feedback"]) * np.sign(points["position"])
    result = analysis.stability(rule, **points).isel(rule=0)
    values = result.stability_real.values + 1j * result.stability_imag.values
    limit = analysis.largest_learning_rate(rule, **points).values[0]
    assert (np.abs(1 + 0.999 * limit * values) < 1).all()
    assert (np.abs(1 + 1.001 * limit * values).max(axis=0) > 1).all()


def test_no_learning_rate_stabilises_an_unstable_point():
    assert analysis.largest_learning_rate(fm.eprop(), 0.5, 1.0, -1.0, feedback=1.0).item() == 0


@pytest.mark.parametrize(("rule", "power"), [(fm.bptt(), 1.0), (fm.tbptt(1), 0.5)], ids=["BPTT", "tBPTT(1)"])
def test_non_optimal_line_is_a_saddle(rule, power):
    w = np.linspace(-0.9, 0.9, 7)
    result = analysis.saddle_stability(rule, 0.8, -1.3, w).isel(rule=0)
    expected = 1.3 / (1 - 0.8 * w) ** power
    np.testing.assert_allclose(result.stability_real.values, [-expected, expected], rtol=1e-14)
    jacobian = -fm.mode_jacobian(rule, fm.Modes(w, 0.0, 0.0), fm.Modes(0.8, 1.0, -1.3))
    values = np.sort(np.linalg.eigvals(jacobian).real, axis=1)
    np.testing.assert_allclose(values.T, [-expected, 0 * w, expected], atol=1e-13)


def test_random_feedback_does_not_rest_on_the_non_optimal_line():
    with pytest.raises(ValueError, match="readout feedback"):
        analysis.saddle_stability(fm.rflo(), 0.8, 1.0, 0.1)
    update = fm.mode_update(fm.rflo(), fm.Modes(0.3, 0.0, 0.0), fm.Modes(0.8, 1.0, 1.0), feedback=1.0)
    assert update.input != 0


def test_fixed_points_do_not_move():
    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(), fm.eprop()]
    position = xr.DataArray(np.array([-2.0, -0.4, 0.3, 0.9]), dims="position")
    result = analysis.fixed_points(rules, 0.7, 1.5, position)
    for rule in rules:
        for manifold in result.manifold.values:
            point = result.sel(manifold=manifold).isel(position=slice(1, None))
            update = fm.mode_update(rule, fm.Modes(point.w, point.a, point.b), fm.Modes(0.7, 1.0, 1.5), feedback=0.8)
            at_rest = max(float(np.abs(part).max()) for part in update) < 1e-12
            assert at_rest == bool(result.fixed_point_exists.sel(rule=rule.name, manifold=manifold))
    assert float(result.loss.sel(manifold="non_optimal").max()) == pytest.approx(1.5**2 / (2 * (1 - 0.49)))


def test_grids_broadcast_by_name_and_split_without_a_trace():
    w = xr.DataArray(np.linspace(-0.9, 0.9, 37), dims="w_star", coords={"w_star": np.linspace(-0.9, 0.9, 37)})
    s = xr.DataArray(np.linspace(0.1, 2, 53), dims="s", coords={"s": np.linspace(0.1, 2, 53)})
    whole = analysis.stability([fm.rflo(), fm.bptt()], w, 1.0, s, feedback=-0.7)
    assert whole.stability_real.dims == ("rule", "eigenvalue", "w_star", "s")
    part = analysis.stability([fm.rflo(), fm.bptt()], w[5:6], 1.0, s[7:20], feedback=-0.7)
    xr.testing.assert_identical(part.stability_real, whole.stability_real[:, :, 5:6, 7:20])
    transposed = analysis.stability([fm.rflo(), fm.bptt()], w, xr.ones_like(s), s, feedback=-0.7)
    xr.testing.assert_identical(transposed.kind, whole.kind)


def test_horizon_as_a_parameter():
    tau = xr.DataArray([1, 2, 7], dims="tau")
    grid = analysis.stability(fm.tbptt(1), 0.8, 1.0, 0.5, horizon=tau)
    for i, horizon in enumerate(tau.values):
        single = analysis.stability(fm.tbptt(int(horizon)), 0.8, 1.0, 0.5)
        np.testing.assert_array_equal(grid.stability_real.values[..., i], single.stability_real.values)


@pytest.mark.parametrize("rule", FOUR + OTHERS, ids=lambda rule: rule.name)
@pytest.mark.parametrize("shape", [(1,), (7,), (300, 9), (9, 300), (3, 2500)], ids=str)
def test_a_point_is_the_same_to_the_last_bit_whatever_varies_beside_it(rule, shape):
    """Rows that are read where they are, rows joined in a chunk, full and broken groups of eight."""
    rng = np.random.default_rng(13)
    values = {"teacher_recurrent": rng.uniform(-0.9, 0.9, shape[0]), "position": rng.normal(size=shape[-1])}
    if len(shape) == 1:
        values["teacher_recurrent"] = values["teacher_recurrent"][:1]
    named = {name: xr.DataArray(value, dims=name) for name, value in values.items()}
    grid = analysis.stability(rule, teacher_product=-0.7, feedback=0.4, **named).isel(rule=0)
    pairs = [part.ravel() for part in np.meshgrid(*values.values(), indexing="ij")]
    points = dict(zip(values, pairs, strict=True))
    points |= {"teacher_product": np.full(pairs[0].size, -0.7), "feedback": np.full(pairs[0].size, 0.4)}
    alone = analysis.stability(rule, **points).isel(rule=0)
    for name in ("stability_real", "stability_imag", "kind", "largest_learning_rate"):
        wanted = grid[name].transpose(..., *values).values
        np.testing.assert_array_equal(alone[name].values, wanted.reshape(alone[name].shape))
    rate = analysis.convergence_rate(rule, **points)
    np.testing.assert_array_equal(rate.values[0], alone.convergence_rate.values)
    np.testing.assert_array_equal(rate.kind.values[0], alone.kind.values)


@pytest.mark.parametrize("size", [1e-30, 1e-18, 1.0, 1e18, 1e30])
def test_sizes_far_from_one(size):
    """Beyond the range of the quick form the general one takes over, point by point."""
    import mpmath

    s = size * np.array([1.0, -2.0, 0.3])
    got = analysis.stability(fm.rflo(0.5), 0.6, size, s, feedback=1 / size).isel(rule=0)
    for i, position in enumerate(s):
        with mpmath.workdps(80):
            numbers = [mpmath.mpf(float(x)) for x in (0.6, size, position, 1 / size, 0.5)]
            c1, c0 = naive_modes.optimal_coefficients("RFLO", *numbers)
            root = mpmath.sqrt(c1 * c1 / 4 - c0)
            exact = sorted((-c1 / 2 - root, -c1 / 2 + root), key=mpmath.re)
        np.testing.assert_allclose(got.stability_real.values[:, i], [float(mpmath.re(x)) for x in exact], rtol=1e-12)


def test_no_product_or_no_feedback_is_marginal():
    points = {"teacher_recurrent": 0.5, "position": np.linspace(0.1, 2, 11)}
    for rule in (fm.rflo(), fm.eprop()):
        for zero in ("teacher_product", "feedback"):
            found = analysis.stability(rule, **({"teacher_product": 1.0, "feedback": 1.0} | points | {zero: 0.0}))
            assert (found.kind == 5).all()
            assert (found.stability_real.values[0, 1] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher_recurrent": 1.0}, "teacher_recurrent must be > -1 and < 1"),
        ({"position": 0.0}, "position must be non-zero"),
        ({"decay": 0.4}, "decay must be None where no rule"),
        ({"horizon": 2}, "horizon must be None where no rule"),
        ({"rules": fm.tbptt(2), "horizon": 1.5}, "horizon must hold whole numbers"),
        ({"rules": fm.rflo(1.2), "teacher_recurrent": 0.9}, "decay must keep"),
        ({"position": xr.DataArray([1.0], dims="rule")}, "must not have a dimension named 'rule'"),
    ],
)
def test_refusals_name_parameter_and_range(change, message):
    arguments = {"rules": fm.bptt(), "teacher_recurrent": 0.5, "teacher_product": 1.0, "position": 1.0} | change
    with pytest.raises(ValueError, match=message):
        analysis.stability(**arguments)


def decimal_pair(w, p, s, f, pi):
    """The closed form in sixty digits of any size."""
    import decimal

    with decimal.localcontext(decimal.Context(prec=60, Emax=10**6, Emin=-(10**6))):
        w, p, s, f, pi = (decimal.Decimal(float(x)) for x in (w, p, s, f, pi))
        alpha, y, b = 1 / (1 - w * w), pi * w, p / s
        g = 1 / (1 - y)
        h = y * g * g
        c1 = f * b * p * alpha * (g * alpha + h) + b * b * alpha + f * s * g
        c0 = f * b**3 * p * alpha**2 * (g + h) + (f * p * g * alpha) ** 2
        discriminant = c1 * c1 - 4 * c0
        root = abs(discriminant).sqrt()
        if discriminant < 0:
            return float(-c1 / 2), float(-c1 / 2), float(root / 2)
        far = -(c1 + root.copy_sign(c1)) / 2
        return (*sorted((float(far), float(c0 / far))), 0.0)


def extreme_points(rng, count, exponent):
    w, decay = rng.uniform(-0.99, 0.99, (2, count))
    p, s, r = rng.choice([-1.0, 1.0], (3, count)) * 10.0 ** rng.uniform(-exponent, exponent, (3, count))
    return w, p, s, r, decay


@pytest.mark.parametrize("exponent", [1, 20, 40, 100, 300])
def test_eigenvalues_of_any_size_are_right_or_labelled(exponent, rng):
    w, p, s, r, decay = extreme_points(rng, 400, exponent)
    rules = (fm.bptt(), fm.LearningRule("scalar", feedback="random", propagator="scalar", decay=0.5))
    with np.errstate(all="raise"):
        found = analysis.stability(rules, w, p, s, feedback=r, decay=decay)
    names = found.kind.attrs["flag_meanings"].split()
    for i, f, pi in ((0, s, w), (1, r, decay)):
        real, imaginary = found.stability_real.values[i], found.stability_imag.values[i, 1]
        for k in range(len(w)):
            low, high, turning = decimal_pair(w[k], p[k], s[k], f[k], pi[k])
            kind = names[int(found.kind.values[i, k])]
            sizes = np.abs([low, high, turning] if turning else [low, high])
            if kind == "not_representable":
                assert (~np.isfinite([low, high, turning])).any() or (sizes == 0.0).any() or sizes.min() < 1e-307
                continue
            size = max(abs(low), turning)
            # Near a double eigenvalue the pair is as sensitive as a square root; far from it every digit holds.
            close = 1e-6 if abs(low - high) + turning < 1e-3 * size else 1e-9
            assert real[0, k] == pytest.approx(low, rel=close)
            assert real[1, k] == pytest.approx(high, rel=close)
            assert imaginary[k] == pytest.approx(turning, rel=1e-5, abs=1e-7 * size)
            expected = "spiral" if turning > 0 else "node" if (low > 0) == (high > 0) else "saddle"
            assert expected in kind


def test_quick_form_is_the_plain_one(rng):
    from fastmodes.kernels.modes.eigenvalues import plain_stability

    count = 3000
    w, decay, s, p, r = (*rng.uniform(-0.99, 0.99, (2, count)), *rng.normal(size=(3, count)))
    p[:9], r[5:20] = 0.0, 0.0
    rules = (
        fm.bptt(), fm.tbptt(1), fm.tbptt(7), fm.eprop(),
        fm.LearningRule("scalar", feedback="random", propagator="scalar", decay=0.5),
    )  # fmt: skip
    found = analysis.stability(rules, w, p, s, feedback=r, decay=decay)
    for i, rule in enumerate(rules):
        points = np.stack(
            [
                w, p, s, s if rule.feedback == "readout" else r, w if "recurrent" in rule.propagator else decay,
                np.full(count, float(rule.horizon or 0)),
            ],
            axis=1,
        )  # fmt: skip
        plain, kinds = np.empty((3, count)), np.empty(count, np.int8)
        plain_stability(points, plain, kinds)
        real, imaginary = found.stability_real.values[i], found.stability_imag.values[i, 1]
        size = np.abs(plain).max(axis=0)
        # Where the two eigenvalues nearly coincide, rounding decides between spiral and node.
        clear = np.abs(plain[0] - plain[1]) + plain[2] > 1e-6 * size
        np.testing.assert_array_equal(found.kind.values[i][clear], kinds[clear])
        np.testing.assert_allclose(real[0][clear], plain[0][clear], rtol=1e-8)
        np.testing.assert_allclose(real[1][clear], plain[1][clear], rtol=1e-8, atol=1e-300)
        np.testing.assert_allclose(imaginary[clear], plain[2][clear], rtol=1e-8)
        assert np.abs(real - plain[:2]).max(where=~clear, initial=0.0) <= 1e-2 * size.max()
