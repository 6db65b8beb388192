"""What a sweep will take, before it runs: points, blocks, bytes, memory and, from a short calibration, time."""

import time
from typing import NamedTuple

import numba
import numpy as np

from ...files import schema
from ...parallel import thread_count
from ..plan.plan import Plan
from ..plan.points import Points
from ..store import blocks

#: Seconds of computing that a calibration aims at, and the most points it tries at once.
CALIBRATION_SECONDS, MOST_POINTS = 0.5, 2**15
#: Points that cost more seconds than this are tried in a shortened form.
SLOW_POINT = 1.0
#: Copies of a block's numbers in memory while it is computed and written.
COPIES = 4


class Estimate(NamedTuple):
    """What a plan takes: points, blocks, bytes on disk, bytes of memory at once, seconds on all threads given."""

    points: int
    blocks: int
    points_per_block: int
    bytes: int
    memory: int
    seconds: float
    threads: int


def estimate(plan: Plan, threads: int | None = None) -> Estimate:
    """Compute a few points of a plan, spread over its grid, and scale up.

    Bytes are exact up to rounding. Memory counts the blocks computed at once, their arrays and their files, and what
    the process holds anyway. Seconds assume that the points tried, spread over the grid, cost what the others do.

    Raises
    ------
    RuntimeError, ValueError
        If a point cannot be computed: better now than in the middle of the sweep.
    """
    threads = threads or thread_count()
    slow = plan.job.seconds(plan.point(plan.points - 1)) > SLOW_POINT
    changes, quicker = plan.job.shorten(plan.fixed) if slow else ({}, 1.0)
    quick = plan.with_fixed(changes)
    one = plan.job.compute(Points(quick, 0, 1))[list(plan.record)]
    point_bytes = sum(variable.nbytes for variable in one.data_vars.values())
    header = len(blocks.encode(one, blocks.block_attributes(plan, 0, schema.versions()))) - point_bytes
    block_bytes = header + plan.points_per_block * point_bytes
    at_once = min(threads, plan.blocks)
    return Estimate(
        plan.points,
        plan.blocks,
        plan.points_per_block,
        plan.points * point_bytes + plan.blocks * header,
        at_once * COPIES * block_bytes + _held_now(),
        quicker * _seconds_per_point(quick) * plan.points / at_once,
        threads,
    )


def _seconds_per_point(plan: Plan) -> float:
    """Seconds of one point on one thread, the compiler's time left out: the caller has computed one already."""
    saved = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        most = min(MOST_POINTS, plan.points_per_block)
        # Jobs may compute all seeds of a point at once, so they are tried together.
        together = plan.shape[-1] if plan.dimensions and "seed" in plan.dimensions[-1].columns else 1
        count = min(most, 3 * together)
        _timed(plan, count)
        while True:
            spent = _timed(plan, count)
            if spent >= CALIBRATION_SECONDS / 4 or count >= most:
                return spent / count
            count = min(
                most, max(2 * count, int(count * CALIBRATION_SECONDS / max(spent, 1e-6) / 2) // together * together)
            )
    finally:
        numba.set_num_threads(saved)


def _timed(plan: Plan, count: int) -> float:
    """Seconds to compute ``count`` points, in three pieces at the grid's beginning, middle and end where possible."""
    pieces = 3 if count >= 3 else 1
    spent = 0.0
    for share in np.array_split(np.arange(count), pieces):
        place = int(share[0] / count * plan.points)
        points = Points(plan, place, min(place + len(share), plan.points))
        started = time.perf_counter()
        plan.job.compute(points)
        spent += time.perf_counter() - started
    return spent


def _held_now() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
