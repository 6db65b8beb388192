"""One network of a flow of learning: integrated by the kernel, and its history read (theory sections 4 and 10)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interrupts import halting
from ..kernels.flow import networks as kernels
from ..kernels.updates.doubling import FEEDBACK, INPUT, READOUT, RECURRENT
from ..modes.learned import is_apart
from ..networks.leaky import effective, own_matrices
from ..networks.network import LinearRNN
from ..networks.teacher_modes import teacher_modes
from ..rule_codes import learning_rule
from ..rules import LearningRule
from ..updates import infinite
from ..updates.feedback import seed_feedback
from ..updates.loss import error_loss, power_loss
from .estimates import history_estimates

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Task:
    """Integrates one (rule, seed) and reads its history."""

    rules: tuple[LearningRule, ...]
    teacher: LinearRNN
    students: Sequence[LinearRNN]
    feedbacks: Sequence[NDArray[np.float64]]
    times: NDArray[np.float64]
    control: kernels.Control
    leak: float = 1.0
    rates: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __call__(self, run: tuple[int, int]) -> dict[str, Any]:
        rule, student = self.rules[run[0]], self.students[run[1]]
        feedback = seed_feedback(rule, student, self.feedbacks[run[1]])
        student, in_kernel = effective(student, self.leak), learning_rule(rule)._replace(rates=self.rates)
        m = infinite.work_space(rule, student, self.teacher, feedback)
        infinite.put_feedback(m, rule, student, feedback)
        count = int(m.places[[READOUT, RECURRENT, INPUT], 1:].prod(axis=1).sum())
        count += int(m.places[FEEDBACK, 1:].prod()) * is_apart(rule)
        outcome = kernels.Outcome(np.full((len(self.times), count), np.nan), np.full(len(self.times), np.nan))
        with halting(m.places):
            status, reached, steps = kernels.matrix_flow(m, in_kernel, self.control, self.times, outcome)
        history = self._history(m, student, outcome.states)
        final = _network(m, student)
        learned = self._feedback(rule, m, outcome.states, history[0], feedback)
        return {
            "status": status, "time_reached": reached, "integration_steps": steps,
            "loss": self._losses(outcome.losses, history),
            "spectral_radius": infinite.spectral_radius(final.recurrent),
            "history": self._own(history), "final": LinearRNN(*self._own(_matrices(final))),
            "estimates": history_estimates(
                history[0], history[1], history[2], teacher_modes(self.teacher), learned
            ),
            "learned": learned,
            "final_feedback": self._feedback(rule, m, None, final.readout, feedback),
        }  # fmt: skip

    def _own(self, weights: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        """The students' own A, W, B, or a history of them, from effective ones."""
        readout, recurrent, input_ = weights
        return [readout, *own_matrices(recurrent, input_, self.leak)]

    def _history(self, m: Any, student: LinearRNN, states: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """(A, W, B) at all times, without padding."""
        parts = []
        for code, shape in zip((READOUT, RECURRENT, INPUT), _shapes(student), strict=True):
            offset, rows, columns = (int(number) for number in m.places[code])
            whole = states[:, offset : offset + rows * columns].reshape(len(states), rows, columns)
            parts.append(np.ascontiguousarray(whole[:, : shape[0], : shape[1]]))
        return parts

    def _feedback(
        self,
        rule: LearningRule,
        m: Any,
        states: NDArray[np.float64] | None,
        readout: NDArray[np.float64],
        feedback: NDArray[np.float64] | None,
    ) -> NDArray[np.float64] | None:
        """R along a history of states and of A, or now (None) and of the last A; the given one where it stays."""
        if not rule.learns_feedback:
            return feedback
        offset, rows, columns = (int(number) for number in m.places[FEEDBACK])
        given = m.flat[offset : offset + rows * columns]
        if states is not None and is_apart(rule):
            given = states[:, -rows * columns :]
        given = given.reshape(-1, rows, columns)[..., : readout.shape[-2], : readout.shape[-1]]
        learned = given + readout if rule.feedback == "kolen_pollack" else given + 0.0 * readout
        return learned.reshape(readout.shape)

    def _losses(self, losses: NDArray[np.float64], history: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Losses with the teacher's part; where they cancel, computed again by a factor of the covariance."""
        whole = power_loss(self.teacher, math.inf)
        losses = losses + whole
        last, last_loss = None, math.nan
        for i in np.flatnonzero(losses <= infinite.CANCELLED * whole):
            network = LinearRNN(*(part[i] for part in history))
            if network != last:
                last, last_loss = network, error_loss(network, self.teacher, math.inf)
            losses[i] = last_loss
        return losses


def _matrices(student: LinearRNN) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    return student.readout, student.recurrent, student.input


def _shapes(student: LinearRNN) -> list[tuple[int, ...]]:
    return [matrix.shape for matrix in _matrices(student)]


def _network(m: Any, student: LinearRNN) -> LinearRNN:
    return LinearRNN(
        *(infinite.get(m, c, s) for c, s in zip((READOUT, RECURRENT, INPUT), _shapes(student), strict=True))
    )
