"""Reduce sweep datasets over seeds: medians and quantiles, how runs ended, the fraction that converged."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from fastmodes.files.flags import check_flags
from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.validation import check_number, check_sequence, shown

from .checks import check_dataset

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


def over_seeds(dataset: xr.Dataset, quantiles: Sequence[float] = (0.25, 0.5, 0.75)) -> xr.Dataset:
    """Quantiles over seeds of every real-valued variable; runs without a value (NaN) drop out.

    Parameters
    ----------
    dataset : xarray.Dataset
        With dim ``seed``.
    quantiles : sequence of float
        Between 0 and 1.

    Returns
    -------
    xarray.Dataset
        ``seed`` replaced by ``quantile``, in front.

    Raises
    ------
    ValueError
        If there is no dim ``seed``, or a quantile is out of range.
    """
    check_dataset(dataset, dims=("seed",))
    levels = [
        check_number("quantiles", level, 0.0, 1.0) for level in check_sequence("quantiles", quantiles, "numbers", 1000)
    ]
    chosen = [name for name, v in dataset.data_vars.items() if "seed" in v.dims and v.dtype.kind == "f"]
    reduced = {}
    for name in chosen:
        variable = dataset[name].load()
        with warnings.catch_warnings():
            # Where no seed has a value, the quantile is NaN as well.
            warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
            reduced[name] = variable.quantile(levels, dim="seed", skipna=True, keep_attrs=True)
    result = xr.Dataset(reduced)
    result["quantile"].attrs = {"long_name": "quantile over seeds", "units": "1"}
    return result.assign_attrs(dataset.attrs)


def outcome_fractions(dataset: xr.Dataset) -> xr.Dataset:
    """Share of the seeds that ended in each status.

    Parameters
    ----------
    dataset : xarray.Dataset
        With ``status`` on dim ``seed`` and its CF flags.

    Returns
    -------
    xarray.Dataset
        ``outcome_fraction`` with a dim ``outcome`` in place of ``seed``.

    Raises
    ------
    ValueError
        If there is no dim ``seed``.
    """
    check_dataset(dataset, ("status",), ("seed",))
    status = dataset["status"].load()
    codes = check_flags(dataset, "status")
    shares = [(status == code).mean("seed") for code in codes.values()]
    outcome = xr.DataArray(list(codes), dims="outcome", name="outcome")
    fraction = xr.concat(shares, outcome, coords="minimal").drop_attrs()
    return annotate(
        xr.Dataset({"outcome_fraction": fraction}),
        title="How runs ended",
        configuration={"seeds": dataset.sizes["seed"]},
    )


def convergence_fraction(dataset: xr.Dataset, *, threshold: float = 1e-2, confidence: float = 0.95) -> xr.Dataset:
    """Fraction of the seeds whose training converged, with the exact (Clopper-Pearson) binomial interval.

    A run has converged if its status says so, or if its last loss is at most ``threshold`` times its first.

    Parameters
    ----------
    dataset : xarray.Dataset
        From training: ``loss`` on dims ``seed`` and ``epoch``, and ``status``.
    threshold : float
        Share of the first loss, above 0.
    confidence : float
        Of the interval, between 0 and 1.

    Returns
    -------
    xarray.Dataset
        ``convergence_fraction``, ``convergence_low``, ``convergence_high``, without ``seed``.

    Raises
    ------
    ValueError
        If there is no dim ``seed``, or a number is out of range.
    """
    from scipy.stats import beta

    check_dataset(dataset, ("loss", "status"), ("seed", "epoch"))
    threshold = check_number("threshold", threshold, above=0.0)
    tail = (1 - check_number("confidence", confidence, above=0.0, below=1.0)) / 2
    loss, status = dataset["loss"].load(), dataset["status"].load()
    codes = check_flags(dataset, "status")
    converged = (status == codes.get("converged")) | (
        (status != codes.get("diverged")) & (loss.isel(epoch=-1) <= threshold * loss.isel(epoch=0))
    )
    hits = converged.sum("seed").drop_attrs()
    runs = dataset.sizes["seed"]
    # The ends of the interval are quantiles of beta distributions; where all or none converged one end is 1 or 0.
    low = xr.where(hits > 0, beta.ppf(tail, np.maximum(hits, 1), runs - hits + 1), 0.0)
    high = xr.where(hits < runs, beta.ppf(1 - tail, hits + 1, np.maximum(runs - hits, 1)), 1.0)
    return annotate(
        xr.Dataset({"convergence_fraction": hits / runs, "convergence_low": low, "convergence_high": high}),
        title="Fraction of runs that converged",
        configuration={"threshold": threshold, "confidence": confidence, "seeds": runs},
    )


def most_frequent(dataset: xr.Dataset, variable: Hashable, dims: Sequence[Hashable]) -> xr.DataArray:
    """The most frequent flag of a flag variable over ``dims``, the smaller one where two are equally frequent.

    Parameters
    ----------
    dataset : xarray.Dataset
    variable : str
        With CF flags.
    dims : sequence of str
        Dims to reduce; none leaves the variable as it is.

    Raises
    ------
    TypeError, ValueError
        If the variable is none of the dataset, has no flags, or no such dims.
    """
    if not isinstance(variable, str):
        raise TypeError(f"variable must be the name of a flag variable; got {shown(variable)}")
    check_dataset(dataset, (variable,))
    words = check_flags(dataset, variable)
    flags = dataset[variable].load()
    given = [dims] if isinstance(dims, str) else dims
    listed = [] if isinstance(given, list | tuple) and not given else check_sequence("dims", given, "dimensions", 100)
    if unknown := [dim for dim in listed if not (isinstance(dim, str) and dim in flags.dims)]:
        raise ValueError(f"dims must be dimensions of {variable!r}, {flags.dims}; got {shown(unknown[0])}")
    codes = np.array(list(words.values()))
    counts = xr.concat([(flags == code).sum(listed) for code in codes], "flag", coords="minimal")
    chosen = counts.argmax("flag")
    attributes = flag_attributes(list(words))
    result = xr.apply_ufunc(lambda index: codes[index].astype(np.int8), chosen)
    labelled: xr.DataArray = result.assign_attrs(
        {k: v for k, v in flags.attrs.items() if k in ("long_name", "units")} | attributes
    )
    return labelled
