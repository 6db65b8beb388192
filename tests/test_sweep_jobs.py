"""Every job of a sweep computes what the package's own functions compute, bit for bit."""

import math

import numpy as np
import pytest
import xarray as xr

import fastmodes as fm
from fastmodes.sweeps import Plan, open_sweep, sweep


def swept(plan, out):
    sweep(plan, out, progress=False)
    return open_sweep(out).load()


TRAIN = {
    "job": "train",
    "seeds": 3,
    "fixed": {
        "updates": "expected",
        "epochs": 60,
        "steps": 8,
        "teacher_recurrent": [0.9, 0.5],
        "init_scale": 0.5,
        "record_every": 30,
    },
    "axes": {"rule": ["bptt", "rflo(0.3)"], "hidden": [2, 3], "learning_rate": [0.01, 0.02]},
}


def test_training_is_that_of_train(tmp_path):
    dataset = swept(TRAIN, tmp_path / "out")
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    for hidden in (2, 3):
        for rate in (0.01, 0.02):
            alone = fm.train(
                [fm.bptt(), fm.rflo(0.3)], teacher, hidden=hidden, seeds=[0, 1, 2], epochs=60, learning_rate=rate,
                steps=8, updates="expected", init_scale=0.5, record_every=30, progress=False,
            )  # fmt: skip
            found = dataset.sel(hidden=hidden, learning_rate=rate)
            for name in dataset.data_vars:
                values = found[name]
                if "unit" in values.dims:
                    assert np.isnan(values.isel(unit=slice(hidden, None))).all()
                    values = values.isel(unit=slice(0, hidden))
                np.testing.assert_array_equal(values.values, alone[name].values, err_msg=name)
    assert dataset.loss.dims == ("rule", "hidden", "learning_rate", "seed", "epoch")
    np.testing.assert_array_equal(dataset.epoch, [0, 30, 60])
    np.testing.assert_array_equal(dataset.teacher_recurrent, [0.9, 0.5])


@pytest.mark.parametrize("size", [1, 5, 24])
def test_training_does_not_depend_on_the_blocks(tmp_path, size):
    one = swept(TRAIN, tmp_path / "one")
    other = swept(TRAIN | {"points_per_block": size}, tmp_path / "other")
    for name in one.data_vars:
        assert one[name].values.tobytes() == other[name].values.tobytes()


def test_teachers_may_be_an_axis_and_have_any_readout(tmp_path):
    plan = {
        "job": "train",
        "fixed": {
            "rule": "bptt",
            "updates": "expected",
            "epochs": 10,
            "steps": 5,
            "hidden": 3,
            "teacher_readout": [[0.5, 0.5]],
        },
        "axes": {"teacher_recurrent": [[0.9, 0.5], [0.8, -0.3]], "learning_rate": [0.01]},
        "record": ["loss", "mode_recurrent"],
    }
    dataset = swept(plan, tmp_path / "out")
    assert dataset.teacher_recurrent.values.tolist() == ["[0.9, 0.5]", "[0.8, -0.3]"]
    assert set(dataset.data_vars) == {"loss", "mode_recurrent"}
    for i, eigenvalues in enumerate([[0.9, 0.5], [0.8, -0.3]]):
        teacher = fm.LinearRNN([[0.5, 0.5]], np.diag(eigenvalues), np.eye(2))
        alone = fm.train(
            fm.bptt(), teacher, hidden=3, seeds=[0], epochs=10, learning_rate=0.01, steps=5, updates="expected",
            record_every=10, progress=False,
        )  # fmt: skip
        np.testing.assert_array_equal(dataset.loss.isel(teacher_recurrent=i).values.ravel(), alone.loss.values.ravel())


def test_expected_updates_are_those_of_expected_update(tmp_path):
    plan = {
        "job": "expected",
        "seeds": 2,
        "fixed": {"teacher_recurrent": [0.9, 0.5], "steps": 7},
        "axes": {"rule": ["bptt", "tbptt(2)", "rflo"], "decay": [0.2, 0.8], "hidden": [2, 3]},
    }
    dataset = swept(plan, tmp_path / "out")
    np.testing.assert_allclose(dataset.gradient_cosine.sel(rule="BPTT"), 1.0, rtol=1e-14)
    np.testing.assert_array_equal(
        dataset.loss.sel(rule="tBPTT(2)", decay=0.2), dataset.loss.sel(rule="RFLO", decay=0.8)
    )
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    student = fm.random_student(3, teacher, scale=1.0, seed=1)
    feedback = fm.random_feedback(student, scale=1.0, seed=1)
    update = fm.expected_update(fm.rflo(0.8), student, teacher, 7, feedback=feedback)
    found = dataset.sel(rule="RFLO", decay=0.8, hidden=3, seed=1)
    assert float(found.loss) == update.loss
    assert float(found.update_recurrent_norm) == np.linalg.norm(update.recurrent)


FLOW_AXES = {
    "rule": ["rflo", "tbptt(2)", "bptt"],
    "recurrent": {"start": -0.8, "stop": 0.8, "num": 5},
    "decay": [0.1, 0.9],
    "horizon": [1, 3],
}


@pytest.mark.parametrize("endless", ["inf", math.inf])
def test_infinitely_many_steps(tmp_path, endless):
    document = {
        "job": "expected",
        "fixed": {"teacher_recurrent": [0.9, 0.5], "hidden": 3},
        "axes": {"rule": ["bptt", "rflo"], "steps": [7, endless]},
    }
    for found in (0, 1):
        assert sweep(document, tmp_path / "out", progress=False).found == found
    done = open_sweep(tmp_path / "out").load()
    np.testing.assert_array_equal(done.steps, [7.0, math.inf])
    for name in done.data_vars:
        assert np.isfinite(done[name]).all()
        assert (done[name].isel(steps=0) != done[name].isel(steps=1)).any()


@pytest.mark.parametrize("size", [None, 1, 7])
def test_flows_are_those_of_flow(tmp_path, size):
    plan = {
        "job": "flow",
        "fixed": {"readout": 1.0, "input": 0.5, "teacher_recurrent": 0.6, "times": [1.0, 5.0]},
        "axes": FLOW_AXES,
        "points_per_block": size,
    }
    dataset = swept(plan, tmp_path / "out")
    for rule, replaced in ((fm.rflo(), "decay"), (fm.tbptt(2), "horizon"), (fm.bptt(), None)):
        values = xr.DataArray(np.linspace(-0.8, 0.8, 5), dims="recurrent")
        extra = {} if replaced is None else {replaced: xr.DataArray(FLOW_AXES[replaced], dims=replaced)}
        alone = fm.flow(rule, fm.Modes(values, 1.0, 0.5), fm.Modes(0.6, 1.0, 1.0), [1.0, 5.0], **extra)
        for name in dataset.data_vars:
            found = dataset[name].sel(rule=rule.name)
            expected = alone[name].isel(rule=0).broadcast_like(found).transpose(*found.dims)
            np.testing.assert_array_equal(found.values, expected.values, err_msg=name)


def test_stability_is_that_of_the_analysis(tmp_path):
    plan = {
        "job": "stability",
        "fixed": {"teacher_recurrent": -0.7, "teacher_product": 1.3},
        "axes": {"rule": ["rflo", "eprop", "tbptt(2)"], "position": [-2.0, -0.5, 1.0], "decay": [-0.3, 0.9]},
    }
    dataset = swept(plan, tmp_path / "out")
    position = xr.DataArray([-2.0, -0.5, 1.0], dims="position")
    for rule in (fm.rflo(), fm.eprop(), fm.tbptt(2)):
        decay = xr.DataArray([-0.3, 0.9], dims="decay") if rule == fm.rflo() else None
        alone = fm.analysis.stability(rule, -0.7, 1.3, position, decay=decay)
        for name in dataset.data_vars:
            found = dataset[name].sel(rule=rule.name)
            expected = alone[name].isel(rule=0).broadcast_like(found).transpose(*found.dims)
            np.testing.assert_array_equal(found.values, expected.values, err_msg=name)


@pytest.mark.parametrize("job", ["train", "expected", "flow", "stability"])
def test_an_unknown_parameter_of_a_real_job_is_named(job):
    with pytest.raises(
        ValueError, match=r"fixed\.teacher_recurent: unknown key \(did you mean 'teacher_recurrent'\?\)"
    ):
        Plan({"job": job, "fixed": {"rule": "bptt", "teacher_recurent": 0.5}})


def test_blocks_are_chosen_from_the_plan_and_keep_seeds_together():
    plan = Plan(
        {"job": "train", "fixed": {"rule": "bptt", "epochs": 20_000}, "seeds": 10, "axes": {"hidden": [4, 8, 16]}}
    )
    assert plan.points_per_block < 30
    assert plan.points_per_block < 10 or plan.points_per_block % 10 == 0


@pytest.mark.parametrize("rates", [1.0, {"readout": 0.5, "recurrent": 2.0, "input": 0.0}], ids=str)
def test_flows_and_stability_have_leak_and_rates(tmp_path, rates):
    axes = {"leak": [0.4, 1.0], "rule": ["bptt", "rflo(0.3)"], "position": [0.4, 0.9, 1.5]}
    table = {"job": "stability", "fixed": {"teacher_recurrent": 0.6, "rates": rates}, "axes": axes}
    found = swept(table, tmp_path / "stability")
    for leak in axes["leak"]:
        alone = fm.analysis.stability(
            axes["rule"], 0.6, 1.0, np.array(axes["position"]), leak=leak, rates=rates, progress=False
        )
        for name in found.data_vars:
            own = found[name].sel(leak=leak).transpose(*(d.replace("point", "position") for d in alone[name].dims))
            np.testing.assert_array_equal(own, alone[name], err_msg=name)
    axes = {"leak": [0.4, 1.0], "rule": ["bptt", "rflo(0.3)"], "readout": [0.4, 0.9, 1.5]}
    fixed = {"teacher_recurrent": 0.6, "input": 0.7, "times": [1.0, 20.0], "rates": rates}
    found = swept({"job": "flow", "fixed": fixed, "axes": axes}, tmp_path / "flow")
    for leak in axes["leak"]:
        alone = fm.flow(
            axes["rule"], fm.Modes(0.0, np.array(axes["readout"]), 0.7), fm.Modes(0.6, 1.0, 1.0), [1.0, 20.0],
            leak=leak, rates=rates, progress=False,
        )  # fmt: skip
        for name in found.data_vars:
            own = found[name].sel(leak=leak).transpose(*(d.replace("point", "readout") for d in alone[name].dims))
            np.testing.assert_array_equal(own, alone[name], err_msg=name)
