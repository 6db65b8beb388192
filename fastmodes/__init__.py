"""fastmodes: how learning rules shape a linear recurrent network, exactly and fast."""

from .networks import LinearRNN, Modes, aligned_student, aligned_teacher, random_feedback, random_student
from .rules import LearningRule, bptt, eprop, rflo, tbptt

__all__ = [
    "LearningRule",
    "LinearRNN",
    "Modes",
    "aligned_student",
    "aligned_teacher",
    "bptt",
    "eprop",
    "random_feedback",
    "random_student",
    "rflo",
    "tbptt",
]

__version__ = "0.1.0"
