"""The flow's kernels: :mod:`~fastmodes.kernels.flow.driver`, compiled for each kind of propagator and of feedback."""

import numpy as np

from ..compile import inlined, kernel
from ..modes.horizon import digit_count
from ..modes.velocity import KINDS
from ..rule import is_rated, is_sign, on_lanes
from ..simd.machine import aligned_stack
from .driver import POINT, integrate


@inlined
def _longest(points, todo):
    """Binary digits of the longest horizon."""
    longest = 0.0
    for point in todo:
        longest = max(longest, points[point, POINT - 1])
    return digit_count(longest)


def _flow_lanes(kind, signed, rated):
    """The kernel of one kind: its constants leave one formula of velocity in the innermost loop."""

    @kernel
    def flow_lanes(points, todo, times, rule, options, outputs, ends):
        """Integrate many modes to the last of the times.

        Parameters
        ----------
        points : float64 array (point, POINT)
        todo : int64 array
            Points to integrate.
        times : float64 array (time,)
            Ascending, the last one is the end.
        rule : Rule
            The points have horizons of their own; its rates are read where they are not 1.
        options : float64 array (6,)
            Relative and absolute tolerance, largest number of steps, fixed step (0: adaptive), loss threshold, method.
        outputs : three float64 arrays (point, time)
            Results: w, a and b at the times.
        ends : Ends
            Results. Path length, learning time and loss are observed if their arrays are not empty.
        """
        aligned_stack()
        # As plain numbers: literal ones would compile every function below anew for each kind.
        choices = on_lanes(rule, np.int64(signed), np.int64(rated), _longest(points, todo))
        integrate(points, todo, times, choices, options, outputs, ends, np.int64(kind))

    return flow_lanes


#: One kernel for each kind of propagator, in the order of KINDS; then the same for the feedback s sign(A), and all of
#: them again for variables that learn at rates of their own.
FLOW_LANES = tuple(
    _flow_lanes(kind, signed, rated) for rated in (False, True) for signed in (False, True) for kind in KINDS
)


def kernel_place(rule, kind):
    """Place in FLOW_LANES of the kernel for a rule and a kind of propagator."""
    return kind + len(KINDS) * (is_sign(rule) + 2 * is_rated(rule))
