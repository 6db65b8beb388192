"""Checks of the sequences that a user brings, and what follows from them: steps, batch, what is held out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

from ..networks.network import LinearRNN, check_network
from ..networks.teacher_text import parse_teacher
from ..validation import check_array, check_integer, shown
from .sequences import Sequences

#: Sequences of a batch where none is asked for.
_BATCH_SIZE = 32
#: Held-out sequences where none are given.
_VALIDATION_SIZE = 128
#: Share of the given sequences that is held out where no number is asked for: one in so many.
_HELD_OUT_SHARE = 5


def _ordered(name: str, value: Any, *dims: str) -> Any:
    """A labelled array in the order of ``dims``; anything else as it is."""
    if not isinstance(value, xr.DataArray):
        return value
    if set(value.dims) != set(dims):
        raise ValueError(f"{name} must have the dims {dims}; got {value.dims}")
    return value.transpose(*dims)


def check_data(data: Any, loss: str) -> Sequences | int | None:
    """The user's own sequences, how many to draw from the teacher, or None.

    Raises
    ------
    TypeError, ValueError
        If it is neither, an entry is no finite number, or shapes do not fit together.
    """
    if data is None:
        return None
    if isinstance(data, xr.Dataset):
        if {"inputs", "targets"} - set(data.variables):
            raise ValueError(f"data must hold the variables inputs and targets; got {list(data.variables)}")
        data = data["inputs"], data["targets"]
    if not isinstance(data, tuple | list):
        return check_integer("data", data, 1, 10**7)
    if len(data) != 2:
        raise ValueError(f"data must be (inputs, targets) or a number of sequences; got {len(data)} entries")
    inputs = _ordered("inputs of data", data[0], "sample", "time", "input")
    targets = data[1]
    if isinstance(targets, xr.DataArray):
        targets = _ordered("targets of data", targets, "sample", *("time",) * ("time" in targets.dims), "output")
        if isinstance(inputs, xr.DataArray):
            # Labels that differ, in order or number, are no pairs.
            _check_pairs(inputs, targets)
    checked = check_array("inputs of data", inputs, (None, None, None), dims=("sample", "time", "input"))
    samples, steps = checked.shape[:2]
    if np.ndim(targets) == 2 and loss == "final":
        wanted = check_array("targets of data", targets, (samples, None), dims=("sample", "output"))[:, np.newaxis]
    else:
        wanted = check_array("targets of data", targets, (samples, steps, None), dims=("sample", "time", "output"))
        wanted = wanted[:, -1:] if loss == "final" else wanted
    return Sequences(checked, np.ascontiguousarray(wanted))


def _check_pairs(inputs: xr.DataArray, targets: xr.DataArray) -> None:
    """Refuse labelled sequences and targets whose labels along ``sample`` are not the same, in the same order.

    Raises
    ------
    ValueError
        If they are not.
    """
    try:
        xr.align(inputs, targets, join="exact", exclude={"time", "input", "output"})
    except ValueError:
        raise ValueError(
            "targets of data must have the labels of inputs along 'sample', in the same order: sequences and targets "
            f"are pairs; got {_labels(targets)} beside {_labels(inputs)}. Sort both, .sortby('sample')"
        ) from None


def _labels(value: xr.DataArray) -> str:
    return (
        shown(value.indexes["sample"].tolist()) if "sample" in value.indexes else f"{value.sizes['sample']} sequences"
    )


def _split(data: Sequences, validation_size: int | None) -> tuple[Sequences, Sequences]:
    """What is learned from, and the last sequences, held out.

    Raises
    ------
    ValueError
        If nothing is left on one side.
    """
    samples = data.sizes[0]
    if samples < 2:
        raise ValueError("data must hold at least 2 sequences, one to learn from and one that is held out; got 1")
    held_out = max(1, samples // _HELD_OUT_SHARE) if validation_size is None else validation_size
    if held_out >= samples:
        raise ValueError(f"validation_size must be smaller than the {samples} sequences of data; got {shown(held_out)}")
    return data.part(0, samples - held_out), data.part(samples - held_out, samples)


def around(data: Sequences | int | None, given: dict[str, Any]) -> dict[str, Any]:
    """The teacher and the steps: those given, or those of the data."""
    teacher, steps = given["teacher"], given["steps"]
    if isinstance(teacher, str):
        teacher = parse_teacher(teacher)
    if isinstance(data, Sequences):
        _, own, n_in, n_out = data.sizes
        if steps not in (None, own):
            raise ValueError(f"steps must be left out or be the {own} steps of data; got {shown(steps)}")
        if teacher is None:
            return {"teacher": _stand_in(data), "steps": own, "labelled": False}
        sizes = check_network("teacher", teacher).n_in, teacher.n_out
        if sizes != (n_in, n_out):
            raise ValueError(f"data must have the teacher's n_in, n_out = {sizes}; got {(n_in, n_out)}")
        return {"teacher": teacher, "steps": own, "labelled": True}
    check_network("teacher", teacher)
    if steps is None:
        raise TypeError("steps must be a whole number from 1 to 10**9, or inf, unless sequences are given; got None")
    return {"teacher": teacher, "labelled": True}


def parts(values: SimpleNamespace, data: Sequences | int | None) -> tuple[Sequences | int | None, Sequences | None]:
    """What is learned from and what is held out of it; defaults of both sizes are filled in."""
    held_out = None
    if isinstance(data, Sequences):
        data, held_out = _split(data, values.validation_size)
        values.validation_size = held_out.sizes[0]
    values.validation_size = _VALIDATION_SIZE if values.validation_size is None else values.validation_size
    if data is not None:
        count = data if isinstance(data, int) else data.sizes[0]
        values.batch_size = count if values.batch_size is None else values.batch_size
        if values.batch_size > count:
            raise ValueError(f"batch_size must be at most the {count} sequences to learn from; got {values.batch_size}")
    elif values.batch_size is None:
        values.batch_size = _BATCH_SIZE
    return data, held_out


def _stand_in(data: Sequences) -> LinearRNN:
    """A silent network of the sizes of the data, where no teacher is given."""
    _, _, n_in, n_out = data.sizes
    return LinearRNN(np.zeros((n_out, 1)), np.zeros((1, 1)), np.zeros((1, n_in)))
