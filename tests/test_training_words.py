"""What training takes in words, and what it says of options that do not fit together."""

import json

import numpy as np
import pytest
from fastmodes.analysis import rank, unit_rate

import fastmodes as fm

GIVEN = {"hidden": 4, "seeds": 3, "epochs": 12, "steps": 5, "progress": False}
TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5, 0.3], 1.0, 1.0))
RATES = {"readout": 0.0, "recurrent": 0.01, "input": 0.02}


@pytest.mark.parametrize("text", ["rotating(0.9, [0.3, 1.2])", "aligned([0.9, 0.4, 0.1], basis=random, seed=3)"])
def test_a_teacher_may_be_a_text(text):
    said, made = (fm.train("bptt", t, learning_rate=0.01, **GIVEN) for t in (text, fm.parse_teacher(text)))
    for name in made.variables:
        np.testing.assert_array_equal(said[name], made[name])
    assert said.attrs["configuration"] == made.attrs["configuration"]
    with pytest.raises(ValueError, match="spinning"):
        fm.train("bptt", "spinning(0.9)", learning_rate=0.01, **GIVEN)


def test_rates_of_matrices_and_a_rate_of_the_optimizer_are_two():
    with pytest.raises(ValueError, match=r"learning_rate must be given once; .*adam\(learning_rate=0.01"):
        fm.train("bptt", TEACHER, learning_rate=RATES, optimizer=fm.adam(0.01), **GIVEN)
    runs = fm.train("bptt", TEACHER, learning_rate=RATES, optimizer=fm.adam(), **GIVEN)
    assert json.loads(runs.attrs["configuration"])["learning_rate"]["input"] == [[0.02] * 3]


def test_one_sequence_is_too_few():
    given = GIVEN | {"steps": None, "learning_rate": 0.01}
    with pytest.raises(ValueError, match="data must hold at least 2 sequences"):
        fm.train("bptt", None, data=(np.ones((1, 5, 3)), np.ones((1, 5, 3))), **given)


def test_what_does_not_rest_at_the_optimum_has_no_largest_rate():
    decaying = fm.LearningRule("x", feedback="kolen_pollack", feedback_decay=0.1)
    with pytest.raises(ValueError, match="rule must rest at"):
        unit_rate(decaying, 0.5)
    assert unit_rate(fm.LearningRule("x", feedback="kolen_pollack", feedback_decay=0.0), 0.5) > 0


@pytest.mark.parametrize("nonlinearity", ["identity", "tanh"])
def test_the_rank_of_leaky_runs_is_that_of_the_networks_as_they_run(nonlinearity):
    given = GIVEN | {"leak": 0.3, "nonlinearity": nonlinearity, "keep_weights": True, "learning_rate": 0.1}
    runs = fm.train(["bptt", "rflo(0.5)", "tbptt(1)"], TEACHER, **given)
    found = rank(runs)
    change = 0.3 * (runs["input_weights"] - runs["input_weights"].isel(epoch=0))
    np.testing.assert_allclose(
        found["change_input_singular_value"], np.linalg.svd(change, compute_uv=False), atol=1e-14
    )
    if nonlinearity == "tanh":
        return
    rflo = {"rule": "RFLO", "epoch": 12}
    r, q = runs["feedback_weights"].values, found["factor_recurrent"].sel(rflo).values
    spectrum = np.linalg.svd(r.swapaxes(1, 2) @ q, compute_uv=False)
    np.testing.assert_allclose(spectrum, found["change_singular_value"].sel(rflo), atol=1e-12)


def test_leaky_students_hear_of_their_own_matrix():
    student = fm.random_student(4, TEACHER, scale=0.1, seed=0)
    wide = fm.LinearRNN(student.readout, 9 * np.eye(4), student.input)
    with pytest.raises(ValueError, match=r"W below 1 \(of leaky units W_e\)"):
        fm.expected_update("bptt", wide, TEACHER, float("inf"), leak=0.5)


def test_memory_counts_the_feedback_that_is_kept():
    given = GIVEN | {"learning_rate": 0.01, "keep_weights": True, "epochs": 10**9, "record_every": 1}
    sizes = []
    for feedback in ("random", "kolen_pollack"):
        rule = fm.LearningRule(
            "x",
            feedback=feedback,
            propagator="scalar",
            decay=0.5,
            **({"feedback_decay": 0.1} if feedback == "kolen_pollack" else {}),
        )
        with pytest.raises(ValueError, match="must fit into memory") as error:
            fm.train(rule, TEACHER, **given)
        sizes.append(str(error.value))
    assert sizes[0] != sizes[1]
