"""What drives student and teacher: the statistics of the input, and noise of the student's own (theory section 15).

All of it is white noise into a larger network. With x_t = C z_t + D n_t of a filter z_{t+1} = F z_t + G n_t, whose
stationary start has the covariance L L^T, and private noise of deviation sigma,

    W' = [[W, B C], [0, F]],      B' = [[B D, sigma I, 0], [G, 0, L]],      A' = [A, 0],      feedback [R, 0];

the teacher's is the same with 0 for sigma. An input of covariance R R^T, white in time, is D = R without any z.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from ..networks.network import LinearRNN
from ..rule_codes import unit_decay
from .one import loss_weights

if TYPE_CHECKING:
    from ..rules import LearningRule
    from ..typing import FloatArray, LossName


@dataclasses.dataclass(frozen=True, eq=False)
class Drive:
    """White noise on its way into student and teacher.

    Attributes
    ----------
    state, drive, output, direct : array (n_state, n_state), (n_state, n_noise), (n_in, n_state), (n_in, n_noise)
        F, G, C, D; n_state may be 0.
    start : array (n_state, n_start)
        L; n_start 0: the filter starts at zero, or nobody sees its start.
    private : float
        sigma, as it enters h.
    """

    state: FloatArray
    drive: FloatArray
    output: FloatArray
    direct: FloatArray
    start: FloatArray
    private: float = 0.0

    @staticmethod
    def white(n_in: int, root: FloatArray | None = None, private: float = 0.0) -> Drive:
        """Input white in time, of covariance root root^T."""
        direct = np.eye(n_in) if root is None else root
        count = direct.shape[1]
        return Drive(np.zeros((0, 0)), np.zeros((0, count)), np.zeros((n_in, 0)), direct, np.zeros((0, 0)), private)

    @property
    def n_state(self) -> int:
        """Numbers the filter remembers."""
        return len(self.state)

    def for_ever(self) -> Drive:
        """The same after infinitely many steps, when the start is forgotten."""
        return dataclasses.replace(self, start=np.zeros((self.n_state, 0)))

    def channels(self, n_hidden: int) -> int:
        """Channels of white noise."""
        return self.direct.shape[1] + n_hidden * (self.private > 0) + self.start.shape[1]

    def student(self, network: LinearRNN) -> LinearRNN:
        """The larger network of a student."""
        return self._larger(network, self.private * np.eye(network.n_hidden))

    def teacher(self, network: LinearRNN, n_hidden: int) -> LinearRNN:
        """The larger network of the teacher of students with so many units."""
        return self._larger(network, np.zeros((network.n_hidden, n_hidden)))

    def _larger(self, network: LinearRNN, private: FloatArray) -> LinearRNN:
        n, s = network.n_hidden, self.n_state
        private = private if self.private > 0 else private[:, :0]
        with np.errstate(over="ignore"):
            direct, through = network.input @ self.direct, network.input @ self.output
        quiet = np.zeros((s, private.shape[1])), np.zeros((n, self.start.shape[1]))
        return LinearRNN(
            np.pad(network.readout, ((0, 0), (0, s))),
            np.block([[network.recurrent, through], [np.zeros((s, n)), self.state]]),
            np.block([[direct, private, quiet[1]], [self.drive, quiet[0], self.start]]),
        )

    def rule(self, rule: LearningRule, n_hidden: int) -> LearningRule:
        """The rule with a decay for every unit of the larger network; credit of the filter's is never read."""
        if rule.propagator != "diagonal" or not self.n_state:
            return rule
        return dataclasses.replace(rule, decay=(*unit_decay(rule, n_hidden), *([0.0] * self.n_state)))

    def feedback(self, feedback: FloatArray | None) -> FloatArray | None:
        """R of the larger network."""
        return None if feedback is None else np.pad(feedback, ((0, 0), (0, self.n_state)))

    def own_input(self, recurrent: FloatArray, change: FloatArray) -> FloatArray:
        """Delta B from Delta W' (.., n_hidden, ..) and Delta B' (.., n_hidden, ..), their hidden rows."""
        n = recurrent.shape[-2]
        with np.errstate(all="ignore"):
            found: FloatArray = change[..., : self.direct.shape[1]] @ self.direct.T + recurrent[..., n:] @ self.output.T
        return found

    def weights(self, loss: LossName, steps: int, n_hidden: int) -> FloatArray:
        """Weights c_k of the errors: one for all channels, or (step, channel) where the start has some.

        An impulse of the start comes before all inputs: it counts at the last error alone (k = T), or in the mean over
        all of them, while one of the noise counts as ever, and not at k = T.
        """
        own = loss_weights(loss, steps)
        if not self.start.shape[1]:
            return own
        first = np.eye(steps + 1)[steps] if loss == "final" else np.full(steps + 1, 1.0 / steps)
        ends = np.repeat(first[:, np.newaxis], self.start.shape[1], axis=1)
        usual = np.repeat(np.append(own, 0.0)[:, np.newaxis], self.channels(n_hidden) - ends.shape[1], axis=1)
        return np.concatenate([usual, ends], axis=1)
