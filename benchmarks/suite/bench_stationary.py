"""Time of updates by doubling and of the flow of whole networks."""

import math

import numpy as np

import fastmodes as fm

RULES = {"BPTT": fm.bptt(), "tBPTT(1)": fm.tbptt(1), "RFLO": fm.rflo(0.5), "e-prop": fm.eprop()}


def network(rng, n):
    """Gaussian weights, spectral radius 0.9, four channels."""
    w = rng.standard_normal((n, n))
    return fm.LinearRNN(
        rng.standard_normal((4, n)) / np.sqrt(n),
        0.9 * w / np.abs(np.linalg.eigvals(w)).max(),
        rng.standard_normal((n, 4)),
    )


class Doubling:
    """Sixteen networks, one update each."""

    params = (tuple(RULES), (4, 16, 64, 256), (100, 10_000, math.inf))
    param_names = ("rule", "hidden", "steps")
    timeout = 300

    def setup(self, name, hidden, steps):
        """Draw the networks; compile."""
        rng = np.random.default_rng(0)
        self.students, self.teacher = [network(rng, hidden) for _ in range(16)], network(rng, hidden)
        random = RULES[name].feedback == "random"
        self.feedbacks = [rng.standard_normal((4, hidden)) for _ in range(16)] if random else None
        self.time_updates(name, hidden, steps)

    def time_updates(self, name, hidden, steps):
        """``fm.expected_updates``."""
        fm.expected_updates(RULES[name], self.students, self.teacher, steps, feedbacks=self.feedbacks)


class Flow:
    """Four seeds, teacher of four modes, up to flow time 10."""

    params = (tuple(RULES), (4, 16))
    param_names = ("rule", "hidden")
    timeout = 300

    def setup(self, name, hidden):
        """Compile."""
        self.teacher = fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0))
        self.flow(name, hidden, 0.01)

    def flow(self, name, hidden, end):
        """Integrate to ``end``."""
        return fm.matrix_flow(RULES[name], self.teacher, hidden=hidden, seeds=[4], times=[0.0, end], progress=False)

    def time_flow(self, name, hidden):
        """``fm.matrix_flow``."""
        self.flow(name, hidden, 10.0)

    def track_steps(self, name, hidden):
        """Steps of the integrator, all seeds."""
        return int(self.flow(name, hidden, 10.0)["integration_steps"].sum())
