"""The claim about the rank of what is learned, C6."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..trained.checks import training_rules
from ..trained.intervals import median_interval
from ..trained.learned_rank import rank_measures, spectrum
from . import thresholds
from .experiments import final_loss
from .verdicts import Claim, spread

if TYPE_CHECKING:
    from typing import Any

    import xarray as xr


def rank_of_changes(rank: xr.Dataset, family: xr.Dataset, proposition: xr.Dataset, sweep: xr.Dataset) -> Claim:
    """C6: rank of the learned change by rule; does more rank go with better performance?"""
    measured, checks = [], {}
    at_end = rank.isel(epoch=-1).sel(matrix="recurrent")
    ratio, effective = {}, {}
    for name in rank["rule"].values:
        ratio[str(name)] = median_interval(at_end["participation_ratio"].sel(rule=name))
        effective[str(name)] = median_interval(at_end["effective_rank"].sel(rule=name))
    measured.append(
        "Participation ratio of the change of W: " + ", ".join(f"{k} {spread(v)}" for k, v in ratio.items()) + "."
    )
    measured.append("Effective rank: " + ", ".join(f"{k} {spread(v)}" for k, v in effective.items()) + ".")
    second = rank["change_singular_value"].isel(unit=1) / rank["change_singular_value"].isel(unit=0)
    largest = float(second.sel(rule="RFLO").isel(epoch=slice(1, None)).max())
    measured.append(
        f"RFLO, one output, Adam: second singular value at most {largest:.1e} of the first, at any recorded epoch."
    )
    bound = proposition["outside_factors"].isel(epoch=slice(1, None)).max(["rule", "seed", "epoch", "matrix"])
    ranks = proposition["numeric_rank"].isel(epoch=-1).sel(matrix="recurrent").median(["rule", "seed"])
    measured.append(
        "RFLO, two outputs: share of the change outside R^T Q at worst "
        + ", ".join(
            f"{float(bound.sel(optimizer=o)):.1e} (rank {float(ranks.sel(optimizer=o)):.0f}) under {o}"
            for o in bound["optimizer"].values
        )
        + "."
    )
    imaginary = float(spectrum(rank)["eigenvalue_imaginary_share"].sel(rule="BPTT").median())
    measured.append(
        f"Largest imaginary part of the change's eigenvalues over their largest modulus, BPTT: {imaginary:.2f}."
    )
    outside = float(bound.sel(optimizer=["SGD", "SGD, clipped"]).max())
    checks["RFLO at most n_out"] = outside < thresholds.OUTSIDE and largest < thresholds.SECOND
    checks["BPTT highest"] = all(ratio["BPTT"][1] > ratio[k][2] for k in ratio if k != "BPTT")
    checks["tBPTT close to RFLO"] = ratio["tBPTT(1)"][0] < thresholds.CLOSE_TO_ONE
    checks["e-prop between tBPTT and BPTT"] = ratio["tBPTT(1)"][0] < ratio["e-prop"][0] < ratio["BPTT"][0]
    loss = final_loss(rank)
    losses = {str(name): median_interval(loss.sel(rule=name)) for name in rank["rule"].values}
    measured.append("Final validation loss: " + ", ".join(f"{k} {spread(v)}" for k, v in losses.items()) + ".")
    correlation, inside = _rank_and_loss(family)
    measured.append(
        f"Rank correlation of participation ratio and loss over the family's {family.sizes['rule']} rules x "
        f"{family.sizes['seed']} seeds: {correlation:.2f} (negative: more rank, less loss); over seeds within one "
        "rule, "
        f"median {inside:.2f}."
    )
    checks["more rank, less loss"] = correlation < thresholds.GOES_WITH
    checks["more rank, less loss within a rule"] = inside < thresholds.GOES_WITH
    answer, text = _what_limits(family)
    measured.append(text)
    order, stable = _rank_over_choices(sweep)
    measured.append(stable)
    checks["this order whatever our choices"] = min(order.values()) >= thresholds.WHATEVER * sweep.sizes["variation"]
    return Claim(
        "C6",
        "The change of W that RFLO learns has rank n_out; tBPTT's is similar, e-prop's lies between, BPTT's is "
        "highest. More rank "
        "tends to go with better performance.",
        tuple(measured),
        checks,
        "Figs. 6, 10, Prop. 3.1",
        {"participation_ratio": ratio, "effective_rank": effective, "loss": losses, "correlation": correlation,
         "correlation_within": inside, "family": answer, "variations": order, "imaginary_share": imaginary},
        "Medians over seeds with 95 % bootstrap intervals. The fixed diagonal has unlike entries from 0 to 1 that "
        "do not learn: "
        "it shows whether e-prop's rank comes from unlike time constants or from their learning.",
    )  # fmt: skip


def _rank_and_loss(family: xr.Dataset) -> tuple[float, float]:
    from scipy.stats import spearmanr

    ratio = family["participation_ratio"].isel(epoch=-1).sel(matrix="recurrent")
    loss = final_loss(family)
    kept: Any = np.isfinite(ratio) & np.isfinite(loss)
    overall = float(spearmanr(ratio.values[kept.values], loss.values[kept.values]).statistic)
    within = []
    for name in family["rule"].values:
        good = kept.sel(rule=name).values
        x, y = ratio.sel(rule=name).values[good], loss.sel(rule=name).values[good]
        if good.sum() > thresholds.ENOUGH_RUNS and np.ptp(x) > thresholds.VARIES:
            within.append(float(spearmanr(x, y).statistic))
    return overall, float(np.median(within)) if within else np.nan


def _what_limits(family: xr.Dataset) -> tuple[dict[str, Any], str]:
    """Median participation ratio by feedback and propagator."""
    at_end = family.isel(epoch=-1).sel(matrix="recurrent")["participation_ratio"].median("seed")
    loss = final_loss(family).median("seed")
    rows = {str(n): (float(at_end.sel(rule=n)), float(loss.sel(rule=n))) for n in family["rule"].values}
    words = ", ".join(f"{name} {ratio:.2f} (loss {value:.1e})" for name, (ratio, value) in rows.items())
    propagator, feedback = _explained(family)
    return rows | {"explained by propagator": propagator, "explained by feedback": feedback}, (
        f"Every combination of feedback and propagator, participation ratio: {words}. Of the variance of its "
        "logarithm over "
        f"the combinations, the propagator explains {100 * propagator:.0f} %, the feedback {100 * feedback:.0f} %."
    )


def _explained(family: xr.Dataset) -> tuple[float, float]:
    """Shares of the variance of the median log ratio, over both feedbacks x four propagators, that each explains."""
    rules = [rule for rule in training_rules(family) if rule.horizon is None]
    at_end = family.isel(epoch=-1).sel(matrix="recurrent")["participation_ratio"].median("seed")
    feedbacks, propagators = (sorted({getattr(r, f) for r in rules}) for f in ("feedback", "propagator"))
    values = np.empty((len(feedbacks), len(propagators)))
    for rule in rules:
        place = feedbacks.index(rule.feedback), propagators.index(rule.propagator)
        values[place] = np.log(float(at_end.sel(rule=rule.name)))
    whole = values.var()
    return float(values.mean(axis=0).var() / whole), float(values.mean(axis=1).var() / whole)


def _rank_over_choices(sweep: xr.Dataset) -> tuple[dict[str, int], str]:
    """Whether the order of the rules by rank holds in each variation."""
    ratio = rank_measures(sweep["change_singular_value"], dim="unit")["participation_ratio"].median("seed")
    get = {name: ratio.sel(rule=name) for name in ("BPTT", "tBPTT(1)", "RFLO", "e-prop")}
    orders = {
        "RFLO lowest": (get["RFLO"] <= get["tBPTT(1)"]) & (get["RFLO"] <= get["e-prop"]),
        "BPTT highest": (get["BPTT"] >= get["tBPTT(1)"]) & (get["BPTT"] >= get["e-prop"]),
        "tBPTT below e-prop": get["tBPTT(1)"] <= get["e-prop"],
    }
    counts = {name: int(holds.sum()) for name, holds in orders.items()}
    where = [str(v) for v in ratio["variation"].values[~orders["tBPTT below e-prop"].values]]
    text = f"Over {sweep.sizes['variation']} variations: " + ", ".join(f"{k} in {v}" for k, v in counts.items())
    return counts, text + (f"; tBPTT above e-prop at {', '.join(where)}." if where else ".")
