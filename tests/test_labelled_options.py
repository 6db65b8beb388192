"""Labelled settings of training are read by their labels, in any order; labels of others are refused."""

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.figures import learning, tasks

import fastmodes as fm

TEACHERS = [fm.aligned_teacher(fm.Modes([w, 0.3], 1.0, 1.0)) for w in (0.8, 0.5, 0.6)]
RULES, SEEDS = ["bptt", "rflo(0.2)", "eprop"], [5, 0, 7]
GIVEN = {"hidden": 4, "seeds": SEEDS, "epochs": 12, "steps": 5, "progress": False, "keep_weights": True}
NAMES = ["BPTT", "RFLO(0.2)", "e-prop"]
RATES = np.random.default_rng(0).uniform(0.01, 0.05, (3, 3))
LABELLED = xr.DataArray(RATES, dims=("rule", "seed"), coords={"rule": NAMES, "seed": SEEDS})
ORDERS = {
    "rules": LABELLED.isel(rule=[2, 0, 1]),
    "seeds": LABELLED.isel(seed=[1, 2, 0]),
    "sorted": LABELLED.sortby("seed").sortby("rule"),
    "transposed": LABELLED.transpose("seed", "rule").isel(rule=[1, 2, 0]),
    "no labels": LABELLED.drop_vars(["rule", "seed"]),
}


def trained(**more):
    return fm.train(RULES, TEACHERS[0], **(GIVEN | more))


@pytest.mark.parametrize("order", ORDERS)
def test_rates_go_to_the_runs_of_their_labels(order):
    runs = trained(learning_rate=ORDERS[order])
    for place, rule in enumerate(RULES):
        for other, seed in enumerate(SEEDS):
            alone = fm.train(
                rule, TEACHERS[0], **(GIVEN | {"seeds": [seed], "learning_rate": float(RATES[place, other])})
            )
            got = runs["recurrent_weights"].isel(rule=place, seed=other, epoch=-1)
            np.testing.assert_allclose(got, alone["recurrent_weights"].isel(rule=0, seed=0, epoch=-1), rtol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
def test_tasks_read_rates_as_one_training_does(order):
    given = GIVEN | {"learning_rate": {"readout": 0.0, "recurrent": ORDERS[order], "input": 0.02}}
    plain = GIVEN | {"learning_rate": {"readout": 0.0, "recurrent": LABELLED, "input": 0.02}}
    got, wanted = (fm.train_tasks(RULES, TEACHERS, **settings)["task_loss"] for settings in (given, plain))
    np.testing.assert_array_equal(got, wanted)
    first = fm.train(RULES, TEACHERS[0], **given)["recurrent_weights"]
    np.testing.assert_array_equal(fm.train_tasks(RULES, TEACHERS, **given)["recurrent_weights"].isel(phase=0), first)


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        (LABELLED.assign_coords(seed=[1, 2, 3]), r"labels \[5, 0, 7\] along 'seed'; got \[1, 2, 3\]"),
        (LABELLED.assign_coords(rule=["a", "b", "c"]), r"labels \['BPTT', .*along 'rule'; got \['a'"),
        (LABELLED.isel(rule=[0, 0, 1]), "along 'rule'; got"),
        (LABELLED.isel(rule=[0, 1]).drop_vars("rule"), "one number for each of 3 rules; got 2"),
        (LABELLED.isel(seed=[0, 1]).drop_vars("seed"), "one number for each of 3 seeds; got 2"),
    ],
)
def test_rates_of_other_runs_are_refused(rates, words):
    with pytest.raises(ValueError, match=rf"learning_rate of readout must .*{words}"):
        trained(learning_rate=rates)


@pytest.mark.parametrize("kind", [bool, float, int])
def test_a_mask_is_read_by_name(kind):
    plain = np.triu(np.ones((4, 4))).astype(kind)
    labelled = xr.DataArray(plain, dims=("unit_to", "unit_from"))
    wanted = trained(mask=plain, learning_rate=0.03)["recurrent_weights"]
    for mask in (labelled, labelled.transpose("unit_from", "unit_to")):
        np.testing.assert_array_equal(trained(mask=mask, learning_rate=0.03)["recurrent_weights"], wanted)
    with pytest.raises(ValueError, match="mask must have the dimensions"):
        trained(mask=labelled.rename(unit_to="row"), learning_rate=0.03)


def test_pairs_of_other_labels_are_refused():
    rng = np.random.default_rng(0)
    inputs = xr.DataArray(rng.standard_normal((6, 5, 2)), dims=("sample", "time", "input"))
    targets = inputs.rename(input="output")
    for labels in (np.arange(6)[::-1], np.arange(6) + 1, list("abcdef")):
        data = inputs.assign_coords(sample=np.arange(6)), targets.assign_coords(sample=labels)
        with pytest.raises(ValueError, match=r"targets of data must have the labels of inputs along 'sample'.*Sort"):
            trained(data=data, steps=None, learning_rate=0.01)


def test_figures_of_one_training_and_of_tasks_know_each_other():
    runs = fm.train_tasks(RULES, TEACHERS, **(GIVEN | {"learning_rate": 0.02}))
    with pytest.raises(ValueError, match=r"one phase of a training on several tasks here, such as .*it has 3 phases"):
        learning.learning_curves(runs)
    learning.learning_curves(runs.isel(phase=1)).figure.canvas.draw()
    for draw in (tasks.task_losses, tasks.task_spectra):
        with pytest.raises(ValueError, match=r"as fastmodes\.train_tasks writes it"):
            draw(trained(learning_rate=0.02))
