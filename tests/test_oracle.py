"""Agreement with braintrace, an online-learning library by other people, in float64.

Run by ``pytest -m oracle``; skipped where the extra ``oracle`` is not installed.
"""

import dataclasses
import importlib

import numpy as np
import pytest

import fastmodes as fm

pytestmark = pytest.mark.oracle

N_SAMPLES, N_STEPS, N_IN, N_HIDDEN, N_OUT, N_TEACHER = 3, 6, 3, 5, 2, 4

RULES = (fm.bptt(), fm.tbptt(1), fm.rflo(0.6), fm.rflo(0.0), fm.eprop())
CROSSED = tuple(
    dataclasses.replace(
        rule, name=f"{rule.name}, other feedback", feedback={"readout": "random", "random": "readout"}[rule.feedback]
    )
    for rule in RULES
)


@pytest.fixture(scope="module")
def oracle():
    """The oracle's module, imported only when a test of this file runs: it takes seconds."""
    pytest.importorskip("braintrace", reason="needs the extra 'oracle'")
    return importlib.import_module("oracle_braintrace")


def gaussian_network(rng, n_hidden):
    """A network whose W is far from symmetric and from diagonal, of spectral radius about 0.8."""
    return fm.LinearRNN(
        rng.standard_normal((N_OUT, n_hidden)),
        0.8 / np.sqrt(n_hidden) * rng.standard_normal((n_hidden, n_hidden)),
        rng.standard_normal((n_hidden, N_IN)),
    )


@pytest.fixture
def task():
    """Student, teacher, inputs and feedback."""
    rng = np.random.default_rng(20)
    return (
        gaussian_network(rng, N_HIDDEN),
        gaussian_network(rng, N_TEACHER),
        rng.standard_normal((N_SAMPLES, N_STEPS, N_IN)),
        rng.standard_normal((N_OUT, N_HIDDEN)),
    )


def assert_agree(ours, theirs):
    """Each of loss, Delta A, Delta W, Delta B within 1e-12 of its largest entry."""
    for name, mine, other in zip(fm.Update._fields, ours, theirs, strict=True):
        assert np.shape(mine) == np.shape(other)
        scale = np.abs(other).max()
        assert scale > 0, name
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-12 * scale, err_msg=name)


def outputs(network, inputs):
    """y_1 .. y_T (sample, time, output) in plain NumPy."""
    h, ys = np.zeros((len(inputs), network.n_hidden)), []
    for x in np.swapaxes(inputs, 0, 1):
        h = h @ network.recurrent.T + x @ network.input.T
        ys.append(h @ network.readout.T)
    return np.swapaxes(ys, 0, 1)


def asked(oracle, rule, student, teacher, inputs, feedback, loss, units=("identity", 1.0)):
    """The oracle's loss and updates for a rule of the package."""
    return oracle.braintrace_update(
        student.readout, student.recurrent, student.input, inputs, outputs(teacher, inputs),
        propagator=rule.propagator, horizon=rule.horizon, decay=rule.decay, loss=loss,
        feedback=feedback if rule.feedback == "random" else None, units=units,
    )  # fmt: skip


@pytest.mark.parametrize("step", [0, 2, N_STEPS - 1])
def test_the_oracle_counts_time_as_we_do(oracle, task, step):
    """Input x_t passes through W T-1-t times before y_T, and y* is the teacher's answer to the same input."""
    student, teacher, _, _ = task
    impulse = np.zeros((1, N_STEPS, N_IN))
    impulse[0, step, 1] = 1
    loss, _, recurrent, entry = asked(oracle, fm.bptt(), student, teacher, impulse, None, "final")
    k = N_STEPS - 1 - step
    error = sum(
        sign * network.readout @ np.linalg.matrix_power(network.recurrent, k) @ network.input[:, 1]
        for sign, network in ((1, student), (-1, teacher))
    )
    assert loss == pytest.approx(0.5 * error @ error, rel=1e-12)
    # An input at the last step meets B but not yet W.
    assert np.any(entry[:, 1])
    assert not np.any(entry[:, [0, 2]])
    assert np.any(recurrent) == (k > 0)


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("rule", RULES + CROSSED, ids=repr)
def test_sampled_update(oracle, task, rule, loss):
    student, teacher, inputs, feedback = task
    given = feedback if rule.feedback == "random" else None
    theirs = asked(oracle, rule, student, teacher, inputs, feedback, loss)
    assert_agree(fm.sampled_update(rule, student, teacher, inputs, feedback=given, loss=loss), theirs)
    if rule.horizon is None:
        online = fm.sampled_update(rule, student, teacher, inputs, feedback=given, loss=loss, form="online")
        assert_agree(online, theirs)


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("units", [("tanh", 1.0), ("tanh", 0.3), ("relu", 0.3), ("identity", 0.3)], ids=str)
@pytest.mark.parametrize("rule", RULES + CROSSED, ids=repr)
def test_nonlinear_and_leaky_units(oracle, task, rule, units, loss):
    student, teacher, inputs, feedback = task
    given = feedback if rule.feedback == "random" else None
    ours = fm.sampled_update(
        rule, student, teacher, inputs, feedback=given, loss=loss, nonlinearity=units[0], leak=units[1]
    )
    assert_agree(ours, asked(oracle, rule, student, teacher, inputs, feedback, loss, units))


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_expected_update(oracle, task, rule, loss):
    """The expectation of braintrace's update is its sum over all unit impulses: here one batch, its mean undone."""
    student, teacher, _, feedback = task
    count = N_STEPS * N_IN
    impulses = np.eye(count).reshape(count, N_STEPS, N_IN)
    theirs = [count * part for part in asked(oracle, rule, student, teacher, impulses, feedback, loss)]
    given = feedback if rule.feedback == "random" else None
    assert_agree(fm.expected_update(rule, student, teacher, N_STEPS, feedback=given, loss=loss), theirs)


def test_impulse_expectation_takes_the_oracle_as_it_is(oracle, task):
    student, teacher, _, feedback = task
    rule, n_steps = fm.eprop(), 3
    theirs = fm.impulse_expectation(
        lambda inputs: asked(oracle, rule, student, teacher, inputs, feedback, "sequence"), n_steps, N_IN
    )
    ours = fm.expected_update(rule, student, teacher, n_steps, feedback=feedback, loss="sequence")
    assert_agree(ours, theirs)


@pytest.mark.parametrize(
    "beyond", [{"horizon": 2}, {"propagator": "scalar", "decay": -0.5}, {"propagator": "diagonal"}]
)
def test_the_oracle_says_what_it_cannot_express(oracle, beyond):
    with pytest.raises(NotImplementedError):
        oracle.coordinates(**({"propagator": "recurrent", "horizon": None, "decay": None} | beyond), signal="symmetric")
