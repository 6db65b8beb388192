"""Every rule fitted to the changes: all are linear in the learning rate and in R.

In units of one update, averaged over the path, and with [G_j, M_j] the credit of section 3, the change of W and B is

    readout, sign     -eta  sum_j (P^T)^j F^T [G_j, M_j]                        one unknown
    random, fixed P   row a:  -(eta R)_{.a}^T  sum_j p_a^j [G_j, M_j]           n_out unknowns for each unit
    random, P = W     -sum_j (W^T)^j (eta R)^T [G_j, M_j]                       n_out n_hidden unknowns together

A decay that is unknown is searched for; all the rest is least squares, weighted by the interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .propagators import hidden_change
from .random_fits import fitted_random
from .search import DECAYS, least

if TYPE_CHECKING:
    from fastmodes.typing import FloatArray

    from .family import Hypothesis
    from .seen import Path, Seen
    from .snapshots import Weights


#: Outputs up to which the rows of R are mixed anew.
_MOST_MIXED = 6


class Fit(NamedTuple):
    """``rate`` eta; ``feedback`` eta F where F is random or sign, else None; ``decay`` w_hat (or one a unit) or None.

    ``readout``, ``hidden``: the mean changes it explains; ``squares``: weighted squares that are left.
    """

    hypothesis: Hypothesis
    rate: float
    feedback: FloatArray | None
    decay: FloatArray | None
    readout: FloatArray
    hidden: FloatArray
    squares: float

    @property
    def mixes(self) -> bool:
        """Whether the rows of R, few enough, are mixed anew with the exact noise: it differs between outputs."""
        return self.hypothesis.feedback == "random" and self.readout.shape[1] <= _MOST_MIXED

    @property
    def one_decay(self) -> float | None:
        """The decay where there is one that is fitted."""
        return None if self.decay is None or np.ndim(self.decay) else float(self.decay)

    def feedback_in(self, networks: Weights) -> FloatArray:
        """Eta F of every network."""
        if self.feedback is None:
            return self.rate * networks.readout
        if self.hypothesis.feedback == "sign":
            return self.feedback * np.sign(networks.readout)
        return np.broadcast_to(self.feedback, networks.readout.shape)


def fitted(hypothesis: Hypothesis, seen: Seen) -> Fit:
    """The best fit of one rule."""
    of_readout = -seen.averaged(seen.path.chains.readout)
    feedback: FloatArray | None
    if hypothesis.feedback == "random":
        rate = _slope(seen, (of_readout, seen.readout))
        feedback, decay, hidden = fitted_random(hypothesis, seen)
    else:
        rate, feedback, decay, hidden = _fitted_readout(hypothesis, seen, of_readout)
    return Fit(hypothesis, rate, feedback, decay, rate * of_readout, hidden, _left(seen, rate * of_readout, hidden))


def explained(fit: Fit, seen: Seen, path: Path) -> tuple[FloatArray, FloatArray]:
    """Mean changes (of A, of W and B) by a fitted rule, from networks on a path through the snapshots."""
    networks, chains = path
    change = hidden_change(fit.hypothesis, networks, fit.feedback_in(networks), fit.decay, chains.credit)
    return -fit.rate * seen.averaged(chains.readout), -seen.averaged(change) * seen.rows[:, None]


def _left(seen: Seen, readout: FloatArray, hidden: FloatArray) -> float:
    each = np.sum((seen.readout - readout) ** 2, axis=(1, 2)) + np.sum((seen.hidden - hidden) ** 2, axis=(1, 2))
    return float(seen.weights @ each)


def _slope(seen: Seen, *pairs: tuple[FloatArray, FloatArray]) -> float:
    """Least squares of y = slope x over all pairs (x, y)."""
    above = sum(float(seen.weights @ np.sum(x * y, axis=(1, 2))) for x, y in pairs)
    below = sum(float(seen.weights @ np.sum(x * x, axis=(1, 2))) for x, _ in pairs)
    return above / below if below > 0 else 0.0


def _fitted_readout(
    hypothesis: Hypothesis, seen: Seen, of_readout: FloatArray
) -> tuple[float, FloatArray | None, FloatArray | None, FloatArray]:
    """(eta, eta F, decay, explained) of feedback that the readout gives."""
    networks, credit = seen.path.networks, seen.path.chains.credit
    learned = hypothesis.feedback == "readout"
    feedback = networks.readout if learned else np.sign(networks.readout)

    def at(decay: float | None) -> tuple[float, float, FloatArray]:
        given = None if decay is None else np.array(decay)
        hidden = -seen.averaged(hidden_change(hypothesis, networks, feedback, given, credit)) * seen.rows[:, None]
        if learned:
            rate = _slope(seen, (of_readout, seen.readout), (hidden, seen.hidden))
            return rate, rate, rate * hidden
        scale = _slope(seen, (hidden, seen.hidden))
        return _slope(seen, (of_readout, seen.readout)), scale, scale * hidden

    def left(decay: float) -> float:
        rate, _, hidden = at(decay)
        return _left(seen, rate * of_readout, hidden)

    decay = least(left, DECAYS[::3]) if hypothesis.estimates_decay else None
    rate, scale, hidden = at(decay)
    return rate, None if learned else np.array(scale), None if decay is None else np.array(decay), hidden
