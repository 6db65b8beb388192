"""What :func:`fastmodes.train` can be told: each parameter once, with its check, its default and its sentence.

From :data:`TRAIN` derive the signature of ``train`` (written out there for help and completion; a test holds it against
this), the checks before anything is computed, the configuration stored with a dataset, the parameters of the sweep job
"train", the options of ``fastmodes train`` and what a preset may set. A new parameter is a line here, its keyword in
``train``, and whatever reads it.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..networks.units import NONLINEARITIES
from ..updates.one import LOSSES
from ..validation import LARGEST_SCALE
from .parameter_kinds import (
    Betas,
    Choice,
    Colour,
    Covariance,
    Data,
    Flag,
    Given,
    Kind,
    OptimizerName,
    PerMatrix,
    Real,
    Schedule,
    Steps,
    Whole,
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
    "gradient_quality": Parameter(Flag(), "Record how well updates follow the exact gradient.", False, seldom=True),
    "checkpoint": Parameter(Given(), "A file to go on from.", option=False, stored=False),
    "checkpoint_every": Parameter(
        Real(above=0.0, high=1e9), "Seconds between two checkpoints.", 600.0, option=False, stored=False
    ),
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
