"""Updates of single modes (w, a, b) under any rule, on parameter grids (theory section 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.modes.update import mode_updates
from ..networks.aligned import modes_of
from ..networks.leaky import check_leak
from ..networks.network import LinearRNN, Modes
from ..parallel import check_threads, run_blocks
from ..rule_codes import kernel_rule, mode_decay, mode_feedback, moves, resting_feedback, start_feedback
from ..rules import at_leak, check_rule
from ..validation import check_array, check_choice, check_steps
from .grid import Grid, broadcast, by_point, check_product, check_range, own_values

if TYPE_CHECKING:
    import xarray as xr

    from ..rules import LearningRule
    from ..typing import FloatArray, GridValue, LossName, ModesLike, Rule

STATE = ("recurrent", "readout", "input")
TEACHER = ("teacher_recurrent", "teacher_product")
_BLOCK = 4096


def mode_entries(
    rules: Sequence[LearningRule], modes: ModesLike, teacher_modes: ModesLike, feedback: GridValue | None
) -> dict[str, Any]:
    """Parameters of a grid: student, teacher and feedback of the modes.

    Parameters
    ----------
    rules : sequence of LearningRule
        Whoever reads a diagonal needs a student in the neuron basis, whoever reads the signs of A one whose A is
        diagonal.
    modes, teacher_modes : Modes, or LinearRNN both
        Two networks are taken apart into their modes, if the student is aligned with the teacher.
    feedback : number, array, DataArray or None
        r of every mode (None: 1); for two networks also the matrix R.

    Raises
    ------
    TypeError, ValueError
        If a parameter does not fit, or a network has no modes under one of the rules.
    """
    feedback = 1.0 if feedback is None else feedback
    if isinstance(modes, LinearRNN) or isinstance(teacher_modes, LinearRNN):
        modes, teacher_modes, feedback = modes_of(
            modes, teacher_modes, feedback,
            neuron_basis=any("diagonal" in rule.propagator for rule in rules),
            signs=any(rule.feedback == "sign" for rule in rules),
        )  # fmt: skip
    for name, value in (("modes", modes), ("teacher_modes", teacher_modes)):
        if not (isinstance(value, tuple) and len(value) == 3):
            raise TypeError(f"{name} must be fastmodes.Modes(recurrent, readout, input); got {value!r}")
    entries = dict(zip(STATE, modes, strict=True))
    entries["teacher_recurrent"], a, b = teacher_modes
    check_product("teacher_modes", a, b)
    a, b = by_point(teacher_readout=a, teacher_input=b)
    with np.errstate(over="ignore"):
        entries["teacher_product"] = a * b
    return entries | {"feedback": feedback}


def effective_entries(entries: Mapping[str, Any], leak: float) -> dict[str, Any]:
    """The same with w_e = 1 - leak + leak w and b_e = leak b for w and b, as the kernels know modes."""
    if leak == 1.0:
        return dict(entries)
    w, b = (by_point(**{name: entries[name]})[0] for name in ("recurrent", "input"))
    return dict(entries) | {"recurrent": (1.0 - leak) + leak * w, "input": leak * b}


def _evaluate(
    rule: Rule,
    modes: ModesLike,
    teacher_modes: ModesLike,
    steps: float,
    feedback: GridValue | None,
    loss: LossName,
    leak: float,
    threads: int | None,
    with_jacobian: bool,
) -> tuple[Grid, FloatArray, FloatArray]:
    rule, threads = check_rule(rule), check_threads(threads)
    steps = check_steps("steps", steps, infinite=True)
    sequence = check_choice("loss", loss, ("final", "sequence")) == "sequence"
    leak = check_leak(leak)
    rule = at_leak(rule, leak)
    entries = effective_entries(mode_entries((rule,), modes, teacher_modes, feedback), leak)
    own = {"r": mode_feedback(rule, entries["feedback"]), "decay": mode_decay(rule, entries.values())}
    grid = broadcast(entries | own, ("update", "variable") if with_jacobian else ())
    if steps == math.inf:
        for name in ("recurrent", "teacher_recurrent"):
            check_range(grid, name, -1, 1, leak if name == "recurrent" else 1.0)
            check_convergence(grid, name, rule)
    choices = kernel_rule(rule), 0 if steps == math.inf else steps, 2 if sequence else 1
    grid.check_memory(12 if with_jacobian else 3, "cut the grid into pieces")
    updates = np.empty((grid.size, 3))
    jacobians = np.empty((grid.size, 3, 3) if with_jacobian else (grid.size, 0, 0))

    read_state, read_parameters = grid.reader(STATE), grid.reader((*TEACHER, "r", "decay"))

    def work(block: tuple[int, int]) -> None:
        piece = slice(*block)
        mode_updates(read_state(*block), read_parameters(*block), *choices, updates[piece], jacobians[piece])

    run_blocks(work, grid.blocks(_BLOCK, threads), threads, quick=grid.size <= _BLOCK)
    if leak != 1.0:
        # The chain rule: w_e and b_e move by leak times what w and b do.
        gain = np.array([leak, 1.0, leak])
        updates *= gain
        jacobians *= np.outer(gain, gain) if with_jacobian else 1.0
    return grid, updates, jacobians


def mode_update(
    rule: Rule,
    modes: ModesLike,
    teacher_modes: ModesLike,
    steps: float = math.inf,
    *,
    feedback: GridValue | None = 1.0,
    loss: LossName = "final",
    leak: float = 1.0,
    threads: int | None = None,
) -> Modes:
    """Expected update (Delta w, Delta a, Delta b) of modes under any rule (Eqs. 19-22, 74-86, 105, 128).

    Parameters
    ----------
    rule : LearningRule or str
        Any rule of the family. A rule that reads a diagonal (e-prop) has modes only where the student's eigenbasis is
        the neuron basis: of Modes that is taken for granted, of networks it is checked.
    modes, teacher_modes : Modes, or LinearRNN both
        w, a, b of student and teacher, each a number, an array or a DataArray; they broadcast by name.
    steps : int or math.inf
        Time steps T.
    feedback : number, array or DataArray
        r, read by rules with random feedback; 1 unless given, here as for every function of modes.
    loss : {"final", "sequence"}
        The error of the last step, or the mean over all steps.
    leak : float
        0 < leak <= 1, of the students' units: modes run as w_e = 1 - leak + leak w, b_e = leak b, and Delta w and
        Delta b are leak times those of w_e and b_e (theory section 10). The teacher does not leak.
    threads : int, optional
        Default: all cores granted to the process. Results do not depend on it.

    Returns
    -------
    Modes
        Delta w, Delta a, Delta b, to be subtracted times the learning rate. DataArrays if a parameter was one. Sums
        that leave the range of numbers are infinite or, as the difference of two such, not numbers.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range; with T = infinity also for |w_e| >= 1, where the sums diverge.

    Examples
    --------
    >>> import fastmodes as fm
    >>> fm.mode_update(fm.bptt(), fm.Modes(0.5, 1.0, 1.0), fm.Modes(0.5, 1.0, 2.0), 2)
    Modes(recurrent=-0.5, readout=-1.25, input=-1.25)
    """
    grid, updates, _ = _evaluate(rule, modes, teacher_modes, steps, feedback, loss, leak, threads, False)
    return Modes(*(_like_input(grid, updates[:, i]) for i in range(3)))


def mode_jacobian(
    rule: Rule,
    modes: ModesLike,
    teacher_modes: ModesLike,
    steps: float = math.inf,
    *,
    feedback: GridValue | None = 1.0,
    loss: LossName = "final",
    leak: float = 1.0,
    threads: int | None = None,
) -> FloatArray | xr.DataArray:
    """Derivatives of :func:`mode_update` by (w, a, b), hand-derived (Eqs. 107-116 and their finite-T relatives).

    Parameters
    ----------
    rule, modes, teacher_modes, steps, feedback, loss, leak, threads
        As for :func:`mode_update`.

    Returns
    -------
    array or DataArray (.., update, variable)
        Entry [.., i, j]: the derivative of Delta i by variable j, both in the order w, a, b. The flow's Jacobian is its
        negative. Sums that leave the range of numbers are as in :func:`mode_update`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`mode_update`.
    """
    grid, _, jacobians = _evaluate(rule, modes, teacher_modes, steps, feedback, loss, leak, threads, True)
    if grid.labelled:
        names = list(STATE)
        return grid.wrap(jacobians, ("update", "variable"), {"update": names, "variable": names})
    return jacobians.reshape(*grid.shape, 3, 3)


def _like_input(grid: Grid, flat: FloatArray) -> float | FloatArray | xr.DataArray:
    if grid.labelled:
        return grid.wrap(flat)
    return flat.reshape(grid.shape) if grid.shape else float(flat[0])


def rule_grid(
    rules: Sequence[LearningRule],
    entries: Mapping[str, Any],
    decay: GridValue | None = None,
    horizon: GridValue | None = None,
    results: Sequence[str] = (),
    leak: float = 1.0,
) -> Grid:
    """One grid for several rules: ``entries``, and for rule i its "r i", "decay i" and "horizon i" (0: the full one).

    Parameters
    ----------
    rules : tuple of LearningRule
    entries : dict of str to number, array or DataArray
    results : tuple of str
        Names of the dimensions and variables that the result has itself.
    decay : number, array or DataArray, optional
        Replaces the decay of every rule with a scalar propagator.
    horizon : number, array or DataArray, optional
        Replaces the horizon of every rule that has one.
    leak : float
        Of the students whose w_e the entries hold.

    Raises
    ------
    TypeError, ValueError
        If a parameter does not fit, or no rule has the one that is to be replaced.
    """
    scalar = [rule.propagator == "scalar" for rule in rules]
    if decay is not None and not any(scalar):
        raise ValueError("decay must be None where no rule has a scalar propagator (RFLO has); got a value")
    finite = [rule.horizon is not None for rule in rules]
    if horizon is not None:
        if not any(finite):
            raise ValueError("horizon must be None where no rule has a finite horizon (tBPTT has); got a value")
        whole = check_array("horizon", getattr(horizon, "values", horizon))
        if not ((whole >= 1).all() and (whole == np.round(whole)).all()):
            raise ValueError(f"horizon must hold whole numbers >= 1; got {whole.ravel()[:3]} ..")
    entries = dict(entries)
    for i, rule in enumerate(rules):
        own = decay if decay is not None and scalar[i] else mode_decay(rule, tuple(entries.values()))
        entries[f"r {i}"] = _entry(rule, entries)
        entries[f"decay {i}"] = own
        entries[f"horizon {i}"] = horizon if horizon is not None and finite[i] else float(rule.horizon or 0)
    grid = broadcast(entries, results)
    for name in ("recurrent", "teacher_recurrent"):
        if name in grid.values:
            check_range(grid, name, -1, 1, leak if name == "recurrent" else 1.0)
            for i, rule in enumerate(rules):
                check_convergence(grid, name, rule, f"decay {i}")
    return grid


def _entry(rule: LearningRule, entries: dict[str, GridValue]) -> GridValue:
    """r of the kernels: of modes that stay at their position, or that start from their readout weight."""
    feedback = entries.get("feedback", 0.0)
    if "position" in entries:
        return resting_feedback(rule, feedback, entries["position"])
    return start_feedback(rule, feedback, entries["readout"]) if "readout" in entries else 0.0


def check_convergence(grid: Grid, name: str, rule: LearningRule, decay: str = "decay") -> None:
    """The sum over the full horizon converges: |decay w| < 1."""
    if moves(rule) or rule.horizon is not None:
        return
    product = np.abs(own_values(grid.values[decay]) * own_values(grid.values[name]))
    if (product >= 1).any():
        raise ValueError(
            f"decay must keep |decay {name}| below 1 for rule {rule.name!r}, whose horizon is the full one; got "
            f"{product.max():.6g}"
        )
