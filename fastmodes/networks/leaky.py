"""Leaky units: ``h_{t+1} = (1 - alpha) h_t + alpha (W h_t + B x_t)``, as a plain network (theory section 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..validation import check_number
from .network import LinearRNN

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    return (1.0 - leak) * np.eye(recurrent.shape[-1]) + leak * recurrent, leak * input_
