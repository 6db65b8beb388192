"""Dataset in, Dataset or figure out.

Names load their module when they are first used, so that importing the package stays light. No module here has the
name of a function: loading it would hide the function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from . import figures as figures
    from .identification.identifying import identify as identify
    from .identification.identifying_ahead import identifiability as identifiability
    from .report.claims import claims as claims
    from .report.reproduction import reproduce as reproduce
    from .theory.learning_maps import basins as basins
    from .theory.learning_maps import learning_map as learning_map
    from .theory.linear_stability import convergence_rate as convergence_rate
    from .theory.linear_stability import largest_learning_rate as largest_learning_rate
    from .theory.linear_stability import stability as stability
    from .theory.linear_stability import write_stability as write_stability
    from .theory.manifolds import fixed_points as fixed_points
    from .theory.network_fixed_points import end_points as end_points
    from .theory.network_fixed_points import error_transfer as error_transfer
    from .theory.network_fixed_points import flow_jacobian as flow_jacobian
    from .theory.network_fixed_points import stability_at as stability_at
    from .theory.saddles import saddle_stability as saddle_stability
    from .theory.scatter import stationary_scatter as stationary_scatter
    from .theory.stable_window import wrong_branch_window as wrong_branch_window
    from .trained.geometry import change_geometry as change_geometry
    from .trained.horizons import required_horizon as required_horizon
    from .trained.learned_rank import principal_angles as principal_angles
    from .trained.learned_rank import rank as rank
    from .trained.learned_rank import spectrum as spectrum
    from .trained.learning_rates import learning_rate_limits as learning_rate_limits
    from .trained.learning_rates import unit_rate as unit_rate
    from .trained.letters import letters as letters
    from .trained.prediction import predict_from_epoch as predict_from_epoch
    from .trained.prediction import theory_error as theory_error
    from .trained.quality import gradient_quality as gradient_quality
    from .trained.rule_comparison import compare_rules as compare_rules
    from .trained.sweep_statistics import convergence_fraction as convergence_fraction
    from .trained.sweep_statistics import most_frequent as most_frequent
    from .trained.sweep_statistics import outcome_fractions as outcome_fractions
    from .trained.sweep_statistics import over_seeds as over_seeds
    from .trained.tasks import task_memory as task_memory

if __name__ != "fastmodes.analysis":
    raise ImportError("the folder 'analysis' is imported as fastmodes.analysis; install the package and import that")

_HOME = {
    "identify": "identification.identifying",
    "identifiability": "identification.identifying_ahead",
    "fixed_points": "theory.manifolds",
    "stability": "theory.linear_stability",
    "saddle_stability": "theory.saddles",
    "convergence_rate": "theory.linear_stability",
    "largest_learning_rate": "theory.linear_stability",
    "stationary_scatter": "theory.scatter",
    "wrong_branch_window": "theory.stable_window",
    "write_stability": "theory.linear_stability",
    "predict_from_epoch": "trained.prediction",
    "theory_error": "trained.prediction",
    "gradient_quality": "trained.quality",
    "change_geometry": "trained.geometry",
    "required_horizon": "trained.horizons",
    "compare_rules": "trained.rule_comparison",
    "rank": "trained.learned_rank",
    "spectrum": "trained.learned_rank",
    "principal_angles": "trained.learned_rank",
    "learning_rate_limits": "trained.learning_rates",
    "unit_rate": "trained.learning_rates",
    "claims": "report.claims",
    "reproduce": "report.reproduction",
    "end_points": "theory.network_fixed_points",
    "error_transfer": "theory.network_fixed_points",
    "flow_jacobian": "theory.network_fixed_points",
    "stability_at": "theory.network_fixed_points",
    "convergence_fraction": "trained.sweep_statistics",
    "most_frequent": "trained.sweep_statistics",
    "outcome_fractions": "trained.sweep_statistics",
    "over_seeds": "trained.sweep_statistics",
    "letters": "trained.letters",
    "task_memory": "trained.tasks",
    "basins": "theory.learning_maps",
    "learning_map": "theory.learning_maps",
}

__all__ = sorted(_HOME)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
            globals()[name] = value
            return value
        if name == "figures":
            return importlib.import_module(".figures", __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, "figures", *(name for name in globals() if name.startswith("__"))})
