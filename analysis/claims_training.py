"""Claims about trained networks, from the datasets of the experiments: C5 to C7, C10."""

import numpy as np

from .experiments import LATE_START, final_loss
from .intervals import count_interval, median_interval
from .learned_rank import rank_measures, spectrum
from .learning_rates import power_of_gap
from .prediction import training_rules
from .verdicts import Claim, spread

#: A run has learned when its loss has fallen to this share of the initial loss.
LEARNED = 0.05
_PAPER_RULES = ("BPTT", "tBPTT(1)", "RFLO")
_ALIGNMENTS = ("recurrent", "readout", "input", "feedback")


def _rule(dataset, name):
    return dataset.sel(rule=name)


def unaligned_students(training, errors, sweep):
    """C5: theory fits unaligned students after a transient; networks align, feedback stays partly misaligned."""
    measured, numbers, checks = [], {}, {}
    for name in _PAPER_RULES:
        error = _rule(errors, name)
        late = error.sel(epoch=LATE_START / 0.005, method="nearest")
        first = error.isel(epoch=0)
        medians = late["theory_error"].median("seed").values
        still = late["standstill_error"].median("seed").values
        row = {
            "first": [median_interval(first["theory_error"].sel(mode=m)) for m in first["mode"].values],
            "late": [median_interval(late["theory_error"].sel(mode=m)) for m in late["mode"].values],
            "standstill": still.tolist(),
            "left_domain": int((error["prediction_status"] == 1).sum()),
        }
        ends = {
            kind: median_interval(_rule(training, name)[f"alignment_{kind}"].isel(epoch=-1)) for kind in _ALIGNMENTS
        }
        starts = {
            kind: float(_rule(training, name)[f"alignment_{kind}"].isel(epoch=0).median()) for kind in _ALIGNMENTS[:3]
        }
        numbers[name] = row | {"alignment": ends, "alignment_start": starts}
        measured.append(
            f"{name}, theory error of modes 1 to 4, started at epoch 0: "
            + ", ".join(spread(v) for v in row["first"])
            + f"; at epoch {int(late['epoch'])}: "
            + ", ".join(spread(v) for v in row["late"])
            + " (standing still from there: "
            + ", ".join(f"{v:.2g}" for v in still)
            + ")."
        )
        aligned = ", ".join(f"{kind} {spread(ends[kind])}" for kind in _ALIGNMENTS if np.isfinite(ends[kind][0]))
        measured.append(f"{name}, alignment at the end: {aligned}.")
        measured.append(f"{name}, {_overtaken(error)}")
        early = np.array([v[0] for v in row["first"]])
        checks[f"{name}: fits after a transient"] = bool(
            (medians[:2] < 0.5 * early[:2]).all() and (medians < still).all()
        )
        checks[f"{name}: largest two best"] = bool(medians[:2].max() < medians[2:].min())
        checks[f"{name}: aligns"] = ends["recurrent"][0] > 0.9 and min(ends["readout"][0], ends["input"][0]) > 0.95
    feedback = numbers["RFLO"]["alignment"]["feedback"]
    checks["feedback stays partly misaligned"] = feedback[2] < 0.95
    robust, text = _theory_over_choices(sweep)
    measured.append(text)
    return Claim(
        "C5",
        "Students that are not aligned: theory started after a brief transient fits, the two largest modes best; "
        "recurrent and "
        "input/output alignment rise to almost 1, feedback stays partly misaligned. The same for BPTT and tBPTT.",
        tuple(measured),
        checks,
        "Figs. 5, 8, 9",
        numbers | {"variations": robust},
        "Medians over seeds with 95 % bootstrap intervals. A standing-still prediction tells how much there was "
        "left to predict.",
    )


def _overtaken(error):
    """From which start epoch on the prediction that nothing changes is the better one, for most modes."""
    better = (error["theory_error"].median("seed") < error["standstill_error"].median("seed")).mean("mode") > 0.5
    last = error["epoch"].values[better.values]
    return (
        f"started up to epoch {int(last[-1])} the theory predicts most modes better than standing still; later nothing "
        "changes but noise."
        if last.size
        else "standing still predicts better than the theory from every epoch."
    )


def _theory_over_choices(sweep):
    """In how many variations of our choices the late theory error is below the early one, per rule."""
    kept = sweep["theory_error"].sel(mode=[0, 1]).mean("mode").median("seed")
    better = kept.isel(start=1) < kept.isel(start=0)
    learned = (final_loss(sweep) < LEARNED * _start_loss()).mean("seed") >= 0.5
    rows = {
        str(name): (int((better & learned).sel(rule=name).sum()), int(learned.sel(rule=name).sum()))
        for name in sweep["rule"].values
    }
    total = sweep.sizes["variation"]
    text = (
        f"Over {total} variations of w_hat, initial scale, rate and R's scale, the late start is the better one in: "
        + ", ".join(f"{name} {count} of the {of} in which most runs learn" for name, (count, of) in rows.items())
    )
    return rows, text + "."


def _start_loss():
    """Loss of the four-mode teacher against a silent student: 1/2 sum 1 / (1 - w*^2)."""
    from fastmodes.presets import FOUR_MODES

    return float(0.5 * (1 / (1 - np.array(FOUR_MODES) ** 2)).sum())


def rank_of_changes(rank, family, proposition, sweep):
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
    checks["RFLO at most n_out"] = float(bound.sel(optimizer=["SGD", "SGD, clipped"]).max()) < 1e-9 and largest < 1e-2
    checks["BPTT highest"] = all(ratio["BPTT"][1] > ratio[k][2] for k in ratio if k != "BPTT")
    checks["tBPTT close to RFLO"] = ratio["tBPTT(1)"][0] < 1.5
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
    checks["more rank, less loss"] = correlation < -0.3
    checks["more rank, less loss within a rule"] = inside < -0.3
    answer, text = _what_limits(family)
    measured.append(text)
    order, stable = _rank_over_choices(sweep)
    measured.append(stable)
    checks["this order whatever our choices"] = min(order.values()) >= 0.8 * sweep.sizes["variation"]
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


def _rank_and_loss(family):
    from scipy.stats import spearmanr

    ratio = family["participation_ratio"].isel(epoch=-1).sel(matrix="recurrent")
    loss = final_loss(family)
    kept = np.isfinite(ratio) & np.isfinite(loss)
    overall = float(spearmanr(ratio.values[kept.values], loss.values[kept.values]).statistic)
    within = []
    for name in family["rule"].values:
        good = kept.sel(rule=name).values
        x, y = ratio.sel(rule=name).values[good], loss.sel(rule=name).values[good]
        if good.sum() > 5 and np.ptp(x) > 1e-6:
            within.append(float(spearmanr(x, y).statistic))
    return overall, float(np.median(within)) if within else np.nan


def _what_limits(family):
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


def _explained(family):
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


def _rank_over_choices(sweep):
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


def convergence_counts(convergence, rank, sweep):
    """C7: how many runs converge."""

    def counted(dataset):
        kept = dataset["status"] != 2
        return {str(n): (int(kept.sel(rule=n).sum()), dataset.sizes["seed"]) for n in dataset["rule"].values}

    pushed, gentle = counted(convergence), counted(rank)
    low = final_loss(convergence) < LEARNED * convergence["validation_loss"].isel(epoch=0)
    learned = {str(n): int(low.sel(rule=n).sum()) for n in convergence["rule"].values}

    def words(counts):
        parts = []
        for name, (count, total) in counts.items():
            low, high = count_interval(count, total)
            parts.append(f"{name} {count} of {total} [{100 * low:.0f} to {100 * high:.0f} %]")
        return ", ".join(parts)

    lost = {
        str(v): {str(n): int((sweep["status"].sel(variation=v, rule=n) == 2).sum()) for n in sweep["rule"].values}
        for v in sweep["variation"].values
    }
    some = {v: row for v, row in lost.items() if any(row.values())}
    where = "; ".join(f"{v}: " + ", ".join(f"{n} {c}" for n, c in row.items() if c) for v, row in some.items())
    rules_lost = {name for row in some.values() for name, count in row.items() if count}
    local = min(pushed[n][0] for n in ("BPTT", "tBPTT(1)"))
    return Claim(
        "C7",
        "RFLO and e-prop are less stable in training: of 20 runs 13 and 12 converged, of BPTT and tBPTT all.",
        (
            f"Rate 0.015, w_hat 0.9, runs that do not diverge: {words(pushed)}; their loss ends below {LEARNED:g} "
            "of its start "
            "in " + ", ".join(f"{n} {c}" for n, c in learned.items()) + ".",
            f"Rate 0.001, w_hat 0.5, runs that do not diverge: {words(gentle)}.",
            f"Diverged runs of {sweep.sizes['seed']} in {sweep.sizes['variation']} variations around rate 0.001: "
            f"{where or 'none'}.",
        ),
        {
            "BPTT and tBPTT always converge": local == convergence.sizes["seed"],
            "RFLO loses runs": pushed["RFLO"][0] < local,
            "e-prop loses runs": pushed["e-prop"][0] < local,
            "also at the gentle rate": max(gentle[n][0] for n in ("RFLO", "e-prop")) < rank.sizes["seed"],
        },
        "Fig. 6, Sec. 3.6",
        {"pushed": pushed, "gentle": gentle, "learned": learned, "variations": lost, "rules_lost": sorted(rules_lost)},
        "Proportions with 95 % Wilson intervals. How many runs are lost depends on the learning rate: compare the "
        "rows.",
    )  # fmt: skip


def learning_rate_claim(limits):
    """C10: the largest stable learning rate follows mode theory."""
    off = np.abs(limits["measured_rate"] / limits["predicted_rate"] - 1)
    worst = {str(n): float(off.sel(rule=n).max()) for n in limits["rule"].values}
    powers = {n: power_of_gap(limits, "measured_rate", n) for n in ("BPTT", "tBPTT(1)")}
    network = limits["network_measured_rate"] / limits["network_predicted_rate"]
    ratios = {str(n): [float(v) for v in network.sel(rule=n).values if np.isfinite(v)] for n in limits["rule"].values}
    measured = [
        "One unit near (w*, 1, 1), largest deviation from 2/|lambda|: "
        + ", ".join(f"{n} {100 * v:.2f} %" for n, v in worst.items()) + ".",
        f"For w* from 0.8 on the limit falls like (1 - w*^2)^k, k = {powers['BPTT']:.2f} for BPTT and "
        f"{powers['tBPTT(1)']:.2f} for tBPTT(1).",
    ]  # fmt: skip
    checks = {
        "2/|lambda| in one unit": max(worst.values()) < 0.02,
        "BPTT cubic": abs(powers["BPTT"] - 3) < 0.3,
        "tBPTT square": abs(powers["tBPTT(1)"] - 2) < 0.3,
    }
    for name, values in ratios.items():
        if values:
            measured.append(
                f"Whole networks from small weights, {name}: measured over predicted limit {min(values):.2f} to "
                f"{max(values):.2f}."
            )
            checks[f"networks, {name}"] = min(values) > 0.75 and max(values) < 1.33
    return Claim(
        "C10",
        "Ours: training is stable up to the rate 2/|lambda| of mode theory, which falls like (1 - w*^2)^3 for "
        "BPTT and like "
        "(1 - w*^2)^2 for tBPTT(1): local rules allow larger steps for slow modes.",
        tuple(measured),
        checks,
        "beyond the paper",
        {"deviation": worst, "powers": powers, "networks": ratios},
        "e-prop reads the diagonal of W and has no exact modes outside of the neuron basis: there its limit is "
        "only a guess.",
    )
