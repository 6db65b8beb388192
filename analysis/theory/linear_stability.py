"""Linear stability of the fixed points of one mode, in closed form, on parameter grids (Eqs. 27-31, 107-123)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from fastmodes.kernels.modes.stability import KINDS

from fastmodes.files.large_grids import SLAB_POINTS, write_slabs
from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.networks.leaky import check_leak, flow_rates
from fastmodes.rules import at_leak, check_rules

from .rated_stability import evaluate_rated
from .stability_grids import entries_of, evaluate, limit_rate, recorded, shaped, stability_grid, stable_rate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from fastmodes.typing import GridValue, PathLike, Rules


_SLAB_BY_SLAB = "write_stability computes and writes it slab by slab"


def stability(
    rules: Rules,
    teacher_recurrent: GridValue,
    teacher_product: GridValue,
    position: GridValue,
    *,
    feedback: GridValue = 1.0,
    decay: GridValue | None = None,
    horizon: GridValue | None = None,
    leak: float = 1.0,
    rates: float | Mapping[str, float] | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Both non-zero eigenvalues of the flow on the optimal manifold (w, a, b) = (w*, s, p/s), s != 0.

    Parameters
    ----------
    rules : LearningRule or str, or sequence of them
        Any rules of the family; one closed form serves all.
    teacher_recurrent, teacher_product : number, array or DataArray
        w* with |w*| < 1, and p = a* b*.
    position : number, array or DataArray
        s, the readout weight on the manifold, positive or negative.
    feedback : number, array or DataArray
        r, read by rules with random feedback. Under Kolen and Pollack's feedback it is the r on the manifold: along a
        trajectory without decay s - c, with its constant c = a - r. The mirror rests at r = kappa s / lambda.
    decay, horizon : number, array or DataArray, optional
        Replace the decay of scalar propagators, and the horizon of rules that have a finite one.
    leak : float
        0 < leak <= 1, of the students' units (theory section 10); the teacher's w* is what w_e = 1 - leak + leak w
        comes to.
    rates : number or mapping, optional
        Rates of "readout", "recurrent" and "input": the eigenvalues are those of diag(rates) J, and learning rates
        are factors of them. A frozen readout (0) makes the manifold a point; other frozen matrices leave a rate of 0,
        kind marginal. With a leak or rates a plain path computes, slower than the kernel.
    threads : int, optional
        Default: all cores granted to the process. Results do not depend on it.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    xarray.Dataset
        ``stability_real``, ``stability_imag`` (rule, eigenvalue, grid), ordered by real part and then by imaginary
        part; ``kind`` (CF flags), ``stable``, ``oscillatory``, ``convergence_rate`` and ``largest_learning_rate``
        (rule, grid). The mirror's r has the eigenvalue -lambda beside the two: both rates are those of all three.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    leak = check_leak(leak)
    speeds = flow_rates(rates, leak)
    rules = tuple(at_leak(rule, leak) for rule in check_rules(rules))
    grid = stability_grid(rules, teacher_recurrent, teacher_product, position, feedback, decay, horizon)
    grid.check_memory(7 * len(rules), _SLAB_BY_SLAB)
    count = (len(rules), grid.size)
    # The smaller and the larger real part, the imaginary parts.
    values, numbers, flags = np.empty((count[0], 4, count[1])), np.empty((2, *count)), np.empty((3, *count), np.int8)
    (rate, limit), (kinds, stable, oscillatory) = numbers, flags

    def derive(i: int, piece: slice) -> None:
        (low, high, negative, imaginary), place = values[i, :, piece], (i, piece)
        imaginary[:] = negative
        np.negative(imaginary, out=negative)
        np.negative(high, out=rate[place])
        limit_rate(rules[i], rate[place])
        np.less(high, 0, out=stable[place].view(bool))
        np.greater(imaginary, 0, out=oscillatory[place].view(bool))
        stable_rate(low, high, imaginary, limit[place])
        limit_rate(rules[i], limit[place], 2.0)

    if speeds == (1.0, 1.0, 1.0):
        evaluate(rules, grid, values[:, :3], kinds, derive, threads, progress)
    else:
        evaluate_rated(rules, grid, speeds, values[:, :3], kinds, derive, progress)
    dataset = xr.Dataset(
        {
            "stability_real": shaped(grid, values[:, :2], ("rule", "eigenvalue")),
            "stability_imag": shaped(grid, values[:, 2:], ("rule", "eigenvalue")),
            "kind": shaped(grid, kinds, ("rule",)),
            "stable": shaped(grid, stable, ("rule",)),
            "oscillatory": shaped(grid, oscillatory, ("rule",)),
            "convergence_rate": shaped(grid, rate, ("rule",)),
            "largest_learning_rate": shaped(grid, limit, ("rule",)),
        },
        coords={"rule": [rule.name for rule in rules], "eigenvalue": [0, 1]},
    )
    dataset["kind"].attrs = flag_attributes(KINDS)
    for name in ("stable", "oscillatory"):
        dataset[name].attrs = flag_attributes(("no", "yes"))
    return annotate(
        dataset,
        title="Linear stability on the optimal manifold",
        configuration={"rules": [repr(rule) for rule in rules]} | recorded(locals()),
    )


def write_stability(
    path: PathLike,
    rules: Rules,
    teacher_recurrent: GridValue,
    teacher_product: GridValue,
    position: GridValue,
    *,
    feedback: GridValue = 1.0,
    decay: GridValue | None = None,
    horizon: GridValue | None = None,
    leak: float = 1.0,
    rates: float | Mapping[str, float] | None = None,
    slab_points: int = SLAB_POINTS,
    threads: int | None = None,
    progress: bool = True,
) -> Path:
    """As :func:`stability`, written slab by slab: the memory needed does not grow with the grid.

    Parameters
    ----------
    path : path-like
        The netCDF4 file is complete or absent.
    rules, teacher_recurrent, teacher_product, position, feedback, decay, horizon
        As for :func:`stability`; at least one of them must vary.
    leak, rates
        As for :func:`stability`.
    slab_points : int
        Points computed at a time, at most.
    threads : int, optional
        Default: all cores granted to the process. Results do not depend on it.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    OSError
        If the file cannot be written.
    """
    grid = entries_of(teacher_recurrent, teacher_product, feedback, position=position)
    grid |= {name: value for name, value in (("decay", decay), ("horizon", horizon)) if value is not None}

    def compute(**parameters: Any) -> xr.Dataset:
        return stability(rules, **parameters, leak=leak, rates=rates, threads=threads, progress=False)

    return write_slabs(path, compute, grid, slab_points=slab_points, progress=progress)


def convergence_rate(
    rules: Rules,
    teacher_recurrent: GridValue,
    teacher_product: GridValue,
    position: GridValue,
    *,
    feedback: GridValue = 1.0,
    decay: GridValue | None = None,
    horizon: GridValue | None = None,
    leak: float = 1.0,
    rates: float | Mapping[str, float] | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> xr.DataArray:
    """Minus the larger real part of the two eigenvalues on the optimal manifold; negative where it is unstable.

    Parameters
    ----------
    rules, teacher_recurrent, teacher_product, position, feedback, decay, horizon, leak, rates, threads, progress
        As for :func:`stability`.

    Returns
    -------
    xarray.DataArray (rule, grid)
        With the coordinate ``kind`` beside (CF flags).

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    leak = check_leak(leak)
    speeds = flow_rates(rates, leak)
    rules = tuple(at_leak(rule, leak) for rule in check_rules(rules))
    grid = stability_grid(rules, teacher_recurrent, teacher_product, position, feedback, decay, horizon)
    plain = speeds == (1.0, 1.0, 1.0)
    grid.check_memory((1 if plain else 3) * len(rules), _SLAB_BY_SLAB)
    values, kinds = np.empty((len(rules), 1 if plain else 3, grid.size)), np.empty((len(rules), grid.size), np.int8)
    if plain:
        evaluate(rules, grid, values, kinds, threads=threads, progress=progress)
    else:
        evaluate_rated(rules, grid, speeds, values, kinds, lambda i, piece: None, progress)
        np.negative(values[:, 1], out=values[:, 0])
    for i, rule in enumerate(rules):
        limit_rate(rule, values[i])
    dataset = xr.Dataset(
        {"convergence_rate": shaped(grid, values[:, 0], ("rule",)), "kind": shaped(grid, kinds, ("rule",))},
        coords={"rule": [rule.name for rule in rules]},
    )
    dataset["kind"].attrs = flag_attributes(KINDS)
    annotate(dataset, title="Convergence rates", configuration={"rules": [repr(rule) for rule in rules]})
    return dataset.set_coords("kind")["convergence_rate"]


def largest_learning_rate(
    rules: Rules,
    teacher_recurrent: GridValue,
    teacher_product: GridValue,
    position: GridValue,
    *,
    feedback: GridValue = 1.0,
    decay: GridValue | None = None,
    horizon: GridValue | None = None,
    leak: float = 1.0,
    rates: float | Mapping[str, float] | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> xr.DataArray:
    """Largest learning rate eta at which the discrete map is stable: |1 + eta lambda| < 1 for both eigenvalues.

    Parameters
    ----------
    rules, teacher_recurrent, teacher_product, position, feedback, decay, horizon, leak, rates, threads, progress
        As for :func:`stability`.

    Returns
    -------
    xarray.DataArray (rule, grid)
        2 / |lambda_max| for real eigenvalues, -2 Re lambda / |lambda|^2 for complex ones, 0 where the flow is unstable.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    options: dict[str, Any] = {
        "feedback": feedback,
        "decay": decay,
        "horizon": horizon,
        "leak": leak,
        "rates": rates,
        "threads": threads,
        "progress": progress,
    }
    return stability(rules, teacher_recurrent, teacher_product, position, **options)["largest_learning_rate"]
