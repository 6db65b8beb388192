"""Modes of training under the letters of the flow, to lay one over the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

from .checks import check_dataset

#: Names of a training's modes, and the flow's for the same quantities.
LETTERS = {"mode_recurrent": "w", "mode_readout": "a", "mode_input": "b", "mode_feedback": "r"}


def letters(dataset: xr.Dataset) -> xr.Dataset:
    """The same dataset with the modes of training or of a prediction called w, a, b, r, as :func:`fastmodes.flow` does.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train`, :func:`fastmodes.matrix_flow` or :func:`predict_from_epoch`.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    TypeError, ValueError
        If it is no dataset, or holds no modes.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
    >>> runs = fm.matrix_flow("bptt", teacher, hidden=2, seeds=1, times=[0.0], progress=False)
    >>> [name for name in "wab" if name in fm.analysis.letters(runs)]
    ['w', 'a', 'b']
    """
    check_dataset(dataset)
    if not any(name in dataset for name in LETTERS):
        check_dataset(dataset, ("mode_recurrent",), source="fastmodes.train")
    found = {name: letter for name, letter in LETTERS.items() if name in dataset}
    return dataset.rename(found)
