"""The networks of a block: their weights, gradient, optimiser, progress, history, and what they go on from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from ..kernels.arrays import layout
from ..kernels.training import loop
from ..rule_codes import carrier, learning_rule
from ..updates.one import student_matrices
from .driven import larger
from .left import Resumed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..updates.drive import Drive
    from .results import Results
    from .settings import Job


class Place(NamedTuple):
    """Where networks and their updates lie: flat arrays, the views of them, and R or what is added to the readout."""

    values: Any
    weights: layout.Network
    gradient: Any
    update: layout.Network
    given: Any = None


class _Published(NamedTuple):
    """What the runs of a block go on from, all of one moment: others may read it while the block is at work.

    ``recorded`` records are known; the arrays of runs that learn are those of ``epoch``, the last one recorded, the
    ones of runs that have ended those of their ends.
    """

    recorded: int
    epoch: int
    flats: list[NDArray[Any]]
    given: NDArray[Any]
    stream: NDArray[np.uint64]
    status: NDArray[np.int8]
    epochs: NDArray[np.int64]
    loss: NDArray[np.float64]
    ends: tuple[NDArray[Any], NDArray[Any]] | None


class Networks:
    """Up to eight networks side by side under one rule: weights, gradient, optimiser, progress and history."""

    def __init__(
        self, job: Job, place: layout.Layout, rule: int, seed_places: Sequence[int], at: Place | None = None
    ) -> None:
        self.layout, self.rule, self.seed_places, self._job = place, rule, seed_places, job
        if at is None:
            at = Place(*place.zeros(), *place.zeros())
            for position, seed_place in enumerate(seed_places):
                place.put(at.weights, position, student_matrices(job.students[seed_place]))
        self.weights, self.update = at.weights, at.update
        self.learner = self._new_learner(job, at.values, at.gradient)
        feedbacks = [job.feedback(job.rules[rule], seed_place) for seed_place in seed_places]
        readouts = [job.students[seed_place].readout for seed_place in seed_places]
        self.learned_rule, self.kernel_rule = job.rules[rule], learning_rule(job.rules[rule])
        self.carrier = carrier(job.rules[rule], place, feedbacks, readouts)
        self.given = self.carrier.feedback if at.given is None else at.given
        self.larger = larger(None, self, ())
        self.losses = np.full((len(job.records), len(seed_places)), np.nan)
        self.history: list[list[Any]] = [[] for _ in seed_places]
        self._published: _Published | None = None

    def _new_learner(self, job: Job, values: NDArray[Any], gradient: NDArray[Any]) -> loop.Learner:
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

    def publish(self, recorded: int) -> None:
        """Let others know what was saved, ``recorded`` records being known by now."""
        progress, some_ended = self.progress, self.running < len(self.seed_places)
        ends = (self.learner.parameters.values.copy(), self.given.copy()) if some_ended else None
        now = progress.status.copy(), progress.epochs.copy(), progress.loss.copy()
        self._published = _Published(recorded, *self._saved, *now, ends)

    def left(self) -> dict[tuple[int, int], Resumed]:
        """The runs by their places, as they were published last; safe to call while they go on."""
        published = self._published
        if published is None:
            return {}
        return {(self.rule, seed): self._left(published, position) for position, seed in enumerate(self.seed_places)}

    def _left(self, published: _Published, position: int) -> Resumed:
        epoch, made, status = published.epoch, published.epoch, int(published.status[position])
        flats, given, stream = published.flats, published.given, published.stream
        if status != loop.RUNNING:
            # A run that has ended needs no moments, and the block's may have gone on without it.
            assert published.ends is not None
            (values, given), silent = published.ends, np.zeros_like(flats[0])
            epoch, made = self._job.epochs + 1, int(published.epochs[position])
            flats, stream = [values, silent, silent], np.zeros_like(stream)
        matrices = [part for flat in flats for part in self.layout.get(self.layout.views(flat), position)]
        if self.learned_rule.learns_feedback:
            matrices.append(self._given_of(position, given))
        return Resumed(
            epoch=epoch,
            status=status,
            epochs_made=made,
            loss=float(published.loss[position]),
            state=np.concatenate([matrix.ravel() for matrix in matrices]),
            stream=stream,
            losses=self.losses[: published.recorded, position].copy(),
            history=self.history[position][: published.recorded],
        )

    def restore(self, left: Resumed) -> None:
        """Go on with the run of a block of one where it was left."""
        kept, progress = self.learner.parameters, self.progress
        flats = kept.values, kept.first_moment, kept.second_moment
        matrices, given = left.matrices(self._job, self.learned_rule)
        for place, flat in enumerate(flats):
            self.layout.put(self.layout.views(flat), 0, matrices[3 * place : 3 * place + 3])
        if given is not None:
            self.layout.put((self.given,), 0, (given,))
        ended = left.status != loop.RUNNING
        # A run that learns has made as many epochs as the one that it goes on from.
        progress.epochs[0] = left.epochs_made if ended else left.epoch
        progress.status[0], progress.loss[0], progress.steps[0] = left.status, left.loss, left.epoch
        known = int(np.count_nonzero(self._job.records < left.epoch))
        final = left.final(self._job, self.learned_rule)
        self.history[0] = left.history[:known] + [final] * (known - len(left.history))
        losses = left.losses[:known]
        self.losses[: len(losses), 0] = losses
        self.save(left.epoch, left.stream)
        self.publish(known)


def finish(
    job: Job, results: Results, where: tuple[int, int], left: Resumed, measures: Mapping[str, HeldOut], recorded: int
) -> None:
    """Hand one run's history over: the records after its end repeat its last state, or are NaN.

    Of runs that were stopped, ``recorded`` records are known, fewer than were asked for.
    """
    made, status = left.epochs_made, left.status
    if status == loop.RUNNING and recorded < len(job.records):
        made = int(job.records[recorded - 1])
    over = job.records > made
    # After its end a run repeats one state, whose loss need be computed only once.
    states = min(int(np.count_nonzero(~over)) + 1, len(over))
    count = len(over) if recorded == len(over) else states - (states < len(over) and status != loop.CONVERGED)
    over, final = over[:count], left.final(job, job.rules[where[0]])
    history = left.history[:count] + [final] * (count - len(left.history))
    losses = np.full(count, np.nan)
    losses[: len(left.losses)] = left.losses[:count]
    losses[over] = left.loss if status == loop.CONVERGED else np.nan
    weights = [np.stack(matrices) for matrices in zip(*history, strict=True)]
    for matrices, last in zip(weights, final, strict=True):
        matrices[over] = last if status == loop.CONVERGED else np.nan
    measured, states = {"loss": losses}, min(states, count)
    for name, measure in measures.items():
        values = measure.losses([matrices[:states] for matrices in weights[:3]])
        measured[name] = np.append(values, np.full(count - states, values[-1]))
    results.put(where, left, measured, weights)


class HeldOut(Protocol):
    """What measures the validation loss of one seed."""

    def losses(self, weights: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Losses along a history of (A, W, B)."""
