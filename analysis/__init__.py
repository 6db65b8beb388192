"""Dataset in, Dataset or figure out.

Names load their module when they are first used, so that importing the package stays light.
"""

import importlib

_HOME = {
    "fixed_points": "fixed_points",
    "stability": "stability",
    "saddle_stability": "stability",
    "convergence_rate": "stability",
    "largest_learning_rate": "stability",
    "wrong_branch_window": "window",
    "write_stability": "stability",
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
