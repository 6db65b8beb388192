"""Nonlinear and leaky networks, sampled: against their definitions, the exact gradient, and the linear theory."""

import itertools

import naive
import naive_nonlinear
import numpy as np
import pytest
import xarray as xr
from problems import family, feedback_for, matrices, random_network, worst

import fastmodes as fm

UNITS = list(itertools.product(("identity", "tanh", "relu"), (1.0, 0.3)))
#: (n_out, n_hidden, n_in, teacher's n_hidden, samples, steps).
SIZES = [(1, 1, 1, 1, 1, 1), (1, 2, 3, 1, 3, 2), (3, 2, 1, 2, 9, 5), (2, 5, 4, 3, 2, 6), (4, 13, 2, 4, 8, 4)]


def problem(seed, sizes, scale=1.0):
    """Student, teacher, inputs."""
    n_out, n, n_in, n_teacher, samples, steps = sizes
    rng = np.random.default_rng(seed)
    student = random_network(rng, n_out, n, n_in)
    teacher = random_network(rng, n_out, n_teacher, n_in, radius=0.8)
    return student, teacher, scale * rng.standard_normal((samples, steps, n_in)), rng


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize(("nonlinearity", "leak"), UNITS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_rule_equals_its_definition(sizes, nonlinearity, leak, loss):
    for seed in range(3):
        student, teacher, inputs, rng = problem(seed, sizes)
        for rule in family(sizes[1], sizes[-1], rng, horizons=(None, 1, 2, 3)):
            r, f = feedback_for(rule, student, rng)
            got = fm.sampled_update(
                rule, student, teacher, inputs, feedback=r, loss=loss, nonlinearity=nonlinearity, leak=leak
            )
            axes, units = (rule.propagator, rule.decay, rule.horizon), (nonlinearity, leak)
            wanted = naive_nonlinear.sampled(axes, f, matrices(student), units, matrices(teacher), inputs, loss)
            assert worst(got, wanted) < 1e-12, rule
            if rule.horizon is None:
                traced = naive_nonlinear.traced(axes[:2], f, matrices(student), units, matrices(teacher), inputs, loss)
                assert worst(got[2:], traced) < 1e-12, rule


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("leak", [1.0, 0.4, 0.05])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_bptt_is_the_gradient(nonlinearity, leak, loss):
    """Complex step: Im L(theta + i h e) / h is the derivative to rounding, with no difference taken."""
    step = 1e-30
    for seed, sizes in enumerate([(2, 3, 2, 4, 2, 7), (1, 6, 3, 2, 3, 5), (3, 9, 1, 3, 1, 10)]):
        student, teacher, inputs, _ = problem(seed, sizes)
        update = fm.sampled_update(fm.bptt(), student, teacher, inputs, loss=loss, nonlinearity=nonlinearity, leak=leak)
        for part, gradient in enumerate(update[1:]):
            derivative = np.empty_like(gradient)
            for place in np.ndindex(gradient.shape):
                shifted = [matrix.astype(complex) for matrix in matrices(student)]
                shifted[part][place] += 1j * step
                moved = naive_nonlinear.loss_of(shifted, nonlinearity, leak, matrices(teacher), inputs, loss)
                derivative[place] = moved.imag / step
            assert np.max(np.abs(derivative - gradient)) <= 1e-13 * np.max(np.abs(gradient))


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("leak", [0.7, 0.1])
def test_leaky_linear_units_are_a_linear_network(leak, loss):
    """W_e = (1 - leak) I + leak W, B_e = leak B; Delta W = leak Delta W_e, Delta B = leak Delta B_e."""
    for seed, sizes in enumerate(SIZES):
        student, teacher, inputs, rng = problem(seed, sizes)
        effective = fm.LinearRNN(
            student.readout, (1 - leak) * np.eye(sizes[1]) + leak * student.recurrent, leak * student.input
        )
        for rule in family(sizes[1], sizes[-1], rng):
            r, _ = feedback_for(rule, student, rng)
            got = fm.sampled_update(rule, student, teacher, inputs, feedback=r, loss=loss, leak=leak)
            plain = fm.sampled_update(rule, effective, teacher, inputs, feedback=r, loss=loss)
            wanted = (plain.loss, plain.readout, leak * plain.recurrent, leak * plain.input)
            assert worst(got, wanted) < 1e-12, rule


def test_murrays_trace():
    """RFLO as published: p = (1 - leak) p + leak phi'(u) h, its decay tied to the leak."""
    leak = 0.25
    for seed in range(3):
        student, teacher, inputs, rng = problem(seed, (2, 6, 3, 4, 1, 12))
        r = rng.standard_normal(student.readout.shape)
        h, slopes = naive_nonlinear.states(matrices(student), "tanh", leak, inputs[0])
        trace, change = np.zeros((6, 6)), np.zeros((6, 6))
        for t, error in naive_nonlinear.errors(
            matrices(student), "tanh", leak, matrices(teacher), "identity", inputs[0], "sequence"
        ):
            trace = (1 - leak) * trace + leak * np.outer(slopes[t - 1], h[t - 1])
            change += (r.T @ error)[:, None] * trace / 12
        rule = fm.rflo(1 - leak)
        got = fm.sampled_update(
            rule, student, teacher, inputs, feedback=r, loss="sequence", nonlinearity="tanh", leak=leak
        )
        assert worst([got.recurrent], [change]) < 1e-13


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("leak", [1.0, 0.3])
def test_small_inputs_see_the_linear_network(leak, loss):
    """tanh u = u - u^3/3: relative differences to the linear update fall as the square of the input's scale."""
    scales = 10.0 ** np.array([-2.0, -2.5, -3.0, -3.5])
    student, teacher, inputs, rng = problem(0, (2, 5, 3, 4, 4, 8))
    for rule in family(5, 8, rng, horizons=(None, 1, 3)):
        r, _ = feedback_for(rule, student, rng)

        def update(scale, rule=rule, r=r, **units):
            return fm.sampled_update(rule, student, teacher, scale * inputs, feedback=r, loss=loss, leak=leak, **units)

        apart = [
            [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(*pair, strict=True)]
            for pair in ((update(s, nonlinearity="tanh"), update(s)) for s in scales)
        ]
        slopes = np.polyfit(np.log(scales), np.log(apart), 1)[0]
        assert np.abs(slopes - 2).max() < 0.05, (rule, slopes)


def test_a_nonlinear_teacher():
    for seed, kind in enumerate(["tanh", "relu", "identity"]):
        student, teacher, inputs, _ = problem(seed, (2, 5, 3, 4, 3, 6))
        got = fm.sampled_update(fm.bptt(), student, teacher, inputs, nonlinearity="tanh", teacher_nonlinearity=kind)
        wanted = naive_nonlinear.sampled(
            ("recurrent", None, None), student.readout, matrices(student), ("tanh", 1.0), matrices(teacher), inputs,
            "final", teacher_kind=kind,
        )  # fmt: skip
        assert worst(got, wanted) < 1e-12
        # and a student that is its teacher has nothing to learn
        same = fm.sampled_update("bptt", teacher, teacher, inputs, nonlinearity=kind, teacher_nonlinearity=kind)
        assert same.loss == 0.0
        assert not np.any(same.recurrent)


def test_identity_without_leak_is_the_linear_path_in_every_bit():
    student, teacher, inputs, rng = problem(4, (2, 7, 3, 4, 5, 6))
    for rule in family(7, 6, rng):
        r, f = feedback_for(rule, student, rng)
        got = fm.sampled_update(rule, student, teacher, inputs, feedback=r, nonlinearity="identity", leak=1.0)
        plain = fm.sampled_update(rule, student, teacher, inputs, feedback=r)
        assert all(np.array_equal(a, b) for a, b in zip(got, plain, strict=True))
        twin = (rule.propagator, rule.decay, rule.horizon, f, matrices(student), matrices(teacher))
        assert worst(got, naive.sampled(*twin, inputs, "final")) < 1e-12


@pytest.mark.parametrize(("nonlinearity", "leak"), UNITS)
def test_a_network_runs(nonlinearity, leak):
    for seed, sizes in enumerate(SIZES):
        network, _, inputs, rng = problem(seed, sizes)
        start = rng.standard_normal(sizes[1])
        for initial in (None, start):
            output, hidden = network.run(inputs, initial=initial, nonlinearity=nonlinearity, leak=leak)
            for x, y, h in zip(inputs, output, hidden, strict=True):
                wanted = np.array(naive_nonlinear.states(matrices(network), nonlinearity, leak, x, initial)[0][1:])
                np.testing.assert_allclose(h, wanted, rtol=1e-12, atol=1e-13)
                np.testing.assert_allclose(y, wanted @ network.readout.T, rtol=1e-12, atol=1e-13)
        labelled = xr.DataArray(inputs, dims=("trial", "time", "input"))
        named = fm.simulate(network, labelled, nonlinearity=nonlinearity, leak=leak)
        np.testing.assert_array_equal(named.output, network.run(inputs, nonlinearity=nonlinearity, leak=leak).output)


def test_samples_and_threads_do_not_see_each_other():
    """A sequence's part of the update is the same beside others, and padding adds nothing."""
    student, teacher, inputs, rng = problem(0, (2, 6, 3, 4, 11, 7))
    r = rng.standard_normal(student.readout.shape)
    for rule in ("bptt", "tbptt(2)", "rflo(0.4)", "eprop"):

        def update(x, rule=rule):
            return fm.sampled_update(
                rule, student, teacher, x, feedback=r, loss="sequence", average=False, nonlinearity="tanh", leak=0.5
            )

        alone = [update(inputs[i : i + 1]) for i in range(len(inputs))]
        assert worst(update(inputs), [sum(parts) for parts in zip(*alone, strict=True)]) < 1e-12


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"nonlinearity": "tan"}, ValueError, "nonlinearity must be one of .*did you mean 'tanh'"),
        ({"nonlinearity": None}, ValueError, "nonlinearity must be one of"),
        ({"leak": 0.0}, ValueError, r"leak must be .*> 0.0 and <= 1.0; got 0.0"),
        ({"leak": 1.5}, ValueError, "leak must be .*got 1.5"),
        ({"leak": np.nan}, ValueError, "leak must be .*got nan"),
        ({"leak": "0.5"}, TypeError, "leak must be"),
        ({"teacher_nonlinearity": "sigmoid"}, ValueError, "teacher_nonlinearity must be one of"),
        ({"nonlinearity": "tanh", "form": "online"}, ValueError, "form must be 'backward' for nonlinear"),
    ],
)  # fmt: skip
def test_what_is_refused(wrong, error, says):
    student, teacher, inputs, _ = problem(0, (2, 5, 3, 4, 3, 6))
    with pytest.raises(error, match=says):
        fm.sampled_update("bptt", student, teacher, inputs, **wrong)
    if not {"form", "teacher_nonlinearity"} & set(wrong):
        with pytest.raises(error, match=says):
            student.run(inputs, **wrong)


def test_exact_theory_refuses_nonlinear_units():
    from fastmodes.networks.units import refuse_nonlinear

    refuse_nonlinear("identity", "updates='expected'")
    for kind in ("tanh", "relu"):
        with pytest.raises(ValueError, match=r"for updates='expected': a nonlinear network is sampled only.*got '"):
            refuse_nonlinear(kind, "updates='expected'")


def test_torch_agrees():
    torch = pytest.importorskip("torch")
    for seed, leak in enumerate([1.0, 0.4, 0.1]):
        student, teacher, inputs, _ = problem(seed, (2, 6, 3, 4, 5, 9))
        a, w, b = (torch.tensor(m, requires_grad=True) for m in matrices(student))
        targets = torch.tensor(np.array(teacher.run(inputs).output))
        h, losses = torch.zeros(5, 6, dtype=torch.float64), []
        for t in range(9):
            h = (1 - leak) * h + leak * torch.tanh(h @ w.T + torch.tensor(inputs[:, t]) @ b.T)
            losses.append(0.5 * torch.sum((h @ a.T - targets[:, t]) ** 2) / (5 * 9))
        sum(losses).backward()
        got = fm.sampled_update("bptt", student, teacher, inputs, loss="sequence", nonlinearity="tanh", leak=leak)
        assert worst(got, (sum(losses).item(), a.grad.numpy(), w.grad.numpy(), b.grad.numpy())) < 1e-12
