"""``fastmodes merge``: a finished sweep as one file."""

import click

from .options import progress_option


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("--output", "--out", "-o", metavar="FILE.nc", required=True, type=click.Path(), help="The file to write.")
@progress_option
def merge(folder: str, output: str, progress: bool) -> None:
    """Merge a finished sweep into one netCDF file on the plan's axes."""
    from ..sweeps import merge as write

    click.echo(write(folder, output, progress=progress))
