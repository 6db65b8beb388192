"""Feedback that learns, one step at a time (theory section 11).

Feedback is F = beta A + G. Whatever an optimiser does to A, F moves by beta of it; what is left to do is

    A <- A - eta lambda_a A,      G <- G + eta (kappa A - lambda G)

with eta the learning rate of the readout, at which alone feedback learns, and A as it was before the step. Under Kolen
and Pollack's feedback (beta = 1, kappa = 0) R = A + G so takes every change of A, clipped and scaled as it may be, and
A - R falls by 1 - eta lambda.
"""

from ..compile import inlined
from ..simd.lanes import WIDTH, fma, less, load, select, splat, store
from ..simd.views import flattened


@inlined
def learns(rule):
    """Whether feedback learns, or decays with the readout."""
    learning = rule.learning
    return learning.readout_decay != 0.0 or learning.gain != 0.0 or learning.decay != 0.0


@inlined
def learn_feedback(learning, eta, plasticity, parameters, given):
    """The step above, before the optimiser's, in the lanes that learn; ``given`` holds G of one network or eight.

    A is the first of the flat parameters, and as long as G.
    """
    theta, g_flat = parameters.values, flattened(given)
    awake = less(0.5, load(parameters.learning, (0,)))
    for i in range(0, len(g_flat), WIDTH):
        rate = eta * (load(plasticity.rate, (i,)) if len(plasticity.rate) > 0 else splat(1.0))
        a, g = load(theta, (i,)), load(g_flat, (i,))
        changed = fma(rate * learning.gain, a, fma(-(rate * learning.decay), g, g))
        store(g_flat, (i,), select(awake, changed, g))
        store(theta, (i,), select(awake, fma(-(rate * learning.readout_decay), a, a), a))
