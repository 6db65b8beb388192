"""Rank of what is learned: spectra of the changes W_k - W_0, B_k - B_0 and how they lie to R and A (Sec. 3.6, Fig. 6).

With s_1 >= s_2 >= .. the singular values of a change, four measures of its rank:

    numeric rank         number of s_i > tolerance s_1
    participation ratio  (sum s_i^2)^2 / sum s_i^4
    stable rank          sum s_i^2 / s_1^2
    effective rank       exp(- sum q_i log q_i),  q_i = s_i / sum s_j

all between 1 and the number of non-zero s_i; NaN for no change. The share of a change D inside the row space of R is
||Pi D||^2 / ||D||^2, with Pi the projector on the columns of R^T; the same for A at that epoch.

RFLO with plain gradient descent changes W by R^T Q with Q (n_out, n_hidden) (Prop. 3.1), so that its rank is at most
n_out; Q is the factor that :func:`rank` keeps instead of the change. Clipping by norm keeps this, a scalar. An
elementwise optimiser does not: Adam raises the rank of RFLO's change as soon as n_out > 1. With one output it keeps
rank 1, up to its epsilon, because every gradient is r_i q_j and Adam divides it by |r_i| sqrt(V_j).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from fastmodes.files.schema import annotate
from fastmodes.validation import check_integer, check_number

from .checks import check_dataset, check_training, training_rules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from fastmodes.rules import LearningRule
    from fastmodes.typing import FloatArray


MATRICES = ("recurrent", "input")
MEASURES = ("numeric_rank", "participation_ratio", "stable_rank", "effective_rank")
_SHARES = {"share_in_feedback_rows": "feedback", "share_in_readout_rows": "readout"}


def rank(dataset: xr.Dataset, *, tolerance: float = 1e-6) -> xr.Dataset:
    """Spectra, rank measures, shares and RFLO's factors at every recorded epoch.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`. Without ``keep_weights=True`` it holds the spectra of the change of W alone: then
        so does the result, with their measures, ``matrix`` having the one entry "recurrent". Of leaky students all
        are those of the network as it runs, of W_e and B_e, as the spectra of :func:`fastmodes.train` are.
    tolerance : float
        For the numeric rank, relative to the largest singular value.

    Returns
    -------
    xarray.Dataset
        On (rule, seed, epoch, matrix): ``numeric_rank``, ``participation_ratio``, ``stable_rank``, ``effective_rank``,
        ``share_in_feedback_rows`` (NaN for rules that do not read the seed's R as it is), ``share_in_readout_rows``,
        ``outside_factors``, the share of the change's norm that RFLO's factors leave over (NaN for other rules);
        ``change_singular_value``, ``change_eigenvalue_real``, ``change_eigenvalue_imag`` (.., unit) of W, and
        ``change_input_singular_value`` (.., rank_place) of B; ``factor_recurrent`` (.., output, unit) and
        ``factor_input`` (.., output, channel).

    Raises
    ------
    TypeError, ValueError
        If the dataset holds neither weights nor spectra, or lacks a dimension.
    """
    configuration = check_training(dataset)
    tolerance = check_number("tolerance", tolerance, 0.0, below=1.0)
    out: dict[Any, Any] = {name: dataset[name] for name in dataset if str(name).startswith("change_")}
    if "recurrent_weights" in dataset:
        weights = _weights(dataset, configuration.get("leak", 1.0))
        check_dataset(dataset, ("feedback_weights",))
        parts = [_measures(_singular_values(weights[f"{matrix}_weights"]), tolerance) for matrix in MATRICES]
        singular = parts[1]["singular"]
        out["change_input_singular_value"] = (("rule", "seed", "epoch", "rank_place"), singular.values)
        out |= _inside(dataset, weights, training_rules(dataset))
    else:
        check_dataset(dataset, ("change_singular_value",), ("unit",))
        stored = dataset["change_singular_value"].transpose("rule", "seed", "epoch", "unit")
        parts = [_measures(stored.rename(unit="place").drop_vars("place", errors="ignore"), tolerance)]
    for name in MEASURES:
        out[name] = _by_matrix([part[name] for part in parts])
    result = xr.Dataset(out)
    return annotate(
        result,
        title="Rank of what is learned",
        configuration={"command": "rank", "tolerance": tolerance, "training": configuration},
    )


def _weights(dataset: xr.Dataset, leak: float = 1.0) -> dict[str, xr.DataArray]:
    """A, alpha W and alpha B, whose changes are those of the network as it runs."""
    names = ("readout_weights", "recurrent_weights", "input_weights")
    check_dataset(dataset, names, ("rule", "seed", "epoch", "output"))
    gains = zip(names, (1.0, leak, leak), strict=True)
    return {name: gain * dataset[name].transpose("rule", "seed", "epoch", ...) for name, gain in gains}


def change(weights: xr.DataArray) -> xr.DataArray:
    """Change of a weight matrix since the first record, (.., epoch, row, column)."""
    return weights - weights.isel(epoch=0)


def _by_matrix(arrays: list[xr.DataArray]) -> xr.DataArray:
    along: Any = xr.IndexVariable("matrix", list(MATRICES[: len(arrays)]))
    return xr.concat(arrays, dim=along).transpose(..., "matrix")


def _singular_values(weights: xr.DataArray) -> xr.DataArray:
    """Singular values of the change, (rule, seed, epoch, place); NaN where the weights are."""
    values = change(weights)
    finite: xr.DataArray = np.isfinite(values).all(values.dims[-2:])  # type: ignore[arg-type, assignment]
    sizes = np.linalg.svd(np.where(np.isfinite(values), values, 0.0), compute_uv=False)
    return xr.DataArray(sizes, dims=("rule", "seed", "epoch", "place")).assign_coords(finite.coords).where(finite)


def _measures(singular: xr.DataArray, tolerance: float) -> dict[str, xr.DataArray]:
    """The measures beside the singular values; NaN where nothing has changed."""
    measures = rank_measures(singular, tolerance)
    return {"singular": singular} | {name: m.where(singular.isel(place=0) > 0) for name, m in measures.items()}


def rank_measures(
    singular_values: xr.DataArray, tolerance: float = 1e-6, dim: str = "place"
) -> dict[str, xr.DataArray]:
    """The four measures of rank from singular values.

    Parameters
    ----------
    singular_values : DataArray
        With the dimension ``dim``.
    tolerance : float
    dim : str

    Returns
    -------
    dict of str to DataArray
    """
    largest = singular_values.max(dim)
    s = singular_values / largest.where(largest > 0, 1.0)
    squares = (s**2).sum(dim)
    q = s / s.sum(dim).where(largest > 0, 1.0)
    entropy = -(q * np.log(q.where(q > 0, 1.0))).sum(dim)
    # Sums leave out what is missing: without this, a run without values had a rank of 0.
    there = largest.notnull()
    measures: dict[str, Any] = {
        "numeric_rank": (s > tolerance).sum(dim).astype(float),
        "participation_ratio": squares**2 / (s**4).sum(dim).where(largest > 0, 1.0),
        "stable_rank": squares,
        "effective_rank": np.exp(entropy),
    }
    return {name: value.where(there) for name, value in measures.items()}


def _inside(dataset: xr.Dataset, weights: dict[str, xr.DataArray], rules: Sequence[LearningRule]) -> dict[str, Any]:
    """Shares inside the row spaces of R and A, and the factors of rules whose credit is R^T Q."""
    # Of a partly aligned R, one that learns or is mixed with A, the rows are not those of the seed's R.
    reads_feedback = np.array([rule.feedback == "random" for rule in rules])
    factored = reads_feedback & np.array([rule.propagator == "scalar" for rule in rules])
    by_name: dict[str, list[xr.DataArray]] = {name: [] for name in (*_SHARES, "outside_factors")}
    factors = {}
    r = dataset["feedback_weights"].values[np.newaxis, :, np.newaxis]
    a = weights["readout_weights"].values
    for matrix in MATRICES:
        values = change(weights[f"{matrix}_weights"])
        d = np.where(np.isfinite(values), values, np.nan)
        left = np.linalg.pinv(np.where(np.isfinite(r), r, 0.0)).swapaxes(-1, -2) @ d  # Q = (R^T)^+ D
        inside_r = _energy(r.swapaxes(-1, -2) @ left)
        pinv_a = np.linalg.pinv(np.where(np.isfinite(a), a, 0.0))
        inside_a = _energy(a.swapaxes(-1, -2) @ (pinv_a.swapaxes(-1, -2) @ d))
        whole = _energy(d)
        whole = np.where(whole > 0, whole, np.nan)
        dims = values.dims[:3]
        rest = np.sqrt(_energy(d - r.swapaxes(-1, -2) @ left) / whole)
        pick = reads_feedback[:, np.newaxis, np.newaxis]
        for name, array in (
            ("share_in_feedback_rows", np.where(pick, inside_r / whole, np.nan)),
            ("share_in_readout_rows", inside_a / whole),
            ("outside_factors", np.where(factored[:, np.newaxis, np.newaxis], rest, np.nan)),
        ):
            by_name[name].append(xr.DataArray(array, dims=dims, coords={d: values[d] for d in dims}))
        place = "unit" if matrix == "recurrent" else "channel"
        kept = np.where(factored.reshape(-1, 1, 1, 1, 1), left, np.nan)
        factors[f"factor_{matrix}"] = ((*dims, "output", place), kept)
    return {name: _by_matrix(arrays) for name, arrays in by_name.items()} | factors


def _energy(matrices: FloatArray) -> FloatArray:
    energy: FloatArray = (matrices**2).sum((-2, -1))
    return energy


def spectrum(dataset: xr.Dataset, epoch: int | None = None) -> xr.Dataset:
    """Spectra of the change of W as Fig. 6 shows them: divided by the largest modulus of the run.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train` or :func:`rank`.
    epoch : int, optional
        The recorded epoch nearest to it; default: the last.

    Returns
    -------
    xarray.Dataset (rule, seed, unit)
        ``normalised_singular_value``, ``normalised_eigenvalue`` (moduli, decreasing), and
        ``eigenvalue_imaginary_share``, the largest imaginary part over the largest modulus (rule, seed).

    Raises
    ------
    TypeError, ValueError
        If the dataset holds no spectra, or lacks a dimension.
    """
    names = ("change_singular_value", "change_eigenvalue_real", "change_eigenvalue_imag")
    check_dataset(dataset, names, ("rule", "seed", "epoch", "unit"))
    epoch = None if epoch is None else check_integer("epoch", epoch, 0)
    at = dataset.isel(epoch=-1) if epoch is None else dataset.sel(epoch=epoch, method="nearest")
    imaginary: Any
    real, imaginary = at["change_eigenvalue_real"], at["change_eigenvalue_imag"]
    modulus = np.hypot(real, imaginary)
    ordered = xr.apply_ufunc(
        lambda v: -np.sort(-v, axis=-1), modulus, input_core_dims=[["unit"]], output_core_dims=[["unit"]]
    )
    largest = ordered.max("unit")
    singular = at["change_singular_value"]
    out = xr.Dataset(
        {
            "normalised_singular_value": singular / singular.max("unit").where(lambda v: v > 0),
            "normalised_eigenvalue": ordered / largest.where(largest > 0),
            "eigenvalue_imaginary_share": np.abs(imaginary).max("unit") / largest.where(largest > 0),
        }
    )
    return annotate(out, title="Normalised spectra of the change of W", configuration={"command": "spectrum"})


def principal_angles(dataset: xr.Dataset, *, dimensions: int | None = None) -> xr.Dataset:
    """Angles between the subspaces in which two rules change W, at the last epoch.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train` with ``keep_weights=True``.
    dimensions : int, optional
        Leading left singular vectors of the change that span a rule's subspace; default n_out.

    Returns
    -------
    xarray.Dataset
        ``principal_angle`` (rule, other_rule, seed, angle), in radians, increasing; NaN for diverged runs.

    Raises
    ------
    TypeError, ValueError
        If the dataset holds no weights, or lacks a dimension.
    """
    from scipy.linalg import subspace_angles

    values = change(_weights(dataset)["recurrent_weights"]).isel(epoch=-1).transpose("rule", "seed", ...).values
    n_rules, n_seeds, n, _ = values.shape
    dimensions = (
        min(dataset.sizes["output"], n) if dimensions is None else check_integer("dimensions", dimensions, 1, n)
    )
    angles = np.full((n_rules, n_rules, n_seeds, dimensions), np.nan)
    finite = np.isfinite(values).all((2, 3))
    bases = np.linalg.svd(np.where(finite[..., np.newaxis, np.newaxis], values, 0.0))[0][..., :dimensions]
    for seed in range(n_seeds):
        for i in range(n_rules):
            for j in range(n_rules):
                if finite[i, seed] and finite[j, seed]:
                    angles[i, j, seed] = np.sort(subspace_angles(bases[i, seed], bases[j, seed]))
    names = dataset["rule"].values
    out = xr.Dataset(
        {"principal_angle": (("rule", "other_rule", "seed", "angle"), angles)},
        coords={"rule": names, "other_rule": names, "seed": dataset["seed"], "angle": np.arange(dimensions)},
    )
    return annotate(out, title="Principal angles between changes of W", configuration={"dimensions": dimensions})
