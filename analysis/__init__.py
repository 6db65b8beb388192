"""Dataset in, Dataset or figure out.

Names load their module when they are first used, so that importing the package stays light.
"""

import importlib
import sys
import types

_HOME = {
    "fixed_points": "fixed_points",
    "stability": "stability",
    "saddle_stability": "stability",
    "convergence_rate": "stability",
    "largest_learning_rate": "stability",
    "wrong_branch_window": "window",
    "write_stability": "stability",
    "predict_from_epoch": "prediction",
    "theory_error": "prediction",
    "rank": "rank",
    "spectrum": "rank",
    "principal_angles": "rank",
    "learning_rate_limits": "learning_rates",
    "unit_rate": "learning_rates",
    "claims": "claims",
    "reproduce": "reproduce",
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


class _Package(types.ModuleType):
    """Keeps the names of functions: loading a module of the same name does not put itself in their place."""

    def __setattr__(self, name, value):
        if not (name in _HOME and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__():
    return sorted([*globals(), *__all__, "figures"])
