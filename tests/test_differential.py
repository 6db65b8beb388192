"""Whatever is computed two ways agrees: random cases over the whole family, collections of different networks.

One or many, eight lanes or one, recursion or doubling or the definition, whole or in pieces, one thread or two, sampled
over impulses or expected, forwards or backwards, as modes or as networks. A case is a number: it seeds everything.
"""

import dataclasses
import functools
import math

import naive_stationary as naive
import numpy as np
import pytest
import xarray as xr
from problems import DECAYS, FEEDBACK_NUMBERS, matrices, random_network, worst

import fastmodes as fm
from fastmodes import cli
from fastmodes.rules import FEEDBACKS, PROPAGATORS
from fastmodes.updates.impulses import covariance_root
from fastmodes.updates.infinite import finite_update
from fastmodes.updates.one import by_recursion

ORDINARY, ALL = 200, 2000
#: Sums of 60 terms, radius up to 1.1, cancelling against the teacher's: rounding grows to this.
CLOSE = 1e-9


@dataclasses.dataclass(frozen=True)
class Case:
    """A rule, a teacher, at least three different students and feedbacks, and everything that they are asked."""

    rng: np.random.Generator
    rule: fm.LearningRule
    teacher: fm.LinearRNN
    students: list
    feedbacks: list
    steps: int
    loss: str
    covariance: np.ndarray | None

    def given(self, i):
        """The feedback to hand over for student i."""
        return self.feedbacks[i] if self.rule.reads_feedback else None


@functools.cache
def feedback_matrix(kind):
    """F of the definition; an R that was made or learns is a given one."""
    known = {"readout": lambda a, r: a, "sign": lambda a, r: 0.7 * np.sign(a), "mixed": lambda a, r: 0.3 * a + 0.7 * r}
    return known.get(kind, lambda a, r: r)


def case(number, radius=(0.3, 1.1), steps=(1, 2, 3, 5, 8, 17, 40, 61)):
    rng = np.random.default_rng([number, 20261124])
    n_out, n, n_in, n_teacher = rng.permutation(rng.integers(1, 6, 4))
    n_out, n, n_in = int(n_out), int(n), int(n_in)
    t = int(rng.choice(steps))
    propagator = str(rng.choice(PROPAGATORS))
    horizon = rng.choice([0, 1, 2, 3, max(1, t // 2), t, t + 3])
    decay = DECAYS[propagator](n, rng) if propagator in DECAYS else None
    feedback = str(rng.choice(FEEDBACKS))
    numbers = FEEDBACK_NUMBERS.get(feedback, {})
    rule = fm.LearningRule("case", feedback, propagator, int(horizon) or None, decay, **numbers)
    teacher = random_network(rng, n_out, int(n_teacher), n_in, rng.uniform(*radius))
    count = int(rng.integers(3, 12))
    students = [random_network(rng, n_out, n, n_in, rng.uniform(*radius)) for _ in range(count)]
    feedbacks = [rng.standard_normal((n_out, n)) for _ in range(count)]
    root = rng.standard_normal((n_in, n_in))
    covariance = root @ root.T if rng.random() < 0.4 else None
    return Case(rng, rule, teacher, students, feedbacks, t, str(rng.choice(["final", "sequence"])), covariance)


def assert_close(one, other, tolerance=CLOSE):
    assert worst(one, other) < tolerance


def one_by_one(c, steps, covariance=None):
    return [
        fm.expected_update(
            c.rule, s, c.teacher, steps, feedback=c.given(i), loss=c.loss, input_covariance=covariance
        )
        for i, s in enumerate(c.students)
    ]  # fmt: skip


def check_definition_recursion_and_doubling(number):
    c = case(number)
    student, r = c.students[0], c.given(0)
    root = None if c.covariance is None else covariance_root(c.covariance, student.n_in)
    ways = [one_by_one(dataclasses.replace(c, students=c.students[:1]), c.steps, c.covariance)[0]]
    ways += [way(c.rule, student, c.teacher, c.steps, r, c.loss, root) for way in (by_recursion, finite_update)]
    f = feedback_matrix(c.rule.feedback)(student.readout, r)
    networks = [matrices(student), matrices(c.teacher)]
    if root is not None:
        networks = [(a, w, b @ root) for a, w, b in networks]
    value, da, dw, db = naive.expected(c.rule.propagator, c.rule.decay, c.rule.horizon, f, *networks, c.steps, c.loss)
    ways.append((value, da, dw, db if root is None else db @ root))
    for way in ways[1:]:
        assert_close(ways[0], way)


def credit_grows(c):
    """Whether credit reaches back for ever and by a factor of 1 or more a step: the sums over it have no limit.

    Entries on the diagonal of a stable W that is far from normal may be larger than one.
    """
    if c.rule.horizon is not None or c.rule.propagator != "recurrent_diagonal":
        return False
    return any(
        np.abs(np.diagonal(s.recurrent)).max() * max(s.spectral_radius, c.teacher.spectral_radius) >= 1
        for s in c.students
    )


def check_one_and_many(number):
    """Students of one collection differ: what one leaves behind must not reach the next."""
    c = case(number, radius=(0.2, 0.9))
    steps = math.inf if number % 3 == 0 and c.rule.propagator != "diagonal" else c.steps
    feedbacks = c.feedbacks if c.given(0) is not None else None
    if steps == math.inf and credit_grows(c):
        refused = "rule must carry credit with a factor below 1 a step"
        with pytest.raises(ValueError, match=refused):
            one_by_one(c, steps)
        with pytest.raises(ValueError, match=refused):
            fm.expected_updates(c.rule, c.students, c.teacher, steps, feedbacks=feedbacks)
        return
    many = fm.expected_updates(c.rule, c.students, c.teacher, steps, feedbacks=feedbacks, loss=c.loss)
    for i, one in enumerate(one_by_one(c, steps)):
        assert_close([part[i] for part in many], one)
    alone = fm.expected_updates(
        c.rule, c.students[::-1], c.teacher, steps, loss=c.loss, threads=1 + number % 2,
        feedbacks=feedbacks[::-1] if feedbacks is not None else None,
    )  # fmt: skip
    for one, other in zip(many, alone, strict=True):
        np.testing.assert_array_equal(one, other[::-1])


def check_infinite_and_long(number):
    """Infinitely many steps are the limit of many."""
    c = case(number, radius=(0.2, 0.7))
    diverging = c.rule.horizon is None and c.rule.propagator == "recurrent_diagonal"
    if diverging and max(np.abs(np.diagonal(s.recurrent)).max() for s in c.students) >= 0.99:
        return
    for one, other in zip(one_by_one(c, math.inf, c.covariance), one_by_one(c, 400, c.covariance), strict=True):
        # The sequence loss approaches the final one like 1 / T.
        assert_close(one, other, 1e-8 if c.loss == "final" else 0.1)


def check_sampled(number):
    """Impulses sum to the expectation, with any covariance; traces forwards are credit backwards; samples add."""
    c = case(number, steps=(1, 2, 3, 5, 8))
    student, r = c.students[0], c.given(0)

    def update(x, **options):
        return fm.sampled_update(c.rule, student, c.teacher, x, feedback=r, loss=c.loss, **options)

    n_in = student.n_in
    exact = fm.impulse_expectation(update, c.steps, n_in, c.covariance)
    expected = fm.expected_update(
        c.rule, student, c.teacher, c.steps, feedback=r, loss=c.loss, input_covariance=c.covariance
    )
    assert_close(exact, expected)
    inputs = c.rng.standard_normal((int(c.rng.integers(1, 12)), c.steps, n_in))
    whole = update(inputs, average=False)
    pieces = [update(x[np.newaxis]) for x in inputs]
    assert_close(whole, [sum(parts) for parts in zip(*pieces, strict=True)])
    if c.rule.horizon is None or c.rule.horizon >= c.steps:
        assert_close(whole, update(inputs, average=False, form="online"))


def check_training(number):
    """Seeds together in lanes, alone, by one thread or two, recorded often or seldom: the same bits."""
    c = case(number, radius=(0.2, 0.8), steps=(1, 2, 5, 9))
    if c.rule.feedback == "partly_aligned" and c.feedbacks[0].size == 1:
        # One weight has no other direction to turn to.
        c = dataclasses.replace(c, rule=dataclasses.replace(c.rule, feedback="random", cosine=None))
    count = len(c.students)
    infinite = number % 4 == 0 and c.rule.propagator != "diagonal"
    settings = {
        "epochs": 6, "learning_rate": 0.02, "steps": math.inf if infinite else c.steps, "loss": c.loss,
        "updates": "expected" if infinite or number % 2 else "sampled", "hidden": c.students[0].n_hidden,
        "keep_weights": True, "validation_size": 4, "progress": False, "optimizer": ("sgd", "adam")[number % 3 == 1],
    }  # fmt: skip
    if settings["updates"] == "sampled":
        settings["batch_size"] = int(c.rng.integers(1, 10))
    given = c.feedbacks if c.given(0) is not None else None

    def train(places, **changes):
        feedbacks = None if given is None else [given[i] for i in places]
        students = [c.students[i] for i in places]
        return fm.train(
            c.rule, c.teacher, seeds=[3 * i for i in places], students=students, feedbacks=feedbacks,
            **(settings | changes),
        )  # fmt: skip

    together = train(range(count), threads=1, record_every=1)
    two = train(range(count), threads=2, record_every=3)
    last = int(c.rng.integers(count))
    alone = train([last], threads=1, record_every=1)
    for name in ("loss", "readout_weights", "recurrent_weights", "input_weights", "status"):
        every = together[name].isel(epoch=[0, 3, 6]) if "epoch" in together[name].dims else together[name]
        np.testing.assert_array_equal(every, two[name])
        np.testing.assert_array_equal(together[name].isel(seed=[last]), alone[name])
    if settings["updates"] == "expected":
        first = fm.expected_update(
            c.rule, c.students[last], c.teacher, settings["steps"], feedback=c.given(last), loss=c.loss
        )
        assert alone["loss"].values.flat[0] == pytest.approx(first.loss, rel=CLOSE, abs=1e-14)


def check_modes(number, tmp_path):
    """Points in company and alone, written in slabs and at once, as modes and as networks."""
    rng = np.random.default_rng([number, 7])
    propagator = str(rng.choice([p for p in PROPAGATORS if p != "diagonal"]))
    decay = 0.6 if propagator == "scalar" else None
    feedback = str(rng.choice(FEEDBACKS))
    numbers = FEEDBACK_NUMBERS.get(feedback, {})
    rule = fm.LearningRule("case", feedback, propagator, [None, 1, 3][number % 3], decay, **numbers)
    count = int(rng.integers(3, 20))
    own = fm.Modes(rng.uniform(-0.8, 0.8, count), rng.normal(size=count), rng.normal(size=count))
    goal = fm.Modes(rng.uniform(-0.8, 0.8, count), rng.normal(size=count), rng.normal(size=count))
    r, times = rng.normal(size=count), [0.5, 3.0]
    whole = fm.flow(rule, own, goal, times, feedback=r)
    i = int(rng.integers(count))
    pick = [fm.Modes(*(entry[i] for entry in modes)) for modes in (own, goal)]
    alone = fm.flow(rule, *pick, times, feedback=r[i])
    for name in ("w", "a", "b", "loss", "status", "time_reached"):
        np.testing.assert_array_equal(whole[name].isel(point=i), alone[name])
    if number % 4 == 0:
        path = fm.write_flow(tmp_path / "flow.nc", rule, own, goal, times, feedback=r, slab_points=2)
        with xr.open_dataset(path) as slabs:
            for name in ("w", "a", "b", "loss", "status"):
                np.testing.assert_array_equal(slabs[name], whole[name])
    n = min(count, 4)
    order = np.argsort(-goal.recurrent[:n])
    few, few_goal = (fm.Modes(*(entry[:n][order] for entry in modes)) for modes in (own, goal))
    teacher = fm.aligned_teacher(few_goal, n_out=n + number % 2, n_in=n + number % 3)
    student, steps = fm.aligned_student(teacher, few), int(rng.integers(1, 30))
    loss = str(rng.choice(["final", "sequence"]))
    numbers = fm.mode_update(rule, few, few_goal, steps, feedback=r[:n], loss=loss)
    networks = fm.mode_update(rule, student, teacher, steps, feedback=r[:n], loss=loss)
    assert_close(networks, numbers)
    matrix = np.zeros((teacher.n_out, n))
    np.fill_diagonal(matrix, r[:n])
    update = fm.expected_update(
        rule, student, teacher, steps, feedback=matrix if rule.reads_feedback else None, loss=loss
    )
    entries = [np.diagonal(m) for m in (update.recurrent, update.readout, update.input)]
    assert_close(entries, numbers)
    small = []
    for k in range(n):
        pair = [fm.Modes(*(entry[k] for entry in modes)) for modes in (few, few_goal)]
        small.append(fm.mode_update(rule, *pair, steps, feedback=r[k], loss=loss))
    for part, one in zip(numbers, zip(*small, strict=True), strict=True):
        np.testing.assert_array_equal(part, one)


def check(number, tmp_path):
    kinds = (
        check_definition_recursion_and_doubling, check_one_and_many, check_sampled, check_modes,
        check_one_and_many, check_definition_recursion_and_doubling, check_infinite_and_long, check_training,
    )  # fmt: skip
    kind = kinds[number % len(kinds)]
    number = number // len(kinds) * 11 + number % 7
    return kind(number, tmp_path) if kind is check_modes else kind(number)


@pytest.mark.parametrize("number", range(ORDINARY))
def test_two_ways_agree(number, tmp_path):
    check(number, tmp_path)


@pytest.mark.fuzz
@pytest.mark.parametrize("number", range(ORDINARY, ALL))
def test_two_ways_agree_at_length(number, tmp_path):
    check(number, tmp_path)


SWEEP = {
    "job": "expected",
    "fixed": {"steps": 7, "hidden": 3, "init_scale": 0.5},
    "axes": {"rule": ["bptt", "rflo(0.4)", "tbptt(2)"], "seed": [0, 1, 2]},
}


def test_a_sweep_in_blocks_is_the_direct_call(tmp_path):
    fm.sweep(SWEEP | {"points_per_block": 2}, tmp_path / "sweep", progress=False)
    swept = fm.open_sweep(tmp_path / "sweep")
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0))
    for place, text in enumerate(SWEEP["axes"]["rule"]):
        rule = fm.parse_rule(text)
        for seed in SWEEP["axes"]["seed"]:
            student = fm.random_student(3, teacher, scale=0.5, seed=seed)
            r = fm.random_feedback(student, scale=1.0, seed=seed) if rule.feedback == "random" else None
            direct = fm.expected_update(rule, student, teacher, 7, feedback=r)
            at = swept.isel(rule=place).sel(seed=seed)
            assert at.loss.item() == direct.loss
            assert at.update_recurrent_norm.item() == np.linalg.norm(direct.recurrent)


@pytest.mark.parametrize("rule", ["bptt", "rflo(0.4)", "tbptt(2)"])
def test_the_command_line_is_python(rule, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = [
        "--rule",
        rule,
        "--hidden",
        "3",
        "--seeds",
        "3",
        "--epochs",
        "5",
        "--steps",
        "6",
        "--learning-rate",
        "0.02",
    ]
    assert cli.run(["train", *options, "--updates", "expected", "-o", "runs.nc"]) == 0
    python = fm.train(
        fm.parse_rule(rule), fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0)), hidden=3, seeds=range(3),
        epochs=5, steps=6, learning_rate=0.02, updates="expected", progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(fm.read_netcdf("runs.nc")["loss"], python["loss"])
    assert cli.run(["flow", "--rule", rule, "--start-w", "0.1:0.5:3", "--times", "0:2:3", "-o", "flow.nc"]) == 0
    start = xr.DataArray(np.linspace(0.1, 0.5, 3), dims="start_w")
    flowed = fm.flow(fm.parse_rule(rule), fm.Modes(start, 1.0, 1.0), fm.Modes(0.7, 1.0, 1.0), [0.0, 1.0, 2.0])
    written = fm.read_netcdf("flow.nc")
    np.testing.assert_array_equal(written["w"].squeeze(), flowed["w"].squeeze())
    capsys.readouterr()
