"""Eigenvalues on the optimal manifold at rates of their own, on parameter grids (theory section 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastmodes.kernels.modes.rated import rated_stability

from fastmodes.progress import progress_bar
from fastmodes.rule_codes import learning_rule
from fastmodes.validation import check_flag

from .stability_grids import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from fastmodes.modes.grid import Grid
    from fastmodes.rules import LearningRule
    from fastmodes.typing import FloatArray

_PIECE = 1 << 14


def evaluate_rated(
    rules: Sequence[LearningRule],
    grid: Grid,
    rates: tuple[float, float, float],
    values: FloatArray,
    kinds: NDArray[np.int8],
    derive: Callable[[int, slice], None],
    progress: bool,
) -> None:
    """As :func:`~fastmodes.analysis.theory.stability_grids.evaluate`, at rates of (w, a, b)."""
    with progress_bar(len(rules) * grid.size, "points", check_flag("progress", progress)) as bar:
        for i, rule in enumerate(rules):
            in_kernel = learning_rule(rule)._replace(rates=rates)
            read = grid.reader((*PARAMETERS, f"r {i}", f"decay {i}", f"horizon {i}"))
            for start in range(0, grid.size, _PIECE):
                piece = slice(start, min(start + _PIECE, grid.size))
                values[i, :, piece], kinds[i, piece] = rated_stability(read(piece.start, piece.stop), in_kernel)
                derive(i, piece)
                bar.update(piece.stop - piece.start)
