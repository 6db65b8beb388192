"""Kernels alone: one expected update in each layout of memory, one sampled update."""

import numpy as np
from fastmodes.kernels.arrays import layout
from fastmodes.kernels.updates import recursion, sampled

import fastmodes as fm
from fastmodes.networks.running import impulse_response
from fastmodes.rule_codes import carrier, kernel_rule
from fastmodes.updates.one import loss_weights, student_matrices, teacher_outputs

RULES = {rule.name: rule for rule in (fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop())}


def _teacher():
    return fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0))


class ExpectedUpdate:
    """Time of one call: eight networks side by side, or one alone. Decides ``layout.LARGEST_SIDE_BY_SIDE``."""

    params = ([4, 6, 8, 12, 16, 64], ["eight", "one"], list(RULES))
    param_names = ("n_hidden", "layout", "rule")

    def setup(self, n_hidden, kind, rule):
        teacher = _teacher()
        student = fm.random_student(n_hidden, teacher, scale=0.5, seed=0)
        place = layout.Layout(4, n_hidden, 4, kind == "eight")
        _, network = place.zeros()
        for position in range(place.networks):
            place.put(network, position, student_matrices(student))
        feedback = [np.ones((4, n_hidden))] * place.networks
        self.arguments = (
            network, kernel_rule(RULES[rule]),
            place.input_like(impulse_response(teacher, 100)), loss_weights("final", 100),
            recursion.work_space(network, carrier(RULES[rule], place, feedback), 100),
            place.zeros()[1], np.zeros(place.networks),
        )  # fmt: skip
        recursion.expected_update(*self.arguments)

    def time_update(self, n_hidden, kind, rule):
        recursion.expected_update(*self.arguments)


class SampledUpdate:
    """Time of one sampled update, T = 50."""

    params = ([(4, 32), (16, 64), (64, 64)], ["final", "sequence"])
    param_names = ("n_hidden, batch", "loss")

    def setup(self, size, loss):
        n_hidden, batch = size
        teacher = _teacher()
        place = layout.single_layout(4, n_hidden, 4)
        _, network = place.zeros()
        place.put(network, 0, student_matrices(fm.random_student(n_hidden, teacher, scale=0.5, seed=0)))
        rule = kernel_rule(fm.bptt())
        inputs = np.random.default_rng(0).standard_normal((50, 4, batch))
        kind = ("final", "sequence").index(loss)
        work = sampled.work_space(network, rule, carrier(fm.bptt(), place, []), n_hidden, 50, batch, kind)
        targets = teacher_outputs(teacher, inputs, loss)
        self.arguments = network, rule, inputs, targets, float(batch), work, place.zeros()[1]
        sampled.sampled_update(*self.arguments)

    def time_update(self, size, loss):
        sampled.sampled_update(*self.arguments)
