"""Training loops: from one recorded epoch to the next, for a block of networks under one rule.

A run ends when its loss reaches ``stop_loss`` (converged), or is not finite or above ``divergence_loss`` (diverged):
its weights stay where they are while its neighbours go on.
"""

from typing import Any, NamedTuple

import numpy as np

from ..compile import inlined, kernel
from ..updates.recursion import expected_update
from ..updates.sampled import outputs, sampled_update
from .optimizers import optimizer_step

RUNNING, CONVERGED, DIVERGED = range(3)


class Progress(NamedTuple):
    """State of the runs of a block.

    ``status`` (networks,), ``epochs`` made by each (networks,), its last ``loss`` (networks,), ``steps`` made by the
    block (1,).
    """

    status: Any
    epochs: Any
    loss: Any
    steps: Any


class Limits(NamedTuple):
    """Loss at which a run has converged, and above which it has diverged."""

    stop_loss: float
    divergence_loss: float


def new_progress(networks):
    """Progress of a block whose runs are all at the start."""
    return Progress(
        status=np.zeros(networks, dtype=np.int8),
        epochs=np.zeros(networks, dtype=np.int64),
        loss=np.full(networks, np.nan),
        steps=np.zeros(1, dtype=np.int64),
    )


@inlined
def judge(progress, limits, learning, loss):
    """Update the status of every run from its loss; whether any goes on."""
    going_on = False
    for place in range(len(progress.status)):
        if progress.status[place] == RUNNING:
            progress.loss[place] = loss[place]
            if not loss[place] <= limits.divergence_loss:
                progress.status[place] = DIVERGED
            elif loss[place] <= limits.stop_loss:
                progress.status[place] = CONVERGED
            going_on |= progress.status[place] == RUNNING
        if progress.status[place] != RUNNING:
            learning[place] = 0.0
    return going_on


@inlined
def learn_from(progress, optimizer, parameters, side_by_side):
    """One step of the optimiser for every run that still learns."""
    progress.steps[0] += 1
    for place in range(len(progress.status)):
        progress.epochs[place] += progress.status[place] == RUNNING
    optimizer_step(optimizer, progress.steps[0], parameters, side_by_side)


@kernel
def train_expected(
    epochs, learn, network, rule, target, weights, work, update, parameters, optimizer, limits, progress, loss
):
    """``epochs`` epochs with expected updates; without ``learn``, only the losses are computed and judged.

    ``loss`` receives each run's loss before the first update. Other arrays as for
    :func:`fastmodes.kernels.updates.recursion.expected_update`; ``parameters`` holds the flat arrays behind ``network``
    and ``update``.
    """
    now = np.empty_like(loss)
    for epoch in range(epochs):
        expected_update(network, rule, target, weights, work, update, now)
        if epoch == 0:
            for place in range(len(loss)):
                loss[place] = now[place]
        if not judge(progress, limits, parameters.learning, now) or not learn:
            return
        learn_from(progress, optimizer, parameters, len(loss) > 1)


@kernel
def train_sampled(
    inputs, learn, network, rule, targets, samples, work, update, parameters, optimizer, limits, progress, loss
):
    """One epoch for each batch in ``inputs`` (epoch, steps, n_in, batch); without ``learn``, only the loss is judged.

    ``loss`` receives the first batch's loss. Other arrays as for
    :func:`fastmodes.kernels.updates.sampled.sampled_update`, ``targets`` with one more leading axis.
    """
    now = np.empty_like(loss)
    for epoch in range(len(inputs)):
        now[0] = sampled_update(network, rule, inputs[epoch], targets[epoch], samples, work, update)
        if epoch == 0:
            loss[0] = now[0]
        if not judge(progress, limits, parameters.learning, now) or not learn:
            return
        learn_from(progress, optimizer, parameters, False)


@kernel
def teacher_targets(network, inputs, hidden, out):
    """Teacher outputs for a series of batches: out[epoch] from inputs[epoch]; ``hidden`` is work space."""
    for epoch in range(len(inputs)):
        outputs(network, inputs[epoch], hidden, out[epoch])
