"""Training with expected updates at infinitely many steps, one network at a time."""

import numpy as np

from ..arrays.layout import Network
from ..arrays.workspace import view
from ..compile import inlined, kernel
from ..updates.doubling import (
    CHANGE_INPUT,
    CHANGE_READOUT,
    CHANGE_RECURRENT,
    FEEDBACK,
    INPUT,
    MOST_DOUBLINGS,
    READOUT,
    RECURRENT,
)
from ..updates.infinite import infinite_update_of
from .loop import judge, learn_from
from .seen import show, take


@inlined
def show_in(m, seen):
    """Bring the larger network in ``m`` up to date."""
    show(seen, Network(view(m, READOUT), view(m, RECURRENT), view(m, INPUT)), view(m, FEEDBACK))


@inlined
def take_from(m, seen):
    """The update of what is learned, from that of the larger network in ``m``."""
    take(seen, Network(view(m, CHANGE_READOUT), view(m, CHANGE_RECURRENT), view(m, CHANGE_INPUT)))


@kernel
def train_infinite(epochs, learn, m, rule, teacher_loss, learner, seen):
    """``epochs`` epochs; without ``learn``, only the loss is computed and judged.

    Parameters
    ----------
    epochs : int
    learn : bool
    m : Matrices
        From :func:`~fastmodes.kernels.updates.doubling.allocate_update`, filled. A, W, B in it learn, and R
        where it learns; or those of ``seen``.
    rule : Rule
    teacher_loss : float
        The teacher's part of the loss.
    learner : Learner
        Its values and gradient are the network and the update in ``m``, or those of ``seen``. Its loss is infinite
        where the spectral radius is not below one.
    seen : Seen or None
        None where the input is white and units are without noise: the choice is made while compiling.
    """
    now = np.empty(1)
    for epoch in range(epochs):
        if seen is not None:
            show_in(m, seen)
        own, terms = infinite_update_of(m, rule, MOST_DOUBLINGS)
        if seen is not None:
            take_from(m, seen)
        now[0] = own + teacher_loss if terms > 0 else np.inf
        if epoch == 0:
            learner.loss[0] = now[0]
        if not judge(learner, now) or not learn:
            return
        learn_from(learner, rule, view(m, FEEDBACK) if seen is None else seen.given, False)
