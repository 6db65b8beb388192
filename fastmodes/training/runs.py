"""Runs of a training job, in blocks that threads work on: their weights and losses at every recorded epoch.

Expected updates: one rule and up to eight seeds side by side, or one seed. Sampled updates: one seed and several rules,
which read the same batches, drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.arrays import layout
from ..kernels.training import loop
from ..kernels.updates import recursion
from ..networks.running import impulse_response
from ..updates.one import loss_weights
from . import sampled_kernels
from .block_networks import HeldOut, Networks, finish
from .noise import with_noise
from .sequences import Nothing, Sequences, Source, held_out_set, source_of, training_set

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..interrupts import Stop
    from .left import Resumed
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


class _LossOn:
    """Measures the loss on a set of sequences."""

    def __init__(self, job: Job, sequences: Sequences) -> None:
        self._job, self._samples = job, sequences.sizes[0]
        self._inputs, self._targets = sequences.in_kernel()

    def losses(self, weights: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Mean loss on the sequences along a history of (A, W, B); NaN where the weights are."""
        job = self._job
        place = layout.single_layout(*job.sizes[:2], self._inputs.shape[1])
        _, network = place.zeros()
        hidden = np.empty((job.steps + 1, job.sizes[1], self._inputs.shape[2]))
        errors = np.empty_like(self._targets)
        out = np.empty(len(weights[0]))
        for record, matrices in enumerate(zip(*weights, strict=True)):
            place.put(network, 0, self._noisy(matrices) if job.surroundings.private else matrices)
            batch = self._inputs, self._targets
            out[record] = sampled_kernels.batch_loss(
                job.plasticity.units, network, batch, float(self._samples), hidden, errors
            )
        return out

    def _noisy(self, matrices: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
        """The network with a channel for every unit's noise."""
        readout, recurrent, input_ = matrices
        noise = self._job.surroundings.private * np.eye(len(input_))
        return readout, recurrent, np.concatenate([input_, noise], axis=1)


class Block:
    """Networks that are trained together from one recorded epoch to the next."""

    #: Epochs made at a time, at most.
    largest_piece: int
    #: What it reads.
    source: Source = Nothing()

    def __init__(self, job: Job, members: list[Networks]) -> None:
        self.job = job
        self.members = members
        self._recorded = 0
        self._begin = 0

    def run(self, results: Results, bar: Any, stop: Stop) -> None:
        """Train to the end and hand the histories to ``results``, or train until the stop sign."""
        if self._learn(bar, stop):
            self.hand_over(results)
            results.begun.discard(self)

    def left(self) -> dict[tuple[int, int], Resumed]:
        """The runs by their places (rule, seed), as they were at the last record; safe to call while they go on."""
        return {place: left for member in self.members for place, left in member.left().items()}

    def hand_over(self, results: Results) -> None:
        """Hand the histories, as far as they are known, to ``results``."""
        left = self.left()
        for seed in self.members[0].seed_places:
            measures = {"validation_loss": self.held_out(seed), "training_loss": self.learned_from(seed)}
            known = {k: v for k, v in measures.items() if v is not None}
            for member in self.members:
                run = left.get((member.rule, seed))
                if run is not None and run.history:
                    recorded = self._recorded if run.status else len(run.history)
                    finish(self.job, results, (member.rule, seed), run, known, recorded)

    def restore(self) -> None:
        """Put a run that goes on, which has a block of its own, where it was left."""
        (member, *_), job = self.members, self.job
        left = job.resumed.get((member.rule, member.seed_places[0]))
        if left is not None:
            member.restore(left)
            self.source.go_to(left.epoch, left.stream)
            self._begin, self._recorded = left.epoch, int(np.count_nonzero(job.records < left.epoch))

    def _learn(self, bar: Any, stop: Stop) -> bool:
        """Train to the end; False if the stop sign came before."""
        job, runs = self.job, sum(len(member.seed_places) for member in self.members)
        bar.update(self._begin * runs)
        for record, epoch in enumerate(job.records):
            following = int(job.records[min(record + 1, len(job.records) - 1)])
            ahead, first = following - max(int(epoch), self._begin), epoch >= self._begin
            if not first and ahead <= 0:
                continue
            for member in self.members if first else ():
                member.record_weights()
                member.save(int(epoch), self.source.state())
            for count in self._pieces(ahead):
                if stop.is_set():
                    return False
                self.advance(count, ahead > 0, np.s_[record] if first else None)
                if first:
                    self._publish(record + 1)
                first = False
                bar.update(count * runs)
            if not any(member.running for member in self.members):
                bar.update((job.epochs - max(int(epoch), self._begin) - ahead) * runs)
                self._publish(len(job.records))
                break
        return True

    def _publish(self, recorded: int) -> None:
        """Let others know of the records that are known by now."""
        self._recorded = recorded
        for member in self.members:
            member.publish(recorded)

    def advance(self, count: int, learn: bool, record: Any) -> None:
        """Make ``count`` epochs; the first one's loss goes to ``record`` unless that is None."""
        raise NotImplementedError

    def held_out(self, seed_place: int) -> HeldOut:
        """What measures the validation loss of one seed."""
        return _LossOn(self.job, with_noise(self.job, seed_place, "validation", held_out_set(self.job, seed_place)))

    def learned_from(self, seed_place: int) -> HeldOut | None:
        """What measures the loss on all that one seed learns from, where that is a finite set."""
        if self.job.data is None:
            return None
        return _LossOn(self.job, with_noise(self.job, seed_place, "training", training_set(self.job, seed_place)))

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
        drive, teacher = job.surroundings.expected(n_in, job.steps), job.teacher
        weights = loss_weights(job.loss, job.steps)
        if drive is not None:
            member.see(drive, job, job.surroundings.added_loss(n_out))
            teacher, weights = drive.teacher(teacher, n_hidden), drive.weights(job.loss, job.steps, n_hidden)
        steps, larger = len(weights), member.larger
        self._target = larger.layout.input_like(impulse_response(teacher, steps))
        # Weights of their own for each channel lie as the target does.
        self._weights = weights if weights.ndim == 1 else larger.layout.input_like(weights[:, np.newaxis])[:, 0].copy()
        self._work = recursion.work_space(larger.network, larger.carrier, steps)

    def advance(self, count: int, learn: bool, record: Any) -> None:
        (member,) = self.members
        if not member.running:
            return
        loop.train_expected(
            max(count, 1), learn, member.larger.network, member.kernel_rule, self._target, self._weights, self._work,
            member.larger.update, member.learner, member.larger.seen,
        )  # fmt: skip
        if record is not None:
            member.losses[record] = member.learner.loss[: len(member.seed_places)]


class _SampledBlock(Block):
    """One seed, several rules on the same batches."""

    def __init__(self, job: Job, seed_place: int, rules: Sequence[int]) -> None:
        place = layout.single_layout(*job.sizes)
        super().__init__(job, [Networks(job, place, rule, [seed_place]) for rule in rules])
        steps, (_, n_hidden, n_in) = job.steps, job.sizes
        for member in self.members:
            member.see(job.surroundings.sampled(n_in), job)
        n_in += n_hidden * (job.surroundings.private > 0)
        self._samples, self._batch = job.batch_size, layout.padded(job.batch_size)
        numbers = steps * n_in * self._batch
        largest = _epochs_at_once(4 * len(rules) * steps * self._batch * n_hidden * (n_hidden + n_in))
        self.largest_piece = max(1, min(largest, _DRAWN_AT_ONCE // numbers))
        self.source = source_of(job, seed_place, self.largest_piece)
        self._work = [sampled_kernels.work_space(job, member, self._batch) for member in self.members]

    def advance(self, count: int, learn: bool, record: Any) -> None:
        batches = self.source.draw(max(count, 1))
        for member, work in zip(self.members, self._work, strict=True):
            if member.running:
                units, samples = self.job.plasticity.units, float(self._samples)
                sampled_kernels.train(units, member, work, max(count, 1), learn, batches, samples)
                if record is not None:
                    member.losses[record] = member.learner.loss


def expected_blocks(job: Job) -> list[Later]:
    """Blocks of a job with expected updates, built one after another as threads take them up."""
    together = 1 if job.goes_on else layout.layout_for(*job.sizes).networks
    places = range(len(job.seeds))
    groups = [list(places[start : start + together]) for start in range(0, len(places), together)]
    blocks = [(rule, group) for rule in range(len(job.rules)) for group in groups]
    return [Later(_ExpectedBlock, job, rule, group) for rule, group in blocks if (rule, group[0]) not in job.done]


def sampled_blocks(job: Job, threads: int) -> list[Later]:
    """Blocks of a job with sampled updates: rules share a block, and its batches, unless threads would stay idle."""
    parts = len(job.rules) if job.goes_on else min(len(job.rules), -(-threads // len(job.seeds)))
    rules = [list(range(part, len(job.rules), parts)) for part in range(parts)]
    blocks = [(seed, group) for seed in range(len(job.seeds)) for group in rules]
    return [Later(_SampledBlock, job, seed, group) for seed, group in blocks if (group[0], seed) not in job.done]


class Later:
    """A block that allocates its memory when it runs."""

    def __init__(self, kind: Callable[..., Block], *arguments: Any) -> None:
        self._kind, self._arguments = kind, arguments

    def run(self, results: Results, bar: Any, stop: Stop) -> None:
        """Build the block and run it."""
        if not stop.is_set():
            block = self._kind(*self._arguments)
            block.restore()
            results.begun.add(block)
            results.waiting.discard(self)
            block.run(results, bar, stop)

    def hand_over(self, results: Results) -> None:
        """Hand over what is known of runs that were to go on, and have not."""
        block = self._kind(*self._arguments)
        block.restore()
        block.hand_over(results)
