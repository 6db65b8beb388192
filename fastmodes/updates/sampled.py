"""One update of one network on given inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..kernels.arrays import layout
from ..kernels.updates import nonlinear, online
from ..kernels.updates import sampled as linear
from ..networks.network import LinearRNN, check_pair
from ..networks.running import batch_first_to_last
from ..networks.units import NONLINEARITIES, Units
from ..rule_codes import carrier, kernel_rule
from ..rules import at_leak, check_rule
from ..validation import check_array, check_choice, check_flag, check_memory
from .feedback import check_feedback
from .one import LOSSES, Update, call_away, call_here, compiled, diverged_loss, student_matrices, teacher_outputs

if TYPE_CHECKING:
    from ..typing import ArrayLike, FormName, LossName, NonlinearityName, Rule


def sampled_update(
    rule: Rule,
    student: LinearRNN,
    teacher: LinearRNN,
    inputs: ArrayLike,
    *,
    feedback: ArrayLike | None = None,
    loss: LossName = "final",
    form: FormName = "backward",
    average: bool = True,
    nonlinearity: NonlinearityName = "identity",
    leak: float = 1.0,
    teacher_nonlinearity: NonlinearityName = "identity",
    noise: ArrayLike | None = None,
) -> Update:
    """Update on a batch of input sequences (Eqs. 32-52), hand-derived.

        Delta W = sum_{j < horizon} (P^T)^j F^T eps_T h_{T-1-j}^T
        Delta B = sum_{j < horizon} (P^T)^j F^T eps_T x_{T-1-j}^T
        Delta A = eps_T h_T^T

    averaged over the sequences; for the sequence loss also over T = 1 .. steps, the horizon capped at each.

    Networks that are nonlinear or leaky (theory section 12; sampled only, nothing of theirs is exact but this update
    on the inputs given) go by

        h_{t+1} = (1 - leak) h_t + leak phi(u_t),      u_t = W h_t + B x_t,      s_t = leak phi'(u_t)
        Delta W = sum_t (s_t q_{t+1}) h_t^T,      Delta B = sum_t (s_t q_{t+1}) x_t^T,      q_T = F^T eps_T

    with q_t = (1 - leak) q_{t+1} + W^T (s_t q_{t+1}) for P = W, where BPTT is the exact gradient,
    ((1 - leak) + diag(W) s_t) q_{t+1} for its diagonal, and decay q_{t+1} for a fixed one.

    Parameters
    ----------
    rule : LearningRule or str
    student, teacher : LinearRNN
    inputs : array (sample, time, input)
        Both networks read the same sequences.
    feedback : array (n_out, n_hidden), optional
        R, for rules with random feedback; the others leave it unread.
    loss : {"final", "sequence"}
    form : {"backward", "online"}
        "online" carries eligibility traces (RFLO Eqs. 43-46, e-prop Eqs. 51-52) or influence tensors (RTRL,
        Eqs. 39-42) forward in time: equal to rounding, memory independent of the number of steps. Rules with the
        full horizon only.
    average : bool
        False: sum over the sequences instead of the mean.
    nonlinearity : {"identity", "tanh", "relu"}
        phi of the student's hidden units.
    leak : float
        0 < leak <= 1, of the student's hidden units; 1 (the default): the state is phi itself.
    teacher_nonlinearity : {"identity", "tanh", "relu"}
        phi of the teacher's hidden units, which do not leak.
    noise : array (sample, time, unit), optional
        Noise of the student's own: u_t = W h_t + B x_t + noise_t (theory section 15). White noise of deviation sigma
        in it has :func:`expected_update` with ``private_noise=sigma`` as its mean.

    Returns
    -------
    Update
        The batch loss and Delta A, Delta W, Delta B, to be subtracted times the learning rate.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or the online form of a truncated rule or of units that are not plain.
    """
    rule = check_rule(rule)
    check_pair(student, teacher)
    units, teacher_units = Units(nonlinearity, leak), _teacher_units(teacher_nonlinearity)
    rule = at_leak(rule, units.leak)
    inputs = check_array("inputs", inputs, (None, None, student.n_in), dims=("sample", "time", "input"))
    check_choice("loss", loss, LOSSES)
    check_choice("form", form, ("backward", "online"))
    samples, steps = inputs.shape[:2]
    if form == "online" and rule.horizon is not None and rule.horizon < steps:
        raise ValueError(f"form must be 'backward' for {rule.name}: traces reach back to the first step; got 'online'")
    if form == "online" and not units.plain:
        raise ValueError("form must be 'backward' for nonlinear or leaky units; got 'online'")
    feedback = check_feedback(rule, feedback, student.n_out, student.n_hidden)
    divisor = float(samples if check_flag("average", average) else 1)
    n = student.n_hidden
    noise = None if noise is None else check_array("noise", noise, (samples, steps, n), dims=("sample", "time", "unit"))
    traces = n * n * (n if rule.propagator == "recurrent" else 1) if form == "online" else n * steps
    if not units.plain:
        # Slopes beside states, and credit of every error that is on its way.
        traces = 2 * traces + n * (min(rule.horizon or 1, steps) if loss == "sequence" else 1)
    check_memory(8.0 * samples * traces, hidden=n, samples=samples, steps=steps)

    batch = batch_first_to_last(inputs)
    targets = teacher_outputs(teacher, batch, loss, teacher_units)
    own = student.n_in
    if noise is not None:
        student = LinearRNN(student.readout, student.recurrent, np.concatenate([student.input, np.eye(n)], axis=1))
        batch = batch_first_to_last(np.concatenate([inputs, noise], axis=2))
    place = layout.single_layout(student.n_out, student.n_hidden, student.n_in)
    _, network = place.zeros()
    _, update = place.zeros()
    place.put(network, 0, student_matrices(student))
    in_kernel, carried_by = kernel_rule(rule), carrier(rule, place, [feedback])
    if form == "online":
        work = online.work_space(network, in_kernel, carried_by, n, batch.shape[2])
        kernel = online.online_update
    elif not units.plain:
        sizes = units.in_kernel(n), steps, batch.shape[2], LOSSES.index(loss)
        work = nonlinear.work_space(network, in_kernel, carried_by, *sizes)
        kernel = nonlinear.nonlinear_update
    else:
        work = linear.work_space(network, in_kernel, carried_by, n, steps, batch.shape[2], LOSSES.index(loss))
        kernel = linear.sampled_update
    name = form if units.plain else "nonlinear"
    call = call_away if samples * traces * n > 1e7 or name not in compiled else call_here
    value = call(name, kernel, network, in_kernel, batch, targets, divisor, work, update)
    readout, recurrent, change = place.get(update, 0)
    return Update(diverged_loss(float(value)), readout, recurrent, change[:, :own])


def _teacher_units(nonlinearity: NonlinearityName) -> Units:
    """Units of a teacher; the error names the teacher's parameter."""
    return Units(check_choice("teacher_nonlinearity", nonlinearity, NONLINEARITIES))
