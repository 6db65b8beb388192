"""Named experiments: all numbers in one place."""

import dataclasses
from typing import Any

from .networks import Modes, aligned_teacher
from .rules import bptt, eprop, rflo, tbptt

#: Eigenvalues of the paper's four-mode teacher (App. I.1).
FOUR_MODES = (0.9, 0.7, 0.5, 0.3)


def four_mode_teacher():
    """The paper's four-mode teacher: A* = B* = I, W* = diag(0.9, 0.7, 0.5, 0.3)."""
    return aligned_teacher(Modes(FOUR_MODES, 1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Demo:
    """The demonstration: four rules, four modes, eight seeds, exact expected updates.

    The teacher's eigenvalues are the paper's; every other number is ours, chosen so that all four rules converge.
    """

    seeds: int = 8
    epochs: int = 6000

    def parameters(self) -> dict[str, Any]:
        """Arguments of :func:`fastmodes.train`."""
        return {
            "rules": (bptt(), tbptt(1), rflo(0.5), eprop()),
            "teacher": four_mode_teacher(),
            "hidden": 4,
            "seeds": range(self.seeds),
            "epochs": self.epochs,
            "learning_rate": 0.005,
            "steps": 50,
            "updates": "expected",
            "stop_loss": 1e-10,
        }
