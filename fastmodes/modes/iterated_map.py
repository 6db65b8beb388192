"""The discrete map of modes: learning with a finite learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..files.schema import annotate, flag_attributes
from ..interrupts import halting
from ..kernels.flow.driver import LEFT_DOMAIN, NON_OPTIMAL, OPTIMAL, REACHED_END, STATUSES
from ..kernels.modes.iterated_map import map_lanes
from ..kernels.modes.velocity import FINITE
from ..networks.leaky import check_leak, flow_rates
from ..parallel import check_threads, run_blocks
from ..progress import progress_bar
from ..rule_codes import learning_rule
from ..rules import at_leak, check_rules
from ..validation import check_flag, check_number
from . import learned, rated
from .flow import RESULTS, ascending, flow_grid, full_kind, reader
from .grid import check_range
from .results import BLOCK, flow_configuration, per_point, trajectories
from .update import TEACHER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import ArrayLike, FloatArray, GridValue, ModesLike, Rules
    from .grid import Grid
    from .results import RuleBlock


def discrete_map(
    rules: Rules,
    modes: ModesLike,
    teacher_modes: ModesLike,
    epochs: ArrayLike,
    *,
    learning_rate: GridValue,
    feedback: GridValue | None = 1.0,
    decay: GridValue | None = None,
    horizon: GridValue | None = None,
    leak: float = 1.0,
    rates: float | Mapping[str, float] | None = None,
    tolerance: float = 1e-6,
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Iterate (w, a, b) <- (w, a, b) - eta (Delta w, Delta a, Delta b) of any rule, T = infinity.

    Parameters
    ----------
    rules, modes, teacher_modes, feedback, decay, horizon, leak, rates, threads, progress
        As for :func:`flow`; rates multiply eta.
    epochs : int or array of int (epoch,)
        Numbers of updates after which the states are wanted, ascending.
    learning_rate : number, array or DataArray
        eta > 0.
    tolerance : float
        How near w must be to w*, and a b to p (relative to |p|), to count as optimal.

    Returns
    -------
    xarray.Dataset
        As :func:`flow`, with dimension ``epoch`` for ``time``. A mode that leaves the domain keeps its first state
        outside; ``time_reached`` counts epochs times learning rate.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    more = {"learning_rate": learning_rate}
    leak = check_leak(leak)
    speeds = flow_rates(rates, leak)
    rules = tuple(at_leak(rule, leak) for rule in check_rules(rules))
    rules, grid = flow_grid(rules, modes, teacher_modes, feedback, decay, horizon, more, (*RESULTS, "epoch"), leak)
    rated.check_followed(rules, speeds)
    check_range(grid, "learning_rate", 0, np.inf)
    tolerance = check_number("tolerance", tolerance, above=0)
    threads, progress = check_threads(threads), check_flag("progress", progress)
    counted = ascending("epochs", epochs)
    if not (counted == np.round(counted)).all() or counted[-1] > 10**9:
        raise ValueError(f"epochs must hold whole numbers from 0 to 1000000000; got {epochs!r}")
    counted = counted.astype(np.int64)
    learns = any(rule.learns_feedback for rule in rules)
    grid.check_memory(len(rules) * ((4 + learns) * len(counted) + 2), "cut the grid into pieces", epochs=len(counted))
    states = np.empty((3 + learns, len(rules), grid.size, len(counted)))
    outside = np.empty((len(rules), grid.size))
    readers = [reader(grid, i, ("learning_rate",)) for i in range(len(rules))]

    def work(block: RuleBlock) -> None:
        i, (start, stop) = block
        points, halt = readers[i](start, stop), np.zeros(1, np.int64)
        kind = FINITE if points[:, 7].any() else full_kind(rules[i])
        outputs = tuple(states[:, i, start:stop])
        with halting(halt):
            if learned.is_apart(rules[i]):
                learned.iterate(rules[i], points, counted, outputs, outside[i, start:stop], halt)
                return
            map_lanes(
                points,
                counted,
                learning_rule(rules[i])._replace(rates=speeds),
                kind,
                outputs[:3],
                outside[i, start:stop],
                halt,
            )
        if learns:
            outputs[3][:] = learned.feedback_entries(rules[i], outputs[1], points[:, 5])

    blocks = [(i, block) for i in range(len(rules)) for block in grid.blocks(BLOCK, threads)]
    with progress_bar(len(rules) * grid.size, "points", progress) as bar:
        run_blocks(work, blocks, threads, on_done=lambda block: bar.update(block[1][1] - block[1][0]))
    dataset = rated.own_coordinates(trajectories(rules, grid, states, ("epoch", counted), threads), leak)
    dataset["status"] = per_point(rules, grid, _map_status(grid, states, outside, tolerance))
    dataset["status"].attrs = flag_attributes(STATUSES)
    with np.errstate(over="ignore"):
        reached = np.where(outside < 0, counted[-1], outside) * grid.values["learning_rate"].ravel()
    dataset["time_reached"] = per_point(rules, grid, reached)
    configuration = rated.recorded(modes, rates, leak, flow_configuration(rules, grid) | {"tolerance": tolerance})
    return annotate(dataset, title="Discrete map of modes", configuration=configuration)


def _map_status(grid: Grid, states: FloatArray, outside: FloatArray, tolerance: float) -> NDArray[np.int8]:
    w, a, b = states[:3, ..., -1]
    goal, product = (grid.values[name].ravel() for name in TEACHER)
    with np.errstate(over="ignore", invalid="ignore"):
        near = (np.abs(w - goal) <= tolerance) & (np.abs(a * b - product) <= tolerance * np.abs(product))
    status = np.where(near, OPTIMAL, np.where((a == 0) & (b == 0), NON_OPTIMAL, REACHED_END))
    return np.where((outside >= 0) | (np.abs(w) >= 1), LEFT_DOMAIN, status).astype(np.int8)
