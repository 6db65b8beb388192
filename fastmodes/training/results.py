"""The dataset of a training job, filled run by run."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..files.schema import VARIABLES, annotate, flag_attributes
from ..networks.teacher_modes import mode_coordinates, teacher_modes
from ..parallel import run_blocks
from .estimates import (
    ALIGNMENTS,
    MATCHES,
    MODE_FLAGS,
    MODE_VARIABLES,
    change_spectra,
    explain_missing,
    history_estimates,
    put_flags,
    spectra,
)
from .noise import streams_of
from .plasticity import MATRICES
from .quality import NOT_FINITE, QUALITY, explain_quality, job_quality
from .snapshots import WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .left import Resumed
    from .runs import Block, Later
    from .settings import Job

STATUS = ("running", "converged", "diverged")

#: What a dataset of nonlinear networks says of itself.
_SAMPLED_ONLY = (
    "Nonlinear units: losses and updates are those of the sampled sequences, nothing is an exact expectation; modes, "
    "spectra and alignments are those of the linear network with the same weights"
)
_WHOLE = ("status", "epochs_made", "resume_stream")
_MODES = (*MODE_VARIABLES, *MODE_FLAGS)
_SPECTRA = ("eigenvalue_real", "eigenvalue_imag", "singular_value")
_CHANGES = ("change_eigenvalue_real", "change_eigenvalue_imag", "change_singular_value")
#: Feedback whose R is not the seed's, or does not stay it.
OWN_FEEDBACK = ("partly_aligned", "kolen_pollack", "mirror")

#: What a run goes on from, see :func:`fastmodes.resume`.
_STATE: dict[str, tuple[str, ...]] = {
    "resume_epoch": ("rule", "seed"),
    "resume_state": ("rule", "seed", "state"),
    "resume_stream": ("rule", "seed", "word"),
}
#: What a checkpoint says of itself.
CHECKPOINT = "checkpoint of a training that goes on: runs end at their last record"


def divergence_sentence(dataset: xr.Dataset) -> str:
    """How many runs of a training dataset diverged, by rule, as one sentence; empty if none did.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`.
    """
    lost = (dataset["status"] == STATUS.index("diverged")).sum("seed").values
    if not lost.any():
        return ""
    runs = dataset.sizes["seed"]
    words = ", ".join(
        f"{name} {count} of {runs}" for name, count in zip(dataset["rule"].values, lost, strict=True) if count
    )
    return f"{lost.sum()} of {lost.size * runs} runs diverged: {words}; their values are NaN from there on."


class Results:
    """Arrays of all variables over (rule, seed, epoch, ...); threads write disjoint parts of them.

    Parameters
    ----------
    job : fastmodes.training.settings.Job
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._teacher = teacher_modes(job.teacher)
        n_out, n_hidden, n_in = job.sizes
        self._lengths = {
            "rule": len(job.rules), "seed": len(job.seeds), "epoch": len(job.records),
            "mode": len(self._teacher.recurrent), "unit": n_hidden, "unit_to": n_hidden, "unit_from": n_hidden,
            "output": n_out, "channel": n_in, "matrix": len(MATRICES),
        }  # fmt: skip
        extra: dict[str, tuple[str, ...]] = {name: () for name in ("loss", "validation_loss")}
        extra |= {"training_loss": ()} if job.data is not None else {}
        extra |= {name: ("unit",) for name in (*_SPECTRA, *_CHANGES)}
        if job.labelled:
            extra |= {name: ("mode",) for name in _MODES} | {name: () for name in ALIGNMENTS}
        extra |= QUALITY if job.gradient_quality else {}
        own = any(rule.feedback in OWN_FEEDBACK for rule in job.rules)
        self._learned = {"learned_feedback_weights": ("output", "unit")} if own and job.keep_weights else {}
        extra |= WEIGHTS | self._learned if job.keep_weights else {}
        self._dims = {name: ("rule", "seed", "epoch", *dims) for name, dims in extra.items()}
        weights = n_hidden * (n_out + n_hidden + n_in)
        learned = n_out * n_hidden if any(rule.learns_feedback for rule in job.rules) else 0
        self._lengths |= {"state": 3 * weights + learned, "word": 4 * streams_of(job), "weight": weights + learned}
        if job.keep_weights:
            self._dims |= _STATE
        self._dims |= {"status": ("rule", "seed"), "epochs_made": ("rule", "seed")}
        self._arrays = {name: self._empty(name, dims) for name, dims in self._dims.items()}
        self._known = np.zeros((len(job.rules), len(job.seeds)), dtype=bool)
        self._keep, self._lock, self._closed = job.keep_weights, threading.Lock(), False
        #: Blocks that are to be begun, and those at work.
        self.waiting: set[Later] = set()
        self.begun: set[Block] = set()
        for where, values in job.done.items():
            for name, array in self._arrays.items():
                array[where] = values[name]
            self._known[where] = True

    def _empty(self, name: str, dims: tuple[str, ...]) -> NDArray[Any]:
        """An array of zeros for a variable."""
        kinds: dict[str, Any] = {"status": np.int8, "epochs_made": np.int64} | dict.fromkeys(MODE_FLAGS, np.int8)
        kinds |= {"resume_epoch": np.int64, "resume_stream": np.int64, "quality_status": np.int8}
        return np.zeros([self._lengths[dim] for dim in dims], dtype=kinds.get(name, float))

    def put(
        self,
        where: tuple[int, int],
        left: Resumed,
        losses: Mapping[str, NDArray[Any]],
        weights: Sequence[NDArray[Any]],
    ) -> None:
        """Store one run: its losses by name and weights (A, W, B, and R where it learns) at every known record.

        Of a run that was stopped fewer are known than were asked for: what has converged repeats the last one.
        """
        job, values = self._job, dict(losses)
        learned = weights[3:]
        readout, recurrent, input_ = job.plasticity.effective(weights[:3])
        feedback = learned[0] if learned else job.feedback(job.rules[where[0]], where[1])
        # The last weights of a diverging run may be so large that their products overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            if job.labelled:
                values |= history_estimates(readout, recurrent, input_, self._teacher, feedback)
            else:
                values |= spectra(recurrent)
            values |= change_spectra(recurrent)
        if self._keep:
            values |= dict(zip(WEIGHTS, job.plasticity.own(weights[:3]), strict=True))
            values |= dict.fromkeys(self._learned, np.asarray(np.nan if feedback is None else feedback))
        if job.gradient_quality:
            values |= job_quality(job, *where, job.plasticity.own(weights[:3]), feedback)
        known, converged = len(recurrent), left.status == STATUS.index("converged")
        made = min(left.epochs_made, int(job.records[known - 1])) if left.status == 0 else left.epochs_made
        with self._lock:
            if self._closed:
                return
            for name, entries in values.items():
                whole = self._arrays[name][where]
                whole[:known] = entries
                whole[known:] = whole[known - 1] if converged else self._blank(name)
            self._arrays["status"][where], self._arrays["epochs_made"][where] = left.status, made
            if self._keep:
                _put_state(self._arrays, where, left)
            self._known[where] = True

    def _blank(self, name: str) -> float:
        """What an array holds where nothing is known."""
        blanks = {"mode_match": MATCHES.index("missing"), "resume_epoch": -1, "quality_status": NOT_FINITE}
        whole = name in blanks or name in _WHOLE or name in MODE_FLAGS
        return blanks.get(name, 0 if whole else np.nan)

    def partial(self) -> xr.Dataset | None:
        """What a job that was stopped has recorded, None if nothing: runs end at their last record, unsaid is NaN."""
        known: list[Block | Later] = [*self.begun, *(later for later in self.waiting if self._job.resumed)]
        run_blocks(lambda block: block.hand_over(self), known)
        with self._lock:
            self._closed = True
        if not self._known.any():
            return None
        for name, array in self._arrays.items():
            array[~self._known] = self._blank(name)
        dataset = self.dataset()
        dataset.attrs["partial"] = "stopped before its end: runs that were still learning end at their last record"
        return dataset

    def checkpoint(self) -> xr.Dataset | None:
        """What the job would go on from, None as long as there is nothing; while it is at work."""
        runs = {place: left for place, left in self._job.resumed.items() if left is not None}
        for block in list(self.begun):
            runs |= block.left()
        # What comes to its end now is among both.
        with self._lock:
            known, arrays = self._known.copy(), {name: array.copy() for name, array in self._arrays.items()}
        runs = {place: left for place, left in runs.items() if not known[place]}
        if not runs and not known.any():
            return None
        arrays |= {name: self._empty(name, dims) for name, dims in _STATE.items() if name not in arrays}
        if not self._keep:
            arrays["resume_epoch"][:] = self._job.epochs
        for name, array in arrays.items():
            array[~known] = self._blank(name)
        history = np.full((len(runs), self._lengths["epoch"], self._lengths["weight"]), np.nan)
        for where, left, records in zip(runs, runs.values(), history, strict=True):
            _put_state(arrays, where, left)
            arrays["status"][where], arrays["epochs_made"][where] = left.status, left.epochs_made
            arrays["loss"][where][: len(left.losses)] = left.losses
            if left.status == STATUS.index("converged"):
                arrays["loss"][where][-1] = left.loss
            for record, matrices in zip(records, left.history, strict=False):
                flat = np.concatenate([matrix.ravel() for matrix in matrices])
                record[: len(flat)] = flat
        dataset = self.dataset({name: ((self._dims | _STATE)[name], array) for name, array in arrays.items()})
        if runs:
            places = [rule * self._lengths["seed"] + seed for rule, seed in runs]
            dataset["resume_history"] = ("resume_run", "epoch", "weight"), history
            dataset = dataset.assign_coords(resume_run=np.array(places))
            for name in ("resume_history", "resume_run"):
                dataset[name].attrs = dict(zip(("long_name", "units"), VARIABLES[name], strict=True))
        return dataset.assign_attrs(partial=CHECKPOINT)

    def dataset(self, variables: dict[str, Any] | None = None) -> xr.Dataset:
        """The labelled dataset, of the variables of all runs unless others are given."""
        job = self._job
        coordinates = {
            "rule": ("rule", [rule.name for rule in job.rules]),
            "seed": ("seed", np.array(job.seeds, dtype=np.int64)),
            "epoch": ("epoch", job.records.astype(np.int64)),
            **(mode_coordinates(self._teacher) if job.labelled else {}),
            "unit": ("unit", np.arange(self._lengths["unit"])),
            **({"matrix": ("matrix", list(MATRICES))} if job.gradient_quality else {}),
        }
        if variables is None:
            variables = {name: (self._dims[name], values) for name, values in self._arrays.items()}
        if job.keep_weights:
            variables["feedback_weights"] = (("seed", "output", "unit"), np.stack(job.feedbacks))
        dataset = xr.Dataset(variables, coords=coordinates)
        dataset["status"].attrs = flag_attributes(STATUS)
        if job.labelled:
            put_flags(dataset)
            explain_missing(dataset, self._teacher)
        if job.gradient_quality:
            explain_quality(dataset)
        units = job.plasticity.units
        kind = "linear" if units.linear else f"{units.nonlinearity} (sampled only)"
        annotate(
            dataset,
            title=f"Learning of a {kind} recurrent network under several rules",
            configuration={"command": "train", **job.configuration},
            seeds=job.seeds,
        )
        if not units.linear:
            dataset.attrs |= {"nonlinearity": units.nonlinearity, "comment": _SAMPLED_ONLY}
        return dataset


def _put_state(arrays: dict[str, NDArray[Any]], where: tuple[int, int], left: Resumed) -> None:
    """Store what one run goes on from."""
    arrays["resume_epoch"][where], arrays["resume_stream"][where] = left.epoch, left.stream.view(np.int64)
    state = arrays["resume_state"][where]
    state[: len(left.state)] = left.state[: len(state)]
