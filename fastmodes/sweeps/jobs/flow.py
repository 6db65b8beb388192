"""The job "flow": :func:`fastmodes.flow` from every point of a grid."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
import xarray as xr

from ...networks.network import Modes
from ...rules import LearningRule
from ..plan.parameters import FIXED, Count, Inside, Leak, Number, Numbers, PerMatrix, Positive, RuleParameters
from ..plan.points import Piece, Points
from .registry import Job, register

VARIABLES = ("w", "a", "b", "loss", "status", "time_reached", "evaluations")


class FlowParameters(RuleParameters):
    """Start (w, a, b), teacher (w*, p = a* b*), feedback r, leak, rates per matrix, and the flow times to record."""

    recurrent: Inside = 0.0
    readout: Number
    input: Number
    teacher_recurrent: Inside
    teacher_product: Number = 1.0
    feedback: Number = 1.0
    leak: Leak = 1.0
    rates: PerMatrix = 1.0
    times: Annotated[Numbers, FIXED]
    rtol: Annotated[Positive, FIXED] = 1e-8
    atol: Annotated[Positive, FIXED] = 1e-10
    step_limit: Annotated[Count, FIXED] = 100_000


def compute(points: Points) -> xr.Dataset:
    """Integrate all points of a rule, a leak and rates by one call."""
    from ...modes.flow import flow

    results: dict[str, xr.Variable] = {}
    coords: dict[str, xr.Variable] = {}
    options = {name: points.fixed[name] for name in ("rtol", "atol", "step_limit")}
    for values, piece in points.groups("rule", "leak", "rates"):
        column = columns(points, piece)
        flowed = flow(
            values["rule"],
            Modes(column("recurrent"), column("readout"), column("input")),
            Modes(column("teacher_recurrent"), column("teacher_product"), 1.0),
            points.fixed["times"],
            feedback=column("feedback"),
            **replaced(values["rule"], column),
            **options,
            leak=values["leak"],
            rates=values["rates"],
            progress=False,
        )
        for name in points.plan.record:
            variable = flowed[name].variable.isel(rule=0).transpose("point", ...)
            if variable.dtype == np.int64:
                variable = variable.astype(np.int32)
            if len(variable) == points.size:
                results[name] = variable
                continue
            if name not in results:
                results[name] = xr.Variable(
                    variable.dims, np.empty((points.size, *variable.shape[1:]), variable.dtype), variable.attrs
                )
            results[name].values[piece] = variable.values
        coords = {"time": flowed["time"].variable} if "time" in flowed.coords else {}
    used = {dim for variable in results.values() for dim in variable.dims}
    return xr.Dataset(results, coords={name: c for name, c in coords.items() if name in used})


def columns(points: Points, piece: Piece) -> Callable[[str], Any]:
    """Values of a parameter at a piece's points: a DataArray on dim ``point`` where it varies, else a number or None.

    The teacher's eigenvalue is always an array, so that the results have the dim.
    """
    size = len(np.arange(points.size)[piece])

    def column(name: str) -> Any:
        values = points.values(name)
        if name == "teacher_recurrent":
            values = np.broadcast_to(values, points.size)
        if not isinstance(values, np.ndarray):
            return values
        return xr.DataArray(values[piece].reshape(size), dims="point")

    return column


def replaced(rule: LearningRule, column: Callable[[str], Any]) -> dict[str, Any]:
    """``decay`` and ``horizon`` of the points, for a rule that has such: it keeps its own otherwise."""
    return {
        "decay": column("decay") if rule.propagator == "scalar" else None,
        "horizon": column("horizon") if rule.horizon is not None else None,
    }


def _seconds(parameters: Mapping[str, Any]) -> float:
    """A microsecond, and more near the unit circle, at long times and at tight tolerances."""
    stiff = 1.0 / max(1.0 - abs(parameters["teacher_recurrent"]), 1e-3)
    return float(1e-6 * (1.0 + 0.02 * parameters["times"][-1]) ** 0.5 * parameters["rtol"] ** -0.05 * stiff**0.25)


register(Job("flow", FlowParameters, VARIABLES, compute, _seconds, lambda p: 3 + 4 * len(p["times"])))
