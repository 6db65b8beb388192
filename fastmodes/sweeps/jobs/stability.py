"""The job "stability": eigenvalues of the flow on the optimal manifold at every point of a grid, in closed form."""

import numpy as np
import xarray as xr

from ...files.schema import flag_attributes
from ...kernels.rule import is_rated
from ...networks.leaky import flow_rates
from ...rule_codes import learning_rule
from ...rules import at_leak
from ..plan.parameters import Inside, Leak, Number, PerMatrix, RuleParameters
from ..plan.points import Points
from .flow import columns, replaced
from .registry import Job, register

VARIABLES = ("stability_real", "stability_imag", "kind", "convergence_rate")


class StabilityParameters(RuleParameters):
    """Teacher (w*, p), place s on the manifold (w*, s, p/s), feedback r, leak and rates per matrix."""

    teacher_recurrent: Inside
    teacher_product: Number = 1.0
    position: Number
    feedback: Number = 1.0
    leak: Leak = 1.0
    rates: PerMatrix = 1.0


def compute(points: Points) -> xr.Dataset:
    """Evaluate all points of a rule, a leak and rates by one call of the kernel."""
    from ...kernels.modes.rated import rated_stability
    from ...kernels.modes.stability import KINDS, optimal_stability
    from ...modes.update import rule_grid

    real, imaginary = np.empty((points.size, 2)), np.empty((points.size, 2))
    kinds, rates = np.empty(points.size, dtype=np.int8), np.empty(points.size)
    names = ("teacher_recurrent", "teacher_product", "position", "feedback")
    for values, piece in points.groups("rule", "leak", "rates"):
        rule, column = at_leak(values["rule"], values["leak"]), columns(points, piece)
        in_kernel = learning_rule(rule)._replace(rates=flow_rates(values["rates"], values["leak"]))
        grid = rule_grid((rule,), {name: column(name) for name in names}, **replaced(rule, column))
        parts, kind = np.empty((3, grid.size)), np.empty(grid.size, dtype=np.int8)
        read = (*names[:3], "r 0", "decay 0", "horizon 0")
        if is_rated(in_kernel):
            parts, kind = rated_stability(grid.reader(read)(), in_kernel)
        else:
            optimal_stability(*grid.layout(read), 0, in_kernel, parts, kind)
        real[piece] = parts[:2].T
        imaginary[piece] = np.stack([-parts[2], parts[2]], axis=1)
        slowest = rule.feedback_decay if rule.feedback == "mirror" else None
        rates[piece] = np.minimum(-real[piece, 1], np.inf if slowest is None else slowest)
        kinds[piece] = kind
    return xr.Dataset(
        {
            "stability_real": (("point", "eigenvalue"), real),
            "stability_imag": (("point", "eigenvalue"), imaginary),
            "kind": ("point", kinds, flag_attributes(KINDS)),
            "convergence_rate": ("point", rates),
        },
        coords={"eigenvalue": np.arange(2, dtype=np.int32)},
    )


register(Job("stability", StabilityParameters, VARIABLES, compute, lambda parameters: 4e-8, lambda parameters: 6))
