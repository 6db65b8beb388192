"""Maps over starts and parameters: where learning goes, how far round it goes, and how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from fastmodes.kernels.flow.driver import LEFT_DOMAIN, NON_OPTIMAL, STATUSES

from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.modes.flow import flow_grid, integrate, step_options
from fastmodes.modes.learned import is_apart
from fastmodes.modes.rated import correct_statuses, own_coordinates, recorded
from fastmodes.modes.results import flow_configuration
from fastmodes.networks.leaky import check_leak, flow_rates
from fastmodes.parallel import check_threads
from fastmodes.rules import at_leak, check_rules
from fastmodes.validation import check_flag, check_number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from fastmodes.networks.network import Modes
    from fastmodes.typing import BoolArray, FloatArray, GridValue, Rules


#: Where a trajectory goes: the branch of the optimal manifold with readout a > 0 or a < 0, the line a = b = 0, out of
#: the domain, or nowhere within the time.
BASINS = ("positive_branch", "negative_branch", "non_optimal", "left_domain", "undecided")

_RESULTS = (
    "rule", "basin", "status", "time_reached", "w", "a", "b", "learning_time", "path_length", "detour",
)  # fmt: skip


def learning_map(
    rules: Rules,
    modes: Modes,
    teacher_modes: Modes,
    *,
    feedback: GridValue = 1.0,
    decay: GridValue | None = None,
    horizon: GridValue | None = None,
    leak: float = 1.0,
    rates: float | Mapping[str, float] | None = None,
    end: float = 1000.0,
    threshold: float = 0.01,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    step_limit: int = 100_000,
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Follow every point of a grid to the end, and measure where and how it went.

    Parameters
    ----------
    rules, modes, teacher_modes, feedback, decay, horizon, leak, rates, rtol, atol, step_limit, threads, progress
        As for :func:`fastmodes.flow`; with a leak, lengths of paths are those of (w_e, a, b_e), as the modes run.
    end : float
        Flow time at which undecided trajectories are given up.
    threshold : float
        Share of the teacher's power p^2 / (2 (1 - w*^2)); learning is done when the loss has fallen to it.

    Returns
    -------
    xarray.Dataset
        On (rule, grid): ``basin`` and ``status`` (CF flags), ``time_reached``, the end ``w``, ``a``, ``b``,
        ``learning_time`` (infinite where the loss never fell to the threshold), ``path_length`` in (w, a, b), and
        ``detour``, the path's length over the distance between its ends, at least 1 (1 for a mode at rest).

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or a rule whose feedback is a variable of its own.
    """
    leak = check_leak(leak)
    speeds = flow_rates(rates, leak)
    rules = tuple(at_leak(rule, leak) for rule in check_rules(rules))
    for rule in rules:
        if is_apart(rule):
            raise ValueError(
                f"rules must not have an r that is a variable of its own, fm.flow has them; got {rule.name!r}"
            )
    checked, grid = flow_grid(rules, modes, teacher_modes, feedback, decay, horizon, results=_RESULTS, leak=leak)
    end, threshold = check_number("end", end, above=0), check_number("threshold", threshold, above=0, below=1)
    options = step_options(rtol, atol, step_limit, threshold)
    threads, progress = check_threads(threads), check_flag("progress", progress)
    grid.check_memory(16 * len(checked), "cut the grid into pieces")
    states, ends = integrate(
        checked, grid, np.array([end]), options, rates=speeds, observe=True, threads=threads, progress=progress
    )
    correct_statuses(grid, states, ends, speeds)
    start = grid.reader(("recurrent", "readout", "input"))()
    product = grid.reader(("teacher_product",))()[:, 0]
    w, a, b = states[..., 0]
    length, learnt = ends.path_length, ends.learning_time
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        distance = np.linalg.norm(np.stack([w, a, b], axis=-1) - start, axis=-1)
        detour = np.where(distance > 0, np.maximum(length / distance, 1.0), 1.0)
    results = {
        "basin": _basin(a, ends.status, ends.loss <= threshold),
        "status": ends.status,
        "time_reached": ends.time,
        "w": w,
        "a": a,
        "b": b,
        "learning_time": np.where((learnt < 0) | (product == 0), np.inf, learnt),
        "path_length": length,
        "detour": detour,
    }
    dims, shape = ("rule", *grid.dims), (len(checked), *grid.shape)
    dataset = xr.Dataset(
        {name: (dims, values.reshape(shape)) for name, values in results.items()},
        coords=grid.coords | {"rule": [rule.name for rule in checked]},
    )
    dataset = own_coordinates(dataset, leak)
    dataset["basin"].attrs = flag_attributes(BASINS)
    dataset["status"].attrs = flag_attributes(STATUSES)
    configuration = flow_configuration(checked, grid) | {"end": end, "threshold": threshold, "rtol": rtol, "atol": atol}
    configuration = recorded(modes, rates, leak, configuration)
    return annotate(dataset, title="Learning of modes, from start to end", configuration=configuration)


def _basin(a: FloatArray, status: NDArray[np.integer[Any]], learnt: BoolArray) -> NDArray[np.int8]:
    branch = np.where(a > 0, 0, 1)
    basin = np.where((status == 1) | learnt, branch, 4)
    basin = np.where(status == NON_OPTIMAL, 2, basin)
    return np.where(status == LEFT_DOMAIN, 3, basin).astype(np.int8)


def basins(rules: Rules, modes: Modes, teacher_modes: Modes, **options: Any) -> xr.DataArray:
    """Where learning goes from each start: which branch, out of the domain, or nowhere within the time.

    Parameters
    ----------
    rules, modes, teacher_modes, **options
        As for :func:`learning_map`.

    Returns
    -------
    xarray.DataArray (rule, grid)
        CF flags, see BASINS.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    return learning_map(rules, modes, teacher_modes, **options)["basin"]
