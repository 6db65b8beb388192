"""``fastmodes demo``: the main job in a minute."""

import time

import click

from .messages import print_outcome, say
from .pictures import draw_learning


@click.command()
@click.option(
    "--out", default="fastmodes-demo", show_default=True, help="Folder for demo.nc and demo.png; made if missing."
)
@click.option("--seeds", default=8, type=click.IntRange(1, 10**6), show_default=True, help="Random starts per rule.")
@click.option("--epochs", default=6000, type=click.IntRange(1), show_default=True, help="Parameter updates.")
def demo(out: str, seeds: int, epochs: int) -> None:
    """Train four rules on the paper's four-mode teacher; save a dataset and a picture.

    BPTT, tBPTT(1), RFLO and e-prop learn a teacher with recurrent eigenvalues 0.9, 0.7, 0.5, 0.3 from small random
    weights, by exact expected updates.
    """
    from .. import train, write_netcdf
    from ..files.netcdf import make_folder
    from ..presets import Demo

    parameters = Demo(seeds=seeds, epochs=epochs).parameters()
    folder = make_folder("out", out)
    say(f"Training {len(parameters['rules'])} rules x {seeds} seeds, {epochs} epochs (the first run ever compiles) ...")
    start = time.perf_counter()
    dataset = train(**parameters)
    elapsed = time.perf_counter() - start
    data = write_netcdf(dataset, folder / "demo.nc")
    picture = draw_learning(dataset, folder / "demo.png")
    print_outcome(dataset)
    say(f"{int(dataset['epochs_made'].sum())} exact updates in {elapsed:.1f} s.")
    click.echo(data)
    click.echo(picture)
