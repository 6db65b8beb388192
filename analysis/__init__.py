"""Dataset in, Dataset or figure out.

Names load their module when they are first used, so that importing the package stays light. No module here has the
name of a function: loading it would hide the function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

if __name__ != "fastmodes.analysis":
    raise ImportError("the folder 'analysis' is imported as fastmodes.analysis; install the package and import that")

_HOME = {
    "fixed_points": "theory.manifolds",
    "stability": "theory.linear_stability",
    "saddle_stability": "theory.linear_stability",
    "convergence_rate": "theory.linear_stability",
    "largest_learning_rate": "theory.linear_stability",
    "wrong_branch_window": "theory.stable_window",
    "write_stability": "theory.linear_stability",
    "predict_from_epoch": "trained.prediction",
    "theory_error": "trained.prediction",
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
    "basins": "theory.learning_maps",
    "learning_map": "theory.learning_maps",
}

__all__ = sorted(_HOME)


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
