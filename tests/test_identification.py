"""Which rule made the change: exact noise, the right rule from changes without and with noise, odd input."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.figures import identification as figures
from fastmodes.analysis.identification import chains, family, noise, propagators, snapshots
from naive import propagator_matrix

import fastmodes as fm
from fastmodes.cli import run

QUIET = {"progress": False}
#: What TEACHER needs to be remembered fades within ten steps: horizons beyond are no rule of their own.
NEAR = {"horizons": (1, 2, 3), "progress": False}
NAMES = ("readout", "recurrent", "input")


# The noise


def forms(direction, rule, f, network, target, steps, root, sigma, loss):
    """The sampled update along a direction as a symmetric form in white numbers: inputs, then noise of the targets.

    By impulses and pairs of them, of an update that goes through time step by step.
    """
    a, w, b = network
    n_in, n_out = b.shape[1], len(a)
    times = [steps] if loss == "final" else range(1, steps + 1)
    p = propagator_matrix(rule.propagator, rule.decay, w)

    def update(z):
        x = z[: steps * n_in].reshape(steps, n_in) @ root.T
        noises = z[steps * n_in :].reshape(len(times), n_out)
        h = [np.zeros(len(w))]
        for t in range(steps):
            h.append(w @ h[t] + b @ x[t])
        value = 0.0
        for i, t in enumerate(times):
            error = a @ h[t] - sum(target[k] @ x[t - 1 - k] for k in range(t)) + sigma * noises[i]
            value += np.sum(direction[0] * np.outer(error, h[t]))
            credit = f.T @ error
            for j in range(min(rule.horizon or steps, t)):
                value += credit @ direction[1] @ h[t - 1 - j] + credit @ direction[2] @ x[t - 1 - j]
                credit = p.T @ credit
        return value / len(times)

    unit = np.eye(steps * n_in + len(times) * n_out)
    single = np.array([update(e) for e in unit])
    q = np.diag(single)
    for i, j in itertools.combinations(range(len(unit)), 2):
        q[i, j] = q[j, i] = (update(unit[i] + unit[j]) - single[i] - single[j]) / 2
    return q


RULES = (
    family.Hypothesis("BPTT", "readout", "recurrent"),
    family.Hypothesis("tBPTT(2)", "readout", "recurrent", 2),
    family.Hypothesis("RFLO", "random", "scalar", None, 0.7),
    family.Hypothesis("e-prop", "random", "recurrent_diagonal", 3),
    family.Hypothesis("sign_RFLO", "sign", "scalar", None, -0.4),
)


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize(
    ("n", "steps", "sigma", "coloured"), [(1, 4, 0.0, False), (3, 5, 0.6, True), (6, 8, 0.3, True)]
)
def test_noise_along_directions_is_that_of_the_quadratic_forms(rule, loss, n, steps, sigma, coloured, rng):
    n_out, n_in, count, many = 2, 1 + (n == 3), 3, 4
    networks = snapshots.Weights(
        rng.standard_normal((count, n_out, n)), 0.5 * rng.standard_normal((count, n, n)),
        rng.standard_normal((count, n, n_in)),
    )  # fmt: skip
    target = rng.standard_normal((steps, n_out, n_in))
    root = np.linalg.cholesky(np.eye(n_in) + 0.3) if coloured else np.eye(n_in)
    weights = (steps - np.arange(steps)) / steps if loss == "sequence" else np.ones(steps)
    task = chains.Task(target @ root, weights, root if coloured else None, sigma, loss == "sequence", 1.0)
    found = chains.chains_of(networks, task)
    along = snapshots.Weights(*(rng.standard_normal((count, many, *part.shape[1:])) for part in networks))
    given = rng.standard_normal((n_out, n))
    f = {"readout": networks.readout, "sign": np.sign(networks.readout)}.get(rule.feedback, np.stack([given] * count))
    carried = propagators.propagated(rule, networks, f, None, steps)
    directed = noise.directed(networks, found, carried, task, along)
    covariance = noise.covariance(found.errors, directed, task)
    hidden = propagators.hidden_change(rule, networks, f, None, found.credit)
    for s in range(count):
        network, own = [part[s] for part in networks], [[part[s, i] for part in along] for i in range(many)]
        q = np.stack([forms(v, rule, f[s], network, target, steps, root, sigma, loss) for v in own])
        wanted = 2 * np.einsum("iab,jab->ij", q, q)
        np.testing.assert_allclose(covariance[s], wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())
        mean = [
            np.sum(v[0] * found.readout[s]) + np.sum(v[1] * hidden[s, :, :n]) + np.sum(v[2] * hidden[s, :, n:])
            for v in own
        ]
        np.testing.assert_allclose(
            mean, np.trace(q, axis1=1, axis2=2), rtol=0, atol=1e-12 * np.abs(q).max() * len(q[0])
        )


# Without noise


def rule_of(hypothesis, hidden, rng):
    decay = {"scalar": 0.6, "diagonal": tuple(rng.uniform(0.1, 0.9, hidden))}.get(hypothesis.propagator)
    return fm.LearningRule(
        hypothesis.name, feedback=hypothesis.feedback, propagator=hypothesis.propagator, horizon=hypothesis.horizon,
        decay=decay,
    )  # fmt: skip


TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5, -0.4], [1.0, 0.8, 1.2], 1.0), basis="random", seed=5)
STUDY = {"steps": 12, "learning_rate": 0.01, "init_scale": 0.3, "keep_weights": True, "progress": False}
FAMILY = family.family(12, (1, 2, 3))


@pytest.mark.parametrize("hypothesis", FAMILY, ids=lambda rule: rule.name)
def test_expected_changes_name_the_rule_and_give_back_its_numbers(hypothesis, rng):
    rule = rule_of(hypothesis, 6, rng)
    runs = fm.train(rule, TEACHER, hidden=6, seeds=3, updates="expected", epochs=200, record_every=5, **STUDY)
    found = fm.analysis.identify(runs, **NEAR)
    assert fm.status_names(found, "likeliest").values.tolist() == [[hypothesis.name] * 3]
    own = found.isel(rule=0).sel(hypothesis=hypothesis.name)
    # What is left is the path's: cubic between snapshots, an error of fourth order. Entries of the readout may stay
    # about zero, where their signs change with every update: no path between snapshots knows how often.
    signs = hypothesis.feedback == "sign"
    np.testing.assert_allclose(own["learning_rate_estimate"], 0.01, rtol=1e-2 if signs else 2e-3)
    assert (own["explained_share"] > (0.5 if signs else 0.9997)).all()
    if hypothesis.propagator == "scalar":
        np.testing.assert_allclose(own["decay_estimate"], 0.6, atol=0.02)
    if hypothesis.feedback == "random":
        wanted = runs["feedback_weights"].isel(rule=0, missing_dims="ignore").transpose("seed", "output", "unit").values
        np.testing.assert_allclose(own["feedback_estimate"], wanted, atol=0.05)
        assert own["share_in_rows"].notnull().all()
    else:
        assert found["feedback_estimate"].isnull().all()


# Sampled changes

PAPER = {"BPTT": fm.bptt(), "tBPTT(1)": fm.tbptt(1), "RFLO": fm.rflo(0.6), "e-prop": fm.eprop()}
OTHERS = {
    "SnAp-1": fm.snap1(),
    "sign_BPTT": fm.LearningRule("signs", feedback="sign", propagator="recurrent"),
    "feedback_alignment": fm.LearningRule("through R", feedback="random", propagator="recurrent"),
}
SAMPLED = STUDY | {"batch_size": 32, "epochs": 800, "record_every": 20}


@pytest.fixture(scope="module")
def runs():
    return fm.train(list((PAPER | OTHERS).values()), TEACHER, hidden=8, seeds=3, **SAMPLED)


@pytest.fixture(scope="module")
def found(runs):
    return fm.analysis.identify(runs, **NEAR)


def test_sampled_changes_name_the_rule(found):
    names = fm.status_names(found, "likeliest").values
    for i, name in enumerate(PAPER | OTHERS):
        assert names[i].tolist() == [name] * 3
        own = found.isel(rule=i).sel(hypothesis=name)
        # Five standard deviations: none of 21 estimates is farther off by chance.
        assert (abs(own["learning_rate_estimate"] - 0.01) < 5 * own["learning_rate_error"] + 1e-4).all()
        # Signs of entries that stay about zero change within intervals, which no path knows.
        assert name == "sign_BPTT" or (abs(own["squares_left"] - 1) < 0.8).all()
    assert (found["verdict"] == 1).all()
    np.testing.assert_allclose(found["posterior"].sum("hypothesis"), 1.0)


def networks_in(runs, rule, seed):
    one = runs.isel(rule=rule, seed=seed)
    return [fm.network_at(runs, rule=runs.rule.values[rule], seed=seed, epoch=epoch) for epoch in one["epoch"].values]


def test_snapshots_say_what_the_dataset_says(runs, found):
    for rule in (0, 2, 3):
        given = fm.analysis.identify(
            networks_in(runs, rule, 1), TEACHER, 12, epochs=runs["epoch"].values, batch_size=32, **NEAR
        )
        one = found.isel(rule=rule, seed=1)
        for name in ("posterior", "log_evidence", "learning_rate_estimate", "feedback_estimate"):
            np.testing.assert_allclose(given[name], one[name], rtol=1e-9, atol=1e-9, err_msg=name)


def test_the_order_of_dimensions_is_no_matter(runs, found):
    turned = runs.transpose("unit_from", "unit_to", "unit", "epoch", "seed", ...)
    assert found.drop_attrs().equals(fm.analysis.identify(turned, **NEAR).drop_attrs())


def test_threads_do_not_matter(runs, found):
    assert found.drop_attrs().equals(fm.analysis.identify(runs, threads=1, **NEAR).drop_attrs())


VARIANTS = {
    "leak": {"leak": 0.6},
    "frozen": {"learning_rate": {"readout": 0.0, "recurrent": 0.01, "input": 0.005}},
    "sequence": {"loss": "sequence"},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_other_trainings_are_read_by_their_settings(name):
    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(0.6)]
    settings = SAMPLED | {"epochs": 400, "record_every": 10} | VARIANTS[name]
    seen = fm.analysis.identify(fm.train(rules, TEACHER, hidden=6, seeds=3, **settings), **NEAR)
    assert [row.tolist() for row in fm.status_names(seen, "likeliest").values] == [
        [r] * 3 for r in ("BPTT", "tBPTT(1)", "RFLO")
    ]


def test_infinitely_many_steps():
    settings = STUDY | {"steps": math.inf, "learning_rate": 0.005}
    runs = fm.train(["bptt", "rflo(0.6)", "eprop"], TEACHER, hidden=6, seeds=3, updates="expected", epochs=200,
                    record_every=10, **settings)  # fmt: skip
    seen = fm.analysis.identify(runs, rules=["BPTT", "tBPTT(1)", "RFLO", "e-prop"], **QUIET)
    assert [row.tolist() for row in fm.status_names(seen, "likeliest").values] == [
        [r] * 3 for r in ("BPTT", "RFLO", "e-prop")
    ]


@pytest.mark.parametrize("options", [{"units": [0, 2, 3, 5, 6, 7]}, {"observed": "flow_field"}], ids=["units", "flow"])
def test_a_part_is_seen(runs, options):
    four = runs.isel(rule=slice(0, 4))
    seen = fm.analysis.identify(four, **options, **NEAR)
    right = fm.status_names(seen, "likeliest").values == np.array(list(PAPER))[:, None]
    assert right.sum() >= 11
    if "units" in options:
        rflo = seen["feedback_estimate"].isel(rule=2).values
        assert (rflo[..., [1, 4]] == 0).all()
        assert np.abs(rflo[..., [0, 2, 3, 5, 6, 7]]).min() > 0


def test_noise_of_observation_is_taken_into_account(runs, rng):
    four, sigma = runs.isel(rule=slice(0, 4)).copy(deep=True), 2e-3
    for name in NAMES:
        four[f"{name}_weights"] = four[f"{name}_weights"] + sigma * rng.standard_normal(four[f"{name}_weights"].shape)
    told = fm.analysis.identify(four, observation_noise=sigma, **NEAR)
    right = fm.status_names(told, "likeliest").values == np.array(list(PAPER))[:, None]
    assert right.sum() >= 10
    assert float(told["squares_left"].max("hypothesis").median()) < 3
    silent = fm.analysis.identify(four, **QUIET)
    assert float(silent["squares_left"].min("hypothesis").median()) > float(
        told["squares_left"].min("hypothesis").median()
    )


def test_tanh_networks_are_none_of_the_family():
    settings = SAMPLED | {"nonlinearity": "tanh", "init_scale": 0.6}
    bent = fm.train(list(PAPER.values()), TEACHER, hidden=8, seeds=3, **settings)
    assert set(fm.status_names(fm.analysis.identify(bent, **QUIET), "verdict").values.ravel()) == {"none_of_the_family"}


# Odd input


def test_runs_that_ended_early(runs):
    odd = runs.isel(rule=slice(0, 3)).copy(deep=True)
    odd["recurrent_weights"].loc[{"seed": 0}] = np.nan
    odd["input_weights"][dict(seed=1, epoch=slice(2, None))] = np.inf
    odd["readout_weights"][dict(seed=2, epoch=slice(30, None))] = np.nan
    seen = fm.analysis.identify(odd, **NEAR)
    verdicts = fm.status_names(seen, "verdict").values
    assert set(verdicts[:, :2].ravel()) == {"too_few_snapshots"}
    assert fm.status_names(seen, "likeliest").values[:, 2].tolist() == list(PAPER)[:3]
    assert np.isnan(seen["posterior"].values[:, :2]).all()
    assert np.isfinite(seen["posterior"].values[:, 2]).all()


def test_too_few_and_constant_weights(runs):
    for odd in (
        runs.isel(epoch=[0]),
        runs.isel(epoch=slice(0, 3)),
        runs.isel(epoch=[0] * 6).assign_coords(epoch=range(6)),
    ):
        assert set(fm.status_names(fm.analysis.identify(odd, **QUIET), "verdict").values.ravel()) == {
            "too_few_snapshots"
        }


def test_many_rules_and_horizons(runs):
    one = runs.isel(rule=[1], seed=[0])
    seen = fm.analysis.identify(one, horizons=range(1, 12), **QUIET)
    assert seen.sizes["hypothesis"] == len(FAMILY) - 3 + 11
    assert fm.status_names(seen, "likeliest").item() == "tBPTT(1)"
    alone = fm.analysis.identify(one, rules="RFLO", **QUIET)
    assert alone["posterior"].values.ravel().tolist() == [1.0]


def stored(**settings):
    """A dataset that says it was trained with these settings."""

    def made(runs):
        configuration = json.loads(runs.attrs["configuration"]) | settings
        return runs.assign_attrs(configuration=json.dumps(configuration))

    return made


REFUSED = {
    "adam": (stored(optimizer="adam"), {}, "optimizer='sgd'.*'adam'"),
    "momentum": (stored(momentum=0.9), {}, "momentum=0.0.*0.9"),
    "weight decay": (stored(weight_decay={"readout": 0.1}), {}, "weight_decay=.*0.1"),
    "mask": (stored(mask=[[1, 0], [0, 1]]), {}, "mask=None"),
    "schedule": (stored(schedule="cosine"), {}, "schedule='constant'.*'cosine'"),
    "data": (stored(data=20), {}, "data=None.*20"),
    "clipping": (stored(clip_norm=1.0), {}, "clip_norm=None.*1.0"),
    "no weights": (lambda runs: runs.drop_vars("readout_weights"), {}, "readout_weights.*keep_weights"),
    "falling epochs": (lambda runs: runs.isel(epoch=slice(None, None, -1)), {}, "rising epochs"),
    "unknown rule": (lambda runs: runs, {"rules": ["bptt"]}, r"rules\[0\].*'bptt'"),
    "no rule": (lambda runs: runs, {"rules": []}, "rules must name at least one"),
    "no horizon": (lambda runs: runs, {"horizons": [0]}, r"horizons\[0\].*>= 1|horizons\[0\].*0"),
    "twice one unit": (lambda runs: runs, {"units": [1, 1]}, "units.*once.*1, 1"),
    "no such unit": (lambda runs: runs, {"units": [8]}, r"units\[0\].*8"),
    "observed": (lambda runs: runs, {"observed": "rates"}, "observed.*'rates'"),
    "noise": (lambda runs: runs, {"observation_noise": -1.0}, "observation_noise.*-1"),
    "threads": (lambda runs: runs, {"threads": 0}, "threads.*0"),
    "networks alone": (lambda runs: networks_in(runs, 0, 0), {}, "teacher must be"),
    "no batch": (
        lambda runs: networks_in(runs, 0, 0), {"teacher": TEACHER, "steps": 12, "epochs": range(41)}, "batch_size must",
    ),
    "no epochs": (
        lambda runs: networks_in(runs, 0, 0), {"teacher": TEACHER, "steps": 12, "batch_size": 8}, "epochs must be",
    ),
    "same epochs": (
        lambda runs: networks_in(runs, 0, 0)[:2],
        {"teacher": TEACHER, "steps": 12, "batch_size": 8, "epochs": [3, 3]}, "epochs.*rising.*3, 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_what_they_refuse(name, runs):
    change, options, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=message):
        fm.analysis.identify(change(runs), **options, **QUIET)


# Before anything is measured


def test_expected_log_odds_are_those_of_trainings():
    rules, student = [fm.bptt(), fm.tbptt(2), fm.tbptt(1)], fm.random_student(6, TEACHER, scale=0.3, seed=2)
    settings = {"learning_rate": 0.002, "batch_size": 2}
    ahead = fm.analysis.identifiability(rules, student, TEACHER, 8, snapshots=10, every=10, **settings)
    trained = fm.train(rules, TEACHER, students=student, steps=8, seeds=48, epochs=100, record_every=10,
                       keep_weights=True, **settings, **QUIET)  # fmt: skip
    names = [rule.name for rule in rules]
    for i, j in itertools.permutations(range(3), 2):
        seen = fm.analysis.identify(trained.isel(rule=[i]), rules=[names[i], names[j]], horizons=[1, 2], **QUIET)
        evidence = seen["log_evidence"].isel(rule=0)
        odds = (evidence.sel(hypothesis=names[i]) - evidence.sel(hypothesis=names[j])).values
        expected = ahead["expected_log_odds"].values[i, j, -1]
        # Four standard errors of 48 trainings, and what heavy tails take of the log odds.
        assert abs(odds.mean() - expected) < 4 * odds.std() / np.sqrt(len(odds)) + 0.35 * expected, (names[i], names[j])


def test_more_is_told_apart_by_more_snapshots_and_larger_batches():
    student = fm.random_student(6, TEACHER, scale=0.3, seed=2)
    rules = ["bptt", "tbptt(2)", "rflo(0.5)"]
    wrong = xr.concat(
        [
            fm.analysis.identifiability(rules, student, TEACHER, 8, learning_rate=0.002, every=4, batch_size=batch)
            for batch in (1, 4, 32)
        ],
        "batch_size",
    )["misnamed_probability"]
    off = wrong.where(wrong.notnull(), 0.0)
    assert (off.diff("batch_size") <= 1e-12).all()
    assert (off.diff("snapshot") <= 1e-12).all()
    assert float(wrong.max()) <= 0.5
    assert float(wrong.isel(snapshot=-1, batch_size=-1).max()) < 0.01


def test_identifiability_refuses_what_it_cannot_do():
    student = fm.random_student(4, TEACHER, scale=0.3, seed=2)
    for rules, options, message in (
        ("bptt", {}, "at least two"),
        (["bptt", "tbptt(1)"], {"snapshots": 2}, "snapshots.*2"),
        (["bptt", "tbptt(1)"], {"learning_rate": 50.0}, "learning_rate.*converge.*50"),
        (["bptt", fm.LearningRule("k", feedback="kolen_pollack", feedback_decay=0.1)], {}, "rules.*told apart"),
        (["bptt", "tbptt(1)"], {"observed": "spikes"}, "observed.*'spikes'"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            fm.analysis.identifiability(rules, student, TEACHER, 8, **{"learning_rate": 0.01} | options)


# On the command line, in figures, and at large


def test_the_command_prints_a_line_a_run_and_writes_all(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fm.write_netcdf(runs.isel(rule=[1, 2], seed=[0, 2]), "runs.nc")
    assert run(["identify", "runs.nc", "--among", "tBPTT(1)", "--among", "RFLO", "-o", "found.nc", "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:5] for line in lines[1:]] == [
        [rule, seed, name, "1.0000", "named"]
        for rule, name in (("tBPTT(1)", "tBPTT(1)"), ("RFLO(0.6)", "RFLO"))
        for seed in "02"
    ]
    assert fm.read_netcdf("found.nc").sizes["hypothesis"] == 2
    fm.write_netcdf(runs.drop_vars("input_weights"), "bare.nc")
    for arguments, code in ((["bare.nc"], 2), (["none.nc"], 3), (["runs.nc", "--among", "bptt"], 2)):
        assert run(["identify", *arguments, "-q"]) == code
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_figures_say_what_was_found(found, runs):
    ax = figures.confusion(found)
    assert [text.get_text() for text in ax.texts] == ["1"] * 7
    short = fm.analysis.identify(runs.isel(rule=[0], epoch=[0, 1]), **QUIET)
    assert "3 too short to tell" in figures.confusion(short).get_title()
    with pytest.raises(ValueError, match="likeliest"):
        figures.confusion(runs)
    with pytest.raises(ValueError, match="misnamed_probability"):
        figures.misnamed(runs)


@pytest.mark.slow
def test_the_right_one_of_four_rules_is_named_on_tasks_never_seen(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(fm.__file__).resolve().parent.parent))
    from benchmarks.identification_study import study, summary

    numbers = summary(study(25, 10, first=3000))
    assert numbers["among_four_right"] >= 0.97 * numbers["runs"]
    assert numbers["among_four_named_right"] == numbers["among_four_named"]
    assert numbers["named_right"] >= 0.9 * numbers["named"]
    assert numbers["others_right"] >= 0.8 * numbers["others"]
