"""``fastmodes verify``: whether every block of a sweep is right."""

import click

from .options import progress_option
from .wording import listed_blocks


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("--recompute", default=0, type=click.IntRange(0), help="Compute so many blocks again and compare bits.")
@progress_option
def verify(folder: str, recompute: int, progress: bool) -> int:
    """Check every block: checksum, plan, place, values. Exit code 0 if all are right, 3 if not."""
    from ..sweeps import verify as check

    report = check(folder, recompute=recompute, progress=progress)
    for index, reason in report.damaged.items():
        click.echo(f"block {index} is damaged: {reason}")
    if report.missing:
        click.echo(f"missing blocks: {listed_blocks(report.missing)}")
    if len(report.versions) > 1:
        click.echo("computed by different versions: " + "; ".join(report.versions))
    click.echo(
        f"{report.checked - len(report.damaged)} of {report.blocks} blocks are right"
        + (f", {report.recomputed} of them computed again" if report.recomputed else "")
    )
    if not report.complete:
        return 3
    return 0
