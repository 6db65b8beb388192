"""Figures: each takes a Dataset (and an axes), returns the axes or the figure, and leaves global settings alone.

``FIGURES`` lists the standard ones: each name leads to a function without arguments, which computes its dataset with
parameters that show the effect and returns the finished Figure. It loads when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure


#: name: (number of the paper's figure or "", module, function)
FIGURES = {
    "fixed-points": ("1", "fixed_points", "fixed_point_manifolds"),
    "vector-fields": ("2", "fields", "vector_fields"),
    "eigenvalues": ("3", "eigenvalues", "eigenvalues_along_the_manifold"),
    "trajectories": ("4", "trajectories", "detour_of_wrong_feedback"),
    "feedback-strength": ("7", "eigenvalues", "eigenvalues_by_feedback_and_decay"),
    "unaligned-rflo": ("5", "trained", "unaligned_rflo"),
    "spectra": ("6", "trained", "spectra_of_changes"),
    "unaligned-bptt": ("8", "trained", "unaligned_bptt"),
    "unaligned-tbptt": ("9", "trained", "unaligned_tbptt"),
    "performance": ("10", "trained", "performance"),
    "what-limits-rank": ("", "trained", "rank_by_feedback_and_propagator"),
    "alignment-flow": ("", "matrix_flow", "alignment_without_noise"),
    "task-switches": ("", "tasks", "task_switches"),
    "gradient-quality": ("", "quality", "gradient_quality"),
    "required-horizon": ("", "horizons", "horizons_over_training"),
    "shared-directions": ("", "geometry", "directions_by_feedback"),
    "which-rule": ("", "identification", "which_rule"),
    "how-many-snapshots": ("", "identification", "how_many_snapshots"),
    "hopf-map": ("", "maps", "stable_window"),
    "basins": ("", "maps", "basins_side_by_side"),
    "convergence-ratio": ("", "maps", "convergence_rate_ratio"),
    "noise-map": ("", "noise", "noise_map"),
}


def standard_figure(name: str) -> Callable[[], Figure]:
    """The function that makes a standard figure, by its name or by the paper's number.

    Parameters
    ----------
    name : str
        A key of FIGURES, or a number such as "3".

    Raises
    ------
    ValueError
        If there is no such figure.
    """
    by_number = {number: key for key, (number, _, _) in FIGURES.items() if number}
    key = by_number.get(name, name)
    if key not in FIGURES:
        choices = ", ".join(f"{k} ({n})" if n else k for k, (n, _, _) in FIGURES.items())
        raise ValueError(f"figure must be one of {choices}; got {name!r}")
    _, module, function = FIGURES[key]
    made: Callable[[], Figure] = getattr(importlib.import_module(f".{module}", __name__), function)
    return made
