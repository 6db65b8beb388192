"""Dataset in, Dataset or figure out.

Names load their module when they are first used, so that importing the package stays light. No module here has the
name of a function: loading it would hide the function.
"""

import importlib

_HOME = {
    "fixed_points": "manifolds",
    "stability": "linear_stability",
    "saddle_stability": "linear_stability",
    "convergence_rate": "linear_stability",
    "largest_learning_rate": "linear_stability",
    "wrong_branch_window": "window",
    "write_stability": "linear_stability",
    "predict_from_epoch": "prediction",
    "theory_error": "prediction",
    "rank": "learned_rank",
    "spectrum": "learned_rank",
    "principal_angles": "learned_rank",
    "learning_rate_limits": "learning_rates",
    "unit_rate": "learning_rates",
    "claims": "claim_table",
    "reproduce": "reproduction",
    "basins": "maps",
    "learning_map": "maps",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    if name == "figures":
        return importlib.import_module(".figures", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__, "figures"])
