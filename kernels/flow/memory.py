"""Memory of the flow's lanes: one flat array of rows, a row holding one number of each of the eight trajectories.

One array whose rows lie at fixed places lets the compiler keep a single pointer and see that rows never overlap.
"""

from ..compile import always_inlined
from ..simd.lanes import WIDTH, load, store

#: First of three rows (w, a, b) each: the state, its velocity (which is also the explicit method's first stage), the
#: stages, the step's result with its velocity and error; then the interpolant's four coefficients for each variable.
STATE, SLOPE, STAGES, FRESH, SLOPE_NEW, ERROR, DENSE = 0, 3, 6, 30, 33, 36, 39
#: The mode (five rows, see :mod:`fastmodes.kernels.modes.velocity`), and where the trajectory stands: path length,
#: learning time (-1: not yet), loss (-1: unknown).
MODE, TIME, STEP, STEPS, CALLS, PATH, LEARNT, LOSS = 51, *range(56, 63)
#: Largest growth of the next step, steps limited by stability, the next output's place and time.
GROWN, STIFFNESS, NEXT, NEXT_TIME = range(63, 67)
#: Length of the step being tried and the time after it.
H, NEW_TIME = 67, 68
#: Eight outputs that do not fit into their place at once.
BUFFER = 69
ROWS = 70


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
