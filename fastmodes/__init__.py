"""fastmodes: how learning rules shape a linear recurrent network, exactly and fast.

Letters of the source paper (Williams, Payeur and Lajoie 2026): A readout, W recurrent, B input weights, R random
feedback; w, a, b, r their entries for one mode; a star marks the teacher.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING

if importlib.util.find_spec(f"{__name__}.kernels") is None:
    # Python looks into the current folder first, and a checkout's folder fastmodes holds a part of the package alone.
    raise ImportError(
        "Python started in a checkout of fastmodes and found its sources instead of the installed package; start it in "
        "another folder, or install the checkout with pip install --editable ."
    )

from .files.flags import status_names
from .files.netcdf import read_netcdf, write_netcdf
from .files.network_files import read_network, write_network
from .modes.flow import flow, write_flow
from .modes.iterated_map import discrete_map
from .modes.learned import feedback_update
from .modes.update import mode_jacobian, mode_update
from .networks.made import aligned_student, aligned_teacher
from .networks.network import LinearRNN, Modes
from .networks.random import random_feedback, random_student
from .networks.running import impulse_response, simulate
from .networks.teacher_text import parse_teacher
from .networks.teachers import delay_line_teacher, nonnormal_teacher, random_teacher, rotating_teacher
from .rules import LearningRule, bptt, dfa, eprop, parse_rule, rflo, snap1, tbptt
from .training.estimates import alignment, estimate_modes
from .training.network_flow import matrix_flow
from .training.optimizers import adam, sgd
from .training.resume import resume
from .training.snapshots import feedback_at, network_at, networks_of
from .training.tasks import train_tasks
from .training.train import train
from .updates.coloured import InputFilter, autoregressive_input, coloured_update
from .updates.impulses import impulse_covariance, impulse_expectation
from .updates.many import expected_updates
from .updates.one import Update, expected_update
from .updates.sampled import sampled_update

if TYPE_CHECKING:
    from . import analysis, presets
    from . import sweeps as sweeps
    from . import theory as theory
    from .modes.moments import mode_moments
    from .sweeps.run.runner import sweep
    from .sweeps.store.dataset import open_sweep
    from .updates.after_step import loss_after_step
    from .updates.moments import update_moments

__all__ = [
    "InputFilter",
    "LearningRule",
    "LinearRNN",
    "Modes",
    "Update",
    "adam",
    "aligned_student",
    "aligned_teacher",
    "alignment",
    "analysis",
    "autoregressive_input",
    "bptt",
    "coloured_update",
    "delay_line_teacher",
    "dfa",
    "discrete_map",
    "eprop",
    "estimate_modes",
    "expected_update",
    "expected_updates",
    "feedback_at",
    "feedback_update",
    "flow",
    "impulse_covariance",
    "impulse_expectation",
    "impulse_response",
    "loss_after_step",
    "matrix_flow",
    "mode_jacobian",
    "mode_moments",
    "mode_update",
    "network_at",
    "networks_of",
    "nonnormal_teacher",
    "open_sweep",
    "parse_rule",
    "parse_teacher",
    "presets",
    "random_feedback",
    "random_student",
    "random_teacher",
    "read_netcdf",
    "read_network",
    "resume",
    "rflo",
    "rotating_teacher",
    "sampled_update",
    "sgd",
    "simulate",
    "snap1",
    "status_names",
    "sweep",
    "tbptt",
    "train",
    "train_tasks",
    "update_moments",
    "write_flow",
    "write_netcdf",
    "write_network",
]

__version__ = "0.1.0"


#: Loaded when first asked for: analysis imports from this package, sweeps what checks their plans, moments kernels of
#: their own.
_LATER = {
    "analysis": ("analysis", None),
    "presets": ("presets", None),
    "theory": ("theory", None),
    "sweeps": ("sweeps", None),
    "sweep": ("sweeps", "sweep"),
    "open_sweep": ("sweeps", "open_sweep"),
    "update_moments": ("updates.moments", "update_moments"),
    "loss_after_step": ("updates.after_step", "loss_after_step"),
    "mode_moments": ("modes.moments", "mode_moments"),
}

if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, attribute = _LATER[name]
        loaded = importlib.import_module(f".{module}", __name__)
        return loaded if attribute is None else getattr(loaded, attribute)


def __dir__() -> list[str]:
    # The public names: completion shows what is to be used, not what happens to be imported.
    return sorted({*__all__, "sweeps", *(name for name in globals() if name.startswith("__"))})
