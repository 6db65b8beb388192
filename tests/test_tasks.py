"""Tasks in a row: phases are what train makes of the last phase's students, and losses are on every task."""

import math

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis import task_memory
from fastmodes.analysis.figures.tasks import task_losses, task_spectra

import fastmodes as fm

TEACHERS = [fm.random_teacher(4, n_out=2, n_in=3, radius=0.8, seed=seed) for seed in range(3)]
SMALL = dict(
    hidden=5, seeds=[3, 1], epochs=30, steps=6, learning_rate=0.02, init_scale=0.5, record_every=10, progress=False,
)  # fmt: skip


def naive_loss(network, teacher, steps, sequence=False):
    """Half the summed squares of the difference of the impulse responses, from the definition."""
    total, w, v = 0.0, network.input, teacher.input
    for k in range(steps):
        difference = network.readout @ w - teacher.readout @ v
        total += 0.5 * (difference**2).sum() * ((steps - k) / steps if sequence else 1.0)
        w, v = network.recurrent @ w, teacher.recurrent @ v
    return total


@pytest.mark.parametrize("updates", ["expected", "sampled"])
@pytest.mark.parametrize("extra", [{}, {"leak": 0.5, "loss": "sequence"}, {"optimizer": "adam"}])
def test_every_phase_goes_on_where_the_last_ended(updates, extra):
    settings = SMALL | {"updates": updates, "keep_weights": True} | extra
    order = [0, 1, 2, 0]
    runs = fm.train_tasks(["bptt", "rflo", "eprop"], TEACHERS, order=order, **settings)
    assert runs.phase_task.values.tolist() == order
    assert runs.loss.dims == ("rule", "seed", "phase", "epoch")
    assert runs.task_loss.dims == ("rule", "seed", "phase", "epoch", "task")
    leak, sequence = extra.get("leak", 1.0), extra.get("loss") == "sequence"
    for rule in ("BPTT", "RFLO", "e-prop"):
        now = settings
        for phase, task in enumerate(order):
            alone = fm.train(rule, TEACHERS[task], **now)
            here = runs.sel(rule=rule, phase=phase)
            for name in ("loss", "validation_loss", "recurrent_weights", "status", "change_singular_value"):
                assert here[name].values.tobytes() == alone[name].isel(rule=0).values.tobytes(), (rule, phase, name)
            students = [fm.network_at(alone, seed=seed) for seed in (3, 1)]
            now = settings | {"students": students, "feedbacks": alone.feedback_weights.values, "hidden": None}
            for seed in (3, 1):
                for epoch in (0, 20, 30):
                    network = fm.network_at(runs, rule=rule, seed=seed, phase=phase, epoch=epoch)
                    for number, teacher in enumerate(TEACHERS):
                        wanted = naive_loss(network.leaky(leak), teacher, 6, sequence)
                        got = here.task_loss.sel(seed=seed, epoch=epoch, task=number).item()
                        assert got == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_array_equal(fm.feedback_at(runs, seed=1), alone.feedback_weights.sel(seed=1))


@pytest.mark.parametrize("n_out", [1, 2, 3])
def test_under_rflo_all_tasks_write_into_the_rows_of_one_feedback(n_out):
    """Prediction: over all phases RFLO changes W by R^T Q, of rank n_out at most; BPTT's change spreads beyond."""
    teachers = [fm.random_teacher(4, n_out=n_out, n_in=2, radius=0.7, seed=seed) for seed in range(3)]
    runs = fm.train_tasks(
        ["rflo", "bptt", "eprop"], teachers, hidden=7, seeds=3, epochs=200, steps=10, learning_rate=0.02,
        updates="expected", init_scale=0.3, keep_weights=True, progress=False,
    )  # fmt: skip
    assert (fm.status_names(runs) == "running").all()
    singular = runs.whole_change_singular_value.isel(epoch=-1)
    rank = (singular > 1e-6 * singular.max("unit")).sum("unit")
    assert (rank.sel(rule="RFLO") == n_out).all()
    assert (rank.sel(rule=["BPTT", "e-prop"], phase=2) > n_out).all()
    # BPTT's is no rounding: what lies beyond the first n_out is seen by the eye.
    beyond = singular.isel(unit=slice(n_out, None)).max("unit") / singular.max("unit")
    assert (beyond.sel(rule="RFLO") < 1e-13).all()
    assert (beyond.sel(rule="BPTT", phase=2) > 1e-3).all()
    for seed in range(3):
        r = fm.feedback_at(runs, seed=seed)
        start = fm.network_at(runs, rule="rflo", seed=seed, phase=0, epoch=0).recurrent
        for phase in range(3):
            change = fm.network_at(runs, rule="rflo", seed=seed, phase=phase).recurrent - start
            outside = change - r.T @ np.linalg.lstsq(r.T, change, rcond=None)[0]
            assert np.abs(outside).max() < 1e-13
            np.testing.assert_allclose(
                np.linalg.svd(change, compute_uv=False),
                runs.whole_change_singular_value.sel(rule="RFLO", seed=seed, phase=phase, epoch=200), atol=1e-14,
            )  # fmt: skip


def test_runs_that_diverge_have_no_later_phases():
    wild = fm.random_teacher(4, n_out=2, n_in=3, radius=0.8, seed=5)
    teachers = [TEACHERS[0], fm.LinearRNN(30 * wild.readout, wild.recurrent, wild.input), TEACHERS[2]]
    runs = fm.train_tasks("bptt", teachers, divergence_loss=40.0, updates="expected", **SMALL).isel(rule=0)
    words = fm.status_names(runs)
    assert (words.sel(phase=0) == "running").all()
    assert (words.sel(phase=[1, 2]) == "diverged").all()
    assert (runs.epochs_made.sel(phase=2) == 0).all()
    later = runs.sel(phase=2)
    for name in ("loss", "task_loss", "validation_loss", "singular_value", "whole_change_singular_value"):
        assert np.isnan(later[name]).all(), name
    assert np.isfinite(runs.task_loss.sel(phase=0)).all()
    # One that diverges takes nothing from the other.
    rates = [0.02, 50.0]
    pair = fm.train_tasks("bptt", TEACHERS, updates="expected", **(SMALL | {"learning_rate": rates})).isel(rule=0)
    alone = fm.train_tasks("bptt", TEACHERS, updates="expected", **(SMALL | {"seeds": [3]})).isel(rule=0)
    assert (fm.status_names(pair).sel(seed=1) == "diverged").all()
    np.testing.assert_array_equal(pair.task_loss.sel(seed=3), alone.task_loss.sel(seed=3))


def test_an_r_that_learns_goes_on_and_one_that_was_made_stays():
    rules = {
        "moves": fm.LearningRule("moves", feedback="kolen_pollack", feedback_decay=0.5),
        "made": fm.LearningRule("made", feedback="partly_aligned", cosine=0.7),
        "RFLO": fm.rflo(),
    }
    settings = SMALL | {"updates": "expected", "keep_weights": True, "weight_decay": 0.01}
    runs = fm.train_tasks(list(rules.values()), TEACHERS, **settings)
    for name, rule in rules.items():
        now, later = settings, rule
        for phase, teacher in enumerate(TEACHERS):
            alone = fm.train(later, teacher, **now)
            np.testing.assert_array_equal(runs.loss.sel(rule=name, phase=phase), alone.loss.isel(rule=0))
            feedbacks = [fm.feedback_at(alone, seed=seed) for seed in (3, 1)]
            for seed, r in zip((3, 1), feedbacks, strict=True):
                np.testing.assert_array_equal(fm.feedback_at(runs, rule=name, seed=seed, phase=phase), r)
            students = [fm.network_at(alone, seed=seed) for seed in (3, 1)]
            now = settings | {"students": students, "feedbacks": feedbacks, "hidden": None}
            later = fm.LearningRule("made", feedback="random") if name == "made" else rule
    start, end = (fm.feedback_at(runs, rule="moves", seed=1, phase=p, epoch=e) for p, e in ((0, 0), (2, 30)))
    assert np.abs(end - start).max() > 1e-3
    made = [fm.feedback_at(runs, rule="made", seed=1, phase=p, epoch=e) for p, e in ((0, 0), (2, 30))]
    np.testing.assert_array_equal(*made)
    first = fm.network_at(runs, rule="made", seed=1, phase=0, epoch=0).readout
    assert (made[0] * first).sum() / np.linalg.norm(made[0]) / np.linalg.norm(first) == pytest.approx(0.7)


@pytest.mark.parametrize("leak", [1.0, 0.4])
def test_losses_of_nonlinear_students_are_measured(leak):
    settings = SMALL | {"nonlinearity": "tanh", "leak": leak, "validation_size": 40, "keep_weights": True}
    runs = fm.train_tasks(["bptt", "rflo"], TEACHERS, **settings)
    for phase in range(3):
        own = runs.isel(phase=phase)
        np.testing.assert_allclose(own.task_loss.isel(task=phase), own.validation_loss, rtol=1e-12)
    linear = fm.train_tasks(["bptt", "rflo"], TEACHERS, **(settings | {"nonlinearity": "identity"}))
    assert not np.allclose(linear.task_loss, runs.task_loss, rtol=1e-3)


def test_finite_sets_are_drawn_from_each_teacher():
    runs = fm.train_tasks("bptt", TEACHERS, data=12, validation_size=4, **SMALL)
    assert runs.training_loss.dims == ("rule", "seed", "phase", "epoch")
    assert np.isfinite(runs.task_loss).all()
    inputs, targets = np.ones((6, 5, 3)), np.ones((6, 2))
    with pytest.raises(ValueError, match="data must be a number of sequences"):
        fm.train_tasks("bptt", TEACHERS, data=(inputs, targets), **(SMALL | {"steps": 5}))


def test_rates_labelled_by_rule_go_to_their_rules():
    rates = xr.DataArray([0.02, 0.01], dims="rule")
    given = {"readout": 0.01, "recurrent": rates, "input": 0.02}
    both = fm.train_tasks(["bptt", "rflo"], TEACHERS, updates="expected", **(SMALL | {"learning_rate": given}))
    for rule, rate in (("BPTT", 0.02), ("RFLO", 0.01)):
        own = SMALL | {"learning_rate": given | {"recurrent": rate}}
        one = fm.train_tasks(rule, TEACHERS, updates="expected", **own)
        np.testing.assert_array_equal(both.task_loss.sel(rule=rule), one.task_loss.sel(rule=rule))


def test_infinitely_many_steps():
    teachers = [fm.aligned_teacher(fm.Modes(w, 1.0, 1.0)) for w in ([0.6, 0.3], [0.5, -0.4])]
    runs = fm.train_tasks("bptt", teachers, updates="expected", **(SMALL | {"steps": math.inf, "keep_weights": True}))
    for seed in (3, 1):
        network = fm.network_at(runs, seed=seed)
        for task, teacher in enumerate(teachers):
            got = runs.task_loss.sel(seed=seed, task=task).isel(rule=0, phase=-1, epoch=-1).item()
            assert got == pytest.approx(naive_loss(network, teacher, 400), rel=1e-10)


def test_forgetting_and_transfer_by_hand():
    runs = fm.train_tasks(["bptt", "rflo"], TEACHERS, order=[1, 0], updates="expected", **SMALL)
    memory = task_memory(runs)
    loss = runs.task_loss.isel(rule=1, seed=0)
    got = memory.isel(rule=1, seed=0)
    first, last = loss.isel(phase=0), loss.isel(phase=1)
    zero = first.isel(epoch=0).values
    forgot = (last.isel(epoch=-1)[1] - first.isel(epoch=-1)[1]).item() / zero[1]
    moved = (zero[0] - last.isel(epoch=0)[0].item()) / zero[0]
    np.testing.assert_allclose(got.forgetting, [0.0, forgot, np.nan], rtol=1e-12)
    np.testing.assert_allclose(got.transfer, [moved, 0.0, np.nan], rtol=1e-12)
    assert memory.forgetting.dims == ("rule", "seed", "task")
    with pytest.raises(ValueError, match=r"task_loss.*fastmodes.train_tasks"):
        task_memory(runs.drop_vars("task_loss"))


def test_the_dataset_is_written_and_drawn(tmp_path):
    runs = fm.train_tasks(["bptt", "rflo", "eprop", "tbptt(1)", "tbptt(2)"], TEACHERS, updates="expected", **SMALL)
    assert fm.read_netcdf(fm.write_netcdf(runs, tmp_path / "tasks.nc")).identical(runs)
    for part in (runs, runs.isel(rule=[1], phase=[0])):
        for draw in (task_losses, task_spectra):
            figure = draw(part)
            assert [ax.get_title() for ax in figure.axes if ax.get_title()] == part.rule.values.tolist()
            figure.savefig(tmp_path / "tasks.png")


REFUSED = [
    (dict(teachers=TEACHERS[0]), TypeError, "teachers must be a sequence"),
    (dict(teachers=[]), ValueError, "teachers must hold from 1"),
    (dict(teachers=[TEACHERS[0], 3]), TypeError, r"teachers must be a fastmodes.LinearRNN"),
    (dict(teachers=[TEACHERS[0], fm.rotating_teacher(0.5, 0.3)]), ValueError, r"teachers must have one n_in; got 3"),
    (dict(order=[0, 3]), ValueError, "order must be a whole number from 0 to 2; got 3"),
    (dict(order=[]), ValueError, "order must hold"),
    (dict(order=[0.5]), TypeError, "order must be"),
    (dict(hiden=3), ValueError, r"settings must be one of .*did you mean 'hidden'"),
    (dict(learning_rate=-1.0), ValueError, "learning_rate"),
    (dict(epochs=0), ValueError, "epochs"),
    (dict(rules="bpt"), ValueError, "rule"),
    (dict(keep_weights=3), TypeError, "keep_weights must be True or False"),
    (dict(steps=math.inf, teachers=[TEACHERS[0], fm.random_teacher(3, n_out=2, n_in=3, radius=1.5, seed=0)]),
     ValueError, "spectral radius below 1"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_what_does_not_fit_is_refused_before_computing(changes, error, message):
    given = {"rules": "bptt", "teachers": TEACHERS, "updates": "expected"} | SMALL | changes
    with pytest.raises(error, match=message):
        fm.train_tasks(**given)
