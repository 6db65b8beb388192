"""From a grid of parameters to the kernel's stability results, and from those to labelled arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from fastmodes.kernels.modes.stability import optimal_stability

from fastmodes.modes.grid import check_non_zero
from fastmodes.modes.rated import recorded_rates
from fastmodes.modes.update import rule_grid
from fastmodes.parallel import check_threads, run_blocks
from fastmodes.progress import progress_bar
from fastmodes.rule_codes import learning_rule
from fastmodes.validation import check_flag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from fastmodes.modes.grid import Grid
    from fastmodes.rules import LearningRule
    from fastmodes.typing import FloatArray, GridValue


_BLOCK = 1 << 17
# Points whose results stay in the cache until what follows from them has been derived.
_PIECE = 1 << 14


def entries_of(
    teacher_recurrent: GridValue, teacher_product: GridValue, feedback: GridValue, **more: GridValue
) -> dict[str, GridValue]:
    """Parameters of a grid by name, in the order in which kernels read them."""
    return {"teacher_recurrent": teacher_recurrent, "teacher_product": teacher_product, "feedback": feedback} | more


# No dimension of a parameter may have the name of what a result holds.
RESULTS = (
    "rule", "eigenvalue", "stability_real", "stability_imag", "kind", "stable", "oscillatory", "convergence_rate",
    "largest_learning_rate",
)  # fmt: skip
PARAMETERS = ("teacher_recurrent", "teacher_product", "position")


def evaluate(
    rules: Sequence[LearningRule],
    grid: Grid,
    values: FloatArray,
    kinds: NDArray[np.int8],
    derive: Callable[[int, slice], None] | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> None:
    """Kernel results of every rule, into ``values`` (rule, part, point) and ``kinds`` (rule, point).

    ``derive(i, piece)`` is called for each piece of rule i, while its results are in the cache.
    """
    threads = check_threads(threads)
    with progress_bar(len(rules) * grid.size, "points", check_flag("progress", progress)) as bar:
        for i, rule in enumerate(rules):
            layout = grid.layout((*PARAMETERS, f"r {i}", f"decay {i}", f"horizon {i}"))
            in_kernel = learning_rule(rule)

            def work(block: tuple[int, int], i: int = i, layout: Any = layout, in_kernel: Any = in_kernel) -> None:
                for start in range(*block, _PIECE):
                    piece = slice(start, min(start + _PIECE, block[1]))
                    optimal_stability(*layout, start, in_kernel, values[i, :, piece], kinds[i, piece])
                    if derive is not None:
                        derive(i, piece)

            blocks = grid.blocks(_BLOCK, threads)
            run_blocks(work, blocks, threads, on_done=lambda block: bar.update(block[1] - block[0]))


def stability_grid(
    rules: Sequence[LearningRule],
    teacher_recurrent: GridValue,
    teacher_product: GridValue,
    position: GridValue,
    feedback: GridValue,
    decay: GridValue | None,
    horizon: GridValue | None,
) -> Grid:
    """The grid of all parameters of stability on the optimal manifold, checked."""
    entries = entries_of(teacher_recurrent, teacher_product, feedback, position=position)
    grid = rule_grid(rules, entries, decay, horizon, RESULTS)
    check_non_zero(grid, "position")
    return grid


def shaped(grid: Grid, array: NDArray[Any], leading: tuple[str, ...]) -> xr.DataArray:
    """DataArray (leading dims, grid's dims) from an array (leading, point)."""
    shape = array.shape[: len(leading)] + grid.shape
    return xr.DataArray(array.reshape(shape), dims=(*leading, *grid.dims), coords=grid.coords)


_RECORDED = ("teacher_recurrent", "teacher_product", "position", "feedback", "decay", "horizon", "recurrent")


def recorded(values: dict[str, Any]) -> dict[str, Any]:
    """The parameters that are single numbers, leak and rates where given; grids are in the coordinates."""
    single = {k: values[k] for k in _RECORDED if k in values and values[k] is not None and np.ndim(values[k]) == 0}
    return single | recorded_rates(values.get("rates"), values.get("leak", 1.0))


def stable_rate(low: FloatArray, high: FloatArray, imaginary: FloatArray, limit: FloatArray) -> None:
    """Largest eta with |1 + eta lambda| < 1 for both eigenvalues, -2 Re / |lambda|^2, or 0, into ``limit``."""
    with np.errstate(all="ignore"):
        np.divide(-2, low, out=limit)
        spiral = imaginary > 0
        if spiral.any():
            np.divide(-2 * low, low**2 + imaginary**2, out=limit, where=spiral)
    np.copyto(limit, 0.0, where=~(high < 0))


def limit_rate(rule: LearningRule, values: FloatArray, over: float = 0.0) -> None:
    """Let rates not exceed the mirror's lambda, at which r comes to rest; with ``over`` learning rates over/lambda."""
    if rule.feedback == "mirror" and rule.feedback_decay:
        np.minimum(values, over / rule.feedback_decay if over else rule.feedback_decay, out=values)
