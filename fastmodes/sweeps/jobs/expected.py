"""The job "expected": exact expected updates of random students, as norms and as their agreement with the gradient."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr

from ...networks.random import random_feedback, random_student
from ...rules import bptt
from ...updates.one import Update, expected_update
from ..plan.parameters import (
    FIXED,
    Count,
    NotNegative,
    Seed,
    Steps,
    TeacherParameters,
    rule_of,
    teacher_of,
    teacher_units,
)  # fmt: skip
from ..plan.points import Points
from .registry import Job, register

VARIABLES = ("loss", "update_readout_norm", "update_recurrent_norm", "update_input_norm", "gradient_cosine")


class ExpectedParameters(TeacherParameters):
    """A random student (``hidden``, ``seed``, ``init_scale``) with random feedback (``feedback_scale``)."""

    hidden: Count = 8
    seed: Seed = 0
    steps: Steps = 50
    loss: Annotated[Literal["final", "sequence"], FIXED] = "final"
    init_scale: NotNegative = 1.0
    feedback_scale: NotNegative = 1.0


def compute(points: Points) -> xr.Dataset:
    """Loss, Frobenius norms of Delta A, W, B, and the cosine between the whole update and BPTT's, at every point."""
    results = np.empty((points.size, len(VARIABLES)))
    shared = [name for name in ExpectedParameters.model_fields if name not in ("rule", "decay", "horizon")]
    for values, piece in points.groups(*shared):
        teacher = teacher_of(values)
        student = random_student(values["hidden"], teacher, scale=values["init_scale"], seed=values["seed"])
        feedback = random_feedback(student, scale=values["feedback_scale"], seed=values["seed"])
        gradient = expected_update(bptt(), student, teacher, values["steps"], loss=values["loss"])
        for place in np.arange(points.size)[piece]:
            rule = rule_of({name: points.value_at(name, place) for name in ("rule", "decay", "horizon")})
            update = expected_update(
                rule, student, teacher, values["steps"],
                feedback=feedback if rule.reads_feedback else None, loss=values["loss"],
            )  # fmt: skip
            with np.errstate(all="ignore"):
                norms = [np.linalg.norm(part) for part in update[1:]]
                results[place] = update.loss, *norms, _cosine(update, gradient)
    return xr.Dataset({name: ("point", results[:, i]) for i, name in enumerate(VARIABLES)})


def _cosine(one: Update, other: Update) -> float:
    first, second = (np.concatenate([part.ravel() for part in update[1:]]) for update in (one, other))
    size = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / size) if size > 0 else np.nan


def _seconds(parameters: Mapping[str, Any]) -> float:
    steps, n = min(float(parameters["steps"]), 1e4), parameters["hidden"]
    return float(1e-3 + 3e-9 * steps * n * n * (n + 2 * teacher_units(parameters)))


register(Job("expected", ExpectedParameters, VARIABLES, compute, _seconds, lambda parameters: len(VARIABLES)))
