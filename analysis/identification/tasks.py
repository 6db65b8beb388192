"""What was learned and how: read from a training dataset, or given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastmodes.networks.leaky import effective_matrices, flow_rates
from fastmodes.networks.network import LinearRNN
from fastmodes.networks.running import impulse_response
from fastmodes.updates.impulses import covariance_root
from fastmodes.updates.one import LOSSES, loss_weights
from fastmodes.validation import check_choice, check_number, check_steps, shown

from .chains import Task
from .snapshots import Weights

if TYPE_CHECKING:
    from fastmodes.typing import ArrayLike, FloatArray

#: Settings of a training under which changes are sums of updates times one learning rate.
_PLAIN: dict[str, Any] = {
    "optimizer": "sgd", "clip_norm": None, "momentum": 0.0, "schedule": "constant", "mask": None, "data": None,
    "colour": None, "private_noise": 0.0, "feedback_noise": 0.0,
}  # fmt: skip
#: Infinitely many steps are cut where no propagator has kept more than this, and never beyond so many.
_FORGOTTEN, _MOST_STEPS = 1e-10, 2000


class Protocol(NamedTuple):
    """``task`` the teacher's impulse response and the loss; ``batch_size`` inf: updates were expected ones."""

    teacher: LinearRNN
    steps: float
    loss: str
    batch_size: float
    leak: float
    rates: tuple[float, float, float]
    target_noise: float
    root: FloatArray | None
    observation_noise: float

    def task(self, snapshots: Weights) -> Task:
        """The task as the effective networks of these snapshots see it."""
        steps = self.steps
        if steps == math.inf:
            steps = _steps_enough(self.teacher, snapshots)
        target = impulse_response(self.teacher, int(steps))
        target = target if self.root is None else target @ self.root
        weights = loss_weights(self.loss, int(steps))  # type: ignore[arg-type]
        return Task(
            target, weights, self.root, self.target_noise, self.loss == "sequence", self.batch_size, self.rates,
            self.observation_noise,
        )  # fmt: skip

    def effective(self, snapshots: Weights) -> Weights:
        """The weights of the networks that run."""
        return Weights(snapshots.readout, *effective_matrices(snapshots.recurrent, snapshots.input, self.leak))


def _steps_enough(teacher: LinearRNN, snapshots: Weights) -> int:
    matrices = [teacher.recurrent, *snapshots.recurrent]
    radius = max(float(np.max(np.abs(np.linalg.eigvals(matrix)))) for matrix in matrices)
    needed = math.log(_FORGOTTEN) / math.log(radius) if 0 < radius < 1 else (1 if radius == 0 else math.inf)
    if needed > _MOST_STEPS:
        raise ValueError(
            f"runs must forget within {_MOST_STEPS} steps where steps is infinite; got the spectral radius {radius:.6g}"
        )
    return max(math.ceil(needed), max(len(matrix) for matrix in matrices))


def given_protocol(
    *, teacher: LinearRNN | None, steps: float | None, batch_size: float | None, loss: str | None, leak: float | None,
    rates: Any, target_noise: float, input_covariance: ArrayLike | None, observation_noise: float,
) -> Protocol:  # fmt: skip
    """The protocol of bare snapshots: everything that has no default must be given.

    Raises
    ------
    TypeError, ValueError
        If something is missing or outside its range.
    """
    if not isinstance(teacher, LinearRNN):
        raise TypeError(f"teacher must be a fastmodes.LinearRNN where runs are networks; got {shown(teacher)}")
    for name, value in (("steps", steps), ("batch_size", batch_size)):
        if value is None:
            raise ValueError(f"{name} must be given where runs are networks; got None")
    leak = 1.0 if leak is None else check_number("leak", leak, above=0.0, high=1.0)
    size = batch_size if batch_size == math.inf else check_number("batch_size", batch_size, 1.0)
    of_recurrent, of_readout, of_input = flow_rates(rates, leak)
    root = None if input_covariance is None else covariance_root(input_covariance, teacher.n_in)
    loss = check_choice("loss", "final" if loss is None else loss, LOSSES)
    return Protocol(
        teacher, check_steps("steps", steps, infinite=True), loss, float(size), leak,
        (of_readout, of_recurrent, of_input), check_number("target_noise", target_noise, 0.0), root,
        check_number("observation_noise", observation_noise, 0.0),
    )  # fmt: skip


def stored_protocol(configuration: dict[str, Any], given: dict[str, Any]) -> Protocol:
    """The protocol of a training dataset; what is given stands before what is stored.

    Raises
    ------
    ValueError
        If the training was of another kind, naming the setting.
    """
    for name, plain in _PLAIN.items():
        value = configuration.get(name, plain)
        if value != plain:
            raise ValueError(
                f"runs must be trained by plain gradient descent on ever new sequences, {name}={plain!r}; "
                f"got {shown(value)}"
            )
    decay = configuration.get("weight_decay") or {}
    if any(decay.values() if isinstance(decay, dict) else [decay]):
        raise ValueError(f"runs must be trained without weight decay; got weight_decay={shown(decay)}")
    stored = configuration.get("teacher")
    if stored is None and given["teacher"] is None:
        raise ValueError("teacher must be given: these runs were trained without one; got None")
    sampled = configuration.get("updates", "sampled") == "sampled"
    steps = configuration["steps"]
    defaults = {
        "teacher": None if stored is None else LinearRNN(**{name: np.array(part) for name, part in stored.items()}),
        "steps": math.inf if steps == "inf" else steps,
        "batch_size": configuration["batch_size"] if sampled else math.inf,
        "loss": configuration.get("loss", "final"),
        "leak": configuration.get("leak", 1.0),
        "rates": _relative(configuration["learning_rate"]),
        "input_covariance": configuration.get("input_covariance"),
        "target_noise": configuration.get("target_noise") or 0.0,
        "observation_noise": 0.0,
    }
    return given_protocol(
        **{name: default if given[name] is None else given[name] for name, default in defaults.items()}
    )


def _relative(rate: Any) -> Any:
    """Learning rates of the matrices over the largest, from what a dataset stores; None: one for all."""
    if not isinstance(rate, dict):
        return None
    values = {
        name: np.unique(np.ravel(value)) for name, value in rate.items() if name in ("readout", "recurrent", "input")
    }
    if len(values) != 3 or any(value.size != 1 for value in values.values()):
        raise ValueError("runs must have one learning rate a matrix, the same in all runs; select those of one rate")
    largest = max(float(value[0]) for value in values.values())
    if not largest > 0:
        raise ValueError("runs must have a learning rate above 0 for at least one matrix")
    return {name: float(value[0]) / largest for name, value in values.items()}
