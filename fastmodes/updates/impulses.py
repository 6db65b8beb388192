"""The exact expectation of anyone's update: the sum over unit impulses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..parallel import interruptibly
from ..validation import as_array, check_array, check_integer, check_memory, check_steps, shown

if TYPE_CHECKING:
    from ..typing import ArrayLike, FloatArray

_Sums = TypeVar("_Sums", bound=tuple[Any, ...])


def covariance_root(input_covariance: ArrayLike, n_in: int) -> FloatArray:
    """Symmetric square root of an input covariance.

    Raises
    ------
    TypeError, ValueError
        If it is not a symmetric positive semidefinite matrix (n_in, n_in).
    """
    name = "input_covariance"
    # It is symmetric: the order of labelled axes does not matter.
    covariance = check_array(
        name, getattr(input_covariance, "values", input_covariance), (n_in, n_in), dims=("n_in",) * 2
    )
    size = np.abs(covariance).max()
    difference = np.abs(covariance - covariance.T)
    if difference.max() > 1e-12 * size:
        i, j = (int(place) for place in np.unravel_index(np.argmax(difference), difference.shape))
        raise ValueError(
            f"{name} must be symmetric; got {covariance[i, j]} at index {i, j} but {covariance[j, i]} at {j, i}"
        )
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-12 * size:
        raise ValueError(f"{name} must be positive semidefinite; got the eigenvalue {values[0]}")
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def impulse_expectation(
    update: Callable[[FloatArray], _Sums], steps: int, n_in: int, input_covariance: ArrayLike | None = None
) -> _Sums:
    """Exact expectation of any update that is quadratic in its input (theory section 3).

    Updates of linear networks started at h_0 = 0 are quadratic in the input, so their expectation under white noise
    is the sum of the updates on the ``steps * n_in`` unit impulses: no Monte-Carlo error.

    Parameters
    ----------
    update : callable
        ``update(inputs)`` with ``inputs`` (1, steps, n_in) returns a tuple of numbers and arrays, an
        :class:`Update` for example; it is called once for each impulse. Any code, also other people's.
    steps, n_in : int
    input_covariance : array, optional
        Default identity. (n_in, n_in): covariance of the channels, white in time. (steps * n_in, steps * n_in):
        covariance of the whole sequence, time the slower index.

    Returns
    -------
    Update or tuple
        The sums, in the type of what ``update`` returns.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    >>> student = fm.random_student(3, teacher, scale=0.5, seed=0)
    >>> exact = fm.impulse_expectation(lambda x: fm.sampled_update(fm.bptt(), student, teacher, x), 20, 2)
    >>> abs(exact.loss - fm.expected_update(fm.bptt(), student, teacher, 20).loss) < 1e-12
    True
    """
    steps, n_in, root = _checked(update, steps, n_in, input_covariance)
    sums: Any = None
    result: Any = ()
    for direction in _directions(steps, n_in, root):
        result = _called(update, direction)
        if sums is not None and len(result) != len(sums):
            raise ValueError(f"update must always return tuples of one length; got {len(sums)}, then {len(result)}")
        with np.errstate(all="ignore"):
            sums = list(result) if sums is None else [s + r for s, r in zip(sums, result, strict=True)]
    total: Any = type(result)(*sums) if hasattr(result, "_fields") else tuple(sums)
    return total


def _checked(
    update: object, steps: int, n_in: int, input_covariance: ArrayLike | None
) -> tuple[int, int, FloatArray | None]:
    """Steps, channels and the root of the covariance, None where it is the identity."""
    if not callable(update):
        raise TypeError(f"update must be a callable of inputs (1, steps, n_in); got {shown(update)}")
    steps = check_steps("steps", steps)
    n_in = check_integer("n_in", n_in)
    check_memory(8.0 * steps * n_in, steps=steps, n_in=n_in)
    root = None
    if input_covariance is not None:
        size = n_in if as_array("input_covariance", input_covariance).shape == (n_in, n_in) else steps * n_in
        # The covariance, its eigenvectors and its root.
        check_memory(24.0 * size**2, "a covariance (n_in, n_in) is white in time", steps=steps, n_in=n_in)
        root = interruptibly(covariance_root, input_covariance, size)
    return steps, n_in, root


def _called(update: Callable[[FloatArray], _Sums], inputs: FloatArray) -> _Sums:
    result = update(inputs)
    if not isinstance(result, tuple):
        raise TypeError(f"update must return a tuple such as fm.Update; got {shown(result)}")
    return result


def impulse_covariance(
    update: Callable[[FloatArray], tuple[Any, ...]], steps: int, n_in: int, input_covariance: ArrayLike | None = None
) -> FloatArray:
    """Exact covariance of any update that is quadratic in its input (theory section 13).

    With u(x) = x^T Q x for each entry and the ``steps * n_in`` unit impulses e_i, pairs of them give

        Q_ii = u(e_i),    Q_ik = (u(e_i + e_k) - u(e_i) - u(e_k)) / 2,    Cov(u_a, u_b) = 2 sum_ik Q^a_ik Q^b_ik

    for Gaussian input: no Monte-Carlo error. The companion of :func:`impulse_expectation`.

    Parameters
    ----------
    update : callable
        ``update(inputs)`` with ``inputs`` (1, steps, n_in) returns a tuple of numbers and arrays, an :class:`Update`
        for example; it is called about (steps n_in)^2 / 2 times. Any code, also other people's.
    steps, n_in : int
    input_covariance : array, optional
        As for :func:`impulse_expectation`.

    Returns
    -------
    array (entry, entry)
        Covariance of the entries of everything that ``update`` returns for one sequence, one part after the other, each
        in C order: of an :class:`Update` the loss, then Delta A, Delta W and Delta B. A batch of S independent
        sequences has 1/S of it.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or an update that is not quadratic, such as that of a tanh network.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.aligned_teacher(fm.Modes([0.9], 1.0, 1.0))
    >>> student = fm.random_student(2, teacher, scale=0.5, seed=0)
    >>> covariance = fm.impulse_covariance(lambda x: fm.sampled_update("bptt", student, teacher, x), 5, 1)
    >>> moments = fm.update_moments("bptt", student, teacher, 5)
    >>> bool(abs(covariance.diagonal()[1:].sum() / moments.total_variance - 1) < 1e-12)
    True
    """
    steps, n_in, root = _checked(update, steps, n_in, input_covariance)
    single: list[FloatArray] = []
    before: list[FloatArray] = []
    covariance = np.zeros(0)
    for direction in _directions(steps, n_in, root):
        here = _entries(update, direction)
        if not single:
            check_memory(8.0 * len(here) * (len(here) + 2.0 * steps * n_in), steps=steps, n_in=n_in, entries=len(here))
            _check_quadratic(update, direction, here)
            covariance = np.zeros((len(here), len(here)))
        # The first of a pair counts for both orders: sqrt(2) Q_ik; then all of them twice.
        rows = [2.0 * here]
        for other, known in zip(before, single, strict=True):
            rows.append(np.sqrt(2.0) * (_entries(update, direction + other) - here - known))
        stacked = np.sqrt(0.5) * np.stack(rows)
        covariance += stacked.T @ stacked
        single.append(here)
        before.append(direction)
    return covariance


def _entries(update: Callable[[FloatArray], tuple[Any, ...]], inputs: FloatArray) -> FloatArray:
    """All that an update returns in one row."""
    return np.concatenate([np.asarray(part, dtype=float).ravel() for part in _called(update, inputs)])


def _check_quadratic(update: Callable[[FloatArray], tuple[Any, ...]], direction: FloatArray, once: FloatArray) -> None:
    twice = _entries(update, 2.0 * direction)
    if not np.abs(twice - 4.0 * once).max() <= 1e-9 * np.abs(twice).max():
        raise ValueError(
            "update must be quadratic in its input, as those of linear networks from h_0 = 0 are; got one that twice "
            "the input does not multiply by 4"
        )


def _directions(steps: int, n_in: int, root: FloatArray | None) -> Iterator[FloatArray]:
    """Columns of the covariance's root as input sequences (1, steps, n_in): unit impulses where ``root`` is None."""
    if root is not None and len(root) == steps * n_in:
        yield from (column.reshape(1, steps, n_in).copy() for column in root)
        return
    rows = np.eye(n_in) if root is None else root
    for t in range(steps):
        for row in rows:
            direction = np.zeros((1, steps, n_in))
            direction[0, t] = row
            yield direction
