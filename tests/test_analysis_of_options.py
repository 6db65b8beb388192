"""Analysis and figures of trainings with every option: a right result, or a refusal that names what is in the way."""

import functools

import numpy as np
import pytest
from fastmodes.analysis.figures import alignment, learning, prediction, rank

import fastmodes as fm

TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5], [1.0, 1.5], [1.0, 0.8]))
RNG = np.random.default_rng(0)
DATA = RNG.standard_normal((12, 5, 2)), RNG.standard_normal((12, 5, 2))
OPTIONS = {
    "optimizer": {"optimizer": "adam"},
    "clip_norm": {"clip_norm": 1.0},
    "leak": {"leak": 0.5},
    "learning_rate": {"learning_rate": {"readout": 0.0, "recurrent": 0.02, "input": 0.01}},
    "schedule": {"schedule": "cosine"},
    "momentum": {"momentum": 0.5},
    "weight_decay": {"weight_decay": {"readout": 0.0, "recurrent": 0.1, "input": 0.0}},
    "mask": {"mask": np.zeros((4, 4))},
    "nonlinearity": {"nonlinearity": "tanh"},
    "data": {"data": 12},
    "data given": {"data": DATA, "steps": None},
}


@functools.cache
def trained(option=None, teacher=TEACHER, **more):
    given = {"hidden": 4, "seeds": 3, "epochs": 20, "steps": 5, "learning_rate": 0.02, "record_every": 5}
    given |= {"keep_weights": True, "progress": False} | OPTIONS.get(option, {}) | more
    return fm.train(["bptt", "rflo(0.5)"], teacher, **given)


@pytest.mark.parametrize("option", OPTIONS)
def test_the_flow_predicts_plain_gradient_descent_alone(option):
    words = rf"plain gradient descent.*: {option.split()[0]} must be .*; got "
    for predict in (
        lambda data: fm.analysis.predict_from_epoch(data, 5),
        fm.analysis.theory_error,
        lambda data: prediction.one_run(data, "BPTT", 5),
    ):
        with pytest.raises(ValueError, match=words):
            predict(trained(option))


def test_rates_that_are_one_number_per_run_are_refused_too():
    with pytest.raises(ValueError, match="learning_rate must be one number for all"):
        fm.analysis.theory_error(trained(learning_rate=(0.01, 0.02, 0.03)))


def test_options_at_their_plain_values_are_plain():
    given = {"leak": 1.0, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "nonlinearity": "identity"}
    one, other = (fm.analysis.predict_from_epoch(trained(**more), 5) for more in ({}, given))
    np.testing.assert_array_equal(one["mode_recurrent"], other["mode_recurrent"])


@pytest.mark.parametrize(
    "feedback",
    [
        "feedback=mixed, mix=0.3",
        "feedback=partly_aligned, cosine=0.5",
        "feedback=kolen_pollack, feedback_decay=0.1",
        "feedback=mirror, mirror_rate=1, feedback_decay=1",
        "feedback=sign",
    ],
)
def test_every_feedback_is_predicted(feedback):
    """Aligned students: what is left is the error of Euler's method, which shows that r is followed as it learns."""
    student = fm.aligned_student(TEACHER, fm.Modes([0.3, 0.1], 0.4, 0.7))
    given = {"updates": "expected", "students": student, "record_every": 100, "steps": 60, "progress": False}
    r = fm.random_feedback(student, scale=1.0, seed=5, aligned=True)
    errors = []
    for rate, epochs in ((4e-3, 500), (2e-3, 1000)):
        runs = fm.train(
            f"rflo(0.4, {feedback})", TEACHER, feedbacks=r, seeds=[0], learning_rate=rate, epochs=epochs, **given
        )
        errors.append(fm.analysis.theory_error(runs, [0])["theory_error"].squeeze(["rule", "seed", "epoch"]))
    np.testing.assert_allclose(errors[0] / errors[1], 2.0, rtol=0.15)


WITH_MODES = {
    "summary": learning.learning_summary,
    "estimates": lambda data: learning.mode_estimates(data, "BPTT"),
    "alignments": lambda data: alignment.alignments(data, "BPTT"),
    "by rule": alignment.alignment_by_rule,
    "one run": lambda data: prediction.one_run(data, "BPTT", 5),
    "prediction": lambda data: fm.analysis.predict_from_epoch(data, 5),
    "letters": fm.analysis.letters,
}


@pytest.mark.parametrize("name", WITH_MODES)
@pytest.mark.parametrize("rate", [0.02, 1e4])
def test_what_shows_modes_refuses_trainings_without_a_teacher(name, rate):
    runs = trained("data given", None, learning_rate=rate)
    with pytest.raises(ValueError, match=r"dataset must hold '(mode|alignment)_recurrent'.* trained without a teacher"):
        WITH_MODES[name](runs)


def test_what_needs_no_modes_is_drawn_without_a_teacher():
    for runs in (trained("data given", None), trained("data given", None, learning_rate=1e4)):
        ranked = fm.analysis.rank(runs)
        assert np.isfinite(ranked["numeric_rank"]).any() == (fm.status_names(runs) != "diverged").any()
        for draw in (learning.learning_curves, rank.spectra):
            draw(runs).figure.canvas.draw()
        rank.rank_curves(ranked).canvas.draw()
        learning.learning_curves(runs, variable="training_loss").figure.canvas.draw()
    with pytest.raises(ValueError, match=r"'training_loss', as .* where it learns from data; it has loss"):
        learning.learning_curves(trained(), variable="training_loss")


def test_a_rank_without_weights_is_that_of_w():
    ranked = fm.analysis.rank(trained(keep_weights=False))
    figure = rank.rank_curves(ranked)
    assert [ax.get_title() for ax in figure.axes] == ["Change of W"] * 2
    with pytest.raises(ValueError, match=r"matrix must be one that the dataset holds, recurrent; got 'input'.*keep_w"):
        rank.rank_over_training(ranked, matrix="input")


def test_rank_of_leaky_masked_and_frozen_runs():
    """A leak only scales what RFLO's factors are; a mask breaks them, which is said; a frozen W has no rank."""
    for option, outside in (("leak", False), ("mask", None), ("weight_decay", True)):
        ranked = fm.analysis.rank(trained(option)).sel(rule="RFLO", matrix="recurrent").isel(epoch=-1)
        if outside is None:
            assert ranked["numeric_rank"].isnull().all()
        else:
            assert ((ranked["outside_factors"] > 1e-9) == outside).all()
    half = (np.arange(16).reshape(4, 4) % 3 > 0).astype(float)
    half = fm.analysis.rank(trained.__wrapped__(mask=half)).sel(rule="RFLO", matrix="recurrent").isel(epoch=-1)
    assert (half["outside_factors"] > 0.01).all()
