"""What the functions of this folder ask of a dataset, checked in one place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from fastmodes.rules import LearningRule
from fastmodes.training.quality import QUALITY
from fastmodes.validation import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


#: Imaginary parts above this share of the largest modulus are not rounding.
_REAL = 1e-9


def check_dataset(
    dataset: xr.Dataset,
    variables: Sequence[str] = (),
    dims: Sequence[str] = (),
    *,
    source: str = "fastmodes.train",
    name: str = "dataset",
) -> xr.Dataset:
    """Return ``dataset`` if it is one that holds these variables and dimensions; ``name`` is what errors call it.

    Raises
    ------
    TypeError
        If it is no Dataset.
    ValueError
        If a variable or a dimension is missing.
    """
    if not isinstance(dataset, xr.Dataset):
        raise TypeError(f"{name} must be an xarray.Dataset from {source}; got {shown(dataset)}")
    for variable in variables:
        if variable not in dataset.variables:
            how = _how(dataset, variable)
            raise ValueError(f"{name} must hold {variable!r}, as {source} writes it{how}; it has {_list(dataset)}")
        if "epoch" in dims and "phase" in dataset[variable].dims and "phase" not in dims:
            raise ValueError(
                f"{name} must be one phase of a training on several tasks here, such as .isel(phase=0); "
                f"it has {dataset.sizes['phase']} phases"
            )
    for dim in dims:
        if dim not in dataset.dims:
            raise ValueError(
                f"{name} must have the dimension {dim!r} (select with a list to keep it: .sel({dim}=[...])); "
                f"it has {tuple(dataset.dims)}"
            )
        if dataset.sizes[dim] == 0:
            raise ValueError(f"{name} must have at least one entry along {dim!r}; got none")
        if dim in ("rule", "epoch") and dim not in dataset.coords:
            raise ValueError(f"{name} must have coordinates along {dim!r}; got none")
    return dataset


#: Variables that compare with a teacher.
_OF_A_TEACHER = ("mode_", "alignment_", "teacher_")


def _how(dataset: xr.Dataset, variable: str) -> str:
    """What makes training write a variable that is missing, as far as it can be said."""
    if variable.endswith("_weights"):
        return ", with keep_weights=True"
    if variable in QUALITY:
        return ", with gradient_quality=True, or fastmodes.analysis.gradient_quality measures it from kept weights"
    if variable == "training_loss":
        return " where it learns from data"
    if variable.startswith(_OF_A_TEACHER) and '"teacher": null' in str(dataset.attrs.get("configuration")):
        return (
            " where there is a teacher; this one was trained without a teacher, so that it has no modes and no "
            "alignments: train(rules, teacher, data=...) compares with one"
        )
    return ""


def _list(dataset: xr.Dataset) -> str:
    names = [str(name) for name in dataset.data_vars]
    return ", ".join(names[:8]) + (" .." if len(names) > 8 else "") if names else "no variables"


def check_training(
    dataset: xr.Dataset, variables: Sequence[str] = (), dims: Sequence[str] = ("rule", "seed", "epoch")
) -> dict[str, Any]:
    """As :func:`check_dataset`, and return its configuration: it must be a dataset of :func:`fastmodes.train`.

    Raises
    ------
    TypeError, ValueError
        If it is not.
    """
    check_dataset(dataset, variables, dims)
    configuration = stored_configuration(dataset)
    if configuration.get("command") != "train":
        raise ValueError("dataset must be one of fastmodes.train; its configuration says otherwise")
    return configuration


def stored_configuration(dataset: xr.Dataset) -> dict[str, Any]:
    """The configuration that a dataset stores; empty where it has none that can be read."""
    try:
        configuration = json.loads(dataset.attrs.get("configuration", "{}"))
    except (TypeError, ValueError):
        return {}
    return configuration if isinstance(configuration, dict) else {}


def training_rules(dataset: xr.Dataset) -> tuple[LearningRule, ...]:
    """The learning rules on a training dataset's ``rule`` axis, which may be a part of those trained, as values.

    Raises
    ------
    TypeError, ValueError
        If it is no training dataset, or a name on the axis is none of those trained.
    """
    return rules_of(dataset, check_training(dataset, dims=("rule",)))


def rules_of(dataset: xr.Dataset, configuration: dict[str, Any]) -> tuple[LearningRule, ...]:
    """The same of any dataset whose configuration stores its rules.

    Raises
    ------
    ValueError
        If a name on the axis is none of those stored.
    """
    listed = [dict(rule) for rule in configuration["rules"]]
    for rule in listed:
        if isinstance(rule["decay"], list):
            rule["decay"] = tuple(rule["decay"])
    by_name = {rule["name"]: LearningRule(**rule) for rule in listed}
    names = [str(name) for name in np.atleast_1d(dataset["rule"].values)]
    for name in names:
        if name not in by_name:
            raise ValueError(f"dataset must name its rules as they were trained, {', '.join(by_name)}; got {name!r}")
    return tuple(by_name[name] for name in names)


def check_real_teacher(dataset: xr.Dataset) -> None:
    """Refuse a teacher with modes that rotate: the flow of modes follows real numbers.

    Raises
    ------
    ValueError
        Naming the first eigenvalue that is not real; or for a teacher that has no modes.
    """
    if "teacher_input" in dataset.variables and not np.isfinite(dataset["teacher_input"]).all():
        reason = dataset["teacher_input"].attrs.get("comment", "teacher_input is not finite")
        raise ValueError(f"dataset must have a teacher that has modes, which the flow follows; {reason}")
    if "teacher_recurrent_imag" not in dataset.variables:
        return
    real, imaginary = (np.atleast_1d(dataset[f"teacher_recurrent{part}"].values) for part in ("", "_imag"))
    rotating = np.flatnonzero(np.abs(imaginary) > _REAL * max(np.hypot(real, imaginary).max(), 1e-300))
    if rotating.size:
        value = complex(real[rotating[0]], imaginary[rotating[0]])
        raise ValueError(
            "dataset must have a teacher with real eigenvalues, whose modes the flow follows; "
            f"got {value:.6g} at mode {rotating[0]}"
        )
