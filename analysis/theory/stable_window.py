"""The stable window on the branch with r s < 0, and the Hopf point that ends it (beyond the paper)."""

import numpy as np
import xarray as xr

from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.modes.grid import check_non_zero
from fastmodes.modes.update import moves, rule_grid
from fastmodes.rules import check_rules


def wrong_branch_window(
    rules, teacher_recurrent, teacher_product, *, feedback=1.0, decay=None, horizon=None
) -> xr.Dataset:
    """Where, on the branch of the optimal manifold with r s < 0, the fixed points are stable.

    With the letters of :mod:`fastmodes.kernels.modes.stability`, c0 changes sign at ``|s|^3 = p^2 (G + H) / (G^2 |r|)``
    (RFLO: p^2 / |r|), and c1 at the positive root of

        |r| G |s|^3 + |r| p^2 A (G A + H) |s| - p^2 A = 0,

    the Hopf point. Between the two, where the first is the smaller, both eigenvalues have a negative real part. RFLO
    has such a window only if w_hat w* < w*^2; e-prop never has one.

    Parameters
    ----------
    rules : LearningRule or sequence of them
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
        if rule.feedback != "random":
            raise ValueError(f"rules must have random feedback to have a wrong branch; got {rule.name!r}")
    entries = {"teacher_recurrent": teacher_recurrent, "teacher_product": teacher_product, "feedback": feedback}
    grid = rule_grid(rules, entries, decay, horizon, ("rule", "window_exists", "window_start", "window_end"))
    check_non_zero(grid, "teacher_product")
    check_non_zero(grid, "feedback")
    w, p, r = (grid.values[name] for name in entries)
    ends = np.empty((len(rules), 2, *grid.shape))
    for i, rule in enumerate(rules):
        pi = w if moves(rule) else grid.values[f"decay {i}"]
        g, h = _credit(pi * w, grid.values[f"horizon {i}"])
        a = 1 / (1 - w * w)
        ends[i, 0] = np.cbrt(p * p * (g + h) / (g * g * np.abs(r)))
        ends[i, 1] = _positive_root(np.abs(r) * g, np.abs(r) * p * p * a * (g * a + h), p * p * a)
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


def _credit(y, horizon):
    """G = g_tau(y) and H = y G'(y)."""
    whole = np.maximum(horizon, 1)
    power = y ** (whole - 1)
    g = (1 - power * y) / (1 - y)
    slope = (g - whole * power) / (1 - y)
    endless = horizon == 0
    return np.where(endless, 1 / (1 - y), g), y * np.where(endless, 1 / (1 - y) ** 2, slope)


def _positive_root(cubic, linear, constant):
    """The positive root of ``cubic x^3 + linear x - constant``, cubic and constant > 0, by Newton from above."""
    x = np.cbrt(constant / cubic) + np.sqrt(np.maximum(-linear, 0) / cubic)
    for _ in range(100):
        step = ((cubic * x * x + linear) * x - constant) / (3 * cubic * x * x + linear)
        x = x - step
        if (np.abs(step) <= 1e-16 * np.abs(x)).all():
            break
    return x
