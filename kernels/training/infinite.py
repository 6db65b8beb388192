"""Training with expected updates at infinitely many steps, one network at a time."""

import numpy as np

from ..arrays.workspace import view
from ..compile import kernel
from ..updates.doubling import FEEDBACK, MOST_DOUBLINGS
from ..updates.infinite import infinite_update_of
from .loop import judge, learn_from


@kernel
def train_infinite(epochs, learn, m, rule, teacher_loss, learner):
    """``epochs`` epochs; without ``learn``, only the loss is computed and judged.

    Parameters
    ----------
    epochs : int
    learn : bool
    m : Matrices
        From :func:`~fastmodes.kernels.updates.doubling.allocate_update`, filled. A, W, B in it learn, and R
        where it learns.
    rule : Rule
    teacher_loss : float
        The teacher's part of the loss.
    learner : Learner
        Its values and gradient are the network and the update in ``m``. Its loss is infinite where the spectral radius
        is not below one.
    """
    now = np.empty(1)
    for epoch in range(epochs):
        own, terms = infinite_update_of(m, rule, MOST_DOUBLINGS)
        now[0] = own + teacher_loss if terms > 0 else np.inf
        if epoch == 0:
            learner.loss[0] = now[0]
        if not judge(learner, now) or not learn:
            return
        learn_from(learner, rule, view(m, FEEDBACK), False)
