"""Noise beside the sequences that sampled training reads: of hidden units, of R, and of targets (theory section 15).

Each has a random stream of its own for every seed: what is drawn for one never depends on whether others are drawn, and
is the same for all rules.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.arrays import layout
from ..streams import random_stream, stream_state, with_state

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .sequences import Batches, Sequences, Source
    from .settings import Job

#: Numbers that tell where a random stream stands.
WORDS = 4


def _kinds(job: Job) -> list[str]:
    """Which noise is drawn anew for every update."""
    given, around = job.data is not None, job.surroundings
    there = {"private": around.private, "feedback": around.feedback, "target": 0.0 if given else around.target}
    return [kind for kind, deviation in there.items() if deviation and job.updates == "sampled"]


def streams_of(job: Job) -> int:
    """Random streams that one run reads: of sequences, and of noise."""
    return 1 + len(_kinds(job))


def add_target_noise(job: Job, seed: int, purpose: str, targets: NDArray[np.float64]) -> None:
    """Noise of a finite set's targets, drawn once."""
    if deviation := job.surroundings.target:
        targets += deviation * random_stream(seed, f"{purpose} target noise").standard_normal(targets.shape)


def with_noise(job: Job, seed_place: int, purpose: str, sequences: Sequences) -> Sequences:
    """Sequences on which a loss is measured, with channels of hidden units' noise beside their inputs."""
    if not job.surroundings.private:
        return sequences
    stream = random_stream(job.seeds[seed_place], f"{purpose} private noise")
    noise = stream.standard_normal((*sequences.inputs.shape[:2], job.sizes[1]))
    return dataclasses.replace(sequences, inputs=np.concatenate([sequences.inputs, noise], axis=2))


class WithNoise:
    """Batches of another source, with noise beside them."""

    def __init__(self, source: Source, job: Job, seed_place: int, at_once: int) -> None:
        self._source, self._around, self._samples = source, job.surroundings, job.batch_size
        self._streams = {kind: random_stream(job.seeds[seed_place], f"{kind} noise") for kind in _kinds(job)}
        (n_out, n_hidden, self._n_in), batch = job.sizes, layout.padded(job.batch_size)
        if "private" in self._streams:
            self._wide = np.zeros((at_once, job.steps, self._n_in + n_hidden, batch))
        self._feedback_shape = n_out, n_hidden

    def draw(self, count: int) -> Batches:
        """Batches of the next ``count`` updates."""
        batches, own = self._source.draw(count), np.s_[..., : self._samples]
        for kind, stream in self._streams.items():
            if kind == "private":
                # A finite set that fills one batch is read again and again, its noise is not.
                wide = self._wide[:count]
                wide[:, :, : self._n_in] = batches.inputs
                noise = wide[:, :, self._n_in :]
                noise[own] = stream.standard_normal(noise[own].shape)
                batches = batches._replace(inputs=wide)
            elif kind == "feedback":
                noise = self._around.feedback * stream.standard_normal((count, *self._feedback_shape))
                batches = batches._replace(feedback_noise=noise)
            else:
                batches.targets[own] += self._around.target * stream.standard_normal(batches.targets[own].shape)
        return batches

    def state(self) -> NDArray[np.uint64]:
        """Where the random streams stand, (4 times their number,)."""
        return np.concatenate([self._source.state(), *map(stream_state, self._streams.values())])

    def go_to(self, epochs: int, state: NDArray[np.uint64]) -> None:
        """Continue after ``epochs`` updates, where the streams stood at ``state``."""
        first, *others = np.split(np.asarray(state), 1 + len(self._streams))
        self._source.go_to(epochs, first)
        for stream, words in zip(self._streams.values(), others, strict=True):
            with_state(stream, words)


def beside(source: Source, job: Job, seed_place: int, at_once: int) -> Any:
    """The source with noise beside it, where there is some."""
    return WithNoise(source, job, seed_place, at_once) if _kinds(job) else source
