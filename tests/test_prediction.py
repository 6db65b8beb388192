"""Theory from an epoch: exact for aligned students, against SciPy, refusing what the flow does not describe."""

import itertools
import json

import numpy as np
import pytest
from fastmodes.analysis.trained.prediction import STATUS, predict_from_epoch, theory_error
from scipy.integrate import solve_ivp

import fastmodes as fm

TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5], [1.0, 1.5], [1.0, 0.8]))
RULES = (fm.bptt(), fm.tbptt(), fm.rflo(0.4), fm.eprop())


def trained(rules=RULES, *, basis="identity", learning_rate=1e-3, epochs=3000, **changes):
    """Training from an aligned student, which stays aligned: the mode theory is exact up to the step size and T."""
    student = fm.aligned_student(TEACHER, fm.Modes(np.array([0.3, 0.1]), 0.4, 0.7), basis=basis, seed=3)
    feedback = fm.random_feedback(student, scale=1.0, seed=5, aligned=True)
    arguments = dict(
        hidden=2, seeds=[0], epochs=epochs, learning_rate=learning_rate, steps=100, updates="expected",
        record_every=max(1, epochs // 30), students=[student],
        feedbacks=[feedback] if any(rule.feedback == "random" for rule in rules) else None, progress=False,
    )  # fmt: skip
    return fm.train(rules, TEACHER, **(arguments | changes))


def test_aligned_students_follow_the_theory_from_any_epoch():
    data = trained()
    errors = theory_error(data)
    scale = np.abs(data["mode_recurrent"].isel(epoch=-1) - data["mode_recurrent"].isel(epoch=0)).max()
    assert errors["theory_error"].max() < 0.01 * scale
    assert (errors["prediction_status"] == STATUS.index("followed")).all()
    assert errors["theory_error"].dims == ("rule", "seed", "epoch", "mode")


def test_error_vanishes_with_the_step_size_in_first_order():
    """Gradient descent is Euler's method for the flow: half the rate and twice the epochs halve the error."""
    rules = (fm.bptt(), fm.rflo(0.4))
    sizes = [
        theory_error(trained(rules, learning_rate=rate, epochs=epochs), [0])["theory_error"].max("mode").squeeze()
        for rate, epochs in ((4e-3, 600), (2e-3, 1200), (1e-3, 2400))
    ]
    for coarse, fine in itertools.pairwise(sizes):
        np.testing.assert_allclose(coarse / fine, 2.0, rtol=0.1)


def test_rotated_hidden_space_changes_nothing():
    """BPTT commutes with rotations of hidden space; signs of modes are free."""
    straight, turned = (trained((fm.bptt(),), basis=basis) for basis in ("identity", "random"))
    for name in ("recurrent", "readout", "input"):
        one, other = (predict_from_epoch(d, 600)[f"mode_{name}"] for d in (straight, turned))
        np.testing.assert_allclose(np.abs(one), np.abs(other), atol=1e-6)


def test_prediction_agrees_with_scipy():
    """The flow of tBPTT(1) written out and integrated by other people's code."""
    data = trained((fm.tbptt(),))
    prediction = predict_from_epoch(data, 500)
    start = int(prediction["start_epoch"])
    for mode in range(2):
        row = data.isel(rule=0, seed=0, mode=mode).sel(epoch=start)
        goal, p = float(row["teacher_recurrent"]), float(row["teacher_readout"] * row["teacher_input"])

        def field(_, state, goal=goal, p=p):
            w, a, b = state
            dw = a * b * (a * b * w / (1 - w * w) - p * goal / (1 - w * goal))
            da = b * (a * b / (1 - w * w) - p / (1 - w * goal))
            return [-dw, -da, -a * (a * b - p)]

        times = (data["epoch"].values[data["epoch"] >= start] - start) * 1e-3
        state = [float(row[f"mode_{name}"]) for name in ("recurrent", "readout", "input")]
        solved = solve_ivp(field, (0, times[-1]), state, t_eval=times, rtol=1e-10, atol=1e-12).y
        for name, curve in zip(("recurrent", "readout", "input"), solved, strict=True):
            got = prediction[f"mode_{name}"].isel(rule=0, seed=0, mode=mode).dropna("epoch")
            np.testing.assert_allclose(got, curve, atol=1e-5)


def test_nothing_is_mode_before_the_start():
    data = trained((fm.bptt(),), epochs=300)
    prediction = predict_from_epoch(data, 150)
    before = prediction["epoch"] < prediction["start_epoch"]
    assert np.isnan(prediction["mode_recurrent"].where(before, drop=True)).all()
    np.testing.assert_allclose(
        prediction["mode_recurrent"].sel(epoch=prediction["start_epoch"]),
        data["mode_recurrent"].sel(epoch=prediction["start_epoch"]),
    )


def test_start_outside_of_the_domain_is_a_label_not_an_error():
    data = trained((fm.bptt(),), epochs=300)
    data["mode_recurrent"][0, 0, 4, 1] = 1.2
    data["mode_input"][0, 0, 4, 0] = np.nan
    prediction = predict_from_epoch(data, int(data["epoch"][4]))
    assert (prediction["prediction_status"] == STATUS.index("no_start")).all()
    assert np.isnan(prediction["mode_recurrent"]).all()


def test_flow_that_leaves_the_domain_is_labelled_and_cut():
    data = trained((fm.rflo(0.4),), epochs=3000)
    place = 3
    data["mode_readout"][0, 0, place], data["mode_feedback"][0, 0, place] = 2.0, -4.0
    prediction = predict_from_epoch(data, int(data["epoch"][place]))
    left = prediction["prediction_status"].values[0, 0] == STATUS.index("left_domain")
    assert left.any()
    curve = prediction["mode_recurrent"].values[0, 0][:, left]
    assert np.isnan(curve[-1]).all()
    assert np.nanmax(np.abs(curve)) <= 1
    errors = theory_error(data, [int(data["epoch"][place])])
    assert np.isnan(errors["theory_error"].values[0, 0, 0][left]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adam"}, "optimizer must be 'sgd'; got 'adam'"),
        ({"clip_norm": 1.0}, "clip_norm must be None; got 1.0"),
    ],
)
def test_refuses_what_the_flow_does_not_describe(changes, message):
    with pytest.raises(ValueError, match=message):
        predict_from_epoch(trained((fm.bptt(),), epochs=20, **changes), 0)


def test_refuses_other_datasets_and_epochs():
    data = trained((fm.bptt(),), epochs=20)
    with pytest.raises(ValueError, match="before the last recorded one"):
        predict_from_epoch(data, 20)
    with pytest.raises(ValueError, match="epoch must be a whole number from 0 to 20; got 21"):
        predict_from_epoch(data, 21)
    other = data.copy()
    other.attrs["configuration"] = json.dumps({"command": "flow"})
    with pytest.raises(ValueError, match="one of fastmodes"):
        theory_error(other)


def test_part_of_a_dataset_keeps_its_rules():
    data = trained()
    whole = predict_from_epoch(data, 600)
    part = predict_from_epoch(data.sel(rule=["RFLO(0.4)"]), 600)
    np.testing.assert_array_equal(part["mode_readout"][0], whole["mode_readout"].sel(rule="RFLO(0.4)"))
