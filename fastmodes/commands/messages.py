"""Messages for people, on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import xarray as xr


def say(message: str) -> None:
    """A message for people, on stderr."""
    click.echo(message, err=True)


def print_outcome(dataset: xr.Dataset) -> None:
    """A line per rule: how its runs ended and where their modes are."""
    last = dataset.isel(epoch=-1)
    teacher = ", ".join(f"{value:.3f}" for value in dataset["teacher_recurrent"].values)
    say(f"{'rule':<12} {'running':>7} {'converged':>9} {'diverged':>8}  {'median loss':>11}  modes ({teacher})")
    for name in dataset["rule"].values:
        run = last.sel(rule=name)
        counts = [int((run["status"] == code).sum()) for code in range(3)]
        modes = ", ".join(f"{value:.3f}" for value in run["mode_recurrent"].median("seed").values)
        loss = float(run["loss"].median())
        say(f"{name:<12} {counts[0]:>7} {counts[1]:>9} {counts[2]:>8}  {loss:>11.2e}  {modes}")
