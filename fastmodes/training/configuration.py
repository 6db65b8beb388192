"""A training job as values that JSON has: what a dataset stores of how it was made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..networks.network import LinearRNN
from ..rules import LearningRule, rule_table
from .optimizers import Optimizer
from .parameters import TRAIN
from .plasticity import MATRICES, Plasticity
from .sequences import Sequences
from .surroundings import colour_table


def matrices_of(network: LinearRNN) -> dict[str, Any]:
    """A, W, B by name, as lists."""
    return {field.name: getattr(network, field.name).tolist() for field in dataclasses.fields(network)}


def _listed(values: Any) -> Any:
    return None if values is None else np.asarray(values).tolist()


def configuration_of(
    rules: Sequence[LearningRule],
    values: SimpleNamespace,
    optimizer: Optimizer,
    plasticity: Plasticity,
    data: Sequences | int | None,
) -> dict[str, Any]:
    """Every stored parameter by name, in values that JSON has."""
    stored = {name: getattr(values, name) for name, parameter in TRAIN.items() if parameter.stored}
    return stored | {
        "rules": [rule_table(rule) for rule in rules],
        "teacher": matrices_of(values.teacher) if values.labelled else None,
        "steps": "inf" if values.steps == math.inf else values.steps,
        "batch_size": values.batch_size if values.updates == "sampled" else None,
        "learning_rate": optimizer.learning_rate if plasticity.rates is None else plasticity.table(),
        "momentum": optimizer.momentum or 0.0,
        "schedule": values.schedule if isinstance(values.schedule, str) else _listed(values.schedule),
        "weight_decay": dict(zip(MATRICES, plasticity.decay, strict=True)),
        "input_covariance": _listed(values.input_covariance),
        "colour": colour_table(values.colour),
        "mask": None if plasticity.mask is None else plasticity.mask.tolist(),
        "optimizer": optimizer.name,
        "clip_norm": optimizer.clip_norm,
        "adam_betas": list(optimizer.betas or values.adam_betas),
        "adam_epsilon": optimizer.epsilon or values.adam_epsilon,
        "students": None,
        "feedbacks": None,
        "data": None if data is None else data if isinstance(data, int) else {"sha256": data.digest()},
    }
