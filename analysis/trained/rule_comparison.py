"""Rules compared where they are comparable: at the same epoch, or where each has come to the same loss."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.validation import check_array, check_choice, shown

from .checks import check_dataset, stored_configuration
from .intervals import median_interval
from .paired import holm, paired_test
from .passages import PASSAGES, REACHED, at_epoch, at_loss, loss_levels

if TYPE_CHECKING:
    from fastmodes.typing import ArrayLike, FloatArray

    from .passages import Passages

#: Levels where none are asked for.
_LEVELS = 5
_ALONG = ("rule", "seed", "epoch")


def compare_rules(
    runs: xr.Dataset,
    quantity: str = "gradient_cosine",
    *,
    at: Literal["loss", "epoch"] = "loss",
    levels: ArrayLike | None = None,
    loss: str = "loss",
) -> xr.Dataset:
    """Compare rules by a quantity at equal loss or at equal epoch, seed by seed.

    At equal loss, the quantity of every run is taken where its loss first falls to the level, between two records as if
    the loss fell exponentially: with L_{k-1} > level >= L_k,

        f = log(L_{k-1} / level) / log(L_{k-1} / L_k),    value = (1 - f) q_{k-1} + f q_k.

    Runs that never come to a level, or begin below it, are counted and left out. At equal epoch it is linear between
    records. Rules share seeds, so that differences are paired: ``p_value`` is that of the mean difference under flips
    of signs, all 2^n of them up to 13 pairs; ``p_value_holm`` corrects it for all pairs of rules at one level (Holm
    1979).

    Parameters
    ----------
    runs : xarray.Dataset
        From :func:`fastmodes.train` or :func:`gradient_quality`, with the quantity and, for ``at="loss"``, a loss.
    quantity : str
        Any variable on (rule, seed, epoch): "gradient_cosine", "gradient_bias", "alignment_recurrent", ...; of those
        with further dims select one, such as ``runs.sel(matrix="recurrent")``.
    at : {"loss", "epoch"}
    levels : array, optional
        Losses or epochs; default: five losses that half the runs of every rule pass, or five recorded epochs.
    loss : str
        Which loss: "loss", "validation_loss" (smoother where training is sampled) or "training_loss".

    Returns
    -------
    xarray.Dataset
        On ``level``: ``value``, ``passage_epoch``, ``passage_status`` (rule, seed), whether each run has come there;
        ``median_value`` with ``median_low``, ``median_high`` (95 %, bootstrap over seeds) of ``runs_used`` (rule); of
        the differences rule - other_rule in ``pairs_used`` seeds that have both, ``median_difference`` with
        ``difference_low``, ``difference_high``, ``p_value`` and ``p_value_holm`` (rule, other_rule).

    Raises
    ------
    TypeError, ValueError
        If the runs do not hold the quantity or the loss, or an epoch lies outside of the recorded ones.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
    >>> runs = fm.train(["tbptt(1)", "rflo"], teacher, hidden=6, seeds=6, epochs=400, steps=10, learning_rate=0.02,
    ...                 updates="expected", init_scale=0.5, gradient_quality=True, progress=False)
    >>> compared = fm.analysis.compare_rules(runs, levels=[0.5])
    >>> compared.p_value.sel(rule="RFLO", other_rule="tBPTT(1)").values.tolist()
    [0.21875]
    """
    for name, value in (("quantity", quantity), ("loss", loss)):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be the name of a variable of runs; got {shown(value)}")
    check_dataset(runs, (quantity, *_ALONG), _ALONG, name="runs")
    values = _ordered(runs, quantity)
    epochs = runs["epoch"].values
    if not (np.diff(epochs) > 0).all():
        runs = runs.sortby("epoch")
        epochs, values = runs["epoch"].values, _ordered(runs, quantity)
    if check_choice("at", at, ("loss", "epoch")) == "epoch":
        places = _epochs(levels, epochs)
        found = at_epoch(places, values, epochs)
    else:
        check_dataset(runs, (loss,), name="runs")
        losses = _ordered(runs, loss)
        places = loss_levels(losses, _LEVELS) if levels is None else _losses(levels)
        found = at_loss(places, losses, values, epochs)
    long_name = "epoch" if at == "epoch" else runs[loss].attrs.get("long_name", loss)
    label = str(runs[quantity].attrs.get("long_name", quantity))
    out = _compared(found, [str(name) for name in runs["rule"].values], label)
    out = out.assign_coords(
        rule=runs["rule"].values, other_rule=runs["rule"].values, seed=runs["seed"].values,
        level=("level", places, {"long_name": str(long_name), "units": "1"}),
    )  # fmt: skip
    return annotate(
        out, title=f"Rules compared at equal {at}: {label}",
        configuration={
            "command": "compare_rules", "quantity": quantity, "at": at, "loss": loss,
            "training": stored_configuration(runs),
        },
    )  # fmt: skip


def _ordered(runs: xr.Dataset, name: str) -> FloatArray:
    """A variable as numbers (rule, seed, epoch), NaN where it is none."""
    variable = runs[name]
    if set(variable.dims) != set(_ALONG):
        more = [str(dim) for dim in variable.dims if dim not in _ALONG]
        raise ValueError(
            f"quantity must be a variable on {', '.join(_ALONG)}; {name!r} has {variable.dims}"
            + (f": select along {', '.join(more)}" if more else "")
        )
    values: FloatArray = variable.transpose(*_ALONG).values.astype(float)
    return np.where(np.isnan(values), np.nan, values)


def _epochs(levels: ArrayLike | None, epochs: Any) -> FloatArray:
    if levels is None:
        return np.unique(epochs[np.linspace(0, len(epochs) - 1, _LEVELS).round().astype(int)]).astype(float)
    places = _sorted(levels)
    if places[0] < epochs[0] or places[-1] > epochs[-1]:
        raise ValueError(
            f"levels must lie from {epochs[0]} to {epochs[-1]}, the recorded epochs; got {places.tolist()}"
        )
    return places


def _sorted(levels: ArrayLike) -> FloatArray:
    numbers = check_array("levels", levels)
    if numbers.ndim > 1 or not numbers.size:
        raise ValueError(f"levels must be a number or several along one axis; got shape {numbers.shape}")
    return np.unique(numbers)


def _losses(levels: ArrayLike) -> FloatArray:
    places = _sorted(levels)[::-1]
    if places[-1] < 0:
        raise ValueError(f"levels must be losses >= 0; got {places[-1]:.17g}")
    return np.ascontiguousarray(places)


def _compared(found: Passages, names: list[str], label: str) -> xr.Dataset:
    """Medians of rules, and differences of their pairs, at every level."""
    values = np.where(found.status == REACHED, found.value, np.nan)
    medians = np.array([[median_interval(runs) for runs in level] for level in values])
    out = xr.Dataset(
        {
            "value": (("level", "rule", "seed"), values, {"long_name": label}),
            "passage_epoch": (("level", "rule", "seed"), found.epoch),
            "passage_status": (("level", "rule", "seed"), found.status, flag_attributes(PASSAGES)),
            "runs_used": (("level", "rule"), np.isfinite(values).sum(-1)),
            **{
                name: (("level", "rule"), medians[..., place])
                for place, name in enumerate(("median_value", "median_low", "median_high"))
            },
        }
    )
    pairs = _pairs(values)
    return out.assign({name: (("level", "rule", "other_rule"), array) for name, array in pairs.items()})


def _pairs(values: FloatArray) -> dict[str, Any]:
    """Differences of every pair of rules at every level, (level, rule, other_rule); none of a rule with itself."""
    levels, rules, _ = values.shape
    names = ("median_difference", "difference_low", "difference_high", "p_value", "p_value_holm")
    out: dict[str, Any] = {name: np.full((levels, rules, rules), np.nan) for name in names}
    out["pairs_used"] = np.zeros((levels, rules, rules), dtype=np.int64)
    both = list(itertools.combinations(range(rules), 2))
    for level, at in enumerate(values):
        for i, j in both:
            middle, low, high = median_interval(at[i] - at[j])
            p, used = paired_test(at[i], at[j]), np.isfinite(at[i] - at[j]).sum()
            for place, numbers in (((level, i, j), (middle, low, high)), ((level, j, i), (-middle, -high, -low))):
                for name, number in zip(names[:3], numbers, strict=True):
                    out[name][place] = number
                out["p_value"][place], out["pairs_used"][place] = p, used
        if both:
            adjusted = holm([out["p_value"][level, i, j] for i, j in both])
            for (i, j), p in zip(both, adjusted, strict=True):
                out["p_value_holm"][level, i, j] = out["p_value_holm"][level, j, i] = p
    return out
