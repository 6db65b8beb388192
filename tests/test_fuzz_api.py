"""Random calls of every public function: a result of the right type, or a refusal that names the parameter."""

import inspect
import re
import signal
import threading
import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from fuzzing import PLAN, TEACHER, calls, hostile, names_of, networks_flow, public, training

import fastmodes as fm

ORDINARY, ALL, TOGETHER = 60, 3000, 30
#: Seconds that a call may take; compiling is done by the valid calls before.
LIMIT = 30
REFUSALS = (TypeError, ValueError, OSError, MemoryError)
#: Where a refusal may come from: the package, not what it calls.
HOMES = [Path(inspect.getfile(fm)).parent, Path(inspect.getfile(fm.analysis)).parent]
#: NaN is their answer where no learning rate learns.
_NAN_MEANS = ("unit_rate", "update_moments", "mode_moments", "loss_after_step")
#: They sum numbers of both signs, which may leave the range.
_DIFFERENCES = (
    "expected_update", "expected_updates", "sampled_update", "coloured_update", "impulse_expectation", "mode_update",
    "mode_jacobian", "impulse_covariance",
)  # fmt: skip


#: Words of status and kind that say why there is no number.
_NO_NUMBER = {
    "flow": ("left_domain", "step_limit"), "discrete_map": ("left_domain",), "stability": ("not_representable",),
    "train": ("diverged",), "matrix_flow": ("left_domain", "step_limit"),
}  # fmt: skip


class TooLongError(BaseException):
    """Not an Exception: nothing in between may swallow it."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    data = training()
    fm.write_netcdf(data, folder / "runs.nc")
    fm.write_network(TEACHER, folder / "network.nc")
    fm.sweep(PLAN, folder / "sweep", progress=False)
    return calls(folder, data, networks_flow())


def limited(function, arguments):
    def stop(*_):
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    try:
        return function(**arguments)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def shown(arguments, changed):
    parts = []
    for name in changed:
        value = arguments[name]
        kind = f" [{value.dtype}, {value.shape}]" if isinstance(value, np.ndarray) else ""
        parts.append(f"{name}={' '.join(repr(value).split())[:150]}{kind}")
    return ", ".join(parts)


def silent_nan(result, overflowing=False):
    """A part of an update, of modes or of a map that is NaN although nothing says that it diverged.

    Entries of updates may be differences of infinities where ``overflowing`` numbers were handed over.
    """
    if overflowing:
        return False
    if isinstance(result, fm.Update):
        return np.isfinite(result.loss).all() and any(np.isnan(part).any() for part in result[1:])
    if isinstance(result, fm.Modes | np.ndarray | xr.DataArray | float):
        parts = result if isinstance(result, fm.Modes) else [result]
        return any(
            np.isnan(np.asarray(part, dtype=float)).any() for part in parts if np.asarray(part).dtype.kind == "f"
        )
    return False


def unexplained_nan(name, dataset):
    """The variables of a result that are NaN where neither status nor kind says why.

    Estimates say themselves why they are missing, in an attribute.
    """
    said = dataset["kind" if "kind" in dataset else "status"]
    meanings = said.attrs["flag_meanings"].split()
    explained = said.isin([meanings.index(word) for word in _NO_NUMBER[name]])
    numbers = [v for v in (*dataset.data_vars, *dataset.coords) if dataset[v].dtype.kind == "f"]
    return [v for v in numbers if "comment" not in dataset[v].attrs and (dataset[v].isnull() & ~explained).any()]


def spoil(base, number):
    """One or two parameters of a valid call, replaced."""
    rng = np.random.default_rng([number, 3])
    functions = public()
    name = sorted(functions)[rng.integers(len(functions))]
    function, arguments = functions[name], dict(base[name])
    possible = [
        p.name for p in inspect.signature(function).parameters.values()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name != "progress"
    ]  # fmt: skip
    changed = [str(p) for p in rng.permutation(possible)[: 1 + (rng.random() < 0.3)]]
    for parameter in changed:
        arguments[parameter] = hostile(arguments.get(parameter), rng)
    return name, function, arguments, changed


def check(base, number):
    name, function, arguments, changed = spoil(base, number)
    told = f"call {number}: {name}({shown(arguments, changed)})"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = limited(function, arguments)
        except REFUSALS as error:
            if isinstance(error, Warning):
                return f"{told}: a warning, {error!r}"
            last = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
            if not any(home in last.parents for home in HOMES):
                return f"{told}: raised in {last.name}, {type(error).__name__}: {error}"
            if not any(word in str(error) for word in names_of(function, arguments)):
                return f"{told}: names no parameter, {type(error).__name__}: {error}"
            return None
        except TooLongError:
            return f"{told}: took more than {LIMIT} s"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return f"{told}: {type(error).__name__}: {error}"
    if name in _NO_NUMBER and (without := unexplained_nan(name, result)):
        return f"{told}: NaN in {without}, which status does not explain"
    overflowing = name in _DIFFERENCES and re.search(r"e\+[123]\d\d", told) is not None
    if name not in _NAN_MEANS and silent_nan(result, overflowing):
        return f"{told}: NaN, {result!r}"
    return None


def run(base, numbers, folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert threading.current_thread() is threading.main_thread()
    faults = [fault for number in numbers if (fault := check(base, number))]
    assert not faults, "\n".join(faults)


def test_every_public_function_has_a_valid_call(base):
    assert set(base) == set(public())


@pytest.mark.parametrize("name", sorted(public()))
def test_the_valid_calls_are_valid(base, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name in ("claims", "learning_rate_limits"):
        with pytest.raises(ValueError, match=r"datasets must|eigenvalues must"):
            public()[name](**base[name])
    else:
        public()[name](**base[name])


@pytest.mark.parametrize("start", range(0, ORDINARY, TOGETHER))
def test_spoiled_calls(base, start, tmp_path, monkeypatch):
    run(base, range(start, start + TOGETHER), tmp_path, monkeypatch)


@pytest.mark.fuzz
@pytest.mark.parametrize("start", range(ORDINARY, ALL, TOGETHER))
def test_spoiled_calls_at_length(base, start, tmp_path, monkeypatch):
    run(base, range(start, start + TOGETHER), tmp_path, monkeypatch)
