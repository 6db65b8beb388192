"""``fastmodes train``: its options are those of :func:`fastmodes.train`, and a teacher in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..typing import BasisName
from .messages import print_outcome, say
from .options import help_all_option, option_of, progress_option, rule_option, whole_numbers
from .pictures import check_picture, draw_learning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import xarray as xr

    from ..networks.network import LinearRNN
    from ..training.checkpoints import Checkpoint
    from ..training.train import TrainingInterrupt


checkpoint_option = click.option(
    "--checkpoint-every", type=float, default=10.0, show_default=True, help="Minutes between checkpoints, 0: none."
)


@click.command()
@rule_option
@click.option(
    "--teacher", default="0.9,0.7,0.5,0.3", show_default=True,
    help="Eigenvalues, rotating(0.9,0.3) .., or FILE.nc.",
)  # fmt: skip
@click.option("--teacher-basis", type=click.Choice(["identity", "random"]), default="identity", show_default=True)
@click.option("--teacher-seed", default=0, show_default=True, help="For a random basis of eigenvalues.")
@click.option(
    "--seeds", default="8", callback=whole_numbers, show_default=True, help="8 means 0..7; or 3,5,9; or 10:20."
)
@option_of("hidden", "epochs", "steps", "learning_rate", "updates", "batch_size", "optimizer", "clip_norm", "loss")
@option_of("init_scale", "feedback_scale", "record_every", "stop_loss", "divergence_loss", "validation_size")
@option_of("data", "schedule", "momentum", "weight_decay", "leak", "nonlinearity")
@option_of("input_covariance", "colour", "private_noise", "feedback_noise", "target_noise")
@option_of("adam_betas", "adam_epsilon", "keep_weights", "gradient_quality", "threads")
@checkpoint_option
@progress_option
@click.option("--figure", type=click.Path(dir_okay=False), help="Also draw the learning curves.")
@click.option("-o", "--out", default="training.nc", show_default=True, help="netCDF file, complete or absent.")
@help_all_option
def train(
    rules: tuple[str, ...],
    teacher: str,
    teacher_basis: BasisName,
    teacher_seed: int,
    figure: str | None,
    out: str,
    checkpoint_every: float,
    **parameters: Any,
) -> None:
    """Train students under several rules and write one dataset. Ctrl-C writes what was recorded until then (beside
    an existing file, as NAME-partial). However a long training was cut short, fastmodes resume goes on with its
    NAME-checkpoint.nc.
    """
    from .. import train as train_students

    network = _teacher(teacher, teacher_basis, teacher_seed)
    write_training(out, figure, checkpoint_every, lambda **kept: train_students(rules, network, **parameters, **kept))


def write_training(out: str, figure: str | None, minutes: float, train: Callable[..., xr.Dataset]) -> None:
    """Write what a training gives, what it has recorded when it is interrupted, and a checkpoint every few minutes."""
    from .. import write_netcdf
    from ..files.netcdf import check_writable
    from ..training.checkpoints import Checkpoint
    from ..training.train import TrainingInterrupt
    from ..validation import check_number

    path = check_writable("out", out)
    picture = None if figure is None else check_picture("figure", figure, path)
    check_number("checkpoint-every", minutes, 0.0, 1e7)
    kept = Checkpoint(path.with_name(f"{path.stem}-checkpoint.nc"), 60.0 * minutes, stays=True) if minutes else None
    try:
        dataset = train(checkpoint=kept)
    except TrainingInterrupt as stop:
        _keep(stop, path, kept)
        raise
    print_outcome(dataset)
    click.echo(write_netcdf(dataset, path))
    if kept is not None:
        kept.remove()
    if picture is not None:
        click.echo(draw_learning(dataset, picture))


def _teacher(text: str, basis: BasisName, seed: int) -> LinearRNN:
    """A teacher in words; a basis belongs to one that is given by its eigenvalues."""
    from ..networks.teacher_text import is_numbers, parse_teacher

    if is_numbers(text):
        return parse_teacher(f"aligned([{text}], basis={basis}, seed={seed})")
    if basis != "identity":
        raise ValueError(
            f"teacher-basis must be identity for a teacher that is not given by eigenvalues alone; got {basis!r}. "
            "Write aligned([0.9,0.5], basis=random, seed=0)"
        )
    return parse_teacher(text)


def _keep(stop: TrainingInterrupt, path: Path, kept: Checkpoint | None) -> None:
    """Write what was recorded before training was stopped."""
    from .. import write_netcdf

    say("stopped: keeping what was recorded; Ctrl-C again leaves at once")
    # Of a short training there is none, and none is needed.
    if kept is not None and kept.path.exists():
        stop.write(kept)
        say(f"fastmodes resume {kept.path} goes on from here")
    if (dataset := stop.partial()) is None:
        say("stopped before anything was recorded: no file is written")
        return
    # A whole dataset is not given up for a part of one.
    path = path.with_stem(f"{path.stem}-partial") if path.exists() else path
    say(f"writing the partial results to {path}")
    click.echo(write_netcdf(dataset, path))
