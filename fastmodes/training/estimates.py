"""From the weights of a network back to its modes, and how well its bases align with the teacher's (Sec. 2.6).

With W = P Lambda P^{-1} (unit columns) and the teacher's bases U, V, Eq. 23 (theory section 7) estimates

    Wbar = Lambda,  Abar = U^T A P,  Bbar = P^{-1} B V,  Rbar = U^T R P,

the modes being the diagonals. A student's eigenvalues are matched to the teacher's in decreasing order: its largest to
the teacher's non-negative ones, its smallest to the teacher's negative ones. This is done once, at the last epoch of a
history, where most is learned; before it, every eigenvector is followed (see :mod:`~fastmodes.training.tracks`), so
that a curve belongs to one mode even where eigenvalues cross. An eigenvector's sign (phase) is free: at the last epoch
it gives the input entry b the sign of the teacher's b*, before it turns as little as possible.

``mode_match`` says how sure the match is: "degenerate", the teacher's eigenvalue is not the only one of its size, so
that the labels of these modes are interchangeable; "uncertain", another unit's eigenvalue is closer to the teacher's at
the last epoch; "crossing", the step to the next recorded epoch is not decided by the eigenvectors, so that two curves
may have been exchanged there; "missing", there is no such unit or the weights are not finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..files.schema import flag_attributes
from ..networks.network import LinearRNN, check_pair
from ..networks.teacher_modes import TeacherModes, mode_coordinates, teacher_modes
from ..validation import check_array
from .tracks import follow, follow_phases

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: An imaginary part above this share of the modulus (or of the largest entry) is flagged.
IMAGINARY_SHARE = 1e-3
#: Values of ``mode_match``; the later one wins.
MATCHES = ("clear", "degenerate", "uncertain", "crossing", "missing")
#: Teacher eigenvalues closer than this share of the largest cannot be told apart.
_DEGENERATE = 1e-6


def history_estimates(
    readout: NDArray[Any],
    recurrent: NDArray[Any],
    input_: NDArray[Any],
    teacher: TeacherModes,
    feedback: NDArray[Any] | None = None,
) -> dict[str, NDArray[Any]]:
    """Mode estimates, alignments and spectra along a history of weights.

    Parameters
    ----------
    readout : array (epoch, n_out, n_hidden)
    recurrent : array (epoch, n_hidden, n_hidden)
    input_ : array (epoch, n_hidden, n_in)
    teacher : TeacherModes
    feedback : array (n_out, n_hidden) or (epoch, n_out, n_hidden), optional

    Returns
    -------
    dict of str to array
        By variable name; (epoch, mode), (epoch,) or (epoch, unit). Epochs with weights that are not finite, and modes
        for which the student has no unit, are NaN.
    """
    epochs, n_modes, n = len(recurrent), len(teacher.recurrent), recurrent.shape[1]
    valid = np.isfinite(recurrent).all((1, 2)) & np.isfinite(readout).all((1, 2)) & np.isfinite(input_).all((1, 2))
    out = _empty_results(epochs, n_modes, n)
    if not valid.any():
        return out
    a, w, b = readout[valid], recurrent[valid], input_[valid]
    feedback = feedback[valid] if feedback is not None and feedback.ndim == 3 else feedback
    values, p = np.linalg.eig(w)
    order = np.lexsort((-values.imag, -values.real), axis=-1)
    order = np.take_along_axis(order, np.broadcast_to(_dominant(teacher.recurrent, n), order.shape), axis=1)
    values = np.take_along_axis(values, order, axis=1)
    p = np.take_along_axis(p, order[:, np.newaxis, :], axis=2).astype(complex)
    inverse = _inverses(p)
    places, doubtful = follow(values, p, inverse)
    values = np.take_along_axis(values, places, axis=1)
    p = np.take_along_axis(p, places[:, np.newaxis, :], axis=2)
    inverse = np.take_along_axis(inverse, places[:, :, np.newaxis], axis=1)
    u, v = teacher.output_basis, teacher.input_basis
    signs = np.nan_to_num(np.real(teacher.input))
    follow_phases(values, p, inverse, np.diagonal(inverse[-1] @ b[-1] @ v.conj()), signs)
    projected = {
        "readout": u.conj().T @ a @ p,
        "input": inverse @ b @ v.conj(),
        "feedback": None if feedback is None else u.conj().T @ feedback @ p,
    }
    shown = min(n, n_modes)
    estimates = {"recurrent": values[:, :shown]}
    for name, matrix in projected.items():
        if matrix is not None:
            kept = min(shown, matrix.shape[1], matrix.shape[2])
            diagonal = np.full((len(matrix), shown), np.nan, dtype=complex)
            diagonal[:, :kept] = np.einsum("eii->ei", matrix[:, :kept, :kept])
            estimates[name] = diagonal
    for name, numbers in estimates.items():
        out[f"mode_{name}"][valid, :shown] = numbers.real
        out[f"mode_{name}_imag"][valid, :shown] = numbers.imag
    out["mode_is_complex"][valid, :shown] = _is_complex(estimates)
    out["mode_match"][valid, :shown] = _match_flags(values[-1], doubtful[:, :shown], teacher.recurrent[:shown])
    gram = p.conj().transpose(0, 2, 1) @ p
    out["alignment_recurrent"][valid] = _diagonal_energy(gram[:, :n_modes, :])
    out["alignment_readout"][valid] = _diagonal_energy(projected["readout"][:, :, :n_modes])
    out["alignment_input"][valid] = _diagonal_energy(projected["input"][:, :n_modes, :])
    if feedback is not None:
        out["alignment_feedback"][valid] = _diagonal_energy(projected["feedback"][:, :, :n_modes])
    spectrum = np.take_along_axis(values, np.lexsort((-values.imag, -values.real), axis=-1), axis=1)
    out["eigenvalue_real"][valid], out["eigenvalue_imag"][valid] = spectrum.real, spectrum.imag
    out["singular_value"][valid] = np.linalg.svd(w, compute_uv=False)
    if teacher.defect:
        for name in _REFERRING:
            out[name][:] = np.nan
    return out


def explain_missing(dataset: xr.Dataset, teacher: TeacherModes) -> None:
    """Say in the attribute ``comment`` of estimates why they are not numbers where the weights are."""
    known = dataset["alignment_recurrent"].notnull() if "alignment_recurrent" in dataset else xr.DataArray(True)
    for name in (*_REFERRING, "teacher_readout", "teacher_input"):
        if name in dataset.variables and (dataset[name].isnull() & (known | name.startswith("teacher"))).any():
            kind = "feedback" if "feedback" in name else name.split("_")[0]
            dataset[name].attrs["comment"] = teacher.defect or _REASONS[kind]


def change_spectra(recurrent: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Singular values and eigenvalues of W - W_0 along a history (epoch, n_hidden, n_hidden), the first entry W_0."""
    return {f"change_{name}": values for name, values in spectra(recurrent - recurrent[0]).items()}


def spectra(matrices: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Singular values and eigenvalues of matrices (epoch, n_hidden, n_hidden), NaN where they are not finite."""
    valid = np.isfinite(matrices).all((1, 2))
    names = ("singular_value", "eigenvalue_real", "eigenvalue_imag")
    out = {name: np.full(matrices.shape[:2], np.nan) for name in names}
    values = np.linalg.eigvals(matrices[valid])
    values = np.take_along_axis(values, np.lexsort((-values.imag, -values.real), axis=-1), axis=1)
    out["singular_value"][valid] = np.linalg.svd(matrices[valid], compute_uv=False)
    out["eigenvalue_real"][valid], out["eigenvalue_imag"][valid] = values.real, values.imag
    return out


MODE_VARIABLES = tuple(
    f"mode_{name}{part}" for name in ("recurrent", "readout", "input", "feedback") for part in ("", "_imag")
)
MODE_FLAGS = ("mode_is_complex", "mode_match")
#: Why estimates of a kind may be missing, for a teacher that has modes.
_REASONS = {
    "feedback": "no R is read",
    "alignment": "a matrix of zeros has no direction",
    "mode": "there are fewer units or channels than modes",
}
ALIGNMENTS = ("alignment_recurrent", "alignment_readout", "alignment_input", "alignment_feedback")

#: Estimates that refer to the teacher's bases.
_REFERRING = (*ALIGNMENTS[1:], *(name for name in MODE_VARIABLES if "recurrent" not in name))


def _empty_results(epochs: int, n_modes: int, n: int) -> dict[str, NDArray[Any]]:
    out: dict[str, NDArray[Any]] = {name: np.full((epochs, n_modes), np.nan) for name in MODE_VARIABLES}
    out["mode_is_complex"] = np.zeros((epochs, n_modes), dtype=np.int8)
    out["mode_match"] = np.full((epochs, n_modes), MATCHES.index("missing"), dtype=np.int8)
    out |= {name: np.full(epochs, np.nan) for name in ALIGNMENTS}
    out |= {name: np.full((epochs, n), np.nan) for name in ("eigenvalue_real", "eigenvalue_imag", "singular_value")}
    return out


def _dominant(teacher_values: NDArray[Any], n: int) -> NDArray[Any]:
    """Places of the student's eigenvalues (decreasing) in the order of the teacher's modes, the others after them."""
    shown = min(n, len(teacher_values))
    negative = int(np.sum(np.real(teacher_values)[:shown] < 0))
    top, bottom = np.arange(shown - negative), np.arange(n - negative, n)
    return np.concatenate([top, bottom, np.arange(shown - negative, n - negative)])


def _inverses(p: NDArray[Any]) -> NDArray[Any]:
    try:
        return np.linalg.inv(p)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(p)


def _match_flags(last_values: NDArray[Any], doubtful: NDArray[Any], teacher_values: NDArray[Any]) -> NDArray[np.int8]:
    """``mode_match`` (epoch, mode) of a followed history."""
    shown = len(teacher_values)
    flags = np.zeros(doubtful.shape, dtype=np.int8)
    alike = np.abs(teacher_values[:, np.newaxis] - teacher_values) <= _DEGENERATE * np.abs(teacher_values).max()
    flags[:, alike.sum(axis=1) > 1] = MATCHES.index("degenerate")
    distance = np.abs(last_values[np.newaxis, :] - teacher_values[:, np.newaxis])
    own = np.diagonal(distance).copy()
    distance[:, :shown][alike] = np.inf
    flags[:, distance.min(axis=1) < own] = MATCHES.index("uncertain")
    flags[doubtful] = MATCHES.index("crossing")
    return flags


def _is_complex(estimates: Mapping[str, NDArray[Any]]) -> Any:
    flag: Any = False
    for numbers in estimates.values():
        size = np.abs(numbers)
        flag = flag | (np.abs(numbers.imag) > IMAGINARY_SHARE * np.maximum(size, 1e-300))
    return flag


def _diagonal_energy(matrices: NDArray[Any]) -> NDArray[Any]:
    """d(X) = sum_i |X_ii|^2 / sum_ij |X_ij|^2 of each matrix; NaN where X is zero."""
    size = np.abs(matrices)
    largest = size.max((1, 2), keepdims=True)
    energy = (size / np.where(largest > 0, largest, 1.0)) ** 2
    whole = energy.sum((1, 2))
    share = np.einsum("eii->e", energy[:, : energy.shape[2], : energy.shape[1]])
    return np.where(whole > 0, share / np.where(whole > 0, whole, 1.0), np.nan)


def _of_one_network(network: LinearRNN, teacher: LinearRNN, feedback: ArrayLike | None) -> dict[str, NDArray[Any]]:
    check_pair(network, teacher)
    checked: NDArray[Any] | None = None
    if feedback is not None:
        checked = check_array("feedback", feedback, network.readout.shape, dims=("n_out", "n_hidden"))
    return history_estimates(
        network.readout[np.newaxis],
        network.recurrent[np.newaxis],
        network.input[np.newaxis],
        teacher_modes(teacher),
        checked,
    )


def estimate_modes(network: LinearRNN, teacher: LinearRNN, *, feedback: ArrayLike | None = None) -> xr.Dataset:
    """Estimate the modes of a network that need not be aligned (Eq. 23).

    Parameters
    ----------
    network, teacher : LinearRNN
    feedback : array (n_out, n_hidden), optional
        R; without it ``mode_feedback`` is NaN.

    Returns
    -------
    xarray.Dataset
        ``mode_recurrent``, ``mode_readout``, ``mode_input``, ``mode_feedback`` and their imaginary parts on ``mode``,
        the teacher's modes as coordinates, ``mode_is_complex`` where an imaginary part is not small,
        ``mode_match`` with how sure the match of the student's eigenvalue is (CF flags).

    Raises
    ------
    TypeError, ValueError
        If the networks do not fit together, or the feedback has another shape.
    """
    from ..files.schema import annotate

    results = _of_one_network(network, teacher, feedback)
    variables = {name: ("mode", results[name][0]) for name in (*MODE_VARIABLES, *MODE_FLAGS)}
    dataset = xr.Dataset(variables, coords=mode_coordinates(teacher_modes(teacher)))
    put_flags(dataset)
    explain_missing(dataset, teacher_modes(teacher))
    return annotate(dataset, title="Mode estimates of one network", configuration={})


def alignment(network: LinearRNN, teacher: LinearRNN, *, feedback: ArrayLike | None = None) -> xr.Dataset:
    """How well a network's bases align with the teacher's (Eqs. 24-26), each in [0, 1], 1 for perfect alignment.

    The measure is the diagonal energy d(X) = sum_i |X_ii|^2 / sum_ij |X_ij|^2, with n the teacher's number of modes:
    recurrent, X = first n rows of P^H P; readout, X = first n columns of U^T A P; feedback, the same of U^T R P; input,
    X = first n rows of P^{-1} B V.

    Parameters
    ----------
    network, teacher : LinearRNN
    feedback : array (n_out, n_hidden), optional
        R; without it ``alignment_feedback`` is NaN.

    Returns
    -------
    xarray.Dataset
        ``alignment_recurrent``, ``alignment_readout``, ``alignment_input``, ``alignment_feedback``, numbers.

    Raises
    ------
    TypeError, ValueError
        If the networks do not fit together, or the feedback has another shape.
    """
    from ..files.schema import annotate

    results = _of_one_network(network, teacher, feedback)
    dataset = xr.Dataset({name: ((), results[name][0]) for name in ALIGNMENTS})
    explain_missing(dataset, teacher_modes(teacher))
    return annotate(dataset, title="Alignment of one network with its teacher", configuration={})


def put_flags(dataset: xr.Dataset) -> None:
    """Give the flag variables of mode estimates their CF attributes."""
    dataset["mode_is_complex"].attrs = flag_attributes(("real", "complex"))
    dataset["mode_match"].attrs = flag_attributes(MATCHES)
