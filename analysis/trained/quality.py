"""How well the updates of recorded students follow the exact gradient, after training."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from fastmodes.files.schema import annotate
from fastmodes.networks.leaky import MATRICES
from fastmodes.parallel import check_threads
from fastmodes.training.quality import QUALITY, explain_quality, update_quality

from .checks import check_dataset, stored_configuration
from .recorded import recorded


def gradient_quality(runs: xr.Dataset, *, threads: int | None = None) -> xr.Dataset:
    """How well each rule's expected update follows the exact gradient, at every record of runs with weights.

    With u the rule's expected update and g that of BPTT, as vectors over all weights that learn (theory section 3),

        gradient_cosine = <u, g> / (|u| |g|),    gradient_bias = |u - g| / |g|

    What ``fastmodes.train(..., gradient_quality=True)`` records, for weights that were kept: the same numbers. Learning
    rates, clipping, momentum and weight decay are no part of u and g; frozen and masked weights are left out.

    Parameters
    ----------
    runs : xarray.Dataset
        From :func:`fastmodes.train`, :func:`fastmodes.train_tasks` or :func:`fastmodes.matrix_flow` with
        ``keep_weights=True``, or any part of one; of trainings on sampled updates as well.
    threads : int, optional
        Default: all cores granted to the process.

    Returns
    -------
    xarray.Dataset
        ``gradient_cosine``, ``gradient_bias``, ``gradient_norm``, ``update_norm`` (rule, seed, epoch or time),
        ``matrix_gradient_cosine`` (.., matrix) of A, W and B apart, Delta A being the gradient's under every rule;
        ``critical_batch_size`` tr Cov[u] / |E u|^2, at which noise and mean of an update u averaged over that many
        sequences are alike, and ``signal_to_noise``, the training's batch size over it, of sampled updates only, with
        its noise of targets; batches of fresh sequences are meant (theory section 13).
        ``quality_status``, which says why one of them is missing; and the runs' ``loss`` and ``status``. At an optimum
        u and g are rounding errors without a direction, of 1e-12 of their size with a silent teacher or less: NaN.

    Raises
    ------
    TypeError, ValueError
        If the runs hold no weights, or have no exact gradient: nonlinear units, sequences of your own.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
    >>> runs = fm.train(["bptt", "tbptt(1)"], teacher, hidden=4, seeds=3, epochs=20, steps=5, learning_rate=0.01,
    ...                 init_scale=0.5, keep_weights=True, progress=False)
    >>> fm.analysis.gradient_quality(runs).gradient_cosine.min(["seed", "epoch"]).round(3).values.tolist()
    [1.0, 0.87]
    """
    threads = check_threads(threads)
    check_dataset(runs, name="runs")
    if "phase" in runs.dims:
        check_dataset(runs, ("recurrent_weights",), ("phase",), name="runs")
        phases = [_measured(runs.isel(phase=place), threads) for place in range(runs.sizes["phase"])]
        measured = xr.concat(phases, "phase", data_vars="all", coords="different", compat="equals").transpose(
            "rule", "seed", "phase", ...
        )
    else:
        measured = _measured(runs, threads)
    for name in ("loss", "status"):
        if name in runs:
            measured[name] = runs[name].transpose("rule", "seed", ...)
    explain_quality(measured)
    return annotate(
        measured, title="Expected updates beside the exact gradient",
        configuration={"command": "gradient_quality", "training": stored_configuration(runs)},
    )  # fmt: skip


def _measured(runs: xr.Dataset, threads: int) -> xr.Dataset:
    """The measures of one training."""
    found = recorded(runs)
    shape = found.weights[0].shape[:3]
    arrays: dict[str, Any] = {}
    for rule, seed in found.runs():
        values = update_quality(
            found.rules[rule], [part[rule, seed] for part in found.weights], found.feedback[rule, seed], found.problem,
            found.learning(rule, seed), threads,
        )  # fmt: skip
        for name, measure in values.items():
            arrays.setdefault(name, np.empty(shape + measure.shape[1:], measure.dtype))[rule, seed] = measure
    dims = ("rule", "seed", found.along)
    kept = {name: c for name, c in runs.coords.items() if set(c.dims) <= set(dims)}
    variables = {name: ((*dims, *own), arrays[name]) for name, own in QUALITY.items()}
    return xr.Dataset(variables, coords=kept | {"matrix": list(MATRICES)})
