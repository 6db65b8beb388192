"""``fastmodes theory``: the formulas behind the numbers."""

import click

from ..theory import section as section_text
from ..theory import text


@click.command()
@click.argument("section", required=False, type=int)
def theory(section: int | None) -> None:
    """Print the theory that docstrings cite, or one SECTION of it."""
    click.echo(text() if section is None else section_text(section), nl=False)
