"""Teachers beyond the aligned ones: rotating, non-normal, delay lines, and random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..streams import random_stream
from ..validation import LARGEST_SCALE, check_array, check_integer, check_memory, check_number
from .network import LinearRNN

if TYPE_CHECKING:
    from ..typing import ArrayLike


def rotating_teacher(
    modulus: ArrayLike, angle: ArrayLike, *, readout: ArrayLike = 1.0, input: ArrayLike = 1.0
) -> LinearRNN:
    """Teacher of 2 x 2 blocks that rotate and shrink (beyond the paper).

    Block k of W* is ``modulus_k [[cos angle_k, -sin angle_k], [sin angle_k, cos angle_k]]``, its eigenvalues
    ``modulus_k exp(+-i angle_k)``; A* and B* are multiples of the identity on each block.

    Parameters
    ----------
    modulus : number or array (block,)
        At least 0.
    angle : number or array (block,)
        In radians.
    readout, input : number or array (block,)
        Entries of A* and B*.

    Returns
    -------
    LinearRNN
        n_out = n_hidden = n_in = 2 blocks.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range, or lengths that do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmodes as fm
    >>> fm.rotating_teacher(0.8, np.pi / 2).eigenvalues().round(3).tolist()
    [0.8j, -0.8j]
    """
    given = {"modulus": modulus, "angle": angle, "readout": readout, "input": input}
    checked = [np.atleast_1d(check_array(name, value)) for name, value in given.items()]
    try:
        size, turn, a, b = np.broadcast_arrays(*checked)
    except ValueError:
        shapes = ", ".join(f"{name} {part.shape}" for name, part in zip(given, checked, strict=True))
        raise ValueError(f"modulus, angle, readout and input must broadcast together; got {shapes}") from None
    if size.ndim != 1 or not size.size:
        raise ValueError(f"modulus must be a number or an array (block,); got shape {size.shape}")
    if (size < 0).any():
        raise ValueError(f"modulus must be >= 0; got {size.min()}")
    count = 2 * len(size)
    check_memory(24.0 * count**2, modulus=len(size))
    recurrent = np.zeros((count, count))
    for k, (r, phi) in enumerate(zip(size, turn, strict=True)):
        cos, sin = r * np.cos(phi), r * np.sin(phi)
        recurrent[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[cos, -sin], [sin, cos]]
    return LinearRNN(readout=np.diag(np.repeat(a, 2)), recurrent=recurrent, input=np.diag(np.repeat(b, 2)))


def nonnormal_teacher(eigenvalues: ArrayLike, departure: float, *, seed: int) -> LinearRNN:
    """Teacher with given real eigenvalues and a given departure from normality (Henrici 1962).

    ``W* = Q (diag(eigenvalues) + departure N) Q^T`` with Q random orthogonal and N random strictly upper triangular of
    Frobenius norm 1, so that ``||W*||_F^2 - sum |eigenvalue|^2 = departure^2``; A* and B* are identities. At 0 the
    teacher is normal.

    Parameters
    ----------
    eigenvalues : array (n_hidden,)
    departure : float
        At least 0; must be 0 for a single eigenvalue.
    seed : int
        Not negative.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.nonnormal_teacher([0.8, 0.5, 0.2], 1.5, seed=0)
    >>> round(float((teacher.recurrent**2).sum() - (0.64 + 0.25 + 0.04)), 6)
    2.25
    """
    # Imported here: scipy.stats takes longer to import than the rest of the package.
    from scipy.stats import ortho_group

    values = check_array("eigenvalues", eigenvalues, (None,), dims=("n_hidden",))
    departure, n = check_number("departure", departure, 0.0), len(values)
    check_memory(40.0 * n**2, eigenvalues=n)
    if n == 1:
        if departure:
            raise ValueError(f"departure must be 0 for a single eigenvalue; got {departure}")
        return LinearRNN(readout=np.ones((1, 1)), recurrent=values.reshape(1, 1), input=np.ones((1, 1)))
    rng = random_stream(seed, "non-normal teacher")
    upper = np.triu(rng.standard_normal((n, n)), 1)
    basis = ortho_group.rvs(n, random_state=rng)
    triangular = np.diag(values) + departure * upper / np.linalg.norm(upper)
    return LinearRNN(readout=np.eye(n), recurrent=basis @ triangular @ basis.T, input=np.eye(n))


def delay_line_teacher(delay: int, *, gain: float = 1.0) -> LinearRNN:
    """Teacher that repeats its one input ``delay`` steps later: ``y_{t+1} = gain^delay x_{t-delay}``.

    A chain of ``delay + 1`` units, each handing its state to the next, times ``gain``. W* is nilpotent: all its
    eigenvalues are 0, and no mode describes it.

    Parameters
    ----------
    delay : int
        From 0 (the output repeats the input at once) to 99,999.
    gain : float

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmodes as fm
    >>> fm.delay_line_teacher(2).run(np.array([[1.0], [2.0], [3.0], [4.0]])).output.ravel().tolist()
    [0.0, 0.0, 1.0, 2.0]
    """
    n = check_integer("delay", delay, 0, 99_999) + 1
    gain = check_number("gain", gain)
    check_memory(16.0 * n**2, delay=delay)
    ends = np.zeros((n, 1))
    ends[0] = 1.0
    return LinearRNN(readout=ends[::-1].T, recurrent=gain * np.eye(n, k=-1), input=ends)


def random_teacher(
    hidden: int, *, n_out: int | None = None, n_in: int | None = None, radius: float = 0.9, seed: int
) -> LinearRNN:
    """Teacher with independent Gaussian weights, W* scaled to a given spectral radius.

    Parameters
    ----------
    hidden : int
        Number of hidden units.
    n_out, n_in : int, optional
        Default ``hidden``.
    radius : float
        Spectral radius of W*, at least 0. A* and B* have entries of standard deviation ``1 / sqrt(hidden)``.
    seed : int
        Not negative.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.

    Examples
    --------
    >>> import fastmodes as fm
    >>> round(fm.random_teacher(5, n_out=2, n_in=3, radius=0.8, seed=0).spectral_radius, 12)
    0.8
    """
    n = check_integer("hidden", hidden, 1, 100_000)
    rows = n if n_out is None else check_integer("n_out", n_out, 1, 100_000)
    columns = n if n_in is None else check_integer("n_in", n_in, 1, 100_000)
    radius = check_number("radius", radius, 0.0, LARGEST_SCALE)
    check_memory(16.0 * n * (n + rows + columns), hidden=n, n_out=rows, n_in=columns)
    rng = random_stream(seed, "random teacher")
    readout, recurrent, inputs = (rng.standard_normal(shape) for shape in ((rows, n), (n, n), (n, columns)))
    recurrent *= radius / np.abs(np.linalg.eigvals(recurrent)).max()
    return LinearRNN(readout=readout / np.sqrt(n), recurrent=recurrent, input=inputs / np.sqrt(n))
