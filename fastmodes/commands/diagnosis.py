"""Self-check of an installation: what ``fastmodes doctor`` prints."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files.netcdf import read_netcdf, write_netcdf
from ..files.schema import versions
from ..kernels.code_cache import cache_folder, cache_problem, sealed
from ..networks.network import LinearRNN
from ..networks.random import random_feedback, random_student
from ..parallel import thread_count
from ..presets import four_mode_teacher
from ..rules import bptt, eprop, rflo, tbptt
from ..training.estimates import alignment
from ..updates.one import expected_update
from ..updates.sampled import sampled_update

#: Largest accepted relative difference of two exact computations.
_TOLERANCE = 1e-12
_STEPS = 6


def diagnose() -> Iterator[tuple[str, str, bool]]:
    """Yield (what, finding, whether it is as it should be) for every check."""
    for name, version in versions().items():
        yield name, version, True
    yield "threads", f"{thread_count()} of {os.cpu_count()} processors", True
    yield _checked("compiled code", _compiled_code)
    yield _checked("writing netCDF", _write_and_read)
    yield _checked("kernels", _kernels_agree)


def _checked(name: str, check: Callable[[], str]) -> tuple[str, str, bool]:
    try:
        return name, check(), True
    except Exception as error:
        return name, f"{type(error).__name__}: {error}", False


def _compiled_code() -> str:
    """The folder of compiled code, which others must not be able to write to."""
    folder, problem = cache_folder(), cache_problem()
    if folder is None:
        raise PermissionError(f"not kept: {problem}")
    files = sorted(folder.glob("*.nb[ci]"))
    damaged = sum(not sealed(path) for path in files)
    notes = [f"{damaged} of {len(files)} files damaged, compiled anew when needed"] if damaged else []
    return "; ".join([str(folder), *notes, *([f"new code is not kept: {problem}"] if problem else [])])


def _write_and_read() -> str:
    teacher = four_mode_teacher()
    dataset = alignment(random_student(4, teacher, scale=0.5, seed=0), teacher)
    with tempfile.TemporaryDirectory() as folder:
        if not read_netcdf(write_netcdf(dataset, Path(folder) / "check.nc")).identical(dataset):
            raise ValueError("a dataset read back differs from the one written")
    return "a dataset written and read back is identical"


def _kernels_agree() -> str:
    """Expected and sampled updates against sums in plain NumPy, every rule, both layouts of memory."""
    teacher, worst = four_mode_teacher(), 0.0
    impulses = np.eye(_STEPS * teacher.n_in).reshape(-1, _STEPS, teacher.n_in)
    for hidden in (3, 16):
        student = random_student(hidden, teacher, scale=0.7, seed=1)
        w, r = student.recurrent, random_feedback(student, scale=1.0, seed=1)
        for rule, feedback, propagator, horizon in (
            (bptt(), None, w, _STEPS),
            (tbptt(2), None, w, 2),
            (rflo(0.5), r, 0.5 * np.eye(hidden), _STEPS),
            (eprop(), r, np.diag(np.diagonal(w)), _STEPS),
        ):
            wanted = _plain_update(student, teacher, student.readout if feedback is None else r, propagator, horizon)
            expected = expected_update(rule, student, teacher, _STEPS, feedback=feedback)
            summed = sampled_update(rule, student, teacher, impulses, feedback=feedback, average=False)
            for found in (expected, summed):
                for one, other in zip(found, wanted, strict=True):
                    worst = max(worst, float(np.max(np.abs(one - other)) / np.max(np.abs(other))))
    if not worst <= _TOLERANCE:
        raise ArithmeticError(f"updates differ from sums in plain NumPy by {worst:.2g}, more than {_TOLERANCE:g}")
    return f"expected and sampled updates agree with sums in plain NumPy to {worst:.1e}"


def _plain_update(
    student: LinearRNN, teacher: LinearRNN, feedback: NDArray[np.float64], propagator: NDArray[np.float64], horizon: int
) -> tuple[Any, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(loss, Delta A, Delta W, Delta B) term by term (theory section 3), using nothing of the package."""
    a, w, b = student.readout, student.recurrent, student.input
    powers = [np.linalg.matrix_power(w, k) for k in range(_STEPS)]
    teacher_powers = [np.linalg.matrix_power(teacher.recurrent, k) for k in range(_STEPS)]
    pairs = zip(powers, teacher_powers, strict=True)
    errors = [a @ x @ b - teacher.readout @ y @ teacher.input for x, y in pairs]
    change_w, change_b = np.zeros_like(w), np.zeros_like(b)
    for j in range(horizon):
        credit = np.linalg.matrix_power(propagator.T, j) @ feedback.T
        change_b += credit @ errors[j]
        for k in range(j + 1, _STEPS):
            change_w += credit @ errors[k] @ b.T @ powers[k - 1 - j].T
    change_a = sum(m @ b.T @ x.T for m, x in zip(errors, powers, strict=True))
    return sum(np.sum(m * m) for m in errors) / 2, change_a, change_w, change_b
