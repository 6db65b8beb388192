"""The kernels of sampled training, by the students' hidden units: linear ones have kernels of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kernels.training import loop
from ..kernels.updates import nonlinear, sampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..networks.units import Units
    from .block_networks import Networks
    from .sequences import Batches
    from .settings import Job


def work_space(job: Job, member: Networks, batch: int) -> Any:
    """Work space of the updates of one network on batches of so many sequences, a multiple of eight."""
    units, hidden = job.plasticity.units, job.sizes[1]
    sizes = job.steps, batch, ("final", "sequence").index(job.loss)
    given = member.larger.network, member.kernel_rule, member.larger.carrier
    if units.linear:
        return sampled.work_space(*given, hidden, *sizes)
    return nonlinear.work_space(*given, units.in_kernel(hidden), *sizes)


def train(
    units: Units, member: Networks, work: Any, epochs: int, learn: bool, batches: Batches, samples: float
) -> None:
    """``epochs`` epochs of one network; without ``learn``, only its loss is computed and judged."""
    larger = member.larger
    pupil = loop.Pupil(larger.network, member.kernel_rule, work, larger.update)
    kernel = loop.train_sampled if units.linear else loop.train_nonlinear
    kernel(epochs, learn, pupil, batches, samples, member.learner, larger.seen)


def batch_loss(
    units: Units, network: Any, batch: tuple[NDArray[Any], NDArray[Any]], samples: float, hidden: Any, errors: Any
) -> float:
    """Mean loss of one network on a batch of inputs and targets; ``hidden`` and ``errors`` are work space."""
    if units.linear:
        return float(sampled.batch_loss(network, *batch, samples, hidden, errors))
    return float(nonlinear.batch_loss(network, *batch, samples, hidden, errors, units.in_kernel(hidden.shape[1])))
