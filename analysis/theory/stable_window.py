"""The stable window on the branch with r s < 0, and the Hopf point that ends it (beyond the paper)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from fastmodes.kernels.modes.horizon_sums import horizon_sums

from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.modes.grid import check_non_zero
from fastmodes.modes.update import rule_grid
from fastmodes.rule_codes import moves
from fastmodes.rules import check_rules

if TYPE_CHECKING:
    from fastmodes.typing import FloatArray, GridValue, Rules


#: Beyond this ratio of the terms the third one changes no digit.
_EXTREME = 1e60


def wrong_branch_window(
    rules: Rules,
    teacher_recurrent: GridValue,
    teacher_product: GridValue,
    *,
    feedback: GridValue = 1.0,
    decay: GridValue | None = None,
    horizon: GridValue | None = None,
) -> xr.Dataset:
    """Where, on the branch of the optimal manifold with r s < 0, the fixed points are stable.

    With the letters of :mod:`fastmodes.kernels.modes.stability`, c0 changes sign at ``|s|^3 = p^2 (G + H) / (G^2 |r|)``
    (RFLO: p^2 / |r|), and c1 at the positive root of

        |r| G |s|^3 + |r| p^2 A (G A + H) |s| - p^2 A = 0,

    the Hopf point. Between the two, where the first is the smaller, both eigenvalues have a negative real part. RFLO
    has such a window only if w_hat w* < w*^2; e-prop never has one.

    Parameters
    ----------
    rules : LearningRule or str, or sequence of them
        With random feedback: under readout feedback there is no wrong branch.
    teacher_recurrent, teacher_product, feedback : number, array or DataArray
        w*, p, r; p and r not 0.
    decay, horizon
        As for :func:`stability`.

    Returns
    -------
    xarray.Dataset
        ``window_exists``, ``window_start``, ``window_end`` (rule, grid): |s| at both ends, the second always the Hopf
        point's c1 = 0 (a Hopf point only where a window exists).

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or a rule with readout feedback.
    """
    rules = check_rules(rules)
    for rule in rules:
        if rule.feedback not in ("random", "partly_aligned"):
            raise ValueError(f"rules must have random feedback to have a wrong branch; got {rule.name!r}")
    entries = {"teacher_recurrent": teacher_recurrent, "teacher_product": teacher_product, "feedback": feedback}
    grid = rule_grid(rules, entries, decay, horizon, ("rule", "window_exists", "window_start", "window_end"))
    check_non_zero(grid, "teacher_product")
    check_non_zero(grid, "feedback")
    w, p, r = (grid.values[name] for name in entries)
    ends = np.empty((len(rules), 2, *grid.shape))
    for i, rule in enumerate(rules):
        pi = w if moves(rule) else grid.values[f"decay {i}"]
        g, slope = horizon_sums(pi * w, grid.values[f"horizon {i}"])
        h, a = pi * w * slope, 1 / (1 - w * w)
        # In units of (p^2 / |r|)^(1/3) no power of p or r is left that could leave the range of numbers.
        with np.errstate(over="ignore", under="ignore"):
            third_r, third_p = np.cbrt(np.abs(r)), np.cbrt(np.abs(p))
            ends[i, 0] = third_p / third_r * third_p * np.cbrt((g + h) / (g * g))
            root = _positive_root(g, (third_r * third_p) ** 2 * a * (g * a + h), a)
            ends[i, 1] = third_p / third_r * third_p * root
    dims = ("rule", *grid.dims)
    dataset = xr.Dataset(
        {
            "window_exists": (dims, (ends[:, 0] < ends[:, 1]).astype(np.int8)),
            "window_start": (dims, ends[:, 0]),
            "window_end": (dims, ends[:, 1]),
        },
        coords=grid.coords | {"rule": [rule.name for rule in rules]},
    )
    dataset["window_exists"].attrs = flag_attributes(("no", "yes"))
    return annotate(
        dataset,
        title="Stable window on the wrong branch",
        configuration={"rules": [repr(rule) for rule in rules]},
    )


def _positive_root(cubic: FloatArray, linear: FloatArray, constant: FloatArray) -> FloatArray:
    """The positive root of ``cubic x^3 + linear x - constant``, cubic and constant > 0, by Newton from above.

    Where the linear term is that large, two of the three terms alone make the root.
    """
    extreme = np.abs(linear) > _EXTREME
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = np.where(linear > 0, constant / linear, np.sqrt(-linear / cubic))
    linear = np.where(extreme, 0.0, linear)
    x = np.cbrt(constant / cubic) + np.sqrt(np.maximum(-linear, 0) / cubic)
    for _ in range(100):
        step = ((cubic * x * x + linear) * x - constant) / (3 * cubic * x * x + linear)
        x = x - step
        if (np.abs(step) <= 1e-16 * np.abs(x)).all():
            break
    return np.where(extreme, limit, x)
