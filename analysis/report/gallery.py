"""The pictures of the report: what each shows, in words for those who cannot see it, and how it is drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..figures import FIGURES, standard_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .experiments import Datasets

    Draw = Callable[[Datasets], Figure]


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes
    ----------
    name : str
        Of its file.
    title : str
    alt : str
        What is to be seen, for readers who cannot see it.
    claim : str
        The claim it belongs to.
    draw : callable (datasets) -> Figure
    """

    name: str
    title: str
    alt: str
    claim: str
    draw: Draw


def _standard(name: str) -> Draw:
    return lambda datasets: standard_figure(name)()


def _of_modes(claim: str, name: str, title: str, alt: str) -> Picture:
    number = FIGURES[name][0]
    file = f"figure-{number}-{name}" if number else name
    return Picture(file, f"Figure {number}: {title}" if number else title, alt, claim, _standard(name))


def _unaligned(rule: str, start: int) -> Draw:
    def draw(datasets: Datasets) -> Figure:
        from ..figures.prediction import unaligned_students

        last = int(datasets["unaligned"]["epoch"].values[-2])
        return unaligned_students(datasets["unaligned"], datasets["prediction"], rule, min(start, last))

    return draw


def _drawn(module: str, function: str, *names: str) -> Draw:
    """A figure function of a module, applied to the named datasets."""

    def draw(datasets: Datasets) -> Figure:
        import importlib

        made = getattr(importlib.import_module(f"..figures.{module}", __package__), function)(
            *(datasets[n] for n in names)
        )
        figure: Figure = getattr(made, "figure", None) or made
        return figure

    return draw


def _noise_over_training(datasets: Datasets) -> Figure:
    from ..figures.quality import quality_over_training
    from ..figures.style import new_figure

    figure, ax = new_figure(figsize=(6, 4))
    quality_over_training(datasets["noise"], ax, variable="critical_batch_size").set_yscale("log")
    return figure


_UNALIGNED_ALT = (
    "Three panels. A: theory error of four modes against the epoch the theory starts from, falling by orders of "
    "magnitude, "
    "lowest for the two largest modes. B: alignments over training, rising to almost 1 except the feedback's. C: the "
    "recurrent entries of one run and, dashed, the theory from one epoch on."
)

PICTURES = (
    _of_modes(
        "C1",
        "fixed-points",
        "fixed points",
        "Manifolds of fixed points in (a, b, w) for every rule: two hyperbola branches for all, the line a = b = "
        "0 for BPTT and tBPTT alone.",
    ),
    _of_modes(
        "C2",
        "vector-fields",
        "vector fields",
        "Arrows of the flow in the plane of a and b: alike for BPTT and tBPTT, different for RFLO.",
    ),
    _of_modes(
        "C3",
        "eigenvalues",
        "eigenvalues along the manifold",
        "Real and imaginary parts of the two eigenvalues against the position s on the optimal manifold, by rule.",
    ),
    _of_modes(
        "C4",
        "trajectories",
        "a detour",
        "Paths from one start: BPTT and tBPTT go to the near branch, RFLO makes a long way to the opposite one.",
    ),
    _of_modes(
        "C8",
        "feedback-strength",
        "more feedback, more decay",
        "RFLO's eigenvalues along the manifold for several r and w_hat: real parts move away from zero.",
    ),
    Picture("figure-5-rflo", "Figure 5: RFLO, unaligned student", _UNALIGNED_ALT, "C5", _unaligned("RFLO", 200)),
    Picture("figure-8-bptt", "Figure 8: BPTT, unaligned student", _UNALIGNED_ALT, "C5", _unaligned("BPTT", 500)),
    Picture(
        "figure-9-tbptt", "Figure 9: tBPTT(1), unaligned student", _UNALIGNED_ALT, "C5", _unaligned("tBPTT(1)", 600)
    ),
    Picture("unaligned-e-prop", "e-prop, unaligned student", _UNALIGNED_ALT, "C5", _unaligned("e-prop", 300)),
    Picture(
        "alignment-by-rule",
        "Alignment by rule",
        "Four panels, one for each alignment, with a curve for each rule: recurrent, readout and input rise "
        "towards 1 under every rule, feedback stays below 0.9.",
        "C5",
        _drawn("alignment", "alignment_by_rule", "unaligned"),
    ),
    Picture(
        "theory-over-choices",
        "Does C5 depend on our choices?",
        "Theory error of the two largest modes, started at once and after the transient, and final loss, for "
        "variations of w_hat, initial scale, rate and R's scale.",
        "C5",
        _drawn("performance", "theory_over_choices", "unaligned_sweep"),
    ),
    Picture(
        "figure-6-spectra",
        "Figure 6: spectra of what is learned",
        "Sorted eigenvalues and singular values of the change of W over the largest, logarithmic: RFLO drops to "
        "nothing after the first, tBPTT and e-prop fall fast, BPTT slowly.",
        "C6",
        _drawn("rank", "spectra", "rank"),
    ),
    Picture(
        "rank-over-training",
        "Rank over training",
        "Participation ratio and effective rank of the changes of W and B against epoch: BPTT highest, RFLO exactly 1.",
        "C6",
        _drawn("rank", "rank_curves", "rank"),
    ),
    Picture(
        "what-limits-rank",
        "What in a rule limits the rank?",
        "Rank against epoch for four propagators under readout feedback and under random feedback, and loss "
        "against rank: the propagator separates the curves, the feedback hardly.",
        "C6",
        _drawn("rank", "what_limits_rank", "family"),
    ),
    Picture(
        "proposition",
        "Proposition 3.1 and Adam",
        "Singular values of RFLO's change of W with two outputs: under SGD, clipped or not, all but two are "
        "rounding; under Adam none vanishes.",
        "C6",
        _drawn("rank", "proposition", "proposition"),
    ),
    Picture(
        "figure-10-performance",
        "Figure 10: performance and rank",
        "Learning curves by rule, and final loss against participation ratio, one point per run: the runs of BPTT "
        "lie at high rank and low loss.",
        "C6",
        _drawn("performance", "performance_and_rank", "rank"),
    ),
    Picture(
        "rank-over-choices",
        "Does C6 depend on our choices?",
        "Participation ratio, final loss and diverged runs by rule for variations of w_hat, initial scale, rate "
        "and R's scale.",
        "C6",
        _drawn("performance", "rank_over_choices", "rank_sweep"),
    ),
    _of_modes(
        "C6",
        "shared-directions",
        "Directions that seeds share",
        "Overlaps of the changes of W of every pair of seeds, by rule: with one R for all seeds RFLO's are 1 and "
        "e-prop's near 1 among receiving units; the others lie where those of random subspaces do.",
    ),
    _of_modes(
        "C6",
        "gradient-quality",
        "Updates beside the exact gradient",
        "Cosine between each rule's expected update and the exact gradient, against epoch and against loss: 1 for "
        "BPTT, near 1 at first for tBPTT, falling for all others as the loss falls.",
    ),
    Picture(
        "convergence",
        "Runs that converge",
        "Bars with 95 % intervals: share of runs that do not diverge, by rule; the counts stand in the bars.",
        "C7",
        _drawn("performance", "convergence", "convergence"),
    ),
    Picture(
        "critical-batch-size",
        "The critical batch size grows",
        "Critical batch size against epoch, logarithmic, a curve for each rule: all begin near 10; BPTT's ends at "
        "tens, those of tBPTT, RFLO and e-prop at hundreds and more.",
        "C12",
        _noise_over_training,
    ),
    Picture(
        "learning-rate-limits",
        "The largest stable learning rate",
        "Largest stable rate against 1 - w*^2, logarithmic: markers from training lie on the predicted lines, of "
        "slope 3 for BPTT and 2 for tBPTT.",
        "C10",
        _drawn("learning_rates", "learning_rate_limits", "limits"),
    ),
)
