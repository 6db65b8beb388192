"""The dataset of a training job, filled run by run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..files.schema import annotate, flag_attributes
from ..networks.teacher_modes import mode_coordinates, teacher_modes
from .estimates import ALIGNMENTS, MODE_FLAGS, MODE_VARIABLES, change_spectra, history_estimates, put_flags

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
_WEIGHTS = {
    "readout_weights": ("output", "unit"),
    "recurrent_weights": ("unit_to", "unit_from"),
    "input_weights": ("unit", "channel"),
}


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
            "output": n_out, "channel": n_in,
        }  # fmt: skip
        extra: dict[str, tuple[str, ...]] = {name: () for name in ("loss", "validation_loss", *ALIGNMENTS)}
        extra |= {name: ("mode",) for name in _MODES} | {name: ("unit",) for name in (*_SPECTRA, *_CHANGES)}
        extra |= _WEIGHTS if job.keep_weights else {}
        self._dims = {name: ("rule", "seed", "epoch", *dims) for name, dims in extra.items()}
        self._dims |= {"status": ("rule", "seed"), "epochs_made": ("rule", "seed")}
        kinds: dict[str, Any] = {"status": np.int8, "epochs_made": np.int64} | dict.fromkeys(MODE_FLAGS, np.int8)
        self._arrays: dict[str, NDArray[Any]] = {
            name: np.zeros([self._lengths[dim] for dim in dims], dtype=kinds.get(name, float))
            for name, dims in self._dims.items()
        }

    def put(
        self,
        rule: int,
        seed: int,
        status: int,
        epochs_made: int,
        losses: NDArray[Any],
        validation_losses: NDArray[Any],
        weights: Sequence[NDArray[Any]],
    ) -> None:
        """Store one run: its losses and weights (A, W, B) at every recorded epoch."""
        where, arrays = (rule, seed), self._arrays
        feedback = self._job.feedback(self._job.rules[rule], seed)
        arrays["status"][where], arrays["epochs_made"][where] = status, epochs_made
        arrays["loss"][where], arrays["validation_loss"][where] = losses, validation_losses
        # The last weights of a diverging run may be so large that their products overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            readout, recurrent, input_ = self._job.plasticity.effective(weights)
            estimates = history_estimates(readout, recurrent, input_, self._teacher, feedback)
            estimates |= change_spectra(recurrent)
        for name, values in estimates.items():
            arrays[name][where] = values
        if self._job.keep_weights:
            for name, values in zip(_WEIGHTS, self._job.plasticity.own(weights), strict=True):
                arrays[name][where] = values

    def dataset(self) -> xr.Dataset:
        """The labelled dataset."""
        job = self._job
        coordinates = {
            "rule": ("rule", [rule.name for rule in job.rules]),
            "seed": ("seed", np.array(job.seeds, dtype=np.int64)),
            "epoch": ("epoch", job.records.astype(np.int64)),
            **mode_coordinates(self._teacher),
            "unit": ("unit", np.arange(self._lengths["unit"])),
        }
        variables: dict[str, Any] = {name: (self._dims[name], values) for name, values in self._arrays.items()}
        if job.keep_weights:
            variables["feedback_weights"] = (("seed", "output", "unit"), np.stack(job.feedbacks))
        dataset = xr.Dataset(variables, coords=coordinates)
        dataset["status"].attrs = flag_attributes(STATUS)
        put_flags(dataset)
        kind = "linear" if job.plasticity.units.linear else f"{job.plasticity.units.nonlinearity} (sampled only)"
        annotate(
            dataset,
            title=f"Learning of a {kind} recurrent network under several rules",
            configuration={"command": "train", **job.configuration},
            seeds=job.seeds,
        )
        if not job.plasticity.units.linear:
            dataset.attrs |= {"nonlinearity": job.plasticity.units.nonlinearity, "comment": _SAMPLED_ONLY}
        return dataset
