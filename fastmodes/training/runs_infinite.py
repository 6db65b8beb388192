"""Runs of a training job with expected updates at infinitely many steps, one rule and one seed to a block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interrupts import halting
from ..kernels.arrays import layout
from ..kernels.arrays.layout import Network
from ..kernels.training import infinite
from ..kernels.updates.doubling import (
    CHANGE_INPUT,
    CHANGE_READOUT,
    CHANGE_RECURRENT,
    FEEDBACK,
    INPUT,
    READOUT,
    RECURRENT,
)
from ..networks.network import LinearRNN
from ..updates.infinite import CANCELLED, place_of, put_feedback, work_space
from ..updates.loss import error_loss, power_loss
from .block_networks import HeldOut, Networks, Place
from .runs import Block, Later

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..updates.drive import Drive
    from .settings import Job


def _networks_on(m: Any, job: Job, rule: int, seed_place: int) -> Networks:
    """One network whose weights, gradient and optimiser work on the matrices of the work space."""
    weights = Network(*(place_of(m, code) for code in (READOUT, RECURRENT, INPUT)))
    update = Network(*(place_of(m, code) for code in (CHANGE_READOUT, CHANGE_RECURRENT, CHANGE_INPUT)))
    count = sum(matrix.size for matrix in weights)
    place = Place(m.flat[:count], weights, m.flat[count : 2 * count], update, place_of(m, FEEDBACK))
    return Networks(job, layout.single_layout(*job.sizes), rule, [seed_place], place)


class _Limit:
    """In place of held-out sequences: the expected loss itself."""

    def __init__(self, teacher: LinearRNN, drive: Drive | None, offset: float) -> None:
        self._teacher, self._drive, self._offset = teacher, drive, offset

    def losses(self, weights: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Expected loss along a history of (A, W, B); NaN where the weights are."""
        return np.array([self._loss(matrices) for matrices in zip(*weights, strict=True)])

    def _loss(self, matrices: tuple[NDArray[Any], ...]) -> float:
        if not all(np.isfinite(matrix).all() for matrix in matrices):
            return math.nan
        return self.of(LinearRNN(*matrices))

    def of(self, student: LinearRNN) -> float:
        """Expected loss of a student, to full accuracy."""
        student = student if self._drive is None else self._drive.student(student)
        return error_loss(student, self._teacher, math.inf) + self._offset


class _InfiniteBlock(Block):
    """One rule, one seed."""

    largest_piece = 256

    def __init__(self, job: Job, rule_place: int, seed_place: int) -> None:
        rule, student, teacher = job.rules[rule_place], job.students[seed_place], job.teacher
        feedback, (n_out, n_hidden, n_in) = job.feedback(rule, seed_place), job.sizes
        drive = job.surroundings.expected(n_in, math.inf)
        self._offset = job.surroundings.added_loss(n_out)
        if drive is None:
            self._work = work_space(rule, student, teacher, feedback)
            put_feedback(self._work, rule, student, feedback)
            super().__init__(job, [_networks_on(self._work, job, rule_place, seed_place)])
        else:
            teacher = drive.teacher(teacher, n_hidden)
            self._work = work_space(drive.rule(rule, n_hidden), drive.student(student), teacher, None)
            member = Networks(job, layout.single_layout(*job.sizes), rule_place, [seed_place])
            super().__init__(job, [member])
            # Their update is that of the network in the work space.
            member.see(drive, job, self._offset)
        self._teacher_loss = power_loss(teacher, math.inf)
        self._limit = _Limit(teacher, drive, self._offset)

    def advance(self, count: int, learn: bool, record: Any) -> None:
        """``count`` epochs of learning."""
        (member,) = self.members
        if not member.running:
            return
        before = LinearRNN(*member.layout.get(member.weights, 0)) if record is not None else None
        with halting(self._work.places):
            infinite.train_infinite(
                max(count, 1), learn, self._work, member.kernel_rule, self._teacher_loss + self._offset,
                member.learner, member.larger.seen,
            )  # fmt: skip
        if before is not None:
            loss = member.learner.loss[0]
            exact = loss - self._offset > CANCELLED * self._teacher_loss
            member.losses[record] = loss if exact else self._limit.of(before)

    def held_out(self, seed_place: int) -> HeldOut:
        """The limit has nothing to hold out."""
        return self._limit


def infinite_blocks(job: Job) -> list[Later]:
    """Blocks of a job at infinitely many steps."""
    places = [(rule, seed) for rule in range(len(job.rules)) for seed in range(len(job.seeds))]
    return [Later(_InfiniteBlock, job, *place) for place in places if place not in job.done]
