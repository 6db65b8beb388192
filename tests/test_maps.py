"""Maps of learning: basins, detours and learning times against trajectories followed point by point."""

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.theory.learning_maps import BASINS

import fastmodes as fm
from fastmodes import analysis

FOUR = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
TEACHER = fm.Modes(0.7, 1.0, 1.0)


def axis(name, values):
    return xr.DataArray(values, dims=name, coords={name: values})


def test_measures_of_a_trajectory_followed_densely():
    start = fm.Modes(0.6, 1.0, 1.0)
    times = np.concatenate([[0], np.geomspace(1e-4, 60, 6000)])
    for feedback in (0.8, -0.8):
        found = analysis.learning_map(FOUR, start, TEACHER, feedback=feedback, end=60.0, rtol=1e-9, atol=1e-11)
        path = fm.flow(FOUR, start, TEACHER, times, feedback=feedback, rtol=1e-10, atol=1e-12)
        points = np.stack([path.w, path.a, path.b], axis=-1)
        length = np.linalg.norm(np.diff(points, axis=1), axis=-1).sum(axis=1)
        np.testing.assert_allclose(found.path_length, length, rtol=1e-3)
        distance = np.linalg.norm(points[:, -1] - points[:, 0], axis=-1)
        np.testing.assert_allclose(found.detour, length / distance, rtol=1e-3)
        power = 1 / (2 * (1 - 0.49))
        first = np.array([times[np.argmax(loss <= 0.01 * power)] for loss in path.loss.values])
        learns = (path.loss.values <= 0.01 * power).any(axis=1)
        np.testing.assert_allclose(found.learning_time.values[learns], first[learns], rtol=0.1)
        assert np.isinf(found.learning_time.values[~learns]).all()


def test_wrong_feedback_sends_rflo_round_to_the_opposite_branch():
    """C4: from (a, b, w) = (1, 1, 0.6), near the positive branch, with r < 0."""
    found = analysis.learning_map(FOUR[:3], fm.Modes(0.6, 1.0, 1.0), TEACHER, feedback=-0.8, end=500.0)
    names = [BASINS[i] for i in found.basin.values]
    assert names == ["positive_branch", "positive_branch", "negative_branch"]
    detour = found.detour.values
    assert detour[:2].max() < 1.5
    time = found.learning_time.values
    assert time[2] > 5 * time[:2].max()


def test_basins_of_gradient_rules_follow_the_sign_of_the_conserved_side():
    """BPTT, p > 0: the line a = -b is its own; above it, modes go to the positive branch, below to the negative one."""
    a, b = axis("a0", np.linspace(-2, 2, 20)), axis("b0", np.linspace(-1.9, 1.9, 20))
    found = analysis.basins(fm.bptt(), fm.Modes(0.2, a, b), TEACHER, end=2000.0).isel(rule=0)
    expected = xr.where(a + b > 0, 0, 1).transpose(*found.dims)
    np.testing.assert_array_equal(found.values, expected.values)


def test_modes_at_rest_neither_move_nor_take_time():
    found = analysis.learning_map(fm.bptt(), fm.Modes(0.7, 2.0, 0.5), TEACHER)
    assert found.detour.item() == 1
    assert found.learning_time.item() == 0
    resting = analysis.learning_map(fm.bptt(), fm.Modes(0.2, 0.0, 0.0), TEACHER, end=10.0)
    assert BASINS[resting.basin.item()] == "non_optimal"
    assert np.isinf(resting.learning_time.item())


def test_left_domain_is_a_basin():
    found = analysis.basins(fm.eprop(), fm.Modes(0.6, -1.5, axis("b0", np.linspace(-2, 2, 30))), TEACHER, feedback=2.0)
    assert (found == BASINS.index("left_domain")).any()


def test_maps_over_three_parameters():
    found = analysis.learning_map(
        FOUR, fm.Modes(axis("w0", [0.1, 0.5]), 1.0, 0.5), fm.Modes(axis("w_star", [0.3, 0.6, 0.8]), 1.0, 1.0),
        feedback=axis("r", [0.5, 1.0]), end=50.0,
    )  # fmt: skip
    assert dict(found.basin.sizes) == {"rule": 4, "w0": 2, "w_star": 3, "r": 2}


def test_refusals():
    with pytest.raises(ValueError, match="threshold must be"):
        analysis.basins(fm.bptt(), fm.Modes(0.2, 1.0, 1.0), TEACHER, threshold=2.0)
    with pytest.raises(ValueError, match="end must be"):
        analysis.basins(fm.bptt(), fm.Modes(0.2, 1.0, 1.0), TEACHER, end=-1.0)
