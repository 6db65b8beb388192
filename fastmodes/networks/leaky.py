"""Leaky units as a plain network, and rates per matrix (theory section 10).

h_{t+1} = (1 - alpha) h_t + alpha (W h_t + B x_t)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..validation import check_number, shown
from .network import LinearRNN

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The three matrices that learn, in the order of :class:`fastmodes.LinearRNN`.
MATRICES = ("readout", "recurrent", "input")


def check_leak(leak: Any) -> float:
    """alpha as a float in (0, 1].

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    checked: float = check_number("leak", leak, high=1.0, above=0.0)
    return checked


def effective(network: LinearRNN, leak: float) -> LinearRNN:
    """The plain network that runs as the leaky one does: W_e = (1 - alpha) I + alpha W, B_e = alpha B, A."""
    if leak == 1.0:
        return network
    return LinearRNN(network.readout, *effective_matrices(network.recurrent, network.input, leak))


def effective_matrices(
    recurrent: NDArray[Any], input_: NDArray[Any], leak: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(W_e, B_e) from W and B, or a history of them."""
    if leak == 1.0:
        return recurrent, input_
    return (1.0 - leak) * np.eye(recurrent.shape[-1]) + leak * recurrent, leak * input_


def own_matrices(
    recurrent: NDArray[Any], input_: NDArray[Any], leak: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(W, B) from W_e and B_e, or a history of them."""
    if leak == 1.0:
        return recurrent, input_
    return (recurrent - (1.0 - leak) * np.eye(recurrent.shape[-1])) / leak, input_ / leak


def check_per_matrix(name: str, value: Any, check: Callable[[str, Any], Any]) -> tuple[float, float, float]:
    """A number for all three matrices, or a mapping with one for each.

    Raises
    ------
    TypeError, ValueError
        If a matrix is missing or unknown, or a number is out of range.
    """
    if not isinstance(value, Mapping):
        number = check(name, value)
        return number, number, number
    if set(value) != set(MATRICES):
        raise ValueError(f"{name} must name readout, recurrent and input, each once; got {shown(dict(value))}")
    readout, recurrent, input_ = (check(f"{name}[{key!r}]", value[key]) for key in MATRICES)
    return readout, recurrent, input_


def flow_rates(rates: Any, leak: float) -> tuple[float, float, float]:
    """Rates of (w_e, a, b_e), or (W_e, A, B_e), in a flow: those of (w, a, b), times alpha^2 but for the readout.

    Raises
    ------
    TypeError, ValueError
        If one is missing, negative or no number, or all are 0.
    """
    given = 1.0 if rates is None else rates
    readout, recurrent, input_ = check_per_matrix("rates", given, lambda name, value: check_number(name, value, 0.0))
    if not max(readout, recurrent, input_) > 0:
        raise ValueError("rates must be > 0 for at least one of readout, recurrent and input; got 0")
    return recurrent * leak**2, readout, input_ * leak**2
