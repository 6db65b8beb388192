"""``fastmodes identify``: which rule made the changes in a training's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .options import progress_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr


@click.command()
@click.argument("runs", metavar="RUNS.nc", type=click.Path())
@click.option("--among", multiple=True, metavar="RULE", help="Rules to tell apart, such as BPTT; may be repeated.")
@click.option("--observation-noise", default=0.0, show_default=True, help="Standard deviation added to every weight.")
@click.option("-o", "--out", metavar="FILE.nc", help="Also write everything that was found to this netCDF file.")
@progress_option
def identify(runs: str, among: tuple[str, ...], observation_noise: float, out: str | None, progress: bool) -> None:
    """Tell which learning rule made the changes between the snapshots of weights in RUNS.nc.

    RUNS.nc is a training with --keep-weights. Prints a line for each run: the likeliest rule of the family, its
    probability, the verdict, and the learning rate with one standard deviation.
    """
    from fastmodes.analysis import identify as find

    from .. import read_netcdf, write_netcdf
    from ..files.netcdf import check_writable

    path = None if out is None else check_writable("out", out)
    found = find(
        read_netcdf(runs), rules=among or None, observation_noise=observation_noise, progress=progress
    )  # fmt: skip
    click.echo("\n".join(_table(found)))
    if path is not None:
        write_netcdf(found, path)


def _table(found: xr.Dataset) -> Iterator[str]:
    """A heading and a line for each run."""
    from ..files.flags import status_names

    likeliest, verdict = (status_names(found, name) for name in ("likeliest", "verdict"))
    head = ("rule", "seed", "likeliest", "posterior", "verdict", "learning rate")
    rows = [head]
    for rule in found["rule"].values:
        for seed in found["seed"].values:
            here = {"rule": rule, "seed": seed}
            place = int(found["likeliest"].sel(here))
            if place < 0:
                rows.append((str(rule), str(seed), "-", "-", str(verdict.sel(here).item()), "-"))
                continue
            one = found.sel(here).isel(hypothesis=place)
            rate, error = float(one["learning_rate_estimate"]), float(one["learning_rate_error"])
            rows.append((
                str(rule), str(seed), str(likeliest.sel(here).item()), f"{float(one['posterior']):.4f}",
                str(verdict.sel(here).item()), f"{rate:.4g} +- {error:.1g}",
            ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
