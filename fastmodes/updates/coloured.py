"""Input correlated in time: white noise through a linear filter; expected updates stay exact (beyond the paper).

The filter has a state of its own,

    z_{t+1} = F z_t + G n_t,      x_t = C z_t + D n_t,      n_t white, z_0 from the stationary distribution.

Student and filter together are a larger network (:mod:`~fastmodes.updates.drive`), driven by white noise, that carries
z beside its hidden units:

    W' = [[W, B C], [0, F]],      B' = [B D; G],      A' = [A, 0],      feedback [R, 0].

The transposed powers of W' are block triangular, so credit that enters the hidden units is carried among them as
before, and the hidden rows of the larger network's update hold what is wanted: Delta W in the columns of h, and, from
the columns of z and the noise n,

    Delta A = Delta A'[:, h],      Delta W = Delta W'[h, h],      Delta B = Delta W'[h, z] C^T + Delta B'[h] D^T.

The stationary start z_0 adds, at a finite number of steps T, the update of the same network driven through z_0 instead
of n: its response T steps on for the final loss, up to T steps on for the sequence loss.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from ..networks.leaky import check_leak, effective
from ..networks.network import LinearRNN, check_pair
from ..rules import at_leak, check_rule
from ..validation import check_array, check_choice, check_integer, check_memory, check_number, check_steps, shown
from .drive import Drive
from .feedback import check_feedback
from .infinite import spectral_radius
from .loss import covariance_factors
from .one import LOSSES, Update, diverged_loss, expected_update, leaky_update

if TYPE_CHECKING:
    from ..typing import ArrayLike, FloatArray, LossName, Rule


@dataclasses.dataclass(frozen=True, eq=False)
class InputFilter:
    """Stationary linear filter of white noise: ``z_{t+1} = F z_t + G n_t``, ``x_t = C z_t + D n_t``.

    Parameters
    ----------
    state : array (n_state, n_state)
        F, of spectral radius below 1.
    drive : array (n_state, n_noise)
        G.
    output : array (n_in, n_state)
        C.
    direct : array (n_in, n_noise)
        D.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a finite real number, the shapes do not fit, or the filter is not stable.
    """

    state: FloatArray
    drive: FloatArray
    output: FloatArray
    direct: FloatArray

    if TYPE_CHECKING:
        # The constructor takes anything that makes an array; the fields are arrays.
        def __init__(self, state: ArrayLike, drive: ArrayLike, output: ArrayLike, direct: ArrayLike) -> None: ...

    def __post_init__(self) -> None:
        state = check_array("state", self.state, (None, None), dims=("n_state", "n_state"))
        n = len(state)
        checked = {
            "state": check_array("state", state, (n, n), dims=("n_state", "n_state")),
            "drive": (drive := check_array("drive", self.drive, (n, None), dims=("n_state", "n_noise"))),
            "output": (output := check_array("output", self.output, (None, n), dims=("n_in", "n_state"))),
            "direct": check_array("direct", self.direct, (len(output), drive.shape[1]), dims=("n_in", "n_noise")),
        }
        radius = spectral_radius(state)
        if radius >= 1:
            raise ValueError(f"state must have a spectral radius below 1, a stationary filter; got {radius:.17g}")
        for name, array in checked.items():
            array = array.copy()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def n_state(self) -> int:
        """Numbers the filter remembers."""
        return len(self.state)

    @property
    def n_in(self) -> int:
        """Input channels it writes."""
        return len(self.output)

    @property
    def start_root(self) -> FloatArray:
        """L (n_state, .) with L L^T the stationary covariance of z."""
        return covariance_factors(self.state, self.drive, math.inf)[0]

    def covariance(self, steps: int) -> FloatArray:
        """Covariance (steps * n_in, steps * n_in) of the input over time, time the slower index.

        Raises
        ------
        TypeError, ValueError
            If ``steps`` is not a whole number >= 1.
        """
        steps = check_steps("steps", steps)
        # The matrix, and the table of its pieces.
        needed = 8.0 * steps**2 * (self.n_in**2 + 1)
        check_memory(needed, "fm.coloured_update needs no covariance", steps=steps, n_in=self.n_in)
        root = self.start_root
        stationary = root @ root.T
        lags = [self.output @ stationary @ self.output.T + self.direct @ self.direct.T]
        carried = self.state @ stationary @ self.output.T + self.drive @ self.direct.T
        for _ in range(1, steps):
            lags.append(self.output @ carried)
            carried = self.state @ carried
        return np.block([[lags[i - j] if i >= j else lags[j - i].T for j in range(steps)] for i in range(steps)])


def autoregressive_input(coefficient: float, n_in: int, *, variance: float = 1.0) -> InputFilter:
    """AR(1) input: each channel ``x_{t+1} = coefficient x_t + noise``, independent, of equal variance at all times.

    Parameters
    ----------
    coefficient : float
        Correlation of neighbouring time steps, between -1 and 1. 0: white.
    n_in : int
    variance : float
        Of each channel.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    coefficient = check_number("coefficient", coefficient, above=-1.0, below=1.0)
    eye = np.eye(check_integer("n_in", n_in))
    deviation = math.sqrt(check_number("variance", variance, above=0.0))
    innovation = deviation * math.sqrt(1.0 - coefficient**2)
    return InputFilter(coefficient * eye, innovation * eye, coefficient * eye, innovation * eye)


def coloured_update(
    rule: Rule,
    student: LinearRNN,
    teacher: LinearRNN,
    steps: float,
    colour: InputFilter,
    *,
    feedback: ArrayLike | None = None,
    loss: LossName = "final",
    leak: float = 1.0,
    private_noise: float = 0.0,
) -> Update:
    """Expected update under Gaussian input correlated in time, exact; :func:`expected_update` for white input.

    Parameters
    ----------
    rule : LearningRule or str
    student, teacher : LinearRNN
        Both read the same input.
    steps : int or math.inf
        T. The input is stationary from the first step on; both networks start at zero.
    colour : InputFilter
    feedback : array (n_out, n_hidden), optional
        R, for rules with random feedback; the others leave it unread.
    loss : {"final", "sequence"}
    leak : float
        0 < leak <= 1, of the student's hidden units.
    private_noise : float
        As for :func:`expected_update`.

    Returns
    -------
    Update

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or sums that diverge at infinitely many steps.
    """
    rule = check_rule(rule)
    check_pair(student, teacher)
    steps = check_steps("steps", steps, infinite=True)
    check_colour("colour", colour, student.n_in)
    check_choice("loss", loss, LOSSES)
    leak = check_leak(leak)
    rule = at_leak(rule, leak)
    feedback = check_feedback(rule, feedback, student.n_out, student.n_hidden)
    student, n = effective(student, leak), student.n_hidden
    drive = filter_drive(colour, leak * check_number("private_noise", private_noise, 0.0)).for_ever()
    rule = drive.rule(rule, student.n_hidden)
    feedback = drive.feedback(feedback)

    def of(count: float, drive: Drive, loss: LossName) -> Update:
        """Update of the larger network, read for the smaller one."""
        own, goal = drive.student(student), drive.teacher(teacher, student.n_hidden)
        found = expected_update(rule, own, goal, count, feedback=feedback, loss=loss)
        rows = found.recurrent[:n], found.input[:n]
        return Update(found.loss, found.readout[:, :n], rows[0][:, :n], drive.own_input(*rows))

    update = of(steps, drive, loss)
    root = colour.start_root
    if steps == math.inf or not root.any():
        return leaky_update(update, leak)
    # The start alone, as if it were noise that enters the filter's state one step before the first input.
    silent = np.zeros((colour.n_in, root.shape[1]))
    start = dataclasses.replace(drive, drive=root, direct=silent, private=0.0)
    within = of(steps + 1, start, "final")
    with np.errstate(all="ignore"):
        if loss == "sequence":
            parts = [a + b / steps for a, b in zip(update, within, strict=True)]
        else:
            before = of(steps, start, "final")
            parts = [a + b - c for a, b, c in zip(update, within, before, strict=True)]
    return leaky_update(Update(diverged_loss(parts[0]), *parts[1:]), leak)


def filter_drive(colour: InputFilter, private: float = 0.0) -> Drive:
    """The filter, with its stationary start, before networks whose units have noise of their own."""
    return Drive(colour.state, colour.drive, colour.output, colour.direct, colour.start_root, private)


def check_colour(name: str, colour: object, n_in: int) -> InputFilter:
    """A filter that writes ``n_in`` channels.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    if not isinstance(colour, InputFilter):
        raise TypeError(f"{name} must be an InputFilter such as fm.autoregressive_input(0.5, 4); got {shown(colour)}")
    if colour.n_in != n_in:
        raise ValueError(f"{name} must write the students' n_in={n_in} channels; got {colour.n_in}")
    return colour
