"""Figures of trained networks: drawn from datasets alone, labelled, one colour per rule, no global state touched."""

import sys

import pytest
from fastmodes.analysis.figures import FIGURES, alignment, learning_rates, performance, prediction, rank, trained
from fastmodes.analysis.figures.learning import learning_summary
from fastmodes.analysis.figures.palette import rule_look
from fastmodes.analysis.report.experiments import QUICK, _sweep, without_weights
from fastmodes.analysis.trained.learning_rates import learning_rate_limits
from fastmodes.analysis.trained.prediction import theory_error

import fastmodes as fm
from fastmodes.presets import FAMILY, FIG6, UNALIGNED

SMALL = {"seeds": (0, 1, 2), "epochs": 60, "record_every": 10, "progress": False}


@pytest.fixture(scope="module")
def unaligned():
    data = UNALIGNED.run(**SMALL)
    return data, theory_error(data, [0, 20])


@pytest.fixture(scope="module")
def ranked():
    return without_weights(FIG6.run(**SMALL))


def check(figure, panels):
    """Every panel has a title and labelled axes; the figure can be rendered without a warning."""
    figure.canvas.draw()
    axes = [ax for ax in figure.axes if ax.axison]
    assert len(axes) >= panels
    for ax in axes[:panels]:
        assert ax.get_title() or ax.get_title(loc="left")
    assert all(ax.get_xlabel() for ax in axes[-1:])
    # Another test may have loaded pyplot; no figure of ours is known to it.
    assert "matplotlib.pyplot" not in sys.modules or sys.modules["matplotlib.pyplot"].get_fignums() == []


@pytest.mark.parametrize("rule", ["BPTT", "tBPTT(1)", "RFLO", "e-prop"])
def test_unaligned_students(unaligned, rule):
    figure = prediction.unaligned_students(*unaligned, rule, 20)
    check(figure, 3)
    assert len(figure.axes[1].get_lines()) == (4 if rule in ("RFLO", "e-prop") else 3)


def test_alignment_by_rule(unaligned):
    check(alignment.alignment_by_rule(unaligned[0]), 4)


def test_rank_figures(ranked):
    for figure, panels in ((rank.spectra(ranked), 2), (rank.rank_curves(ranked), 4)):
        check(figure, panels)
        colours = {line.get_label(): line.get_color() for line in figure.axes[0].get_lines()}
        assert all(colours[name] == rule_look(name).color for name in ("BPTT", "RFLO", "e-prop"))
    check(performance.performance_and_rank(ranked), 2)


def test_what_limits_rank():
    check(rank.what_limits_rank(without_weights(FAMILY.run(**SMALL))), 3)


def test_convergence_counts_stand_in_the_bars(unaligned):
    ax = performance.convergence(unaligned[0])
    check(ax.figure, 1)
    assert [text.get_text() for text in ax.texts] == ["3 of 3"] * 4


@pytest.mark.slow
def test_sweeps():
    check(performance.theory_over_choices(_sweep(UNALIGNED, True)(QUICK, {}, False)), 3)
    check(performance.rank_over_choices(_sweep(FIG6, False)(QUICK, {}, False)), 3)


def test_learning_rate_limits():
    check(learning_rates.learning_rate_limits(learning_rate_limits(fm.bptt(), [0.6, 0.8], networks=False)), 2)


def test_registry_reaches_every_trained_figure(monkeypatch):
    """The standard figures 5, 6, 8, 9, 10 by number, from presets cut short."""
    small = {}
    monkeypatch.setattr(
        trained, "_trained", lambda preset: small.setdefault(preset, preset.run(**(SMALL | {"epochs": 700})))
    )
    numbers = {number: function for number, module, function in FIGURES.values() if module == "trained"}
    assert set(numbers) >= {"5", "6", "8", "9", "10"}
    for number, panels in (("5", 3), ("6", 2), ("10", 2)):
        check(getattr(trained, numbers[number])(), panels)


def test_learning_curves_where_every_seed_has_diverged():
    teacher = fm.aligned_teacher(fm.Modes([0.9, 0.7], 1.0, 1.0))
    dataset = fm.train(
        [fm.bptt(), fm.tbptt(1)], teacher, hidden=2, seeds=range(2), epochs=400, learning_rate=0.3, steps=40,
        updates="expected", init_scale=0.4, progress=False,
    )  # fmt: skip
    assert (dataset.status.sel(rule="BPTT") == 2).all()
    figure = learning_summary(dataset)
    check(figure, 1)
