"""The students of a dataset with weights, as arrays by rule, seed and record, and what they learned."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from fastmodes.networks.leaky import MATRICES
from fastmodes.networks.network import LinearRNN
from fastmodes.networks.units import refuse_nonlinear
from fastmodes.training.quality import Problem
from fastmodes.training.snapshots import WEIGHTS
from fastmodes.training.surroundings import refuse_surroundings

from .checks import check_dataset, rules_of, stored_configuration

if TYPE_CHECKING:
    from fastmodes.rules import LearningRule
    from fastmodes.typing import FloatArray


_COMMANDS = ("train", "train_tasks", "matrix_flow")


class Recorded(NamedTuple):
    """Students of all rules, seeds and records of a dataset.

    ``along`` is the dim of the records, "epoch" or "time"; ``weights`` A, W, B (rule, seed, record, ., .);
    ``feedback`` R (rule, seed, record, output, unit), NaN or unread where a rule reads none; ``learns`` (rule, seed,
    matrix) is 0 where a matrix was frozen, ``mask`` None or 0 where an entry of W was.
    """

    rules: tuple[LearningRule, ...]
    along: str
    problem: Problem
    weights: tuple[FloatArray, ...]
    feedback: FloatArray
    learns: FloatArray
    mask: FloatArray | None

    def runs(self) -> Iterator[tuple[int, int]]:
        """Places of all runs, (rule, seed)."""
        return iter(np.ndindex(self.learns.shape[:2]))

    def learning(self, rule: int, seed: int) -> list[Any]:
        """0 where a weight of A, W, B stayed as it was; numbers or arrays that broadcast."""
        readout, recurrent, input_ = self.learns[rule, seed]
        return [readout, recurrent if self.mask is None else recurrent * self.mask, input_]


def recorded(runs: xr.Dataset, name: str = "runs") -> Recorded:
    """Read the students of a dataset.

    Parameters
    ----------
    runs : xarray.Dataset
        From :func:`fastmodes.train` or :func:`fastmodes.matrix_flow` with ``keep_weights=True``, or one phase of
        :func:`fastmodes.train_tasks`; any part of it, in any order.
    name : str
        What errors call it.

    Raises
    ------
    TypeError, ValueError
        If it holds no weights, or its students have no exact gradient: nonlinear units, sequences of the user's own.
    """
    check_dataset(runs, name=name)
    along = "time" if "time" in runs.dims and "epoch" not in runs.dims else "epoch"
    check_dataset(runs, (*WEIGHTS, "feedback_weights", "rule", "seed"), ("rule", "seed", along), name=name)
    configuration = _configuration(runs, name)
    order = ("rule", "seed", along)
    return Recorded(
        rules=rules_of(runs, configuration),
        along=along,
        problem=_problem(runs, configuration),
        weights=tuple(runs[name].transpose(*order, *dims).values for name, dims in WEIGHTS.items()),
        feedback=_feedback(runs, order),
        learns=_learns(runs, configuration),
        mask=None if configuration.get("mask") is None else np.array(configuration["mask"], dtype=float),
    )


def _configuration(runs: xr.Dataset, name: str) -> dict[str, Any]:
    """The configuration, of students that have an exact gradient."""
    configuration = stored_configuration(runs)
    if configuration.get("command") not in _COMMANDS:
        raise ValueError(f"{name} must be of train, train_tasks or matrix_flow; its configuration says otherwise")
    refuse_nonlinear(configuration.get("nonlinearity", "identity"), f"the exact gradient of {name}")
    refuse_surroundings(configuration, f"the exact gradient of {name}")
    if isinstance(configuration.get("data"), dict):
        raise ValueError(
            f"{name} must have learned from a teacher: of sequences of your own, data=(inputs, targets), the law "
            "is not known, and so no exact gradient"
        )
    return configuration


def _problem(runs: xr.Dataset, configuration: dict[str, Any]) -> Problem:
    if configuration["command"] == "train_tasks":
        matrices = configuration["teachers"][int(runs["phase_task"])]
    else:
        matrices = configuration["teacher"]
    steps, sampled = configuration.get("steps", "inf"), configuration.get("updates") == "sampled"
    return Problem(
        LinearRNN(**{name: np.array(matrices[name], dtype=float) for name in MATRICES}),
        math.inf if steps == "inf" else steps, configuration.get("loss", "final"), configuration.get("leak", 1.0),
        configuration["batch_size"] if sampled else math.nan, configuration.get("target_noise", 0.0),
        configuration.get("feedback_noise", 0.0),
    )  # fmt: skip


def _feedback(runs: xr.Dataset, order: tuple[str, ...]) -> FloatArray:
    """R of every rule and seed at every record: the rule's own where it has one, or the seed's."""
    shape = {dim: runs[dim] for dim in order}
    seeds = runs["feedback_weights"].expand_dims({dim: runs.sizes[dim] for dim in shape if dim != "seed"})
    given = seeds.transpose(*order, "output", "unit").values
    if "learned_feedback_weights" not in runs:
        return np.array(given)
    own = runs["learned_feedback_weights"].transpose(*order, "output", "unit").values
    # Rules that read the seed's R have no own one at any record; those that have lost theirs had one at the first.
    has = np.isfinite(own).all((-2, -1)).any(axis=2)[:, :, np.newaxis, np.newaxis, np.newaxis]
    return np.where(has, own, given)


def _learns(runs: xr.Dataset, configuration: dict[str, Any]) -> FloatArray:
    """1 or 0 for every rule, seed and matrix, by the labels of the runs."""
    rates = configuration.get("learning_rate", configuration.get("rates"))
    names, seeds = (np.atleast_1d(runs[dim].values).tolist() for dim in ("rule", "seed"))
    learns = np.ones((len(names), len(seeds), len(MATRICES)))
    if not isinstance(rates, dict):
        return learns
    if "rates" in configuration:
        return learns * [float(rates[name] > 0) for name in MATRICES]
    stored = [rule["name"] for rule in configuration["rules"]]
    places = np.ix_([stored.index(name) for name in names], [configuration["seeds"].index(seed) for seed in seeds])
    return np.stack([np.array(rates[name])[places] > 0 for name in MATRICES], axis=-1).astype(float)
