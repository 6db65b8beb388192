"""Task switches: students that learn one teacher after another, their loss on all of them recorded throughout."""

from __future__ import annotations

import dataclasses
import inspect
import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..files.schema import annotate
from ..networks.network import LinearRNN, check_network
from ..parallel import check_threads
from ..progress import progress_bar
from ..rules import LearningRule, bptt
from ..streams import random_stream
from ..updates.loss import error_loss
from ..updates.many import expected_updates
from ..updates.sampled import sampled_update
from ..validation import check_choice, check_flag, check_integer, check_sequence
from .parameters import TRAIN
from .quality import NOT_FINITE, QUALITY
from .results import OWN_FEEDBACK, STATUS, divergence_sentence
from .sequences import Sequences
from .settings import Job, check_job
from .snapshots import WEIGHTS, feedback_at, networks_of
from .train import train

if TYPE_CHECKING:
    from ..typing import AnyArray, BoolArray, FloatArray, Rules, Seeds

_DIVERGED = STATUS.index("diverged")
#: Tasks, and phases, at most.
_MOST = 1000
#: What is kept of every phase; modes belong to one teacher, and can be estimated of any network.
_KEPT = (
    "loss", "validation_loss", "status", "epochs_made", "eigenvalue_real", "eigenvalue_imag", "singular_value",
    "change_eigenvalue_real", "change_eigenvalue_imag", "change_singular_value", "training_loss",
)  # fmt: skip
#: Parameters of train that are this function's own.
_OWN = ("rules", "teacher", "seeds", "epochs", "steps", "keep_weights", "progress")


@dataclasses.dataclass(frozen=True)
class _Tasks:
    """What is trained, checked."""

    rules: tuple[LearningRule, ...]
    teachers: tuple[LinearRNN, ...]
    order: tuple[int, ...]
    job: Job
    settings: dict[str, Any]

    def of_rule(self, place: int) -> dict[str, Any]:
        """Arguments of :func:`train` for one rule: rates labelled by rule are its own."""
        rate = self.settings.get("learning_rate")
        if isinstance(rate, Mapping):
            rate = {name: _of_rule(value, place, self.rules) for name, value in rate.items()}
        return self.settings | {"learning_rate": _of_rule(rate, place, self.rules)}


def _of_rule(rate: Any, place: int, rules: Sequence[LearningRule]) -> Any:
    """The rates of one rule: by its label where there are labels, by its place otherwise."""
    if not isinstance(rate, xr.DataArray) or rate.sizes.get("rule", 1) == 1:
        return rate
    return rate.sel(rule=[rules[place].name]) if "rule" in rate.indexes else rate.isel(rule=[place])


def train_tasks(
    rules: Rules,
    teachers: Sequence[LinearRNN],
    *,
    seeds: Seeds,
    epochs: int,
    steps: float,
    order: Sequence[int] | None = None,
    keep_weights: bool = False,
    progress: bool = True,
    **settings: Any,
) -> xr.Dataset:
    """Train students on several teachers in a row, every phase beginning with the weights at which the last ended.

    Each phase is a call of :func:`train` with its own optimiser and schedule from the start, the same seeds (so that
    sampled phases see the same input sequences again) and the same R, or the R learned so far. A seed gives every rule
    the same first student.

    Parameters
    ----------
    rules : LearningRule or str, or sequence of them
        With distinct names.
    teachers : sequence of LinearRNN
        The tasks; with the same inputs and outputs, of any size.
    seeds : int or sequence of int
        As for :func:`train`.
    epochs : int
        Parameter updates of each phase.
    steps : int or math.inf
        T.
    order : sequence of int, optional
        Which task each phase trains; default: each once, as they are given. ``[0, 1, 0]`` comes back to the first.
    keep_weights : bool
        Keep A, W, B at every record, and R.
    progress : bool
        Show progress on stderr.
    settings : keywords
        Further keywords of :func:`train`: ``hidden``, ``learning_rate``, ``updates``, ...

    Returns
    -------
    xarray.Dataset
        On ``rule, seed, phase, epoch``, the epochs of each phase counted from 0: losses and spectra as in
        :func:`train`, changes those since the phase began. Also ``task_loss`` (.., task), the exact expected loss on
        every task at every record (of nonlinear units that on ``validation_size`` sequences of each seed), and
        ``whole_change_singular_value`` (.., unit), of the change of W since the first phase began. A run that diverges
        has no values in later phases. Modes belong to one teacher and are left out: :func:`estimate_modes` of
        :func:`network_at`.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, of any phase, before anything is computed.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teachers = [fm.rotating_teacher(0.8, angle) for angle in (0.3, 1.0)]
    >>> runs = fm.train_tasks(["bptt", "rflo"], teachers, hidden=4, seeds=2, epochs=20, steps=5, updates="expected",
    ...                       learning_rate=0.1, progress=False)
    >>> dict(runs.task_loss.sizes)
    {'rule': 2, 'seed': 2, 'phase': 2, 'epoch': 21, 'task': 2}
    """
    own = {"seeds": seeds, "epochs": epochs, "steps": steps}
    tasks = _check_tasks(rules, teachers, order, own, settings)
    keep_weights = check_flag("keep_weights", keep_weights)
    with progress_bar(len(tasks.rules) * len(tasks.order), "phases", check_flag("progress", progress)) as bar:
        found = [_run_rule(tasks, place, keep_weights, bar) for place in range(len(tasks.rules))]
    dataset = _joined(found, "rule")
    dataset = dataset.assign_coords(
        rule=[rule.name for rule in tasks.rules],
        phase=np.arange(len(tasks.order)),
        task=np.arange(len(tasks.teachers)),
        phase_task=("phase", np.array(tasks.order)),
    )
    dataset = dataset.transpose("rule", "seed", "phase", "epoch", ...)
    dataset.attrs = {}
    annotate(
        dataset, title="Learning of several tasks in a row", configuration=_configuration(tasks), seeds=tasks.job.seeds
    )
    if progress and (sentence := divergence_sentence(dataset.isel(phase=-1))):
        print(sentence, file=sys.stderr, flush=True)
    return dataset


def _check_tasks(
    rules: Rules,
    teachers: Sequence[LinearRNN],
    order: Sequence[int] | None,
    own: dict[str, Any],
    settings: dict[str, Any],
) -> _Tasks:
    if isinstance(teachers, LinearRNN):
        raise TypeError("teachers must be a sequence of fastmodes.LinearRNN; got one network")
    listed = [check_network("teachers", one) for one in check_sequence("teachers", teachers, "networks", _MOST)]
    phases = range(len(listed)) if order is None else check_sequence("order", order, "numbers of tasks", _MOST)
    checked = tuple(check_integer("order", task, 0, len(listed) - 1) for task in phases)
    known = tuple(name for name in TRAIN if name not in _OWN)
    for name in settings:
        if name in ("checkpoint", "checkpoint_every") and settings[name] is not None:
            raise ValueError(f"{name} must be left out: every phase is a training of its own, and a file holds but one")
        check_choice("settings", name, known)
    for size in ("n_in", "n_out"):
        for place, teacher in enumerate(listed):
            if getattr(teacher, size) != getattr(listed[0], size):
                raise ValueError(
                    f"teachers must have one {size}; got {getattr(listed[0], size)} of the first and "
                    f"{getattr(teacher, size)} of number {place}"
                )
    defaults = {
        name: None if parameter.default is parameter.empty else parameter.default
        for name, parameter in inspect.signature(train).parameters.items()
    }
    given = defaults | settings | own | {"rules": rules, "keep_weights": True}
    jobs = [check_job(given | {"teacher": teacher}) for teacher in listed]
    around = jobs[0].surroundings
    if not around.white or around.private:
        raise ValueError(
            "input_covariance, colour and private_noise must be left out for several tasks, whose losses are those of "
            f"white input; got {[settings.get(name) for name in ('input_covariance', 'colour', 'private_noise')]}"
        )
    if isinstance(jobs[0].data, Sequences):
        raise ValueError("data must be a number of sequences, which each teacher draws; got sequences of one task")
    return _Tasks(jobs[0].rules, tuple(listed), checked, jobs[0], settings | own)


def _configuration(tasks: _Tasks) -> dict[str, Any]:
    stored = {name: value for name, value in tasks.job.configuration.items() if name != "teacher"}
    matrices = [{f.name: getattr(t, f.name).tolist() for f in dataclasses.fields(t)} for t in tasks.teachers]
    return {"command": "train_tasks", "teachers": matrices, "order": list(tasks.order)} | stored


def _run_rule(tasks: _Tasks, place: int, keep_weights: bool, bar: Any) -> xr.Dataset:
    """All phases of one rule, on (seed, phase, ..)."""
    given, rule = tasks.of_rule(place), tasks.rules[place]
    alive = np.ones(len(tasks.job.seeds), dtype=bool)
    first: tuple[list[Any], list[Any]] | None = None
    phases = []
    for task in tasks.order:
        runs = train(rule, tasks.teachers[task], keep_weights=True, progress=False, **given).isel(rule=0, drop=True)
        networks = networks_of(runs).transpose("seed", "epoch").values
        if first is None:
            first = list(networks[:, 0]), [feedback_at(runs, seed=seed, epoch=0) for seed in tasks.job.seeds]
        phases.append(_phase(tasks, runs, networks, first[0], alive))
        if keep_weights:
            _keep_weights(tasks, runs, tasks.rules[place], phases[-1])
        alive = alive & np.array([network is not None for network in networks[:, -1]])
        last = list(networks[:, -1]), _last_feedbacks(tasks, runs, first[1], alive)
        # A run that has diverged goes on in the place of its seed only to be left out.
        students, feedbacks = (
            [now if here else then for here, now, then in zip(alive, later, before, strict=True)]
            for later, before in zip(last, first, strict=True)
        )
        given = given | {"students": students, "feedbacks": feedbacks, "hidden": None}
        # Its R was made with the first student, and stays.
        rule = dataclasses.replace(rule, feedback="random", cosine=None) if rule.feedback == "partly_aligned" else rule
        bar.update(1)
    return _joined(phases, "phase")


def _last_feedbacks(tasks: _Tasks, runs: xr.Dataset, first: list[Any], alive: BoolArray) -> list[Any]:
    """R of every seed at the end of a phase."""
    seeds = zip(tasks.job.seeds, first, alive, strict=True)
    return [feedback_at(runs, seed=seed) if here else then for seed, then, here in seeds]


def _joined(parts: list[xr.Dataset], dim: str) -> xr.Dataset:
    """Datasets side by side along a new dim; the R of the seeds is one for all of them."""
    same = ["feedback_weights"] if "feedback_weights" in parts[0] else []
    together = xr.concat(
        [part.drop_vars(same) for part in parts], dim, data_vars="all", coords="minimal", compat="override",
        join="exact", combine_attrs="override",
    )  # fmt: skip
    return together.assign({name: parts[0][name] for name in same})


def _phase(tasks: _Tasks, runs: xr.Dataset, networks: AnyArray, students: list[Any], alive: BoolArray) -> xr.Dataset:
    """What is kept of one phase of one rule; nothing of runs that have diverged before."""
    phase = runs[[name for name in runs if name in (*_KEPT, *QUALITY) or str(name).startswith("alignment_")]]
    phase = phase.drop_vars([name for name in phase.coords if name not in ("seed", "epoch", "unit", "matrix")])
    start = np.stack([student.recurrent for student in students])
    change = runs["recurrent_weights"].transpose("seed", "epoch", ...).values - start[:, np.newaxis]
    finite = np.isfinite(change).all((2, 3))[..., np.newaxis]
    singular = np.linalg.svd(np.where(finite[..., np.newaxis], change, 0.0), compute_uv=False)
    phase["whole_change_singular_value"] = ("seed", "epoch", "unit"), np.where(finite, singular, np.nan)
    phase["task_loss"] = ("seed", "epoch", "task"), _task_losses(tasks, networks)
    here = xr.DataArray(alive, dims="seed")
    for name, variable in phase.data_vars.items():
        if variable.dtype.kind == "f":
            phase[name] = variable.where(here).transpose(*variable.dims)
    phase["status"] = phase["status"].where(here, np.int8(_DIVERGED)).assign_attrs(phase["status"].attrs)
    phase["epochs_made"] = phase["epochs_made"].where(here, 0)
    if "quality_status" in phase:
        said = phase["quality_status"]
        phase["quality_status"] = said.where(here, np.int8(NOT_FINITE)).transpose(*said.dims).assign_attrs(said.attrs)
    return phase


def _keep_weights(tasks: _Tasks, runs: xr.Dataset, rule: LearningRule, phase: xr.Dataset) -> None:
    """Put the weights of a phase beside what is kept of it, and R where a rule has one of its own."""
    here = phase["task_loss"].isel(task=0).notnull()
    for name in WEIGHTS:
        phase[name] = runs[name].where(here).transpose(*runs[name].dims)
    phase["feedback_weights"] = runs["feedback_weights"]
    if any(one.feedback in OWN_FEEDBACK for one in tasks.rules):
        learned = runs.get("learned_feedback_weights", runs["feedback_weights"])
        learned = learned.where(here & (rule.feedback in OWN_FEEDBACK))
        phase["learned_feedback_weights"] = learned.transpose("seed", "epoch", "output", "unit")


def _task_losses(tasks: _Tasks, networks: AnyArray) -> FloatArray:
    """Loss of every network (seed, epoch) on every task, (seed, epoch, task); NaN where there is no network."""
    out = np.full((*networks.shape, len(tasks.teachers)), np.nan)
    job, units = tasks.job, tasks.job.plasticity.units
    for place, seed in enumerate(job.seeds):
        there = np.array([network is not None for network in networks[place]])
        students = list(networks[place, there])
        for task, teacher in enumerate(tasks.teachers if students else ()):
            if not units.linear:
                losses = _measured(tasks, students, teacher, seed)
            elif job.steps == math.inf:
                losses = [error_loss(student.leaky(units.leak), teacher, math.inf) for student in students]
            else:
                running = [student.leaky(units.leak) for student in students]
                threads = check_threads(tasks.settings.get("threads"))
                losses = expected_updates(bptt(), running, teacher, job.steps, loss=job.loss, threads=threads).loss
            out[place, there, task] = losses
    return out


def _measured(tasks: _Tasks, students: list[LinearRNN], teacher: LinearRNN, seed: int) -> list[float]:
    """Losses of nonlinear students on the sequences held out for a seed."""
    job, units = tasks.job, tasks.job.plasticity.units
    inputs = random_stream(seed, "validation").standard_normal((job.validation_size, job.steps, teacher.n_in))
    kind: Any = {"loss": job.loss, "nonlinearity": units.nonlinearity, "leak": units.leak}
    return [sampled_update(bptt(), student, teacher, inputs, **kind).loss for student in students]
