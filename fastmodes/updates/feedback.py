"""The feedback matrix R that is handed to a rule: checked for every rule, read by those that read one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..networks.random import turned_feedback
from ..validation import check_array, check_sequence, one_by_one

if TYPE_CHECKING:
    from ..networks.network import LinearRNN
    from ..rules import LearningRule
    from ..typing import ArrayLike, Feedbacks, FloatArray

#: More students or seeds than this are a sweep, or a slip of the keyboard.
MOST_SEEDS = 1_000_000


def check_feedback(rule: LearningRule, feedback: ArrayLike | None, n_out: int, n_hidden: int) -> FloatArray | None:
    """The feedback matrix of a rule, or None where the rule reads none: what is given is checked, and left unread.

    Raises
    ------
    TypeError, ValueError
        If it is missing or of the wrong shape.
    """
    if feedback is None:
        if rule.reads_feedback:
            raise ValueError(
                f"feedback must be an array (n_out={n_out}, n_hidden={n_hidden}) for {rule.name}; got None"
            )
        return None
    matrix = check_array("feedback", feedback, (n_out, n_hidden), dims=("n_out", "n_hidden"))
    return matrix if rule.reads_feedback else None


def seed_feedback(rule: LearningRule, student: LinearRNN, feedback: FloatArray) -> FloatArray | None:
    """R with which a rule starts to train a student, or None where it reads none.

    A partly aligned R is made of the seed's random one and the initial readout, so that rules are paired.
    """
    if rule.feedback == "partly_aligned":
        return turned_feedback(student.readout, feedback, rule.cosine or 0.0)
    return feedback if rule.reads_feedback else None


def check_each_feedback(feedbacks: Feedbacks, count: int, kind: str, n_out: int, n_hidden: int) -> list[FloatArray]:
    """R of each of ``count`` students or seeds (``kind``): one matrix, which serves all, or a sequence of them.

    Raises
    ------
    TypeError, ValueError
        If their number or the shape of one differs.
    """
    if isinstance(feedbacks, np.ndarray | xr.DataArray | list | tuple) and _depth(feedbacks) == 2:
        feedbacks = [feedbacks] * count
    feedbacks = one_by_one(feedbacks, "student", "seed")
    listed = check_sequence("feedbacks", feedbacks, "arrays (n_out, n_hidden)", MOST_SEEDS)
    if len(listed) != count:
        raise ValueError(f"feedbacks must hold one array for each of the {count} {kind}, or be one; got {len(listed)}")
    return [check_array("feedback", matrix, (n_out, n_hidden), dims=("n_out", "n_hidden")) for matrix in listed]


def _depth(values: Any) -> int:
    """Axes of an array or of nested sequences, without looking at more than their first entries."""
    depth = 0
    while isinstance(values, list | tuple) and len(values):
        depth, values = depth + 1, values[0]
    return depth + np.ndim(values)
