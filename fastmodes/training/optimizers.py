"""Optimisers as values: :func:`sgd` and :func:`adam`, and what ``train`` makes of one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from ..kernels.training import optimizers as kernels
from ..validation import shown
from .parameter_kinds import Betas, Real
from .parameters import TRAIN

_POSITIVE = Real(above=0.0)


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """How a gradient becomes a step; made by :func:`sgd` and :func:`adam`.

    Attributes
    ----------
    name : {"sgd", "adam"}
    learning_rate : float or None
        None: the one that ``train`` is given.
    clip_norm : float or None
    betas : tuple of float or None
    epsilon : float or None
        Of Adam; None for plain gradient descent.
    momentum : float or None
        Of plain gradient descent.
    """

    name: str
    learning_rate: float | None = None
    clip_norm: float | None = None
    betas: tuple[float, float] | None = None
    epsilon: float | None = None
    momentum: float | None = None

    def __repr__(self) -> str:
        fields = dataclasses.asdict(self)
        given = ", ".join(f"{k}={v!r}" for k, v in fields.items() if k != "name" and v is not None)
        return f"{self.name}({given})"

    def table(self) -> dict[str, Any]:
        """Name and what is set, as a plan writes it."""
        values = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        return values | ({"betas": list(self.betas)} if self.betas else {})


def sgd(
    learning_rate: float | None = None, *, momentum: float | None = None, clip_norm: float | None = None
) -> Optimizer:
    """Plain gradient descent, theta <- theta - eta g, or with momentum: m <- momentum m + g, theta <- theta - eta m.

    Parameters
    ----------
    learning_rate : float, optional
        eta > 0; may be given to ``train`` instead.
    momentum : float, optional
        In [0, 1).
    clip_norm : float, optional
        Clip each network's gradient to this norm (over all parameters).

    Raises
    ------
    TypeError, ValueError
        For a number outside its range.

    Examples
    --------
    >>> sgd(0.01, clip_norm=1.0)
    sgd(learning_rate=0.01, clip_norm=1.0)
    """
    rate, norm = _shared(learning_rate, clip_norm)
    kept = None if momentum is None else TRAIN["momentum"].check("momentum", momentum)
    return Optimizer("sgd", rate, norm, momentum=kept)


def adam(
    learning_rate: float | None = None,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
    clip_norm: float | None = None,
) -> Optimizer:
    """Adam (Kingma and Ba 2015).

    Parameters
    ----------
    learning_rate : float, optional
        eta > 0; may be given to ``train`` instead.
    betas : pair of float
        Rates of forgetting of the gradient's mean and mean square, in [0, 1).
    epsilon : float
        Added to the divisor, > 0.
    clip_norm : float, optional
        Clip each network's gradient to this norm (over all parameters).

    Raises
    ------
    TypeError, ValueError
        For a number outside its range.

    Examples
    --------
    >>> adam(clip_norm=1.0)
    adam(clip_norm=1.0, betas=(0.9, 0.999), epsilon=1e-08)
    """
    rate, norm = _shared(learning_rate, clip_norm)
    return Optimizer("adam", rate, norm, Betas().check("betas", betas), _POSITIVE.check("epsilon", epsilon))


#: What makes an optimiser, by the word that stands for it.
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": sgd, "adam": adam}


def _shared(learning_rate: float | None, clip_norm: float | None) -> tuple[float | None, float | None]:
    given = {"learning_rate": learning_rate, "clip_norm": clip_norm}
    rate, norm = (None if value is None else _POSITIVE.check(name, value) for name, value in given.items())
    return rate, norm


#: The keyword of ``train`` that says what a field of an optimiser says.
_KEYWORDS = {
    "learning_rate": "learning_rate", "clip_norm": "clip_norm", "betas": "adam_betas", "epsilon": "adam_epsilon",
    "momentum": "momentum",
}  # fmt: skip
_OF_ONE_KIND = {"betas": "adam", "epsilon": "adam", "momentum": "sgd"}


def complete_optimizer(optimizer: str | Optimizer, keywords: Mapping[str, Any]) -> Optimizer:
    """An optimiser with its learning rate, from what ``train`` is given, each checked by itself already.

    A word takes everything from the keywords beside it. A value has its own numbers; a keyword may only repeat them, or
    say what the value leaves open.

    Raises
    ------
    TypeError, ValueError
        If the learning rate is missing, a keyword contradicts the value, or Adam is given a momentum.
    """
    if isinstance(optimizer, str):
        own = {field: keywords[name] for field, name in _KEYWORDS.items()}
        optimizer = Optimizer(
            optimizer, **{k: v for k, v in own.items() if _OF_ONE_KIND.get(k, optimizer) == optimizer}
        )
    elif not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be 'sgd', 'adam', fm.sgd(...) or fm.adam(...); got {shown(optimizer)}")
    elif keywords.get("rates") is not None and optimizer.learning_rate is not None:
        raise ValueError(
            "learning_rate must be given once; got rates of matrices or runs beside the optimizer's own, "
            f"optimizer={optimizer}"
        )
    if optimizer.name == "adam" and keywords["momentum"]:
        raise ValueError(f"momentum must be 0 for adam, which has its betas; got {keywords['momentum']}")
    for field, name in _KEYWORDS.items():
        own, keyword = getattr(optimizer, field), keywords[name]
        if _OF_ONE_KIND.get(field, optimizer.name) != optimizer.name or keyword == TRAIN[name].default:
            continue
        if own is None:
            change: dict[str, Any] = {field: keyword}
            optimizer = dataclasses.replace(optimizer, **change)
        elif keyword != own:
            raise ValueError(
                f"{name} must be given once, or be the optimizer's own; got {name}={keyword} and optimizer={optimizer}"
            )
    if optimizer.learning_rate is None:
        raise TypeError("learning_rate must be a finite real number and > 0, here or in the optimizer; got None")
    return optimizer


def in_kernel(optimizer: Optimizer) -> kernels.Optimizer:
    """A complete optimiser as the kernels read it."""
    assert optimizer.learning_rate is not None
    beta_1, beta_2 = optimizer.betas or (optimizer.momentum or 0.0, 0.0)
    plain = kernels.MOMENTUM if optimizer.momentum else kernels.SGD
    return kernels.Optimizer(
        kind=plain if optimizer.name == "sgd" else kernels.ADAM,
        learning_rate=optimizer.learning_rate,
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=optimizer.epsilon or 1.0,
        clip_norm=math.inf if optimizer.clip_norm is None else optimizer.clip_norm,
    )
