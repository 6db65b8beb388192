"""A claim, what was measured, and a verdict that follows from the numbers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


REPRODUCED, IN_PART, NOT_REPRODUCED = "reproduced", "reproduced in part", "not reproduced"

#: What a quick run says of its verdicts, wherever it shows them.
QUICK_CAVEAT = (
    "A quick run: numbers from few seeds and short training, to see that everything works. Its verdicts are not to be "
    "quoted."
)


@dataclasses.dataclass(frozen=True)
class Claim:
    """One row of the table of claims.

    Attributes
    ----------
    name : str
        C1 .. C13.
    statement : str
        What is claimed, in our words.
    measured : tuple of str
        What we measured, one sentence each.
    checks : dict of str to bool
        The parts of the claim, each true or false by the numbers.
    source : str
        Where it is claimed.
    numbers : dict
        The numbers behind ``measured``.
    remark : str
        Where the claim holds only under conditions.
    """

    name: str
    statement: str
    measured: tuple[str, ...]
    checks: dict[str, bool]
    source: str
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)
    remark: str = ""

    @property
    def verdict(self) -> str:
        """All parts hold: reproduced; some: in part; none: not reproduced."""
        holds = list(self.checks.values())
        return REPRODUCED if all(holds) else IN_PART if any(holds) else NOT_REPRODUCED

    def as_dict(self) -> dict[str, Any]:
        """The row as plain values, for JSON."""
        return dataclasses.asdict(self) | {"verdict": self.verdict}


def verdict_lines(claims: list[Claim], *, quick: bool = False) -> list[str]:
    """The table of verdicts as lines of text; a quick run says at both ends and in every line what they are worth.

    Parameters
    ----------
    claims : list of Claim
    quick : bool

    Returns
    -------
    list of str
    """
    caveat = [QUICK_CAVEAT] if quick else []
    rows = [f"{claim.name:<4} {claim.verdict}{' (quick run: not to be quoted)' if quick else ''}" for claim in claims]
    return [*caveat, *rows, *caveat]


def spread(values: tuple[float, float, float], digits: int = 2) -> str:
    """The text "median [low, high]" of a median and its interval."""
    middle, low, high = values
    return f"{middle:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}]"
