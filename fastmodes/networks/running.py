"""A network that runs: hidden states and outputs for given inputs, and the response to one impulse.

With ``h_{t+1} = W h_t + B x_t``, ``y_t = A h_t`` (Eq. 1), or with units of another kind (theory section 12), entry t
along ``time`` of every result belongs to the state after input x_t has acted: ``hidden[t] = h_{t+1}`` and
``output[t] = y_{t+1}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from ..kernels.arrays import layout
from ..kernels.updates import nonlinear, sampled
from ..validation import as_array, check_array, check_memory, check_steps
from .network import check_network
from .units import Units

if TYPE_CHECKING:
    from ..typing import ArrayLike, FloatArray, NonlinearityName
    from .network import LinearRNN


class Response(NamedTuple):
    """What a network does with its inputs: ``output`` (.., time, output) and ``hidden`` (.., time, unit)."""

    output: Any
    hidden: Any


def simulate(
    network: LinearRNN, inputs: ArrayLike | xr.DataArray, *, initial: ArrayLike | None = None,
    nonlinearity: NonlinearityName = "identity", leak: float = 1.0,
) -> Response:  # fmt: skip
    """Hidden states and outputs of a network on given inputs (Eq. 1; theory section 12).

        h_{t+1} = (1 - leak) h_t + leak phi(W h_t + B x_t),      y_t = A h_t

    Parameters
    ----------
    network : LinearRNN
    inputs : array (.., time, input) or DataArray
        One sequence or any number of them. Of a DataArray, "time" and "input" (or "channel") are found by name,
        wherever they stand; all other dimensions, and the coordinates, come back in the results.
    initial : array (n_hidden,), optional
        h_0, the same for every sequence; default 0.
    nonlinearity : {"identity", "tanh", "relu"}
        phi.
    leak : float
        0 < leak <= 1; 1 (the default): the state is phi itself.

    Returns
    -------
    Response
        ``output`` (.., time, output) and ``hidden`` (.., time, unit); DataArrays where the inputs were one. Entry t is
        y_{t+1} and h_{t+1}, after input x_t has acted. States of an unstable network may grow to infinity.

    Raises
    ------
    TypeError, ValueError
        For inputs of the wrong shape, or that are not finite numbers; for other parameters outside their range.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmodes as fm
    >>> echo = fm.LinearRNN(readout=[[1.0]], recurrent=[[0.5]], input=[[2.0]])
    >>> fm.simulate(echo, np.array([[1.0], [0.0], [0.0]])).output.ravel().tolist()
    [2.0, 1.0, 0.5]
    """
    check_network("network", network)
    units = Units(nonlinearity, leak)
    if isinstance(inputs, xr.DataArray):
        return _simulate_labelled(network, inputs, initial, units)
    return _simulate(network, inputs, initial, units)


def _simulate(network: LinearRNN, inputs: ArrayLike, initial: ArrayLike | None, units: Units) -> Response:
    values = as_array("inputs", inputs)
    if values.ndim < 2:
        raise ValueError(f"inputs must have shape (.., time, input); got shape {values.shape}")
    around = values.shape[:-2]
    values = check_array(
        "inputs", values, (*around, None, network.n_in), dims=(*("any",) * len(around), "time", "input")
    )
    steps, n = values.shape[-2], network.n_hidden
    samples = int(np.prod(around, dtype=np.int64))
    sizes: dict[str, Any] = {"inputs": values.shape} | {"hidden": n}
    check_memory(16.0 * steps * samples * (2 * n + network.n_out + network.n_in), **sizes)
    start = None if initial is None else check_array("initial", initial, (n,), dims=("n_hidden",))
    batch = batch_first_to_last(values.reshape(samples, steps, network.n_in))
    hidden, output = run_batch(network, batch) if units.plain else run_units(network, batch, units, initial=start)
    hidden, output = (part[:, :, :samples].transpose(2, 0, 1) for part in (hidden[1:], output))
    if units.plain and start is not None:
        free = _free_states(network, start, steps)
        with np.errstate(all="ignore"):
            hidden, output = hidden + free, output + free @ network.readout.T
    return Response(output.reshape(*around, steps, network.n_out), hidden.reshape(*around, steps, n))


def _simulate_labelled(network: LinearRNN, inputs: xr.DataArray, initial: ArrayLike | None, units: Units) -> Response:
    channel = "channel" if "channel" in inputs.dims and "input" not in inputs.dims else "input"
    if not {"time", channel} <= set(inputs.dims):
        raise ValueError(f"inputs must have the dimensions 'time' and 'input'; got {inputs.dims}")
    taken = [dim for dim in ("unit", "output") if dim in inputs.dims]
    if taken:
        raise ValueError(f"inputs must not have a dimension {taken[0]!r}, which the results have; rename it")
    ordered = inputs.transpose(..., "time", channel)
    response = _simulate(network, ordered.values, initial, units)
    kept = {name: c for name, c in ordered.coords.items() if channel not in c.dims}
    attributes = {"hidden": "hidden state after each input", "output": "output after each input"}
    return Response(
        *(
            xr.DataArray(values, dims=(*ordered.dims[:-1], dim), coords=kept, name=name,
                         attrs={"long_name": attributes[name], "units": "1"})
            for name, values, dim in zip(Response._fields, response, ("output", "unit"), strict=True)
        )
    )  # fmt: skip


def _free_states(network: LinearRNN, state: FloatArray, steps: int) -> FloatArray:
    """W^t h_0 for t = 1 .. steps, (time, unit)."""
    out = np.empty((steps, network.n_hidden))
    with np.errstate(all="ignore"):
        for t in range(steps):
            state = network.recurrent @ state
            out[t] = state
    return out


def batch_first_to_last(inputs: FloatArray) -> FloatArray:
    """Inputs (sample, time, input) as (time, input, sample), padded with zero sequences to fill the lanes."""
    samples, steps, n_in = inputs.shape
    batch = np.zeros((steps, n_in, layout.padded(samples)))
    batch[:, :, :samples] = inputs.transpose(1, 2, 0)
    return batch


def run_batch(network: LinearRNN, batch: FloatArray, last: int | None = None) -> tuple[FloatArray, FloatArray]:
    """States h_0 .. h_T (time, unit, sample) and the outputs of the ``last`` steps of a padded batch, default all."""
    padded, hidden, out = _room(network, batch, last)
    sampled.outputs(padded, batch, hidden, out)
    return hidden, out


def run_units(
    network: LinearRNN, batch: FloatArray, units: Units, last: int | None = None, initial: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """:func:`run_batch` of a network whose units are not those of Eq. 1, from h_0 = ``initial``, default 0."""
    padded, hidden, out = _room(network, batch, last)
    hidden[0] = 0.0 if initial is None else initial[:, None]
    nonlinear.outputs(padded, units.in_kernel(network.n_hidden), batch, hidden, out)
    return hidden, out


def _room(network: LinearRNN, batch: FloatArray, last: int | None) -> tuple[layout.Network, FloatArray, FloatArray]:
    """The network as kernels want it, and room for hidden states and for the outputs of the ``last`` steps."""
    place = layout.single_layout(network.n_out, network.n_hidden, network.n_in)
    _, padded = place.zeros()
    place.put(padded, 0, (network.readout, network.recurrent, network.input))
    steps, _, samples = batch.shape
    hidden = np.empty((steps + 1, network.n_hidden, samples))
    return padded, hidden, np.empty((steps if last is None else last, network.n_out, samples))


def impulse_response(network: LinearRNN, steps: int) -> FloatArray:
    """A W^k B for k = 0 .. steps-1: the output k + 1 steps after a unit impulse in each channel.

    Parameters
    ----------
    network : LinearRNN
    steps : int

    Returns
    -------
    array (steps, n_out, n_in)
        Entries of an unstable network may be infinite.

    Raises
    ------
    TypeError, ValueError
        For a number of steps that is not whole, or results that do not fit into memory.

    Examples
    --------
    >>> import fastmodes as fm
    >>> fm.LinearRNN(readout=[[1.0]], recurrent=[[0.5]], input=[[2.0]]).impulse_response(3).ravel().tolist()
    [2.0, 1.0, 0.5]
    """
    check_network("network", network)
    steps = check_steps("steps", steps)
    check_memory(8.0 * steps * network.n_out * network.n_in, steps=steps)
    out = np.empty((steps, network.n_out, network.n_in))
    carried = network.input
    # An unstable network may overflow: the response then is not finite, which is a result.
    with np.errstate(all="ignore"):
        for k in range(steps):
            out[k] = network.readout @ carried
            carried = network.recurrent @ carried
    return out
