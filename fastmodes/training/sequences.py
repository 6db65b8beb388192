"""The sequences that sampled training reads: drawn anew for every update, or a finite set, drawn once or given.

Arrays lie as the kernels read them, the sample last: inputs (.., time, input, sample), padded with zero sequences, and
targets (.., 1 or time, output, sample), one step for the final loss.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from ..kernels.arrays import layout
from ..kernels.training import loop
from ..kernels.training.seen import Filter, colour_batches
from ..networks.running import batch_first_to_last
from ..streams import random_stream, stream_state, with_state
from ..updates.one import student_matrices, teacher_outputs
from .noise import add_target_noise, beside

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from .settings import Job


@dataclasses.dataclass(frozen=True)
class Sequences:
    """A finite set: ``inputs`` (sample, time, input) and ``targets`` (sample, 1 or time, output)."""

    inputs: NDArray[np.float64]
    targets: NDArray[np.float64]

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """(sequences, steps, n_in, n_out)."""
        return *self.inputs.shape, self.targets.shape[-1]

    def digest(self) -> str:
        """SHA-256 of all numbers."""
        return hashlib.sha256(self.inputs.tobytes() + self.targets.tobytes()).hexdigest()

    def part(self, first: int, last: int) -> Sequences:
        """The sequences from ``first`` up to ``last``."""
        return Sequences(self.inputs[first:last], self.targets[first:last])

    def in_kernel(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Inputs and targets with the sample last, padded."""
        return batch_first_to_last(self.inputs), batch_first_to_last(self.targets)


def drawn_once(job: Job, seed: int, purpose: str, samples: int) -> Sequences:
    """A finite set of Gaussian sequences and the teacher's answers, of one seed."""
    colouring = Colouring.of(job)
    rows = (job.steps, job.sizes[2]) if colouring is None else (colouring.rows, 1)
    inputs = random_stream(seed, purpose).standard_normal((samples, *rows))
    batch = batch_first_to_last(inputs)
    if colouring is not None:
        batch = colouring.coloured(batch[np.newaxis, :, 0], np.empty((1, job.steps, job.sizes[2], batch.shape[2])))[0]
        inputs = np.ascontiguousarray(batch[..., :samples].transpose(2, 0, 1))
    answers = teacher_outputs(job.teacher, batch, job.loss)
    targets = np.ascontiguousarray(answers[..., :samples].transpose(2, 0, 1))
    add_target_noise(job, seed, purpose, targets)
    return Sequences(inputs, targets)


class Colouring(NamedTuple):
    """Makes sequences of white numbers (epoch, row, sample), the ``rows`` of the start first, then step after step."""

    filter: Filter
    rows: int

    @staticmethod
    def of(job: Job) -> Colouring | None:
        """That of a job; None where its input is white."""
        if job.surroundings.white:
            return None
        drive = job.surroundings.source(job.sizes[2])
        matrices = drive.state, drive.drive, drive.output, drive.direct, drive.start
        rows = drive.start.shape[1] + job.steps * drive.direct.shape[1]
        return Colouring(Filter(*map(np.ascontiguousarray, matrices)), rows)

    def coloured(self, white: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
        """Sequences (epoch, time, input, sample) in ``out``."""
        colour_batches(self.filter, np.ascontiguousarray(white), out)
        return out


class Batches(NamedTuple):
    """What updates read: ``inputs`` and ``targets`` of each, and noise of R (epoch, n_out, n_hidden), empty if none."""

    inputs: NDArray[Any]
    targets: NDArray[Any]
    feedback_noise: NDArray[Any] = np.zeros((0, 0, 0))


class Source(Protocol):
    """Gives batches one after the other."""

    def draw(self, count: int) -> Batches:
        """Inputs and targets of the next ``count`` updates, or of fewer, to be read round and round."""

    def state(self) -> NDArray[np.uint64]:
        """Where the random streams stand, four numbers each."""

    def go_to(self, epochs: int, state: NDArray[np.uint64]) -> None:
        """Continue after ``epochs`` updates, where a stream stood at ``state``."""


class Nothing:
    """Expected updates read no sequences."""

    def draw(self, count: int) -> Batches:
        """None there are."""
        raise NotImplementedError

    def state(self) -> NDArray[np.uint64]:
        """Nothing moves."""
        return np.zeros(4, dtype=np.uint64)

    def go_to(self, epochs: int, state: NDArray[np.uint64]) -> None:
        """Nothing to move."""


class DrawnAnew:
    """Gaussian sequences and the teacher's answers, new ones for every update."""

    def __init__(self, job: Job, seed_place: int, at_once: int) -> None:
        self._samples, self._batch = job.batch_size, layout.padded(job.batch_size)
        self._rng = random_stream(job.seeds[seed_place], "inputs")
        teacher, steps, n_in = job.teacher, job.steps, job.sizes[2]
        place = layout.single_layout(teacher.n_out, teacher.n_hidden, teacher.n_in)
        _, self._teacher = place.zeros()
        place.put(self._teacher, 0, student_matrices(teacher))
        self._hidden = np.empty((steps + 1, teacher.n_hidden, self._batch))
        self._inputs = np.zeros((at_once, steps, n_in, self._batch))
        self._colouring = Colouring.of(job)
        if self._colouring is not None:
            self._white = np.zeros((at_once, self._colouring.rows, self._batch))
        self._targets = np.empty((at_once, 1 if job.loss == "final" else steps, teacher.n_out, self._batch))

    def draw(self, count: int) -> Batches:
        """Inputs and targets of the next ``count`` updates."""
        inputs = self._inputs[:count]
        drawn = inputs if self._colouring is None else self._white[:count]
        if self._batch == self._samples:
            self._rng.standard_normal(out=drawn)
        else:
            drawn[..., : self._samples] = self._rng.standard_normal((*drawn.shape[:-1], self._samples))
        if self._colouring is not None:
            self._colouring.coloured(drawn, inputs)
        loop.teacher_targets(self._teacher, inputs, self._hidden, self._targets[:count])
        return Batches(inputs, self._targets[:count])

    def state(self) -> NDArray[np.uint64]:
        """Where the random stream stands, (4,)."""
        return stream_state(self._rng)

    def go_to(self, epochs: int, state: NDArray[np.uint64]) -> None:
        """Continue where a stream stood at ``state``."""
        with_state(self._rng, state)


class FiniteSet:
    """Batches of a finite set: all of it, or parts in an order that is drawn anew for every pass, none twice.

    Sequences that do not fill a last batch are left out of a pass.
    """

    def __init__(self, data: Sequences, batch: int, seed: int, at_once: int) -> None:
        self._seed, self._samples = seed, batch
        inputs, targets = data.in_kernel()
        self._count = data.sizes[0]
        self._whole = Batches(inputs[np.newaxis], targets[np.newaxis])
        self._full = batch == self._count
        self._per_pass = self._count // batch
        self._epoch, self._pass, self._order = 0, -1, np.empty(0, dtype=np.int64)
        if not self._full:
            padded = layout.padded(batch)
            self._inputs = np.zeros((at_once, *inputs.shape[:2], padded))
            self._targets = np.zeros((at_once, *targets.shape[:2], padded))

    def draw(self, count: int) -> Batches:
        """Inputs and targets of the next ``count`` updates; the whole set, once, where a batch is all of it."""
        if self._full:
            return self._whole
        for position in range(count):
            chosen = self._next()
            for source, out in zip(self._whole[:2], (self._inputs, self._targets), strict=True):
                np.take(source[0], chosen, axis=-1, out=out[position, ..., : self._samples])
        return Batches(self._inputs[:count], self._targets[:count])

    def _next(self) -> NDArray[np.int64]:
        done, place = divmod(self._epoch, self._per_pass)
        if done != self._pass:
            self._pass, self._order = done, random_stream(self._seed, f"order {done}").permutation(self._count)
        self._epoch += 1
        return self._order[place * self._samples : (place + 1) * self._samples]

    def state(self) -> NDArray[np.uint64]:
        """Nothing: the order follows from seed and pass."""
        return np.zeros(4, dtype=np.uint64)

    def go_to(self, epochs: int, state: NDArray[np.uint64]) -> None:
        """Continue after ``epochs`` updates."""
        self._epoch = epochs


def source_of(job: Job, seed_place: int, at_once: int) -> Source:
    """What a block of one seed reads."""
    source: Source
    if job.data is None:
        source = DrawnAnew(job, seed_place, at_once)
    else:
        source = FiniteSet(training_set(job, seed_place), job.batch_size, job.seeds[seed_place], at_once)
    noisy: Source = beside(source, job, seed_place, at_once)
    return noisy


def training_set(job: Job, seed_place: int) -> Sequences:
    """The finite set of one seed: drawn from the teacher, or the one given, whatever the seed."""
    if isinstance(job.data, int):
        return drawn_once(job, job.seeds[seed_place], "data", job.data)
    assert job.data is not None
    return job.data


def held_out_set(job: Job, seed_place: int) -> Sequences:
    """The sequences of one seed that are never learned from."""
    if job.held_out is not None:
        return job.held_out
    return drawn_once(job, job.seeds[seed_place], "validation", job.validation_size)
