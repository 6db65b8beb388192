"""A network that runs: states and outputs against the plain recursion, by arrays and by name."""

import numpy as np
import pytest
import xarray as xr

import fastmodes as fm


def network(seed, n_out=2, n=3, n_in=4, radius=0.8):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((n, n))
    w *= radius / np.abs(np.linalg.eigvals(w)).max()
    return fm.LinearRNN(rng.standard_normal((n_out, n)), w, rng.standard_normal((n, n_in)))


def by_hand(net, sequence, state):
    states = []
    for x in sequence:
        state = net.recurrent @ state + net.input @ x
        states.append(state)
    return np.array(states) @ net.readout.T, np.array(states)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 3, 4), (5, 2, 1), (3, 17, 2)])
@pytest.mark.parametrize("around", [(), (1,), (5,), (2, 3), (9, 1)])
def test_states_and_outputs_are_those_of_the_plain_recursion(sizes, around):
    net = network(sum(sizes), *sizes)
    rng = np.random.default_rng(1)
    inputs, start = rng.standard_normal((*around, 6, net.n_in)), rng.standard_normal(net.n_hidden)
    for initial in (None, start):
        output, hidden = net.run(inputs, initial=initial)
        assert output.shape == (*around, 6, net.n_out)
        assert hidden.shape == (*around, 6, net.n_hidden)
        for place in np.ndindex(*around):
            expected = by_hand(net, inputs[place], np.zeros(net.n_hidden) if initial is None else initial)
            np.testing.assert_allclose(output[place], expected[0], rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(hidden[place], expected[1], rtol=1e-12, atol=1e-13)


def test_labelled_inputs_are_read_by_name_and_keep_their_coordinates():
    net = network(0)
    rng = np.random.default_rng(0)
    plain = rng.standard_normal((5, 7, 4))
    labelled = xr.DataArray(
        plain, dims=("trial", "time", "input"), coords={"time": np.arange(7) * 0.1, "trial": list("abcde")}
    )
    expected = fm.simulate(net, plain)
    for order in (("trial", "time", "input"), ("input", "time", "trial"), ("time", "trial", "input")):
        output, hidden = fm.simulate(net, labelled.transpose(*order))
        assert output.dims == ("trial", "time", "output")
        assert hidden.dims == ("trial", "time", "unit")
        np.testing.assert_array_equal(output, expected.output)
        np.testing.assert_array_equal(hidden, expected.hidden)
        assert output.sel(trial="c").isel(time=3).sizes == {"output": 2}


def test_the_response_to_an_impulse_is_the_impulse_response():
    net = network(3)
    impulses = np.zeros((4, 6, 4))
    impulses[np.arange(4), 0, np.arange(4)] = 1
    expected = net.run(impulses).output.transpose(1, 2, 0)
    np.testing.assert_allclose(net.impulse_response(6), expected, rtol=1e-13, atol=1e-14)


def test_what_a_teacher_says_is_what_training_compares_with():
    teacher, student = network(1), network(2, n=5)
    inputs = np.random.default_rng(4).standard_normal((10, 8, 4))
    error = student.run(inputs).output[:, -1] - teacher.run(inputs).output[:, -1]
    loss = fm.sampled_update(fm.bptt(), student, teacher, inputs).loss
    assert loss == pytest.approx(0.5 * (error**2).sum(1).mean(), rel=1e-13)


def test_eigenvalues_come_by_decreasing_modulus():
    turn = fm.LinearRNN(np.eye(3), np.array([[0.1, 0, 0], [0, 0, -0.9], [0, 0.9, 0]]), np.eye(3))
    np.testing.assert_allclose(np.abs(turn.eigenvalues()), [0.9, 0.9, 0.1])
    assert turn.spectral_radius == pytest.approx(0.9)


def test_an_unstable_network_runs_to_infinity_without_a_warning():
    net = fm.LinearRNN([[1.0]], [[10.0]], [[1.0]])
    assert np.isinf(net.run(np.ones((400, 1))).output[-1, 0])
    assert np.isinf(net.impulse_response(400)[-1, 0, 0])


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        (np.ones(4), "shape"),
        (np.ones((3, 5)), "input=4"),
        (np.full((3, 4), np.nan), "finite"),
        (np.ones((0, 4)), "length"),
        (xr.DataArray(np.ones((3, 4)), dims=("step", "input")), "'time'"),
        (xr.DataArray(np.ones((2, 3, 4)), dims=("unit", "time", "input")), "'unit'"),
    ],
)
def test_bad_inputs_are_refused_by_name(inputs, word):
    with pytest.raises(ValueError, match=rf"inputs.*{word}"):
        network(0).run(inputs)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_rotating_teacher_has_the_eigenvalues_asked_for(count):
    rng = np.random.default_rng(count)
    modulus, angle = rng.uniform(0.1, 0.9, count), rng.uniform(0.1, 3.0, count)
    teacher = fm.rotating_teacher(modulus, angle, readout=rng.standard_normal(count), input=2.0)
    wanted = modulus * np.exp(1j * angle)
    found = teacher.eigenvalues()
    for value in (*wanted, *wanted.conj()):
        assert np.abs(found - value).min() < 1e-13
    assert teacher.readout.shape == teacher.input.shape == (2 * count, 2 * count)


@pytest.mark.parametrize("departure", [0.0, 0.3, 4.0])
def test_a_nonnormal_teacher_keeps_its_eigenvalues_and_departs_as_far_as_asked(departure):
    values = np.array([0.9, 0.5, 0.4, -0.2])
    teacher = fm.nonnormal_teacher(values, departure, seed=1)
    w = teacher.recurrent
    np.testing.assert_allclose(np.sort(teacher.eigenvalues().real), np.sort(values), atol=1e-12)
    assert (w**2).sum() - (values**2).sum() == pytest.approx(departure**2, abs=1e-12)
    assert (np.abs(w @ w.T - w.T @ w).max() < 1e-13) == (departure == 0)
    assert teacher == fm.nonnormal_teacher(values, departure, seed=1)


@pytest.mark.parametrize("delay", [0, 1, 6])
def test_a_delay_line_repeats_its_input(delay):
    inputs = np.random.default_rng(0).standard_normal((3, 10, 1))
    output = fm.delay_line_teacher(delay, gain=0.5).run(inputs).output
    np.testing.assert_allclose(output[:, delay:], 0.5**delay * inputs[:, : 10 - delay], rtol=1e-14)
    assert not output[:, :delay].any()


def test_bad_teachers_are_refused_by_name():
    for call, word in (
        (lambda: fm.rotating_teacher(-0.1, 0), "modulus"),
        (lambda: fm.rotating_teacher([0.1, 0.2], [0, 0, 0]), "modulus"),
        (lambda: fm.rotating_teacher([], 0), "modulus"),
        (lambda: fm.nonnormal_teacher([0.5], 1.0, seed=0), "departure"),
        (lambda: fm.nonnormal_teacher([0.5, 0.2], -1.0, seed=0), "departure"),
        (lambda: fm.delay_line_teacher(-1), "delay"),
        (lambda: fm.delay_line_teacher(2, gain=np.inf), "gain"),
    ):
        with pytest.raises(ValueError, match=word):
            call()
