"""Do seeds learn in the same directions? The changes of every pair of seeds under one rule, and what chance gives.

A change D = W_end - W_0 has leading left singular vectors, among the units that receive, and right ones, among those
that send. Bases U_s, U_t of k of them have the principal angles arccos of the singular values of U_s^T U_t, and overlap

    overlap = |U_s^T U_t|_F^2 / k        1 for one subspace, 0 for orthogonal ones, k / n by chance.

Over all S seeds, with the mean projector Pi = (1/S) sum_s U_s U_s^T, the directions that they share out among them are
the participation ratio of its eigenvalues, (tr Pi)^2 / tr Pi^2: k where all subspaces are one, up to min(n, S k).

RFLO changes W by R^T Q (Prop. 3.1): with one R for all seeds the receiving subspaces are one, whatever the seeds learn;
with an R for each seed they are as far apart as random ones.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.streams import random_stream
from fastmodes.validation import check_choice, check_integer, check_number

from .checks import check_dataset, stored_configuration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastmodes.typing import FloatArray

SIDES = ("receiving", "sending")
#: Values of ``geometry_status``.
MEASURED, NO_CHANGE, LOWER_RANK, NOT_FINITE = range(4)
STATUS = ("measured", "no_change", "lower_rank", "not_finite")
#: Quantiles of what chance gives.
QUANTILES = (0.025, 0.5, 0.975)
#: Singular values below this share of the largest have no directions.
_ROUNDING = 1e-10
_MATRICES = {"recurrent": ("unit_to", "unit_from"), "input": ("unit", "channel")}


def change_geometry(
    runs: xr.Dataset,
    *,
    matrix: Literal["recurrent", "input"] = "recurrent",
    dimensions: int | None = None,
    energy: float | None = None,
    epoch: int | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """How the changes of W, or B, of different seeds lie to each other under each rule, beside chance.

    Parameters
    ----------
    runs : xarray.Dataset
        From :func:`fastmodes.train` with ``keep_weights=True``; or from :func:`rank`, whose factors tell the changes of
        RFLO.
    matrix : {"recurrent", "input"}
    dimensions : int, optional
        k, leading singular vectors that span a change's subspaces; default n_out, what RFLO is confined to.
    energy : float, optional
        In place of ``dimensions``: as many as hold this share of sum s^2 in the median over all runs.
    epoch : int, optional
        The recorded epoch nearest to it; default: the last. Changes are those since the first record.
    draws : int
        Random subspaces, in pairs, of which the quantiles of chance are taken.
    seed : int
        Of these.

    Returns
    -------
    xarray.Dataset
        For every pair of seeds (rule, seed, other_seed, side), ``side`` being "receiving" or "sending" units:
        ``seed_angle`` (.., angle), in radians, increasing, and ``overlap``; ``change_cosine`` (rule, seed, other_seed)
        of the whole changes; ``shared_directions`` (rule, side), the participation ratio over all seeds. By chance, at
        the quantiles 0.025, 0.5 and 0.975: ``chance_angle`` (quantile, side, angle), ``chance_overlap``,
        ``chance_directions`` (quantile, side), ``chance_cosine`` (quantile), the last in closed form. Runs without a
        change, with a change of fewer than k directions or without numbers are NaN, as is a seed with itself, and
        ``geometry_status`` (rule, seed) says so. ``shared_feedback`` tells whether all seeds have one R.

    Raises
    ------
    TypeError, ValueError
        If the runs hold neither weights nor factors, or a parameter is out of range.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.random_teacher(4, n_out=1, n_in=2, seed=0)
    >>> r = fm.random_feedback(fm.random_student(8, teacher, scale=1.0, seed=0), scale=1.0, seed=0)
    >>> given = dict(hidden=8, seeds=6, epochs=200, steps=10, learning_rate=0.02, updates="expected",
    ...              init_scale=0.5, keep_weights=True, progress=False)
    >>> for feedbacks in (r, None):
    ...     found = fm.analysis.change_geometry(fm.train("rflo", teacher, feedbacks=feedbacks, **given))
    ...     print(round(float(found.overlap.sel(side="receiving").median()), 2))
    1.0
    0.09
    """
    check_choice("matrix", matrix, tuple(_MATRICES))
    changes = _changes(runs, matrix, epoch)
    rows, columns = changes.shape[-2:]
    most = min(rows, columns)
    if energy is not None and dimensions is not None:
        raise ValueError(f"energy must be left out where dimensions are given; got {energy} and {dimensions}")
    share = None if energy is None else check_number("energy", energy, above=0.0, high=1.0)
    if dimensions is not None:
        dimensions = check_integer("dimensions", dimensions, 1, most)
    draws, seed = check_integer("draws", draws, 10, 1_000_000), check_integer("seed", seed, 0, 2**63 - 1)
    status, parts = _decomposed(changes)
    k = dimensions or (_of_energy(parts[1][status == MEASURED], share) if share else min(runs.sizes["output"], most))
    lower = (status == MEASURED) & ~(parts[1][..., k - 1] > _ROUNDING * parts[1][..., 0])
    status = np.where(lower, LOWER_RANK, status).astype(np.int8)
    out = _pairs(status, [parts[0][..., :k], parts[2].swapaxes(-1, -2)[..., :k]], changes)
    out |= _chance((rows, columns), k, len(runs["seed"]), draws, seed)
    out["geometry_status"] = ("rule", "seed"), status, flag_attributes(STATUS)
    out["shared_feedback"] = (), _shared(runs), flag_attributes(("own", "shared"))
    dataset = xr.Dataset(
        out,
        coords={
            "rule": runs["rule"].values, "seed": runs["seed"].values, "other_seed": runs["seed"].values,
            "side": list(SIDES), "angle": np.arange(k), "quantile": list(QUANTILES),
        },
    )  # fmt: skip
    return annotate(
        dataset, title=f"Changes of {'W' if matrix == 'recurrent' else 'B'} of pairs of seeds, {k} directions",
        configuration={
            "command": "change_geometry", "matrix": matrix, "dimensions": k, "energy": share, "draws": draws,
            "seed": seed, "training": stored_configuration(runs),
        },
    )  # fmt: skip


def _changes(runs: xr.Dataset, matrix: str, epoch: int | None) -> FloatArray:
    """Changes (rule, seed, row, column) since the first record."""
    check_dataset(runs, name="runs")
    name, factor = f"{matrix}_weights", f"factor_{matrix}"
    if name not in runs and factor not in runs:
        check_dataset(runs, (name,), name="runs")
    check_dataset(runs, ("feedback_weights", "rule", "seed"), ("rule", "seed", "epoch", "output"), name="runs")
    place = -1
    if epoch is not None:
        wanted = check_integer("epoch", epoch, 0)
        place = int(np.abs(runs["epoch"].values - wanted).argmin())
    ordered = runs if name in runs else runs.isel(epoch=[place])
    first = int(np.argmin(runs["epoch"].values))
    place = int(np.argmax(runs["epoch"].values)) if epoch is None else place
    if name in runs:
        weights = ordered[name].transpose("rule", "seed", "epoch", *_MATRICES[matrix]).values
        change: FloatArray = weights[:, :, place] - weights[:, :, first]
        return change
    own = "unit" if matrix == "recurrent" else "channel"
    factors = runs[factor].isel(epoch=place).transpose("rule", "seed", "output", own).values
    r = runs["feedback_weights"].transpose("seed", "output", "unit").values
    return np.asarray(r.swapaxes(-1, -2) @ factors)


def _decomposed(changes: FloatArray) -> tuple[NDArray[Any], tuple[FloatArray, FloatArray, FloatArray]]:
    """Whether there is a change, and its singular value decomposition."""
    finite: Any = np.isfinite(changes).all((-2, -1))
    known = np.where(finite[..., np.newaxis, np.newaxis], changes, 0.0)
    u, s, v = np.linalg.svd(known, full_matrices=False)
    return np.select([~finite, s[..., 0] == 0], [NOT_FINITE, NO_CHANGE], MEASURED), (u, s, v)


def _of_energy(singular: FloatArray, share: float) -> int:
    """Directions that hold a share of the energy, in the median over runs."""
    if not len(singular):
        return 1
    energy = np.cumsum((singular / singular[:, :1]) ** 2, axis=1)
    counts = (energy < share * energy[:, -1:] * (1 - 1e-12)).sum(axis=1) + 1
    return int(np.ceil(np.median(counts)))


def _shared(runs: xr.Dataset) -> NDArray[np.int8]:
    r = runs["feedback_weights"].transpose("seed", ...).values
    return np.array(len(r) > 1 and np.array_equal(r, np.broadcast_to(r[:1], r.shape)), dtype=np.int8)


def _pairs(status: NDArray[Any], bases: list[FloatArray], changes: FloatArray) -> dict[str, Any]:
    """Angles, overlaps and cosines of every pair of seeds; shared directions of all."""
    rules, seeds = status.shape
    k = bases[0].shape[-1]
    angles = np.full((rules, seeds, seeds, len(SIDES), k), np.nan)
    overlap, cosine = np.full(angles.shape[:-1], np.nan), np.full((rules, seeds, seeds), np.nan)
    directions = np.full((rules, len(SIDES)), np.nan)
    for rule in range(rules):
        known = np.flatnonzero(status[rule] == MEASURED)
        for side, basis in enumerate(bases):
            if len(known):
                directions[rule, side] = shared_directions(basis[rule, known])
            for i, j in itertools.combinations(known, 2):
                angles[rule, i, j, side] = angles[rule, j, i, side] = angles_between(basis[rule, i], basis[rule, j])
                overlap[rule, i, j, side] = overlap[rule, j, i, side] = _overlap(basis[rule, i], basis[rule, j])
        for i, j in itertools.combinations(known, 2):
            one, other = (changes[rule, s] / np.linalg.norm(changes[rule, s]) for s in (i, j))
            cosine[rule, i, j] = cosine[rule, j, i] = (one * other).sum()
    pair = ("rule", "seed", "other_seed")
    return {
        "seed_angle": ((*pair, "side", "angle"), angles), "overlap": ((*pair, "side"), overlap),
        "change_cosine": (pair, cosine), "shared_directions": (("rule", "side"), directions),
    }  # fmt: skip


def angles_between(one: FloatArray, other: FloatArray) -> FloatArray:
    """Principal angles between two orthonormal bases (row, direction), increasing."""
    from scipy.linalg import subspace_angles

    angles: FloatArray = np.sort(subspace_angles(one, other))
    return angles


def _overlap(one: FloatArray, other: FloatArray) -> float:
    return float(((one.T @ other) ** 2).sum() / one.shape[1])


def shared_directions(bases: FloatArray) -> float:
    """Participation ratio of the mean projector of orthonormal bases (run, row, direction)."""
    whole = np.concatenate(list(bases), axis=1)
    gram = whole.T @ whole
    return float(np.trace(gram) ** 2 / (gram**2).sum())


def _chance(shape: tuple[int, int], k: int, seeds: int, draws: int, seed: int) -> dict[str, Any]:
    """Quantiles for random subspaces of the same dimension, and for random directions of the same size."""
    from scipy.stats import beta

    stream = random_stream(seed, "subspaces")
    angles, overlaps, directions = [], [], []
    for n in shape:
        one, other = (random_bases(stream, draws, n, k) for _ in range(2))
        cosines = np.linalg.svd(one.swapaxes(1, 2) @ other, compute_uv=False)
        angles.append(np.quantile(np.arccos(np.minimum(cosines, 1.0)), QUANTILES, axis=0))
        overlaps.append(np.quantile((cosines**2).mean(axis=1), QUANTILES))
        sets = [shared_directions(random_bases(stream, seeds, n, k)) for _ in range(min(draws, 500))]
        directions.append(np.quantile(sets, QUANTILES))
    freedom = (shape[0] * shape[1] - 1) / 2
    cosine = 2 * beta.ppf(QUANTILES, freedom, freedom) - 1 if freedom > 0 else np.array([-1.0, 0.0, 1.0])
    return {
        "chance_angle": (("quantile", "side", "angle"), np.stack(angles, axis=1)),
        "chance_overlap": (("quantile", "side"), np.stack(overlaps, axis=1)),
        "chance_directions": (("quantile", "side"), np.stack(directions, axis=1)),
        "chance_cosine": ("quantile", cosine),
    }


def random_bases(stream: np.random.Generator, count: int, n: int, k: int) -> FloatArray:
    """Orthonormal bases of uniformly random subspaces, (count, n, k)."""
    bases: FloatArray = np.linalg.qr(stream.standard_normal((count, n, k)))[0]
    return bases
