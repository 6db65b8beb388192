"""One run: from snapshots to the probability of every rule.

First the four rules of the paper are fitted: the best tells the path within the intervals and how noisy each is. Then
every rule is fitted, with intervals weighted by that noise; the best of them are held against the changes with their
own exact noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .chains import chains_of
from .directions import directions_for
from .fits import fitted
from .likelihood import likelihood, noise_of_intervals, screened
from .propagators import hidden_change
from .seen import seen_of
from .snapshots import Weights, finite_slopes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastmodes.typing import FloatArray

    from .chains import Task
    from .family import Hypothesis
    from .fits import Fit
    from .likelihood import Likelihood
    from .seen import Seen, Sight

#: Rules that are held against the exact noise.
_FOLLOWED = 4
#: The rules that tell the path and how noisy the intervals are.
_FIRST = ("BPTT", "tBPTT(1)", "RFLO", "e-prop")
#: Seed of the random directions; they are the same for every run.
_SEED = 14


class Judgement(NamedTuple):
    """Of one run, each an array along the hypotheses; NaN where a rule was not followed.

    ``evidence`` log marginal likelihood; ``squares`` median over intervals of the squares left per degree of freedom;
    ``share`` of the squared change that the mean explains; ``rate``, ``rate_error``, ``decay``, ``decay_error``;
    ``within_rows`` the share of the changes of W in R's row space; ``feedback`` (hypothesis, n_out, n_hidden): R.
    """

    evidence: FloatArray
    squares: FloatArray
    share: FloatArray
    rate: FloatArray
    rate_error: FloatArray
    decay: FloatArray
    decay_error: FloatArray
    within_rows: FloatArray
    feedback: FloatArray


def judged(
    snapshots: Weights, epochs: FloatArray, task: Task, rules: Sequence[Hypothesis], sight: Sight
) -> Judgement:  # fmt: skip
    """Every rule held against the changes between snapshots (snapshot, ..) of one run."""
    seen, crude = weighed(snapshots, epochs, task, rules, sight)
    found = [fitted(rule, seen) for rule in rules]
    random = np.random.Generator(np.random.SFC64(_SEED))
    like = found[list(rules).index(crude.hypothesis)]
    logs = screened(found, like, seen, task, directions_for(seen, [like], random))
    followed = np.argsort(logs)[::-1][:_FOLLOWED].tolist()
    slopes = _slopes(found[followed[0]], snapshots, epochs, task, sight)
    seen = seen_of(snapshots, epochs, task, sight, slopes)._replace(weights=seen.weights)
    again = [fitted(rules[place], seen) for place in followed]
    directions = directions_for(seen, again, random)
    out = nothing_judged(len(rules), seen.readout.shape[1:])
    for place, fit in zip(followed, again, strict=True):
        _write(out, place, fit, likelihood(fit, seen, task, directions), seen)
    return out


def weighed(
    snapshots: Weights, epochs: FloatArray, task: Task, rules: Sequence[Hypothesis], sight: Sight
) -> tuple[Seen, Fit]:
    """The changes with the path and the weights of intervals that the best of the first rules tells, and its fit."""
    first = [rule for rule in rules if rule.name in _FIRST] or list(rules)
    seen = seen_of(snapshots, epochs, task, sight)
    crude = min((fitted(rule, seen) for rule in first), key=lambda fit: fit.squares)
    seen = seen_of(snapshots, epochs, task, sight, _slopes(crude, snapshots, epochs, task, sight))
    crude = fitted(crude.hypothesis, seen)
    return seen._replace(weights=1 / noise_of_intervals(crude, seen, task)), crude


def _slopes(fit: Fit, snapshots: Weights, epochs: FloatArray, task: Task, sight: Sight) -> Weights:
    """Mean change per update that a fitted rule makes at every snapshot; where it is not seen, that of parabolas."""
    chains, n = chains_of(snapshots, task), snapshots.recurrent.shape[-1]
    hidden = -hidden_change(fit.hypothesis, snapshots, fit.feedback_in(snapshots), fit.decay, chains.credit)
    rough, rows = finite_slopes(snapshots, epochs), sight.rows[:, None] > 0
    return Weights(
        -fit.rate * chains.readout, np.where(rows, hidden[..., :n], rough.recurrent),
        np.where(rows, hidden[..., n:], rough.input),
    )  # fmt: skip


def nothing_judged(count: int, shape: tuple[int, ...]) -> Judgement:
    """NaN everywhere, for so many hypotheses."""
    numbers = {name: np.full(count, np.nan) for name in Judgement._fields if name != "feedback"}
    return Judgement(**numbers, feedback=np.full((count, *shape), np.nan))


def _write(out: Judgement, place: int, fit: Fit, one: Likelihood, seen: Seen) -> None:
    rule, (n_out, n_hidden) = fit.hypothesis, seen.readout.shape[1:]
    numbers = rule.unknowns(n_out, n_hidden)
    out.evidence[place] = one.log - 0.5 * numbers * np.log(seen.readout.size + seen.hidden.size)
    out.squares[place] = np.median(one.squares)
    whole = np.sum(seen.readout**2) + np.sum(seen.hidden**2)
    left = np.sum((seen.readout - fit.readout) ** 2) + np.sum((seen.hidden - fit.hidden) ** 2)
    out.share[place] = 1 - left / whole if whole > 0 else np.nan
    out.rate[place], out.rate_error[place] = fit.rate * one.step[0], abs(fit.rate) * one.errors[0]
    if fit.one_decay is not None:
        out.decay[place], out.decay_error[place] = fit.one_decay + one.step[-1], one.errors[-1]
    if rule.feedback == "random" and fit.feedback is not None and fit.rate != 0:
        mixing = one.step[1 : 1 + n_out**2].reshape(n_out, n_out) if fit.mixes else one.step[1] * np.eye(n_out)
        out.feedback[place] = mixing @ fit.feedback / out.rate[place]
        inside = np.linalg.svd(fit.feedback, full_matrices=False)[2] @ seen.hidden
        changes = np.sum(seen.hidden**2)
        out.within_rows[place] = np.sum(inside**2) / changes if changes > 0 else np.nan
