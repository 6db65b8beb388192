"""What task switches do: how much of a task is forgotten, and how much earlier tasks help."""

from __future__ import annotations

import numpy as np
import xarray as xr

from fastmodes.files.schema import annotate

from .checks import check_dataset


def task_memory(dataset: xr.Dataset) -> xr.Dataset:
    """Forgetting and transfer of every task, from the losses on all tasks.

    With L_0 the loss on a task of the untrained student, L_b and L_e that at the beginning and at the end of the first
    phase that trains it, and L that at the very end,

        forgetting = (L - L_e) / L_0,    transfer = (L_0 - L_b) / L_0.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`fastmodes.train_tasks`.

    Returns
    -------
    xarray.Dataset
        ``forgetting`` and ``transfer`` (rule, seed, task); forgetting of the task trained last is 0, and so is transfer
        to the one trained first. NaN for tasks that no phase trains, and where a run has diverged before.

    Raises
    ------
    TypeError, ValueError
        If it is no such dataset, or lacks a dimension.

    Examples
    --------
    >>> import fastmodes as fm
    >>> teachers = [fm.rotating_teacher(0.8, angle) for angle in (0.3, 1.0)]
    >>> runs = fm.train_tasks("bptt", teachers, hidden=4, seeds=2, epochs=200, steps=5, updates="expected",
    ...                       learning_rate=0.1, init_scale=0.5, progress=False)
    >>> fm.analysis.task_memory(runs).forgetting.isel(rule=0, seed=0).round(2).values.tolist()[1]
    0.0
    """
    dims = ("rule", "seed", "phase", "epoch", "task")
    check_dataset(dataset, ("task_loss", "phase_task"), dims, source="fastmodes.train_tasks")
    loss, trained = dataset["task_loss"].transpose(*dims), np.atleast_1d(dataset["phase_task"].values).tolist()
    tasks = np.arange(dataset.sizes["task"])
    first = np.array([trained.index(task) if task in trained else -1 for task in tasks])
    own = xr.DataArray(first, dims="task"), xr.DataArray(tasks, dims="task")
    there = xr.DataArray(first >= 0, dims="task")
    began, ended = (loss.isel(epoch=place).isel(phase=own[0], task=own[1]) for place in (0, -1))
    untrained, final = loss.isel(phase=0, epoch=0), loss.isel(phase=-1, epoch=-1)
    scale = untrained.where(untrained > 0)
    out = xr.Dataset(
        {
            "forgetting": ((final - ended) / scale).where(there).transpose("rule", "seed", "task"),
            "transfer": ((untrained - began) / scale).where(there).transpose("rule", "seed", "task"),
        }
    ).drop_vars(("phase", "phase_task", "epoch"), errors="ignore")
    return annotate(out, title="Forgetting and transfer", configuration={"command": "task_memory"})
