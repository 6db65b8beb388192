"""Flow of whole networks: modes of aligned students, conservation, small steps, the edge of the domain, end points."""

import math

import naive_stationary
import numpy as np
import pytest
import scipy.integrate
from fastmodes.analysis.theory import network_fixed_points as matrix_fixed_points
from problems import matrices

import fastmodes as fm

QUIET = {"progress": False}


def final_network(run):
    return fm.LinearRNN(*(run[f"final_{part}_weights"].values for part in ("readout", "recurrent", "input")))


def mode_slopes(rule, r, ws, p):
    """Right-hand side of the flow of modes, theory section 5, as SciPy wants it."""

    def slopes(_, state):
        w, a, b = state.reshape(3, -1)
        pi = w if rule.propagator in ("recurrent", "recurrent_diagonal") else rule.decay
        f = a if rule.feedback == "readout" else r
        tau = math.inf if rule.horizon is None else rule.horizon

        def g(x):
            return (1 - (0 if tau == math.inf else x**tau)) / (1 - x)

        return -np.concatenate(
            [
                f * b * (a * b * w * g(pi * w) / (1 - w**2) - p * ws * g(pi * ws) / (1 - w * ws)),
                b * (a * b / (1 - w**2) - p / (1 - w * ws)),
                f * (a * b * g(pi * w) - p * g(pi * ws)),
            ]
        )

    return slopes


@pytest.mark.parametrize("rule", [fm.bptt(), fm.tbptt(1), fm.tbptt(3), fm.rflo(0.5), fm.eprop()], ids=str)
def test_aligned_student_flows_mode_by_mode(rule):
    ws, p = np.array([0.8, 0.5, 0.3]), np.array([1.0, 0.8, 1.2])
    w, a, b, r = np.array([0.2, 0.4, -0.1]), np.array([0.6, -0.5, 0.7]), np.array([0.5, 0.4, 0.8]), np.full(3, 0.9)
    teacher = fm.aligned_teacher(fm.Modes(ws, p, 1.0))
    student = fm.aligned_student(teacher, fm.Modes(w, a, b))
    times = np.linspace(0.0, 3.0, 7)
    found = fm.matrix_flow(
        rule, teacher, seeds=[0], times=times, students=[student], rtol=1e-10, atol=1e-12, keep_weights=True,
        feedbacks=[np.diag(r)] if rule.feedback == "random" else None, **QUIET,
    ).squeeze(("rule", "seed"))  # fmt: skip
    wanted = scipy.integrate.solve_ivp(
        mode_slopes(rule, r, ws, p), (0, 3), np.concatenate([w, a, b]), t_eval=times, rtol=1e-11, atol=1e-13
    ).y.reshape(3, 3, -1)
    for name, entries in zip(("recurrent", "readout", "input"), wanted, strict=True):
        weights = found[f"{name}_weights"].values
        np.testing.assert_allclose(np.einsum("tii->it", weights), entries, rtol=0, atol=1e-8)
        assert np.abs(weights - np.einsum("tii->ti", weights)[:, :, np.newaxis] * np.eye(3)).max() < 1e-15


@pytest.mark.parametrize("rule", [fm.bptt(), fm.tbptt(2), fm.rflo(0.4), fm.eprop()], ids=str)
def test_aligned_student_equals_the_flow_of_modes(rule):
    start, target = fm.Modes([0.1, 0.5], [0.7, 0.6], [0.4, -0.5]), fm.Modes([0.7, 0.4], [1.0, -0.9], 1.0)
    teacher, times = fm.aligned_teacher(target), np.linspace(0.5, 4.0, 8)
    settings = {"rtol": 1e-10, "atol": 1e-12}
    whole = fm.matrix_flow(
        rule, teacher, seeds=[0], times=times, students=[fm.aligned_student(teacher, start)], keep_weights=True,
        feedbacks=[np.diag([0.8, 1.1])] if rule.feedback == "random" else None, **settings, **QUIET,
    ).squeeze(("rule", "seed"))  # fmt: skip
    for place, r in enumerate((0.8, 1.1)):
        one = fm.flow(
            rule, fm.Modes(*(entry[place] for entry in start)),
            fm.Modes(target.recurrent[place], target.readout[place], 1.0), times, feedback=r, **settings,
        ).squeeze("rule")  # fmt: skip
        for name, weights in (("w", "recurrent_weights"), ("a", "readout_weights"), ("b", "input_weights")):
            np.testing.assert_allclose(whole[weights].values[:, place, place], one[name].values, rtol=0, atol=1e-8)


def test_full_credit_conserves_its_matrix(teacher):
    """A^T A - B B^T + W^T W - W W^T stays under BPTT, up to the integrator's error."""
    found = fm.matrix_flow(
        fm.bptt(), teacher, hidden=5, seeds=[1], times=[0.0, 4.0], init_scale=0.5, rtol=1e-10, atol=1e-12,
        keep_weights=True, **QUIET,
    ).squeeze(("rule", "seed"))  # fmt: skip

    def speed(time):
        a, w, b = (found[f"{x}_weights"].values[time] for x in ("readout", "recurrent", "input"))
        _, da, dw, db = fm.expected_update(fm.bptt(), fm.LinearRNN(a, w, b), teacher, math.inf)
        return np.abs(a.T @ da - db @ b.T + w.T @ dw - dw @ w.T).max(), np.abs(dw).max()

    for time in (0, 1):
        conserved, moving = speed(time)
        assert conserved < 1e-12 * max(moving, 1.0)


def test_gradient_descent_tends_to_the_flow_at_first_order(teacher):
    flow = fm.matrix_flow(
        fm.rflo(0.5), teacher, hidden=4, seeds=[2], times=[1.0], init_scale=0.5, rtol=1e-10, atol=1e-12,
        keep_weights=True, **QUIET,
    )  # fmt: skip
    gaps = []
    for epochs in (100, 200, 400):
        trained = fm.train(
            fm.rflo(0.5), teacher, hidden=4, seeds=[2], epochs=epochs, learning_rate=1 / epochs, steps=math.inf,
            updates="expected", init_scale=0.5, keep_weights=True, **QUIET,
        )  # fmt: skip
        gap = trained["recurrent_weights"].isel(epoch=-1).values - flow["recurrent_weights"].isel(time=-1).values
        gaps.append(np.abs(gap).max())
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.05)
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.05)


def test_dense_output_does_not_depend_on_the_times_asked_for(teacher):
    settings = {"hidden": 3, "seeds": [4], "rtol": 1e-9, "atol": 1e-11, "init_scale": 0.5, **QUIET}
    few = fm.matrix_flow(fm.eprop(), teacher, times=[0.0, 2.0], **settings)
    many = fm.matrix_flow(fm.eprop(), teacher, times=np.linspace(0, 2, 41), **settings)
    assert few["loss"].values[0, 0, -1] == many["loss"].values[0, 0, -1]
    tight = fm.matrix_flow(
        fm.eprop(), teacher, times=np.linspace(0, 2, 41), **settings | {"rtol": 1e-12, "atol": 1e-14}
    )
    np.testing.assert_allclose(many["loss"], tight["loss"], rtol=1e-6)


def test_results_do_not_depend_on_threads_or_company(teacher):
    settings = {"hidden": 3, "times": [0.0, 1.0], "init_scale": 0.5, **QUIET}
    together = fm.matrix_flow([fm.bptt(), fm.rflo(0.5)], teacher, seeds=range(4), threads=2, **settings)
    alone = fm.matrix_flow(fm.rflo(0.5), teacher, seeds=[2], threads=1, **settings)
    np.testing.assert_array_equal(
        together["final_recurrent_weights"].sel(rule="RFLO", seed=2), alone["final_recurrent_weights"].squeeze()
    )


def test_loss_falls_along_the_gradient_and_ends_at_the_teacher(teacher):
    found = fm.matrix_flow(fm.bptt(), teacher, hidden=4, seeds=range(2), times=np.linspace(0, 100, 51), **QUIET)
    assert (np.diff(found["loss"].values, axis=-1)[found["loss"].values[..., 1:] > 1e-10] <= 0).all()
    assert (found["loss"].values[..., -1] < 1e-10).all()
    assert (found["status"] == 1).all()
    np.testing.assert_allclose(found["spectral_radius"], 0.9, atol=1e-5)
    assert (found["alignment_recurrent"].isel(time=-1) > 0.99).all()


def test_leaving_the_domain_is_a_status_and_keeps_the_last_state():
    """One e-prop mode on the wrong branch runs to |w| = 1 in finite time."""
    teacher = fm.aligned_teacher(fm.Modes([0.9], 1.0, 1.0))
    student = fm.aligned_student(teacher, fm.Modes([0.6], [1.0], [1.0]))
    found = fm.matrix_flow(
        fm.eprop(), teacher, seeds=[0], times=np.linspace(0, 50, 101), students=[student], feedbacks=[[[-1.0]]], **QUIET
    ).squeeze(("rule", "seed"))
    assert found["status"].attrs["flag_meanings"].split()[int(found["status"])] == "left_domain"
    assert 1 - 1e-4 < float(found["spectral_radius"]) < 1
    reached = float(found["time_reached"])
    assert 0 < reached < 50
    np.testing.assert_array_equal(np.isnan(found["loss"]), found["time"] > reached)
    assert np.isfinite(found["final_recurrent_weights"]).all()


def test_students_outside_the_domain_do_not_move(teacher):
    student = fm.LinearRNN(np.eye(4), 1.1 * np.eye(4), np.eye(4))
    found = fm.matrix_flow(fm.bptt(), teacher, seeds=[0], times=[0.0, 1.0], students=[student], **QUIET)
    assert found["status"].item() == 2
    assert found["time_reached"].item() == 0
    np.testing.assert_array_equal(found["final_recurrent_weights"].squeeze(), student.recurrent)


def test_step_limit_is_a_status(teacher):
    found = fm.matrix_flow(fm.bptt(), teacher, hidden=4, seeds=[0], times=[0.0, 100.0], step_limit=10, **QUIET)
    assert found["status"].item() == 3
    assert found["integration_steps"].item() == 10


def test_file_round_trip(tmp_path, teacher):
    found = fm.matrix_flow([fm.bptt(), fm.rflo(0.5)], teacher, hidden=3, seeds=[2], times=[0.0, 1.0], **QUIET)
    fm.write_netcdf(found, tmp_path / "flow.nc")
    assert fm.read_netcdf(tmp_path / "flow.nc").identical(found)


def test_refusals(teacher):
    for wrong, message in (
        ({"times": [1.0, 0.5]}, "times must be >= 0 and increasing"),
        ({"rtol": 0.0}, "rtol must be"),
        ({"step_limit": 0}, "step_limit must be"),
        ({"seeds": []}, "seeds must hold"),
    ):
        with pytest.raises(ValueError, match=message):
            fm.matrix_flow(fm.bptt(), teacher, **{"hidden": 3, "seeds": [1], "times": [1.0], **QUIET} | wrong)
    with pytest.raises(ValueError, match="teacher must have a spectral radius below 1"):
        fm.matrix_flow(fm.bptt(), fm.LinearRNN(np.eye(2), np.eye(2), np.eye(2)), hidden=2, seeds=[1], times=[1.0])


def naive_jacobian(rule, r, network, teacher, steps=300):
    """Jacobian of the flow by central differences of the O(T) sums, column by column."""
    shapes = [m.shape for m in matrices(network)]
    start = np.concatenate([m.ravel() for m in matrices(network)])
    ends = np.cumsum([m.size for m in matrices(network)])[:-1]

    def slope(theta):
        parts = [x.reshape(s) for x, s in zip(np.split(theta, ends), shapes, strict=True)]
        f = parts[0] if rule.feedback == "readout" else r
        return -np.concatenate(
            [
                d.ravel()
                for d in naive_stationary.expected(
                    rule.propagator, rule.decay, rule.horizon, f, parts, matrices(teacher), steps
                )[1:]
            ]
        )

    return np.stack([(slope(start + 1e-5 * e) - slope(start - 1e-5 * e)) / 2e-5 for e in np.eye(len(start))], axis=1)


@pytest.mark.parametrize("rule", [fm.bptt(), fm.tbptt(2), fm.rflo(0.5), fm.eprop()], ids=str)
def test_jacobian_without_a_matrix(rng, rule):
    teacher = fm.aligned_teacher(fm.Modes([0.7, 0.4], 1.0, 1.0))
    student = fm.random_student(3, teacher, scale=0.5, seed=1)
    r = None if rule.feedback == "readout" else rng.standard_normal((2, 3))
    jacobian = matrix_fixed_points.flow_jacobian(rule, student, teacher, feedback=r)
    wanted = naive_jacobian(rule, r, student, teacher)
    np.testing.assert_allclose(jacobian @ np.eye(len(wanted)), wanted, rtol=0, atol=1e-7 * np.abs(wanted).max())


def test_aligned_optimum_has_the_eigenvalues_of_its_modes():
    """On the optimal manifold: theory section 6 for each mode, zeros along the manifold."""
    ws, p, s = np.array([0.7, 0.4]), np.array([1.0, 0.8]), np.array([0.9, 1.1])
    teacher = fm.aligned_teacher(fm.Modes(ws, p, 1.0))
    student = fm.aligned_student(teacher, fm.Modes(ws, s, p / s))
    jacobian = matrix_fixed_points.flow_jacobian(fm.bptt(), student, teacher)
    values = np.linalg.eigvals(jacobian @ np.eye(jacobian.shape[0]))
    d = 1 - ws**2
    c1 = p**2 * (1 + ws**2) / d**3 + (s**2 + p**2 / s**2) / d
    c0 = p**2 * (s**2 + p**2 / s**2) / d**4
    for sign in (1, -1):
        for wanted in (-c1 + sign * np.sqrt(c1**2 - 4 * c0)) / 2:
            assert np.abs(values - wanted).min() < 1e-8 * abs(wanted)
    assert np.sum(np.abs(values) < 1e-8) == 4
    found = matrix_fixed_points.stability_at(fm.bptt(), student, teacher)
    assert found.stable
    assert abs(found.growth) < 1e-10
    assert found.fastest == pytest.approx(((c1 + np.sqrt(c1**2 - 4 * c0)) / 2).max(), rel=1e-8)


@pytest.mark.parametrize("n", [2, 6])
def test_silent_network_is_a_saddle_of_known_growth(n):
    """At A = B = 0 eigenvalues are +-p / (1 - w w*) under BPTT; six modes are enough weights for Arnoldi's method."""
    ws, w = np.linspace(0.2, 0.8, n), np.linspace(-0.3, 0.6, n)
    teacher = fm.aligned_teacher(fm.Modes(ws, 1.0, 0.9))
    silent = fm.aligned_student(teacher, fm.Modes(w[::-1], 0.0, 0.0))
    found = matrix_fixed_points.stability_at(fm.bptt(), silent, teacher)
    # Student mode i and teacher mode j that meet in one channel excite each other: w_i with w*_j.
    assert found.growth == pytest.approx(0.9 * np.max(1 / (1 - np.outer(w, ws))), rel=1e-6)
    assert not found.stable


def test_full_credit_ends_at_the_teacher_and_one_output_of_random_feedback_does_not():
    """With n_out < n random feedback has more fixed points than optima (see analysis.matrix_fixed_points)."""
    teacher = fm.LinearRNN([[1.0, 0.8]], np.diag([0.8, 0.3]), np.eye(2))
    rules = [fm.bptt(), fm.rflo(0.5)]
    flow = fm.matrix_flow(
        rules, teacher, hidden=2, seeds=range(4), times=[0.0, 3000.0], init_scale=0.5, settled=1e-8, **QUIET
    )
    ends = matrix_fixed_points.end_points(flow, rules, teacher)
    rflo = ends.sel(rule="RFLO").where(flow["status"].sel(rule="RFLO") == 1, drop=True)
    bptt = ends.sel(rule="BPTT").where(flow["status"].sel(rule="BPTT") == 1, drop=True)
    assert rflo.sizes["seed"] >= 2
    assert bptt.sizes["seed"] >= 2
    assert (bptt["relative_loss"] < 1e-8).all()
    assert (rflo["relative_loss"] > 1e-6).all()
    assert (rflo["update_size"] < 1e-5).all()
    for seed in rflo["seed"].values:
        # The teacher is matched at z = w_hat and at the student's own eigenvalues only.
        end = final_network(flow.sel(rule="RFLO", seed=seed))
        at_decay, elsewhere = (np.abs(matrix_fixed_points.error_transfer(end, teacher, z)).max() for z in (0.5, -0.5))
        assert at_decay < 1e-4
        assert elsewhere > 1e-3
        values, left = np.linalg.eig(end.recurrent.T)
        for value, vector in zip(values, left.T, strict=True):
            matched = matrix_fixed_points.error_transfer(end, teacher, value) @ end.input.T @ vector
            assert np.abs(matched).max() < 1e-4


def test_figure_shows_every_rule_with_a_curve(teacher):
    from fastmodes.analysis.figures.matrix_flow import alignment_along_flow

    rules = [fm.bptt(), fm.rflo(0.5)]
    times = np.concatenate([[0.0], np.geomspace(0.1, 10, 9)])
    figure = alignment_along_flow(fm.matrix_flow(rules, teacher, hidden=4, seeds=[3], times=times, **QUIET))
    loss, *alignments = figure.axes[:5]
    assert [line.get_label() for line in loss.lines] == ["BPTT", "RFLO"]
    assert [len(ax.lines) for ax in alignments] == [2, 2, 2, 1]
    assert all(ax.get_xlabel() and ax.get_ylabel() and ax.get_title() for ax in figure.axes[:5])
