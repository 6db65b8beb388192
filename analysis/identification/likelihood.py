"""How probable the changes are under each rule: Gaussian along directions, with the rule's own exact noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

from . import noise
from .directions import random_pairs, seen_along
from .fits import explained
from .propagators import propagated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastmodes.typing import FloatArray

    from .chains import Task
    from .directions import Directions
    from .fits import Fit
    from .seen import Seen

#: Random directions by which the noise of an interval is measured.
_PROBES = 6
#: Share of what the higher order of the path changes that is taken as its standard deviation in every direction, and
#: in all directions together.
_PATH_ERROR, _TOGETHER = 0.3, 2.0
#: Relative standard deviation below which nothing is told apart: rounding of stored weights.
_ROUNDING = 1e-9
#: The same of changes without noise, which the path decides then.
_INTERPOLATED = 3e-3
#: Added to the correlation of directions, which may depend on one another.
_JITTER = 1e-10
#: Degrees of freedom of an interval's size of noise, and rounds in which it and the fit settle.
FREEDOM, _ROUNDS = 4.0, 8
#: Step of the derivative by the decay.
_DECAY_STEP = 1e-4


class Likelihood(NamedTuple):
    """``log`` of the density at the best scales and decay; ``squares`` (interval,) left per degree of freedom.

    ``step`` of the fitted numbers: factors of the changes of A and of W and B (one factor where F is A; what mixes the
    rows of R, (n_out n_out,), where it is random), then what is to be added to the decay; ``errors`` their standard
    deviations.
    """

    log: float
    squares: FloatArray
    step: FloatArray
    errors: FloatArray


class Whitened(NamedTuple):
    """``seen`` (interval, direction) and ``columns`` (interval, direction, column) in units of the noise."""

    seen: FloatArray
    columns: FloatArray
    log_determinant: FloatArray


def likelihood(fit: Fit, seen: Seen, task: Task, directions: Directions) -> Likelihood:
    """The changes along the directions under one fitted rule; its rate, the size of R and the decay fitted anew."""
    covariance = covariance_of(fit, seen, task, directions)
    return _heavy_tailed(whitened(covariance, directions, columns_of(fit, seen, directions)))


def screened(fits: Sequence[Fit], like: Fit, seen: Seen, task: Task, directions: Directions) -> list[float]:
    """How well every fit explains the changes along directions, all with the noise of one of them."""
    covariance = _noise(like, seen, task, directions)
    size = np.trace(covariance, axis1=1, axis2=2) / covariance.shape[-1]
    size += _ROUNDING * np.mean(directions.seen**2, axis=1) + np.finfo(float).tiny
    covariance = covariance + _ROUNDING * size[:, None, None] * np.eye(covariance.shape[-1])
    return [_heavy_tailed(whitened(covariance, directions, columns_of(fit, seen, directions))).log for fit in fits]


def covariance_of(fit: Fit, seen: Seen, task: Task, directions: Directions) -> FloatArray:
    """Covariance (interval, direction, direction) of the changes, with what is not known of the path, and rounding."""
    covariance = _noise(fit, seen, task, directions)
    readout, hidden = explained(fit, seen, seen.rough)
    moved = directions.projected(readout - fit.readout, hidden - fit.hidden)
    count = covariance.shape[-1]
    size = np.maximum(np.trace(covariance, axis1=1, axis2=2), np.sum(directions.seen**2, 1)) / count
    floor = (_PATH_ERROR * moved) ** 2 + _ROUNDING**2 * np.maximum(size[:, None], directions.seen**2)
    floor += np.finfo(float).tiny
    covariance = covariance + floor[:, :, None] * np.eye(count)
    return covariance + _TOGETHER**2 * moved[:, :, None] * moved[:, None, :]


def noise_of_intervals(fit: Fit, seen: Seen, task: Task) -> FloatArray:
    """Mean variance of an entry's change in every interval (interval,), with what is not known of the path."""
    random = np.random.Generator(np.random.SFC64(0))
    covariance = _noise(fit, seen, task, seen_along(seen, random_pairs(seen, _PROBES, random)))
    readout, hidden = explained(fit, seen, seen.rough)
    moved = _squares(readout - fit.readout) + _squares(hidden - fit.hidden)
    found = np.trace(covariance, axis1=1, axis2=2) / _PROBES + _PATH_ERROR**2 * moved
    size = _squares(seen.readout) + _squares(seen.hidden)
    return found + _ROUNDING**2 * np.maximum(size, np.finfo(float).tiny) + 1e-30 * np.max(found)


def columns_of(fit: Fit, seen: Seen, directions: Directions) -> list[FloatArray]:
    """What the changes along the directions are linear in, near the fit."""
    no_readout, no_hidden = np.zeros_like(fit.readout), np.zeros_like(fit.hidden)
    of_readout, of_hidden = directions.projected(fit.readout, no_hidden), directions.projected(no_readout, fit.hidden)
    if fit.feedback is None:
        columns = [of_readout + of_hidden]
    elif fit.mixes:
        columns = [of_readout, *(directions.projected(no_readout, part) for part in _mixed(fit, seen))]
    else:
        columns = [of_readout, of_hidden]
    if fit.one_decay is not None:
        moved = explained(fit._replace(decay=np.array(fit.one_decay + _DECAY_STEP)), seen, seen.path)[1]
        columns.append(directions.projected(no_readout, (moved - fit.hidden) / _DECAY_STEP))
    return columns


def _mixed(fit: Fit, seen: Seen) -> list[FloatArray]:
    """Changes of W and B by feedback whose row c is row d of the fitted eta R, for all (c, d)."""
    feedback = np.asarray(fit.feedback)
    parts = []
    for c, d in np.ndindex(len(feedback), len(feedback)):
        one = np.zeros_like(feedback)
        one[c] = feedback[d]
        parts.append(explained(fit._replace(feedback=one), seen, seen.path)[1])
    return parts


def whitened(covariance: FloatArray, directions: Directions, columns: list[FloatArray]) -> Whitened:
    """Changes and columns in units of the noise, independent of one another."""
    scale = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    correlation = covariance / (scale[:, :, None] * scale[:, None, :])
    lower = np.linalg.cholesky(correlation + _JITTER * np.eye(covariance.shape[-1]))
    white = np.linalg.solve(lower, np.stack([directions.seen, *columns], 2) / scale[:, :, None])
    log_determinant = 2 * np.sum(np.log(np.diagonal(lower, axis1=1, axis2=2)) + np.log(scale), axis=1)
    return Whitened(_floats(white[..., 0]), _floats(white[..., 1:]), log_determinant)


def least_left(white: Whitened, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(squares (interval,) that the best combination of columns leaves, the combination, its covariance)."""
    root = np.sqrt(weights)[:, None]
    x = (root[..., None] * white.columns).reshape(-1, white.columns.shape[2])
    step = np.linalg.lstsq(x, (root * white.seen).ravel(), rcond=None)[0]
    squares = np.sum((white.seen - white.columns @ step) ** 2, axis=1)
    return _floats(squares), _floats(step), _floats(np.linalg.pinv(x.T @ x, hermitian=True))


def _heavy_tailed(white: Whitened) -> Likelihood:
    """Student's t over intervals, whose noise may be larger than it should: the path within some is not well known."""
    intervals, count = white.seen.shape
    weights = np.ones(intervals)
    for _ in range(_ROUNDS):
        squares, step, spread = least_left(white, weights)
        weights = (FREEDOM + count) / (FREEDOM + squares)
    log = (
        special.gammaln((FREEDOM + count) / 2) - special.gammaln(FREEDOM / 2) - count / 2 * np.log(FREEDOM * np.pi)
        - white.log_determinant / 2 - (FREEDOM + count) / 2 * np.log1p(squares / FREEDOM)
    )  # fmt: skip
    return Likelihood(float(np.sum(log)), squares / count, step, np.sqrt(np.diag(spread)))


def _noise(fit: Fit, seen: Seen, task: Task, directions: Directions) -> FloatArray:
    """Covariance (interval, direction, direction) of the sampled updates and of observing."""
    networks, chains = seen.middle
    own = directions.along
    own = own._replace(recurrent=own.recurrent @ np.swapaxes(seen.view, 1, 2)[:, None])
    intervals, count = directions.seen.shape
    covariance = np.zeros((intervals, count, count))
    if np.isfinite(task.batch_size):
        carried = propagated(fit.hypothesis, networks, fit.feedback_in(networks), fit.decay, len(task.target))
        of_readout, of_recurrent, of_input = task.rates
        along = own._replace(
            readout=of_readout * fit.rate * own.readout, recurrent=of_recurrent * own.recurrent,
            input=of_input * own.input,
        )  # fmt: skip
        along_steps = noise.directed(networks, chains, carried, task, along)
        covariance += noise.covariance(chains.errors, along_steps, task)
        covariance *= (seen.updates / task.batch_size)[:, None, None]
    spread = np.full(intervals, 2 * task.observation_noise**2)
    if not np.isfinite(task.batch_size):
        entries = seen.readout[0].size + seen.hidden[0].size
        spread += _INTERPOLATED**2 * (_squares(seen.readout) + _squares(seen.hidden)) / entries
    if spread.any():
        flat = np.concatenate([part.reshape(intervals, count, -1) for part in own], axis=2)
        covariance += spread[:, None, None] * (flat @ np.swapaxes(flat, 1, 2))
    return covariance


def _squares(values: FloatArray) -> FloatArray:
    squares: FloatArray = np.sum(values**2, axis=(1, 2))
    return squares


def _floats(values: Any) -> FloatArray:
    return np.asarray(values, dtype=float)
