"""``fastmodes doctor``: what :mod:`fastmodes.commands.diagnosis` finds."""

import click


@click.command()
def doctor() -> None:
    """Check this installation: versions, threads, compiled code, files, and the kernels against a self-check."""
    from .diagnosis import diagnose

    healthy = True
    for name, value, good in diagnose():
        click.echo(f"{'ok  ' if good else 'FAIL'} {name:<24} {value}")
        healthy = healthy and good
    if not healthy:
        raise RuntimeError("something above does not work as it should")
