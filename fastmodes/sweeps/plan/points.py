"""Pieces of a plan's grid, as the jobs see them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .plan import Plan

#: Positions of a piece's points.
Piece: TypeAlias = slice | NDArray[np.int64]


def item(value: Any) -> Any:
    """One entry as a plain Python value."""
    value = value[0] if isinstance(value, np.ndarray) else value
    return value.item() if isinstance(value, np.generic) else value


class Points:
    """A piece of the flattened grid: points ``start`` to ``stop - 1`` in row-major order."""

    def __init__(self, plan: Plan, start: int, stop: int) -> None:
        self.plan, self.start, self.stop = plan, start, stop
        self.size = stop - start
        self.fixed = plan.fixed
        self._known_positions: dict[int, NDArray[np.int64]] = {}

    def positions(self, dimension: int) -> NDArray[np.int64]:
        """Index along one dim of every point."""
        if dimension not in self._known_positions:
            shape = self.plan.shape
            inner = math.prod(shape[dimension + 1 :])
            first, last = self.start // inner, (self.stop - 1) // inner
            if first == last:
                positions = np.broadcast_to(np.int64(first % shape[dimension]), self.size)
            else:
                skipped = self.start - first * inner
                positions = np.repeat(np.arange(first, last + 1) % shape[dimension], inner)[skipped:][: self.size]
            self._known_positions[dimension] = positions
        return self._known_positions[dimension]

    def _dimension(self, parameter: str) -> int | None:
        for index, dimension in enumerate(self.plan.dimensions):
            if parameter in dimension.columns:
                return index
        return None

    def values(self, parameter: str) -> Any:
        """The fixed value, or an array with one entry a point."""
        index = self._dimension(parameter)
        if index is None:
            return self.fixed[parameter]
        return self.plan.dimensions[index].array(parameter)[self.positions(index)]

    def groups(self, *parameters: str) -> Iterator[tuple[dict[str, Any], Piece]]:
        """Pieces in which ``parameters`` do not change: pairs of their values (a dict) and the points' positions.

        Positions are a slice where the points are neighbours, an index array otherwise.
        """
        dimensions = sorted({index for name in parameters if (index := self._dimension(name)) is not None})
        key = np.zeros(self.size, dtype=np.int64)
        # A dim along which the piece does not move has a broadcast position, and tells nothing apart.
        for index in [index for index in dimensions if self.positions(index).strides != (0,)]:
            key = key * self.plan.shape[index] + self.positions(index)
        bounds: NDArray[np.int64] | list[int]
        pieces: Sequence[Piece]
        if np.any(key[1:] < key[:-1]):
            order = np.argsort(key, kind="stable")
            bounds = np.flatnonzero(np.diff(key[order])) + 1
            pieces = np.split(order, bounds)
        else:
            bounds = [0, *(np.flatnonzero(key[1:] != key[:-1]) + 1).tolist(), self.size]
            pieces = [slice(a, b) for a, b in itertools.pairwise(bounds)]
        for piece in pieces:
            first = piece.start if isinstance(piece, slice) else piece[0]
            yield {name: self.value_at(name, int(first)) for name in parameters}, piece

    def value_at(self, parameter: str, position: int) -> Any:
        """The value of a parameter at one position, as it was written in the plan."""
        index = self._dimension(parameter)
        if index is None:
            return self.fixed[parameter]
        return self.plan.dimensions[index].columns[parameter][self.positions(index)[position]]

    def largest(self, parameter: str, key: Callable[[Any], Any] = lambda value: value) -> Any:
        """The largest ``key(value)`` of a parameter over the whole plan, so that no shape depends on the piece."""
        index = self._dimension(parameter)
        values = [self.fixed[parameter]] if index is None else self.plan.dimensions[index].columns[parameter]
        return max(map(key, values))
