"""One run: from snapshots to the probability of every rule.

First the four rules of the paper are fitted, which tells how noisy each interval is; then every rule, with intervals
weighted by that noise; the best of them are held against the changes with their own exact noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import fits, likelihood
from .chains import chains_of
from .snapshots import Weights, changes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastmodes.typing import FloatArray

    from .chains import Task
    from .family import Hypothesis

#: Rules that are held against the exact noise.
_FOLLOWED = 4
#: Share of the mean variance of hidden units that is added to all, so that silent ones do not rule the metric.
_RIDGE = 1e-2
#: The rules that tell how noisy the intervals are.
_FIRST = ("BPTT", "tBPTT(1)", "RFLO", "e-prop")
#: Seed of the random directions; they are the same for every run.
_SEED = 14


class Sight(NamedTuple):
    """What is seen of the changes: ``rows`` and ``columns`` (unit,) of 0 and 1; the change of W through ``flow_field`` or as it is."""

    rows: FloatArray
    columns: FloatArray
    flow_field: bool


class Judgement(NamedTuple):
    """Of one run, each an array along the hypotheses; NaN where a rule was not followed.

    ``evidence`` log marginal likelihood; ``squares`` median over intervals of the squares left per degree of freedom;
    ``share`` of the squared change that the mean explains; ``rate``, ``rate_error``, ``decay``, ``decay_error``;
    ``feedback`` (hypothesis, n_out, n_hidden): R; ``within_rows`` the share of the changes of W in R's row space.
    """

    evidence: FloatArray
    squares: FloatArray
    share: FloatArray
    rate: FloatArray
    rate_error: FloatArray
    decay: FloatArray
    decay_error: FloatArray
    feedback: FloatArray
    within_rows: FloatArray


def judged(
    snapshots: Weights, epochs: FloatArray, task: Task, rules: Sequence[Hypothesis], batch_size: float, sight: Sight
) -> Judgement:
    """Every rule held against the changes between snapshots (snapshot, ..) of one run."""
    seen, chord = seen_of(snapshots, epochs, task, sight)
    first = [rule for rule in rules if rule.name in _FIRST] or list(rules)
    crude, rule = min(((fits.fitted(rule, seen), rule) for rule in first), key=lambda pair: pair[0].rss)
    seen = seen._replace(weights=1 / likelihood.noise_of_intervals(rule, crude, seen, chord, task, batch_size))
    found = [fits.fitted(rule, seen) for rule in rules]
    random = np.random.default_rng(_SEED)
    logs = likelihood.screened(rules, found, list(rules).index(rule), seen, task, batch_size, random)
    followed = np.argsort(logs)[::-1][:_FOLLOWED].tolist()
    directions = likelihood.directions_for(seen, [found[place] for place in followed], random)
    out = _nothing(len(rules), seen.readout.shape[1:])
    for place in followed:
        one = likelihood.likelihood(rules[place], found[place], seen, chord, task, directions, batch_size)
        _write(out, place, rules[place], found[place], one, seen)
    return out


def seen_of(snapshots: Weights, epochs: FloatArray, task: Task, sight: Sight) -> tuple[fits.Seen, fits.Path]:
    """The changes as they are seen, with the cubic path, and the straight path."""
    changes = changes_of(snapshots, epochs)
    paths = []
    for networks in (changes.nodes, changes.chord):
        flat = Weights(*(part.reshape(-1, *part.shape[2:]) for part in networks))
        paths.append(fits.Path(flat, chains_of(flat, task)))
    middle = Weights(*(part.mean(axis=0) for part in changes.nodes))
    view, n = _view(paths[0], sight), snapshots.recurrent.shape[-1]
    for path in paths:
        path.chains.credit[..., :n] = path.chains.credit[..., :n] @ np.concatenate([view, view])
        path.chains.readout[:] *= sight.columns
    hidden = np.concatenate([changes.changes.recurrent @ view, changes.changes.input], axis=2) * sight.rows[:, None]
    readout = changes.changes.readout * sight.columns
    size = np.sum(hidden**2, axis=(1, 2)) + np.sum(readout**2, axis=(1, 2))
    least = np.finfo(float).tiny + 1e-20 * np.max(size)
    weights = 1 / np.maximum(size, least)
    return fits.Seen(
        readout,
        hidden,
        paths[0],
        fits.Path(middle, chains_of(middle, task)),
        changes.updates,
        weights,
        sight.rows,
        sight.columns,
        view,
    ), paths[1]


def _view(path: fits.Path, sight: Sight) -> FloatArray:
    """Through what the columns of Delta W are seen (interval, n_hidden, n_hidden).

    By default the inverse root of the hidden units' covariance, in whose metric the noise of all columns is alike; the
    flow field changes by Delta W h, and is seen through the root itself.
    """
    reached = path.chains.reached
    half = reached.shape[1] // 2
    seen = reached[:, :half] * sight.columns[:, None]
    covariance = np.einsum("kiac,kibc->iab", seen, seen, optimize=True)
    values, vectors = np.linalg.eigh(covariance)
    mean = np.maximum(np.mean(values, axis=1), np.finfo(float).tiny)[:, None]
    shares = np.maximum(values, 0.0) / mean
    root = np.sqrt(shares) if sight.flow_field else 1 / np.sqrt(shares + _RIDGE)
    view = (vectors * root[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    return view * sight.columns[:, None]


def _nothing(count: int, shape: tuple[int, ...]) -> Judgement:
    return Judgement(
        *(np.full(count, np.nan) for _ in range(7)), np.full((count, *shape), np.nan), np.full(count, np.nan)
    )


def _write(
    out: Judgement, place: int, rule: Hypothesis, fit: fits.Fit, one: likelihood.Likelihood, seen: fits.Seen
) -> None:
    n_out, n_hidden = seen.readout.shape[1:]
    numbers = rule.unknowns(n_out, n_hidden)
    out.evidence[place] = one.log - 0.5 * numbers * np.log(seen.readout.size + seen.hidden.size)
    out.squares[place] = np.median(one.squares)
    whole = np.sum(seen.readout**2) + np.sum(seen.hidden**2)
    left = np.sum((seen.readout - fit.readout) ** 2) + np.sum((seen.hidden - fit.hidden) ** 2)
    out.share[place] = 1 - left / whole if whole > 0 else np.nan
    out.rate[place], out.rate_error[place] = fit.rate * one.step[0], abs(fit.rate) * one.errors[0]
    if fit.decay is not None and np.ndim(fit.decay) == 0:
        out.decay[place], out.decay_error[place] = float(fit.decay) + one.step[-1], one.errors[-1]
    if rule.feedback == "random" and fit.feedback is not None and fit.rate != 0:
        out.feedback[place] = fit.feedback * one.step[1] / out.rate[place]
        basis = np.linalg.svd(fit.feedback, full_matrices=False)[2]
        inside, changes = basis @ seen.hidden, np.sum(seen.hidden**2)
        out.within_rows[place] = np.sum(inside**2) / changes if changes > 0 else np.nan
