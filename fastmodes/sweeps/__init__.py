"""Large grids: planned, computed in blocks, resumed, verified and merged."""

from .checks import Report, Status, status, verify
from .config import PlanError
from .dataset import open_sweep
from .merge import merge
from .plan import Plan
from .runner import Summary, sweep

__all__ = ["Plan", "PlanError", "Report", "Status", "Summary", "merge", "open_sweep", "status", "sweep", "verify"]
