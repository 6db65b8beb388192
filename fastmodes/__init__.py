"""fastmodes: how learning rules shape a linear recurrent network, exactly and fast.

Letters of the source paper (Williams, Payeur and Lajoie 2026): A readout, W recurrent, B input weights, R random
feedback; w, a, b, r their entries for one mode; a star marks the teacher.
"""

import importlib

from .files.netcdf import read_netcdf, write_netcdf
from .modes.flow import discrete_map, flow, write_flow
from .modes.update import mode_jacobian, mode_update
from .networks.network import LinearRNN, Modes, aligned_student, aligned_teacher, random_feedback, random_student
from .networks.running import impulse_response, simulate
from .networks.teachers import delay_line_teacher, nonnormal_teacher, rotating_teacher
from .rules import LearningRule, bptt, eprop, parse_rule, rflo, tbptt
from .training.estimates import alignment, estimate_modes
from .training.network_flow import matrix_flow
from .training.train import train
from .updates.coloured import InputFilter, autoregressive_input, coloured_update
from .updates.impulses import impulse_expectation
from .updates.many import expected_updates
from .updates.one import Update, expected_update, sampled_update

__all__ = [
    "InputFilter",
    "LearningRule",
    "LinearRNN",
    "Modes",
    "Update",
    "aligned_student",
    "aligned_teacher",
    "alignment",
    "autoregressive_input",
    "bptt",
    "coloured_update",
    "delay_line_teacher",
    "discrete_map",
    "eprop",
    "estimate_modes",
    "expected_update",
    "expected_updates",
    "flow",
    "impulse_expectation",
    "impulse_response",
    "matrix_flow",
    "mode_jacobian",
    "mode_update",
    "nonnormal_teacher",
    "parse_rule",
    "random_feedback",
    "random_student",
    "read_netcdf",
    "rflo",
    "rotating_teacher",
    "sampled_update",
    "simulate",
    "tbptt",
    "train",
    "write_flow",
    "write_netcdf",
]

__version__ = "0.1.0"


def __getattr__(name):
    # Analysis imports from this package, and matplotlib only where it draws; both are loaded when first asked for.
    if name in ("analysis", "theory"):
        return importlib.import_module(f".{name}", __name__)
    if name in ("sweep", "open_sweep"):
        return getattr(importlib.import_module(".sweeps", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
