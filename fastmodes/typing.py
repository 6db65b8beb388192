"""Types that annotations share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import ArrayLike as ArrayLike
    from numpy.typing import NDArray

    from .rules import LearningRule

    #: An array of float64.
    FloatArray: TypeAlias = NDArray[np.float64]
    #: One rule or several, as values or by name.
    Rules: TypeAlias = LearningRule | str | Sequence[LearningRule | str]
    #: A parameter of a grid: a number, an array by position, or a labelled array by name.
    GridValue: TypeAlias = float | ArrayLike | xr.DataArray

#: Which time steps the loss is taken from.
LossName: TypeAlias = Literal["final", "sequence"]
#: Whether updates are sampled or their expectations.
UpdatesName: TypeAlias = Literal["sampled", "expected"]
