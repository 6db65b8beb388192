"""The table of claims C1 to C13: what is claimed, what we measured, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .claims_modes import mode_claims
from .claims_noise import bias_and_noise, growing_noise, rules_named
from .claims_rank import rank_of_changes
from .claims_training import convergence_counts, learning_rate_claim, unaligned_students
from .verdicts import Claim

if TYPE_CHECKING:
    from .experiments import Datasets


_READ = (
    "unaligned", "prediction", "unaligned_sweep", "rank", "family", "proposition", "rank_sweep", "convergence",
    "limits", "noise", "first_noise", "named",
)  # fmt: skip


def claims(datasets: Datasets) -> list[Claim]:
    """All claims, judged.

    Parameters
    ----------
    datasets : dict of str to Dataset
        Of the experiments, by name, as :func:`fastmodes.analysis.reproduce` leaves them.

    Returns
    -------
    list of Claim
        In order; each verdict follows from its checks, none is written by hand.

    Raises
    ------
    ValueError
        If a dataset is missing.
    """
    missing = [name for name in _READ if name not in datasets] if isinstance(datasets, Mapping) else _READ
    if missing:
        raise ValueError(
            f"datasets must be a dict of the experiments' datasets by name, {', '.join(_READ)}; missing: "
            f"{', '.join(missing)}"
        )
    rows = mode_claims()
    rows.append(unaligned_students(datasets["unaligned"], datasets["prediction"], datasets["unaligned_sweep"]))
    rows.append(rank_of_changes(datasets["rank"], datasets["family"], datasets["proposition"], datasets["rank_sweep"]))
    rows.append(convergence_counts(datasets["convergence"], datasets["rank"], datasets["rank_sweep"]))
    rows.append(learning_rate_claim(datasets["limits"]))
    rows.append(bias_and_noise(datasets["noise"], datasets["first_noise"]))
    rows.append(growing_noise(datasets["noise"]))
    rows.append(rules_named(datasets["named"]))
    return sorted(rows, key=lambda claim: int(claim.name[1:]))
