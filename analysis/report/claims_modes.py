"""Claims about single modes, which need no training: C1 to C4, C8, C9."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from fastmodes import Modes, bptt, eprop, flow, mode_update, rflo, tbptt

from ..theory.linear_stability import stability
from ..theory.manifolds import fixed_points
from . import thresholds
from .verdicts import Claim

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from fastmodes.typing import ArrayLike, FloatArray


_RULES = (bptt(), tbptt(1), rflo(0.5), eprop())
_TEACHER = Modes(0.7, 1.0, 1.0)


def _size(update: Iterable[ArrayLike]) -> FloatArray:
    return np.sqrt(sum(np.asarray(part) ** 2 for part in update))


def fixed_point_manifolds() -> Claim:
    """C1: the optimal manifold for all rules, the non-optimal line for readout feedback alone."""
    s = np.concatenate([-np.geomspace(0.2, 5, 40), np.geomspace(0.2, 5, 40)])
    goals, rows = np.array([0.3, 0.7, 0.9])[:, np.newaxis], {}
    for rule in _RULES:
        on = mode_update(rule, Modes(goals, s, 1 / s), Modes(goals, 1.0, 1.0), feedback=0.8)
        off = mode_update(rule, Modes(np.linspace(-0.9, 0.9, 41), 0.0, 0.0), Modes(goals, 1.0, 1.0), feedback=0.8)
        rows[rule.name] = (float(_size(on).max()), float(_size(off).max()), float(_size(off).min()))
    exact = fixed_points(_RULES, goals.ravel(), 1.0, 0.5).sel(manifold="non_optimal")["loss"].values
    loss_matches = np.allclose(exact, 1 / (2 * (1 - goals.ravel() ** 2)), rtol=thresholds.LINE_LOSS)
    local = max(rows["BPTT"][1], rows["tBPTT(1)"][1])
    random = min(rows["RFLO"][2], rows["e-prop"][2])
    return Claim(
        "C1",
        "All rules rest on the optimal manifold w = w*, a b = a* b*. BPTT and tBPTT also rest on the line a = b = "
        "0, where "
        "the loss stays at a*^2 b*^2 / (2 (1 - w*^2)) per mode; RFLO does not.",
        (
            f"Largest update on the optimal manifold, any rule: {max(row[0] for row in rows.values()):.1e}.",
            f"On a = b = 0: BPTT and tBPTT {local:.1e}; RFLO and e-prop at least {random:.2f}.",
        ),
        {
            "optimal manifold": max(row[0] for row in rows.values()) < thresholds.AT_REST,
            "non-optimal line": local < thresholds.ON_THE_LINE,
            "RFLO has none": random > thresholds.MOVES,
            "loss on the line": bool(loss_matches),
        },
        "Fig. 1",
        {"updates": rows},
    )


def vector_fields() -> Claim:
    """C2: BPTT and tBPTT flow alike, RFLO does not."""
    a, b, w = np.meshgrid(np.linspace(-1.5, 1.5, 31), np.linspace(-1.5, 1.5, 31), np.linspace(0, 0.9, 10))
    fields = {
        rule.name: np.stack(mode_update(rule, Modes(w.ravel(), a.ravel(), b.ravel()), _TEACHER, feedback=1.0))
        for rule in _RULES[:3]
    }

    def cosine(one: str, other: str) -> FloatArray:
        product = (fields[one] * fields[other]).sum(axis=0)
        norms = np.linalg.norm(fields[one], axis=0) * np.linalg.norm(fields[other], axis=0)
        cosines: FloatArray = product[norms > 0] / norms[norms > 0]
        return cosines

    truncated, random = cosine("BPTT", "tBPTT(1)"), cosine("BPTT", "RFLO")
    near = (np.maximum(np.abs(a), np.abs(b)) < thresholds.NEAR_ZERO).ravel()
    sizes = {name: float(np.linalg.norm(field[:, near], axis=0).max()) for name, field in fields.items()}
    return Claim(
        "C2",
        "The vector fields of BPTT and tBPTT are alike; RFLO's differs and lacks the non-optimal line that shapes "
        "the others "
        "near a = b = 0.",
        (
            f"Cosine with BPTT's field over a grid, median: tBPTT(1) {np.median(truncated):.3f}, "
            f"RFLO {np.median(random):.3f}; share of points where it is negative: {100 * (truncated < 0).mean():.1f} % "
            f"and {100 * (random < 0).mean():.1f} %.",
            f"Largest update at a = b = 0: BPTT {sizes['BPTT']:.1g}, tBPTT(1) {sizes['tBPTT(1)']:.1g}, "
            f"RFLO {sizes['RFLO']:.2f}.",
        ),
        {
            "alike": bool(np.median(truncated) > thresholds.ALIKE and (truncated < 0).mean() < thresholds.OPPOSED),
            "RFLO differs": bool(np.median(random) < thresholds.UNLIKE),
            "no line under RFLO": sizes["RFLO"] > thresholds.MOVES and sizes["BPTT"] < thresholds.NO_FLOW,
        },
        "Fig. 2",
        {"cosine tBPTT": float(np.median(truncated)), "cosine RFLO": float(np.median(random))},
    )


def eigenvalues_along_the_manifold() -> Claim:
    """C3: who is stable, who oscillates, who is fast, where on the optimal manifold."""
    s = np.concatenate([-np.geomspace(0.2, 4, 400)[::-1], np.geomspace(0.2, 4, 400)])
    position = xr.DataArray(s, dims="position", coords={"position": s})
    goal = xr.DataArray([0.1, 0.3, 0.5, 0.7, 0.9], dims="goal", coords={"goal": [0.1, 0.3, 0.5, 0.7, 0.9]})
    rules = (bptt(), tbptt(1), rflo(0.5))
    data = stability(rules, goal, 1.0, position, feedback=1.0)
    stable, turning = data["stable"].astype(bool), data["oscillatory"].astype(bool)
    wrong, right = position < 0, position > 0
    scan = stability(
        rules[2], goal, 1.0, -np.abs(position), feedback=xr.DataArray(np.geomspace(0.05, 5, 30), dims="scan"),
        decay=xr.DataArray([0.2, 0.5, 0.9], dims="scanned_decay"),
    )  # fmt: skip
    oscillating, settled = (float(scan[name].mean()) for name in ("oscillatory", "stable"))
    somewhere = float(scan["oscillatory"].max("position").mean())
    rates = data["convergence_rate"]
    relative: Any = rates.sel(rule="tBPTT(1)") / rates.sel(rule="BPTT") - 1
    close = np.abs(relative).median("position")
    fastest = rates.where(right, drop=True).argmax("rule")
    first = {rule.name: float((fastest == i).mean()) for i, rule in enumerate(rules)}
    slowest = abs(float(np.abs(s[int(rates.sel(rule="BPTT", goal=0.7).where(right).argmin("position"))])) - 1)
    checks = {
        "BPTT and tBPTT stable everywhere": bool(stable.sel(rule=["BPTT", "tBPTT(1)"]).all()),
        "RFLO stable where r s > 0": bool(stable.sel(rule="RFLO").where(right, drop=True).all()),
        "RFLO unstable on most of the wrong branch": bool(
            (~stable.sel(rule="RFLO").where(wrong, drop=True).astype(bool)).mean() > thresholds.MOST
        ),
        "oscillation on RFLO's wrong branch alone": oscillating > 0
        and not bool(turning.sel(rule=["BPTT", "tBPTT(1)"]).any())
        and not bool(turning.sel(rule="RFLO").where(right, drop=True).astype(bool).any()),
        "tBPTT close to BPTT for small w*": bool(close[0] < thresholds.SAME_RATE and close[-1] > close[0]),
        "BPTT slowest at |s| = sqrt|p|": slowest < thresholds.SLOWEST_AT,
        "BPTT mostly the fastest": first["BPTT"] > thresholds.MOST,
    }
    return Claim(
        "C3",
        "On the optimal manifold BPTT and tBPTT are stable; RFLO is stable where s has the sign of r, and on the "
        "other branch "
        "it is unstable with a stretch of oscillation. For small w*, tBPTT converges like BPTT. BPTT mostly converges "
        "fastest, and slowest at |s| = sqrt|a* b*|.",
        (
            f"RFLO on the wrong branch, over 5 w*, 3 w_hat, 30 r from 0.05 to 5, 800 s: {100 * oscillating:.2g} % "
            "of the points "
            f"oscillate and {100 * settled:.2g} % are stable; {100 * somewhere:.0f} % of the (w*, w_hat, r) have an "
            "oscillating stretch.",
            f"Relative difference of convergence rates, tBPTT(1) to BPTT, median: {100 * float(close[0]):.1f} % "
            "at w* = 0.1, "
            f"{100 * float(close[-1]):.0f} % at w* = 0.9.",
            "Fastest on the good branch: "
            + ", ".join(f"{name} {100 * value:.0f} %" for name, value in first.items())
            + " of the points.",
        ),
        checks,
        "Fig. 3",
        {"fastest": first, "oscillating": oscillating, "wrong branch stable": settled, "with a stretch": somewhere},
        "Beyond the paper: a part of the wrong branch can even be stable, but only where w_hat w* < w*^2.",
    )


def trajectories() -> Claim:
    """C4: a start near one branch; RFLO goes to the other one."""
    start, goal = Modes(0.6, 1.0, 1.0), Modes(0.7, 1.0, 1.0)
    strengths = np.array([-0.25, -0.5, -1.0, -2.0])
    times = np.concatenate([[0.0], np.geomspace(1e-2, 2000.0, 600)])
    data = flow((bptt(), tbptt(1), rflo(0.5)), start, goal, times, feedback=xr.DataArray(strengths, dims="r"))
    path = np.stack([data[v].transpose("rule", "r", "time").values for v in "wab"])
    lengths = np.linalg.norm(np.diff(path), axis=0).sum(axis=-1)
    ends, gone = path[1, :, :, -1], np.abs(path[0, 2, :, -1]) > thresholds.GONE
    loss = data["loss"].transpose("rule", "r", "time").values
    learned = loss < thresholds.FALLEN * loss[..., :1]
    taken = np.where(learned.any(axis=-1), times[learned.argmax(axis=-1)], np.inf)
    detour, slower = lengths[2] / lengths[0], taken[2] / taken[0]
    return Claim(
        "C4",
        "From (a, b, w) = (1, 1, 0.6), close to one branch, with r of the other sign, BPTT and tBPTT go to that "
        "branch; RFLO "
        "makes a long detour to the opposite one and needs much longer.",
        (
            f"End of a: BPTT {ends[0, 0]:+.2f}, tBPTT(1) {ends[1, 0]:+.2f}, RFLO "
            + ", ".join(
                f"{end:+.2f} (r = {r:g}{', which leaves |w| < 1' if left else ''})"
                for end, r, left in zip(ends[2], strengths, gone, strict=True)
            )
            + "; teacher w* = 0.7, a* b* = 1, w_hat 0.5.",
            "RFLO's path, in BPTT's: "
            + ", ".join(f"{value:.0f}" for value in detour)
            + " times as long; its time until the "
            "loss falls to 1e-4 of its start: " + ", ".join(f"{value:.1f}" for value in slower) + " times.",
        ),
        {
            "BPTT and tBPTT to the near branch": bool((ends[:2] > 0).all()),
            "RFLO to the opposite branch": bool((ends[2] < 0)[~gone].all() and np.isfinite(taken[2, ~gone]).all()),
            "never out of the domain": not gone.any(),
            "long detour": bool((detour > thresholds.LONG_WAY).all()),
            "much longer": bool((slower > thresholds.MUCH_LONGER).all()),
        },
        "Fig. 4",
        {"r": strengths.tolist(), "path ratio": detour.tolist(), "time ratio": slower.tolist()},
        "How much longer depends on |r|: weak feedback learns slowly; strong feedback can "
        "leave the domain |w| < 1 on its detour, which is divergence.",
    )


def feedback_and_decay() -> Claim:
    """C8: more r or w_hat pushes the real parts away from zero."""
    s = np.geomspace(0.2, 4, 60)
    s = np.concatenate([-s[::-1], s])
    position = xr.DataArray(s, dims="position", coords={"position": s})
    shares = {}
    scans: dict[str, dict[str, Any]] = {
        "r": {"feedback": xr.DataArray(np.linspace(0.25, 2, 15), dims="scan")},
        "w_hat": {"decay": xr.DataArray(np.linspace(0, 0.9, 15), dims="scan")},
    }
    for name, changes in scans.items():
        real: Any = stability(rflo(0.5), 0.7, 1.0, position, **changes)["stability_real"].isel(rule=0)
        away = np.abs(real).diff("scan")
        good = position > 0
        shares[name] = (
            float((away.isel(eigenvalue=0) > 0).where(good, drop=True).mean()),
            float((away.isel(eigenvalue=1) > 0).where(good, drop=True).mean()),
            float((away > 0).where(~good, drop=True).mean()),
        )
    return Claim(
        "C8",
        "Larger r or w_hat mainly pushes the real parts of RFLO's eigenvalues away from zero.",
        tuple(
            f"More {name}: the faster eigenvalue moves away in {100 * fast:.0f} %, the slower in {100 * slow:.0f} "
            "% of the "
            f"points of the good branch; both together in {100 * wrong:.0f} % of the wrong branch (w* = 0.7)."
            for name, (fast, slow, wrong) in shares.items()
        ),
        {
            "r, good branch": min(shares["r"][:2]) > thresholds.MOST,
            "w_hat, good branch": min(shares["w_hat"][:2]) > thresholds.MOST,
            "wrong branch": min(shares["r"][2], shares["w_hat"][2]) > thresholds.MOST,
        },
        "Fig. 7",
        {"shares": shares},
    )


def sequence_loss() -> Claim:
    """C9: the sequence loss has the same updates in the limit of long sequences."""
    angle = np.linspace(0.3, 6.0, 50)
    modes = Modes(np.linspace(-0.8, 0.8, 50), 1.5 * np.cos(angle), 1.5 * np.sin(2 * angle))
    lengths = (30, 300, 3000, 30000)
    gaps = {}
    for rule in _RULES:
        limit = np.stack(mode_update(rule, modes, _TEACHER, feedback=0.8))
        gaps[rule.name] = [
            float(
                np.abs(np.stack(mode_update(rule, modes, _TEACHER, n, feedback=0.8, loss="sequence")) - limit).max()
                / np.abs(limit).max()
            )
            for n in lengths
        ]
    worst = [max(gap[i] for gap in gaps.values()) for i in range(len(lengths))]
    power = float(np.polyfit(np.log(lengths[1:]), np.log(worst[1:]), 1)[0])
    return Claim(
        "C9",
        "The loss averaged over all time steps leads to the same updates as the last step's loss, for long sequences.",
        (
            "Largest relative difference over 50 modes and four rules: "
            + ", ".join(f"{gap:.1e} at T = {n}" for gap, n in zip(worst, lengths, strict=True))
            + f"; it falls like T^{power:.2f}.",
        ),
        {
            "same limit": worst[-1] < thresholds.SAME_LIMIT,
            "at every rule": all(gap[-1] < thresholds.FALLS * gap[0] for gap in gaps.values()),
        },
        "App. H",
        {"steps": lengths, "gaps": gaps, "power": power},
    )


def mode_claims() -> list[Claim]:
    """The claims about single modes, in order."""
    makers = (fixed_point_manifolds, vector_fields, eigenvalues_along_the_manifold, trajectories, feedback_and_decay)
    return [make() for make in (*makers, sequence_loss)]
