"""Training loops: from one recorded epoch to the next, for a block of networks under one rule.

A run ends when its loss reaches ``stop_loss`` (converged), or is not finite or above ``divergence_loss`` (diverged):
its weights stay where they are while its neighbours go on.
"""

from typing import Any, NamedTuple

import numpy as np

from ..compile import inlined, kernel
from ..updates.nonlinear import nonlinear_update
from ..updates.recursion import expected_update
from ..updates.sampled import outputs, sampled_update
from .feedback import learn_feedback, learns
from .optimizers import equal_plasticity, optimizer_step, parameters
from .seen import disturb, show, take

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


class Learner(NamedTuple):
    """What turns the gradients of a block into steps, and judges them.

    ``parameters`` the flat arrays behind the networks and their updates, ``optimizer`` and ``plasticity`` the step,
    ``schedule`` a factor of its size for every epoch (empty: always 1), ``limits`` and ``progress`` the runs' ends,
    ``loss`` (networks,) each run's loss before the first update of a call.
    """

    parameters: Any
    optimizer: Any
    plasticity: Any
    schedule: Any
    limits: Any
    progress: Any
    loss: Any


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


def new_learner(values, gradient, networks, optimizer, limits, plasticity=None, schedule=None):
    """Learner of ``networks`` whose flat ``values`` and ``gradient`` are given, at the start."""
    return Learner(
        parameters=parameters(values, gradient),
        optimizer=optimizer,
        plasticity=equal_plasticity() if plasticity is None else plasticity,
        schedule=np.ones(0) if schedule is None else schedule,
        limits=limits,
        progress=new_progress(networks),
        loss=np.full(networks, np.nan),
    )


@inlined
def judge(learner, loss):
    """Update the status of every run from its loss; whether any goes on."""
    progress, limits = learner.progress, learner.limits
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
            learner.parameters.learning[place] = 0.0
    return going_on


@inlined
def learn_from(learner, rule, given, side_by_side):
    """One step of the optimiser, and of feedback where it learns, for every run that goes on.

    ``given`` holds what the rule adds to its share of A, see :func:`~fastmodes.kernels.rule.feedback_matrix`.
    """
    progress = learner.progress
    progress.steps[0] += 1
    for place in range(len(progress.status)):
        progress.epochs[place] += progress.status[place] == RUNNING
    count, eta = progress.steps[0], learner.optimizer.learning_rate
    if len(learner.schedule) > 0:
        eta *= learner.schedule[count - 1]
    if learns(rule):
        learn_feedback(rule.learning, eta, learner.plasticity, learner.parameters, given)
    optimizer_step(learner.optimizer, learner.plasticity, eta, count, learner.parameters, side_by_side)


@kernel
def train_expected(epochs, learn, network, rule, target, weights, work, update, learner, seen):
    """``epochs`` epochs with expected updates; without ``learn``, only the losses are computed and judged.

    Arrays as for :func:`fastmodes.kernels.updates.recursion.expected_update`; ``learner`` holds the flat arrays behind
    ``network`` and ``update``, or behind those of ``seen`` (:mod:`~fastmodes.kernels.training.seen`), which is None
    where input is white and units are without noise: the choice is made while compiling.
    """
    now = np.empty_like(learner.loss)
    for epoch in range(epochs):
        if seen is not None:
            show(seen, network, work.carrier.feedback)
        expected_update(network, rule, target, weights, work, update, now)
        if seen is not None:
            take(seen, update)
            now += seen.offset
        if epoch == 0:
            for place in range(len(now)):
                learner.loss[place] = now[place]
        if not judge(learner, now) or not learn:
            return
        learn_from(learner, rule, work.carrier.feedback if seen is None else seen.given, len(now) > 1)


class Pupil(NamedTuple):
    """A network, its rule, and the work space and place of its updates."""

    network: Any
    rule: Any
    work: Any
    update: Any


@kernel
def train_sampled(epochs, learn, pupil, batches, samples, learner, seen):
    """``epochs`` epochs on the batches in the inputs (batch, steps, n_in, sample), read round and round.

    Without ``learn``, only the loss is computed and judged. Arrays as for
    :func:`fastmodes.kernels.updates.sampled.sampled_update`, targets with one more leading axis; noise of the feedback
    (epoch, n_out, n_hidden), without epochs where there is none, is added where something is ``seen``.
    """
    now = np.empty_like(learner.loss)
    inputs, targets, noise = batches
    feedback = pupil.work.carrier.feedback
    for epoch in range(epochs):
        x, y = inputs[epoch % len(inputs)], targets[epoch % len(targets)]
        if seen is not None:
            show(seen, pupil.network, feedback)
            if len(noise) > 0:
                disturb(feedback, noise[epoch])
        now[0] = sampled_update(pupil.network, pupil.rule, x, y, samples, pupil.work, pupil.update)
        if seen is not None:
            take(seen, pupil.update)
        if epoch == 0:
            learner.loss[0] = now[0]
        if not judge(learner, now) or not learn:
            return
        learn_from(learner, pupil.rule, feedback if seen is None else seen.given, False)


@kernel
def train_nonlinear(epochs, learn, pupil, batches, samples, learner, seen):
    """As :func:`train_sampled`, with :func:`fastmodes.kernels.updates.nonlinear.nonlinear_update`."""
    now = np.empty_like(learner.loss)
    inputs, targets, noise = batches
    feedback = pupil.work.carrier.feedback
    for epoch in range(epochs):
        x, y = inputs[epoch % len(inputs)], targets[epoch % len(targets)]
        if seen is not None:
            show(seen, pupil.network, feedback)
            if len(noise) > 0:
                disturb(feedback, noise[epoch])
        now[0] = nonlinear_update(pupil.network, pupil.rule, x, y, samples, pupil.work, pupil.update)
        if seen is not None:
            take(seen, pupil.update)
        if epoch == 0:
            learner.loss[0] = now[0]
        if not judge(learner, now) or not learn:
            return
        learn_from(learner, pupil.rule, feedback if seen is None else seen.given, False)


@kernel
def teacher_targets(network, inputs, hidden, out):
    """Teacher outputs for a series of batches: out[epoch] from inputs[epoch]; ``hidden`` is work space."""
    for epoch in range(len(inputs)):
        outputs(network, inputs[epoch], hidden, out[epoch])
