"""The jobs a sweep can do: name -> parameters, what is recorded, what a point costs, and the function of a block.

A job's function takes :class:`fastmodes.sweeps.plan.points.Points`, a piece of the grid, and returns a Dataset with the
dim ``point``. It computes the whole piece at once and never depends on where the grid was cut.
"""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from ...validation import check_choice
from ..plan.parameters import Parameters
from ..plan.points import Points


@dataclasses.dataclass(frozen=True)
class Job:
    """One kind of work.

    Parameters
    ----------
    name : str
        As written in a plan.
    parameters : type
        Pydantic model of what it accepts.
    variables : tuple of str
        What it records unless a plan says.
    compute : callable
        ``compute(points) -> Dataset`` with dim ``point``.
    seconds : callable
        ``seconds(parameters) -> float``, rough cost of one point from its parameters alone; it only sets block sizes.
    numbers : callable
        ``numbers(parameters) -> int``, float64 numbers recorded per point, at most.
    shorten : callable, optional
        ``shorten(fixed) -> (changes, factor)``: fixed values that make a point ``factor`` times quicker, with results
        of the same shape, for calibration.
    seldom : tuple of str
        What it records where a plan names it.
    """

    name: str
    parameters: type[Parameters]
    variables: tuple[str, ...]
    compute: Callable[[Points], xr.Dataset]
    seconds: Callable[[Mapping[str, Any]], float]
    numbers: Callable[[Mapping[str, Any]], int]
    shorten: Callable[[Mapping[str, Any]], tuple[dict[str, Any], float]] = lambda parameters: ({}, 1.0)
    seldom: tuple[str, ...] = ()

    @property
    def results(self) -> tuple[str, ...]:
        """Everything it can record."""
        return self.variables + self.seldom


#: Every job by name; :func:`register` adds one.
JOBS: dict[str, Job] = {}


def register(job: Job) -> Job:
    """Add a job to the table; return it."""
    JOBS[job.name] = job
    return job


def find(name: str) -> Job:
    """The job called ``name``.

    Raises
    ------
    ValueError
        If there is none; the message suggests the nearest.
    """
    for built_in in ("train", "flow", "stability", "expected"):
        importlib.import_module(f".{built_in}", __package__)
    return JOBS[check_choice("job", name, tuple(JOBS))]
