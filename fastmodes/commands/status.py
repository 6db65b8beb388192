"""``fastmodes status``: how far a sweep is."""

import click

from .wording import byte_count, listed_blocks


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path())
def status(folder: str) -> int:
    """Show how far a sweep is. Exit code 0 if it is complete, 3 if not."""
    from ..sweeps import status as look

    found = look(folder)
    click.echo(f"{found.title} ({found.job}, plan {found.plan_sha256[:12]})")
    click.echo(f"{found.blocks_done} of {found.blocks} blocks, {found.points_done} of {found.points} points")
    click.echo(f"{byte_count(found.bytes)} on disk")
    if not found.complete:
        click.echo(f"missing blocks: {listed_blocks(found.missing)}")
        return 3
    return 0
