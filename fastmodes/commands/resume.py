"""``fastmodes resume``: go on with a training from the file that it has written, or from its checkpoint."""

from __future__ import annotations

from typing import Any

import click

from .options import data_of, option_of, progress_option
from .train import checkpoint_option, write_training


@click.command()
@click.argument("runs", type=click.Path(dir_okay=False))
@click.option("--epochs", type=int, help="Updates from the beginning on.  [default: those it was to make]")
@click.option("--data", callback=data_of, help="The file of sequences that the training was given.")
@option_of("threads")
@checkpoint_option
@progress_option
@click.option("--figure", type=click.Path(dir_okay=False), help="Also draw the learning curves.")
@click.option("-o", "--out", required=True, help="netCDF file, complete or absent.")
def resume(runs: str, figure: str | None, out: str, checkpoint_every: float, **parameters: Any) -> None:
    """Go on with the training in RUNS as if it had never been interrupted, bit for bit.

    RUNS is a checkpoint, NAME-checkpoint.nc, or a file of train --keep-weights, whole or partial.
    """
    from .. import read_netcdf
    from .. import resume as go_on

    left = read_netcdf(runs)
    write_training(out, figure, checkpoint_every, lambda **kept: go_on(left, **parameters, **kept))
