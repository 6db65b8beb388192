"""Memory of the flow's lanes: one flat array of rows, a row holding one number of each of the eight trajectories.

One array whose rows lie at fixed places lets the compiler keep a single pointer and see that rows never overlap.
"""

from ..compile import always_inlined
from ..simd.lanes import WIDTH, load, store
from ..tableau import STIFF_STAGES


class _Rows:
    """Hands out rows one after the other."""

    def __init__(self):
        self.count = 0

    def take(self, rows=1):
        """First of so many rows."""
        self.count += rows
        return self.count - rows


_rows = _Rows()
#: Three rows (w, a, b) each: the state; its velocity, which is also the explicit method's first stage; the stages.
STATE, SLOPE, STAGES = _rows.take(3), _rows.take(3), _rows.take(3 * STIFF_STAGES)
#: The step's result with its velocity and error.
FRESH, SLOPE_NEW, ERROR = _rows.take(3), _rows.take(3), _rows.take(3)
#: The interpolant's four coefficients for each variable.
DENSE = _rows.take(4 * 3)
#: The mode, see :mod:`fastmodes.kernels.modes.velocity`.
MODE = _rows.take(5)
#: Where the trajectory stands: its time, the step it will try, steps and velocities so far.
TIME, STEP, STEPS, CALLS = _rows.take(), _rows.take(), _rows.take(), _rows.take()
#: What is observed: path length, learning time (-1: not yet), loss (-1: unknown).
PATH, LEARNT, LOSS = _rows.take(), _rows.take(), _rows.take()
#: Largest growth of the next step, steps limited by stability, the next output's place and time.
GROWN, STIFFNESS, NEXT, NEXT_TIME = _rows.take(), _rows.take(), _rows.take(), _rows.take()
#: Length of the step being tried and the time after it.
H, NEW_TIME = _rows.take(), _rows.take()
#: Eight outputs that do not fit into their place at once.
BUFFER = _rows.take()
ROWS = _rows.count


@always_inlined
def get(work, row):
    """The eight numbers of a row."""
    return load(work, (row * WIDTH,))


@always_inlined
def put(work, row, value):
    """Write a row."""
    store(work, (row * WIDTH,), value)


@always_inlined
def modes(work):
    """The eight modes."""
    return get(work, MODE), get(work, MODE + 1), get(work, MODE + 2), get(work, MODE + 3), get(work, MODE + 4)
