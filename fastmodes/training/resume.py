"""Go on with runs where a dataset left them: the same bits as if they had never been interrupted."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..learning_rule import LearningRule
from ..networks.network import LinearRNN
from ..validation import check_integer
from .checkpoints import check_checkpoint
from .left import Resumed, history_shapes, split
from .parameters import TRAIN
from .plasticity import MATRICES
from .results import CHECKPOINT
from .settings import Job, check_job
from .snapshots import WEIGHTS
from .train import run_job

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..files.paths import PathLike
    from .parameters import TrainingData

#: What a run has at a record whatever comes later.
_OF_A_RECORD = ("loss", "validation_loss", "training_loss", *WEIGHTS, "learned_feedback_weights")


def resumed_job(runs: xr.Dataset, epochs: int | None, data: TrainingData | None) -> Job:
    """The job of a dataset with more epochs, and its runs as they were left.

    Raises
    ------
    TypeError, ValueError
        If the dataset is no training with kept weights, or does not fit to what is asked.
    """
    if not isinstance(runs, xr.Dataset):
        raise TypeError(f"runs must be a dataset of fastmodes.train; got {type(runs).__name__}")
    stored = json.loads(runs.attrs.get("configuration", "{}"))
    if stored.get("command") == "train_tasks":
        raise ValueError(
            "runs must be of fastmodes.train; in those of train_tasks every phase is a training of its own, whose "
            "moments and random streams are not kept. Train the phases again in one call"
        )
    if stored.get("command") != "train" or "resume_state" not in runs:
        raise ValueError("runs must be a dataset of fastmodes.train(..., keep_weights=True); it has no resume_state")
    epochs = _check_epochs(runs, epochs, stored)
    if isinstance(stored["data"], dict) and data is None:
        raise ValueError("data must be given again: the sequences themselves are not stored")
    if data is not None and not isinstance(stored["data"], dict):
        raise ValueError("data must be None: the runs did not learn from given sequences")
    job = check_job(_given(stored) | {"epochs": epochs} | ({} if data is None else {"data": data}))
    names = [rule.name for rule in job.rules]
    if runs["rule"].values.tolist() != names or runs["seed"].values.tolist() != list(job.seeds):
        raise ValueError(f"runs must hold all rules and seeds of the training, in order: {names} and {list(job.seeds)}")
    configuration = json.loads(json.dumps(job.configuration))
    before = {name: _default(name) for name in configuration} | stored
    changed = [key for key, value in configuration.items() if key != "epochs" and value != before[key]]
    if changed:
        raise ValueError(f"data must be those of the training; {', '.join(changed)} differ")
    places = [(rule, seed) for rule in range(len(job.rules)) for seed in range(len(job.seeds))]
    done = _done(runs, epochs, stored)
    made = {(i, j): {str(name): v.values[i, j] for name, v in runs.data_vars.items() if v.dims[:2] == ("rule", "seed")}
            for i, j in done}  # fmt: skip
    return dataclasses.replace(job, resumed={p: _left(job, runs, *p) for p in places if p not in done}, done=made)


def _done(runs: xr.Dataset, epochs: int, stored: dict[str, Any]) -> set[tuple[int, int]]:
    """Runs of a checkpoint that have made all their epochs.

    Raises
    ------
    ValueError
        If they are to make more, and their weights were not kept.
    """
    if runs.attrs.get("partial") != CHECKPOINT:
        return set()
    over = runs["resume_epoch"].values >= 0
    for place in runs["resume_run"].values.tolist() if "resume_run" in runs else []:
        over.flat[place] = False
    if epochs == stored["epochs"]:
        return {(int(i), int(j)) for i, j in np.argwhere(over)}
    if over.any() and not stored["keep_weights"]:
        raise ValueError(
            f"epochs must be the {stored['epochs']} of the training: some runs have made them, and their weights are "
            f"kept with keep_weights=True alone; got {epochs}"
        )
    return set()


def _check_epochs(runs: xr.Dataset, epochs: int | None, stored: dict[str, Any]) -> int:
    """Epochs to make, from the beginning on.

    Raises
    ------
    TypeError, ValueError
        If the runs have made them, or have no schedule for them.
    """
    if "partial" not in runs.attrs:
        made = int(runs["epoch"][-1])
    else:
        made = int(xr.where(runs["status"] == 0, runs["resume_epoch"], runs["epochs_made"]).max()) - 1
        epochs = stored["epochs"] if epochs is None else epochs
    if epochs is None:
        raise TypeError(f"epochs must be a whole number above the {made} that runs have made; got None")
    epochs = check_integer("epochs", epochs, max(made + 1, 1))
    if stored["schedule"] != "constant" and epochs != stored["epochs"]:
        raise ValueError(
            f"epochs must be {stored['epochs']}, at which the schedule of the learning rate of these runs ends: with "
            f"another number it would have been another from the beginning on; got {epochs}"
        )
    return epochs


def _default(name: str) -> Any:
    """What a dataset was made with that is older than a parameter."""
    return TRAIN[name].default if name in TRAIN else None


def _given(stored: dict[str, Any]) -> dict[str, Any]:
    """What ``train`` was given, from the configuration that it stored."""
    given = {name: stored.get(name, parameter.default) for name, parameter in TRAIN.items() if parameter.stored}
    given |= {"threads": None, "progress": False}
    given["rules"] = [LearningRule(**table) for table in stored["rules"]]
    given["teacher"] = None if stored["teacher"] is None else LinearRNN(**stored["teacher"])
    given["steps"] = math.inf if stored["steps"] == "inf" else stored["steps"]
    given["adam_betas"] = tuple(stored["adam_betas"])
    if stored["students"] is not None:
        given["students"] = [LinearRNN(**matrices) for matrices in stored["students"]]
    if isinstance(stored["learning_rate"], dict):
        rates = {name: xr.DataArray(stored["learning_rate"][name], dims=("rule", "seed")) for name in MATRICES}
        given["learning_rate"] = rates
    return given


def _left(job: Job, runs: xr.Dataset, rule: int, seed: int) -> Resumed | None:
    """One run as it was left; None if it had not begun."""
    run = runs.isel(rule=rule, seed=seed)
    epoch = int(run["resume_epoch"])
    if epoch < 0:
        return None
    known = run.sel(epoch=job.records[job.records < epoch])
    place = rule * len(job.seeds) + seed
    if "resume_run" in runs and place in runs["resume_run"].values:
        kept = known["resume_history"].sel(resume_run=place).values
        kept = kept[np.isfinite(kept).any(axis=1)]
        shapes = history_shapes(job, job.rules[rule])
        return _resumed(run, known, [tuple(split(flat, shapes)[:-1]) for flat in kept], exact=True)
    own = [known[name].values for name in WEIGHTS]
    learned = [known["learned_feedback_weights"].values] if job.rules[rule].learns_feedback else []
    history = list(zip(*job.plasticity.trained_history(own), *learned, strict=True))
    return _resumed(run, known, history, exact=False)


def _resumed(run: xr.Dataset, known: xr.Dataset, history: list[tuple[NDArray[Any], ...]], *, exact: bool) -> Resumed:
    return Resumed(
        epoch=int(run["resume_epoch"]),
        status=int(run["status"]),
        epochs_made=int(run["epochs_made"]),
        loss=float(run["loss"][-1]),
        state=run["resume_state"].values,
        stream=run["resume_stream"].values.view(np.uint64),
        losses=known["loss"].values,
        history=history,
        exact=exact,
    )


def keep_records(dataset: xr.Dataset, runs: xr.Dataset, job: Job) -> None:
    """Take what depends on one record alone from the dataset before, bit for bit."""
    for (rule, seed), left in job.resumed.items():
        if left is None or left.exact:
            continue
        known = job.records[job.records < left.epoch]
        places = np.searchsorted(runs["epoch"].values, known)
        for name in _OF_A_RECORD:
            if name in dataset:
                dataset[name].values[rule, seed, : len(known)] = runs[name].values[rule, seed, places]


def resume(
    runs: xr.Dataset,
    *,
    epochs: int | None = None,
    data: TrainingData | None = None,
    checkpoint: PathLike | None = None,
    checkpoint_every: float = 600.0,
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Go on with the runs of a dataset: the result is that of runs that were never interrupted, in every bit.

    Parameters
    ----------
    runs : xarray.Dataset
        From :func:`train` with ``keep_weights=True``, fresh or read from a file; whole, or what a training that was
        stopped has recorded, see :class:`TrainingInterrupt`; or any checkpoint of :func:`train`.
    epochs : int, optional
        Parameter updates from the beginning on, more than those that ``runs`` have made; default: those that a stopped
        training was to make.
    data : (inputs, targets), optional
        The sequences that were given to :func:`train`, which a dataset does not hold.
    checkpoint : path, optional
    checkpoint_every : float
        As for :func:`train`; the file may be the one that ``runs`` were read from.
    threads : int, optional
    progress : bool

    Returns
    -------
    xarray.Dataset
        As ``train(.., epochs=epochs, record_every=..)`` gives it, with the ``record_every`` of ``runs``. Runs that have
        converged or diverged stay as they are. Estimated modes of leaky students at records before the break may differ
        in their last bit.

    Raises
    ------
    TypeError, ValueError
        If ``runs`` do not hold what is needed, or are to make more epochs than a schedule that is not constant has.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
    >>> first = fm.train("bptt", teacher, hidden=4, seeds=3, epochs=20, steps=5, learning_rate=0.01,
    ...                  record_every=5, keep_weights=True, progress=False)
    >>> fm.resume(first, epochs=40, progress=False).sizes["epoch"]
    9
    """
    job = resumed_job(runs, epochs, data)
    kept = check_checkpoint(checkpoint, checkpoint_every, old=True)
    return run_job(job, threads, progress, kept, lambda dataset: keep_records(dataset, runs, job))
