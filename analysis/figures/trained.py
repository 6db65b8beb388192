"""Standard figures of trained networks: each trains its preset, once per process, and draws.

``fastmodes reproduce`` draws the same from its datasets, without training again.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from fastmodes.presets import FAMILY, FIG5, FIG6, FIG8, FIG9

from ..report.experiments import without_weights
from ..trained.prediction import theory_error

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from fastmodes.presets import Preset


@functools.cache
def _trained(preset: Preset) -> xr.Dataset:
    return preset.run()


@functools.cache
def _ranked(preset: Preset) -> xr.Dataset:
    return without_weights(_trained(preset))


def _unaligned(preset: Preset, rule: str, start: int) -> Figure:
    from .prediction import unaligned_students

    data = _trained(preset)
    return unaligned_students(data, theory_error(data), rule, start)


def unaligned_rflo() -> Figure:
    """Figure 5: an unaligned student under RFLO."""
    return _unaligned(FIG5, "RFLO", 200)


def unaligned_bptt() -> Figure:
    """Figure 8: the same under BPTT."""
    return _unaligned(FIG8, "BPTT", 500)


def unaligned_tbptt() -> Figure:
    """Figure 9: the same under tBPTT(1)."""
    return _unaligned(FIG9, "tBPTT(1)", 600)


def spectra_of_changes() -> Figure:
    """Figure 6: spectra of what four rules learn."""
    from .rank import spectra

    return spectra(_ranked(FIG6))


def performance() -> Figure:
    """Figure 10: performance against rank."""
    from .performance import performance_and_rank

    return performance_and_rank(_ranked(FIG6))


def rank_by_feedback_and_propagator() -> Figure:
    """What in a rule limits the rank."""
    from .rank import what_limits_rank

    return what_limits_rank(_ranked(FAMILY))
