"""From states of modes to the datasets of flows and maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import xarray as xr

from ..kernels.flow.observables import mode_losses
from ..parallel import run_blocks
from .update import TEACHER

if TYPE_CHECKING:
    from ..rules import LearningRule
    from ..typing import AnyArray, FloatArray
    from .grid import Grid

    #: A block of work: which rule, and which points of the grid.
    RuleBlock: TypeAlias = tuple[int, tuple[int, int]]

#: Points a thread takes at a time.
BLOCK = 8192


def per_point(rules: Sequence[LearningRule], grid: Grid, values: AnyArray) -> xr.DataArray:
    """A DataArray (rule, grid) from an array (rule, point)."""
    return xr.DataArray(values.reshape(len(rules), *grid.shape), dims=("rule", *grid.dims), coords=grid.coords)


def trajectories(
    rules: Sequence[LearningRule], grid: Grid, states: FloatArray, axis: tuple[str, AnyArray], threads: int | None
) -> xr.Dataset:
    """The trajectories, and their loss."""
    (name, values), read, losses = axis, grid.reader(TEACHER), np.empty(states.shape[1:])

    def work(block: RuleBlock) -> None:
        i, (start, stop) = block
        mode_losses(tuple(states[:3, i, start:stop]), read(start, stop), losses[i, start:stop])

    blocks = [(i, block) for i in range(len(rules)) for block in grid.blocks(BLOCK, threads)]
    run_blocks(work, blocks, threads, quick=grid.size <= BLOCK)
    dims, shape = ("rule", *grid.dims, name), (len(rules), *grid.shape, len(values))
    variables = dict(zip(("w", "a", "b", "loss"), (*states[:3], losses), strict=True))
    if len(states) == 4:
        variables["feedback_entry"] = states[3]
    return xr.Dataset(
        {key: (dims, array.reshape(shape)) for key, array in variables.items()},
        coords=grid.coords | {"rule": [rule.name for rule in rules], name: values},
    )


def flow_configuration(rules: Sequence[LearningRule], grid: Grid) -> dict[str, Any]:
    """Rules, and the parameters that are one number; the others are in the coordinates."""
    single = {name: float(v.flat[0]) for name, v in grid.values.items() if not any(v.strides)}
    return {"rules": [repr(rule) for rule in rules]} | {k: v for k, v in single.items() if " " not in k}
