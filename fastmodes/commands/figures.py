"""``fastmodes figures``: the paper's figures and ours, or a sweep's."""

from pathlib import Path

import click

from .pictures import save


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "-o", "--out", help="Folder for the pictures, made if missing, or the sweep's picture.  [default: figures]"
)
@click.option("--format", "kind", type=click.Choice(["png", "pdf", "svg"]), default="png", show_default=True)
def figures(names: tuple[str, ...], out: str | None, kind: str) -> None:
    """Draw the paper's figures, by number or name, and our own; default all. A wrong name lists them.

    fastmodes figures sweep DIR draws what a finished sweep found, into DIR/figure.png unless --out says otherwise.
    """
    from ..analysis.figures import FIGURES, standard_figure
    from ..files.netcdf import make_folder

    if names[:1] == ("sweep",):
        click.echo(_draw_sweep(names[1:], out, kind))
        return
    makers = {name: standard_figure(name) for name in names or FIGURES}
    folder = make_folder("out", out or "figures")
    for name, make in makers.items():
        path = folder / f"{'figure-' if name.isdigit() else ''}{name}.{kind}"
        click.echo(save(make(), path, kind))


def _draw_sweep(folders: tuple[str, ...], out: str | None, kind: str) -> Path:
    from fastmodes.analysis.figures.sweeps import sweep_figure

    from ..files.netcdf import check_writable, local_path
    from ..sweeps import open_sweep

    if len(folders) != 1:
        raise click.UsageError("figures sweep takes one folder, that of a sweep")
    path = check_writable("out", out or local_path("folder", folders[0]) / f"figure.{kind}")
    return save(sweep_figure(open_sweep(folders[0])), path, path.suffix[1:] or kind)
