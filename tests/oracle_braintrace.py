"""Updates of a network, linear or not, as braintrace computes them: code of other people, online and by autodiff.

braintrace carries an eligibility trace per weight forward in time and multiplies it with a learning signal. Its
"axes" span part of the family of rules:

=====================  ===========================================================================================
propagator P           braintrace's trace
=====================  ===========================================================================================
W                      SnAp-n on a dense recurrent matrix: n = 2 already keeps every influence, which is RTRL
diag(W)                block-diagonal ("coupled") recurrence, one hidden state per unit
w_hat I                scalar leak, 0 <= w_hat < 1 only
none (horizon 1)       no recursion: the trace is the present step
=====================  ===========================================================================================

and the learning signal is dL/dh by autodiff (feedback A), or a signal of the caller's own ("modulatory"), which is
``R^T eps_t`` here. What braintrace cannot express, and so cannot check: horizons between 2 and T - 1, a fixed diagonal
propagator, and w_hat outside [0, 1). Its own random feedback projects a normalised dL/dh, not the output error, and
is another rule.

braintrace multiplies from the left, ``h_t W^T``: weights go in, and updates come out, transposed.
"""

import brainstate
import braintrace
import jax
import jax.numpy as jnp
import numpy as np

# After the imports: brainstate sets single precision when it is imported.
jax.config.update("jax_enable_x64", True)


PHI = {"identity": lambda u: u, "tanh": jnp.tanh, "relu": lambda u: jnp.where(u > 0, u, 0.0)}


class Cell(brainstate.nn.Module):
    """``h_{t+1} = (1 - leak) h_t + leak phi(W h_t + B x_t)`` for a batch of samples.

    Both products are visible to braintrace's traces. ``units`` are phi's name and the leak.
    """

    def __init__(self, recurrent, input_weights, n_samples, units):
        super().__init__()
        self.phi, self.leak = PHI[units[0]], units[1]
        self.recurrent = brainstate.ParamState(jnp.asarray(recurrent.T))
        self.input = brainstate.ParamState(jnp.asarray(input_weights.T))
        self.h = brainstate.HiddenState(jnp.zeros((n_samples, len(recurrent))))

    def init_state(self, batch_size=None):
        """Start from h_0 = 0."""
        self.h.value = jnp.zeros_like(self.h.value)

    def update(self, x):
        """One step; returns h_{t+1}."""
        driven = braintrace.matmul(self.h.value, self.recurrent.value) + braintrace.matmul(x, self.input.value)
        kept = (1 - self.leak) * self.h.value if self.leak < 1 else 0
        self.h.value = kept + self.leak * self.phi(driven)
        return self.h.value


def coordinates(propagator, horizon, decay, signal):
    """The point of braintrace's axes that is this rule.

    Raises
    ------
    NotImplementedError
        If braintrace has no such point.
    """
    if horizon == 1:
        axes = {"temporal_recursion": "none"}
    elif horizon is not None:
        raise NotImplementedError(f"horizon {horizon}: braintrace's traces reach 1 step back or all")
    elif propagator == "recurrent":
        axes = {"recurrence_scope": "sparse_n", "sparse_n": 2}
    elif propagator == "recurrent_diagonal":
        axes = {"recurrence_scope": "coupled"}
    elif propagator == "scalar" and 0 <= decay < 1:
        axes = {"temporal_recursion": "scalar_leak", "decay": decay}
    else:
        raise NotImplementedError(f"propagator {propagator} with decay {decay}")
    return braintrace.ETraceConfig(learning_signal=signal, **axes)


def hidden_states(recurrent, input_weights, inputs, units):
    """h_1 .. h_T of every sample, by braintrace's forward pass.

    Parameters
    ----------
    inputs : array (sample, time, input)

    Returns
    -------
    array (time, sample, hidden)
    """
    cell = Cell(recurrent, input_weights, len(inputs), units)
    return np.asarray(brainstate.transform.for_loop(cell.update, jnp.swapaxes(jnp.asarray(inputs), 0, 1)))


def braintrace_update(
    readout, recurrent, input_weights, inputs, targets,
    *, propagator="recurrent", horizon=None, decay=None, feedback=None, loss="final", units=("identity", 1.0),
):  # fmt: skip
    """Loss and update of one rule, averaged over the batch.

    Parameters
    ----------
    readout, recurrent, input_weights : array
        A (output, hidden), W (hidden, hidden), B (hidden, input).
    inputs : array (sample, time, input)
        x_0 .. x_{T-1}.
    targets : array (sample, time, output)
        y*_1 .. y*_T: what the teacher puts out after each input.
    propagator, horizon, decay
        As in a learning rule.
    feedback : array (output, hidden), optional
        R; None feeds back through A.
    loss : {"final", "sequence"}
        ``1/2 ||eps_T||^2`` or ``1/(2T) sum_t ||eps_t||^2``.
    units : tuple
        Name of phi, and the leak.

    Returns
    -------
    tuple
        Loss, Delta A, Delta W, Delta B.
    """
    n_samples, n_steps = inputs.shape[:2]
    weight = np.full(n_steps, 1 / n_steps) if loss == "sequence" else np.eye(n_steps)[-1]
    xs, ys = (jnp.swapaxes(jnp.asarray(array), 0, 1) for array in (inputs, targets))
    signal = "symmetric" if feedback is None else "modulatory"
    if feedback is not None:
        errors = hidden_states(recurrent, input_weights, inputs, units) @ readout.T - np.swapaxes(targets, 0, 1)
        signals = jnp.asarray(weight[:, None, None] / n_samples * (errors @ feedback))

    cell = Cell(recurrent, input_weights, n_samples, units)
    learner = braintrace.compile(cell, coordinates(propagator, horizon, decay, signal), xs[0], batch_size=n_samples)
    a = brainstate.ParamState(jnp.asarray(readout))

    def half_squared_error(x, y, *own_signal):
        h = learner(x) if feedback is None else learner.update(x, modulator=own_signal[0])
        return 0.5 * jnp.sum((h @ a.value.T - y) ** 2) / n_samples

    updates, value = learner.etrace_grad(
        xs, ys, *([] if feedback is None else [signals]),
        step_fn=half_squared_error, mask=weight, weights={**learner.param_states, ("readout",): a},
        reduction="sum", loss_output="scalar", return_value=True,
    )  # fmt: skip
    return (
        float(value),
        np.asarray(updates["readout",]),
        np.asarray(updates["recurrent",]).T,
        np.asarray(updates["input",]).T,
    )
