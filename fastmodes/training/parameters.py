"""What :func:`fastmodes.train` can be told: each parameter once, with its check, its default and its sentence.

From :data:`TRAIN` derive the signature of ``train`` (written out there for help and completion; a test holds it against
this), the checks before anything is computed, the configuration stored with a dataset, the parameters of the sweep job
"train", the options of ``fastmodes train`` and what a preset may set. A new parameter is a line here, its keyword in
``train``, and whatever reads it.
"""

import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..networks.units import NONLINEARITIES
from ..updates.one import LOSSES
from ..validation import (
    LARGEST_SCALE,
    LARGEST_SIZE,
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_steps,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import xarray as xr
    from numpy.typing import ArrayLike, NDArray

    from ..rules import LearningRule

    Rules = LearningRule | str | Sequence[LearningRule | str]
    Seeds = int | Sequence[int] | NDArray[np.integer[Any]]
    LossName = Literal["final", "sequence"]
    UpdatesName = Literal["sampled", "expected"]
    OptimizerWord = Literal["sgd", "adam"]
    ScheduleWord = Literal["constant", "linear", "cosine"]
    TrainingData = int | tuple[ArrayLike | xr.DataArray, ArrayLike | xr.DataArray] | xr.Dataset
    Rates = float | ArrayLike | Mapping[str, float | ArrayLike]


class Kind(Protocol):
    """What values a parameter takes."""

    def check(self, name: str, value: Any) -> Any:
        """Return the value as it is used; TypeError or ValueError if it is none of the kind."""


@dataclasses.dataclass(frozen=True)
class Whole:
    """A whole number."""

    low: int = 1
    high: int = LARGEST_SIZE

    def check(self, name: str, value: Any) -> int:
        """As an int in range."""
        return check_integer(name, value, self.low, self.high)


@dataclasses.dataclass(frozen=True)
class Real:
    """A finite real number."""

    low: float = -math.inf
    high: float = math.inf
    above: float | None = None
    below: float | None = None

    def check(self, name: str, value: Any) -> float:
        """As a float in range."""
        return check_number(name, value, self.low, self.high, above=self.above, below=self.below)


@dataclasses.dataclass(frozen=True)
class PerMatrix(Real):
    """A number, or a mapping with one for each of readout, recurrent and input."""

    def check(self, name: str, value: Any) -> Any:
        """A number in range; what is none is read together with rules and seeds."""
        return super().check(name, value) if isinstance(value, numbers.Real) else value


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def check(self, name: str, value: Any) -> str:
        """One of the words."""
        return check_choice(name, value, self.words)


@dataclasses.dataclass(frozen=True)
class Flag:
    """True or False."""

    def check(self, name: str, value: Any) -> bool:
        """As a bool."""
        return check_flag(name, value)


@dataclasses.dataclass(frozen=True)
class Steps:
    """A number of time steps, or ``math.inf``."""

    def check(self, name: str, value: Any) -> float:
        """As an int or inf."""
        return check_steps(name, value, infinite=True)


@dataclasses.dataclass(frozen=True)
class Betas:
    """Adam's two rates of forgetting, in [0, 1)."""

    def check(self, name: str, value: Any) -> tuple[float, float]:
        """As a pair of floats."""
        try:
            first, second = value
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be two numbers in [0, 1); got {shown(value)}") from None
        return check_number(name, first, 0.0, below=1.0), check_number(name, second, 0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A word, or one factor of the learning rate for every epoch."""

    words: tuple[str, ...] = ("constant", "linear", "cosine")

    def check(self, name: str, value: Any) -> Any:
        """A word is checked; factors are read together with the epochs."""
        return check_choice(name, value, self.words) if isinstance(value, str) else value


@dataclasses.dataclass(frozen=True)
class OptimizerName:
    """ "sgd", "adam" or a value of :func:`fastmodes.sgd`, :func:`fastmodes.adam`; read with the learning rate."""

    @property
    def words(self) -> tuple[str, ...]:
        """The optimisers there are."""
        # They are made of the kinds of this module.
        from .optimizers import OPTIMIZERS

        return tuple(OPTIMIZERS)

    def check(self, name: str, value: Any) -> Any:
        """A word is checked; values are checked already, and anything else together with the learning rate."""
        return check_choice(name, value, self.words) if isinstance(value, str) else value


@dataclasses.dataclass(frozen=True)
class Data:
    """A number of sequences, or inputs and targets; read together with the loss."""

    def check(self, name: str, value: Any) -> Any:
        """As it is."""
        return value


@dataclasses.dataclass(frozen=True)
class Covariance:
    """A covariance of the input channels; read together with the teacher, whose input they are."""

    def check(self, name: str, value: Any) -> Any:
        """As it is."""
        return value


@dataclasses.dataclass(frozen=True)
class Colour:
    """A filter of the input, or a coefficient of one; read together with the teacher, whose input it is."""

    def check(self, name: str, value: Any) -> Any:
        """As it is."""
        return value


@dataclasses.dataclass(frozen=True)
class Given:
    """Networks, rules, seeds, arrays: they depend on each other and are checked together."""

    def check(self, name: str, value: Any) -> Any:
        """As it is."""
        return value


#: In place of a default: the caller must say.
REQUIRED: Any = dataclasses.MISSING


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes
    ----------
    kind : Kind
        What values it takes; None is taken as well where it is the default.
    default : object
        In Python.
    start : object
        Where Python asks but plans and the command line do not.
    absent : str
        What the default None amounts to.
    sweep : {"", "axis", "fixed"}
        Whether a sweep may vary it, must keep it fixed, or does not take it.
    option : bool
        Whether ``fastmodes train`` has an option of this kind (networks and rules have their own).
    stored : bool
        Whether results depend on it.
    seldom : bool
        Whether the command line explains it with ``--help-all`` only.
    """

    kind: Kind
    help: str
    default: Any = None
    start: Any = None
    absent: str = ""
    sweep: str = ""
    option: bool = True
    stored: bool = True
    seldom: bool = False

    def check(self, name: str, value: Any) -> Any:
        """The value as it is used; TypeError or ValueError if it is out of range."""
        return None if value is None and self.default is None else self.kind.check(name, value)

    @property
    def elsewhere(self) -> Any:
        """Default in plans and on the command line: Python's, or ``start`` where there is none."""
        return self.start if self.default in (None, REQUIRED) else self.default


_POSITIVE, _NOT_NEGATIVE, _SCALE = Real(above=0.0), Real(0.0), Real(0.0, LARGEST_SCALE)

#: Every parameter of :func:`fastmodes.train`, in the order of its signature.
TRAIN: dict[str, Parameter] = {
    "rules": Parameter(Given(), "Learning rules.", REQUIRED, option=False),
    "teacher": Parameter(Given(), "The network to learn from.", REQUIRED, option=False),
    "hidden": Parameter(Whole(1, 100_000), "Hidden units of the students.", start=8, sweep="axis"),
    "seeds": Parameter(Given(), "A count (8 means 0..7) or a list.", REQUIRED, option=False),
    "epochs": Parameter(Whole(), "Parameter updates.", default=REQUIRED, start=3000, sweep="fixed"),
    "learning_rate": Parameter(PerMatrix(above=0.0), "Step eta of learning.", start=0.005, sweep="axis"),
    "steps": Parameter(Steps(), "Time steps T, or inf.", start=50, sweep="axis"),
    "updates": Parameter(Choice(("sampled", "expected")), "Averaged over a batch, or exact.", "sampled", sweep="axis"),
    "batch_size": Parameter(Whole(1, 10**7), "Sequences per sampled update.", absent="32", sweep="axis"),
    "data": Parameter(Data(), "A finite set: sequences to draw once, or a file.", absent="new ones", sweep="axis"),
    "optimizer": Parameter(OptimizerName(), "Plain gradient descent, or Adam.", "sgd", sweep="axis"),
    "clip_norm": Parameter(_POSITIVE, "Clip gradients to this norm.", sweep="axis"),
    "loss": Parameter(Choice(LOSSES), "Error of the last step, or mean over all.", "final", sweep="fixed"),
    "init_scale": Parameter(_SCALE, "Weights start with deviation scale / sqrt(hidden).", 0.1, sweep="axis"),
    "feedback_scale": Parameter(_SCALE, "The same for R.", 1.0, sweep="axis"),
    "record_every": Parameter(Whole(), "Epochs between two records.", absent="about 100 records", sweep="fixed"),
    "stop_loss": Parameter(_NOT_NEGATIVE, "A run whose loss falls to this has converged.", sweep="axis"),
    "divergence_loss": Parameter(
        _POSITIVE, "A run whose loss is above this has diverged.", 1e6, sweep="axis", seldom=True
    ),
    "validation_size": Parameter(
        Whole(1, 10**7),
        "Held-out sequences for the validation loss.",
        absent="128, or a fifth of data",
        sweep="fixed",
        seldom=True,
    ),
    "schedule": Parameter(Schedule(), "How eta changes over the epochs.", "constant", sweep="axis", seldom=True),
    "momentum": Parameter(Real(0.0, below=1.0), "Of plain gradient descent.", 0.0, sweep="axis", seldom=True),
    "weight_decay": Parameter(
        PerMatrix(0.0), "Pull of every weight to zero, times eta.", 0.0, sweep="axis", seldom=True
    ),
    "leak": Parameter(Real(above=0.0, high=1.0), "alpha of leaky students; 1: none.", 1.0, sweep="axis"),
    "nonlinearity": Parameter(
        Choice(NONLINEARITIES), "Of the students' units; sampled updates only.", "identity", sweep="axis"
    ),
    "input_covariance": Parameter(
        Covariance(), "Of the channels, as 1,0.5;0.5,1.", absent="identity", sweep="fixed", seldom=True
    ),
    "colour": Parameter(Colour(), "Correlation of input over a step.", absent="white input", sweep="axis", seldom=True),
    "private_noise": Parameter(_NOT_NEGATIVE, "Deviation of noise of units.", 0.0, sweep="axis", seldom=True),
    "feedback_noise": Parameter(_NOT_NEGATIVE, "The same of R, for each update.", 0.0, sweep="axis", seldom=True),
    "target_noise": Parameter(_NOT_NEGATIVE, "The same of targets.", 0.0, sweep="axis", seldom=True),
    "mask": Parameter(Given(), "0 where W does not learn.", option=False),
    "adam_betas": Parameter(Betas(), "Adam's rates of forgetting.", (0.9, 0.999), sweep="fixed", seldom=True),
    "adam_epsilon": Parameter(_POSITIVE, "Adam's smallest divisor.", 1e-8, sweep="axis", seldom=True),
    "students": Parameter(Given(), "Initial students.", option=False),
    "feedbacks": Parameter(Given(), "Feedback matrices R.", option=False),
    "keep_weights": Parameter(Flag(), "Keep all recorded weights.", False),
    "threads": Parameter(Whole(1, 4096), "Threads to use.", absent="all cores", stored=False),
    "progress": Parameter(Flag(), "Show progress on stderr.", True, stored=False),
}


def check_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of :data:`TRAIN`'s parameters, each checked by itself.

    Raises
    ------
    TypeError, ValueError
        For the first one outside its range.
    """
    return {name: TRAIN[name].check(name, value) for name, value in given.items()}
