"""Linear stability on the non-optimal manifold, in closed form (Eqs. 30-31, 118-123)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from fastmodes.kernels.modes.horizon_sums import horizon_sums
from fastmodes.kernels.modes.stability import KINDS

from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.modes.update import effective_entries, rule_grid
from fastmodes.networks.leaky import check_leak, flow_rates
from fastmodes.rule_codes import moves
from fastmodes.rules import at_leak, check_rules

from .stability_grids import RESULTS, recorded, shaped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastmodes.typing import GridValue, Rules


def saddle_stability(
    rules: Rules,
    teacher_recurrent: GridValue,
    teacher_product: GridValue,
    recurrent: GridValue,
    *,
    decay: GridValue | None = None,
    horizon: GridValue | None = None,
    leak: float = 1.0,
    rates: float | Mapping[str, float] | None = None,
) -> xr.Dataset:
    """The two non-zero eigenvalues on the non-optimal manifold a = b = 0, w free: real, of opposite sign.

    ``+- p sqrt(alpha beta)`` with alpha = 1/(1 - w w*), beta = g_tau(pi w*): +-p/(1 - w w*) for BPTT and
    +-p/sqrt(1 - w w*) for tBPTT(1); with rates of their own times sqrt(eta_a eta_b), with a leak times it (theory
    section 10).

    Parameters
    ----------
    rules : LearningRule or str, or sequence of them
        With readout feedback: under random feedback, the manifold holds no fixed points.
    teacher_recurrent, teacher_product, recurrent : number, array or DataArray
        w*, p and w, with |w|, |w*| < 1.
    decay, horizon, leak, rates
        As for :func:`stability`; with a leak, w is the students' own. A frozen readout or input leaves zeros, kind
        marginal.

    Returns
    -------
    xarray.Dataset
        ``stability_real``, ``stability_imag`` (rule, eigenvalue, grid) and ``kind`` (rule, grid).

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or a rule with random feedback.
    """
    leak = check_leak(leak)
    _, *speeds = flow_rates(rates, leak)
    rules = tuple(at_leak(rule, leak) for rule in check_rules(rules))
    for rule in rules:
        if rule.feedback != "readout":
            raise ValueError(f"rules must have readout feedback to rest on a = b = 0; got {rule.name!r}")
    entries = {"teacher_recurrent": teacher_recurrent, "teacher_product": teacher_product, "recurrent": recurrent}
    entries = effective_entries(entries | {"input": 0.0}, leak)
    del entries["input"]
    grid = rule_grid(rules, entries, decay, horizon, RESULTS, leak)
    goal, product, w = (grid.values[name] for name in entries)
    sizes = np.empty((len(rules), grid.size))
    for i, rule in enumerate(rules):
        y = (w if moves(rule) else grid.values[f"decay {i}"]) * goal
        beta = horizon_sums(y, grid.values[f"horizon {i}"])[0]
        with np.errstate(over="ignore"):
            sizes[i] = np.abs(product * np.sqrt(beta / (1 - w * goal))).ravel() * np.sqrt(speeds[0] * speeds[1])
    real = np.stack([-sizes, sizes], axis=1)
    dataset = xr.Dataset(
        {
            "stability_real": shaped(grid, real, ("rule", "eigenvalue")),
            "stability_imag": shaped(grid, np.zeros_like(real), ("rule", "eigenvalue")),
            "kind": shaped(grid, np.where(sizes > 0, 2, 5).astype(np.int8), ("rule",)),
        },
        coords={"rule": [rule.name for rule in rules], "eigenvalue": [0, 1]},
    )
    dataset["kind"].attrs = flag_attributes(KINDS)
    return annotate(
        dataset,
        title="Linear stability on the non-optimal manifold",
        configuration={"rules": [repr(rule) for rule in rules]} | recorded(locals()),
    )
