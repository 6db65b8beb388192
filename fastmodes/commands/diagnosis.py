"""Self-check of an installation: what ``fastmodes doctor`` prints."""

import os
import tempfile
from pathlib import Path

import numpy as np

from ..files.netcdf import read_netcdf, write_netcdf
from ..files.schema import versions
from ..kernels.compile import cache_folder
from ..networks.network import random_feedback, random_student
from ..parallel import thread_count
from ..presets import four_mode_teacher
from ..rules import bptt, eprop, rflo, tbptt
from ..training.estimates import alignment
from ..updates.impulses import impulse_expectation
from ..updates.one import expected_update, sampled_update

#: Largest accepted relative difference of two exact computations.
_TOLERANCE = 1e-12


def diagnose():
    """Yield (what, finding, whether it is as it should be) for every check."""
    for name, version in versions().items():
        yield name, version, True
    yield "threads", f"{thread_count()} of {os.cpu_count()} processors", True
    folder = cache_folder()
    yield "compiled code", str(folder or "not kept: no writable cache folder"), folder is not None
    yield _checked("writing netCDF", _write_and_read)
    yield _checked("kernels", _kernels_agree)


def _checked(name, check):
    try:
        return name, check(), True
    except Exception as error:
        return name, f"{type(error).__name__}: {error}", False


def _write_and_read():
    teacher = four_mode_teacher()
    dataset = alignment(random_student(4, teacher, scale=0.5, seed=0), teacher)
    with tempfile.TemporaryDirectory() as folder:
        if not read_netcdf(write_netcdf(dataset, Path(folder) / "check.nc")).identical(dataset):
            raise ValueError("a dataset read back differs from the one written")
    return "a dataset written and read back is identical"


def _kernels_agree():
    """Expected updates against the exact expectation of sampled ones, every rule, both layouts of memory."""
    teacher, steps, worst = four_mode_teacher(), 6, 0.0
    for hidden in (3, 16):
        student = random_student(hidden, teacher, scale=0.7, seed=1)
        for rule in (bptt(), tbptt(2), rflo(0.5), eprop()):
            feedback = random_feedback(student, scale=1.0, seed=1) if rule.reads_feedback else None
            exact = expected_update(rule, student, teacher, steps, feedback=feedback)
            summed = impulse_expectation(
                lambda inputs, rule=rule, student=student, feedback=feedback: sampled_update(
                    rule, student, teacher, inputs, feedback=feedback
                ),
                steps,
                teacher.n_in,
            )
            for one, other in zip(exact, summed, strict=True):
                worst = max(worst, float(np.max(np.abs(one - other)) / np.max(np.abs(other))))
    if not worst <= _TOLERANCE:
        raise ArithmeticError(f"expected and sampled updates differ by {worst:.2g}, more than {_TOLERANCE:g}")
    return f"expected and sampled updates agree to {worst:.1e}"
