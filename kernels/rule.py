"""A learning rule in a kernel: one value, and its feedback.

A rule is a choice on three axes (theory section 2): the feedback F, by which the output error enters the hidden layer,
the propagator P, which carries it one step back, and the horizon. Numbers that go with a choice, R and the diagonal of
P, belong to a network or to a mode, not to the rule.

The two functions below that name a feedback own that axis: :func:`feedback_matrix` for networks, one or eight side by
side, and :func:`feedback_entry` for modes, with its twin on lanes. Everything else asks them.
"""

from typing import NamedTuple

import numpy as np

from .compile import always_inlined, inlined
from .simd.lanes import WIDTH, fma, less, load, select, store
from .simd.views import flattened

#: Feedback F: the readout A, moving as it learns; a given R; s sign(A) (Liao et al. 2016), moving with A; a share of A
#: and a given rest, beta A + G.
READOUT, RANDOM, SIGN, MIXED = range(4)
#: Propagators P: W itself; one number times the identity; a fixed diagonal; the diagonal of W, moving as W learns.
RECURRENT, SCALAR, DIAGONAL, RECURRENT_DIAGONAL = range(4)


class FeedbackLearning(NamedTuple):
    """How feedback F = beta A + G learns: decay of A, gain and decay of G in dG/ds = gain A - decay G.

    Kolen and Pollack's has beta = 1 and no gain, so that G = R - A; the mirror has beta = 0, so that G = R.
    """

    readout_decay: float
    gain: float
    decay: float


class Rule(NamedTuple):
    """A learning rule: codes of feedback and propagator, a number of the feedback, horizon (0: the full one).

    ``feedback_number`` is s of s sign(A), beta of beta A + G; kernels of learning read how G learns. Flows read at what
    rates w, a, b (W, A, B) learn.
    """

    feedback: int
    propagator: int
    feedback_number: float
    horizon: int
    learning: FeedbackLearning = FeedbackLearning(0.0, 0.0, 0.0)
    rates: tuple[float, float, float] = (1.0, 1.0, 1.0)


def reach(horizon, steps):
    """Steps back that credit goes within ``steps`` time steps: all of them at the full horizon, 0."""
    return min(horizon, steps) if horizon > 0 else steps


#: The same inside kernels.
reach_within = inlined(reach)


def is_rated(rule):
    """Whether the matrices learn at rates other than 1: the flow of modes has kernels of its own for it."""
    return tuple(rule.rates) != (1.0, 1.0, 1.0)


def is_sign(rule):
    """Whether F is s sign(A): the flow of modes has a kernel of its own for it."""
    return rule.feedback == SIGN


#: The same inside kernels.
is_sign_within = inlined(is_sign)


@inlined
def moves(rule):
    """Whether the propagator of a mode is its own w: P is W, or in the neuron basis its diagonal."""
    return rule.propagator == RECURRENT or rule.propagator == RECURRENT_DIAGONAL


@inlined
def is_readout(rule):
    """Whether F is A itself, so that what was computed of A serves for F too."""
    return rule.feedback == READOUT


@inlined
def feedback_matrix(rule, readout, given, room):
    """F (n_out, n_hidden) of one network or of eight.

    ``given`` holds R or G, which stay; an F made from A is written to ``room``.
    """
    if rule.feedback == READOUT:
        return readout
    if rule.feedback == RANDOM:
        return given
    a, g, f = flattened(readout), flattened(given), flattened(room)
    for i in range(0, len(a), WIDTH):
        if rule.feedback == SIGN:
            store(f, (i,), _scaled_sign(load(a, (i,)), rule.feedback_number))
        else:
            store(f, (i,), fma(rule.feedback_number, load(a, (i,)), load(g, (i,))))
    return room


@always_inlined
def _scaled_sign(a, scale):
    """scale sign(a) on lanes; 0 at 0, and NaN at NaN."""
    return select(less(0.0, a), scale, select(less(a, 0.0), -scale, scale * a))


@inlined
def feedback_entry(rule, a, r):
    """f of a mode and its derivative by a; ``r`` is r where F is random, s for s sign(A), g for beta A + G."""
    if rule.feedback == READOUT:
        return a, 1.0
    if rule.feedback == SIGN:
        return r * np.sign(a), 0.0
    if rule.feedback == MIXED:
        return rule.feedback_number * a + r, rule.feedback_number
    return r, 0.0


class LaneRule(NamedTuple):
    """A rule on the lanes of eight modes: choices as factors, for branches would multiply the innermost loop's code.

    ``readout`` the share of A in F, ``signed`` whether it is s sign(A), ``moving`` 1.0 where P is w, ``digits`` binary
    digits of the longest horizon of the modes, ``rated`` whether ``rates`` of w, a, b are other than 1.
    """

    readout: float
    signed: int
    moving: float
    digits: int
    rated: int
    rates: tuple[float, float, float]


@inlined
def on_lanes(rule, signed, rated, digits):
    """The rule on lanes; ``signed`` (F is s sign(A)) and ``rated`` are given as constants where speed counts."""
    share = rule.feedback_number if rule.feedback == MIXED else 0.0
    return LaneRule(1.0 if is_readout(rule) else share, signed, 1.0 if moves(rule) else 0.0, digits, rated, rule.rates)


@always_inlined
def feedback_lanes(rule, a, r):
    """f of eight modes and its derivative by a, as :func:`feedback_entry`; ``r`` is 0 where F is A."""
    f = _scaled_sign(a, r) if rule.signed else fma(rule.readout, a, r)
    return f, rule.readout
