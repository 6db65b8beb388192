"""Large grids: planned, computed in blocks, resumed, verified and merged."""

import importlib
from typing import Any

_HOMES = {
    "Plan": "plan.plan",
    "PlanError": "plan.config",
    "Report": "store.checks",
    "Status": "store.checks",
    "Summary": "run.runner",
    "merge": "store.merging",
    "open_sweep": "store.dataset",
    "status": "store.checks",
    "sweep": "run.runner",
    "verify": "store.checks",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: the command line's help needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
