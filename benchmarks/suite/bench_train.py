"""Time and memory of training, and what the package costs before it computes: import and compilation."""

import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np

import fastmodes as fm

RULES = {"BPTT": fm.bptt(), "tBPTT(1)": fm.tbptt(1), "RFLO": fm.rflo(0.5), "e-prop": fm.eprop()}
SIZES = (4, 16, 64)
BATCH_SIZES = {4: 32, 16: 64, 64: 64}
STEPS = {"expected": 100, "sampled": 50}


def four_modes():
    """The teacher: n_in = n_out = 4, recurrent eigenvalues 0.9, 0.7, 0.5, 0.3."""
    return fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0))


def train(rules, updates, hidden, seeds, epochs):
    """Train ``seeds`` networks for ``epochs`` updates, recorded at the first and the last."""
    return fm.train(
        rules, four_modes(), hidden=hidden, seeds=range(seeds), epochs=epochs, record_every=epochs,
        learning_rate=0.002, init_scale=0.1, steps=STEPS[updates], updates=updates,
        batch_size=BATCH_SIZES[hidden] if updates == "sampled" else None, progress=False,
    )  # fmt: skip


def printed_seconds(code, **environment):
    """What a fresh Python process prints, as seconds."""
    output = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, check=True, capture_output=True, text=True
    ).stdout
    return float(output.split()[-1])


class Training:
    """16 networks, BPTT."""

    params = (("expected", "sampled"), SIZES)
    param_names = ("updates", "hidden")
    timeout = 300

    def setup(self, updates, hidden):
        """Compile."""
        self.epochs = 6400 // hidden**2 * (4 if updates == "expected" else 1)
        train(fm.bptt(), updates, hidden, seeds=16, epochs=1)

    def time_train(self, updates, hidden):
        """From random weights to the finished dataset."""
        train(fm.bptt(), updates, hidden, seeds=16, epochs=self.epochs)

    def peakmem_train(self, updates, hidden):
        """Peak memory of the process."""
        train(fm.bptt(), updates, hidden, seeds=16, epochs=self.epochs)


class Update:
    """One update of one network, every rule."""

    params = (tuple(RULES), SIZES)
    param_names = ("rule", "hidden")
    timeout = 300

    def setup(self, name, hidden):
        """Draw the networks and the inputs; compile."""
        rng = np.random.default_rng(0)
        self.rule, self.teacher = RULES[name], four_modes()
        self.student = fm.random_student(hidden, self.teacher, scale=0.5, seed=0)
        random = self.rule.feedback == "random"
        self.feedback = fm.random_feedback(self.student, scale=1.0, seed=0) if random else None
        self.inputs = rng.standard_normal((BATCH_SIZES[hidden], STEPS["sampled"], self.teacher.n_in))
        self.time_expected_update(name, hidden)
        self.time_sampled_update(name, hidden)

    def time_expected_update(self, name, hidden):
        """T = 100."""
        fm.expected_update(self.rule, self.student, self.teacher, STEPS["expected"], feedback=self.feedback)

    def time_sampled_update(self, name, hidden):
        """T = 50, a batch of 32 or 64 sequences."""
        fm.sampled_update(self.rule, self.student, self.teacher, self.inputs, feedback=self.feedback)


class Import:
    """What ``import fastmodes`` adds to importing numba and xarray."""

    timeout = 120

    def track_import_time(self):
        """Median of five fresh processes."""
        code = (
            "import time, numba, xarray; begin = time.perf_counter(); import fastmodes; "
            "print(time.perf_counter() - begin)"
        )
        return statistics.median(printed_seconds(code) for _ in range(5))

    track_import_time.unit = "s"


class Compilation:
    """First and second process that train with all four rules."""

    params = ("expected", "sampled")
    param_names = ("updates",)
    timeout = 300

    CODE = (
        "import sys, time; sys.path.insert(0, {folder!r}); from bench_train import RULES, train; "
        "rules = list(RULES.values()); begin = time.perf_counter(); "
        "train(rules, {updates!r}, 4, seeds=1, epochs=1); middle = time.perf_counter(); "
        "train(rules, {updates!r}, 4, seeds=1, epochs=1); "
        "print(2 * middle - begin - time.perf_counter())"
    )

    def setup(self, updates):
        """An empty cache of compiled code."""
        self.folder = tempfile.TemporaryDirectory()
        self.code = self.CODE.format(folder=os.path.dirname(os.path.abspath(__file__)), updates=updates)

    def teardown(self, updates):
        """Remove the cache."""
        self.folder.cleanup()

    def track_compile_time(self, updates):
        """Seconds by which the first call is longer than the second, nothing being compiled yet."""
        return printed_seconds(self.code, FASTMODES_CACHE_DIR=self.folder.name)

    def track_load_time(self, updates):
        """The same in a second process, which finds the compiled code on disk."""
        printed_seconds(self.code, FASTMODES_CACHE_DIR=self.folder.name)
        return printed_seconds(self.code, FASTMODES_CACHE_DIR=self.folder.name)

    track_compile_time.unit = track_load_time.unit = "s"
