"""fastmodes: how learning rules shape a linear recurrent network, exactly and fast."""

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
    "eprop",
    "expected_update",
    "impulse_expectation",
    "random_feedback",
    "random_student",
    "rflo",
    "sampled_update",
    "tbptt",
]

__version__ = "0.1.0"
