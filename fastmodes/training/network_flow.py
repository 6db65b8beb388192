"""Learning of whole unaligned networks as a flow: no sampling noise, no number of steps (beyond the paper)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..files.schema import annotate, flag_attributes
from ..kernels.flow import networks as kernels
from ..modes.rated import check_followed, recorded_rates
from ..networks.leaky import check_leak, flow_rates
from ..networks.network import LinearRNN, check_network
from ..networks.teacher_modes import mode_coordinates, teacher_modes
from ..parallel import check_threads, run_blocks
from ..progress import progress_bar
from ..renamed import renamed
from ..rule_codes import unit_decay
from ..rules import LearningRule, at_leak, check_rules, rule_table
from ..validation import check_array, check_integer, check_memory, check_number
from . import settings as jobs
from .estimates import ALIGNMENTS, MODE_VARIABLES, explain_missing
from .network_flow_runs import Task
from .parameters import check_parameters
from .results import OWN_FEEDBACK
from .snapshots import WEIGHTS
from .surroundings import flow_surroundings, recorded_surroundings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..updates.coloured import InputFilter
    from .parameters import Rules, Seeds

_SPECTRA = ("eigenvalue_real", "eigenvalue_imag", "singular_value")


@renamed(most_steps="step_limit")
def matrix_flow(
    rules: Rules,
    teacher: LinearRNN,
    *,
    seeds: Seeds,
    times: ArrayLike,
    hidden: int | None = None,
    students: LinearRNN | Sequence[LinearRNN] | None = None,
    feedbacks: ArrayLike | Sequence[ArrayLike] | None = None,
    init_scale: float = 0.1,
    feedback_scale: float = 1.0,
    leak: float = 1.0,
    rates: float | Mapping[str, float] | None = None,
    input_covariance: ArrayLike | None = None,
    colour: InputFilter | float | Mapping[str, ArrayLike] | None = None,
    private_noise: float = 0.0,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    settled: float = 1e-7,
    step_limit: int = 100_000,
    keep_weights: bool = False,
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Flow of learning of whole networks in the limit of infinitely many steps: d theta / ds = -Delta theta.

    This is learning by exact expected updates at a learning rate that goes to zero: s is the number of epochs times the
    learning rate. Nothing is sampled, and nothing depends on a number of time steps or a step of learning. Every
    network is integrated alone, explicitly (Dormand and Prince 5(4)), with its own steps: results do not depend on
    threads or company.

    Parameters
    ----------
    rules : LearningRule or str, or sequence of them
        With distinct names.
    teacher : LinearRNN
        Spectral radius below 1.
    seeds : int or sequence of int
        A count, 8 meaning the seeds 0 to 7, or the seeds themselves, distinct and not negative. The same seed gives
        every rule the same student and the same R, those of :func:`fastmodes.train`.
    times : array (time,)
        Flow times to record, not negative, increasing.
    hidden : int, optional
        Hidden units of the students; needed unless ``students`` are given.
    students : LinearRNN or sequence of them, optional
        Initial student of all seeds, or of each, instead of random ones.
    feedbacks : array (n_out, n_hidden) or sequence of them, optional
        R of all seeds, or of each, instead of random ones; left unread by rules without random feedback.
    init_scale, feedback_scale : float
        Standard deviations times ``sqrt(hidden)`` of the initial weights and of R.
    leak : float
        0 < leak <= 1, of the students' units (theory section 10): integrated are A, W_e = (1 - leak) I + leak W and
        B_e = leak B, of which tolerances, losses, estimates and the spectral radius are; weights are the students' own.
    rates : number or mapping, optional
        Rates of "readout", "recurrent" and "input", which multiply the three updates; 0 freezes.
    input_covariance, colour, private_noise
        Statistics of the input and noise of the hidden units, as for :func:`fastmodes.train`.
    rtol, atol : float
        Tolerances of a step, relative and absolute, root mean square over a network's weights.
    settled : float
        A network none of whose weights moves faster than this, on average over 128 steps, has converged and stops.
        0: never.
    step_limit : int
        Largest number of steps of the integrator for a network. Teachers near the unit circle make the flow stiff.
    keep_weights : bool
        Keep A, W, B at every recorded time, not only at the end.
    threads : int, optional
        Default: all cores granted to the process.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    xarray.Dataset
        Dims ``rule, seed, time, mode, unit``. ``status``: reached_end; converged (the last values are repeated);
        left_domain (the spectral radius of W, or of the propagator times W, reached one, where the loss diverges: later
        values are NaN); step_limit (NaN, too). ``final_*_weights`` hold the last state whatever the status,
        ``time_reached`` its time. Where a rule makes or moves an R of its own, ``final_feedback_weights`` and, kept
        with the weights, ``learned_feedback_weights`` hold R of every rule, NaN where it reads none.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, before anything is computed.
    """
    rules = check_rules(rules)
    check_network("teacher", teacher)
    jobs.check_stable_teacher(teacher)
    seeds = jobs.check_seeds(seeds)
    students = jobs.given_students(students)
    hidden = jobs.check_hidden(hidden, students)
    times = _check_times(times)
    weights = hidden * (teacher.n_out + hidden + teacher.n_in)
    check_memory(
        8.0 * len(rules) * len(seeds) * len(times) * weights, "record fewer times",
        times=len(times), hidden=hidden, rules=len(rules), seeds=len(seeds),
    )  # fmt: skip
    scales = check_parameters({"init_scale": init_scale, "feedback_scale": feedback_scale})
    control = kernels.Control(
        check_number("rtol", rtol, 1e-14, 1.0), check_number("atol", atol, above=0.0),
        check_number("settled", settled, 0.0), check_integer("step_limit", step_limit),
    )  # fmt: skip
    given = ["random" if students is None else "given", "random" if feedbacks is None else "given"]
    leak = check_leak(leak)
    rules = tuple(at_leak(rule, leak) for rule in rules)
    speeds = flow_rates(rates, leak)
    surroundings = flow_surroundings(teacher, leak, input_covariance, colour, private_noise)
    check_followed(rules, speeds)
    students = jobs.check_students(students, teacher, hidden, seeds, scales["init_scale"])
    feedbacks = jobs.check_feedbacks(feedbacks, rules, students, seeds, scales["feedback_scale"])
    check_parameters({"keep_weights": keep_weights, "progress": progress})
    threads = check_threads(threads)
    for rule in rules:
        unit_decay(rule, hidden)

    runs = [(rule, seed) for rule in range(len(rules)) for seed in range(len(seeds))]
    with progress_bar(len(runs), "flows", progress) as bar:
        drive = surroundings.expected(teacher.n_in, np.inf)
        task = Task(rules, teacher, students, feedbacks, times, control, leak, speeds, drive)
        found = run_blocks(task, runs, threads, on_done=lambda _: bar.update(1))
    configuration = {
        "command": "matrix_flow", "rules": [rule_table(rule) for rule in rules],
        "teacher": {f.name: getattr(teacher, f.name).tolist() for f in dataclasses.fields(teacher)},
        "hidden": hidden, "seeds": seeds, "times": times, "students": given[0], "feedbacks": given[1],
        **scales, "rtol": rtol, "atol": atol, "settled": settled, "step_limit": step_limit,
    }  # fmt: skip
    configuration |= recorded_rates(rates, leak) | recorded_surroundings(input_covariance, colour, private_noise)
    return _dataset(rules, teacher, seeds, times, students, feedbacks, found, keep_weights, configuration)


def _check_times(times: ArrayLike) -> NDArray[np.float64]:
    checked: NDArray[np.float64] = check_array("times", np.atleast_1d(times), (None,), dims=("time",))
    if checked[0] < 0 or (np.diff(checked) <= 0).any():
        raise ValueError(f"times must be >= 0 and increasing; got {checked[:8]}")
    return checked


def _dataset(
    rules: tuple[LearningRule, ...],
    teacher: LinearRNN,
    seeds: tuple[int, ...],
    times: NDArray[np.float64],
    students: Sequence[LinearRNN],
    feedbacks: Sequence[NDArray[np.float64]],
    found: list[dict[str, Any]],
    keep_weights: bool,
    configuration: dict[str, Any],
) -> xr.Dataset:
    shape = (len(rules), len(seeds))

    def stack(values: Sequence[Any]) -> NDArray[Any]:
        arrays = [np.asarray(value) for value in values]
        return np.stack(arrays).reshape(*shape, *arrays[0].shape)

    variables: dict[str, Any] = {"status": (("rule", "seed"), stack([run["status"] for run in found]).astype(np.int8))}
    variables["integration_steps"] = (("rule", "seed"), stack([run["integration_steps"] for run in found]))
    for name in ("time_reached", "spectral_radius"):
        variables[name] = (("rule", "seed"), stack([run[name] for run in found]))
    variables["loss"] = (("rule", "seed", "time"), stack([run["loss"] for run in found]))
    dims: tuple[str, ...]
    for names, dims in (((*MODE_VARIABLES, "mode_is_complex"), ("mode",)), (ALIGNMENTS, ()), (_SPECTRA, ("unit",))):
        for name in names:
            variables[name] = (("rule", "seed", "time", *dims), stack([run["estimates"][name] for run in found]))
    for part, (name, dims) in enumerate(WEIGHTS.items()):
        field = ("readout", "recurrent", "input")[part]
        variables[f"final_{name}"] = (("rule", "seed", *dims), stack([getattr(run["final"], field) for run in found]))
        if keep_weights:
            variables[name] = (("rule", "seed", "time", *dims), stack([run["history"][part] for run in found]))
    variables["feedback_weights"] = (("seed", "output", "unit"), np.stack(feedbacks))
    if any(rule.feedback in OWN_FEEDBACK for rule in rules):
        nothing = np.full(feedbacks[0].shape, np.nan)
        last = [nothing if run["final_feedback"] is None else run["final_feedback"] for run in found]
        variables["final_feedback_weights"] = (("rule", "seed", "output", "unit"), stack(last))
        if keep_weights:
            shape_ = (len(times), *nothing.shape)
            past = [np.broadcast_to(nothing if run["learned"] is None else run["learned"], shape_) for run in found]
            variables["learned_feedback_weights"] = (("rule", "seed", "time", "output", "unit"), stack(past))
    coordinates = {
        "rule": ("rule", [rule.name for rule in rules]),
        "seed": ("seed", np.array(seeds, dtype=np.int64)),
        "time": ("time", times),
        **mode_coordinates(teacher_modes(teacher)),
        "unit": ("unit", np.arange(students[0].n_hidden)),
    }
    dataset = xr.Dataset(variables, coords=coordinates)
    dataset["status"].attrs = flag_attributes(kernels.STATUSES)
    explain_missing(dataset, teacher_modes(teacher))
    dataset["mode_is_complex"].attrs = flag_attributes(("real", "complex"))
    return annotate(
        dataset, title="Flow of learning of whole networks, infinitely many time steps", configuration=configuration,
        seeds=seeds,
    )  # fmt: skip
