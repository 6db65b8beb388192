"""Feedback that learns, one step at a time (theory section 11).

Feedback is F = beta A + G. Whatever an optimiser does to A, F moves by beta of it; what is left to do is

    A <- A - eta lambda_a A,      G <- G + eta (kappa A - lambda G)

with eta the learning rate of the readout and A as it was before the step. Under Kolen and Pollack's feedback (beta = 1,
kappa = 0) R = A + G so takes every change of A, clipped and scaled as it may be, and A - R falls by 1 - eta lambda.
"""

from ..compile import inlined
from ..simd.lanes import WIDTH, fma, less, load, select, store
from ..simd.views import flattened


@inlined
def learns(rule):
    """Whether feedback learns, or decays with the readout."""
    learning = rule.learning
    return learning.readout_decay != 0.0 or learning.gain != 0.0 or learning.decay != 0.0


@inlined
def learn_feedback(rule, rate, readout, given, learning):
    """The step above for one network or eight, before the optimiser's; ``learning`` (8,) is 1 in lanes that learn."""
    a_flat, g_flat = flattened(readout), flattened(given)
    awake, how = less(0.5, load(learning, (0,))), rule.learning
    for i in range(0, len(a_flat), WIDTH):
        a, g = load(a_flat, (i,)), load(g_flat, (i,))
        changed = fma(rate * how.gain, a, fma(-(rate * how.decay), g, g))
        store(g_flat, (i,), select(awake, changed, g))
        store(a_flat, (i,), select(awake, fma(-(rate * how.readout_decay), a, a), a))
