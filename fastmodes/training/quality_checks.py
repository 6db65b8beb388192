"""What has no exact gradient, and is refused where the quality of updates is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from ..networks.units import refuse_nonlinear
from ..validation import shown
from .sequences import Sequences


def check_quality(values: SimpleNamespace, data: Sequences | int | None) -> None:
    """Refuse what has no exact gradient.

    Raises
    ------
    ValueError
        For nonlinear units, and for sequences of the user's own.
    """
    if not values.gradient_quality:
        return
    refuse_nonlinear(values.nonlinearity, "gradient_quality=True")
    if isinstance(data, Sequences):
        raise ValueError(
            "gradient_quality must be False for sequences of your own: the exact gradient is that of white input and a "
            "teacher's targets, from which they need not come; a number of sequences, data=100, is drawn from a teacher"
        )
    refuse_surroundings(vars(values), "gradient_quality=True")


def refuse_surroundings(settings: Mapping[str, Any], what: str) -> None:
    """Refuse settings of a training in which the exact gradient is not that of white input without noise.

    Raises
    ------
    ValueError
        Naming the setting and its value.
    """
    for name, plain in (("input_covariance", None), ("colour", None), ("private_noise", 0.0)):
        value = settings.get(name)
        if value is not None and value is not plain and not (plain == 0.0 and value == 0.0):
            raise ValueError(
                f"{name} must be {plain} for {what}, whose gradient is that of white input; got {shown(value)}"
            )
