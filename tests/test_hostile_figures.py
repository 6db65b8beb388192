"""Every figure from every hostile dataset: drawn without an exception or a warning, and true about lost runs."""

import dataclasses
import io
import itertools

import matplotlib
import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.figures import (
    alignment,
    eigenvalues,
    fixed_points,
    learning,
    learning_rates,
    maps,
    matrix_flow,
    performance,
    prediction,
    quality,
    rank,
    sweeps,
    trajectories,
)
from fastmodes.analysis.figures.bands import draw_band
from fastmodes.analysis.figures.style import new_figure, plain
from hostile_datasets import (
    CASES,
    FOUR,
    ODD_NAMES,
    Case,
    errors,
    limits,
    manifold,
    mode_flow,
    network_flow,
    optimizers,
    training,
    variations,
)
from hostile_datasets import sweeps as opened_sweeps

import fastmodes as fm


def on_axes(draw):
    """A figure of one panel from a function that wants its axes."""

    def make(case):
        _, ax = new_figure()
        draw(case, ax)
        return ax

    return make


FIGURES = {
    "learning summary": lambda case: learning.learning_summary(training(case)),
    "learning curves": lambda case: learning.learning_curves(training(case), variable="validation_loss"),
    "alignment by rule": lambda case: alignment.alignment_by_rule(training(case)),
    "unaligned students": lambda case: prediction.unaligned_students(
        training(case), errors(case), case.names[-1], case.epochs[max(len(case.epochs) // 2 - 1, 0)]
    ),
    "spectra": lambda case: rank.spectra(training(case)),
    "rank curves": lambda case: rank.rank_curves(training(case)),
    "what limits rank": lambda case: rank.what_limits_rank(training(case)),
    "proposition": lambda case: rank.proposition(optimizers(case)),
    "performance": lambda case: performance.performance_and_rank(training(case)),
    "convergence": lambda case: performance.convergence(training(case)),
    "theory over choices": lambda case: performance.theory_over_choices(variations(case)),
    "rank over choices": lambda case: performance.rank_over_choices(variations(case)),
    "learning rates": lambda case: learning_rates.learning_rate_limits(limits(case)),
    "quality": lambda case: quality.quality_summary(training(case), variable="alignment_readout"),
    "network flow": lambda case: matrix_flow.alignment_along_flow(network_flow(case)),
    "paths": on_axes(lambda case, ax: trajectories.paths(mode_flow(case), ax)),
    "losses of a flow": on_axes(lambda case, ax: trajectories.losses(mode_flow(case), ax)),
    "eigenvalues": on_axes(lambda case, ax: eigenvalues.real_parts(manifold(case), ax)),
    **{
        f"sweep, {name}": lambda case, name=name: sweeps.sweep_figure(opened_sweeps(case)[name])
        for name in ("one axis", "zipped", "flags", "missing")
    },
}
#: Pairs drawn in the ordinary suite: every figure, and cases that once failed; the slow test draws all.
OFTEN = [
    ("learning curves", "odd names"),
    ("learning curves", "twenty rules"),
    ("learning summary", "one seed, diverged"),
    ("alignment by rule", "one epoch, all diverged"),
    ("unaligned students", "one epoch"),
    ("spectra", "all diverged"),
    ("rank curves", "one epoch, all diverged"),
    ("what limits rank", "all diverged"),
    ("quality", "all diverged"),
    ("quality", "twenty rules"),
    ("quality", "one epoch"),
    ("quality", "one seed, diverged"),
    ("performance", "all diverged"),
    ("rank over choices", "all diverged"),
]
OFTEN += [(name, "two odd names") for name in FIGURES if name not in dict(OFTEN)]


def rendered(made):
    """Draw for real: a canvas without a backend draws nothing."""
    figure = made.figure
    figure.savefig(io.BytesIO(), format="png", dpi=30)
    return figure


@pytest.mark.parametrize(("figure", "case"), OFTEN)
def test_drawn_from_hostile_datasets(figure, case):
    before = dict(matplotlib.rcParams)
    rendered(FIGURES[figure](CASES[case]))
    assert dict(matplotlib.rcParams) == before


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_from_every_hostile_dataset(figure, case):
    rendered(FIGURES[figure](CASES[case]))


def strips(ax):
    return [child for child in ax.child_axes if child.get_gid() == "runs left"]


def notes(ax):
    return [text.get_text() for text in ax.texts if text.get_gid() == "note"]


def labels(ax):
    return ax.get_legend_handles_labels()[1]


def test_legend_counts_and_crosses_mark_the_runs_that_diverged():
    case = CASES["some diverged"]
    ax = learning.learning_curves(training(case))
    assert labels(ax) == [
        "BPTT", "tBPTT(1) (median of 6 of 8; 2 diverged)", "RFLO (median of 3 of 8; 5 diverged)",
        "e-prop (all 8 diverged)",
    ]  # fmt: skip
    assert notes(ax) == ["e-prop (all 8 diverged)"]
    marks = sum(len(points.get_offsets()) for points in ax.collections if hasattr(points, "get_sizes"))
    assert marks >= 2 + 5 + 8


def test_the_strip_counts_the_runs_that_are_left_at_every_epoch():
    case = CASES["some diverged"]
    (strip,) = strips(learning.learning_curves(training(case)))
    counted = [np.round(line.get_ydata()) for line in strip.get_lines()]
    np.testing.assert_array_equal(counted, case.alive().sum(axis=1)[1:])
    assert not strips(learning.learning_curves(training(CASES["ordinary"])))


@pytest.mark.parametrize("name", ["some diverged", "all diverged", "one seed, diverged", "30,000 epochs"])
def test_axes_reach_as_far_as_survivors_and_initial_values_and_little_further(name):
    case = dataclasses.replace(CASES[name], explosion=1e253)
    data = training(case)
    ax = learning.learning_curves(data)
    kept = data["loss"].where(data["status"] != 2)
    largest = max(float(kept.max().fillna(0)), float(data["loss"].isel(epoch=0).max()))
    assert ax.get_ylim()[1] < 30 * largest
    figure = learning.learning_summary(data)
    for panel in figure.subfigs[1].axes:
        assert abs(np.array(panel.get_ylim())).max() < 5


def test_a_panel_without_survivors_says_so():
    figure = learning.learning_summary(training(CASES["all diverged"]))
    for panel in figure.subfigs[1].axes:
        assert notes(panel) == ["all 8 runs diverged"]


def test_panels_say_why_a_teacher_without_modes_has_none():
    """W* of a delay line is nilpotent: it has no basis of eigenvectors, in any basis of the hidden units."""
    reason = "the teacher's W* has no basis of eigenvectors"
    chain = fm.delay_line_teacher(3)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    turned = fm.LinearRNN(chain.readout @ turn, turn.T @ chain.recurrent @ turn, turn.T @ chain.input)
    for teacher in (chain, turned):
        data = fm.train(
            [fm.bptt(), fm.rflo()], teacher, hidden=4, seeds=2, epochs=4, learning_rate=0.01, steps=6,
            updates="expected", progress=False,
        )  # fmt: skip
        flowed = fm.matrix_flow(fm.rflo(), teacher, hidden=4, seeds=2, times=[0.0, 1.0], progress=False)
        for dataset in (data, flowed, fm.estimate_modes(fm.random_student(4, teacher, scale=1.0, seed=0), teacher)):
            for name in ("mode_readout", "mode_input", "mode_feedback", "teacher_readout", "teacher_input"):
                assert dataset[name].isnull().all()
                assert dataset[name].attrs["comment"] == reason
            assert dataset["mode_recurrent"].notnull().all()
        figure = alignment.alignment_by_rule(data)
        assert [notes(ax) for ax in figure.axes[:4]] == [[], *[[f"no values: {reason}"]] * 3]
        rendered(learning.learning_summary(data))
        with pytest.raises(ValueError, match=r"dataset must have a teacher that has modes, .*; the teacher's W"):
            fm.analysis.predict_from_epoch(data, 0)


def test_estimates_that_mean_nothing_say_why():
    teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
    data = fm.train(
        [fm.bptt(), fm.rflo()], teacher, hidden=1, seeds=2, epochs=4, learning_rate=0.01, steps=6, init_scale=0.0,
        updates="expected", progress=False,
    )  # fmt: skip
    reasons = {
        "alignment_feedback": "no R is read", "alignment_readout": "a matrix of zeros has no direction",
        "mode_readout": "there are fewer units or channels than modes",
    }  # fmt: skip
    assert {name: data[name].attrs["comment"] for name in reasons} == reasons
    ordinary = fm.train(fm.rflo(), teacher, hidden=3, seeds=2, epochs=4, learning_rate=0.01, steps=6, progress=False)
    assert not [name for name in ordinary.variables if "comment" in ordinary[name].attrs]


def test_medians_of_lost_runs_are_hollow_and_counted_in_the_choices():
    figure = performance.rank_over_choices(variations(CASES["some diverged"]))
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"6 of 8", "3 of 8", "none of 8"} <= texts


def test_a_point_without_neighbours_is_seen():
    _, ax = new_figure()
    draw_band(ax, [0.0], xr.DataArray([[1.0], [2.0]], dims=("seed", "epoch")))
    assert ax.get_lines()[0].get_marker() == "o"


def test_rules_beyond_the_fourth_are_drawn_in_choices():
    case = CASES["twenty rules"]
    figure = performance.rank_over_choices(variations(case))
    assert len(labels(figure.axes[0])) == 20
    assert len(labels(learning_rates.learning_rate_limits(limits(case)).axes[0])) == 20


@pytest.mark.parametrize("text", [*ODD_NAMES, "", "x" * 500])
def test_text_of_users_is_shown_letter_by_letter(text):
    from matplotlib import cbook

    shown = plain(text)
    assert "\n" not in shown
    assert len(shown) <= 34 + 2 + shown.count("$")
    assert not cbook.is_math_text(shown)
    figure, ax = new_figure(figsize=(2, 2))
    ax.plot([0, 1], label=shown)
    ax.set_title(shown)
    figure.suptitle(shown)
    assert labels(ax) == [shown]
    rendered(figure)


@pytest.mark.parametrize("draw", [learning.learning_summary, learning.learning_curves, performance.convergence])
def test_figures_and_axes_show_in_notebooks_without_pyplot(draw):
    """A notebook calls ``_repr_png_`` of what a cell returns."""
    made = draw(training(Case(rules=FOUR[:1], epochs=(0, 1))))
    assert made._repr_png_().startswith(b"\x89PNG")
    assert made.figure._repr_png_().startswith(b"\x89PNG")


def test_axes_of_a_user_are_used_and_left_to_them():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert learning.learning_curves(training(CASES["ordinary"]), ax) is ax
    rendered(ax)


def test_numbers_of_epochs_do_not_run_into_each_other():
    figure = rendered(learning.learning_summary(training(CASES["30,000 epochs"])))
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else None
    for ax in [*figure.subfigs[0].axes, *figure.subfigs[1].axes[2:]]:
        ticks = [
            t
            for t in ax.get_xticklabels()
            if t.get_text() and ax.get_xlim()[0] <= t.get_position()[0] <= ax.get_xlim()[1]
        ]
        boxes = [t.get_window_extent(renderer) for t in ticks]
        assert len(boxes) >= 2
        assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


def test_a_zipped_dimension_is_labelled_by_all_that_varies_along_it():
    figure = sweeps.sweep_figure(opened_sweeps(Case())["zipped"])
    rendered(figure)
    panel = figure.axes[-2]
    across, down = ([t.get_text() for t in axis.get_ticklabels()] for axis in (panel.xaxis, panel.yaxis))
    assert [r"0.1, \$a", "0.5, b_"] in (across, down)
    assert any("init scale, word" in label for ax in figure.axes for label in (ax.get_xlabel(), ax.get_ylabel()))


def test_a_flow_that_had_just_not_arrived_counts_as_learned():
    meanings = ("reached_end", "optimal", "non_optimal", "left_domain", "step_limit")
    from fastmodes.files.schema import flag_attributes

    dataset = xr.Dataset(
        {
            "loss": (("a", "b", "time"), [[[1.0, 1e-9], [1.0, 1e-9]], [[1.0, 0.9], [1.0, 2.0]]]),
            "status": (("a", "b"), np.array([[0, 1], [0, 3]], np.int8), flag_attributes(meanings)),
        },
        coords={"a": [1.0, 2.0], "b": [1.0, 2.0]},
    )
    figure = sweeps.sweep_figure(dataset)
    (mesh,) = (m for m in figure.axes[0].collections if m.get_array() is not None)
    np.testing.assert_array_equal(np.asarray(mesh.get_array()).reshape(2, 2), [[1, 1], [0, 3]])


def test_flag_maps_and_manifolds_take_any_rule_name():
    _, ax = new_figure()
    flags = xr.DataArray(np.zeros((3, 3), int), dims=("y", "x"), attrs={"flag_meanings": "one two"})
    maps.flag_map(flags.assign_coords(x=range(3), y=range(3)), ax)
    rule = dataclasses.replace(fm.rflo(), name=ODD_NAMES[0])
    points = fm.analysis.fixed_points(rule, 0.6, 1.0, np.array([-1.0, -0.5, 0.5, 1.0]))
    _, ax = new_figure(subplot_kw={"projection": "3d"})
    rendered(fixed_points.manifolds(points, rule.name, ax))
