"""The networks of a block: their weights, gradient, optimiser, progress, history, and what they go on from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..kernels.arrays import layout
from ..kernels.training import loop
from ..rule_codes import carrier, learning_rule
from ..updates.one import student_matrices
from .driven import larger

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..updates.drive import Drive
    from .results import Results
    from .resume import Resumed
    from .settings import Job


class Networks:
    """Up to eight networks side by side under one rule: weights, gradient, optimiser, progress and history."""

    def __init__(self, job: Job, place: layout.Layout, rule: int, seed_places: Sequence[int]) -> None:
        self.layout, self.rule, self.seed_places = place, rule, seed_places
        values, self.weights = place.zeros()
        gradient, self.update = place.zeros()
        for position, seed_place in enumerate(seed_places):
            place.put(self.weights, position, student_matrices(job.students[seed_place]))
        self.learner = self.new_learner(job, values, gradient)
        feedbacks = [job.feedback(job.rules[rule], seed_place) for seed_place in seed_places]
        readouts = [job.students[seed_place].readout for seed_place in seed_places]
        self.learned_rule, self.kernel_rule = job.rules[rule], learning_rule(job.rules[rule])
        self.carrier = carrier(job.rules[rule], place, feedbacks, readouts)
        self.given = self.carrier.feedback
        self.larger = larger(None, self, ())
        self.losses = np.full((len(job.records), len(seed_places)), np.nan)
        self.history: list[list[Any]] = [[] for _ in seed_places]

    def new_learner(self, job: Job, values: NDArray[Any], gradient: NDArray[Any]) -> loop.Learner:
        """What learns on the flat arrays behind the networks and their updates."""
        learner = loop.new_learner(
            values, gradient, self.layout.networks, job.optimizer, job.limits,
            job.plasticity.in_kernel(self.layout, self.rule, self.seed_places), job.schedule,
        )  # fmt: skip
        learner.progress.status[len(self.seed_places) :] = loop.CONVERGED
        return learner

    def see(self, drive: Drive | None, job: Job, offset: float = 0.0) -> None:
        """Let updates be those of larger networks."""
        self.larger = larger(drive, self, [job.students[place] for place in self.seed_places], offset)

    @property
    def progress(self) -> loop.Progress:
        """How far each run has come."""
        return self.learner.progress

    @property
    def running(self) -> int:
        """Runs that still learn."""
        return int(np.count_nonzero(self.progress.status == loop.RUNNING))

    def record_weights(self) -> None:
        """Append the present weights of every network to its history."""
        for position, history in enumerate(self.history):
            history.append(self.state(position))

    def state(self, position: int) -> tuple[NDArray[np.float64], ...]:
        """(A, W, B) of one network now, and R where it learns."""
        weights = self.layout.get(self.weights, position)
        if not self.learned_rule.learns_feedback:
            return tuple(weights)
        given = self._given_of(position, self.given)
        return (*weights, given + weights.readout if self.learned_rule.feedback == "kolen_pollack" else given)

    def _given_of(self, position: int, given: NDArray[Any]) -> NDArray[np.float64]:
        """What one network of the block adds to its share of A, or its R."""
        matrix: NDArray[np.float64] = self.layout.get(self.weights._replace(readout=given), position).readout
        return matrix

    def save(self, epoch: int, stream: NDArray[np.uint64]) -> None:
        """Note everything that the runs go on from."""
        kept = self.learner.parameters
        flats = [flat.copy() for flat in (kept.values, kept.first_moment, kept.second_moment)]
        self._saved = epoch, flats, self.given.copy(), stream

    def saved(self, position: int, last: int) -> tuple[int, NDArray[np.float64], NDArray[np.uint64]]:
        """Epoch, numbers and random stream that one run goes on from; one that has ended, after the ``last`` epoch."""
        epoch, flats, given, stream = self._saved
        if self.progress.status[position] != loop.RUNNING:
            epoch = last + 1
            flats, given = [self.learner.parameters.values, *flats[1:]], self.given
        matrices = [part for flat in flats for part in self.layout.get(self.layout.views(flat), position)]
        if self.learned_rule.learns_feedback:
            matrices.append(self._given_of(position, given))
        return epoch, np.concatenate([matrix.ravel() for matrix in matrices]), stream

    def restore(self, left: Resumed) -> None:
        """Go on with the run of a block of one where it was left."""
        kept, progress = self.learner.parameters, self.progress
        shapes = [matrix.shape for matrix in self.layout.get(self.weights, 0)]
        sizes = [math.prod(shape) for shape in shapes] * 3
        *parts, given = np.split(left.state, np.cumsum(sizes))
        matrices = [part.reshape(shape) for part, shape in zip(parts, shapes * 3, strict=True)]
        for place, flat in enumerate((kept.values, kept.first_moment, kept.second_moment)):
            self.layout.put(self.layout.views(flat), 0, matrices[3 * place : 3 * place + 3])
        if self.learned_rule.learns_feedback:
            self.layout.put((self.given,), 0, (given[: sizes[0]].reshape(shapes[0]),))
        progress.status[0], progress.epochs[0], progress.loss[0] = left.status, left.epochs_made, left.loss
        progress.steps[0] = left.epoch
        self.history[0] = list(left.history)
        self.losses[: len(left.losses), 0] = left.losses
        self.save(left.epoch, left.stream)

    def finish(
        self, job: Job, results: Results, seed_place: int, measures: Mapping[str, HeldOut], recorded: int
    ) -> None:
        """Hand one run's history over: the records after its end repeat its last state, or are NaN.

        Of runs that were stopped, ``recorded`` records are known, fewer than were asked for.
        """
        position = self.seed_places.index(seed_place)
        made, status = int(self.progress.epochs[position]), int(self.progress.status[position])
        final = self.state(position)
        losses, history = self.losses[:, position], self.history[position]
        if status == loop.RUNNING and recorded < len(job.records):
            made = int(job.records[recorded - 1])
        over = job.records > made
        history.extend([final] * (len(job.records) - len(history)))
        losses[over] = self.progress.loss[position] if status == loop.CONVERGED else np.nan
        weights = [np.stack(matrices) for matrices in zip(*history, strict=True)]
        for matrices, last in zip(weights, final, strict=True):
            matrices[over] = last if status == loop.CONVERGED else np.nan
        # After its end a run repeats one state, whose loss need be computed only once.
        states = min(int(np.count_nonzero(~over)) + 1, len(over))
        measured = {"loss": losses}
        for name, measure in measures.items():
            values = measure.losses([matrices[:states] for matrices in weights[:3]])
            measured[name] = np.append(values, np.full(len(over) - states, values[-1]))
        results.put(self.rule, seed_place, status, made, measured, weights)
        if job.keep_weights:
            results.put_state(self.rule, seed_place, *self.saved(position, job.epochs))


class HeldOut(Protocol):
    """What measures the validation loss of one seed."""

    def losses(self, weights: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Losses along a history of (A, W, B)."""
