"""Flows and discrete maps of modes on parameter grids."""

import numpy as np
import xarray as xr

from ..files.large_grids import SLAB_POINTS, write_slabs
from ..files.schema import annotate, flag_attributes
from ..interrupts import halting
from ..kernels.flow.driver import FLOW_LANES, LEFT_DOMAIN, NON_OPTIMAL, OPTIMAL, STATUSES
from ..kernels.flow.observables import mode_losses
from ..kernels.flow.trajectories import Ends
from ..kernels.modes.iterated_map import map_lanes
from ..kernels.modes.velocity import FINITE, FIXED, MOVING, ZERO
from ..parallel import run_blocks
from ..progress import progress_bar
from ..rules import check_rules
from ..validation import check_array, check_integer, check_number
from .grid import check_range
from .update import STATE, TEACHER, mode_entries, moves, rule_grid

_BLOCK = 8192
_LARGEST_STEP_COUNT = 1_000_000
_DOMAIN_MARGIN = 1e-6


def flow(
    rules, modes, teacher_modes, times, *, feedback=None, decay=None, horizon=None,
    rtol=1e-8, atol=1e-10, step_limit=100_000, progress=False,
) -> xr.Dataset:  # fmt: skip
    """Follow modes along the flow d(w, a, b)/ds = -(Delta w, Delta a, Delta b) of any rule, T = infinity (Eqs. 19-22).

    An explicit 5(4) pair integrates, and hands over to a Rosenbrock method of the same order where the flow is stiff
    (teachers near |w*| = 1), with the analytic Jacobian. Every trajectory has its own steps; a trajectory that has come
    to rest within the tolerance, or left the domain, stops at once.

    Parameters
    ----------
    rules : LearningRule or sequence of them
    modes, teacher_modes : Modes, or LinearRNN both
        Start (w, a, b) and teacher, each a number, an array or a DataArray; they broadcast by name.
    times : number or array (time,)
        Flow times s >= 0 wanted, ascending; the last one ends the integration. s is epochs times learning rate.
    feedback : number, array or DataArray
        r, default 1, read by rules with random feedback.
    decay, horizon : number, array or DataArray, optional
        Replace the decay of scalar propagators, and the horizon of rules that have a finite one.
    rtol, atol : float
        Tolerances on the local error.
    step_limit : int
        Largest number of steps of a trajectory.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        ``w``, ``a``, ``b``, ``loss`` (rule, grid, time); ``status`` (rule, grid): reached_end, optimal and non_optimal
        (at rest on one of the two manifolds), left_domain (|w| or |pi w| reached 1), step_limit; ``time_reached`` and
        ``evaluations`` (right-hand sides). After ``time_reached`` the state is the last one.

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
    rules, grid = flow_grid(rules, modes, teacher_modes, feedback, decay, horizon)
    times = _ascending("times", np.atleast_1d(times))
    if times[-1] <= 0:
        raise ValueError(f"times must end after 0; got {times[-1]}")
    options = np.array(
        [
            check_number("rtol", rtol, 1e-13, 0.1),
            check_number("atol", atol, 1e-15, 0.1),
            check_integer("step_limit", step_limit, 1, _LARGEST_STEP_COUNT),
            0.0,
            0.0,
        ]
    )
    grid.check_memory(len(rules) * (4 * len(times) + 2), "fm.write_flow goes slab by slab", times=len(times))
    states, ends = integrate(rules, grid, times, options, progress=progress)
    configuration = {"rtol": float(rtol), "atol": float(atol), "step_limit": int(step_limit)}
    dataset = _dataset(rules, grid, states, ("time", times))
    dataset["status"] = _per_point(rules, grid, ends.status)
    dataset["status"].attrs = flag_attributes(STATUSES)
    dataset["time_reached"] = _per_point(rules, grid, ends.time)
    dataset["evaluations"] = _per_point(rules, grid, ends.evaluations)
    return annotate(dataset, title="Flow of modes", configuration=flow_configuration(rules, grid) | configuration)


def write_flow(
    path, rules, modes, teacher_modes, times, *, feedback=1.0, slab_points=SLAB_POINTS, progress=False, **options
):
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
        Show a progress bar.
    options : dict
        Others of :func:`flow`, by name.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    OSError
        If the file cannot be written.
    """
    grid = {"modes": modes, "teacher_modes": teacher_modes, "feedback": feedback}
    grid |= {name: options.pop(name) for name in ("decay", "horizon") if options.get(name) is not None}

    def compute(**parameters):
        return flow(rules, times=times, **parameters, **options)

    return write_slabs(path, compute, grid, slab_points=slab_points, progress=progress)


def integrate(rules, grid, times, options, *, observe=False, progress=False, method="explicit", hand_over=True):
    """Integrate every point of a grid under every rule.

    Parameters
    ----------
    rules, grid
        From :func:`fastmodes.modes.update.rule_grid`.
    times : float64 array (time,)
    options : float64 array
        See :func:`fastmodes.kernels.flow.driver.flow_lanes`.
    observe : bool
        Measure path length and learning time.
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
    states = np.empty((3, *shape, len(times)))
    ends = Ends(np.empty(shape, np.int8), np.empty(shape), np.empty(shape, np.int32), *np.empty((3, *observed)))
    readers = [_reader(grid, i, rule) for i, rule in enumerate(rules)]

    def work(block):
        i, (start, stop) = block
        outputs, own = tuple(states[:, i, start:stop]), Ends(*(values[i, start:stop] for values in ends))
        code = np.array([method == "stiff", rules[i].feedback == "readout", moves(rules[i]), hand_over, 0])
        points = readers[i](start, stop)
        for kind, todo in _kinds(points, code):
            with halting(flags := code * [1, 1, kind != ZERO, 1, 1]):
                FLOW_LANES[kind](points, todo, times, flags, options, outputs, own)

    blocks = [(i, block) for i in range(len(rules)) for block in grid.blocks(_BLOCK)]
    with progress_bar(len(rules) * grid.size, "points", progress) as bar:
        run_blocks(work, blocks, on_done=lambda block: bar.update(block[1][1] - block[1][0]))
    return states, ends


def _kinds(points, code):
    """Which points are of which kind of propagator: (kind, which); they are changed in place where it is 0."""
    horizon = points[:, 7].copy()
    endless = MOVING if code[2] else FIXED
    if not horizon.any():
        return [(endless, np.arange(len(points)))]
    # One step of horizon sums to 1, as the endless sum does where the propagator is 0.
    points[horizon == 1, 6:8] = 0.0
    which = ((ZERO, horizon == 1), (FINITE, horizon > 1), (endless, horizon == 0))
    return [(kind, np.flatnonzero(some)) for kind, some in which if some.any()]


def discrete_map(
    rules, modes, teacher_modes, epochs, *, learning_rate, feedback=None, decay=None, horizon=None,
    tolerance=1e-6, progress=False,
) -> xr.Dataset:  # fmt: skip
    """Iterate (w, a, b) <- (w, a, b) - eta (Delta w, Delta a, Delta b) of any rule, T = infinity.

    Parameters
    ----------
    rules, modes, teacher_modes, feedback, decay, horizon, progress
        As for :func:`flow`.
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
    rules, grid = flow_grid(rules, modes, teacher_modes, feedback, decay, horizon, more, reserved=("rule", "epoch"))
    check_range(grid, "learning_rate", 0, np.inf)
    tolerance = check_number("tolerance", tolerance, above=0)
    counted = _ascending("epochs", np.atleast_1d(epochs))
    if not (counted == np.round(counted)).all() or counted[-1] > 10**9:
        raise ValueError(f"epochs must hold whole numbers from 0 to 1000000000; got {epochs!r}")
    grid.check_memory(len(rules) * (4 * len(counted) + 2), "cut the grid into pieces", epochs=len(counted))
    counted, states = counted.astype(np.int64), np.empty((3, len(rules), grid.size, len(counted)))
    outside = np.empty((len(rules), grid.size))
    readers = [_reader(grid, i, rule, ("learning_rate",)) for i, rule in enumerate(rules)]

    def work(block):
        i, (start, stop) = block
        code = np.array([rules[i].feedback == "readout", moves(rules[i]), 0], dtype=np.int64)
        with halting(code):
            map_lanes(readers[i](start, stop), counted, code, tuple(states[:, i, start:stop]), outside[i, start:stop])

    blocks = [(i, block) for i in range(len(rules)) for block in grid.blocks(_BLOCK)]
    with progress_bar(len(rules) * grid.size, "points", progress) as bar:
        run_blocks(work, blocks, on_done=lambda block: bar.update(block[1][1] - block[1][0]))
    dataset = _dataset(rules, grid, states, ("epoch", counted))
    dataset["status"] = _per_point(rules, grid, _map_status(grid, states, outside, tolerance))
    dataset["status"].attrs = flag_attributes(STATUSES)
    reached = np.where(outside < 0, counted[-1], outside) * grid.values["learning_rate"].ravel()
    dataset["time_reached"] = _per_point(rules, grid, reached)
    configuration = flow_configuration(rules, grid) | {"tolerance": tolerance}
    return annotate(dataset, title="Discrete map of modes", configuration=configuration)


def _map_status(grid, states, outside, tolerance):
    w, a, b = states[..., -1]
    goal, product = (grid.values[name].ravel() for name in TEACHER)
    near = (np.abs(w - goal) <= tolerance) & (np.abs(a * b - product) <= tolerance * np.abs(product))
    status = np.where(near, OPTIMAL, np.where((a == 0) & (b == 0), NON_OPTIMAL, 0))
    return np.where((outside >= 0) | (np.abs(w) >= 1), LEFT_DOMAIN, status).astype(np.int8)


def flow_grid(rules, modes, teacher_modes, feedback, decay, horizon, more=(), reserved=("rule", "time")):
    """Rules, and the grid of everything a flow or a vector field depends on, all in range."""
    rules = check_rules(rules)
    entries = mode_entries(rules, modes, teacher_modes, 1.0 if feedback is None else feedback)
    grid = rule_grid(rules, entries | dict(more), decay, horizon, reserved)
    check_range(grid, "recurrent", -1 + _DOMAIN_MARGIN, 1 - _DOMAIN_MARGIN)
    return rules, grid


def _reader(grid, i, rule, more=()):
    """Reader of the kernel's points; r is 0 where the readout feeds back: ``r + readout (a - r)`` is then exactly a."""
    read = grid.reader((*STATE, *TEACHER, "feedback", f"decay {i}", f"horizon {i}", *more))

    def points(start, stop):
        columns = read(start, stop)
        if rule.feedback == "readout":
            columns[:, 5] = 0.0
        return columns

    return points


def _ascending(name, values):
    values = check_array(name, values, (None,), dims=(name,))
    if values[0] < 0 or (np.diff(values) <= 0).any():
        raise ValueError(f"{name} must be >= 0 and ascending; got {values.tolist()[:5]} ..")
    return values


def _per_point(rules, grid, values):
    return xr.DataArray(values.reshape(len(rules), *grid.shape), dims=("rule", *grid.dims), coords=grid.coords)


def _dataset(rules, grid, states, axis):
    """The trajectories, and their loss."""
    (name, values), read, losses = axis, grid.reader(TEACHER), np.empty(states.shape[1:])

    def work(block):
        i, (start, stop) = block
        mode_losses(tuple(states[:, i, start:stop]), read(start, stop), losses[i, start:stop])

    blocks = [(i, block) for i in range(len(rules)) for block in grid.blocks(_BLOCK)]
    run_blocks(work, blocks, quick=grid.size <= _BLOCK)
    dims, shape = ("rule", *grid.dims, name), (len(rules), *grid.shape, len(values))
    variables = dict(zip(("w", "a", "b", "loss"), (*states, losses), strict=True))
    return xr.Dataset(
        {key: (dims, array.reshape(shape)) for key, array in variables.items()},
        coords=grid.coords | {"rule": [rule.name for rule in rules], name: values},
    )


def flow_configuration(rules, grid):
    """Rules, and the parameters that are one number; the others are in the coordinates."""
    single = {name: float(v.flat[0]) for name, v in grid.values.items() if not any(v.strides)}
    return {"rules": [repr(rule) for rule in rules]} | {k: v for k, v in single.items() if " " not in k}
