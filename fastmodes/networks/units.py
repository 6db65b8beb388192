"""Hidden units that are not those of Eq. 1: nonlinear or leaky ones, and where they are refused.

Only what is computed from given inputs knows nonlinear units. Expected updates, flows and stability are exact
statements about linear networks; a nonlinear network's expected update is no finite sum of such.
"""

from __future__ import annotations

import dataclasses

from ..kernels.updates import nonlinear
from ..validation import check_choice, shown
from .leaky import check_leak

_CODES = {"identity": nonlinear.IDENTITY, "tanh": nonlinear.TANH, "relu": nonlinear.RELU}

#: phi of h_{t+1} = (1 - leak) h_t + leak phi(W h_t + B x_t).
NONLINEARITIES = tuple(_CODES)


@dataclasses.dataclass(frozen=True)
class Units:
    """What hidden units do with u_t = W h_t + B x_t: ``h_{t+1} = (1 - leak) h_t + leak phi(u_t)``.

    Parameters
    ----------
    nonlinearity : {"identity", "tanh", "relu"}
        phi.
    leak : float
        0 < leak <= 1.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """

    nonlinearity: str = "identity"
    leak: float = 1.0

    def __post_init__(self) -> None:
        check_choice("nonlinearity", self.nonlinearity, NONLINEARITIES)
        object.__setattr__(self, "leak", check_leak(self.leak))

    @property
    def linear(self) -> bool:
        """Whether phi is the identity: leaky units then are a plain network with effective matrices."""
        return self.nonlinearity == "identity"

    @property
    def plain(self) -> bool:
        """Whether they are those of Eq. 1, which have kernels of their own."""
        return self.linear and self.leak == 1.0

    def in_kernel(self, count: int) -> nonlinear.Units:
        """``count`` such units as the kernels read them."""
        return nonlinear.Units(count, _CODES[self.nonlinearity], self.leak)


#: The units of Eq. 1.
PLAIN = Units()


def refuse_nonlinear(nonlinearity: str, what: str) -> None:
    """Refuse a nonlinearity where only linear networks have an exact answer; ``what`` says where that is.

    Raises
    ------
    ValueError
        If ``nonlinearity`` is not "identity".
    """
    if check_choice("nonlinearity", nonlinearity, NONLINEARITIES) != "identity":
        raise ValueError(
            f"nonlinearity must be 'identity' for {what}: a nonlinear network is sampled only, it has no exact "
            f"expectation; got {shown(nonlinearity)}"
        )
