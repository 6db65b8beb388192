"""Networks, feedbacks and words out of datasets, whatever part of a dataset it is."""

import numpy as np
import pytest
import xarray as xr

import fastmodes as fm

TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
RULES = ["bptt", "eprop", "rflo(0.9)", "tbptt(2)"]
SMALL = dict(hidden=3, seeds=[2, 5, 7], epochs=9, learning_rate=0.05, steps=6, record_every=4, progress=False)


@pytest.fixture(scope="module")
def runs():
    return fm.train(RULES, TEACHER, updates="expected", keep_weights=True, init_scale=0.5, **SMALL)


def test_a_network_of_any_epoch_is_the_one_that_was_trained_so_far(runs):
    students = [fm.random_student(3, TEACHER, scale=0.5, seed=seed) for seed in (2, 5, 7)]
    for rule, name in zip(RULES, ("BPTT", "e-prop", "RFLO(0.9)", "tBPTT(2)"), strict=True):
        for place, seed in enumerate((2, 5, 7)):
            assert fm.network_at(runs, rule=rule, seed=seed, epoch=0) == students[place]
            short = fm.train(
                rule, TEACHER, updates="expected", keep_weights=True, init_scale=0.5, **(SMALL | {"epochs": 4}),
            )  # fmt: skip
            wanted = fm.network_at(short, seed=seed)
            got = [fm.network_at(runs, rule=r, seed=seed, epoch=4) for r in (rule, name, fm.parse_rule(rule))]
            assert got == [wanted] * 3
            last = [fm.network_at(runs, rule=rule, seed=seed, epoch=epoch) for epoch in (None, -1, 9)]
            assert last[0] == last[1] == last[2] != wanted
            np.testing.assert_array_equal(
                fm.feedback_at(runs, rule=rule, seed=seed, epoch=4),
                fm.random_feedback(students[place], scale=1.0, seed=seed),
            )
    one = runs.sel(rule="e-prop", seed=5, epoch=8)
    assert fm.network_at(one) == fm.network_at(runs, rule="eprop", seed=5, epoch=8)
    assert fm.network_at(one, rule="eprop", seed=5, epoch=8) == fm.network_at(one)
    assert fm.network_at(runs.transpose(..., "rule", "epoch"), rule="eprop", seed=5, epoch=8) == fm.network_at(one)
    np.testing.assert_array_equal(fm.feedback_at(one), fm.feedback_at(runs, seed=5))


def test_all_networks_are_a_labelled_array(runs):
    networks = fm.networks_of(runs.sel(seed=[7, 2]))
    assert networks.dims == ("rule", "seed", "epoch")
    assert networks.sel(rule="e-prop", seed=2, epoch=4).item() == fm.network_at(runs, rule="eprop", seed=2, epoch=4)
    last = fm.networks_of(runs.isel(epoch=-1))
    assert last.dims == ("rule", "seed")
    further = fm.train(
        "eprop", TEACHER, students=list(last.sel(rule="e-prop").values), **(SMALL | {"epochs": 1}), keep_weights=True,
    )  # fmt: skip
    assert fm.network_at(further, seed=5, epoch=0) == last.sel(rule="e-prop", seed=5).item()
    assert fm.networks_of(runs.isel(rule=0, seed=0, epoch=0)).item() == fm.network_at(
        runs, rule="bptt", seed=2, epoch=0
    )


def test_leaky_students_come_out_as_they_learn():
    runs = fm.train("bptt", TEACHER, updates="expected", keep_weights=True, leak=0.5, **SMALL)
    network = fm.network_at(runs, seed=5)
    student = fm.random_student(3, TEACHER, scale=0.1, seed=5)
    np.testing.assert_allclose(fm.network_at(runs, seed=5, epoch=0).recurrent, student.recurrent, atol=1e-15)
    loss = fm.expected_update(fm.bptt(), network.leaky(0.5), TEACHER, 6).loss
    np.testing.assert_allclose(runs.loss.sel(seed=5).isel(epoch=-1), loss, rtol=1e-12)


def test_networks_of_a_flow():
    flowed = fm.matrix_flow(["bptt", "rflo"], TEACHER, hidden=2, seeds=2, times=[0.0, 1.5, 3.0], progress=False)
    kept = fm.matrix_flow(
        ["bptt", "rflo"], TEACHER, hidden=2, seeds=2, times=[0.0, 1.5, 3.0], progress=False, keep_weights=True
    )
    assert fm.network_at(flowed, rule="rflo", seed=1) == fm.network_at(kept, rule="rflo", seed=1, time=3.0)
    assert fm.network_at(kept, rule="rflo", seed=1, time=0) == fm.random_student(2, TEACHER, scale=0.1, seed=1)
    assert fm.networks_of(flowed).dims == ("rule", "seed")
    assert fm.networks_of(kept).dims == ("rule", "seed", "time")
    np.testing.assert_array_equal(fm.feedback_at(flowed, seed=1), flowed.feedback_weights.sel(seed=1))
    with pytest.raises(ValueError, match=r"keep_weights=True"):
        fm.network_at(flowed, rule="rflo", seed=1, time=1.5)
    with pytest.raises(ValueError, match=r"time must be one of 0.0, 1.5, 3.0, which are recorded; got 1.4"):
        fm.network_at(kept, rule="rflo", seed=1, time=1.4)


def test_diverged_runs_have_no_network():
    runs = fm.train(
        ["bptt", "rflo"], TEACHER, updates="expected", keep_weights=True, divergence_loss=0.5, **SMALL
    ).isel(rule=[0])  # fmt: skip
    assert (fm.status_names(runs) == "diverged").all()
    with pytest.raises(ValueError, match=r"at rule 'BPTT', seed 5, epoch 9 the run has diverged"):
        fm.network_at(runs, seed=5)
    assert fm.networks_of(runs).isel(epoch=-1).values.ravel().tolist() == [None] * 3
    assert isinstance(fm.network_at(runs, seed=5, epoch=0), fm.LinearRNN)


REFUSED = [
    (dict(seed=2), r"rule must be one of BPTT, e-prop, RFLO\(0.9\), tBPTT\(2\), of which there are several"),
    (dict(rule="bptt"), "seed must be one of 2, 5, 7, of which there are several; got None"),
    (dict(rule="rflo", seed=2), "rule must be one of 'BPTT', 'e-prop'.*got 'rflo'"),
    (dict(rule="nonsense", seed=2), "rule must be one of .*got 'nonsense'"),
    (dict(rule=3, seed=2), "rule must be one of .*got 3"),
    (dict(rule="bptt", seed=0), "seed must be one of 2, 5, 7, which are recorded; got 0"),
    (dict(rule="bptt", seed=2, epoch=5), "epoch must be one of 0, 4, 8, 9, which are recorded; got 5"),
    (dict(rule="bptt", seed=2, time=1.0), "runs must have coordinates of 'time'"),
    (dict(rule="bptt", seed=2, phase=0), "runs must have coordinates of 'phase'"),
]


@pytest.mark.parametrize(("asked", "message"), REFUSED)
def test_what_is_not_there_is_refused(runs, asked, message):
    with pytest.raises(ValueError, match=message):
        fm.network_at(runs, **asked)


def test_datasets_without_weights_are_refused():
    runs = fm.train("rflo", TEACHER, updates="expected", **SMALL)
    for function in (fm.network_at, fm.feedback_at, fm.networks_of):
        with pytest.raises(ValueError, match=r"keep_weights=True"):
            function(runs)
        with pytest.raises(TypeError, match=r"runs must be an xarray.Dataset"):
            function(3)


def test_status_in_words(runs, tmp_path):
    words = fm.status_names(runs)
    assert words.dims == ("rule", "seed")
    assert (words == "running").all()
    assert (fm.status_names(fm.read_netcdf(fm.write_netcdf(runs, tmp_path / "runs.nc"))) == words).all()
    meanings = runs.mode_match.attrs["flag_meanings"].split()
    matches = fm.status_names(runs, "mode_match")
    assert all(
        meanings[code] == word for code, word in zip(runs.mode_match.values.flat, matches.values.flat, strict=True)
    )
    assert "flag_values" not in matches.attrs
    # In any order of codes, and with a number that means nothing.
    status = xr.DataArray(np.array([3, -1, 7], dtype=np.int8), dims="run")
    status.attrs = {"flag_values": np.array([7, 3], dtype=np.int8), "flag_meanings": "good bad"}
    assert fm.status_names(xr.Dataset({"status": status})).values.tolist() == ["bad", "missing", "good"]
    assert fm.status_names(xr.Dataset({"status": status}).isel(run=0)).item() == "bad"
    with pytest.raises(ValueError, match=r"variable must be one of the dataset's flags, .*status"):
        fm.status_names(runs, "loses")
    with pytest.raises(ValueError, match=r"flag_meanings"):
        fm.status_names(runs, "loss")
    with pytest.raises(TypeError, match=r"dataset must be"):
        fm.status_names(runs.status)
