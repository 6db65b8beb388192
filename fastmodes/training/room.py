"""The memory that a training job takes at least."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..validation import check_memory
from .results import OWN_FEEDBACK

if TYPE_CHECKING:
    from types import SimpleNamespace

    from ..rules import LearningRule


def _bytes_needed(rules: Sequence[LearningRule], values: SimpleNamespace, steps: int, batch: int) -> float:
    """What a job holds at the very least: students, one run's history and its eigenvectors, sequences, results."""
    teacher, hidden, seeds = values.teacher, values.hidden, len(values.seeds)
    records = values.epochs // values.record_every + 1
    around = teacher.n_out + teacher.n_in
    weights = hidden * (hidden + around)
    own = any(rule.feedback in OWN_FEEDBACK for rule in rules)
    kept = weights + own * teacher.n_out * hidden if values.keep_weights else 0
    history = records * (weights + 4 * hidden * hidden)
    # Noise of hidden units is as large as their states.
    sequences = steps * (hidden * (2 if values.private_noise else 1) + around) * max(batch, values.validation_size)
    results = len(rules) * seeds * records * (6 * hidden + 9 * teacher.n_hidden + kept)
    return 8.0 * (seeds * weights + history + sequences + results)


def check_room(rules: Sequence[LearningRule], values: SimpleNamespace) -> None:
    """Check that a job fits into memory.

    Raises
    ------
    ValueError
        If it does not.
    """
    batch = values.batch_size if values.updates == "sampled" else 1
    timed = 1 if values.steps == math.inf else values.steps
    check_memory(
        _bytes_needed(rules, values, timed, batch), hidden=values.hidden, steps=timed, seeds=len(values.seeds),
        epochs=values.epochs, record_every=values.record_every, batch_size=batch,
        validation_size=values.validation_size,
    )  # fmt: skip
