"""A run as it was left: what a block hands over, a file keeps and another block goes on from."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..learning_rule import LearningRule
    from .settings import Job


@dataclasses.dataclass(frozen=True)
class Resumed:
    """One run as it was left.

    Attributes
    ----------
    epoch : int
        Where it goes on; after the last one for a run that has ended.
    status, epochs_made, loss : int, int, float
        The last loss, of a run that has ended.
    state, stream : array (state,), (4,)
        Trained weights, moments and feedback, all flat, and the random stream.
    losses : array (epoch,)
        Losses of the records before.
    history : list of tuple of array
        Trained weights of the records before, and R where it learns.
    exact : bool
        Whether the history has every bit; that of leaky networks is made of their own weights elsewhere.
    """

    epoch: int
    status: int
    epochs_made: int
    loss: float
    state: NDArray[np.float64]
    stream: NDArray[np.uint64]
    losses: NDArray[np.float64]
    history: list[tuple[NDArray[np.float64], ...]]
    exact: bool = True

    def matrices(self, job: Job, rule: LearningRule) -> tuple[list[NDArray[np.float64]], NDArray[np.float64] | None]:
        """Trained weights and both of their moments, and what is added to the readout, or R, where it learns."""
        shapes = _shapes(job)
        *parts, given = split(self.state, shapes * 3)
        return parts, given[: math.prod(shapes[0])].reshape(shapes[0]) if rule.learns_feedback else None

    def final(self, job: Job, rule: LearningRule) -> tuple[NDArray[np.float64], ...]:
        """(A, W, B) as they were left, and R where it learns."""
        matrices, given = self.matrices(job, rule)
        weights = tuple(matrices[:3])
        if given is None:
            return weights
        return (*weights, given + weights[0] if rule.feedback == "kolen_pollack" else given)


def split(flat: NDArray[Any], shapes: list[tuple[int, int]]) -> list[NDArray[Any]]:
    """Matrices out of one flat array, and what comes after them."""
    *parts, rest = np.split(flat, np.cumsum([math.prod(shape) for shape in shapes]))
    return [*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)), rest]


def _shapes(job: Job) -> list[tuple[int, int]]:
    n_out, n_hidden, n_in = job.sizes
    return [(n_out, n_hidden), (n_hidden, n_hidden), (n_hidden, n_in)]


def history_shapes(job: Job, rule: LearningRule) -> list[tuple[int, int]]:
    """Shapes of what one record of a run holds."""
    shapes = _shapes(job)
    return [*shapes, shapes[0]] if rule.learns_feedback else shapes
