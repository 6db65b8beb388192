"""Second moments of sampled updates of single modes, on parameter grids (beyond the paper; theory section 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..files.schema import annotate
from ..kernels.modes import moments as kernel
from ..named_rules import bptt
from ..networks.leaky import check_leak
from ..parallel import check_threads, run_blocks
from ..rule_codes import kernel_rule, mode_decay, mode_feedback, moves
from ..rules import at_leak, check_rule
from .grid import Grid, broadcast, check_range, own_values
from .update import STATE, TEACHER, check_convergence, effective_entries, mode_entries

if TYPE_CHECKING:
    from ..rules import LearningRule
    from ..typing import FloatArray, GridValue, ModesLike, Rule

_BLOCK = 4096
_LETTERS = ("w", "a", "b")
_RESULTS = (
    "loss", *(f"{kind}_{letter}" for kind in ("mean", "variance") for letter in _LETTERS), "total_variance",
    "signal_to_noise", "critical_batch_size", "expected_cosine",
)  # fmt: skip


def mode_moments(
    rule: Rule,
    modes: ModesLike,
    teacher_modes: ModesLike,
    *,
    feedback: GridValue | None = 1.0,
    batch_size: GridValue = 1,
    target_noise: GridValue = 0.0,
    leak: float = 1.0,
    threads: int | None = None,
) -> xr.Dataset:
    """Mean and variance of the sampled update of modes, T = infinity, final loss, in closed form (theory section 13).

    With q = a b, p = a* b*, f the feedback entry, pi the propagator, tau the horizon and S the batch size,

        omega = q^2/(1-w^2) - 2 q p/(1-w w*) + p^2/(1-w*^2) + target_noise^2
        Var Delta a = [ omega b^2/(1-w^2) + (E Delta a)^2 ] / S
        Var Delta b = [ omega f^2 sum_{j < tau} pi^{2j} + (E Delta b)^2 ] / S
        Var Delta w = [ omega f^2 b^2/(1-w^2) sum_{j,k < tau} pi^{j+k} w^{|j-k|} + (E Delta w)^2 ] / S

    and means as in :func:`mode_update`. Of an aligned network these are the diagonal entries, mode by mode; its sampled
    updates scatter off the diagonals too, which :func:`update_moments` counts and this does not.

    Parameters
    ----------
    rule : LearningRule or str
    modes, teacher_modes : Modes, or LinearRNN both
        As for :func:`mode_update`.
    feedback : number, array or DataArray
        r, read by rules with random feedback.
    batch_size : number, array or DataArray
        S >= 1.
    target_noise : number, array or DataArray
        Standard deviation of the noise on the target.
    leak : float
        0 < leak <= 1, of the students' units.
    threads : int, optional
        Default: all cores granted to the process. Results do not depend on it.

    Returns
    -------
    xarray.Dataset
        On the dimensions of the grid ("point" for plain arrays): ``loss``, ``mean_w``, ``mean_a``, ``mean_b``,
        ``variance_w``, ``variance_a``, ``variance_b``, ``total_variance``, and with norms over (w, a, b)
        ``signal_to_noise``, ``critical_batch_size`` and ``expected_cosine`` as in :func:`update_moments`. A ratio of
        two zeros, at an optimum without noise, is not a number.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range; for |w_e| >= 1, |w*| >= 1, and under the full horizon for a decay of modulus
        1 or more, where variances diverge.

    Examples
    --------
    >>> import fastmodes as fm
    >>> moments = fm.mode_moments(fm.tbptt(1), fm.Modes(0.0, 1.0, 1.0), fm.Modes(0.0, 1.0, 2.0))
    >>> float(moments.mean_b), float(moments.variance_b)
    (-1.0, 2.0)
    """
    rule, threads, leak = check_rule(rule), check_threads(threads), check_leak(leak)
    rule = at_leak(rule, leak)
    given = mode_entries((rule,), modes, teacher_modes, feedback)
    entries = effective_entries(given, leak)
    own = {"r": mode_feedback(rule, entries["feedback"]), "decay": mode_decay(rule, entries.values())}
    extra = {"batch_size": batch_size, "target_noise": target_noise}
    grid = broadcast(entries | own | extra, _RESULTS)
    _check(grid, rule, leak)
    grid.check_memory(2 * len(_RESULTS), "cut the grid into pieces")
    losses, means, variances = _evaluate(grid, rule, threads)
    gain = np.array([leak, 1.0, leak])
    gradient = _evaluate(grid, bptt(), threads)[1]
    with np.errstate(over="ignore"):
        own_scale = means * gain, variances * gain**2, gradient * gain
    found = _dataset(grid, losses, *own_scale)
    configuration = {"rule": repr(rule), "leak": leak}
    return annotate(found, title="Second moments of sampled updates of modes", configuration=configuration)


def _check(grid: Grid, rule: LearningRule, leak: float) -> None:
    for name in ("recurrent", "teacher_recurrent"):
        check_range(grid, name, -1, 1, leak if name == "recurrent" else 1.0)
        check_convergence(grid, name, rule)
    if not moves(rule) and rule.horizon is None:
        check_range(grid, "decay", -1, 1)
    for name, low in (("batch_size", 1.0), ("target_noise", 0.0)):
        smallest = own_values(grid.values[name]).min()
        if smallest < low:
            raise ValueError(f"{name} must be >= {low} everywhere; got {smallest}")


def _evaluate(grid: Grid, rule: LearningRule, threads: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Losses (point,), means and variances (point, 3) of single sequences."""
    losses, means, variances = np.empty(grid.size), np.empty((grid.size, 3)), np.empty((grid.size, 3))
    read_state = grid.reader(STATE)
    read_parameters = grid.reader((*TEACHER, "r", "decay", "target_noise"))
    in_kernel = kernel_rule(rule)

    def work(block: tuple[int, int]) -> None:
        piece = slice(*block)
        results = losses[piece], means[piece], variances[piece]
        kernel.mode_moments(read_state(*block), read_parameters(*block), in_kernel, *results)

    run_blocks(work, grid.blocks(_BLOCK, threads), threads, quick=grid.size <= _BLOCK)
    return losses, means, variances


def _dataset(
    grid: Grid, losses: FloatArray, means: FloatArray, variances: FloatArray, slopes: FloatArray
) -> xr.Dataset:
    batch = np.ascontiguousarray(grid.values["batch_size"]).reshape(-1)
    with np.errstate(all="ignore"):
        spread = variances / batch[:, np.newaxis]
        total, signal = spread.sum(1), (means**2).sum(1)
        ratios = (
            signal / total, batch * total / signal,
            (means * slopes).sum(1) / np.sqrt((signal + total) * (slopes**2).sum(1)),
        )  # fmt: skip
    columns = (losses, *means.T, *spread.T, total, *ratios)
    return xr.Dataset({name: grid.wrap(column) for name, column in zip(_RESULTS, columns, strict=True)})
