"""The job "train": :func:`fastmodes.train` at every point of a grid."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import create_model

from ...rules import LearningRule
from ...training.parameters import TRAIN
from ...training.quality import QUALITY
from ...training.train import train
from ..plan.parameters import Seed, TeacherParameters, fields_of, rule_of, teacher_of, teacher_units
from ..plan.points import Piece, Points
from .registry import Job, register

VARIABLES = (
    "loss", "validation_loss", "status", "epochs_made", "mode_recurrent", "mode_readout", "mode_input",
    "mode_feedback", "mode_is_complex", "alignment_recurrent", "alignment_readout", "alignment_input",
    "alignment_feedback", "eigenvalue_real", "eigenvalue_imag", "singular_value", "change_eigenvalue_real",
    "change_eigenvalue_imag", "change_singular_value",
)  # fmt: skip


_TAKEN = fields_of(TRAIN)

TrainParameters = create_model(
    "TrainParameters",
    __base__=TeacherParameters,
    __doc__="Those of fastmodes.train; recorded at the first and last epoch unless ``record_every`` says more.",
    __module__=__name__,
    seed=(Seed, 0),
    **_TAKEN,
)


def compute(points: Points) -> xr.Dataset:
    """Train at every point; points that share all but rule and seed are trained by one call."""
    shared = [name for name in TrainParameters.model_fields if name not in ("rule", "seed")]
    in_one = points.largest("teacher", key=lambda teacher: 0 if teacher is None else teacher.network.n_hidden)
    sizes = {"unit": points.largest("hidden"), "mode": in_one or points.largest("teacher_recurrent", key=len)}
    collected = Collected(points, sizes)
    for values, piece in points.groups(*shared):
        for rules, seeds, places in _rectangles(points, piece):
            passed = {name: values[name] for name in _TAKEN} | {
                "record_every": values["record_every"] or values["epochs"],
                "adam_betas": tuple(values["adam_betas"]),
                "gradient_quality": not set(QUALITY).isdisjoint(points.plan.record),
            }
            rules = [rule_of(values | {"rule": rule}) for rule in rules]
            trained = train(rules, teacher_of(values), seeds=seeds, progress=False, **passed)
            collected.put(places, trained)
    return collected.dataset()


def _rectangles(points: Points, piece: Piece) -> Iterator[tuple[list[LearningRule], list[int], NDArray[np.int64]]]:
    """A piece as calls: rules, seeds, and the points' positions (rule, seed); one call if all pairs are there."""
    places = np.arange(points.size)[piece]
    rules: dict[LearningRule, NDArray[np.int64]] = {}
    for values, positions in points.groups("rule"):
        inside = np.intersect1d(np.arange(points.size)[positions], places)
        if len(inside):
            rules[values["rule"]] = inside
    seeds = np.broadcast_to(points.values("seed"), points.size)
    lists = {rule: tuple(seeds[inside].tolist()) for rule, inside in rules.items()}
    for chosen in dict.fromkeys(lists.values()):
        alike = [rule for rule, own in lists.items() if own == chosen]
        yield alike, list(chosen), np.stack([rules[rule] for rule in alike])


class Collected:
    """Results of several calls on one row of points; axes shorter than the plan's longest are filled up with NaN."""

    def __init__(self, points: Points, sizes: Mapping[Any, int]) -> None:
        self.points, self.sizes = points, sizes
        self.arrays: dict[str, NDArray[Any]] = {}
        self.variables: dict[str, tuple[tuple[Any, ...], dict[Any, Any]]] = {}
        self.coords: dict[Any, xr.Variable] = {}

    def put(self, places: NDArray[np.int64], trained: xr.Dataset) -> None:
        """Take the results of one call; ``places`` (rule, seed) are its points."""
        for name in self.points.plan.record:
            variable = trained.variables[name]
            extra = variable.dims[2:]
            values = variable.values
            if values.dtype.kind == "i" and values.dtype.itemsize > 4:
                values = values.astype(np.int32)
            if name not in self.arrays:
                shape = [self.sizes.get(dim, trained.sizes[dim]) for dim in extra]
                missing = np.nan if values.dtype.kind == "f" else -1
                self.arrays[name] = np.full((self.points.size, *shape), missing, values.dtype)
                self.variables[name] = extra, variable.attrs
            inner: tuple[Any, ...] = tuple(slice(0, trained.sizes[dim]) for dim in extra)
            self.arrays[name][(places, *inner)] = values
        if not self.coords:
            self.coords = {"epoch": trained["epoch"].variable.astype(np.int32)}
            if all(name in self.points.fixed for name in TeacherParameters.model_fields if "teacher" in name):
                self.coords |= {k: c.variable for k, c in trained.coords.items() if str(k).startswith("teacher")}

    def dataset(self) -> xr.Dataset:
        """Everything on dim ``point``."""
        variables = {
            name: (("point", *extra), self.arrays[name], attributes)
            for name, (extra, attributes) in self.variables.items()
        }
        used = {dim for extra, _ in self.variables.values() for dim in extra}
        numbered = {dim: (dim, np.arange(size, dtype=np.int32)) for dim, size in self.sizes.items() if dim in used}
        return xr.Dataset(variables, coords=numbered | {k: v for k, v in self.coords.items() if set(v.dims) & used})


def _seconds(parameters: Mapping[str, Any]) -> float:
    """Rough cost of one point on one core, from the operations of its updates."""
    steps = min(float(parameters["steps"]), 100.0)
    n, ends = parameters["hidden"], 2 * teacher_units(parameters)
    batch = 1 if parameters["updates"] == "expected" else (parameters["batch_size"] or 32) / n
    return float(2e-3 + parameters["epochs"] * (2e-6 + 3e-10 * 6 * steps * batch * n * n * (n + ends)))


def _numbers(parameters: Mapping[str, Any]) -> int:
    every = parameters["record_every"] or parameters["epochs"]
    records = 2 + parameters["epochs"] // every
    return int(records * (8 + 5 * teacher_units(parameters) + 6 * parameters["hidden"]))


def _shorten(fixed: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """A hundredth of the epochs where as many records remain."""
    epochs, every = fixed["epochs"], fixed["record_every"] or fixed["epochs"]
    for factor in (100, 50, 20, 10, 5, 2):
        if every % factor == 0 and epochs % factor == 0 and epochs // factor >= 20:
            return {"epochs": epochs // factor, "record_every": every // factor}, float(factor)
    return {}, 1.0


register(Job("train", TrainParameters, VARIABLES, compute, _seconds, _numbers, _shorten, tuple(QUALITY)))
