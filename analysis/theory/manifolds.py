"""The two manifolds of fixed points of one mode, and which rule rests on which (Sec. 3.1; theory section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.modes.grid import broadcast, check_non_zero, check_range
from fastmodes.rules import check_rules

if TYPE_CHECKING:
    from fastmodes.rules import LearningRule
    from fastmodes.typing import GridValue, Rules


MANIFOLDS = ("optimal", "non_optimal")


def _rests(rule: LearningRule) -> tuple[bool, bool]:
    """Whether modes rest on the two manifolds; where feedback learns, with an r that rests, too."""
    if rule.feedback == "mirror":
        return bool(rule.feedback_decay), True
    if rule.feedback == "kolen_pollack":
        return not rule.feedback_decay, bool(rule.feedback_decay)
    return True, not rule.reads_feedback or rule.mix == 1.0


def fixed_points(
    rules: Rules, teacher_recurrent: GridValue, teacher_product: GridValue, position: GridValue
) -> xr.Dataset:
    """Fixed points of one mode: the optimal manifold and, under readout feedback, the line a = b = 0.

    Parameters
    ----------
    rules : LearningRule or str, or sequence of them
    teacher_recurrent, teacher_product : number, array or DataArray
        w* with |w*| < 1, and p = a* b*, not 0.
    position : number, array or DataArray
        Not 0. On the optimal manifold it is s in (w, a, b) = (w*, s, p/s); on the other one it is w in (w, 0, 0), NaN
        where |w| >= 1.

    Returns
    -------
    xarray.Dataset
        ``w``, ``a``, ``b`` and ``loss`` (manifold, grid): 0 on the optimal manifold, p^2 / (2 (1 - w*^2)) on the other;
        ``fixed_point_exists`` (rule, manifold): where feedback learns, with its r at rest, too. Kolen and Pollack's
        decay of A moves every optimal mode; what is left of random feedback lets none rest on a = b = 0.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    rules = check_rules(rules)
    entries = {"teacher_recurrent": teacher_recurrent, "teacher_product": teacher_product, "position": position}
    grid = broadcast(entries, ("rule", "manifold", "w", "a", "b", "loss", "fixed_point_exists"))
    check_range(grid, "teacher_recurrent", -1, 1)
    check_non_zero(grid, "teacher_product")
    check_non_zero(grid, "position")
    goal, product, s = (grid.values[name] for name in entries)
    outside = np.where(np.abs(s) < 1, 0.0, np.nan)
    dims = ("manifold", *grid.dims)
    with np.errstate(over="ignore"):
        opposite, loss = product / s, product**2 / (2 * (1 - goal**2))
    dataset = xr.Dataset(
        {
            "w": (dims, np.stack([goal, s + outside])),
            "a": (dims, np.stack([s, outside])),
            "b": (dims, np.stack([opposite, outside])),
            "loss": (dims, np.stack([np.zeros(grid.shape), loss + outside])),
            "fixed_point_exists": (
                ("rule", "manifold"),
                np.array([_rests(rule) for rule in rules], dtype=np.int8),
            ),
        },
        coords=grid.coords | {"rule": [rule.name for rule in rules], "manifold": list(MANIFOLDS)},
    )
    dataset["fixed_point_exists"].attrs = flag_attributes(("no", "yes"))
    return annotate(dataset, title="Manifolds of fixed points", configuration={"rules": [repr(rule) for rule in rules]})
