"""The dataset of a training job, filled run by run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..files.schema import annotate, flag_attributes
from ..interrupts import PATIENCE
from ..networks.teacher_modes import mode_coordinates, teacher_modes
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

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .runs import Block
    from .settings import Job

STATUS = ("running", "converged", "diverged")

#: What a dataset of nonlinear networks says of itself.
_SAMPLED_ONLY = (
    "Nonlinear units: losses and updates are those of the sampled sequences, nothing is an exact expectation; modes, "
    "spectra and alignments are those of the linear network with the same weights"
)
_MODES = (*MODE_VARIABLES, *MODE_FLAGS)
_SPECTRA = ("eigenvalue_real", "eigenvalue_imag", "singular_value")
_CHANGES = ("change_eigenvalue_real", "change_eigenvalue_imag", "change_singular_value")
#: Feedback whose R is not the seed's, or does not stay it.
OWN_FEEDBACK = ("partly_aligned", "kolen_pollack", "mirror")
_WEIGHTS = {
    "readout_weights": ("output", "unit"),
    "recurrent_weights": ("unit_to", "unit_from"),
    "input_weights": ("unit", "channel"),
}


#: What a run goes on from, see :func:`fastmodes.resume`.
_STATE: dict[str, tuple[str, ...]] = {"epoch": (), "state": ("state",), "stream": ("word",)}


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
        extra |= _WEIGHTS | self._learned if job.keep_weights else {}
        self._dims = {name: ("rule", "seed", "epoch", *dims) for name, dims in extra.items()}
        if job.keep_weights:
            weights = n_hidden * (n_out + n_hidden + n_in)
            learns = any(rule.learns_feedback for rule in job.rules)
            self._lengths |= {"state": 3 * weights + (n_out * n_hidden if learns else 0), "word": 4 * streams_of(job)}
            self._dims |= {f"resume_{name}": ("rule", "seed", *dims) for name, dims in _STATE.items()}
        self._dims |= {"status": ("rule", "seed"), "epochs_made": ("rule", "seed")}
        kinds: dict[str, Any] = {"status": np.int8, "epochs_made": np.int64} | dict.fromkeys(MODE_FLAGS, np.int8)
        kinds |= {"resume_epoch": np.int64, "resume_stream": np.int64, "quality_status": np.int8}
        self._arrays: dict[str, NDArray[Any]] = {
            name: np.zeros([self._lengths[dim] for dim in dims], dtype=kinds.get(name, float))
            for name, dims in self._dims.items()
        }
        self._known = np.zeros((len(job.rules), len(job.seeds)), dtype=bool)
        #: Blocks that were begun.
        self.begun: list[Block] = []

    def put(
        self,
        rule: int,
        seed: int,
        status: int,
        epochs_made: int,
        losses: Mapping[str, NDArray[Any]],
        weights: Sequence[NDArray[Any]],
    ) -> None:
        """Store one run: its losses by name and weights (A, W, B, and R where it learns) at every recorded epoch."""
        where, arrays = (rule, seed), self._arrays
        learned = weights[3:]
        readout, recurrent, input_ = self._job.plasticity.effective(weights[:3])
        feedback = learned[0] if learned else self._job.feedback(self._job.rules[rule], seed)
        arrays["status"][where], arrays["epochs_made"][where] = status, epochs_made
        for name, values in losses.items():
            arrays[name][where] = values
        # The last weights of a diverging run may be so large that their products overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            if self._job.labelled:
                estimates = history_estimates(readout, recurrent, input_, self._teacher, feedback)
            else:
                estimates = spectra(recurrent)
            estimates |= change_spectra(recurrent)
        for name, values in estimates.items():
            arrays[name][where] = values
        own = self._job.plasticity.own(weights[:3])
        if self._job.gradient_quality:
            for name, values in job_quality(self._job, rule, seed, own, feedback).items():
                arrays[name][where] = values
        if self._job.keep_weights:
            for name, values in zip(_WEIGHTS, own, strict=True):
                arrays[name][where] = values
            for name in self._learned:
                arrays[name][where] = np.nan if feedback is None else feedback
        self._known[where] = True

    def put_state(
        self, rule: int, seed: int, epoch: int, state: NDArray[np.float64], stream: NDArray[np.uint64]
    ) -> None:
        """Store what one run goes on from."""
        where = (rule, seed)
        self._arrays["resume_epoch"][where], self._arrays["resume_stream"][where] = epoch, stream.view(np.int64)
        self._arrays["resume_state"][where][: len(state)] = state

    def partial(self) -> xr.Dataset | None:
        """What a job that was stopped has recorded, None if nothing: runs end at their last record, unsaid is NaN.

        Blocks get a moment to come to rest; what one that does not has recorded is lost.
        """
        deadline = time.monotonic() + PATIENCE
        while any(block.stopped is None for block in self.begun) and time.monotonic() < deadline:
            time.sleep(0.01)
        for block in self.begun:
            if block.stopped:
                block.hand_over(self)
        if not self._known.any():
            return None
        for name, array in self._arrays.items():
            blanks = {"mode_match": MATCHES.index("missing"), "resume_epoch": -1, "quality_status": NOT_FINITE}
            blank = blanks.get(name, np.nan if array.dtype.kind == "f" else 0)
            array[~self._known] = blank
        dataset = self.dataset()
        dataset.attrs["partial"] = "stopped before its end: runs that were still learning end at their last record"
        return dataset

    def dataset(self) -> xr.Dataset:
        """The labelled dataset."""
        job = self._job
        coordinates = {
            "rule": ("rule", [rule.name for rule in job.rules]),
            "seed": ("seed", np.array(job.seeds, dtype=np.int64)),
            "epoch": ("epoch", job.records.astype(np.int64)),
            **(mode_coordinates(self._teacher) if job.labelled else {}),
            "unit": ("unit", np.arange(self._lengths["unit"])),
            **({"matrix": ("matrix", list(MATRICES))} if job.gradient_quality else {}),
        }
        variables: dict[str, Any] = {name: (self._dims[name], values) for name, values in self._arrays.items()}
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
