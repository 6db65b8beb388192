"""The horizon that truncated BPTT needs: cosines at every horizon against naive sums, and the search among them."""

import math

import naive
import naive_quality
import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.figures import horizons as figures
from fastmodes.analysis.figures.style import new_figure
from fastmodes.analysis.trained.horizons import STATUS, _search
from problems import matrices, random_network

import fastmodes as fm

TEACHER = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
horizon = fm.analysis.required_horizon
#: (n_out, n_hidden, n_in), spectral radius and steps.
SIZES = [((2, 3, 2), 0.8, 1), ((1, 5, 3), 1.05, 9), ((3, 2, 1), 0.95, 23)]


def naive_cosines(student, teacher, steps, loss, horizons, alpha=1.0):
    network = naive_quality.leaky(matrices(student), alpha)
    scale = (1.0, alpha, alpha)

    def flat(tau):
        return naive_quality.flat(
            naive.expected("recurrent", None, tau, network[0], network, matrices(teacher), steps, loss)[1:], scale
        )

    gradient = flat(None)
    return [naive_quality.cosine(flat(tau), gradient) for tau in horizons]


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize(
    ("sizes", "radius", "steps"), [((2, 3, 2), 0.8, 1), ((1, 5, 3), 1.05, 9), ((3, 2, 1), 0.95, 23)]
)
def test_cosines_are_those_of_truncated_sums(sizes, radius, steps, loss, rng):
    n_out, n, n_in = sizes
    for alpha in (1.0, 0.3):
        student, teacher = (random_network(rng, n_out, m, n_in, radius=radius) for m in (n, 4))
        found = horizon(student, teacher, steps, 0.9, loss=loss, leak=alpha)
        assert found.horizon.values.tolist() == list(range(1, steps + 1))
        wanted = naive_cosines(student, teacher, steps, loss, range(1, steps + 1), alpha)
        np.testing.assert_allclose(found.gradient_cosine, wanted, atol=1e-12)
        assert found.gradient_cosine[-1] == pytest.approx(1.0, abs=1e-14)
        follows = [cosine >= 0.9 for cosine in wanted]
        required = min(tau for tau in range(1, steps + 1) if all(follows[tau - 1 :]))
        assert found.required_horizon == required
        assert found.first_horizon == 1 + follows.index(True)


@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_infinitely_many_steps(loss, rng):
    student, teacher = (random_network(rng, 2, n, 3, radius=0.85) for n in (4, 3))
    found = horizon(student, teacher, math.inf, 0.95, longest=60, loss=loss, leak=0.7)
    gradient = fm.expected_update("bptt", student, teacher, math.inf, leak=0.7)[1:]
    for tau in (1, 2, 7, 31):
        update = fm.expected_update(fm.tbptt(tau), student, teacher, math.inf, leak=0.7)[1:]
        wanted = naive_quality.cosine(naive_quality.flat(update), naive_quality.flat(gradient))
        np.testing.assert_allclose(found.gradient_cosine.sel(horizon=tau), wanted, atol=1e-12)


def test_recorded_students_of_three_rules_and_three_seeds_in_any_order():
    rates = {"readout": 0.02, "recurrent": 0.02, "input": 0.0}
    mask = np.random.default_rng(0).random((4, 4)) < 0.6
    runs = fm.train(
        ["bptt", "eprop", "rflo(0.5)"], TEACHER, hidden=4, seeds=[5, 1, 2], epochs=20, record_every=10, steps=12,
        learning_rate=rates, mask=mask, leak=0.6, init_scale=0.5, loss="sequence", keep_weights=True, progress=False,
    )  # fmt: skip
    found = horizon(runs.isel(rule=[2, 0, 1], seed=[1, 2, 0]).transpose(), cosine=0.8)
    for rule in ("RFLO", "BPTT", "e-prop"):
        for seed in (5, 2, 1):
            student = fm.network_at(runs, rule=rule, seed=seed, epoch=10)
            network = naive_quality.leaky(matrices(student), 0.6)
            parts = [
                naive.expected("recurrent", None, tau, network[0], network, matrices(TEACHER), 12, "sequence")[1:]
                for tau in (3, 12)
            ]
            flat = [naive_quality.flat(part, (1.0, 0.6 * mask, 0.0)) for part in parts]
            at = found.sel(rule=rule, seed=seed, epoch=10)
            np.testing.assert_allclose(at.gradient_cosine.sel(horizon=3), naive_quality.cosine(*flat), atol=1e-12)
    assert (fm.status_names(found, "horizon_status") == "found").all()


def test_modes_are_networks_of_one_unit():
    w = xr.DataArray([0.9, 0.2, -0.6], dims="w")
    p = xr.DataArray([1.0, -0.5], dims="p")
    for steps, leak in ((math.inf, 1.0), (7, 1.0), (math.inf, 0.5)):
        found = horizon(fm.Modes(w, 0.7, 0.4), fm.Modes(0.8, 1.0, p), steps, 0.9, longest=40, leak=leak)
        assert found.gradient_cosine.dims[-1] == "horizon"
        for i, j in ((0, 0), (1, 1), (2, 0)):
            student = fm.LinearRNN([[0.7]], [[float(w[i])]], [[0.4]])
            alone = horizon(student, fm.LinearRNN([[1.0]], [[0.8]], [[float(p[j])]]), steps, 0.9, longest=40, leak=leak)
            at = found.isel(w=i, p=j)
            np.testing.assert_allclose(at.gradient_cosine, alone.gradient_cosine, atol=1e-12)
            assert at.required_horizon.equals(alone.required_horizon)
    default = horizon(fm.Modes([0.5, 0.9], 1.0, 0.5), fm.Modes(0.9, 1.0, 1.0))
    assert default.gradient_cosine.sizes == {"mode": 2, "horizon": 200}


def test_the_horizon_from_which_on_no_other_fails():
    cosines = xr.Dataset({
        "gradient_cosine": (("run", "horizon"), [[0.1, 0.9, 0.2, 0.95, 1.0], [0.9] * 5, [0.1, 0.2, 0.9, 0.9, 0.3],
                                                 [math.nan] * 5]),
        "horizon_status": ("run", np.array([0, 0, 0, 1], np.int8)),
    })  # fmt: skip
    _search(cosines, 0.9)
    np.testing.assert_array_equal(cosines.required_horizon, [4, 1, math.nan, math.nan])
    np.testing.assert_array_equal(cosines.first_horizon, [2, 1, 3, math.nan])
    assert [STATUS[code] for code in cosines.horizon_status.values] == ["found", "found", "beyond", "gradient_at_rest"]


def test_where_there_is_no_horizon_it_is_said():
    assert fm.status_names(horizon(TEACHER, TEACHER, 20), "horizon_status").item() == "gradient_at_rest"
    modes = horizon(fm.Modes([0.5, 0.6], 1.0, 1.0), fm.Modes([0.5, 0.9], 1.0, 1.0))
    assert fm.status_names(modes, "horizon_status").values.tolist() == ["gradient_at_rest", "found"]
    assert np.isnan(modes.gradient_cosine[0]).all()
    unstable = fm.LinearRNN(np.eye(2), 1.1 * np.eye(2), np.eye(2))
    found = horizon(unstable, TEACHER, math.inf)
    assert fm.status_names(found, "horizon_status").item() == "no_limit"
    assert np.isnan(found.required_horizon)
    slow = fm.LinearRNN(np.eye(2), 0.98 * np.eye(2), np.eye(2))
    found = horizon(slow, TEACHER, math.inf, 0.999, longest=3)
    assert fm.status_names(found, "horizon_status").item() == "beyond"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TEACHER, TEACHER, None), "steps must be"), ((TEACHER, None, 5), "teacher must be"),
        ((TEACHER, TEACHER, 5, 1.0), "cosine must be"), ((TEACHER, TEACHER, 0), "steps must be"),
        ((fm.Modes(1.5, 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0)), "recurrent must be > -1"),
        (("x", TEACHER, 5), "student must be"),
        ((xr.Dataset(), TEACHER), "teacher must be left out"), ((xr.Dataset(),), "student must hold|runs must hold"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        horizon(*arguments)


def test_figures_say_what_lies_beyond():
    runs = fm.train(
        ["bptt", "rflo"], fm.aligned_teacher(fm.Modes([0.95], 1.0, 1.0)), hidden=3, seeds=3, epochs=30, steps=40,
        learning_rate=0.01, updates="expected", init_scale=0.5, keep_weights=True, progress=False,
    )  # fmt: skip
    found = horizon(runs, cosine=0.9999, longest=2)
    beyond = int((found.horizon_status == STATUS.index("beyond")).sum())
    assert beyond
    ax = figures.horizon_over_training(found)
    assert f"{beyond} of {found.horizon_status.size} beyond the longest horizon" in [t.get_text() for t in ax.texts]
    _, ax = new_figure()
    assert figures.cosine_by_horizon(found, "RFLO", ax) is ax
    assert 0.9999 in [line.get_ydata()[0] for line in ax.get_lines()]
