"""Runs of a training job, in blocks that threads work on: their weights and losses at every recorded epoch.

Expected updates: one rule and up to eight seeds side by side, or one seed. Sampled updates: one seed and several rules,
which read the same batches, drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..kernels.arrays import layout
from ..kernels.training import loop
from ..kernels.updates import nonlinear, recursion, sampled
from ..networks.running import batch_first_to_last, impulse_response
from ..rule_codes import carrier, kernel_rule
from ..streams import random_stream
from ..updates.one import loss_weights, student_matrices, teacher_outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..interrupts import Stop
    from .results import Results
    from .settings import Job

#: Numbers drawn at a time: a batch or several stay in the cache, and Python's share of the time is small.
_DRAWN_AT_ONCE = 1 << 16
#: Epochs between two looks at the stop sign, fewer where they take long: about half a second of multiplications.
_EPOCHS_AT_ONCE = 256
_PRODUCTS_AT_ONCE = 10**9


def _epochs_at_once(products: int) -> int:
    """How many epochs of so many multiplications to make at a time; results do not depend on it."""
    return int(max(1, min(_EPOCHS_AT_ONCE, _PRODUCTS_AT_ONCE // products)))


class Networks:
    """Up to eight networks side by side under one rule: weights, gradient, optimiser, progress and history."""

    def __init__(self, job: Job, place: layout.Layout, rule: int, seed_places: Sequence[int]) -> None:
        self.layout, self.rule, self.seed_places = place, rule, seed_places
        values, self.weights = place.zeros()
        gradient, self.update = place.zeros()
        for position, seed_place in enumerate(seed_places):
            place.put(self.weights, position, student_matrices(job.students[seed_place]))
        self.learner = self.new_learner(job, values, gradient)
        feedbacks = [job.feedbacks[seed_place] for seed_place in seed_places]
        self.kernel_rule = kernel_rule(job.rules[rule])
        self.carrier = carrier(job.rules[rule], place, feedbacks)
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
            history.append(self.layout.get(self.weights, position))

    def finish(self, job: Job, results: Results, held_out: Mapping[int, HeldOut]) -> None:
        """Hand every run's history over: the records after its end repeat its last state, or are NaN."""
        for position, seed_place in enumerate(self.seed_places):
            made, status = int(self.progress.epochs[position]), int(self.progress.status[position])
            final = self.layout.get(self.weights, position)
            losses, history = self.losses[:, position], self.history[position]
            over = job.records > made
            history.extend([final] * (len(job.records) - len(history)))
            losses[over] = self.progress.loss[position] if status == loop.CONVERGED else np.nan
            weights = [np.stack(matrices) for matrices in zip(*history, strict=True)]
            for matrices, last in zip(weights, final, strict=True):
                matrices[over] = last if status == loop.CONVERGED else np.nan
            # After its end a run repeats one state, whose loss need be computed only once.
            states = min(int(np.count_nonzero(~over)) + 1, len(over))
            validation = held_out[seed_place].losses([matrices[:states] for matrices in weights])
            validation = np.append(validation, np.full(len(over) - states, validation[-1]))
            results.put(self.rule, seed_place, status, made, losses, validation, weights)


class HeldOut(Protocol):
    """What measures the validation loss of one seed."""

    def losses(self, weights: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Losses along a history of (A, W, B)."""


class _HeldOut:
    """Held-out sequences of one seed, the same for every rule."""

    def __init__(self, job: Job, seed_place: int) -> None:
        self._job = job
        shape = (job.validation_size, job.steps, job.sizes[2])
        drawn = random_stream(job.seeds[seed_place], "validation").standard_normal(shape)
        self._inputs = batch_first_to_last(drawn)
        self._targets = teacher_outputs(job.teacher, self._inputs, job.loss)

    def losses(self, weights: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Mean loss on the held-out sequences along a history of (A, W, B); NaN where the weights are."""
        job = self._job
        place = layout.single_layout(*job.sizes)
        _, network = place.zeros()
        hidden = np.empty((job.steps + 1, job.sizes[1], self._inputs.shape[2]))
        errors = np.empty_like(self._targets)
        out = np.empty(len(weights[0]))
        for record, matrices in enumerate(zip(*weights, strict=True)):
            place.put(network, 0, matrices)
            given = network, self._inputs, self._targets, float(job.validation_size), hidden, errors
            if job.plasticity.units.linear:
                out[record] = sampled.batch_loss(*given)
            else:
                out[record] = nonlinear.batch_loss(*given, job.plasticity.units.in_kernel(job.sizes[1]))
        return out


class Block:
    """Networks that are trained together from one recorded epoch to the next."""

    #: Epochs made at a time, at most.
    largest_piece: int

    def __init__(self, job: Job, members: list[Networks]) -> None:
        self.job = job
        self.members = members

    def run(self, results: Results, bar: Any, stop: Stop) -> None:
        """Train to the end, or until the stop sign, and hand the histories to ``results``."""
        job = self.job
        for record, epoch in enumerate(job.records):
            ahead = int(job.records[record + 1] - epoch) if record + 1 < len(job.records) else 0
            for member in self.members:
                member.record_weights()
            first = True
            for count in self._pieces(ahead):
                if stop.is_set():
                    return
                self.advance(count, ahead > 0, np.s_[record] if first else None)
                first = False
                bar.update(count * sum(len(member.seed_places) for member in self.members))
            if not any(member.running for member in self.members):
                remaining = job.epochs - int(epoch) - ahead
                bar.update(remaining * sum(len(member.seed_places) for member in self.members))
                break
        held_out = {place: self.held_out(place) for place in self.members[0].seed_places}
        for member in self.members:
            member.finish(job, results, held_out)

    def advance(self, count: int, learn: bool, record: Any) -> None:
        """Make ``count`` epochs; the first one's loss goes to ``record`` unless that is None."""
        raise NotImplementedError

    def held_out(self, seed_place: int) -> HeldOut:
        """What measures the validation loss of one seed."""
        return _HeldOut(self.job, seed_place)

    def _pieces(self, ahead: int) -> list[int]:
        """How many epochs to make at a time; the last record makes none, but its loss is computed."""
        largest = self.largest_piece
        return [min(largest, ahead - done) for done in range(0, ahead, largest)] or [0]


class _ExpectedBlock(Block):
    """One rule, up to eight seeds."""

    def __init__(self, job: Job, rule: int, seed_places: Sequence[int]) -> None:
        place = layout.layout_for(*job.sizes)
        n_out, n_hidden, n_in = job.sizes
        self.largest_piece = _epochs_at_once(4 * place.networks * job.steps * n_hidden**2 * (n_out + n_in))
        super().__init__(job, [Networks(job, place, rule, seed_places)])
        (member,) = self.members
        self._target = place.input_like(impulse_response(job.teacher, job.steps))
        self._weights = loss_weights(job.loss, job.steps)
        self._work = recursion.work_space(member.weights, member.carrier, job.steps)

    def advance(self, count: int, learn: bool, record: Any) -> None:
        (member,) = self.members
        if not member.running:
            return
        loop.train_expected(
            max(count, 1), learn, member.weights, member.kernel_rule, self._target, self._weights, self._work,
            member.update, member.learner,
        )  # fmt: skip
        if record is not None:
            member.losses[record] = member.learner.loss[: len(member.seed_places)]


class _SampledBlock(Block):
    """One seed, several rules on the same batches."""

    def __init__(self, job: Job, seed_place: int, rules: Sequence[int]) -> None:
        place = layout.single_layout(*job.sizes)
        super().__init__(job, [Networks(job, place, rule, [seed_place]) for rule in rules])
        steps, (_, n_hidden, n_in), loss_kind = job.steps, job.sizes, ("final", "sequence").index(job.loss)
        self._samples, self._batch = job.batch_size, layout.padded(job.batch_size)
        numbers = steps * n_in * self._batch
        largest = _epochs_at_once(4 * len(rules) * steps * self._batch * n_hidden * (n_hidden + n_in))
        self.largest_piece = max(1, min(largest, _DRAWN_AT_ONCE // numbers))
        self._rng = random_stream(job.seeds[seed_place], "inputs")
        linear = job.plasticity.units.linear
        work_space: Callable[..., Any] = sampled.work_space if linear else nonlinear.work_space
        units = n_hidden if linear else job.plasticity.units.in_kernel(n_hidden)
        self._work = [
            work_space(member.weights, member.kernel_rule, member.carrier, units, steps, self._batch, loss_kind)
            for member in self.members
        ]
        teacher = job.teacher
        teacher_place = layout.single_layout(teacher.n_out, teacher.n_hidden, teacher.n_in)
        _, self._teacher = teacher_place.zeros()
        teacher_place.put(self._teacher, 0, student_matrices(teacher))
        self._teacher_hidden = np.empty((steps + 1, teacher.n_hidden, self._batch))
        self._inputs = np.zeros((self.largest_piece, steps, n_in, self._batch))
        self._targets = np.empty((self.largest_piece, 1 if job.loss == "final" else steps, teacher.n_out, self._batch))

    def _draw(self, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
        inputs = self._inputs[:count]
        if self._batch == self._samples:
            self._rng.standard_normal(out=inputs)
        else:
            inputs[..., : self._samples] = self._rng.standard_normal((*inputs.shape[:-1], self._samples))
        loop.teacher_targets(self._teacher, inputs, self._teacher_hidden, self._targets[:count])
        return inputs, self._targets[:count]

    def advance(self, count: int, learn: bool, record: Any) -> None:
        inputs, targets = self._draw(max(count, 1))
        for member, work in zip(self.members, self._work, strict=True):
            if member.running:
                of_member = member.weights, member.kernel_rule
                if self.job.plasticity.units.linear:
                    loop.train_sampled(
                        inputs, learn, *of_member, targets, float(self._samples), work, member.update, member.learner
                    )
                else:
                    pupil = loop.Pupil(*of_member, work, member.update)
                    loop.train_nonlinear(inputs, targets, float(self._samples), learn, pupil, member.learner)
                if record is not None:
                    member.losses[record] = member.learner.loss


def expected_blocks(job: Job) -> list[Later]:
    """Blocks of a job with expected updates, built one after another as threads take them up."""
    together = layout.layout_for(*job.sizes).networks
    places = range(len(job.seeds))
    groups = [list(places[start : start + together]) for start in range(0, len(places), together)]
    return [Later(_ExpectedBlock, job, rule, group) for rule in range(len(job.rules)) for group in groups]


def sampled_blocks(job: Job, threads: int) -> list[Later]:
    """Blocks of a job with sampled updates: rules share a block, and its batches, unless threads would stay idle."""
    parts = min(len(job.rules), -(-threads // len(job.seeds)))
    rules = [list(range(part, len(job.rules), parts)) for part in range(parts)]
    return [Later(_SampledBlock, job, seed, group) for seed in range(len(job.seeds)) for group in rules]


class Later:
    """A block that allocates its memory when it runs."""

    def __init__(self, kind: Callable[..., Block], *arguments: Any) -> None:
        self._kind, self._arguments = kind, arguments

    def run(self, results: Results, bar: Any, stop: Stop) -> None:
        """Build the block and run it."""
        if not stop.is_set():
            self._kind(*self._arguments).run(results, bar, stop)
