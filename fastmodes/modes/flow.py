"""Flows of modes on parameter grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from ..files.large_grids import SLAB_POINTS, write_slabs
from ..files.schema import annotate, flag_attributes
from ..interrupts import halting
from ..kernels.flow.constants import DOMAIN_MARGIN
from ..kernels.flow.driver import EXPLICIT, HANDING_OVER, STATUSES, STIFF
from ..kernels.flow.kinds import FLOW_LANES, kernel_place
from ..kernels.flow.trajectories import Ends
from ..kernels.modes.velocity import FINITE, FIXED, MOVING, ZERO
from ..kernels.rule import SCALAR
from ..networks.leaky import check_leak, flow_rates
from ..parallel import check_threads, run_blocks
from ..progress import progress_bar
from ..rule_codes import learning_rule, moves
from ..rules import at_leak, check_rules
from ..validation import check_array, check_flag, check_integer, check_number
from . import learned, rated
from .grid import check_range
from .results import BLOCK, flow_configuration, per_point, trajectories
from .update import STATE, TEACHER, effective_entries, mode_entries, rule_grid

if TYPE_CHECKING:
    from pathlib import Path

    from ..kernels.rule import Rule as KernelRule
    from ..rules import LearningRule
    from ..typing import ArrayLike, FloatArray, GridValue, IntArray, ModesLike, PathLike, Rules
    from .grid import Grid
    from .results import RuleBlock

_SLAB_BY_SLAB = "fm.write_flow computes and writes it slab by slab"
_LARGEST_STEP_COUNT = 1_000_000
#: No dimension of a parameter may have the name of what a result holds.
RESULTS = ("rule", "w", "a", "b", "loss", "feedback_entry", "status", "time_reached", "evaluations")


def flow(
    rules: Rules,
    modes: ModesLike,
    teacher_modes: ModesLike,
    times: ArrayLike,
    *,
    feedback: GridValue | None = 1.0,
    decay: GridValue | None = None,
    horizon: GridValue | None = None,
    leak: float = 1.0,
    rates: float | Mapping[str, float] | None = None,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    step_limit: int = 100_000,
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Follow modes along the flow d(w, a, b)/ds = -(Delta w, Delta a, Delta b) of any rule, T = infinity (Eqs. 19-22).

    An explicit 5(4) pair integrates, and hands over to a Rosenbrock method of the same order where the flow is stiff
    (teachers near |w*| = 1), with the analytic Jacobian. Every trajectory has its own steps; a trajectory that has come
    to rest within the tolerance, or left the domain, stops at once.

    Parameters
    ----------
    rules : LearningRule or str, or sequence of them
        Values such as ``fm.rflo(0.9)``, or texts that :func:`parse_rule` reads, such as "rflo(0.9)".
    modes, teacher_modes : Modes, or LinearRNN both
        Start (w, a, b) and teacher, each a number, an array or a DataArray; they broadcast by name.
    times : number or array (time,)
        Flow times s >= 0 wanted, ascending; the last one ends the integration. s is epochs times learning rate.
    feedback : number, array or DataArray
        r, read by rules with random feedback; of feedback that learns, r at the start.
    decay, horizon : number, array or DataArray, optional
        Replace the decay of scalar propagators, and the horizon of rules that have a finite one.
    leak : float
        0 < leak <= 1, of the students' units (theory section 10); the teacher does not leak.
    rates : number or mapping, optional
        Rates of "readout" (a), "recurrent" (w) and "input" (b), which multiply the three velocities; 0 freezes.
    rtol, atol : float
        Tolerances on the local error, with a leak on that of w_e = 1 - leak + leak w and b_e = leak b.
    step_limit : int
        Largest number of steps of a trajectory.
    threads : int, optional
        Default: all cores granted to the process. Results do not depend on it.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    xarray.Dataset
        ``w``, ``a``, ``b``, ``loss`` (rule, grid, time); ``status`` (rule, grid): reached_end, optimal and non_optimal
        (at rest on one of the two manifolds), left_domain (|w| or |pi w| reached 1), step_limit; ``time_reached`` and
        ``evaluations`` (right-hand sides). After ``time_reached`` the state is the last one. Where the feedback of a
        rule learns, also ``feedback_entry``, the f of every rule at the times; under a rule whose r is a variable of
        its own (a decay, or the mirror) modes are followed by the explicit pair to the end, at rest or not.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.

    Examples
    --------
    >>> import fastmodes as fm
    >>> end = fm.flow(fm.bptt(), fm.Modes(0.1, 1.0, 0.8), fm.Modes(0.6, 1.0, 1.0), 100.0)
    >>> round(float(end.w.squeeze()), 6), end.status.attrs["flag_meanings"].split()[end.status.item()]
    (0.6, 'optimal')
    """
    leak = check_leak(leak)
    rules = tuple(at_leak(rule, leak) for rule in check_rules(rules))
    speeds = flow_rates(rates, leak)
    rules, grid = flow_grid(rules, modes, teacher_modes, feedback, decay, horizon, leak=leak)
    rated.check_followed(rules, speeds)
    threads, progress = check_threads(threads), check_flag("progress", progress)
    times = ascending("times", times)
    if times[-1] <= 0:
        raise ValueError(f"times must end after 0; got {times[-1]}")
    options = step_options(rtol, atol, step_limit)
    learns = any(rule.learns_feedback for rule in rules)
    grid.check_memory(len(rules) * ((4 + learns) * len(times) + 2), _SLAB_BY_SLAB, times=len(times))
    states, ends = integrate(
        rules, grid, times, options, rates=speeds, entries=learns, threads=threads, progress=progress
    )
    rated.correct_statuses(grid, states, ends, speeds)
    configuration = {"rtol": float(rtol), "atol": float(atol), "step_limit": int(step_limit)}
    dataset = rated.own_coordinates(trajectories(rules, grid, states, ("time", times), threads), leak)
    dataset["status"] = per_point(rules, grid, ends.status)
    dataset["status"].attrs = flag_attributes(STATUSES)
    dataset["time_reached"] = per_point(rules, grid, ends.time)
    dataset["evaluations"] = per_point(rules, grid, ends.evaluations)
    configuration = rated.recorded(modes, rates, leak, flow_configuration(rules, grid) | configuration)
    return annotate(dataset, title="Flow of modes", configuration=configuration)


def write_flow(
    path: PathLike, rules: Rules, modes: ModesLike, teacher_modes: ModesLike, times: ArrayLike, *,
    feedback: GridValue | None = 1.0, slab_points: int = SLAB_POINTS, progress: bool = True, **options: Any,
) -> Path:  # fmt: skip
    """As :func:`flow`, written slab by slab: the memory needed does not grow with the grid.

    Parameters
    ----------
    path : path-like
        The netCDF4 file is complete or absent.
    rules, modes, teacher_modes, times, feedback
        As for :func:`flow`; at least one of the parameters must vary.
    slab_points : int
        Points computed at a time, at most.
    progress : bool
        Show progress on stderr.
    options : dict
        Others of :func:`flow`, by name.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    TypeError, ValueError, OSError
        For a parameter outside its range, or a file that cannot be written.
    """
    grid = {"modes": modes, "teacher_modes": teacher_modes, "feedback": feedback}
    grid |= {name: options.pop(name) for name in ("decay", "horizon") if options.get(name) is not None}

    def compute(**parameters: Any) -> xr.Dataset:
        return flow(rules, times=times, **parameters, **options, progress=False)

    return write_slabs(path, compute, grid, slab_points=slab_points, progress=progress)


def step_options(rtol: float, atol: float, step_limit: int, threshold: float = 0.0) -> FloatArray:
    """Tolerances and limits, checked, as :func:`fastmodes.kernels.flow.driver.flow_lanes` reads them."""
    limits = check_number("rtol", rtol, 1e-13, 0.1), check_number("atol", atol, 1e-15, 0.1)
    return np.array([*limits, check_integer("step_limit", step_limit, 1, _LARGEST_STEP_COUNT), 0.0, threshold])


def integrate(
    rules: Sequence[LearningRule],
    grid: Grid,
    times: FloatArray,
    options: FloatArray,
    *,
    rates: tuple[float, float, float] = rated.EQUAL,
    observe: bool = False,
    entries: bool = False,
    threads: int | None = None,
    progress: bool = False,
    method: Literal["explicit", "stiff"] = "explicit",
    hand_over: bool = True,
) -> tuple[FloatArray, Ends]:
    """Integrate every point of a grid under every rule.

    Parameters
    ----------
    rules, grid
        From :func:`fastmodes.modes.update.rule_grid`.
    times : float64 array (time,)
    options : float64 array
        See :func:`fastmodes.kernels.flow.driver.flow_lanes`.
    rates : tuple of float
        Of w, a, b.
    observe : bool
        Measure path length and learning time.
    entries : bool
        Also give the feedback entries f, as a fourth variable; needed where one is a variable of its own.
    method : {"explicit", "stiff"}
    hand_over : bool
        Whether the explicit method hands stiff trajectories over.

    Returns
    -------
    states : float64 array (variable, rule, point, time)
    ends : Ends
        How every trajectory ended; the last three only where observed.
    """
    shape, observed = (len(rules), grid.size), (len(rules), grid.size if observe else 0)
    states = np.empty((4 if entries else 3, *shape, len(times)))
    whole = np.empty(shape, np.int8), np.empty(shape), np.empty(shape, np.int32)
    ends = Ends(*whole, *np.empty((3, *observed)), halt=np.zeros(1, np.int64))  # type: ignore[misc]
    readers = [reader(grid, i) for i in range(len(rules))]
    options = np.append(options, STIFF if method == "stiff" else HANDING_OVER if hand_over else EXPLICIT)

    def work(block: RuleBlock) -> None:
        i, (start, stop) = block
        outputs, points = tuple(states[:, i, start:stop]), readers[i](start, stop)
        own = Ends(*(v[i, start:stop] for v in ends[:-1]), halt=np.zeros(1, np.int64))  # type: ignore[misc]
        with halting(own.halt):
            if learned.is_apart(rules[i]):
                learned.follow(rules[i], points, times, options, outputs, own)
                return
            for kind, rule, todo in _kinds(rules[i], points, rates):
                FLOW_LANES[kernel_place(rule, kind)](points, todo, times, rule, options, outputs[:3], own)
        if entries:
            outputs[3][:] = learned.feedback_entries(rules[i], outputs[1], points[:, 5])

    blocks = [(i, block) for i in range(len(rules)) for block in grid.blocks(BLOCK, threads)]
    with progress_bar(len(rules) * grid.size, "points", progress) as bar:
        run_blocks(work, blocks, threads, on_done=lambda block: bar.update(block[1][1] - block[1][0]))
    return states, ends


def full_kind(rule: LearningRule) -> int:
    """Kind of propagator at the full horizon."""
    return MOVING if moves(rule) else FIXED


def _kinds(
    rule: LearningRule, points: FloatArray, rates: tuple[float, float, float]
) -> list[tuple[int, KernelRule, IntArray]]:
    """Which points are of which kind of propagator: (kind, kernel's rule, which); they are changed where it is 0."""
    horizon, in_kernel = points[:, 7].copy(), learning_rule(rule)._replace(rates=rates)
    if not horizon.any():
        return [(full_kind(rule), in_kernel, np.arange(len(points)))]
    # One step of horizon sums to 1, as the full sum does where a fixed propagator is 0.
    points[horizon == 1, 6:8] = 0.0
    kinds = (
        (ZERO, in_kernel._replace(propagator=SCALAR), horizon == 1),
        (FINITE, in_kernel, horizon > 1),
        (full_kind(rule), in_kernel, horizon == 0),
    )
    return [(kind, own, np.flatnonzero(some)) for kind, own, some in kinds if some.any()]


def flow_grid(
    rules: Rules,
    modes: ModesLike,
    teacher_modes: ModesLike,
    feedback: GridValue | None,
    decay: GridValue | None,
    horizon: GridValue | None,
    more: Mapping[str, GridValue] | tuple[()] = (),
    results: Sequence[str] = (*RESULTS, "time"),
    leak: float = 1.0,
) -> tuple[tuple[LearningRule, ...], Grid]:
    """Rules, and the grid of everything a flow or a vector field depends on, all in range."""
    rules = check_rules(rules)
    entries = effective_entries(mode_entries(rules, modes, teacher_modes, feedback), leak)
    grid = rule_grid(rules, entries | dict(more), decay, horizon, results, leak)
    check_range(grid, "recurrent", -1 + DOMAIN_MARGIN, 1 - DOMAIN_MARGIN, leak)
    return rules, grid


def reader(grid: Grid, i: int, more: Sequence[str] = ()) -> Callable[..., FloatArray]:
    """Reader of the kernel's points under rule i."""
    return grid.reader((*STATE, *TEACHER, f"r {i}", f"decay {i}", f"horizon {i}", *more))


def ascending(name: str, values: ArrayLike) -> FloatArray:
    """Times or epochs, checked: not negative, ascending."""
    values = check_array(name, np.atleast_1d(check_array(name, values)), (None,), dims=(name,))
    if values[0] < 0 or (np.diff(values) <= 0).any():
        raise ValueError(f"{name} must be >= 0 and ascending; got {values.tolist()[:5]} ..")
    return values
