"""Flags: small numbers in a dataset whose attributes say what they mean (CF conventions)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..validation import shown

if TYPE_CHECKING:
    from collections.abc import Hashable

#: What stands for a number without a word: -1 where a sweep's block is missing.
MISSING = "missing"


def check_flags(dataset: xr.Dataset, variable: Hashable) -> dict[str, int]:
    """The words of a flag variable, each with its code.

    Raises
    ------
    ValueError
        If the variable has no CF flags, ``flag_values`` and as many ``flag_meanings``.
    """
    attributes = dataset[variable].attrs
    codes, words = np.ravel(attributes.get("flag_values", ())), attributes.get("flag_meanings", "")
    listed = words.split() if isinstance(words, str) else []
    if not listed or len(listed) != codes.size or codes.dtype.kind not in "iu":
        raise ValueError(
            f"dataset must say what the numbers of {variable!r} mean, in its attributes flag_values and flag_meanings; "
            f"got {shown(dict(attributes))}"
        )
    return dict(zip(listed, codes.tolist(), strict=True))


def status_names(dataset: xr.Dataset, variable: str = "status") -> xr.DataArray:
    """Words instead of numbers: how every run ended, or what else a flag variable says.

    Parameters
    ----------
    dataset : xarray.Dataset
        From any function of the package, or read from a file: any with CF flags.
    variable : str
        A variable of flags, such as "status", "mode_match", "kind", "basin".

    Returns
    -------
    xarray.DataArray
        Of texts, with the variable's dims and coordinates; "missing" where the number has no word, as in unfinished
        sweeps.

    Raises
    ------
    TypeError, ValueError
        If it is no dataset, has no such variable, or the variable has no flags.

    Examples
    --------
    >>> import fastmodes as fm
    >>> ended = fm.flow(fm.bptt(), fm.Modes(0.1, 1.0, 1.0), fm.Modes(0.5, 1.0, 1.0), [1.0], progress=False)
    >>> fm.status_names(ended).item()
    'reached_end'
    """
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"dataset must be an xarray.Dataset; got {shown(dataset)}")
    if not isinstance(variable, str) or variable not in dataset.variables:
        flags = [str(name) for name, array in dataset.variables.items() if "flag_values" in array.attrs]
        raise ValueError(f"variable must be one of the dataset's flags, {', '.join(flags)}; got {shown(variable)}")
    flags_by_word = check_flags(dataset, variable)
    words, codes = np.array([*flags_by_word, MISSING]), list(flags_by_word.values())
    values = np.asarray(dataset[variable].values)
    places = np.full(values.shape, len(codes))
    for place, code in enumerate(codes):
        places[values == code] = place
    named = dataset[variable].copy(data=words[places])
    named.attrs = {key: value for key, value in named.attrs.items() if not str(key).startswith("flag_")}
    return named
