"""fastmodes: how learning rules shape a linear recurrent network, exactly and fast."""

from .flows import discrete_map, flow
from .modes import mode_jacobian, mode_update
from .networks import LinearRNN, Modes, aligned_student, aligned_teacher, random_feedback, random_student
from .rules import LearningRule, bptt, eprop, rflo, tbptt
from .updates import Update, expected_update, impulse_expectation, sampled_update

__all__ = [
    "LearningRule",
    "LinearRNN",
    "Modes",
    "Update",
    "aligned_student",
    "aligned_teacher",
    "bptt",
    "discrete_map",
    "eprop",
    "expected_update",
    "flow",
    "impulse_expectation",
    "mode_jacobian",
    "mode_update",
    "random_feedback",
    "random_student",
    "rflo",
    "sampled_update",
    "tbptt",
]

__version__ = "0.1.0"


def __getattr__(name):
    # The pictures and their libraries load where they are used.
    if name == "analysis":
        import importlib

        return importlib.import_module(".analysis", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
