"""Flows of modes that leak, or whose variables learn at rates of their own (theory section 10).

The kernels follow w_e = 1 - alpha + alpha w, a and b_e = alpha b, which move at (alpha^2, 1, alpha^2) times the rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.flow.driver import OPTIMAL, REACHED_END
from .learned import is_apart
from .update import TEACHER

if TYPE_CHECKING:
    import xarray as xr

    from ..kernels.flow.trajectories import Ends
    from ..rules import LearningRule
    from ..typing import FloatArray, ModesLike
    from .grid import Grid

#: What the two parameters do to a flow where they are left out: nothing.
EQUAL = (1.0, 1.0, 1.0)
#: Share of w* and p within which a mode counts as learnt.
_NEAR = 1e-4


def check_followed(rules: Sequence[LearningRule], rates: tuple[float, float, float]) -> None:
    """Check that rules can be followed at these rates.

    Raises
    ------
    ValueError
        If the feedback of one is a variable of its own, which has no rate among the three.
    """
    for rule in rules:
        if rates != EQUAL and is_apart(rule):
            raise ValueError(
                f"rates and leak must be 1 for {rule.name!r}: its feedback is a variable of its own, which learns at "
                f"no matrix's rate; fm.train(.., updates='expected') takes both"
            )


def correct_statuses(grid: Grid, states: FloatArray, ends: Ends, rates: tuple[float, float, float]) -> None:
    """A mode with a frozen variable may rest where it is not optimal: it has merely reached the end.

    Parameters
    ----------
    grid : Grid
    states : array (variable, rule, point, time)
    ends : Ends
        Changed.
    rates : tuple of float
    """
    if min(rates) > 0:
        return
    goal, product = grid.reader(TEACHER)().T
    w, a, b = states[:3, ..., -1]
    with np.errstate(all="ignore"):
        learnt = (np.abs(w - goal) <= _NEAR * (1 - goal**2)) & (np.abs(a * b - product) <= _NEAR * np.abs(product))
    ends.status[(ends.status == OPTIMAL) & ~learnt] = REACHED_END


def own_coordinates(dataset: xr.Dataset, leak: float) -> xr.Dataset:
    """The dataset with w and b for w_e and b_e."""
    if leak == 1.0:
        return dataset
    w, b = (dataset["w"] - (1.0 - leak)) / leak, dataset["b"] / leak
    return dataset.assign(w=w, b=b)


def recorded(modes: ModesLike, rates: Any, leak: float, configuration: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the students' own w and b, the leak and the rates, where there is such."""
    own: dict[str, Any] = {}
    if leak != 1.0:
        names = zip(("recurrent", "readout", "input"), modes, strict=True) if isinstance(modes, tuple) else ()
        own = {name: float(np.asarray(value).item()) for name, value in names if name in configuration}
    return configuration | own | recorded_rates(rates, leak)


def recorded_rates(rates: Any, leak: float) -> dict[str, Any]:
    """Leak and rates of a configuration, where they do something."""
    found: dict[str, Any] = {} if leak == 1.0 else {"leak": leak}
    if rates is not None:
        found["rates"] = {k: float(v) for k, v in rates.items()} if hasattr(rates, "keys") else float(rates)
    return found
