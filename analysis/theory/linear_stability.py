"""Linear stability of the fixed points of one mode, in closed form, on parameter grids (Eqs. 27-31, 107-123)."""

import numpy as np
import xarray as xr
from fastmodes.kernels.modes.stability import KINDS, optimal_stability

from fastmodes.files.large_grids import SLAB_POINTS, write_slabs
from fastmodes.files.schema import annotate, flag_attributes
from fastmodes.modes.grid import check_non_zero
from fastmodes.modes.update import rule_grid
from fastmodes.parallel import check_threads, run_blocks
from fastmodes.progress import progress_bar
from fastmodes.rule_codes import kernel_rule, moves
from fastmodes.rules import check_rules
from fastmodes.validation import check_flag

from .horizon_sums import horizon_sums

_BLOCK = 1 << 17
_SLAB_BY_SLAB = "write_stability computes and writes it slab by slab"
# Points whose results stay in the cache until what follows from them has been derived.
_PIECE = 1 << 14


def _entries(teacher_recurrent, teacher_product, feedback, **more):
    return {"teacher_recurrent": teacher_recurrent, "teacher_product": teacher_product, "feedback": feedback} | more


# No dimension of a parameter may have the name of what a result holds.
_RESULTS = (
    "rule", "eigenvalue", "stability_real", "stability_imag", "kind", "stable", "oscillatory", "convergence_rate",
    "largest_learning_rate",
)  # fmt: skip
_PARAMETERS = ("teacher_recurrent", "teacher_product", "position")


def _evaluate(rules, grid, values, kinds, derive=None, threads=None, progress=True):
    """Kernel results of every rule, into ``values`` (rule, part, point) and ``kinds`` (rule, point).

    ``derive(i, piece)`` is called for each piece of rule i, while its results are in the cache.
    """
    threads = check_threads(threads)
    with progress_bar(len(rules) * grid.size, "points", check_flag("progress", progress)) as bar:
        for i, rule in enumerate(rules):
            layout = grid.layout((*_PARAMETERS, f"r {i}", f"decay {i}", f"horizon {i}"))
            in_kernel = kernel_rule(rule)

            def work(block, i=i, layout=layout, in_kernel=in_kernel):
                for start in range(*block, _PIECE):
                    piece = slice(start, min(start + _PIECE, block[1]))
                    optimal_stability(*layout, start, in_kernel, values[i, :, piece], kinds[i, piece])
                    if derive is not None:
                        derive(i, piece)

            blocks = grid.blocks(_BLOCK, threads)
            run_blocks(work, blocks, threads, on_done=lambda block: bar.update(block[1] - block[0]))


def _grid(rules, teacher_recurrent, teacher_product, position, feedback, decay, horizon):
    entries = _entries(teacher_recurrent, teacher_product, feedback, position=position)
    grid = rule_grid(rules, entries, decay, horizon, _RESULTS)
    check_non_zero(grid, "position")
    return grid


def _shaped(grid, array, leading):
    """DataArray (leading dims, grid's dims) from an array (leading, point)."""
    shape = array.shape[: len(leading)] + grid.shape
    return xr.DataArray(array.reshape(shape), dims=(*leading, *grid.dims), coords=grid.coords)


def stability(
    rules, teacher_recurrent, teacher_product, position, *, feedback=1.0, decay=None, horizon=None, threads=None,
    progress=True,
) -> xr.Dataset:  # fmt: skip
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
        r, read by rules with random feedback.
    decay, horizon : number, array or DataArray, optional
        Replace the decay of scalar propagators, and the horizon of rules that have a finite one.
    threads : int, optional
        Default: all cores granted to the process. Results do not depend on it.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    xarray.Dataset
        ``stability_real``, ``stability_imag`` (rule, eigenvalue, grid), ordered by real part and then by imaginary
        part; ``kind`` (CF flags), ``stable``, ``oscillatory``, ``convergence_rate`` and ``largest_learning_rate``
        (rule, grid).

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    rules = check_rules(rules)
    grid = _grid(rules, teacher_recurrent, teacher_product, position, feedback, decay, horizon)
    grid.check_memory(7 * len(rules), _SLAB_BY_SLAB)
    count = (len(rules), grid.size)
    # The smaller and the larger real part, the imaginary parts.
    values, numbers, flags = np.empty((count[0], 4, count[1])), np.empty((2, *count)), np.empty((3, *count), np.int8)
    (rate, limit), (kinds, stable, oscillatory) = numbers, flags

    def derive(i, piece):
        (low, high, negative, imaginary), place = values[i, :, piece], (i, piece)
        imaginary[:] = negative
        np.negative(imaginary, out=negative)
        np.negative(high, out=rate[place])
        np.less(high, 0, out=stable[place].view(bool))
        np.greater(imaginary, 0, out=oscillatory[place].view(bool))
        _stable_rate(low, high, imaginary, limit[place])

    _evaluate(rules, grid, values[:, :3], kinds, derive, threads, progress)
    dataset = xr.Dataset(
        {
            "stability_real": _shaped(grid, values[:, :2], ("rule", "eigenvalue")),
            "stability_imag": _shaped(grid, values[:, 2:], ("rule", "eigenvalue")),
            "kind": _shaped(grid, kinds, ("rule",)),
            "stable": _shaped(grid, stable, ("rule",)),
            "oscillatory": _shaped(grid, oscillatory, ("rule",)),
            "convergence_rate": _shaped(grid, rate, ("rule",)),
            "largest_learning_rate": _shaped(grid, limit, ("rule",)),
        },
        coords={"rule": [rule.name for rule in rules], "eigenvalue": [0, 1]},
    )
    dataset["kind"].attrs = flag_attributes(KINDS)
    for name in ("stable", "oscillatory"):
        dataset[name].attrs = flag_attributes(("no", "yes"))
    return annotate(
        dataset,
        title="Linear stability on the optimal manifold",
        configuration={"rules": [repr(rule) for rule in rules]} | _recorded(locals()),
    )


def write_stability(
    path, rules, teacher_recurrent, teacher_product, position, *, feedback=1.0, decay=None, horizon=None,
    slab_points=SLAB_POINTS, threads=None, progress=True,
):  # fmt: skip
    """As :func:`stability`, written slab by slab: the memory needed does not grow with the grid.

    Parameters
    ----------
    path : path-like
        The netCDF4 file is complete or absent.
    rules, teacher_recurrent, teacher_product, position, feedback, decay, horizon
        As for :func:`stability`; at least one of them must vary.
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
    grid = _entries(teacher_recurrent, teacher_product, feedback, position=position)
    grid |= {name: value for name, value in (("decay", decay), ("horizon", horizon)) if value is not None}

    def compute(**parameters):
        return stability(rules, **parameters, threads=threads, progress=False)

    return write_slabs(path, compute, grid, slab_points=slab_points, progress=progress)


_RECORDED = ("teacher_recurrent", "teacher_product", "position", "feedback", "decay", "horizon", "recurrent")


def _recorded(values):
    """The parameters that are single numbers; grids are in the coordinates."""
    return {k: values[k] for k in _RECORDED if k in values and values[k] is not None and np.ndim(values[k]) == 0}


def _stable_rate(low, high, imaginary, limit):
    """Largest eta with |1 + eta lambda| < 1 for both eigenvalues, -2 Re / |lambda|^2, or 0, into ``limit``."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        np.divide(-2, low, out=limit)
        spiral = imaginary > 0
        if spiral.any():
            np.divide(-2 * low, low**2 + imaginary**2, out=limit, where=spiral)
    np.copyto(limit, 0.0, where=~(high < 0))


def convergence_rate(
    rules, teacher_recurrent, teacher_product, position, *, feedback=1.0, decay=None, horizon=None, threads=None,
    progress=True,
) -> xr.DataArray:  # fmt: skip
    """Minus the larger real part of the two eigenvalues on the optimal manifold; negative where it is unstable.

    Parameters
    ----------
    rules, teacher_recurrent, teacher_product, position, feedback, decay, horizon, threads, progress
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
    rules = check_rules(rules)
    grid = _grid(rules, teacher_recurrent, teacher_product, position, feedback, decay, horizon)
    grid.check_memory(len(rules), _SLAB_BY_SLAB)
    rates, kinds = np.empty((len(rules), 1, grid.size)), np.empty((len(rules), grid.size), np.int8)
    _evaluate(rules, grid, rates, kinds, threads=threads, progress=progress)
    dataset = xr.Dataset(
        {"convergence_rate": _shaped(grid, rates[:, 0], ("rule",)), "kind": _shaped(grid, kinds, ("rule",))},
        coords={"rule": [rule.name for rule in rules]},
    )
    dataset["kind"].attrs = flag_attributes(KINDS)
    annotate(dataset, title="Convergence rates", configuration={"rules": [repr(rule) for rule in rules]})
    return dataset.set_coords("kind")["convergence_rate"]


def largest_learning_rate(
    rules, teacher_recurrent, teacher_product, position, *, feedback=1.0, decay=None, horizon=None, threads=None,
    progress=True,
) -> xr.DataArray:  # fmt: skip
    """Largest learning rate eta at which the discrete map is stable: |1 + eta lambda| < 1 for both eigenvalues.

    Parameters
    ----------
    rules, teacher_recurrent, teacher_product, position, feedback, decay, horizon, threads, progress
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
    options = {"feedback": feedback, "decay": decay, "horizon": horizon, "threads": threads, "progress": progress}
    return stability(rules, teacher_recurrent, teacher_product, position, **options)["largest_learning_rate"]


def saddle_stability(rules, teacher_recurrent, teacher_product, recurrent, *, decay=None, horizon=None) -> xr.Dataset:
    """The two non-zero eigenvalues on the non-optimal manifold a = b = 0, w free: real, of opposite sign.

    ``+- p sqrt(alpha beta)`` with alpha = 1/(1 - w w*), beta = g_tau(pi w*): +-p/(1 - w w*) for BPTT and
    +-p/sqrt(1 - w w*) for tBPTT(1).

    Parameters
    ----------
    rules : LearningRule or str, or sequence of them
        With readout feedback: under random feedback, the manifold holds no fixed points.
    teacher_recurrent, teacher_product, recurrent : number, array or DataArray
        w*, p and w, with |w|, |w*| < 1.
    decay, horizon
        As for :func:`stability`.

    Returns
    -------
    xarray.Dataset
        ``stability_real``, ``stability_imag`` (rule, eigenvalue, grid) and ``kind`` (rule, grid).

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or a rule with random feedback.
    """
    rules = check_rules(rules)
    for rule in rules:
        if rule.feedback != "readout":
            raise ValueError(f"rules must have readout feedback to rest on a = b = 0; got {rule.name!r}")
    entries = {"teacher_recurrent": teacher_recurrent, "teacher_product": teacher_product, "recurrent": recurrent}
    grid = rule_grid(rules, entries, decay, horizon, _RESULTS)
    goal, product, w = (grid.values[name] for name in entries)
    sizes = np.empty((len(rules), grid.size))
    for i, rule in enumerate(rules):
        y = (w if moves(rule) else grid.values[f"decay {i}"]) * goal
        beta = horizon_sums(y, grid.values[f"horizon {i}"])[0]
        with np.errstate(over="ignore"):
            sizes[i] = np.abs(product * np.sqrt(beta / (1 - w * goal))).ravel()
    real = np.stack([-sizes, sizes], axis=1)
    dataset = xr.Dataset(
        {
            "stability_real": _shaped(grid, real, ("rule", "eigenvalue")),
            "stability_imag": _shaped(grid, np.zeros_like(real), ("rule", "eigenvalue")),
            "kind": _shaped(grid, np.where(sizes > 0, 2, 5).astype(np.int8), ("rule",)),
        },
        coords={"rule": [rule.name for rule in rules], "eigenvalue": [0, 1]},
    )
    dataset["kind"].attrs = flag_attributes(KINDS)
    return annotate(
        dataset,
        title="Linear stability on the non-optimal manifold",
        configuration={"rules": [repr(rule) for rule in rules]} | _recorded(locals()),
    )
