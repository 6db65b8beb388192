"""Claims about trained networks, from the datasets of the experiments: C5, C7, C10."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from ..trained.intervals import count_interval, median_interval
from ..trained.learning_rates import power_of_gap
from . import thresholds
from .experiments import after_transient, final_loss, transient
from .verdicts import Claim, spread

if TYPE_CHECKING:
    import xarray as xr


_PAPER_RULES = ("BPTT", "tBPTT(1)", "RFLO")
_ALIGNMENTS = ("recurrent", "readout", "input", "feedback")


def _rule(dataset: xr.Dataset, name: str) -> xr.Dataset:
    return dataset.sel(rule=name)


def unaligned_students(training: xr.Dataset, errors: xr.Dataset, sweep: xr.Dataset) -> Claim:
    """C5: theory fits unaligned students after a transient; networks align, feedback stays partly misaligned."""
    measured, numbers, checks = [], {}, {}
    rate = json.loads(training.attrs["configuration"])["learning_rate"]
    for name in _PAPER_RULES:
        error = _rule(errors, name)
        late = error.sel(epoch=transient(name) / rate, method="nearest")
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
            (medians[:2] < thresholds.FITS * early[:2]).all() and (medians < still).all()
        )
        checks[f"{name}: largest two best"] = bool(medians[:2].max() < medians[2:].min())
        checks[f"{name}: aligns"] = (
            ends["recurrent"][0] > thresholds.RECURRENT_ALIGNS
            and min(ends["readout"][0], ends["input"][0]) > thresholds.ENDS_ALIGN
        )
    feedback = numbers["RFLO"]["alignment"]["feedback"]
    checks["feedback stays partly misaligned"] = feedback[2] < thresholds.MISALIGNED
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


def _overtaken(error: xr.Dataset) -> str:
    """From which start epoch on the prediction that nothing changes is the better one, for most modes."""
    better = (error["theory_error"].median("seed") < error["standstill_error"].median("seed")).mean(
        "mode"
    ) > thresholds.MOST
    last = error["epoch"].values[better.values]
    return (
        f"started up to epoch {int(last[-1])} the theory predicts most modes better than standing still; later nothing "
        "changes but noise."
        if last.size
        else "standing still predicts better than the theory from every epoch."
    )


def _theory_over_choices(sweep: xr.Dataset) -> tuple[dict[str, tuple[int, int]], str]:
    """In how many variations of our choices the late theory error is below the early one, per rule."""
    kept = sweep["theory_error"].sel(mode=[0, 1]).mean("mode").median("seed")
    better = after_transient(kept) < kept.isel(start=0)
    learned = (final_loss(sweep) < thresholds.LEARNED * _start_loss()).mean("seed") >= thresholds.MOST
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


def _start_loss() -> float:
    """Loss of the four-mode teacher against a silent student: 1/2 sum 1 / (1 - w*^2)."""
    from fastmodes.presets import FOUR_MODES

    return float(0.5 * (1 / (1 - np.array(FOUR_MODES) ** 2)).sum())


def convergence_counts(convergence: xr.Dataset, rank: xr.Dataset, sweep: xr.Dataset) -> Claim:
    """C7: how many runs converge."""

    def counted(dataset: xr.Dataset) -> dict[str, tuple[int, int]]:
        kept = dataset["status"] != 2
        return {str(n): (int(kept.sel(rule=n).sum()), dataset.sizes["seed"]) for n in dataset["rule"].values}

    pushed, gentle = counted(convergence), counted(rank)
    low = final_loss(convergence) < thresholds.LEARNED * convergence["validation_loss"].isel(epoch=0)
    learned = {str(n): int(low.sel(rule=n).sum()) for n in convergence["rule"].values}

    def words(counts: dict[str, tuple[int, int]]) -> str:
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
            f"Rate 0.015, w_hat 0.9, runs that do not diverge: {words(pushed)}; their loss ends below "
            f"{thresholds.LEARNED:g} of its start in " + ", ".join(f"{n} {c}" for n, c in learned.items()) + ".",
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


def learning_rate_claim(limits: xr.Dataset) -> Claim:
    """C10: the largest stable learning rate follows mode theory."""
    off: xr.DataArray = abs(limits["measured_rate"] / limits["predicted_rate"] - 1)
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
        "2/|lambda| in one unit": max(worst.values()) < thresholds.UNIT_LIMIT,
        "BPTT cubic": abs(powers["BPTT"] - 3) < thresholds.POWER,
        "tBPTT square": abs(powers["tBPTT(1)"] - 2) < thresholds.POWER,
    }
    for name, values in ratios.items():
        if values:
            measured.append(
                f"Whole networks from small weights, {name}: measured over predicted limit {min(values):.2f} to "
                f"{max(values):.2f}."
            )
            checks[f"networks, {name}"] = min(values) > thresholds.NETWORK_LOW and max(values) < thresholds.NETWORK_HIGH
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
