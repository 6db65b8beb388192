"""Sampled, online and expected updates against the definitions, each other, and the identities of the theory."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import FEEDBACK_NUMBERS, family, feedback_for, matrices, random_network, worst

import fastmodes as fm
from fastmodes.rules import FEEDBACKS, PROPAGATORS

LENGTHS = st.sampled_from([1, 2, 3, 5, 10])


@st.composite
def rules(draw, n):
    """Any rule, its decay between ordinary and degenerate."""
    propagator = draw(st.sampled_from(PROPAGATORS))
    numbers = st.sampled_from([0.0, 1.0, -1.0, 0.5, 1 - 1e-9, 1e-200])
    decay = None
    if propagator == "scalar":
        decay = draw(numbers)
    elif propagator == "diagonal":
        decay = draw(st.lists(numbers, min_size=n, max_size=n))
    horizon = draw(st.none() | st.integers(1, 12))
    feedback = draw(st.sampled_from(FEEDBACKS))
    return fm.LearningRule("rule", feedback, propagator, horizon, decay, **FEEDBACK_NUMBERS.get(feedback, {}))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.data(), LENGTHS, LENGTHS, LENGTHS, LENGTHS, st.integers(1, 9), st.sampled_from(["final", "sequence"]))
def test_any_rule_any_shape(data, n_out, n, n_in, n_teacher, steps, loss):
    rule = data.draw(rules(n))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    radius = data.draw(st.sampled_from([None, 1.0, 0.999, 1.5]))
    student = random_network(rng, n_out, n, n_in, radius=radius)
    teacher = random_network(rng, n_out, n_teacher, n_in, radius=0.9)
    r, f = feedback_for(rule, student, rng)
    twin = (rule.propagator, rule.decay, rule.horizon, f, matrices(student), matrices(teacher))
    exact = fm.expected_update(rule, student, teacher, steps, feedback=r, loss=loss)
    assert worst(exact, naive.expected(*twin, steps, loss)) < 1e-12
    inputs = rng.standard_normal((2, steps, n_in))
    got = fm.sampled_update(rule, student, teacher, inputs, feedback=r, loss=loss)
    assert worst(got, naive.sampled(*twin, inputs, loss)) < 1e-12


#: (n_out, n_hidden, n_in, teacher's n_hidden, steps): rectangular, tiny, odd, side by side in memory and alone.
SIZES = [
    (1, 1, 1, 1, 1),
    (1, 2, 1, 3, 2),
    (3, 2, 1, 1, 3),
    (2, 3, 5, 4, 9),
    (4, 5, 4, 4, 6),
    (5, 12, 3, 2, 5),
    (2, 13, 9, 4, 4),
    (7, 17, 2, 4, 5),
    (3, 24, 8, 4, 3),
]


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_rule_equals_its_definition(sizes, loss, rng):
    n_out, n, n_in, n_teacher, steps = sizes
    student = random_network(rng, n_out, n, n_in)
    teacher = random_network(rng, n_out, n_teacher, n_in, radius=0.8)
    inputs = rng.standard_normal((3, steps, n_in))
    for rule in family(n, steps, rng):
        r, f = feedback_for(rule, student, rng)
        twin = (rule.propagator, rule.decay, rule.horizon, f, matrices(student), matrices(teacher))
        got = fm.sampled_update(rule, student, teacher, inputs, feedback=r, loss=loss)
        assert worst(got, naive.sampled(*twin, inputs, loss)) < 1e-12
        if rule.horizon in (None, steps):
            online = fm.sampled_update(rule, student, teacher, inputs, feedback=r, loss=loss, form="online")
            assert worst(online, got) < 1e-12
        exact = fm.expected_update(rule, student, teacher, steps, feedback=r, loss=loss)
        assert worst(exact, naive.expected(*twin, steps, loss)) < 1e-12


@pytest.mark.parametrize("radius", [0.0, 0.5, 0.999999, 1.0, 1.3])
@pytest.mark.parametrize(("n", "steps"), [(1, 200), (4, 200), (16, 60), (40, 30)])
def test_long_and_unstable(n, steps, radius, rng):
    student, teacher = random_network(rng, 2, n, 3, radius=radius), random_network(rng, 2, 4, 3, radius=0.9)
    for rule in (fm.bptt(), fm.tbptt(3), fm.rflo(0.9), fm.eprop()):
        r, f = feedback_for(rule, student, rng)
        exact = fm.expected_update(rule, student, teacher, steps, feedback=r)
        twin = (rule.propagator, rule.decay, rule.horizon, f, matrices(student), matrices(teacher))
        if n * steps <= 1000:
            assert worst(exact, naive.expected(*twin, steps, "final")) < 1e-12
        else:
            summed = fm.impulse_expectation(
                lambda x, rule=rule, r=r: fm.sampled_update(rule, student, teacher, x, feedback=r), steps, 3
            )
            assert worst(exact, summed) < 1e-12


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("n", [3, 14])
def test_expectation_is_the_sum_over_impulses(n, loss, rng):
    steps, n_in = 7, 3
    student, teacher = random_network(rng, 2, n, n_in), random_network(rng, 2, 4, n_in)
    for rule in family(n, steps, rng):
        r, _ = feedback_for(rule, student, rng)
        summed = fm.impulse_expectation(
            lambda x, rule=rule, r=r: fm.sampled_update(rule, student, teacher, x, feedback=r, loss=loss), steps, n_in
        )
        assert worst(fm.expected_update(rule, student, teacher, steps, feedback=r, loss=loss), summed) < 1e-12


def test_input_covariance(rng):
    steps, n_in = 6, 3
    root = rng.standard_normal((n_in, n_in))
    covariance = root @ root.T
    student, teacher = random_network(rng, 2, 5, n_in), random_network(rng, 2, 4, n_in)
    for rule in (fm.bptt(), fm.rflo(0.4), fm.tbptt(2)):
        r, _ = feedback_for(rule, student, rng)
        exact = fm.expected_update(rule, student, teacher, steps, feedback=r, input_covariance=covariance)

        def update(x, rule=rule, r=r):
            return fm.sampled_update(rule, student, teacher, x, feedback=r)

        assert worst(exact, fm.impulse_expectation(update, steps, n_in, covariance)) < 1e-11
        # The covariance of the whole sequence says the same.
        whole = np.kron(np.eye(steps), covariance)
        assert worst(exact, fm.impulse_expectation(update, steps, n_in, whole)) < 1e-11


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("n", [2, 6, 16])
def test_bptt_is_the_gradient(n, loss, rng):
    """Complex step: Im L(theta + i h e) / h is the derivative to rounding, with no difference taken."""
    steps, h = 12, 1e-30
    student, teacher = random_network(rng, 3, n, 2, radius=0.9), random_network(rng, 3, 4, 2, radius=0.9)
    update = fm.expected_update(fm.bptt(), student, teacher, steps, loss=loss)
    assert update.loss == pytest.approx(naive.output_loss(matrices(student), matrices(teacher), steps, loss), rel=1e-13)
    for part, gradient in enumerate(update[1:]):
        derivative = np.empty_like(gradient)
        for place in np.ndindex(gradient.shape):
            shifted = [matrix.astype(complex) for matrix in matrices(student)]
            shifted[part][place] += 1j * h
            derivative[place] = naive.output_loss(shifted, matrices(teacher), steps, loss).imag / h
        assert np.max(np.abs(derivative - gradient)) <= 1e-13 * np.max(np.abs(gradient))


@pytest.mark.parametrize("n", [1, 5, 20])
@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_bptt_conserves(n, loss, rng):
    """A^T dA - dB B^T + W^T dW - dW W^T = 0: the loss does not see a change of basis in the hidden layer."""
    student, teacher = random_network(rng, 3, n, 2), random_network(rng, 3, 4, 2)
    update = fm.expected_update(fm.bptt(), student, teacher, 15, loss=loss)
    a, w, b = matrices(student)
    terms = (a.T @ update.readout, update.input @ b.T, w.T @ update.recurrent, update.recurrent @ w.T)
    size = max(np.abs(term).max() for term in terms)
    assert np.abs(terms[0] - terms[1] + terms[2] - terms[3]).max() < 1e-13 * size
    # and no other rule does
    other = fm.expected_update(fm.tbptt(1), student, teacher, 15, loss=loss)
    left = a.T @ other.readout - other.input @ b.T + w.T @ other.recurrent - other.recurrent @ w.T
    assert n == 1 or np.abs(left).max() > 1e-3 * size


@pytest.mark.parametrize("n", [4, 15])
def test_rules_meet_where_their_definitions_do(n, rng):
    steps, w = 9, 0.7
    teacher = random_network(rng, 2, 4, 3, radius=0.9)
    student = random_network(rng, 2, n, 3, radius=0.8)

    def update(rule, network=student, feedback=None):
        return fm.expected_update(rule, network, teacher, steps, feedback=feedback)

    exact = update(fm.bptt())
    for horizon in (steps, steps + 5, math.inf):
        assert worst(update(fm.tbptt(horizon) if horizon < math.inf else fm.bptt()), exact) == 0.0
    assert worst(update(fm.rflo(0.0), feedback=student.readout), update(fm.tbptt(1))) < 1e-14

    scalar = fm.LinearRNN(student.readout, w * np.eye(n), student.input)
    assert worst(update(fm.rflo(w), scalar, scalar.readout), update(fm.bptt(), scalar)) < 1e-13
    diagonal = fm.LinearRNN(student.readout, np.diag(rng.uniform(-0.9, 0.9, n)), student.input)
    assert worst(update(fm.eprop(), diagonal, diagonal.readout), update(fm.bptt(), diagonal)) < 1e-13
    fixed = fm.LearningRule("fixed diagonal", "random", "diagonal", decay=np.full(n, 0.4))
    assert worst(update(fixed, feedback=student.readout), update(fm.rflo(0.4), feedback=student.readout)) < 1e-13


def test_turning_the_hidden_space(rng):
    """BPTT and RFLO commute with a rotation of the hidden units; e-prop, which reads W's diagonal, does not."""
    n, steps = 6, 8
    student, teacher = random_network(rng, 3, n, 2), random_network(rng, 3, 4, 2)
    q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    turned = fm.LinearRNN(student.readout @ q.T, q @ student.recurrent @ q.T, q @ student.input)
    r = rng.standard_normal(student.readout.shape)
    for rule, commutes in ((fm.bptt(), True), (fm.tbptt(2), True), (fm.rflo(0.5), True), (fm.eprop(), False)):
        there, here = (
            fm.expected_update(rule, network, teacher, steps, feedback=f if rule.feedback == "random" else None)
            for network, f in ((turned, r @ q.T), (student, r))
        )
        difference = worst(there, (here.loss, here.readout @ q.T, q @ here.recurrent @ q.T, q @ here.input))
        assert (difference < 1e-12) == commutes


def test_rank_of_rflo_updates(rng):
    """Proposition 3.1: Delta W = R^T (...), so its rank is at most n_out; in floating point too."""
    n, n_out = 20, 3
    student, teacher = random_network(rng, n_out, n, 4), random_network(rng, n_out, 4, 4)
    r = rng.standard_normal((n_out, n))
    for loss in ("final", "sequence"):
        update = fm.expected_update(fm.rflo(0.8), student, teacher, 30, feedback=r, loss=loss)
        for change in (update.recurrent, update.input):
            values = np.linalg.svd(change, compute_uv=False)
            assert values[n_out - 1] > 1e-6 * values[0]
            assert len(values) == n_out or values[n_out] < 1e-14 * values[0]
    assert np.linalg.matrix_rank(fm.expected_update(fm.bptt(), student, teacher, 30).recurrent) > n_out


def test_input_acts_one_step_later():
    """h_{t+1} = W h_t + B x_t: an input at the last step reaches the output, by A B, at T = 1 already."""
    one = fm.LinearRNN([[2.0]], [[0.5]], [[3.0]])
    silent = fm.LinearRNN([[1.0]], [[0.0]], [[0.0]])
    assert fm.expected_update(fm.bptt(), one, silent, 1).loss == pytest.approx(0.5 * 6.0**2)
    assert fm.expected_update(fm.bptt(), one, silent, 2).loss == pytest.approx(0.5 * (6.0**2 + 3.0**2))
    first_only = np.array([[[1.0], [0.0]]])
    assert fm.sampled_update(fm.bptt(), one, silent, first_only).loss == pytest.approx(0.5 * 3.0**2)


def test_perfect_student_has_nothing_to_learn(rng):
    teacher = random_network(rng, 3, 5, 2, radius=0.9)
    for rule in family(5, 7, rng):
        r, _ = feedback_for(rule, teacher, rng)
        update = fm.expected_update(rule, teacher, teacher, 7, feedback=r)
        assert update.loss < 1e-28
        assert max(np.abs(part).max() for part in update[1:]) < 1e-13


def test_monte_carlo_mean_approaches_the_expectation(rng):
    """Error of the mean over N sequences falls like N^(-1/2)."""
    steps, n_in = 10, 2
    student, teacher = random_network(rng, 2, 4, n_in, radius=0.7), random_network(rng, 2, 3, n_in, radius=0.9)
    counts = 2 ** np.arange(6, 15, 2)
    for rule in (fm.bptt(), fm.rflo(0.6), fm.eprop()):
        r, _ = feedback_for(rule, student, rng)
        exact = fm.expected_update(rule, student, teacher, steps, feedback=r).recurrent
        errors = [
            np.sqrt(
                np.mean(
                    [
                        np.sum(
                            (
                                fm.sampled_update(
                                    rule, student, teacher, rng.standard_normal((count, steps, n_in)), feedback=r
                                ).recurrent
                                - exact
                            )
                            ** 2
                        )
                        for _ in range(24)
                    ]
                )
            )
            for count in counts
        ]
        slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
        assert abs(slope + 0.5) < 0.08


def test_sum_and_mean_over_a_batch(rng, teacher):
    student = fm.random_student(5, teacher, scale=0.5, seed=3)
    inputs = rng.standard_normal((11, 6, 4))
    mean = fm.sampled_update(fm.bptt(), student, teacher, inputs)
    total = fm.sampled_update(fm.bptt(), student, teacher, inputs, average=False)
    assert worst(total, [11 * np.asarray(part) for part in mean]) < 1e-14
    one_by_one = [fm.sampled_update(fm.bptt(), student, teacher, x[np.newaxis]) for x in inputs]
    assert worst(mean, [np.mean([u[i] for u in one_by_one], axis=0) for i in range(4)]) < 1e-13


def test_any_array_works_and_none_is_changed(rng, teacher):
    student = fm.random_student(5, teacher, scale=0.5, seed=3)
    inputs = rng.standard_normal((4, 6, 4)).astype(np.float32)
    wanted = fm.sampled_update(fm.bptt(), student, teacher, inputs.astype(float))
    turned = np.asfortranarray(inputs)
    turned.flags.writeable = False
    assert worst(fm.sampled_update(fm.bptt(), student, teacher, turned), wanted) == 0.0
    assert worst(fm.sampled_update(fm.bptt(), student, teacher, inputs.tolist()), wanted) == 0.0
    assert (turned == inputs).all()


def test_impulse_expectation_of_someone_elses_code(rng):
    """Any callable that returns a tuple will do, complex numbers and plain tuples included."""

    def quadratic(x):
        return np.sum(x) ** 2, x[0, 1] * x[0, 2]

    total, product = fm.impulse_expectation(quadratic, 4, 3)
    assert type(fm.impulse_expectation(quadratic, 4, 3)) is tuple
    assert total == pytest.approx(12.0)
    assert (product == 0.0).all()
