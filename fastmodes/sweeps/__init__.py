"""Large grids: planned, computed in blocks, resumed, verified and merged."""

import importlib

_HOMES = {
    "Plan": "plan",
    "PlanError": "config",
    "Report": "checks",
    "Status": "checks",
    "Summary": "runner",
    "merge": "merging",
    "open_sweep": "dataset",
    "status": "checks",
    "sweep": "runner",
    "verify": "checks",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    """Import what is asked for when it is asked for: the command line's help needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
