"""The table of claims C1 to C10: what is claimed, what we measured, and the verdict."""

from .claims_modes import mode_claims
from .claims_rank import rank_of_changes
from .claims_training import convergence_counts, learning_rate_claim, unaligned_students
from .verdicts import Claim


def claims(datasets) -> list[Claim]:
    """All claims, judged.

    Parameters
    ----------
    datasets : dict of str to Dataset
        Of the experiments, by name, as :func:`fastmodes.analysis.reproduce` leaves them.

    Returns
    -------
    list of Claim
        In order; each verdict follows from its checks, none is written by hand.
    """
    rows = mode_claims()
    rows.append(unaligned_students(datasets["unaligned"], datasets["prediction"], datasets["unaligned_sweep"]))
    rows.append(rank_of_changes(datasets["rank"], datasets["family"], datasets["proposition"], datasets["rank_sweep"]))
    rows.append(convergence_counts(datasets["convergence"], datasets["rank"], datasets["rank_sweep"]))
    rows.append(learning_rate_claim(datasets["limits"]))
    return sorted(rows, key=lambda claim: int(claim.name[1:]))
