"""Networks, rules and comparisons that several test files use."""

import itertools

import naive
import numpy as np

import fastmodes as fm

DECAYS = {"scalar": lambda n, rng: 0.6, "diagonal": lambda n, rng: tuple(rng.uniform(-0.8, 0.8, n))}


def matrices(network):
    return network.readout, network.recurrent, network.input


def random_network(rng, n_out, n, n_in, radius=None):
    """Gaussian weights; with ``radius``, W scaled to that spectral radius."""
    w = rng.standard_normal((n, n)) / np.sqrt(n)
    if radius is not None:
        w *= radius / np.abs(np.linalg.eigvals(w)).max()
    return fm.LinearRNN(rng.standard_normal((n_out, n)), w, rng.standard_normal((n, n_in)))


#: The numbers that a feedback needs, one choice of them.
FEEDBACK_NUMBERS = {
    "sign": {"sign_scale": 0.7},
    "mixed": {"mix": 0.3},
    "partly_aligned": {"cosine": 0.4},
    "kolen_pollack": {"feedback_decay": 0.2},
    "mirror": {"mirror_rate": 0.6, "feedback_decay": 0.2},
}


def family(n, steps, rng, horizons=(None, 1, 2)):
    """Every rule of the family: feedback x propagator x horizon."""
    feedbacks = ("readout", "random", "sign", "mixed")
    propagators = ("recurrent", "scalar", "diagonal", "recurrent_diagonal")
    for feedback, propagator, horizon in itertools.product(feedbacks, propagators, (*horizons, steps)):
        decay = DECAYS[propagator](n, rng) if propagator in DECAYS else None
        yield fm.LearningRule("rule", feedback, propagator, horizon, decay, **FEEDBACK_NUMBERS.get(feedback, {}))


def feedback_for(rule, student, rng):
    """(R to pass on, F to compute with) of a rule."""
    if rule.feedback == "readout":
        return None, student.readout
    if rule.feedback == "sign":
        return None, naive.sign_feedback(student.readout, rule.sign_scale)
    r = rng.standard_normal(student.readout.shape)
    return r, rule.mix * student.readout + (1 - rule.mix) * r if rule.feedback == "mixed" else r


def worst(got, wanted):
    """Largest relative difference over the parts of an update, each in units of its largest entry."""
    return max(
        float(np.max(np.abs(np.asarray(a) - b)) / max(np.max(np.abs(b)), 1e-300))
        for a, b in zip(got, wanted, strict=True)
    )
