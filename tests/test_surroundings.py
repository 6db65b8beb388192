"""Coloured input and noise at every training step: NumPy twins, random combinations of options, what stays equal."""

import math

import naive_surroundings as twin
import numpy as np
import pytest
import scipy.integrate
from click.testing import CliRunner
from problems import feedback_for, matrices, random_network, worst

import fastmodes as fm
from fastmodes import cli
from fastmodes.streams import random_stream

STEPS, EPOCHS, SEEDS = 5, 3, 3
RULES = {
    "bptt": fm.bptt(),
    "back": fm.LearningRule("back", "random", "recurrent", 2),
    "mixed": fm.LearningRule("mixed", "mixed", "recurrent_diagonal", mix=0.3),
    "kolen": fm.LearningRule("kolen", "kolen_pollack", "scalar", decay=0.6, feedback_decay=0.2),
    "mirror": fm.LearningRule("mirror", "mirror", "recurrent", 3, mirror_rate=0.6, feedback_decay=0.2),
}
NUMBERS = {"mixed": (0.3,), "kolen": (0.2,), "mirror": (0.6, 0.2)}


def some_filter(rng, n_in, n_state=2):
    turn = 0.8 * np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    return fm.InputFilter(turn, *(0.5 * rng.standard_normal(s) for s in ((n_state, 4), (n_in, n_state), (n_in, 4))))


def some_covariance(rng, n_in):
    return np.atleast_2d(np.cov(rng.standard_normal((n_in, 3 * n_in + 3))))


def parts(colour):
    return None if colour is None else (colour.state, colour.drive, colour.output, colour.direct)


def combination(rng):
    """A teacher, what train is told, and what the twin is told: sizes and options at random."""
    n_out, n, n_in = (int(rng.integers(1, high)) for high in (3, 8, 4))
    leak = float(rng.choice([1.0, 0.4]))
    rates = [float(rate) for rate in rng.choice([0.0, 0.03, 0.07], 3)] if rng.random() < 0.5 else [0.05] * 3
    rates[0] = rates[0] or 0.02
    mask = (rng.random((n, n)) < 0.6) * 1.0 if rng.random() < 0.5 else np.ones((n, n))
    kind = rng.integers(3)
    options = {
        "loss": str(rng.choice(["final", "sequence"])), "leak": leak, "mask": mask,
        "momentum": float(rng.choice([0.0, 0.8])), "private_noise": float(rng.choice([0.0, 0.4])),
        "learning_rate": dict(zip(("readout", "recurrent", "input"), rates, strict=True)),
        "input_covariance": some_covariance(rng, n_in) if kind == 1 else None,
        "colour": some_filter(rng, n_in) if kind == 2 else None,
        "target_noise": float(rng.choice([0.0, 0.3])),
    }  # fmt: skip
    return random_network(rng, n_out, 3, n_in, 0.7), n, rates, options


def start(runs, rule, seed, rates, options):
    """The twin of one run at its start."""
    network = fm.network_at(runs, rule=rule.name, seed=seed, epoch=0)
    return twin.Student(
        matrices(network), runs.feedback_weights.sel(seed=seed).values, leak=options["leak"], rates=rates,
        mask=options["mask"], momentum=options["momentum"], feedback=rule.feedback, numbers=NUMBERS.get(rule.name, ()),
    )  # fmt: skip


def check(runs, rule, seed, epoch, student, loss):
    got = fm.network_at(runs, rule=rule.name, seed=seed, epoch=epoch)
    for one, other in zip(matrices(got), student.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * max(1, np.abs(other).max()))
    np.testing.assert_allclose(runs.loss.sel(rule=rule.name, seed=seed, epoch=epoch), loss, rtol=1e-12)
    if rule.learns_feedback:
        r = fm.feedback_at(runs, rule=rule.name, seed=seed, epoch=epoch)
        np.testing.assert_allclose(r, student.r, rtol=0, atol=1e-12)


def axes_of(rule):
    return rule.propagator, rule.decay, rule.horizon


def train(teacher, n, options, **changes):
    given = {"hidden": n, "seeds": SEEDS, "epochs": EPOCHS, "steps": STEPS, "record_every": 1, "init_scale": 0.6}
    given |= {"keep_weights": True, "progress": False, "validation_size": 4}
    return fm.train(list(RULES.values()), teacher, **(given | options | changes))


def draws(ordinary, count):
    """Numbers of random draws, the first ones in the ordinary suite."""
    return [pytest.param(i, marks=[] if i < ordinary else pytest.mark.slow) for i in range(count)]


@pytest.mark.parametrize("draw", draws(5, 14))
def test_expected_training_is_that_of_the_twin(draw):
    rng = np.random.default_rng(draw)
    teacher, n, rates, options = combination(rng)
    runs = train(teacher, n, options, updates="expected")
    root = twin.input_root(STEPS, teacher.n_in, options["input_covariance"], parts(options["colour"]))
    for rule in RULES.values():
        for seed in range(SEEDS):
            student = start(runs, rule, seed, rates, options)
            for epoch in range(EPOCHS):
                private = options["leak"] * options["private_noise"]
                value, *changes = twin.expected(
                    axes_of(rule), student.f(), student.effective(), matrices(teacher), root, private, STEPS,
                    options["loss"],
                )  # fmt: skip
                value += 0.5 * teacher.n_out * options["target_noise"] ** 2
                check(runs, rule, seed, epoch, student, value)
                student.learn(changes)


@pytest.mark.parametrize("draw", draws(4, 8))
def test_sampled_training_is_that_of_the_twin(draw):
    rng = np.random.default_rng(100 + draw)
    teacher, n, rates, options = combination(rng)
    batch, noise = int(rng.integers(1, 10)), float(rng.choice([0.0, 0.5]))
    runs = train(teacher, n, options, batch_size=batch, feedback_noise=noise)
    times = 1 if options["loss"] == "final" else STEPS
    for seed in range(SEEDS):
        streams = {
            kind: random_stream(seed, kind) for kind in ("inputs", "private noise", "feedback noise", "target noise")
        }
        students = {rule: start(runs, rule, seed, rates, options) for rule in RULES.values()}
        for epoch in range(EPOCHS):
            inputs = drawn(streams["inputs"], teacher.n_in, batch, options)
            private, r, targets = (
                streams[f"{kind} noise"].standard_normal(shape) for kind, shape in (
                    ("private", (STEPS, n, batch)), ("feedback", (teacher.n_out, n)),
                    ("target", (times, teacher.n_out, batch)),
                )
            )  # fmt: skip
            private = options["leak"] * options["private_noise"] * private.transpose(2, 0, 1)
            targets = options["target_noise"] * targets.transpose(2, 0, 1)
            for rule, student in students.items():
                sums = twin.sampled(
                    axes_of(rule), student.f(noise * r), student.effective(), matrices(teacher),
                    (inputs, private, targets), options["loss"],
                )  # fmt: skip
                value, *changes = (part / batch for part in sums)
                check(runs, rule, seed, epoch, student, value)
                student.learn(changes)


def drawn(stream, n_in, batch, options):
    """Sequences (sample, time, input) of one update, coloured step by step."""
    if options["colour"] is None:
        x = stream.standard_normal((STEPS, n_in, batch)).transpose(2, 0, 1)
        if options["input_covariance"] is None:
            return x
        values, vectors = np.linalg.eigh(options["input_covariance"])
        return x @ ((vectors * np.sqrt(values)) @ vectors.T)
    state, drive, output, direct = parts(options["colour"])
    root, count = options["colour"].start_root, direct.shape[1]
    white = stream.standard_normal((root.shape[1] + STEPS * count, batch))
    z, out = root @ white[: root.shape[1]], []
    for t in range(STEPS):
        first = root.shape[1] + t * count
        n = white[first : first + count]
        out.append(output @ z + direct @ n)
        z = state @ z + drive @ n
    return np.array(out).transpose(2, 0, 1)


@pytest.mark.parametrize("draw", draws(2, 4))
def test_infinitely_many_steps_train_by_the_single_update(draw):
    rng = np.random.default_rng(200 + draw)
    teacher, n, _, options = combination(rng)
    options |= {
        "learning_rate": 0.01,
        "momentum": 0.0,
        "mask": None,
        "loss": "final",
        "colour": some_filter(rng, teacher.n_in),
    }
    options["input_covariance"] = None
    runs = train(teacher, n, options, updates="expected", steps=math.inf, init_scale=0.3)
    for rule in RULES.values():
        plain = (
            rule
            if rule.feedback == "readout"
            else fm.LearningRule("r", "random", *axes_of(rule)[0:1], rule.horizon, rule.decay)
        )
        for seed in range(SEEDS):
            now, then = (fm.network_at(runs, rule=rule.name, seed=seed, epoch=epoch) for epoch in (1, 2))
            r = fm.feedback_at(runs, rule=rule.name, seed=seed, epoch=1) if rule.reads_feedback else None
            if rule.feedback == "mixed":
                r = 0.3 * now.readout + 0.7 * r
            update = fm.coloured_update(
                plain, now, teacher, math.inf, options["colour"], feedback=r, leak=options["leak"],
                private_noise=options["private_noise"],
            )  # fmt: skip
            np.testing.assert_allclose(then.recurrent, now.recurrent - 0.01 * update.recurrent, rtol=0, atol=1e-12)
            np.testing.assert_allclose(then.input, now.input - 0.01 * update.input, rtol=0, atol=1e-12)
            value = update.loss + 0.5 * teacher.n_out * options["target_noise"] ** 2
            np.testing.assert_allclose(runs.loss.sel(rule=rule.name, seed=seed, epoch=1), value, rtol=1e-11)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        pytest.param(kind, rule, marks=[] if (i + j) % 4 == 0 else pytest.mark.slow)
        for i, kind in enumerate(("covariance", "colour", "noise", "all"))
        for j, rule in enumerate(("bptt", "tbptt(2)", "rflo(0.6)", "eprop"))
    ],
)
def test_the_flow_moves_by_the_expected_update(rng, rule, kind):
    teacher = random_network(rng, 2, 4, 3, radius=0.7)
    student, r = fm.random_student(4, teacher, scale=0.5, seed=1), 0.5 * rng.standard_normal((2, 4))
    options = {"private_noise": 0.0 if kind in ("covariance", "colour") else 0.4, "leak": 0.7}
    rates = {"readout": 1.0, "recurrent": 0.5, "input": 2.0}
    update, more = fm.expected_update, ()
    if kind == "covariance":
        options["input_covariance"] = some_covariance(rng, 3)
    elif kind != "noise":
        update, more = fm.coloured_update, (some_filter(rng, 3),)
    wanted = update(rule, student, teacher, math.inf, *more, feedback=r, **options)
    more = {"colour": more[0]} if more else {}
    flow = fm.matrix_flow(
        rule, teacher, seeds=1, times=[0.0, 0.02], students=student, feedbacks=r, rates=rates, rtol=1e-10, atol=1e-12,
        keep_weights=True, progress=False, **options, **more,
    ).isel(rule=0, seed=0)  # fmt: skip
    np.testing.assert_allclose(flow.loss[0], wanted.loss, rtol=1e-11)
    shapes = [matrix.shape for matrix in matrices(student)]
    ends = np.cumsum([rows * columns for rows, columns in shapes])[:-1]

    def slope(_, weights):
        own = fm.LinearRNN(*(part.reshape(shape) for part, shape in zip(np.split(weights, ends), shapes, strict=True)))
        found = update(rule, own, teacher, math.inf, *more.values(), feedback=r, **options)
        return -np.concatenate([rate * part.ravel() for rate, part in zip(rates.values(), found[1:], strict=True)])

    first = np.concatenate([matrix.ravel() for matrix in matrices(student)])
    last = scipy.integrate.solve_ivp(slope, (0.0, 0.02), first, method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
    got = np.concatenate([flow[f"{name}_weights"].values[-1].ravel() for name in rates])
    assert np.abs(last - first).max() > 1e-2
    np.testing.assert_allclose(got, last, rtol=0, atol=1e-8 * np.abs(last).max())


def test_single_updates_are_the_impulse_sums(rng):
    student, teacher = random_network(rng, 2, 4, 3, radius=0.8), random_network(rng, 2, 5, 3, radius=0.7)
    covariance, colour, sigma = some_covariance(rng, 3), some_filter(rng, 3), 0.3
    white = np.kron(np.eye(STEPS), covariance)
    for rule in RULES.values():
        if rule.learns_feedback:
            continue
        r, _ = feedback_for(rule, student, rng)
        for loss, leak in (("final", 1.0), ("sequence", 0.4)):
            given = {"feedback": r, "loss": loss, "leak": leak}
            both = given | {"private_noise": sigma}
            one = fm.expected_update(rule, student, teacher, STEPS, input_covariance=covariance, **both)
            many = fm.expected_updates(
                rule, [student] * 3, teacher, STEPS, input_covariance=covariance, feedbacks=r, loss=loss, leak=leak,
                private_noise=sigma,
            )  # fmt: skip
            late = fm.coloured_update(rule, student, teacher, STEPS, colour, **both)
            for got, whole in ((one, white), ([part[2] for part in many], white), (late, colour.covariance(STEPS))):
                assert worst(got, impulses(rule, student, teacher, whole, sigma, given)) < 1e-12


def impulses(rule, student, teacher, covariance, sigma, given):
    """Sum over the columns of a root of the covariance of inputs and noise."""
    both = np.zeros((STEPS, 7, STEPS, 7))
    both[:, :3, :, :3] = covariance.reshape(STEPS, 3, STEPS, 3)
    for t in range(STEPS):
        both[t, 3:, t, 3:] = sigma**2 * np.eye(4)
    return fm.impulse_expectation(
        lambda x: fm.sampled_update(rule, student, teacher, x[..., :3], noise=x[..., 3:], **given), STEPS, 7,
        both.reshape(STEPS * 7, STEPS * 7),
    )  # fmt: skip


@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_given_noise_enters_as_it_is_defined(rng, loss):
    student, teacher = random_network(rng, 2, 4, 3), random_network(rng, 2, 5, 3)
    x, noise = rng.standard_normal((3, STEPS, 3)), rng.standard_normal((3, STEPS, 4))
    quiet = np.zeros((3, STEPS, 2))
    for rule in (fm.bptt(), fm.rflo(0.6), fm.eprop()):
        r, f = feedback_for(rule, student, rng)
        wanted = [
            p / 3 for p in twin.sampled(axes_of(rule), f, matrices(student), matrices(teacher), (x, noise, quiet), loss)
        ]
        for form in ("backward", "online"):
            got = fm.sampled_update(rule, student, teacher, x, feedback=r, loss=loss, noise=noise, form=form)
            assert worst(got, wanted) < 1e-12
    # Inside phi, and scaled by the leak, as all input is.
    wide = fm.LinearRNN(student.readout, student.recurrent, np.concatenate([student.input, np.eye(4)], axis=1))
    blind = fm.LinearRNN(teacher.readout, teacher.recurrent, np.pad(teacher.input, ((0, 0), (0, 4))))
    kind = {"loss": loss, "nonlinearity": "tanh", "leak": 0.3}
    got = fm.sampled_update("bptt", student, teacher, x, noise=noise, **kind)
    wanted = fm.sampled_update("bptt", wide, blind, np.concatenate([x, noise], axis=2), **kind)
    assert worst(got, wanted._replace(input=wanted.input[:, :3])) < 1e-13


def test_tanh_students_learn_from_coloured_input_and_noise(rng):
    teacher = random_network(rng, 2, 3, 2, radius=0.7)
    options = {"nonlinearity": "tanh", "leak": 0.5, "colour": 0.6, "private_noise": 0.3, "learning_rate": 0.05}
    runs = train(teacher, 5, options, batch_size=6)
    colour = fm.autoregressive_input(0.6, 2)
    for seed in range(SEEDS):
        now, then = (fm.network_at(runs, rule="BPTT", seed=seed, epoch=epoch) for epoch in (0, 1))
        x = drawn(random_stream(seed, "inputs"), 2, 6, {"colour": colour})
        noise = 0.3 * random_stream(seed, "private noise").standard_normal((STEPS, 5, 6)).transpose(2, 0, 1)
        update = fm.sampled_update("bptt", now, teacher, x, noise=noise, nonlinearity="tanh", leak=0.5)
        np.testing.assert_allclose(then.recurrent, now.recurrent - 0.05 * update.recurrent, rtol=0, atol=1e-13)


ALL = {"colour": 0.5, "private_noise": 0.3, "target_noise": 0.2, "feedback_noise": 0.4}
KINDS = [
    {"updates": "sampled", "batch_size": 5, **ALL},
    {"updates": "sampled", "data": 12, "batch_size": 5, **ALL},
    {"updates": "sampled", "data": 12, "private_noise": 0.3, "input_covariance": [[1.0, 0.5], [0.5, 1.0]]},
    {"updates": "sampled", "nonlinearity": "tanh", **ALL},
    {"updates": "expected", "colour": 0.5, "private_noise": 0.3, "target_noise": 0.2},
    {"updates": "expected", "steps": math.inf, "colour": 0.5, "private_noise": 0.3, "target_noise": 0.2},
]


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_runs_go_on_in_every_bit_and_alone_as_in_company(rng, kind, tmp_path):
    teacher = random_network(rng, 2, 3, 2, radius=0.7)
    options = {"learning_rate": 0.001, "momentum": 0.5} | KINDS[kind]
    whole = train(teacher, 5, options, epochs=12, record_every=3)
    first = train(teacher, 5, options, epochs=5, record_every=3)
    fm.write_netcdf(first, tmp_path / "first.nc")
    resumed = fm.resume(fm.read_netcdf(tmp_path / "first.nc"), epochs=12, progress=False)
    names = [name for name in whole if whole[name].dtype.kind == "f"]
    for name in names:
        np.testing.assert_array_equal(resumed[name].values, whole[name].values, err_msg=name)
    alone = fm.train(
        RULES["kolen"], teacher, hidden=5, epochs=12, record_every=4, init_scale=0.6, validation_size=4, threads=1,
        keep_weights=True, progress=False, **({"steps": STEPS, "seeds": [2]} | options),
    )  # fmt: skip
    for name in ("readout_weights", "recurrent_weights", "input_weights", "validation_loss"):
        one, other = alone[name].isel(rule=0, seed=0, epoch=-1), whole[name].sel(rule="kolen", seed=2).isel(epoch=-1)
        np.testing.assert_array_equal(one.values, other.values, err_msg=name)


def test_white_input_in_other_words_is_white_input(rng):
    teacher = random_network(rng, 2, 3, 2, radius=0.7)
    options = {"learning_rate": 0.02, "updates": "expected"}
    plain = train(teacher, 4, options)
    for same in ({"input_covariance": np.eye(2)}, {"colour": 0.0}, {"private_noise": 0.0, "target_noise": 0.0}):
        other = train(teacher, 4, options | same)
        np.testing.assert_allclose(other.recurrent_weights, plain.recurrent_weights, rtol=0, atol=1e-14)
    options = {"learning_rate": 0.02}
    plain, same = train(teacher, 4, options), train(teacher, 4, options | {"input_covariance": np.eye(2)})
    # The input is the same whatever noise is drawn beside it.
    assert same.recurrent_weights.identical(plain.recurrent_weights)
    assert same.validation_loss.identical(plain.validation_loss)
    noisy = train(teacher, 4, options | {"feedback_noise": 0.5})
    assert noisy.recurrent_weights.sel(rule="BPTT").identical(plain.recurrent_weights.sel(rule="BPTT"))
    assert not noisy.recurrent_weights.sel(rule="back").identical(plain.recurrent_weights.sel(rule="back"))


def test_held_out_sequences_have_the_statistics_that_are_learned_from(rng):
    teacher, student = random_network(rng, 2, 3, 2, radius=0.7), random_network(rng, 2, 4, 2, radius=0.7)
    given = {"seeds": 3, "epochs": 1, "steps": 6, "learning_rate": 0.01, "progress": False}
    options = {"colour": 0.9, "private_noise": 0.5, "target_noise": 1.0}
    runs = fm.train("bptt", teacher, students=student, updates="expected", validation_size=40_000, **given, **options)
    first = runs.isel(rule=0, epoch=0)
    assert (abs(first.validation_loss / first.loss - 1) < 0.05).all()
    wanted = fm.coloured_update("bptt", student, teacher, 6, fm.autoregressive_input(0.9, 2), private_noise=0.5)
    np.testing.assert_allclose(first.loss, wanted.loss + 1.0, rtol=1e-12)


COMMON = {"hidden": 3, "seeds": 1, "epochs": 1, "steps": 3, "learning_rate": 0.1, "progress": False}
DATA = {"data": (np.zeros((5, 3, 2)), np.zeros((5, 3, 2))), "steps": None}
REFUSED = [
    ({"input_covariance": [[1.0, 2.0], [2.0, 1.0]]}, ValueError, "input_covariance must be positive semidefinite; got"),
    ({"input_covariance": np.eye(3)}, ValueError, r"input_covariance must have shape \(n_in=2, n_in=2\)"),
    ({"colour": fm.autoregressive_input(0.5, 3)}, ValueError, "colour must write the students' n_in=2 channels; got 3"),
    ({"colour": 1.0}, ValueError, "colour must be .*; got 1.0"),
    ({"colour": "red"}, TypeError, "colour must be an InputFilter .*; got 'red'"),
    ({"colour": {"state": [[0.5]]}}, ValueError, "colour must name state, drive, output, direct; got none of drive"),
    ({"colour": 0.5, "input_covariance": np.eye(2)}, ValueError, "input_covariance must be None beside a colour"),
    ({"private_noise": -0.1}, ValueError, "private_noise must be .*>= 0.*; got -0.1"),
    ({"feedback_noise": -1}, ValueError, "feedback_noise must be .*>= 0.*; got -1"),
    ({"target_noise": math.nan}, ValueError, "target_noise must be .*finite.*; got nan"),
    ({"feedback_noise": 0.1, "updates": "expected"}, ValueError, "feedback_noise must be 0 for expected updates"),
    ({"colour": 0.5, **DATA}, ValueError, "colour must be None where data are given"),
    ({"input_covariance": np.eye(2), **DATA}, ValueError, "input_covariance must be None where data are given"),
    ({"target_noise": 0.5, **DATA}, ValueError, "target_noise must be 0.0 where data are given"),
]


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_refusals_of_training(changes, error, message):
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    with pytest.raises(error, match=message):
        fm.train("bptt", teacher, **(COMMON | changes))


def test_refusals_elsewhere(rng):
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    student = fm.random_student(3, teacher, scale=0.5, seed=0)
    colour = fm.autoregressive_input(0.5, 2)
    for call in (
        lambda: fm.expected_update("bptt", student, teacher, 3, private_noise=-1),
        lambda: fm.expected_updates("bptt", [student], teacher, 3, private_noise=-1),
        lambda: fm.coloured_update("bptt", student, teacher, 3, colour, private_noise=-1),
        lambda: fm.matrix_flow("bptt", teacher, hidden=3, seeds=1, times=[1.0], private_noise=-1, progress=False),
    ):
        with pytest.raises(ValueError, match=r"private_noise must be .*got -1"):
            call()
    with pytest.raises(ValueError, match=r"noise must have shape \(sample=2, time=3, unit=3\)"):
        fm.sampled_update("bptt", student, teacher, np.zeros((2, 3, 2)), noise=np.zeros((2, 3, 2)))
    with pytest.raises(ValueError, match="must be left out for several tasks"):
        fm.train_tasks("bptt", [teacher], **(COMMON | {"private_noise": 0.1}))
    runs = fm.train("rflo", teacher, updates="expected", private_noise=0.1, **COMMON)
    with pytest.raises(ValueError, match=r"private_noise must be 0\.0; got 0\.1"):
        fm.analysis.predict_from_epoch(runs, 0)


def test_noise_of_units_goes_with_given_data(rng):
    x = rng.standard_normal((12, 4, 2))
    given = {"data": (x, x[:, :, :1]), "hidden": 3, "seeds": 3, "epochs": 6, "learning_rate": 0.1, "keep_weights": True}
    quiet, noisy = (fm.train(["bptt", "rflo"], None, progress=False, private_noise=s, **given) for s in (0.0, 0.5))
    assert (noisy.training_loss.isel(epoch=0) > quiet.training_loss.isel(epoch=0)).any()
    first = fm.train(["bptt", "rflo"], None, progress=False, private_noise=0.5, **(given | {"epochs": 3}))
    resumed = fm.resume(first, epochs=6, data=given["data"], progress=False)
    assert resumed.loss.identical(noisy.loss)


def test_plans_and_the_command_line_say_the_same_as_python(tmp_path):
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    given = {"epochs": 2, "hidden": 3, "steps": 4, "updates": "expected", "learning_rate": 0.01}
    table = {"state": [[0.5]], "drive": [[1.0, 0.0]], "output": [[1.0], [0.0]], "direct": [[1.0, 0.0], [0.0, 1.0]]}
    fixed = {"rule": "rflo(0.5)", "teacher_recurrent": [0.9, 0.5]} | given
    for name, values in (
        ("private_noise", [0.0, 0.2, 0.4]), ("colour", [-0.5, 0.0, 0.5]), ("colour", [table]),
        ("target_noise", [0.0, 0.5, 1.0]),
    ):  # fmt: skip
        folder = tmp_path / f"{name}{len(values)}"
        fm.sweep({"job": "train", "seeds": 3, "fixed": fixed, "axes": {name: values}}, folder, progress=False)
        swept = fm.open_sweep(folder).loss.transpose(name, "seed", "epoch")
        for place, value in enumerate(values):
            runs = fm.train("rflo(0.5)", teacher, seeds=3, progress=False, **{name: value}, **given)
            np.testing.assert_array_equal(swept.values[place][:, -1], runs.loss.values[0, :, -1])
    fixed["input_covariance"] = [[1.0, 0.5], [0.5, 2.0]]
    fm.sweep({"job": "train", "seeds": 3, "fixed": fixed}, tmp_path / "covariance", progress=False)
    command = "train --rule rflo(0.5) --teacher 0.9,0.5 --seeds 3 --epochs 2 --hidden 3 --steps 4 --updates expected"
    out = ["--learning-rate", "0.01", "--input-covariance", "1,0.5;0.5,2", "-q", "-o", str(tmp_path / "cli.nc")]
    done = CliRunner().invoke(cli.commands, [*command.split(), *out])
    assert done.exit_code == 0, done.output
    wanted = fm.train("rflo(0.5)", teacher, seeds=3, progress=False, input_covariance=[[1, 0.5], [0.5, 2]], **given)
    np.testing.assert_array_equal(fm.read_netcdf(tmp_path / "cli.nc").loss.values, wanted.loss.values)
    swept = fm.open_sweep(tmp_path / "covariance").loss.transpose("seed", "epoch")
    np.testing.assert_array_equal(swept.values[:, -1], wanted.loss.values[0, :, -1])
