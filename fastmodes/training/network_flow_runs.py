"""One network of a flow of learning: integrated by the kernel, and its history read (theory sections 4 and 10)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interrupts import halting
from ..kernels.flow import networks as kernels
from ..modes.learned import is_apart
from ..networks.leaky import effective, own_matrices
from ..networks.network import LinearRNN
from ..networks.teacher_modes import teacher_modes
from ..rule_codes import learning_feedback, learning_rule
from ..rules import LearningRule
from ..updates import infinite
from ..updates.feedback import seed_feedback
from ..updates.loss import error_loss, power_loss
from ..updates.one import student_matrices
from .driven import seen_alone, seen_in
from .estimates import history_estimates

if TYPE_CHECKING:
    from ..kernels.training.seen import Seen
    from ..typing import FloatArray
    from ..updates.drive import Drive


@dataclasses.dataclass(frozen=True)
class Task:
    """Integrates one (rule, seed) and reads its history."""

    rules: tuple[LearningRule, ...]
    teacher: LinearRNN
    students: Sequence[LinearRNN]
    feedbacks: Sequence[FloatArray]
    times: FloatArray
    control: kernels.Control
    leak: float = 1.0
    rates: tuple[float, float, float] = (1.0, 1.0, 1.0)
    drive: Drive | None = None

    def __call__(self, run: tuple[int, int]) -> dict[str, Any]:
        rule, student = self.rules[run[0]], self.students[run[1]]
        feedback = seed_feedback(rule, student, self.feedbacks[run[1]])
        student, in_kernel = effective(student, self.leak), learning_rule(rule)._replace(rates=self.rates)
        m, learned = self._work_space(rule, student, feedback)
        count = sum(matrix.size for matrix in learned.own) + learned.given.size * is_apart(rule)
        outcome = kernels.Outcome(np.full((len(self.times), count), np.nan), np.full(len(self.times), np.nan))
        with halting(m.places):
            status, reached, steps = kernels.matrix_flow(
                m, in_kernel, self.control, self.times, outcome, None if self.drive is None else learned
            )
        history = _history(learned, student, outcome.states)
        final = _network(learned, student)
        past = self._feedback(rule, learned, outcome.states, history[0], feedback)
        return {
            "status": status, "time_reached": reached, "integration_steps": steps,
            "loss": self._losses(outcome.losses, history),
            "spectral_radius": infinite.spectral_radius(final.recurrent),
            "history": self._own(history), "final": LinearRNN(*self._own(student_matrices(final))),
            "estimates": history_estimates(
                history[0], history[1], history[2], teacher_modes(self.teacher), past
            ),
            "learned": past,
            "final_feedback": self._feedback(rule, learned, None, final.readout, feedback),
        }  # fmt: skip

    def _work_space(self, rule: LearningRule, student: LinearRNN, feedback: FloatArray | None) -> tuple[Any, Seen]:
        """Work space of the updates, and what learns: the network in it, or one beside the larger one in it."""
        if self.drive is None:
            m = infinite.work_space(rule, student, self.teacher, feedback)
            infinite.put_feedback(m, rule, student, feedback)
            return m, seen_in(m)
        n, given = student.n_hidden, None
        if feedback is not None:
            given = learning_feedback(rule, feedback, student.readout)
        seen = seen_alone(self.drive, student, given)
        larger = self.drive.student(student), self.drive.teacher(self.teacher, n)
        return infinite.work_space(self.drive.rule(rule, n), *larger, None), seen

    def _own(self, weights: Sequence[FloatArray]) -> list[FloatArray]:
        """The students' own A, W, B, or a history of them, from effective ones."""
        readout, recurrent, input_ = weights
        return [readout, *own_matrices(recurrent, input_, self.leak)]

    def _feedback(
        self,
        rule: LearningRule,
        learned: Seen,
        states: FloatArray | None,
        readout: FloatArray,
        feedback: FloatArray | None,
    ) -> FloatArray | None:
        """R along a history of states and of A, or now (None) and of the last A; the given one where it stays."""
        if not rule.learns_feedback:
            return feedback
        given = learned.given
        if states is not None and is_apart(rule):
            given = states[:, -given.size :].reshape(-1, *given.shape)
        given = given[..., : readout.shape[-2], : readout.shape[-1]]
        moved = given + readout if rule.feedback == "kolen_pollack" else given + 0.0 * readout
        return moved.reshape(readout.shape)

    def _losses(self, losses: FloatArray, history: list[FloatArray]) -> FloatArray:
        """Losses with the teacher's part; where they cancel, computed again by a factor of the covariance."""
        drive, n = self.drive, history[0].shape[-1]
        teacher = self.teacher if drive is None else drive.teacher(self.teacher, n)
        whole = power_loss(teacher, math.inf)
        losses = losses + whole
        last, last_loss = None, math.nan
        for i in np.flatnonzero(losses <= infinite.CANCELLED * whole):
            network = LinearRNN(*(part[i] for part in history))
            if network != last:
                seen = network if drive is None else drive.student(network)
                last, last_loss = network, error_loss(seen, teacher, math.inf)
            losses[i] = last_loss
        return losses


def _history(learned: Seen, student: LinearRNN, states: FloatArray) -> list[FloatArray]:
    """(A, W, B) at all times, without padding."""
    parts, offset = [], 0
    for place, matrix in zip(learned.own, student_matrices(student), strict=True):
        rows, columns = place.shape
        whole = states[:, offset : offset + rows * columns].reshape(len(states), rows, columns)
        parts.append(np.ascontiguousarray(whole[:, : matrix.shape[0], : matrix.shape[1]]))
        offset += rows * columns
    return parts


def _network(learned: Seen, student: LinearRNN) -> LinearRNN:
    """The network now, without padding."""
    pairs = zip(learned.own, student_matrices(student), strict=True)
    return LinearRNN(*(place[: matrix.shape[0], : matrix.shape[1]] for place, matrix in pairs))
