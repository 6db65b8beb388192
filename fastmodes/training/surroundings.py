"""What surrounds a student while it learns: the statistics of its input, and noise (theory section 15)."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..updates.coloured import InputFilter, autoregressive_input, check_colour, filter_drive
from ..updates.drive import Drive
from ..updates.impulses import covariance_root
from ..validation import check_choice, check_number, shown
from .sequences import Sequences

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..networks.network import LinearRNN

_FIELDS = tuple(field.name for field in dataclasses.fields(InputFilter))


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """Statistics of the input, and noise.

    Attributes
    ----------
    root : array (n_in, n_in) or None
        Square root of the input's covariance, None: of the identity.
    colour : InputFilter or None
        What makes the input of white noise.
    private, feedback, target : float
        Deviations of the noise of hidden units, as it enters what is trained, of R, and of the targets.
    """

    root: NDArray[np.float64] | None = None
    colour: InputFilter | None = None
    private: float = 0.0
    feedback: float = 0.0
    target: float = 0.0

    @property
    def white(self) -> bool:
        """Whether the input is white noise of variance one."""
        return self.root is None and self.colour is None

    def source(self, n_in: int) -> Drive:
        """What makes the input of white noise."""
        return Drive.white(n_in, self.root) if self.colour is None else filter_drive(self.colour)

    def expected(self, n_in: int, steps: float) -> Drive | None:
        """The larger network that expected updates see, or None where it is the student itself."""
        if self.white and not (self.private or self.target):
            return None
        drive = dataclasses.replace(self.source(n_in), private=self.private)
        return drive.for_ever() if steps == math.inf else drive

    def sampled(self, n_in: int) -> Drive | None:
        """The larger network that reads sequences and the noise beside them, or None where there is no noise."""
        return Drive.white(n_in, private=self.private) if self.private or self.feedback else None

    def added_loss(self, n_out: int) -> float:
        """What noise of the targets adds to the expected loss."""
        return 0.5 * n_out * self.target**2


def check_surroundings(values: SimpleNamespace, data: Sequences | int | None, leak: float) -> Surroundings:
    """Check what depends on each other; ``leak`` is that of what is trained.

    Raises
    ------
    TypeError, ValueError
        If a covariance or a filter does not fit the input, or an option has no meaning here.
    """
    colour = checked_filter("colour", values.colour, values.teacher.n_in)
    covariance = values.input_covariance
    if colour is not None and covariance is not None:
        raise ValueError(
            "input_covariance must be None beside a colour, whose filter says how the channels vary; "
            f"got {shown(covariance)}"
        )
    if isinstance(data, Sequences):
        for name, plain in (("input_covariance", None), ("colour", None), ("target_noise", 0.0)):
            if getattr(values, name) != plain if plain is not None else getattr(values, name) is not None:
                raise ValueError(
                    f"{name} must be {plain} where data are given: sequences are learned from as they are; "
                    f"got {shown(getattr(values, name))}"
                )
    if values.updates == "expected" and values.feedback_noise:
        raise ValueError(
            "feedback_noise must be 0 for expected updates: they are linear in R, so that noise of mean 0 changes "
            f"nothing; got {shown(values.feedback_noise)}"
        )
    root = None if covariance is None else covariance_root(covariance, values.teacher.n_in)
    return Surroundings(root, colour, leak * values.private_noise, values.feedback_noise, values.target_noise)


def flow_surroundings(
    teacher: LinearRNN, leak: float, input_covariance: Any, colour: Any, private_noise: Any
) -> Surroundings:
    """Surroundings of a flow, in which only expected updates are.

    Raises
    ------
    TypeError, ValueError
        If one is out of range, or does not fit the teacher's input.
    """
    values = SimpleNamespace(
        teacher=teacher, updates="expected", input_covariance=input_covariance, colour=colour, target_noise=0.0,
        feedback_noise=0.0, private_noise=check_number("private_noise", private_noise, 0.0),
    )  # fmt: skip
    return check_surroundings(values, None, leak)


def recorded_surroundings(input_covariance: Any, colour: Any, private_noise: float) -> dict[str, Any]:
    """Surroundings in a configuration, where they do something."""
    covariance = None if input_covariance is None else np.asarray(input_covariance).tolist()
    found = {"input_covariance": covariance, "colour": colour_table(colour), "private_noise": float(private_noise)}
    return {name: value for name, value in found.items() if value is not None and (name == "colour" or value)}


def checked_filter(name: str, colour: Any, n_in: int | None = None) -> InputFilter | None:
    """A filter, the coefficient of an autoregressive one, or a table of its matrices, as a filter; None as it is.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or writes another number of channels than ``n_in``; without ``n_in`` a coefficient
        makes one channel.
    """
    if colour is None:
        return None
    if isinstance(colour, numbers.Real) and not isinstance(colour, bool):
        return autoregressive_input(check_number(name, colour, above=-1.0, below=1.0), n_in or 1)
    if isinstance(colour, Mapping):
        for key in colour:
            check_choice(f"key of {name}", key, _FIELDS)
        if missing := [key for key in _FIELDS if key not in colour]:
            raise ValueError(f"{name} must name {', '.join(_FIELDS)}; got none of {', '.join(missing)}")
        colour = InputFilter(**colour)
    if not isinstance(colour, InputFilter):
        raise TypeError(
            f"{name} must be an InputFilter such as fm.autoregressive_input(0.5, {n_in or 4}), or a number between -1 "
            f"and 1, the coefficient of such; got {shown(colour)}"
        )
    return colour if n_in is None else check_colour(name, colour, n_in)


def colour_table(colour: Any) -> Any:
    """A colour as JSON has it: None, a number, or the four matrices by name."""
    if colour is None or isinstance(colour, numbers.Real):
        return None if colour is None else float(colour)
    get = colour.__getitem__ if isinstance(colour, Mapping) else lambda key: getattr(colour, key)
    return {key: np.asarray(get(key)).tolist() for key in _FIELDS}


def refuse_surroundings(settings: Mapping[str, Any], what: str) -> None:
    """Refuse settings of a training in which the exact gradient is not that of white input without noise.

    Raises
    ------
    ValueError
        Naming the setting and its value.
    """
    for name, plain in (("input_covariance", None), ("colour", None), ("private_noise", 0.0)):
        value = settings.get(name)
        if value is not None and (plain is None or value != plain):
            raise ValueError(
                f"{name} must be {plain} for {what}, whose gradient is that of white input; got {shown(value)}"
            )
