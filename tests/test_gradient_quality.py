"""How well updates follow the exact gradient, along training and after it."""

import math

import naive
import naive_quality
import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.figures.learning import learning_summary
from problems import matrices, random_network

import fastmodes as fm
from fastmodes import cli
from fastmodes.sweeps import PlanError, open_sweep, sweep
from fastmodes.training import quality as module
from fastmodes.training.quality import QUALITY, STATUS, Problem, update_quality

TEACHER = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
RULES = [
    "bptt", "tbptt(2)", "rflo(0.5)", "eprop", "rflo(leak, name=tied)", "eprop(feedback=sign, name=signs)",
    "bptt(feedback=mixed, mix=0.4, name=between)",
]  # fmt: skip
GIVEN = {
    "hidden": 4, "seeds": [3, 0, 8], "epochs": 30, "steps": 7, "learning_rate": 0.03, "init_scale": 0.4,
    "record_every": 10, "keep_weights": True, "progress": False,
}  # fmt: skip
MATRICES = ("readout", "recurrent", "input")


def train(rules=RULES, **changes):
    return fm.train(rules, TEACHER, **(GIVEN | {"gradient_quality": True} | changes))


def update_of(rule, network, r, steps, loss, alpha):
    """Delta A, W, B by the naive twin."""
    feedback = {
        "readout": network[0], "random": r, "sign": np.sign(network[0]), "mixed": 0.4 * network[0] + 0.6 * r,
    }[rule.feedback]  # fmt: skip
    decay = 1 - alpha if rule.decay == "leak" else rule.decay
    effective = naive_quality.leaky(network, alpha)
    parts = naive.expected(rule.propagator, decay, rule.horizon, feedback, effective, matrices(TEACHER), steps, loss)
    return parts[1], alpha * parts[2], alpha * parts[3]


MASK = np.random.default_rng(0).random((4, 4)) < 0.5
#: What training is told, and which weights of A, W, B learn.
SETTINGS = {
    "plain": ({}, (1.0, 1.0, 1.0)),
    "sequence": ({"loss": "sequence"}, (1.0, 1.0, 1.0)),
    "leak": ({"leak": 0.4}, (1.0, 1.0, 1.0)),
    "frozen": ({"learning_rate": {"readout": 0.0, "recurrent": 0.01, "input": 0.01}}, (0.0, 1.0, 1.0)),
    "masked": ({"mask": MASK}, (1.0, MASK, 1.0)),
}


@pytest.mark.parametrize("updates", ["sampled", "expected"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_quality_is_that_of_the_definition(setting, updates):
    changes, learns = SETTINGS[setting]
    alpha = changes.get("leak", 1.0)
    runs = train(updates=updates, **changes)
    assert (runs.status == 0).all()
    for rule in map(fm.parse_rule, RULES):
        for seed in (8, 3, 0):
            for epoch in (0, 10, 30):
                student = matrices(fm.network_at(runs, rule=rule, seed=seed, epoch=epoch))
                r, loss = fm.feedback_at(runs, seed=seed), changes.get("loss", "final")
                u, g = (update_of(each, student, r, 7, loss, alpha) for each in (rule, fm.bptt()))
                at = runs.sel(rule=rule.name, seed=seed, epoch=epoch)
                flat = [naive_quality.flat(x, learns) for x in (u, g)]
                np.testing.assert_allclose(at.gradient_cosine, naive_quality.cosine(*flat), atol=1e-12)
                np.testing.assert_allclose(at.gradient_bias, naive_quality.bias(*flat), rtol=1e-10, atol=1e-12)
                np.testing.assert_allclose(at.update_norm, np.linalg.norm(flat[0]), rtol=1e-11)
                np.testing.assert_allclose(at.gradient_norm, np.linalg.norm(flat[1]), rtol=1e-11)
                for name, one, other, on in zip(MATRICES, u, g, learns, strict=True):
                    found = float(at.matrix_gradient_cosine.sel(matrix=name))
                    if not np.any(on):
                        assert math.isnan(found)
                        continue
                    wanted = naive_quality.cosine((one * on).ravel(), (other * on).ravel())
                    np.testing.assert_allclose(found, wanted, atol=1e-11)
    assert (runs.quality_status == STATUS.index("measured")).all()


@pytest.mark.parametrize("updates", ["sampled", "expected"])
def test_kept_weights_give_the_same_numbers_in_any_order(updates):
    rates = xr.DataArray(
        [[0.0, 0.02, 0.03]] * len(RULES), dims=("rule", "seed"), coords={"rule": [fm.parse_rule(r).name for r in RULES],
        "seed": [0, 3, 8]},
    )  # fmt: skip
    rate = {"readout": rates, "recurrent": 0.02, "input": 0.02}
    runs = train(updates=updates, leak=0.7, learning_rate=rate)
    part = runs.isel(rule=[4, 0, 6, 2, 3], seed=[2, 1], epoch=[3, 1]).transpose()
    measured = fm.analysis.gradient_quality(part)
    for name in (*QUALITY, "loss", "status"):
        wanted = runs[name].sel(rule=measured.rule, seed=measured.seed)
        wanted = wanted.sel(epoch=measured.epoch) if "epoch" in wanted.dims else wanted
        xr.testing.assert_equal(measured[name], wanted.transpose(*measured[name].dims))
    assert np.isnan(measured.matrix_gradient_cosine.sel(matrix="readout", seed=0)).all()
    assert measured.matrix_gradient_cosine.sel(matrix="readout", seed=8).min() > 1 - 1e-12


def test_without_it_nothing_is_recorded_and_with_it_nothing_else_changes():
    plain, measured = train(gradient_quality=False), train()
    assert not set(QUALITY) & set(plain)
    assert set(measured) == set(plain) | set(QUALITY)
    for name in plain.variables:
        assert plain[name].identical(measured[name]), name


def test_the_gradient_follows_itself():
    """BPTT, and BPTT by two other names: all of A as the feedback, and a horizon of all steps."""
    rules = ["bptt", "bptt(feedback=mixed, mix=1.0, name=all of A)", "tbptt(7)", "tbptt(40)"]
    for steps in (7, math.inf):
        runs = train(rules if steps == 7 else rules[:2], updates="expected", steps=steps)
        np.testing.assert_allclose(runs.gradient_cosine, 1.0, rtol=1e-14)
        assert runs.gradient_bias.max() < 1e-12
        np.testing.assert_allclose(runs.update_norm, runs.gradient_norm, rtol=1e-12)


def test_feedback_that_learns_is_the_one_of_the_record():
    rules = [
        "rflo(0.5, feedback=kolen_pollack, feedback_decay=0.5, name=kp)", "eprop",
        "eprop(feedback=mirror, mirror_rate=1, feedback_decay=0.5, name=mirror)",
        "rflo(0.5, feedback=partly_aligned, cosine=0.7, name=turned)",
    ]  # fmt: skip
    runs = train(rules, updates="expected", epochs=40)
    for rule in map(fm.parse_rule, rules):
        for seed, epoch in ((0, 40), (8, 10), (3, 0)):
            student = fm.network_at(runs, rule=rule, seed=seed, epoch=epoch)
            r = fm.feedback_at(runs, rule=rule, seed=seed, epoch=epoch)
            u = fm.expected_update(rule, student, TEACHER, 7, feedback=r)
            g = fm.expected_update(fm.bptt(), student, TEACHER, 7)
            wanted = naive_quality.cosine(naive_quality.flat(u[1:]), naive_quality.flat(g[1:]))
            found = runs.gradient_cosine.sel(rule=rule.name, seed=seed, epoch=epoch)
            np.testing.assert_allclose(found, wanted, atol=1e-12)


def said(dataset):
    return set(fm.status_names(dataset, "quality_status").values.ravel().tolist())


def test_at_rest_there_is_no_direction():
    runs = train(["bptt", "rflo(0.5)"], students=TEACHER, hidden=None, updates="expected")
    assert said(runs) == {"gradient_at_rest"}
    for name in ("gradient_cosine", "gradient_bias", "matrix_gradient_cosine"):
        assert np.isnan(runs[name]).all()
        assert "rest" in runs[name].attrs["comment"]
    # Without input weights and feedback RFLO stays where the gradient does not.
    student = fm.LinearRNN(np.ones((2, 3)), 0.1 * np.eye(3), np.zeros((3, 2)))
    runs = train(["rflo(0.5)", "bptt"], students=student, feedbacks=np.zeros((2, 3)), hidden=None, updates="expected")
    assert said(runs.sel(rule="RFLO")) == {"update_at_rest"}
    assert np.isnan(runs.gradient_cosine.sel(rule="RFLO")).all()
    assert (runs.gradient_bias.sel(rule="RFLO") == 1).all()
    assert (runs.update_norm.sel(rule="RFLO") == 0).all()
    assert said(runs.sel(rule="BPTT")) == {"measured"}


@pytest.mark.parametrize(("n", "radius", "steps"), [(3, 0.5, 5), (5, 0.95, 40), (8, 1.01, 30)])
def test_rounding_is_told_from_small_gradients(n, radius, steps, rng):
    """Near an optimum the cosine holds against the error matrix computed without cancelling, until it is missing."""
    teacher = random_network(rng, 2, n, 3, radius=radius)
    r, seen = rng.standard_normal((2, n)), set()
    for size in (1e-3, 1e-6, 1e-9, 1e-15):
        off = [size * rng.standard_normal(m.shape) for m in matrices(teacher)]
        near = [m + d for m, d in zip(matrices(teacher), off, strict=True)]
        problem = Problem(teacher, steps, "final")
        found = update_quality(fm.rflo(0.5), [m[np.newaxis] for m in near], r, problem, [1] * 3)
        seen.add(STATUS[int(found["quality_status"][0])])
        if size < 1e-12:
            assert np.isnan(found["gradient_cosine"]).all()
            continue
        # The same direction, farther away: u and g are linear in the error to first order.
        far = [m + d * (1e-5 / size) for m, d in zip(matrices(teacher), off, strict=True)]
        u, g = (
            naive.expected(kind, 0.5, None, f, far, matrices(teacher), steps, "final")[1:]
            for kind, f in (("scalar", r), ("recurrent", far[0]))
        )
        wanted = naive_quality.cosine(naive_quality.flat(u), naive_quality.flat(g))
        assert abs(found["gradient_cosine"][0] - wanted) < 1e3 * max(size, 1e-5)
    assert seen == {"measured", "gradient_at_rest"}


def test_infinitely_many_steps_have_a_limit_or_say_so():
    runs = train(["bptt", "rflo(0.5)", "eprop"], steps=math.inf, updates="expected", learning_rate=0.002)
    long = train(["bptt", "rflo(0.5)", "eprop"], steps=math.inf, updates="expected", epochs=1, record_every=1)
    for rule in long.rule.values:
        for seed in (8, 0):
            student = fm.network_at(long, rule=str(rule), seed=seed, epoch=1)
            r = fm.feedback_at(long, seed=seed)
            u, g = (
                fm.expected_update(each, student, TEACHER, 3000, feedback=r)[1:]
                for each in ({"BPTT": "bptt", "RFLO": "rflo(0.5)", "e-prop": "eprop"}[str(rule)], "bptt")
            )
            wanted = naive_quality.cosine(naive_quality.flat(u), naive_quality.flat(g))
            found = long.gradient_cosine.sel(rule=rule, seed=seed, epoch=1)
            np.testing.assert_allclose(found, wanted, atol=1e-10)
    weights = runs.recurrent_weights.copy()
    weights[{"seed": 1, "epoch": 2}] = 1.2 * np.eye(4)
    weights[{"seed": 0, "epoch": 3}] = np.nan
    measured = fm.analysis.gradient_quality(runs.assign(recurrent_weights=weights))
    words = fm.status_names(measured, "quality_status")
    assert (words[{"seed": 1, "epoch": 2}] == "no_limit").all()
    assert (words[{"seed": 0, "epoch": 3}] == "not_finite").all()
    assert int((words == "measured").sum()) == words.size - 6
    assert measured.gradient_cosine.isnull().equals(words != "measured")


def test_runs_that_diverge_or_converge():
    runs = train(
        ["bptt", "rflo(0.9)"], learning_rate=2.0, epochs=40, record_every=5, updates="expected", feedback_scale=3.0
    )
    lost = runs.loss.isnull()
    assert lost.any()
    assert (fm.status_names(runs, "quality_status") == "not_finite").where(lost, True).all()
    assert runs.gradient_cosine.isnull().where(lost, True).all()
    done = train(["bptt"], epochs=400, record_every=40, learning_rate=0.1, stop_loss=0.05, updates="expected")
    assert (done.status == 1).all()
    last = done.gradient_norm.isel(epoch=-1)
    assert (done.gradient_norm.isel(epoch=-2) == last).all()


def test_a_phase_has_its_own_teacher():
    teachers = [fm.random_teacher(3, n_out=2, n_in=2, seed=seed) for seed in range(2)]
    given = {name: value for name, value in GIVEN.items() if name != "epochs"}
    runs = fm.train_tasks(["bptt", "eprop"], teachers, order=[1, 0, 1], epochs=20, **given)
    measured = fm.analysis.gradient_quality(runs)
    assert measured.gradient_cosine.dims == ("rule", "seed", "phase", "epoch")
    for phase, task in enumerate([1, 0, 1]):
        student = fm.network_at(runs, rule="eprop", seed=8, epoch=20, phase=phase)
        r = fm.feedback_at(runs, seed=8)
        u, g = (fm.expected_update(rule, student, teachers[task], 7, feedback=r)[1:] for rule in ("eprop", "bptt"))
        wanted = naive_quality.cosine(naive_quality.flat(u), naive_quality.flat(g))
        found = measured.gradient_cosine.sel(rule="e-prop", seed=8, phase=phase, epoch=20)
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_tasks_in_a_row_are_measured_as_they_are_trained():
    teachers = [fm.random_teacher(3, n_out=2, n_in=2, seed=seed) for seed in range(3)]
    given = {name: value for name, value in GIVEN.items() if name != "epochs"} | {"feedback_scale": 8.0}
    runs = fm.train_tasks(["bptt", "rflo(0.9)"], teachers, epochs=20, gradient_quality=True, **given)
    measured = fm.analysis.gradient_quality(runs)
    assert measured.gradient_cosine.isnull().any()
    for name in QUALITY:
        xr.testing.assert_equal(runs[name], measured[name].transpose(*runs[name].dims))
    assert runs.quality_status.attrs["flag_meanings"] == " ".join(STATUS)


def test_measured_runs_are_read_by_everything_else(tmp_path):
    runs = train(["bptt", "rflo(0.5)"], updates="expected")
    fm.write_netcdf(runs, tmp_path / "runs.nc")
    again = fm.read_netcdf(tmp_path / "runs.nc")
    assert again.identical(runs)
    for measure in (fm.analysis.rank, fm.analysis.spectrum, fm.analysis.principal_angles, fm.analysis.over_seeds):
        assert measure(again).sizes["rule"] == 2
    learning_summary(again).canvas.draw()
    assert fm.analysis.compare_rules(again.sel(matrix="recurrent"), "matrix_gradient_cosine").runs_used.sum() > 0


def test_many_large_students_are_measured_in_pieces(monkeypatch):
    runs = train(["eprop", "bptt"])
    monkeypatch.setattr(module, "_NUMBERS_AT_ONCE", 70)
    pieces = train(["eprop", "bptt"])
    for name in QUALITY:
        assert runs[name].equals(pieces[name]), name


def test_flows_of_whole_networks_are_measured_too():
    flowed = fm.matrix_flow(
        ["bptt", "rflo"], TEACHER, hidden=3, seeds=3, times=[0.0, 1.0, 5.0], init_scale=0.5, keep_weights=True,
        rates={"readout": 0.0, "recurrent": 1.0, "input": 1.0}, progress=False,
    )  # fmt: skip
    measured = fm.analysis.gradient_quality(flowed.isel(seed=[2, 0]))
    assert measured.gradient_cosine.dims == ("rule", "seed", "time")
    student, r = fm.network_at(flowed, rule="rflo", seed=2, time=1.0), fm.feedback_at(flowed, seed=2)
    u, g = (fm.expected_update(rule, student, TEACHER, math.inf, feedback=r)[2:] for rule in ("rflo", "bptt"))
    wanted = naive_quality.cosine(*(naive_quality.flat(x, (1, 1)) for x in (u, g)))
    np.testing.assert_allclose(measured.gradient_cosine.sel(rule="RFLO", seed=2, time=1.0), wanted, atol=1e-12)


def test_a_training_that_goes_on_is_measured_as_one():
    first = train(["bptt", "rflo(0.5)"], epochs=20)
    whole = train(["bptt", "rflo(0.5)"], epochs=40)
    again = fm.resume(first, epochs=40, progress=False)
    for name in QUALITY:
        assert again[name].equals(whole[name]), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nonlinearity": "tanh"}, "nonlinearity must be 'identity' for gradient_quality=True"),
        ({"data": (np.ones((10, 7, 2)), np.ones((10, 2)))}, "gradient_quality must be False for sequences of your own"),
        ({"gradient_quality": 1}, "gradient_quality must be True or False"),
    ],
)
def test_what_has_no_exact_gradient_is_refused(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        train(**({"updates": "sampled"} | changes))


def test_analysis_refuses_what_has_no_exact_gradient():
    kept = {"gradient_quality": False}
    with pytest.raises(ValueError, match="runs must have learned from a teacher"):
        fm.analysis.gradient_quality(train(data=(np.ones((10, 7, 2)), np.ones((10, 2))), **kept))
    with pytest.raises(ValueError, match="nonlinearity must be 'identity' for the exact gradient of runs"):
        fm.analysis.gradient_quality(train(nonlinearity="tanh", **kept))
    with pytest.raises(ValueError, match=r"runs must hold 'readout_weights'.*keep_weights=True"):
        fm.analysis.gradient_quality(train(keep_weights=False))
    with pytest.raises(ValueError, match="runs must have the dimension 'epoch'"):
        fm.analysis.gradient_quality(train().isel(epoch=-1))
    with pytest.raises(TypeError, match=r"runs must be an xarray.Dataset"):
        fm.analysis.gradient_quality(3)
    drawn = train(data=20)
    assert fm.analysis.gradient_quality(drawn).gradient_cosine.equals(drawn.gradient_cosine)


def test_a_sweep_measures_where_it_is_asked_to(tmp_path):
    plan = {
        "job": "train", "seeds": 2, "record": ["loss", "gradient_cosine", "matrix_gradient_cosine"],
        "fixed": {
            "updates": "expected", "epochs": 6, "steps": 4, "hidden": 3, "teacher_recurrent": [0.9, 0.5],
            "init_scale": 0.5,
        },
        "axes": {"rule": ["eprop", "bptt"], "learning_rate": [0.01, 0.1]},
    }  # fmt: skip
    sweep(plan, tmp_path / "out", progress=False)
    found = open_sweep(tmp_path / "out").load()
    for rate in (0.01, 0.1):
        alone = fm.train(
            ["eprop", "bptt"], TEACHER, hidden=3, seeds=2, epochs=6, record_every=6, steps=4, updates="expected",
            init_scale=0.5, learning_rate=rate, gradient_quality=True, progress=False,
        )  # fmt: skip
        for name in ("gradient_cosine", "matrix_gradient_cosine"):
            np.testing.assert_array_equal(found[name].sel(learning_rate=rate), alone[name])
    with pytest.raises(PlanError, match="did you mean 'gradient_cosine'"):
        sweep(plan | {"record": ["gradient_cosines"]}, tmp_path / "no", progress=False)
    assert "gradient_cosine" not in fm.sweeps.Plan({k: v for k, v in plan.items() if k != "record"}).record


def test_the_command_line_measures(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", "--rule", "eprop", "--epochs", "2", "--steps", "3", "--seeds", "2", "--gradient-quality", "-q"]
    assert cli.run(words) == 0
    assert fm.read_netcdf("training.nc").gradient_cosine.notnull().all()
    capsys.readouterr()


NOISE = {
    **SETTINGS,
    "targets": ({"target_noise": 0.3}, (1.0, 1.0, 1.0)),
    "noisy sequences": ({"target_noise": 0.3, "loss": "sequence", "leak": 0.6, "mask": MASK}, (1.0, MASK, 1.0)),
}


@pytest.mark.parametrize("updates", ["sampled", "expected"])
@pytest.mark.parametrize("setting", NOISE)
def test_noise_is_that_of_the_exact_moments(setting, updates):
    """One by one, over the weights that learn; expected updates have no batch."""
    changes, learns = NOISE[setting]
    runs = train(updates=updates, batch_size=6 if updates == "sampled" else None, **changes)
    told = {name: changes[name] for name in ("loss", "leak", "target_noise") if name in changes}
    for rule in map(fm.parse_rule, RULES[:4]):
        for seed in (8, 3, 0):
            for epoch in (0, 30):
                student = fm.network_at(runs, rule=rule, seed=seed, epoch=epoch)
                r = fm.feedback_at(runs, seed=seed)
                one = fm.update_moments(rule, student, TEACHER, 7, feedback=r, batch_size=6, **told)
                noise, signal = (
                    sum(float((m * on).sum()) for m, on in zip(parts, learns, strict=True))
                    for parts in (
                        [one[f"variance_{name}"].values for name in MATRICES],
                        [one[f"mean_{name}"].values ** 2 for name in MATRICES],
                    )
                )
                at = runs.sel(rule=rule.name, seed=seed, epoch=epoch)
                np.testing.assert_allclose(at.critical_batch_size, 6 * noise / signal, rtol=1e-10)
                wanted = signal / noise if updates == "sampled" else np.nan
                np.testing.assert_allclose(at.signal_to_noise, wanted, rtol=1e-10)
                if setting in ("plain", "sequence", "targets"):
                    np.testing.assert_allclose(at.critical_batch_size, 6 * one.total_variance / signal, rtol=1e-10)
    measured = fm.analysis.gradient_quality(runs)
    for name in ("signal_to_noise", "critical_batch_size"):
        assert measured[name].equals(runs[name])


def test_noise_is_that_of_drawn_updates():
    """Batches of training's size, drawn here: scatter around the mean over squared mean."""
    runs = train(["rflo(0.5)"], target_noise=0.5, batch_size=5)
    student, r = fm.network_at(runs, rule="rflo(0.5)", seed=3, epoch=10), fm.feedback_at(runs, seed=3)
    rng, drawn = np.random.default_rng(1), []
    for _ in range(4000):
        inputs, noise = rng.standard_normal((5, 7, 2)), 0.5 * rng.standard_normal((5, 2))
        (a, w, b), teacher = matrices(student), matrices(TEACHER)
        goal, states = np.zeros((5, 2)), [np.zeros((5, 4))]
        for t in range(7):
            states.append(states[-1] @ w.T + inputs[:, t] @ b.T)
            goal = goal @ teacher[1].T + inputs[:, t] @ teacher[2].T
        error = states[-1] @ a.T - goal @ teacher[0].T - noise
        back = error @ r
        dw, db = np.zeros_like(w), np.zeros_like(b)
        for j in range(7):
            dw += 0.5**j * back.T @ states[6 - j] / 5
            db += 0.5**j * back.T @ inputs[:, 6 - j] / 5
        drawn.append(naive_quality.flat((error.T @ states[-1] / 5, dw, db)))
    u = np.array(drawn)
    snr = (u.mean(0) ** 2).sum() / u.var(0).sum()
    assert float(runs.signal_to_noise.sel(rule="RFLO", seed=3, epoch=10)) == pytest.approx(snr, rel=0.08)


def test_noise_without_a_known_value_is_missing():
    rules = ["bptt", "rflo(0.5)", "eprop"]
    endless = train(rules, steps=math.inf, updates="expected", epochs=1, record_every=1, target_noise=0.2)
    for rule in rules:
        name = fm.parse_rule(rule).name
        student, r = fm.network_at(endless, rule=rule, seed=0, epoch=1), fm.feedback_at(endless, seed=0)
        one = fm.update_moments(rule, student, TEACHER, math.inf, feedback=r, target_noise=0.2)
        found = endless.critical_batch_size.sel(rule=name, seed=0, epoch=1)
        np.testing.assert_allclose(found, one.critical_batch_size, rtol=1e-9)
    assert endless.critical_batch_size.notnull().all()
    weights = endless.recurrent_weights.copy()
    weights[{"seed": 1, "epoch": 1}] = 1.2 * np.eye(4)
    missing = fm.analysis.gradient_quality(endless.assign(recurrent_weights=weights)).critical_batch_size.isnull()
    assert missing.isel(seed=1, epoch=1).all()
    assert int(missing.sum()) == len(rules)
    for changes in (
        {"steps": math.inf, "updates": "expected", "loss": "sequence"}, {"feedback_noise": 0.3, "updates": "sampled"},
    ):  # fmt: skip
        runs = train(rules, **(changes | {"epochs": 1, "record_every": 1}))
        for name in ("critical_batch_size", "signal_to_noise"):
            assert runs[name].isnull().all()
            assert "variance" in runs[name].attrs["comment"]
    # At the optimum an update is noise alone, around a mean of rounding errors.
    resting = train(["bptt"], students=TEACHER, hidden=None, updates="sampled", learning_rate=1e-9, target_noise=0.2)
    assert resting.critical_batch_size.isel(epoch=0).isnull().all()
