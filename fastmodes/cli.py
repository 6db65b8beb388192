"""Command line: ``fastmodes COMMAND``. Data goes to stdout, messages to stderr.

Exit codes: 0 done, 2 wrong usage or input, 3 could not read or write, 4 the computation failed, 130 interrupted.
"""

import sys

import click

from . import __version__
from .sweeps import commands as sweep_commands


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="fastmodes")
def commands():
    """How learning rules shape a linear recurrent network, exactly and fast."""


sweep_commands.register(commands)


def main(arguments=None):
    """Run the command line and exit with its code."""
    sys.exit(run(arguments))


def run(arguments=None):
    """Run the command line; return the exit code instead of exiting."""
    try:
        commands.main(arguments, prog_name="fastmodes", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except (ValueError, TypeError) as error:
        click.echo(f"fastmodes: {error}", err=True)
        return 2
    except OSError as error:
        click.echo(f"fastmodes: {error}", err=True)
        return 3
    except (ArithmeticError, RuntimeError, MemoryError) as error:
        click.echo(f"fastmodes: {type(error).__name__}: {error}", err=True)
        return 4
    return 0
