"""Second moments of modes against those of networks of one unit, and on grids."""

import math

import numpy as np
import pytest
import xarray as xr
from problems import family

import fastmodes as fm

LETTERS = {"w": "recurrent", "a": "readout", "b": "input"}


def one_unit(w, a, b):
    return fm.LinearRNN([[a]], [[w]], [[b]])


def test_a_mode_is_a_network_of_one_unit(rng):
    for rule in family(1, 30, rng, horizons=(None, 1, 2, 7)):
        w, goal = rng.uniform(-0.8, 0.8, 2)
        a, b, p, r = rng.standard_normal(4)
        given = {"batch_size": 3, "target_noise": 0.3, "leak": float(rng.choice([1.0, 0.6]))}
        modes = fm.mode_moments(rule, fm.Modes(w, a, b), fm.Modes(goal, p, 1.0), feedback=r, **given)
        whole = fm.update_moments(rule, one_unit(w, a, b), one_unit(goal, p, 1.0), math.inf, feedback=[[r]], **given)
        for letter, name in LETTERS.items():
            for kind in ("mean", "variance"):
                wanted = float(whole[f"{kind}_{name}"].squeeze())
                assert abs(float(modes[f"{kind}_{letter}"]) - wanted) < 1e-11 * max(abs(wanted), 1e-3), (rule, letter)
        for name in ("loss", "total_variance", "signal_to_noise", "critical_batch_size", "expected_cosine"):
            assert abs(float(modes[name]) - float(whole[name])) < 1e-11 * abs(float(whole[name])), (rule, name)


def test_the_diagonal_of_an_aligned_network(rng):
    teacher = fm.Modes([0.8, 0.5, -0.3], [1.0, 1.2, 0.7], 1.0)
    student = fm.Modes([0.6, 0.2, 0.1], [0.9, 0.4, 1.1], [1.0, 0.8, 1.3])
    goal = fm.aligned_teacher(teacher)
    network = fm.aligned_student(goal, student)
    r = np.diag([0.7, -0.4, 1.0])
    for rule in (fm.bptt(), fm.tbptt(3), fm.rflo(0.6), fm.eprop()):
        whole = fm.update_moments(rule, network, goal, math.inf, feedback=r)
        modes = fm.mode_moments(rule, student, teacher, feedback=np.diagonal(r))
        for letter, name in LETTERS.items():
            diagonal = np.diagonal(whole[f"variance_{name}"].values)
            assert np.abs(modes[f"variance_{letter}"].values - diagonal).max() < 1e-11 * diagonal.max(), rule


def test_grids_by_name_and_threads():
    w = xr.DataArray(np.linspace(-0.9, 0.9, 40), dims="w_grid")
    batch = xr.DataArray([1.0, 10.0], dims="batch")
    noise = xr.DataArray(np.linspace(0.0, 1.0, 30), dims="noise")
    found = [
        fm.mode_moments(
            "rflo",
            fm.Modes(w, 1.0, 0.5),
            fm.Modes(0.7, 1.0, 1.0),
            batch_size=batch,
            target_noise=noise,
            threads=threads,
        )
        for threads in (1, 2)
    ]
    assert found[0].identical(found[1].assign_attrs(found[0].attrs))
    grid = found[0]
    assert dict(grid.sizes) == {"w_grid": 40, "batch": 2, "noise": 30}
    single = fm.mode_moments(
        "rflo", fm.Modes(float(w[7]), 1.0, 0.5), fm.Modes(0.7, 1.0, 1.0), batch_size=10, target_noise=float(noise[4])
    )
    for name in single.data_vars:
        # Compiled code for one point and for many is the same.
        assert float(grid[name].isel(w_grid=7, batch=1, noise=4)) == float(single[name]), name


def test_near_the_optimum_nothing_cancels():
    off = 1e-9
    near = fm.mode_moments("bptt", fm.Modes(0.9 + off, 1.0, 1.0), fm.Modes(0.9, 1.0, 1.0))
    far = fm.mode_moments("bptt", fm.Modes(0.9 + 1e-5, 1.0, 1.0), fm.Modes(0.9, 1.0, 1.0))
    assert abs(near.loss / far.loss / 1e-8 - 1) < 1e-3
    assert fm.mode_moments("bptt", fm.Modes(0.9, 1.0, 1.0), fm.Modes(0.9, 1.0, 1.0)).total_variance == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch_size": 0.5}, "batch_size"),
        ({"target_noise": [0.1, -0.1]}, "target_noise"),
        ({"rule": "rflo(1.1)"}, "decay"),
        ({"modes": fm.Modes(1.0, 1.0, 1.0)}, "recurrent"),
        ({"teacher": fm.Modes(-1.0, 1.0, 1.0)}, "teacher_recurrent"),
        ({"leak": 2.0}, "leak"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(given, said):
    given = {"rule": "bptt", "modes": fm.Modes(0.5, 1.0, 1.0), "teacher": fm.Modes(0.5, 1.0, 1.0)} | given
    positional = [given.pop(name) for name in ("rule", "modes", "teacher")]
    with pytest.raises((ValueError, TypeError), match=f"^{said} must"):
        fm.mode_moments(*positional, **given)
