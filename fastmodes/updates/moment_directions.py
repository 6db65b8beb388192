"""Directions in the space of weights: as they are given, and as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..networks.leaky import MATRICES
from ..networks.network import LinearRNN
from ..validation import check_array, check_sequence, shown
from .one import Update

if TYPE_CHECKING:
    from ..typing import ArrayLike, FloatArray

    #: One direction, of all students or with the student as first axis.
    Direction: TypeAlias = "Update | LinearRNN | tuple[ArrayLike, ArrayLike, ArrayLike]"
    Along: TypeAlias = "Direction | list[Direction]"
    _Matrices: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]

#: More directions than this are all entries, whose variances come more cheaply.
_MOST = 1_000_000


def check_directions(along: Along | None, network: LinearRNN, students: int) -> tuple[list[_Matrices], bool]:
    """Matrices (1 or student, rows, columns) of every direction, and whether a list of them was given.

    Parameters
    ----------
    along : Update, LinearRNN or (readout, recurrent, input), or list of them, or None
    network : LinearRNN
        Of the shapes wanted.
    students : int
        How many, 0 for a single one: directions of its own for each student are then refused.

    Raises
    ------
    TypeError, ValueError
        If one is no direction, or does not fit.
    """
    if along is None:
        return [], True
    several = isinstance(along, list)
    listed = check_sequence("along", along, "directions", _MOST) if several else [along]
    return [_matrices(one, network, students) for one in listed], several


def _matrices(direction: Any, network: LinearRNN, students: int) -> _Matrices:
    if isinstance(direction, LinearRNN | Update):
        parts: Sequence[Any] = [getattr(direction, name) for name in MATRICES]
    elif isinstance(direction, tuple) and len(direction) == 3:
        parts = direction
    else:
        raise TypeError(
            "along must be an Update, a LinearRNN or a tuple (readout, recurrent, input), or a list of these; got "
            f"{shown(direction)}"
        )
    a, w, b = (
        _matrix(f"along.{name}", part, getattr(network, name).shape, students)
        for name, part in zip(MATRICES, parts, strict=True)
    )
    return a, w, b


def _matrix(name: str, value: Any, shape: tuple[int, int], students: int) -> FloatArray:
    if students and np.ndim(value) == 3:
        return check_array(name, value, (students, *shape))
    return check_array(name, value, shape)[np.newaxis]
