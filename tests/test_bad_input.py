"""Bad input: every public function refuses it before computing, naming the parameter, the value and what is allowed."""

import itertools
import math
import os
import re
import time
import tracemalloc

import numpy as np
import pytest
import xarray as xr
from fastmodes.kernels.training import loop as training
from fastmodes.kernels.updates import online, sampled
from fastmodes.kernels.updates import recursion as expected

import fastmodes as fm
from fastmodes import validation
from fastmodes.training import results, runs

TEACHER = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
STUDENT = fm.random_student(3, TEACHER, scale=0.5, seed=0)
WIDE = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0), n_out=5)
SKEW = fm.LinearRNN(np.eye(2), [[0.5, 0.4], [-0.4, 0.5]], np.eye(2))
FEEDBACK = np.ones((2, 3))
INPUTS = np.ones((4, 5, 2))
NAN = float("nan")
COMPLEX = xr.Dataset({"z": ("i", [1j])})
OBJECTS = xr.Dataset({"z": ("i", np.array([{}, 1]))})


def with_nan(array, place):
    array = np.array(array, dtype=float)
    array[place] = NAN
    return array


def rule(**fields):
    return fm.LearningRule("mine", **fields)


def train(**changes):
    parameters = {
        "rules": fm.bptt(), "teacher": TEACHER, "hidden": 3, "seeds": range(2), "epochs": 5, "learning_rate": 0.01,
        "steps": 6, "progress": False,
    }  # fmt: skip
    return fm.train(**(parameters | changes))


def expected_update(**changes):
    parameters = {"rule": fm.bptt(), "student": STUDENT, "teacher": TEACHER, "steps": 6}
    return fm.expected_update(**(parameters | changes))


def sampled_update(**changes):
    parameters = {"rule": fm.bptt(), "student": STUDENT, "teacher": TEACHER, "inputs": INPUTS}
    return fm.sampled_update(**(parameters | changes))


def never(inputs):
    raise AssertionError("computing has begun")


#: Error, a call, and what the message must hold: the parameter, the offending value or its place, what is allowed.
CASES = {
    # rules
    "empty name": (TypeError, lambda: fm.LearningRule(" "), "name", "' '", "non-empty string"),
    "name is a number": (TypeError, lambda: fm.LearningRule(3), "name", "3", "non-empty string"),
    "unknown feedback": (
        ValueError, lambda: rule(feedback="readuot"), "feedback", "'readuot'", "did you mean 'readout'",
    ),
    "feedback is None": (ValueError, lambda: rule(feedback=None), "feedback", "None", "'readout', 'random'"),
    "unknown propagator": (ValueError, lambda: rule(propagator="W"), "propagator", "'W'", "'recurrent', 'scalar'"),
    "horizon 0": (ValueError, lambda: fm.tbptt(0), "horizon", "0", "from 1 to"),
    "horizon is a float": (TypeError, lambda: fm.tbptt(2.0), "horizon", "2.0", "whole number"),
    "horizon is True": (TypeError, lambda: fm.tbptt(True), "horizon", "True", "whole number"),
    "horizon is NaN": (TypeError, lambda: rule(horizon=NAN), "horizon", "nan", "whole number"),
    "decay is NaN": (ValueError, lambda: fm.rflo(NAN), "decay", "nan", "finite"),
    "decay is infinite": (ValueError, lambda: fm.rflo(-math.inf), "decay", "-inf", "finite"),
    "decay is a string": (TypeError, lambda: fm.rflo("0.5"), "decay", "'0.5'", "real number"),
    "decay is complex": (TypeError, lambda: fm.rflo(0.5j), "decay", "0.5j", "real number"),
    "decay is True": (TypeError, lambda: fm.rflo(True), "decay", "True", "real number"),
    "decay missing": (ValueError, lambda: rule(propagator="scalar"), "decay", "None", "finite real number"),
    "decay superfluous": (ValueError, lambda: rule(decay=0.5), "decay", "0.5", "must be None"),
    "decays missing": (ValueError, lambda: rule(propagator="diagonal"), "decay", "None", "n_hidden numbers"),
    "decays are one": (ValueError, lambda: rule(propagator="diagonal", decay=0.5), "decay", "0.5", "n_hidden numbers"),
    "decays are ragged": (
        TypeError, lambda: rule(propagator="diagonal", decay=[[1], [1, 2]]), "decay", r"\[\[1\], \[1, 2\]\]",
        "real numbers",
    ),
    "decays hold NaN": (
        ValueError, lambda: rule(propagator="diagonal", decay=[0.5, NAN]), "decay", r"nan at index \(1,\)", "finite",
    ),
    "decays too few": (
        ValueError, lambda: expected_update(rule=rule(propagator="diagonal", decay=[0.5])), "decay", "^1$",
        "n_hidden=3",
    ),
    "unknown rule": (ValueError, lambda: fm.parse_rule("bptp"), "rule", "'bptp'", "did you mean 'bptt'"),
    "rule is a number": (ValueError, lambda: fm.parse_rule(3), "rule", "3", "must be bptt"),
    "rule with a bad argument": (
        ValueError, lambda: fm.parse_rule("tbptt(1.5)"), "rule", r"tbptt\(1.5\)", "one number",
    ),
    "rule with an argument too many": (
        ValueError, lambda: fm.parse_rule("bptt(2)"), "rule", r"bptt\(2\)", "no argument",
    ),
    "rule with a decay of NaN": (ValueError, lambda: fm.parse_rule("rflo(nan)"), "decay", "nan", "finite"),
    "unknown field of a rule": (ValueError, lambda: fm.parse_rule("horizn=3"), "field", "'horizn'", "'horizon'"),
    "field of a rule twice": (ValueError, lambda: fm.parse_rule("horizon=1,horizon=2"), "horizon", "twice", "once"),
    "field of a rule no number": (ValueError, lambda: fm.parse_rule("horizon=x"), "horizon", "'x'", "number"),
    # networks
    "recurrent not square": (
        ValueError, lambda: fm.LinearRNN(np.ones((2, 3)), np.ones((3, 2)), np.ones((3, 2))), "recurrent", r"\(3, 2\)",
        "shape",
    ),
    "recurrent is a vector": (
        ValueError, lambda: fm.LinearRNN(np.ones((2, 3)), np.ones(3), np.ones((3, 2))), "recurrent", r"\(3,\)", "shape",
    ),
    "readout does not fit": (
        ValueError, lambda: fm.LinearRNN(np.ones((2, 4)), np.eye(3), np.ones((3, 2))), "readout", r"\(2, 4\)",
        "n_hidden=3",
    ),
    "no units": (
        ValueError, lambda: fm.LinearRNN(np.ones((2, 0)), np.ones((0, 0)), np.ones((0, 2))), "recurrent", r"\(0, 0\)",
        "at least 1",
    ),
    "NaN in the input weights": (
        ValueError, lambda: fm.LinearRNN(np.eye(2), np.eye(2), with_nan(np.eye(2), (1, 0))), "input",
        r"nan at index \(1, 0\)", "finite",
    ),
    "infinite recurrent weight": (
        ValueError, lambda: fm.LinearRNN([[1.0]], [[math.inf]], [[1.0]]), "recurrent", r"inf at index \(0, 0\)",
        "finite",
    ),
    "complex weights": (
        TypeError, lambda: fm.LinearRNN([[1]], [[1j]], [[1]]), "recurrent", "complex128", "real numbers",
    ),
    "weights are objects": (
        TypeError, lambda: fm.LinearRNN([[None]], [[1]], [[1]]), "readout", "object", "real numbers",
    ),
    "weights are strings": (TypeError, lambda: fm.LinearRNN([["1"]], [[1]], [[1]]), "readout", "'1'", "real numbers"),
    "weights are truth values": (
        TypeError, lambda: fm.LinearRNN([[True]], [[1]], [[1]]), "readout", "bool", "real numbers",
    ),
    "weights are ragged": (
        TypeError, lambda: fm.LinearRNN([[1], [1, 2]], [[1]], [[1]]), "readout", r"\[\[1\], \[1, 2\]\]", "real numbers",
    ),
    "weights are masked": (
        ValueError, lambda: fm.LinearRNN([[1]], np.ma.masked_equal([[0.5]], 0.5), [[1]]), "recurrent", "1 masked",
        "finite",
    ),
    "modes are None": (TypeError, lambda: fm.aligned_teacher(None), "modes", "None", "recurrent, readout, input"),
    "modes are two": (
        TypeError, lambda: fm.aligned_teacher((0.5, 1)), "modes", r"\(0.5, 1\)", "recurrent, readout, input",
    ),
    "modes do not broadcast": (
        ValueError, lambda: fm.aligned_teacher(fm.Modes([1, 2], [1, 2, 3], 1)), "modes", r"\(2,\), \(3,\)", "broadcast",
    ),
    "no modes": (ValueError, lambda: fm.aligned_teacher(fm.Modes([], [], [])), "modes", r"\(0,\)", "at least one"),
    "modes are ragged": (
        TypeError, lambda: fm.aligned_teacher(fm.Modes([[1], [1, 2]], 1, 1)), r"modes\.recurrent", r"\[\[1\]",
        "real numbers",
    ),
    "mode is NaN": (
        ValueError, lambda: fm.aligned_teacher(fm.Modes([0.5, NAN], 1, 1)), r"modes\.recurrent", r"index \(1,\)",
        "finite",
    ),
    "too few outputs": (
        ValueError, lambda: fm.aligned_teacher(fm.Modes([0.5, 0.2], 1, 1), n_out=1), "n_out", "^1$", "from 2 to",
    ),
    "absurd outputs": (
        ValueError, lambda: fm.aligned_teacher(fm.Modes(0.5, 1, 1), n_out=10**9), "n_out", "1000000000", "memory",
    ),
    "unknown basis": (
        ValueError, lambda: fm.aligned_teacher(fm.Modes(0.5, 1, 1), basis="randon"), "basis", "'randon'", "'random'",
    ),
    "random basis without seed": (
        ValueError, lambda: fm.aligned_teacher(fm.Modes(0.5, 1, 1), basis="random"), "seed", "None", ">= 0",
    ),
    "seed is a float": (
        TypeError, lambda: fm.aligned_teacher(fm.Modes(0.5, 1, 1), basis="random", seed=1.5), "seed", "1.5",
        "whole number",
    ),
    "too many modes": (
        ValueError, lambda: fm.aligned_student(TEACHER, fm.Modes([1, 2, 3], 1, 1)), "modes", "^3$", "at most",
    ),
    "teacher is not aligned": (
        ValueError, lambda: fm.aligned_student(SKEW, fm.Modes(0.5, 1, 1)), "teacher", "not", "mode-aligned",
    ),
    "teacher is an array": (
        TypeError, lambda: fm.aligned_student(np.eye(2), fm.Modes(0.5, 1, 1)), "teacher", "ndarray", "LinearRNN",
    ),
    "no hidden units": (ValueError, lambda: fm.random_student(0, TEACHER, scale=1, seed=0), "hidden", "0", "from 1 to"),
    "hidden is a float": (
        TypeError, lambda: fm.random_student(3.0, TEACHER, scale=1, seed=0), "hidden", "3.0", "whole",
    ),
    "absurd hidden": (
        ValueError, lambda: fm.random_student(10**12, TEACHER, scale=1, seed=0), "hidden", "10{12}", "from 1",
    ),
    "hidden beyond memory": (
        ValueError, lambda: fm.random_student(100_000, TEACHER, scale=1, seed=0), "hidden", "100000", "memory",
    ),
    "negative scale": (ValueError, lambda: fm.random_student(3, TEACHER, scale=-1, seed=0), "scale", "-1", ">= 0"),
    "scale is None": (
        TypeError, lambda: fm.random_student(3, TEACHER, scale=None, seed=0), "scale", "None", "real number",
    ),
    "scale overflows": (
        ValueError, lambda: fm.random_student(3, TEACHER, scale=1e308, seed=0), "scale", "1e.308", "<= 1e.100",
    ),
    "negative seed": (ValueError, lambda: fm.random_student(3, TEACHER, scale=1, seed=-1), "seed", "-1", "from 0"),
    "seed is None": (
        TypeError, lambda: fm.random_student(3, TEACHER, scale=1, seed=None), "seed", "None", "whole number",
    ),
    "aligned is a string": (
        TypeError, lambda: fm.random_feedback(STUDENT, scale=1, seed=0, aligned="no"), "aligned", "'no'",
        "True or False",
    ),
    "feedback of nothing": (
        TypeError, lambda: fm.random_feedback(None, scale=1, seed=0), "student", "None", "LinearRNN",
    ),
    "aligned feedback of an unaligned student": (
        ValueError, lambda: fm.random_feedback(SKEW, scale=1, seed=0, aligned=True), "student", "not", "mode-aligned",
    ),
    # updates
    "rule is a misspelt text": (
        ValueError, lambda: expected_update(rule="bptp"), "rule", "'bptp'", "did you mean 'bptt'",
    ),
    "rule is a number, updated": (TypeError, lambda: expected_update(rule=3), "rule", "3", "LearningRule"),
    "student is a tuple": (TypeError, lambda: expected_update(student=(1, 2, 3)), "student", "tuple", "LinearRNN"),
    "outputs differ": (ValueError, lambda: expected_update(teacher=WIDE), "student", "n_out=2", "n_out=5"),
    "steps 0": (ValueError, lambda: expected_update(steps=0), "steps", "0", "from 1"),
    "steps negative": (ValueError, lambda: expected_update(steps=-3), "steps", "-3", "from 1"),
    "steps NaN": (TypeError, lambda: expected_update(steps=NAN), "steps", "nan", "whole number"),
    "steps is a float": (TypeError, lambda: expected_update(steps=5.0), "steps", "5.0", "whole number"),
    "absurd steps": (ValueError, lambda: expected_update(steps=10**15), "steps", "10{15}", "from 1"),
    "unknown loss": (ValueError, lambda: expected_update(loss="finale"), "loss", "'finale'", "did you mean 'final'"),
    "feedback missing": (
        ValueError, lambda: expected_update(rule=fm.eprop()), "feedback", "None", r"n_out=2, n_hidden=3",
    ),
    "feedback unread but of the wrong shape": (
        ValueError, lambda: expected_update(feedback=FEEDBACK.T), "feedback", r"\(3, 2\)", "n_out=2, n_hidden=3",
    ),
    "feedback transposed": (
        ValueError, lambda: expected_update(rule=fm.eprop(), feedback=FEEDBACK.T), "feedback", r"\(3, 2\)",
        "n_out=2, n_hidden=3",
    ),
    "feedback holds NaN": (
        ValueError, lambda: sampled_update(rule=fm.eprop(), feedback=with_nan(FEEDBACK, (0, 2))), "feedback",
        r"nan at index \(0, 2\)", "finite",
    ),
    "covariance of the wrong size": (
        ValueError, lambda: expected_update(input_covariance=np.eye(3)), "input_covariance", r"\(3, 3\)", "n_in=2",
    ),
    "covariance not symmetric": (
        ValueError, lambda: expected_update(input_covariance=[[1, 0.5], [0, 1]]), "input_covariance", "0.5 at index",
        "symmetric",
    ),
    "covariance indefinite": (
        ValueError, lambda: expected_update(input_covariance=[[1, 2], [2, 1]]), "input_covariance", "eigenvalue -1",
        "semidefinite",
    ),
    "inputs of one sequence": (
        ValueError, lambda: sampled_update(inputs=INPUTS[0]), "inputs", r"\(5, 2\)", "sample, time, input=2",
    ),
    "no sequences": (ValueError, lambda: sampled_update(inputs=INPUTS[:0]), "inputs", r"\(0, 5, 2\)", "at least 1"),
    "no time": (ValueError, lambda: sampled_update(inputs=INPUTS[:, :0]), "inputs", r"\(4, 0, 2\)", "at least 1"),
    "wrong channels": (
        ValueError, lambda: sampled_update(inputs=np.ones((4, 5, 3))), "inputs", r"\(4, 5, 3\)", "input=2",
    ),
    "inputs hold infinity": (
        ValueError, lambda: sampled_update(inputs=INPUTS / with_nan(INPUTS, (1, 2, 0))), "inputs", r"index \(1, 2, 0\)",
        "finite",
    ),
    "inputs are complex": (
        TypeError, lambda: sampled_update(inputs=INPUTS * 1j), "inputs", "complex128", "real numbers",
    ),
    "unknown form": (ValueError, lambda: sampled_update(form="on-line"), "form", "'on-line'", "'online'"),
    "truncated online": (
        ValueError, lambda: sampled_update(rule=fm.tbptt(2), form="online"), "form", "'online'", "'backward'",
    ),
    "average is a string": (TypeError, lambda: sampled_update(average="no"), "average", "'no'", "True or False"),
    "update is no function": (TypeError, lambda: fm.impulse_expectation(3, 5, 2), "update", "3", "callable"),
    "expectation over no steps": (ValueError, lambda: fm.impulse_expectation(never, 0, 2), "steps", "0", "from 1"),
    "expectation for ever": (ValueError, lambda: fm.impulse_expectation(never, math.inf, 2), "steps", "inf", "finite"),
    "expectation over no inputs": (ValueError, lambda: fm.impulse_expectation(never, 5, 0), "n_in", "0", "from 1"),
    "absurd expectation": (
        ValueError, lambda: fm.impulse_expectation(never, 10**9, 10**9), "steps, n_in", "10{9}", "memory",
    ),
    "expectation with a wrong covariance": (
        ValueError, lambda: fm.impulse_expectation(never, 5, 2, np.eye(7)), "input_covariance", r"\(7, 7\)", "10",
    ),
    "update returns a number": (
        TypeError, lambda: fm.impulse_expectation(lambda x: 1.0, 5, 2), "update", "1.0", "tuple",
    ),
    # training
    "no rules": (ValueError, lambda: train(rules=[]), "rules", "none", "at least one"),
    "rules are a misspelt text": (ValueError, lambda: train(rules="bptp"), "rule", "'bptp'", "did you mean 'bptt'"),
    "rules are None": (TypeError, lambda: train(rules=None), "rules", "None", "LearningRule"),
    "rules hold a number": (TypeError, lambda: train(rules=[fm.bptt(), 3]), "rule", "3", "LearningRule"),
    "rules share a name": (
        ValueError, lambda: train(rules=[fm.rflo(0.1), "rflo(0.1)"]), "rules", r"'RFLO\(0.1\)'", "distinct",
    ),
    "teacher is None": (TypeError, lambda: train(teacher=None), "teacher", "None", "LinearRNN"),
    "hidden 0": (ValueError, lambda: train(hidden=0), "hidden", "0", "from 1"),
    "hidden is a string": (TypeError, lambda: train(hidden="4"), "hidden", "'4'", "whole number"),
    "hidden beyond memory, trained": (ValueError, lambda: train(hidden=100_000), "hidden", "100000", "memory"),
    "no seeds": (ValueError, lambda: train(seeds=[]), "seeds", "none", "from 1 to"),
    "seeds are None": (TypeError, lambda: train(seeds=None), "seeds", "None", "sequence"),
    "seeds are a fraction": (TypeError, lambda: train(seeds=1.5), "seeds", "1.5", "whole numbers"),
    "seeds are True": (TypeError, lambda: train(seeds=True), "seeds", "True", "whole number"),
    "seeds are negative": (ValueError, lambda: train(seeds=[0, -2]), "seeds", "-2", "from 0"),
    "seeds are floats": (TypeError, lambda: train(seeds=np.arange(3.0)), "seeds", "0.0", "whole number"),
    "seeds twice": (ValueError, lambda: train(seeds=[3, 1, 3]), "seeds", "3 more than once", "distinct"),
    "absurd seeds": (ValueError, lambda: train(seeds=range(10**12)), "seeds", r"range\(0, 10{12}\)", "from 1 to"),
    "endless seeds": (ValueError, lambda: train(seeds=itertools.count()), "seeds", "count", "from 1 to"),
    "no epochs": (ValueError, lambda: train(epochs=0), "epochs", "0", "from 1"),
    "absurd epochs": (ValueError, lambda: train(epochs=10**9, record_every=1), "epochs", "10{9}", "memory"),
    "learning rate 0": (ValueError, lambda: train(learning_rate=0), "learning_rate", "0", "> 0"),
    "learning rate negative": (ValueError, lambda: train(learning_rate=-0.1), "learning_rate", "-0.1", "> 0"),
    "learning rate NaN": (ValueError, lambda: train(learning_rate=NAN), "learning_rate", "nan", "finite"),
    "learning rates too many": (
        ValueError, lambda: train(learning_rate=np.ones(3)), "learning_rate", "3", "one number for each",
    ),
    "steps infinite": (ValueError, lambda: train(steps=math.inf), "steps", "inf", "finite"),
    "steps 0, trained": (ValueError, lambda: train(steps=0), "steps", "0", "from 1"),
    "unknown updates": (ValueError, lambda: train(updates="exact"), "updates", "'exact'", "'sampled', 'expected'"),
    "batch 0": (ValueError, lambda: train(batch_size=0), "batch_size", "0", "from 1"),
    "batch is a float": (TypeError, lambda: train(batch_size=32.0), "batch_size", "32.0", "whole number"),
    "absurd batch": (ValueError, lambda: train(batch_size=10**7, steps=10**5), "batch_size", "10{7}", "memory"),
    "batch superfluous": (
        ValueError, lambda: train(updates="expected", batch_size=8), "batch_size", "8", "must be None",
    ),
    "unknown optimiser": (ValueError, lambda: train(optimizer="adamw"), "optimizer", "'adamw'", "did you mean 'adam'"),
    "clip 0": (ValueError, lambda: train(clip_norm=0), "clip_norm", "0", "> 0"),
    "unknown loss, trained": (ValueError, lambda: train(loss=2), "loss", "2", "'final', 'sequence'"),
    "init scale negative": (ValueError, lambda: train(init_scale=-1), "init_scale", "-1", ">= 0"),
    "feedback scale infinite": (ValueError, lambda: train(feedback_scale=math.inf), "feedback_scale", "inf", "finite"),
    "record never": (ValueError, lambda: train(record_every=0), "record_every", "0", "from 1"),
    "stop loss negative": (ValueError, lambda: train(stop_loss=-1.0), "stop_loss", "-1.0", ">= 0"),
    "divergence loss 0": (ValueError, lambda: train(divergence_loss=0.0), "divergence_loss", "0.0", "> 0"),
    "no validation": (ValueError, lambda: train(validation_size=0), "validation_size", "0", "from 1"),
    "Adam with one beta": (TypeError, lambda: train(adam_betas=0.9), "adam_betas", "0.9", "two numbers"),
    "Adam with beta 1": (ValueError, lambda: train(adam_betas=(0.9, 1.0)), "adam_betas", "1.0", "< 1"),
    "Adam without epsilon": (ValueError, lambda: train(adam_epsilon=0.0), "adam_epsilon", "0.0", "> 0"),
    "students too few": (ValueError, lambda: train(students=[STUDENT]), "students", "^1$", "each of the 2 seeds"),
    "students are a number": (TypeError, lambda: train(students=3), "students", "3", "sequence"),
    "neither hidden nor students": (TypeError, lambda: train(hidden=None), "hidden", "None", "unless students"),
    "no seeds, as a number": (ValueError, lambda: train(seeds=0), "seeds", "0", r"one seed: \[8\]"),
    "absurd seeds, as a number": (ValueError, lambda: train(seeds=10**12), "seeds", "10{12}", "count from 1"),
    "students are arrays": (TypeError, lambda: train(students=[np.eye(3)] * 2), "students", "ndarray", "LinearRNN"),
    "students of another size": (ValueError, lambda: train(students=[TEACHER] * 2), "students", "with 2", "hidden=3"),
    "feedbacks without a reader, of the wrong shape": (
        ValueError, lambda: train(feedbacks=[FEEDBACK.T] * 2), "feedback", r"\(3, 2\)", "n_out=2",
    ),
    "feedbacks too many": (
        ValueError, lambda: train(rules=fm.eprop(), feedbacks=[FEEDBACK] * 3), "feedbacks", "^3$",
        "each of the 2 seeds",
    ),
    "feedbacks of the wrong shape": (
        ValueError, lambda: train(rules=fm.eprop(), feedbacks=[FEEDBACK.T] * 2), "feedback", r"\(3, 2\)", "n_out=2",
    ),
    "keep weights is a number": (TypeError, lambda: train(keep_weights=1), "keep_weights", "1", "True or False"),
    "no threads": (ValueError, lambda: train(threads=0), "threads", "0", "from 1"),
    "progress is a string": (TypeError, lambda: train(progress="yes"), "progress", "'yes'", "True or False"),
    # estimates
    "modes of an array": (TypeError, lambda: fm.estimate_modes(np.eye(2), TEACHER), "student", "ndarray", "LinearRNN"),
    "modes against another task": (
        ValueError, lambda: fm.estimate_modes(STUDENT, WIDE), "student", "n_out=2", "n_out=5",
    ),
    "modes with a wrong feedback": (
        ValueError, lambda: fm.estimate_modes(STUDENT, TEACHER, feedback=np.eye(2)), "feedback", r"\(2, 2\)",
        "n_hidden=3",
    ),
    "alignment with nothing": (TypeError, lambda: fm.alignment(STUDENT, None), "teacher", "None", "LinearRNN"),
    # files
    "dataset is a dict": (TypeError, lambda: fm.write_netcdf({}, "x.nc"), "dataset", "dict", "Dataset"),
    "path is a number": (TypeError, lambda: fm.write_netcdf(xr.Dataset(), 3), "path", "3", "local file path"),
    "path is bytes": (TypeError, lambda: fm.write_netcdf(xr.Dataset(), b"x.nc"), "path", "x.nc", "local file path"),
    "path is empty": (ValueError, lambda: fm.write_netcdf(xr.Dataset(), ""), "path", "''", "not empty"),
    "path is a URL": (
        ValueError, lambda: fm.write_netcdf(xr.Dataset(), "https://a.org/x.nc"), "path", "https", "local",
    ),
    "path is a disguised URL": (ValueError, lambda: fm.read_netcdf("dap4:x"), "path", "dap4:x", "local"),
    "path is a folder": (ValueError, lambda: fm.write_netcdf(xr.Dataset(), os.sep), "path", "folder", "path of a file"),
    "path is a device": (
        ValueError, lambda: fm.write_netcdf(xr.Dataset(), os.devnull), "path", "device", "path of a file",
    ),
    "path is too long": (
        ValueError, lambda: fm.write_netcdf(xr.Dataset(), "x" * 300), "path", "xxx", "at most 255 bytes",
    ),
    "path in no folder": (
        OSError, lambda: fm.write_netcdf(xr.Dataset(), "no/such/x.nc"), "path", "no/such", "existing folder",
    ),
    "nothing to read": (OSError, lambda: fm.read_netcdf("nothing.nc"), "path", "nothing.nc", "must be a file"),
    "reading a folder": (OSError, lambda: fm.read_netcdf("."), "path", "folder", "path of a file"),
    "dataset with a truth value": (
        TypeError, lambda: fm.write_netcdf(xr.Dataset(attrs={"flag": True}), "x.nc"), "flag", "True", "number",
    ),
    "dataset with None": (
        TypeError, lambda: fm.write_netcdf(xr.Dataset(attrs={"flag": None}), "x.nc"), "flag", "None", "number",
    ),
    "dataset with complex numbers": (
        TypeError, lambda: fm.write_netcdf(COMPLEX, "x.nc"), "z", "complex128",
        "real and imaginary",
    ),
    "dataset with objects": (
        TypeError, lambda: fm.write_netcdf(OBJECTS, "x.nc"), "z", "object",
        "numbers",
    ),
}  # fmt: skip


def test_there_are_many_kinds():
    assert len(CASES) >= 60


@pytest.fixture(autouse=True)
def nothing_computes(monkeypatch, tmp_path):
    """No kernel may run, no results be allocated."""

    def refuse(*args, **kwargs):
        raise AssertionError("computing has begun")

    monkeypatch.chdir(tmp_path)
    # The same on a machine with any memory.
    monkeypatch.setattr(validation, "memory_size", lambda: 4e9)
    monkeypatch.setattr(expected, "expected_update", refuse)
    monkeypatch.setattr(online, "online_update", refuse)
    for name in ("sampled_update", "outputs", "batch_loss"):
        monkeypatch.setattr(sampled, name, refuse)
    for name in ("train_expected", "train_sampled", "teacher_targets"):
        monkeypatch.setattr(training, name, refuse)
    monkeypatch.setattr(runs, "_LossOn", refuse)
    monkeypatch.setattr(results.Results, "__init__", refuse)


@pytest.mark.parametrize("kind", CASES)
def test_refused_at_once_in_plain_words(kind, tmp_path):
    error, call, parameter, value, allowed = CASES[kind]
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(error) as caught:
        call()
    elapsed = time.process_time() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    message = str(caught.value)
    must, _, got = message.rpartition("got ") if "; got " in message else (message, "", message)
    assert re.search(rf"\b{parameter}\b", must), (parameter, message)
    assert re.search(zeros(value), got), (value, message)
    assert re.search(zeros(allowed), message), (allowed, message)
    assert "\n" not in message
    assert len(message) < 400
    assert elapsed < 2
    assert peak < 100e6
    assert not list(tmp_path.iterdir())


def zeros(pattern):
    """``10{9}`` in a pattern stands for 1 followed by nine zeros."""
    return re.sub(r"10\{(\d+)\}", lambda match: "1" + "0" * int(match[1]), pattern)


def test_a_function_that_changes_its_mind():
    answers = itertools.cycle([(1.0,), (1.0, 2.0)])
    with pytest.raises(ValueError, match=r"update must .* one length; got 1, then 2"):
        fm.impulse_expectation(lambda inputs: next(answers), 2, 1)
