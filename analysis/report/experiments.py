"""The experiments behind the table of claims: what each computes, from presets, as one dataset each."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from fastmodes import __version__, bptt, eprop, rflo, tbptt
from fastmodes.files.schema import annotate
from fastmodes.presets import CONVERGENCE, FAMILY, FIG6, PROPOSITION, UNALIGNED, variations

from ..identification.identifying import identify
from ..trained.learned_rank import principal_angles, rank
from ..trained.learning_rates import learning_rate_limits
from ..trained.prediction import theory_error
from ..trained.quality import gradient_quality

if TYPE_CHECKING:
    from typing import Any

    from fastmodes.presets import Preset

    Datasets = Mapping[str, xr.Dataset]
    Compute = Callable[["Size", Datasets, bool], xr.Dataset]


_EIGENVALUES = (0.5, 0.7, 0.8, 0.9, 0.95)
#: Flow times from which theory is started: at once, after the transient under random feedback, and after that under
#: readout feedback, where small weights need longer to leave the neighbourhood of a = b = 0.
STARTS = (0.0, 1.5, 3.0)
_SWEEP_SEEDS = tuple(range(8))
_FINAL = (
    "loss", "validation_loss", "status", "epochs_made", "alignment_recurrent", "alignment_readout", "alignment_input",
    "alignment_feedback", "change_singular_value",
)  # fmt: skip


_ATTRIBUTES = {"long_name": "flow time from which the theory starts", "units": "1"}


def transient(rule: str) -> float:
    """Flow time after which the transient of an unaligned student is over, by the rule's name."""
    return STARTS[2] if rule.startswith(("BPTT", "tBPTT")) else STARTS[1]


def after_transient(errors: xr.DataArray) -> xr.DataArray:
    """Theory errors along ``start`` at the end of each rule's transient."""
    rules = errors["rule"].values
    return xr.concat(
        [errors.sel(rule=rule, start=transient(str(rule)), drop=True) for rule in rules], dim=errors["rule"]
    )


@dataclasses.dataclass(frozen=True)
class Size:
    """How much to compute: the claims' own size, or a quick look at whether everything works."""

    seeds: int = 20
    share: float = 1.0

    def changes(self, preset: Preset) -> dict[str, Any]:
        """Arguments that cut a preset down to this size."""
        settings = dict(preset.settings)
        epochs = max(20, int(settings["epochs"] * self.share))
        every = max(1, int(settings["record_every"] * self.share))
        return {"seeds": settings["seeds"][: self.seeds], "epochs": epochs, "record_every": every}


FULL, QUICK = Size(), Size(seeds=4, share=0.1)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One dataset: its name, what it depends on, and how to compute it.

    Attributes
    ----------
    compute : callable (size, datasets, progress) -> Dataset
    needs : tuple of str
        Experiments whose datasets it reads.
    settings : object
        Whatever defines it beyond the code, for the hash.
    """

    name: str
    title: str
    compute: Compute
    settings: object = None
    needs: tuple[str, ...] = ()

    def fingerprint(self, size: Size) -> str:
        """Hash of everything the dataset depends on: settings, size, version, and the code that computes."""
        text = json.dumps([self.name, repr(self.settings), repr(size), __version__, _source_digest()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


#: Files of analysis that numbers come from.
_COMPUTING = (
    "report/experiments.py",
    "identification/chains.py",
    "identification/directions.py",
    "identification/family.py",
    "identification/fits.py",
    "identification/identifying.py",
    "identification/likelihood.py",
    "identification/noise.py",
    "identification/posterior.py",
    "identification/propagators.py",
    "identification/random_fits.py",
    "identification/search.py",
    "identification/seen.py",
    "identification/snapshots.py",
    "identification/tasks.py",
    "theory/linear_stability.py",
    "theory/stability_grids.py",
    "trained/learned_rank.py",
    "trained/learning_rates.py",
    "trained/prediction.py",
    "trained/quality.py",
    "trained/recorded.py",
)


@functools.cache
def _source_digest() -> str:
    """SHA-256 of the sources that numbers come from: figures and report may change without computing again."""
    import fastmodes
    from fastmodes import kernels

    package, compiled = Path(fastmodes.__file__).parent, Path(kernels.__file__).parent
    here = Path(__file__).parent.parent
    sources = {path: f"fastmodes/{path.relative_to(package).as_posix()}" for path in package.rglob("*.py")}
    sources |= {path: f"kernels/{path.relative_to(compiled).as_posix()}" for path in compiled.rglob("*.py")}
    sources |= {here / name: name for name in _COMPUTING}
    digest = hashlib.sha256()
    for source, name in sorted(sources.items(), key=lambda item: item[1]):
        if name.partition("/")[2] != "cli.py" and "/commands/" not in name:
            digest.update(name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def _train(preset: Preset) -> Compute:
    def compute(size: Size, datasets: Datasets, progress: bool) -> xr.Dataset:
        return preset.run(**size.changes(preset), progress=progress)

    return compute


def without_weights(dataset: xr.Dataset) -> xr.Dataset:
    """A training dataset with its rank results instead of its weights."""
    ranks = rank(dataset)
    spectra = [name for name in dataset if str(name).startswith("change_")]
    weights = [name for name in dataset if str(name).endswith("_weights") and name != "feedback_weights"]
    merged = xr.merge(
        [dataset.drop_vars([*spectra, *weights]), ranks, principal_angles(dataset)],
        combine_attrs="override", compat="equals", join="exact",
    )  # fmt: skip
    merged.attrs = dataset.attrs
    return merged


def _train_and_rank(preset: Preset) -> Compute:
    def compute(size: Size, datasets: Datasets, progress: bool) -> xr.Dataset:
        return without_weights(preset.run(**size.changes(preset), progress=progress))

    return compute


def _prediction(size: Size, datasets: Datasets, progress: bool) -> xr.Dataset:
    return theory_error(datasets["unaligned"])


#: The unaligned students once more, fewer of them, with the weights that exact noise and identification read.
WATCHED = UNALIGNED.derive(
    "watched", "Unaligned students with their weights", seeds=tuple(range(8)), record_every=20, keep_weights=True
)
#: Rules that identification tells apart: the paper's four, and a horizon nearly as long as the task's memory.
TOLD_APART = ("BPTT", "tBPTT(1)", "RFLO", "e-prop", "tBPTT(10)")
#: Share of the training in which identification looks on: while most of what there is to learn is being learned.
_LOOKED_AT = 0.4


def _noise(size: Size, datasets: Datasets, progress: bool) -> xr.Dataset:
    return gradient_quality(datasets["watched"].isel(epoch=slice(None, None, 5)))


def _first_noise(size: Size, datasets: Datasets, progress: bool) -> xr.Dataset:
    cut = size.changes(FIG6) | {"epochs": 1, "record_every": 1}
    return gradient_quality(FIG6.run(**cut, progress=False).isel(epoch=[0]))


def _named(size: Size, datasets: Datasets, progress: bool) -> xr.Dataset:
    runs = datasets["watched"]
    return identify(
        runs.sel(epoch=slice(0, int(_LOOKED_AT * runs["epoch"].values[-1]))), rules=TOLD_APART, progress=progress
    )


_OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {},
    "SGD, clipped": {"clip_norm": 0.02},
    "Adam": {"optimizer": "adam", "learning_rate": 1e-3},
}


def _proposition(size: Size, datasets: Datasets, progress: bool) -> xr.Dataset:
    parts = [
        without_weights(PROPOSITION.run(**size.changes(PROPOSITION), **changes, progress=progress))
        for changes in _OPTIMIZERS.values()
    ]
    return _side_by_side(parts, "optimizer", list(_OPTIMIZERS), "optimiser")


def _side_by_side(parts: list[xr.Dataset], dim: str, labels: list[str], long_name: str) -> xr.Dataset:
    """Datasets that differ in one choice as one, along a new dimension."""
    along: Any = xr.IndexVariable(dim, labels, {"long_name": long_name, "units": "1"})
    joined: xr.Dataset = xr.concat(
        parts, dim=along, data_vars="all", coords="minimal", compat="override", join="exact", combine_attrs="override"
    )
    joined.attrs = parts[0].attrs
    return joined


def _limits(size: Size, datasets: Datasets, progress: bool) -> xr.Dataset:
    eigenvalues = _EIGENVALUES if size == FULL else (0.5, 0.8)
    return learning_rate_limits((bptt(), tbptt(1), rflo(0.5), eprop()), eigenvalues, networks=size == FULL)


def _sweep(preset: Preset, with_theory: bool) -> Compute:
    """A preset with expected updates, one choice changed at a time; only the ends of the runs are kept."""

    def compute(size: Size, datasets: Datasets, progress: bool) -> xr.Dataset:
        settings, parts = dict(preset.settings), {}
        for label, changes in variations(preset).items():
            cut = size.changes(preset)
            # The same flow time (SGD) or path length (Adam) at every rate.
            faster = changes.get("learning_rate", settings["learning_rate"]) / settings["learning_rate"]
            epochs = max(int(cut["epochs"] / faster), 20)
            run = preset.run(**(
                cut | {"updates": "expected", "batch_size": None, "keep_weights": False, "progress": progress,
                       "validation_size": 64, "seeds": _SWEEP_SEEDS[: size.seeds], "epochs": epochs,
                       "record_every": max(1, epochs // 40)} | changes
            ))  # fmt: skip
            final = run[list(_FINAL)].isel(epoch=-1).drop_vars("epoch")
            if with_theory:
                rate = json.loads(run.attrs["configuration"])["learning_rate"]
                last = int(run["epoch"][-2])
                errors = [theory_error(run, [min(int(start / rate), last)])["theory_error"] for start in STARTS]
                places = xr.IndexVariable("start", list(STARTS), _ATTRIBUTES)
                final["theory_error"] = xr.concat([e.isel(epoch=0, drop=True) for e in errors], dim=places)
            parts[label] = final
        joined = _side_by_side(list(parts.values()), "variation", list(parts), "what is changed")
        joined.attrs = {}
        return annotate(joined, title=f"{preset.title}, one change at a time", configuration={"base": preset.name})

    return compute


#: All experiments, in the order they run.
EXPERIMENTS = (
    Experiment("unaligned", UNALIGNED.title, _train(UNALIGNED), UNALIGNED),
    Experiment("prediction", "Theory from every epoch", _prediction, UNALIGNED, needs=("unaligned",)),
    Experiment("rank", FIG6.title, _train_and_rank(FIG6), FIG6),
    Experiment("convergence", CONVERGENCE.title, _train(CONVERGENCE), CONVERGENCE),
    Experiment("family", FAMILY.title, _train_and_rank(FAMILY), FAMILY),
    Experiment("proposition", PROPOSITION.title, _proposition, (PROPOSITION, repr(_OPTIMIZERS))),
    Experiment("limits", "Largest stable learning rate", _limits, _EIGENVALUES),
    Experiment("watched", WATCHED.title, _train(WATCHED), WATCHED),
    Experiment("noise", "Noise and bias of updates, unaligned students", _noise, WATCHED, needs=("watched",)),
    Experiment("first_noise", "Noise and bias of first updates, ten modes", _first_noise, FIG6),
    Experiment("named", "Which rule made the changes", _named, (WATCHED, TOLD_APART, _LOOKED_AT), needs=("watched",)),
    Experiment("unaligned_sweep", "How the theory's fit depends on our choices", _sweep(UNALIGNED, True), UNALIGNED),
    Experiment("rank_sweep", "How rank depends on our choices", _sweep(FIG6, False), FIG6),
)  # fmt: skip


def final_loss(dataset: xr.Dataset) -> xr.DataArray:
    """Validation loss at the end, infinite for diverged runs."""
    last = dataset["validation_loss"]
    last = last.isel(epoch=-1) if "epoch" in last.dims else last
    return last.where(np.isfinite(last), np.inf)
