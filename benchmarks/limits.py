"""What the processor allows: points per second if the divider were all there is to do."""

import time

from fastmodes.kernels.compile import kernel
from fastmodes.kernels.simd.lanes import fma, splat, sqrt, total

from fastmodes.parallel import run_blocks


@kernel
def _divide(count):
    """A division and a square root for each of ``count`` groups of eight points, four independent chains."""
    a, b, c, d = splat(1.1), splat(1.2), splat(1.3), splat(1.4)
    for _ in range(count // 4):
        a = sqrt(3.0 / a)
        b = sqrt(3.0 / b)
        c = sqrt(3.0 / c)
        d = sqrt(3.0 / d)
    return total(fma(a, b, c * d))


def divider_points(points, parts=16):
    """Points per second on all threads."""
    spread(1)
    begin = time.perf_counter()
    spread(points // parts, parts)
    return points / (time.perf_counter() - begin)


def spread(points, parts=16):
    """Run the divisions of ``points`` points in each of ``parts`` blocks."""
    run_blocks(lambda part: _divide(points // 8), range(parts))
