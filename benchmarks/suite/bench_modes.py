"""Time of mode updates, flows and stability maps; sizes are parameters, compilation happens in ``setup``."""

import math

import numpy as np

import fastmodes as fm
from fastmodes import analysis

RULES = {"BPTT": fm.bptt(), "tBPTT(1)": fm.tbptt(1), "RFLO": fm.rflo(0.5), "e-prop": fm.eprop()}


def random_modes(count):
    """Starts, teachers and feedback of random modes."""
    rng = np.random.default_rng(0)
    w, goal = rng.uniform(-0.9, 0.9, (2, count))
    a, b, product, r = rng.normal(size=(4, count))
    return fm.Modes(w, a, b), fm.Modes(goal, 1.0, product), r


class Updates:
    """fm.mode_update and fm.mode_jacobian."""

    params = (list(RULES), [100, 1_000_000, math.inf], [1_000])
    param_names = ("rule", "steps", "modes")

    def setup(self, rule, steps, count):
        self.modes, self.teacher, self.r = random_modes(count)
        self.time_update(rule, steps, count)
        self.time_jacobian(rule, steps, count)

    def time_update(self, rule, steps, count):
        fm.mode_update(RULES[rule], self.modes, self.teacher, steps, feedback=self.r)

    def time_jacobian(self, rule, steps, count):
        fm.mode_jacobian(RULES[rule], self.modes, self.teacher, steps, feedback=self.r)


class Flows:
    """fm.flow to s = 20, the end alone and with 100 outputs, comfortable and stiff teachers."""

    params = (list(RULES), [10_000], [1e-6, 1e-8])
    param_names = ("rule", "modes", "rtol")

    def setup(self, rule, count, rtol):
        self.modes, self.teacher, self.r = random_modes(count)
        self.stiff = fm.Modes(np.full(count, 0.99), 1.0, self.teacher.input)
        fm.flow(RULES[rule], fm.Modes(0.1, 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0), [1.0, 2.0])

    def time_end(self, rule, count, rtol):
        fm.flow(RULES[rule], self.modes, self.teacher, 20.0, feedback=self.r, rtol=rtol, atol=1e-3 * rtol)

    def time_hundred_outputs(self, rule, count, rtol):
        times = np.linspace(0.2, 20, 100)
        fm.flow(RULES[rule], self.modes, self.teacher, times, feedback=self.r, rtol=rtol, atol=1e-3 * rtol)

    def time_stiff_teacher(self, rule, count, rtol):
        fm.flow(RULES[rule], self.modes, self.stiff, 20.0, feedback=self.r, rtol=rtol, atol=1e-3 * rtol)


class Stability:
    """analysis.stability and analysis.convergence_rate on the optimal manifold."""

    params = (list(RULES), [1_000_000])
    param_names = ("rule", "points")

    def setup(self, rule, points):
        self.position = np.linspace(0.01, 3, points)
        self.time_rate(rule, points)

    def time_rate(self, rule, points):
        analysis.convergence_rate(RULES[rule], 0.8, 1.0, self.position)

    def time_eigenvalues(self, rule, points):
        analysis.stability(RULES[rule], 0.8, 1.0, self.position)

    def peakmem_eigenvalues(self, rule, points):
        analysis.stability(RULES[rule], 0.8, 1.0, self.position)
