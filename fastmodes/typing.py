"""Names for the types that signatures of the package share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import xarray as xr

    from .networks.network import LinearRNN, Modes
    from .rules import LearningRule

__all__ = [
    "AnyArray", "ArrayLike", "BasisName", "BoolArray", "ComplexArray", "FeedbackName", "Feedbacks", "FloatArray",
    "FormName", "GridValue", "IntArray", "LossName", "ModesLike", "NonlinearityName", "OptimizerName", "PathLike",
    "PropagatorName", "Rule", "Rules", "Seeds", "Students", "UpdatesName",
]  # fmt: skip

FloatArray: TypeAlias = NDArray[np.float64]
ComplexArray: TypeAlias = NDArray[np.complex128]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
#: Of any, or of more than one, kind of number.
AnyArray: TypeAlias = NDArray[Any]

PathLike: TypeAlias = "str | os.PathLike[str]"

#: One learning rule, as a value or as a text that parse_rule reads.
Rule: TypeAlias = "LearningRule | str"
Rules: TypeAlias = "LearningRule | str | Sequence[LearningRule | str]"
#: A parameter of a grid: a number, an array or a labelled array.
GridValue: TypeAlias = "float | ArrayLike | xr.DataArray"
#: Modes of a grid: entries, or a network that is taken apart.
ModesLike: TypeAlias = "Modes | LinearRNN | tuple[GridValue, GridValue, GridValue]"
Seeds: TypeAlias = "int | Sequence[int] | NDArray[np.integer[Any]]"
Students: TypeAlias = "LinearRNN | Sequence[LinearRNN]"
#: Feedback matrices R, one for all or one for each.
Feedbacks: TypeAlias = "ArrayLike | Sequence[ArrayLike | None]"

LossName: TypeAlias = Literal["final", "sequence"]
UpdatesName: TypeAlias = Literal["sampled", "expected"]
OptimizerName: TypeAlias = Literal["sgd", "adam"]
BasisName: TypeAlias = Literal["identity", "random"]
FeedbackName: TypeAlias = Literal["readout", "random", "sign", "mixed", "partly_aligned", "kolen_pollack", "mirror"]
PropagatorName: TypeAlias = Literal["recurrent", "scalar", "diagonal", "recurrent_diagonal"]
#: How a sampled update is computed: back through time, or forward with the states.
FormName: TypeAlias = Literal["backward", "online"]
#: phi of hidden units.
NonlinearityName: TypeAlias = Literal["identity", "tanh", "relu"]
