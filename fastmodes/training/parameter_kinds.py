"""What values a parameter of training takes: each kind checks one value by itself."""

import dataclasses
import math
import numbers
from typing import Any, Protocol

from ..validation import (
    LARGEST_SIZE,
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_steps,
    shown,
)


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
