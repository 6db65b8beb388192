"""Second moments of sampled updates against quadratic forms built by brute force, long sequences and sampling."""

import math

import naive_moments
import numpy as np
import pytest
from problems import family, feedback_for, matrices, random_network

import fastmodes as fm
from fastmodes.updates.impulses import covariance_root

MATRICES = ("readout", "recurrent", "input")
#: (n_out, n_hidden, n_in, teacher's n_hidden, steps): single units, more units than a lane, more inputs than units.
SIZES = ((2, 3, 2, 3, 5), (1, 1, 1, 2, 1), (3, 9, 2, 2, 4), (2, 2, 9, 3, 3), (1, 6, 1, 1, 8))


def flat(moments, kind):
    """Mean or variance of all entries as one vector."""
    return np.concatenate([moments[f"{kind}_{name}"].values.ravel() for name in MATRICES])


def vector(direction):
    return np.concatenate([np.asarray(part).ravel() for part in direction])


def far(got, wanted):
    return np.max(np.abs(got - wanted)) / max(np.max(np.abs(wanted)), 1e-300)


def random_directions(rng, network, count):
    return [tuple(rng.standard_normal(part.shape) for part in matrices(network)) for _ in range(count)]


def brute_force(rule, f, student, teacher, steps, loss, root, sigma, leak):
    """Mean and covariance of the update of one sequence of a leaky student."""
    n = student.n_hidden
    effective = student.readout, (1 - leak) * np.eye(n) + leak * student.recurrent, leak * student.input
    mean, covariance = naive_moments.moments(
        rule.propagator, rule.decay, rule.horizon, f, effective, matrices(teacher), steps, loss, root, sigma
    )
    gain = np.concatenate([np.full(part.size, g) for part, g in zip(matrices(student), (1, leak, leak), strict=True)])
    return mean * gain, covariance * np.outer(gain, gain)


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_variance_is_that_of_the_quadratic_form(sizes, loss, rng):
    n_out, n, n_in, n_teacher, steps = sizes
    teacher = random_network(rng, n_out, n_teacher, n_in)
    for i, rule in enumerate(family(n, steps, rng)):
        if i % (1 if n == 3 else 7):
            continue
        student = random_network(rng, n_out, n, n_in)
        root = rng.standard_normal((n_in, n_in))
        covariance = root @ root.T if i % 2 else None
        sigma, leak, batch = rng.choice([0.0, 0.3]), rng.choice([1.0, 0.4]), int(rng.choice([1, 7]))
        r, f = feedback_for(rule, student, rng)
        symmetric = np.eye(n_in) if covariance is None else covariance_root(covariance, n_in)
        mean, spread = brute_force(rule, f, student, teacher, steps, loss, symmetric, sigma, leak)
        spread /= batch
        along = random_directions(rng, student, 2)
        got = fm.update_moments(
            rule, student, teacher, steps, feedback=r, loss=loss, batch_size=batch, target_noise=sigma,
            input_covariance=covariance, leak=leak, along=along,
        )  # fmt: skip
        v = np.array([vector(direction) for direction in along])
        assert far(flat(got, "mean"), mean) < 1e-12, rule
        assert far(flat(got, "variance"), np.diagonal(spread)) < 1e-12, rule
        assert far(got.mean_along.values, v @ mean) < 1e-12, rule
        assert far(got.variance_along.values, np.einsum("vi,ij,vj->v", v, spread, v)) < 1e-12, rule
        assert abs(got.total_variance - np.trace(spread)) < 1e-12 * np.trace(spread), rule
        exact = fm.expected_update(
            rule, student, teacher, steps, feedback=r, loss=loss, input_covariance=covariance, leak=leak
        )
        assert abs(got.loss - exact.loss - n_out * sigma**2 / 2) < 1e-12 * exact.loss
        assert far(flat(got, "mean"), vector(exact[1:])) < 1e-12


def test_the_covariance_of_a_quadratic_form_is_positive_semidefinite(rng):
    student, teacher = random_network(rng, 2, 3, 2), random_network(rng, 2, 2, 2)
    _, covariance = brute_force(fm.bptt(), student.readout, student, teacher, 4, "sequence", np.eye(2), 0.3, 1.0)
    assert np.linalg.eigvalsh(covariance)[0] > -1e-12 * np.trace(covariance)
    # Whatever the direction, its variance is not negative, and matches.
    for direction in random_directions(rng, student, 20):
        got = fm.update_moments("bptt", student, teacher, 4, loss="sequence", target_noise=0.3, along=direction)
        v = vector(direction)
        assert abs(got.variance_along - v @ covariance @ v) < 1e-12 * np.trace(covariance) * (v @ v)


@pytest.mark.parametrize("steps", [6, math.inf])
def test_directions_of_single_entries_give_the_entries(steps, rng):
    student, teacher = random_network(rng, 2, 3, 2, radius=0.6), random_network(rng, 2, 2, 2, radius=0.5)
    units = np.eye(sum(part.size for part in matrices(student)))
    ends = np.cumsum([part.size for part in matrices(student)])[:-1]
    along = [
        tuple(p.reshape(m.shape) for p, m in zip(np.split(unit, ends), matrices(student), strict=True))
        for unit in units
    ]
    for rule in (fm.bptt(), fm.tbptt(2), fm.snap1()):
        got = fm.update_moments(rule, student, teacher, steps, target_noise=0.1, along=along)
        assert far(got.variance_along.values, flat(got, "variance")) < 1e-12
        assert far(got.mean_along.values, flat(got, "mean")) < 1e-12


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("steps", [1, 5, 13])
def test_a_collection_is_each_of_its_networks_alone(steps, loss, rng):
    students = [random_network(rng, 2, 9, 3, radius=radius) for radius in (1.1, 0.3, 0.9) * 7]
    teacher = random_network(rng, 2, 4, 3, radius=0.9)
    for rule in list(family(9, steps, rng, horizons=(None, 3)))[::5]:
        given = [feedback_for(rule, student, rng)[0] for student in students]
        own = fm.expected_updates("bptt", students, teacher, steps)
        shared = random_directions(rng, students[0], 1)[0]
        together = fm.update_moments(
            rule, students, teacher, steps, feedback=given if rule.reads_feedback else None, loss=loss,
            along=[own, shared], threads=2,
        )  # fmt: skip
        for i in (0, 1, 2, 16, 20):
            alone = fm.update_moments(
                rule, students[i], teacher, steps, feedback=given[i], loss=loss,
                along=[tuple(part[i] for part in own[1:]), shared], threads=1,
            )  # fmt: skip
            for name in alone.data_vars:
                assert np.array_equal(alone[name], together[name].isel(student=i), equal_nan=True), (rule, i, name)


def test_infinitely_many_steps_are_the_limit_of_many(rng):
    teacher = random_network(rng, 2, 4, 3, radius=0.8)
    for n in (1, 3, 9):
        student = random_network(rng, 2, n, 3, radius=0.7)
        for rule in family(n, 300, rng, horizons=(None, 1, 5)):
            r, _ = feedback_for(rule, student, rng)
            given = {"feedback": r, "along": random_directions(rng, student, 2), "target_noise": 0.2}
            covariance = np.diag([1.0, 2.0, 3.0])
            limit, long = (
                fm.update_moments(rule, student, teacher, steps, **given, input_covariance=covariance)
                for steps in (math.inf, 300)
            )
            for name in limit.data_vars:
                assert far(limit[name].values, long[name].values) < 1e-12, (rule, name)


def test_slow_networks_at_infinitely_many_steps(rng):
    student, teacher = random_network(rng, 1, 3, 1, radius=0.98), random_network(rng, 1, 2, 1, radius=0.99)
    for rule in (fm.bptt(), fm.tbptt(40), fm.LearningRule("s", propagator="scalar", decay=0.97)):
        limit, long = (fm.update_moments(rule, student, teacher, steps) for steps in (math.inf, 4000))
        for name in limit.data_vars:
            assert far(limit[name].values, long[name].values) < 1e-11, (rule, name)


def test_batches_leaks_and_ratios(rng):
    student, teacher = random_network(rng, 2, 4, 3), random_network(rng, 2, 3, 3)
    r = rng.standard_normal((2, 4))
    for rule in (fm.bptt(), fm.rflo(0.5)):
        one, ten = (fm.update_moments(rule, student, teacher, 9, feedback=r, batch_size=s, leak=0.5) for s in (1, 10))
        mean, g = flat(one, "mean"), vector(fm.expected_update("bptt", student, teacher, 9, leak=0.5)[1:])
        assert far(ten.total_variance * 10, one.total_variance) < 1e-14
        assert far(ten.signal_to_noise, mean @ mean / ten.total_variance) < 1e-13
        assert far(ten.critical_batch_size, one.critical_batch_size) < 1e-13
        assert far(one.matrix_variance.sum("matrix"), one.total_variance) < 1e-13
        second = mean @ mean + ten.total_variance
        assert far(ten.expected_cosine, mean @ g / np.sqrt(second * (g @ g))) < 1e-12
        at_critical = fm.update_moments(
            rule, student, teacher, 9, feedback=r, leak=0.5, batch_size=round(float(one.critical_batch_size))
        )
        assert 0.9 < at_critical.signal_to_noise < 1.1


def test_the_noise_vanishes_with_the_error():
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    moments = fm.update_moments("bptt", teacher, teacher, 20)
    assert moments.total_variance == 0
    assert np.isnan(moments.signal_to_noise)
    assert fm.update_moments("bptt", teacher, teacher, 20, target_noise=0.1).total_variance > 0


def sampled(rule, student, teacher, inputs, r):
    return np.array([vector(fm.sampled_update(rule, student, teacher, x[None], feedback=r)[1:]) for x in inputs])


@pytest.mark.parametrize("count", [2000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_sampled_updates_scatter_as_predicted(count, rng):
    student, teacher = random_network(rng, 3, 16, 4, radius=0.9), random_network(rng, 3, 5, 4, radius=0.9)
    r = rng.standard_normal((3, 16))
    direction = random_directions(rng, student, 1)[0]
    for rule in (fm.bptt(), fm.rflo(0.8)):
        moments = fm.update_moments(rule, student, teacher, 50, feedback=r, along=direction)
        sums, squares, along = 0.0, 0.0, []
        for _ in range(count // 1000):
            updates = sampled(rule, student, teacher, rng.standard_normal((1000, 50, 4)), r)
            sums, squares = sums + updates.sum(0), squares + np.sum((updates - flat(moments, "mean")) ** 2)
            along.append(updates @ vector(direction))
        along = np.concatenate(along)
        off = (sums / count - flat(moments, "mean")) / np.sqrt(flat(moments, "variance") / count)
        assert np.abs(off).max() < 5
        assert abs(along.mean() - moments.mean_along) < 4 * np.sqrt(moments.variance_along / count)
        deviations = (along - float(moments.mean_along)) ** 2
        assert abs(deviations.mean() - moments.variance_along) < 4 * deviations.std() / np.sqrt(count)
        assert 0.8 < squares / count / moments.total_variance < 1.25


STUDENT = fm.LinearRNN([[1.0, 0.0]], [[0.5, 0.0], [0.0, 0.2]], [[1.0], [1.0]])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": math.inf, "loss": "sequence"}, "loss"),
        ({"batch_size": 0}, "batch_size"),
        ({"target_noise": -1.0}, "target_noise"),
        ({"along": 3.0}, "along"),
        ({"along": []}, "along"),
        ({"along": (np.zeros((1, 3)), np.zeros((2, 2)), np.zeros((2, 1)))}, "along.readout"),
        ({"variances": 1}, "variances"),
        ({"leak": 0.0}, "leak"),
        ({"rule": "rflo"}, "feedback"),
        ({"student": []}, "student"),
        ({"student": [STUDENT, fm.LinearRNN([[1.0]], [[0.5]], [[1.0]])]}, "student"),
        ({"steps": 10**9}, "steps"),
        ({"steps": math.inf, "teacher": fm.LinearRNN([[1.0]], [[1.0]], [[1.0]])}, "teacher"),
        ({"steps": math.inf, "student": fm.LinearRNN([[1.0]], [[0.99999]], [[1.0]])}, "steps"),
        ({"steps": math.inf, "rule": fm.LearningRule("x", propagator="scalar", decay=1.2)}, "rule"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(given, said):
    given = {"rule": "bptt", "student": STUDENT, "teacher": STUDENT, "steps": 5} | given
    positional = [given.pop(name) for name in ("rule", "student", "teacher", "steps")]
    with pytest.raises((ValueError, TypeError), match=f"^{said}.* must"):
        fm.update_moments(*positional, **given)
