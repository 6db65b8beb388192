"""Command line: ``fastmodes COMMAND``. Data goes to stdout, messages to stderr.

Exit codes: 0 done, 2 wrong usage or input, 3 could not read or write, 4 the computation failed, 130 interrupted, by
Ctrl-C or by SIGTERM.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from . import __version__
from .commands.demo import demo
from .commands.doctor import doctor
from .commands.figures import figures
from .commands.flow import flow
from .commands.identify import identify
from .commands.merge import merge
from .commands.messages import say
from .commands.plan import plan
from .commands.reproduce import reproduce
from .commands.resume import resume
from .commands.run import run as run_sweep
from .commands.status import status
from .commands.theory import theory
from .commands.train import train
from .commands.verify import verify
from .interrupts import termination_as_interrupt

_HELP = {
    "help_option_names": ["-h", "--help"],
    # Wide where the terminal is, so that the help of every command fits one screen.
    "terminal_width": min(110, shutil.get_terminal_size((110, 40)).columns),
    "max_content_width": 110,
}


@click.group(context_settings=_HELP)
@click.version_option(__version__, prog_name="fastmodes")
def commands() -> None:
    """How learning rules shape a linear recurrent network, exactly and fast.

    Shell completion: eval "$(_FASTMODES_COMPLETE=bash_source fastmodes)", or zsh_source, fish_source.
    """


for _command in (
    demo, train, resume, flow, identify, figures, doctor, reproduce, plan, run_sweep, status, verify, merge, theory
):  # fmt: skip
    commands.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    code = run(arguments)
    if code == 130:
        # A kernel may still be at work in a thread, and has no part in an orderly exit.
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code instead of exiting."""
    try:
        with termination_as_interrupt():
            result = commands.main(arguments, prog_name="fastmodes", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except (BrokenPipeError, SystemExit):
        # The reader of our output has gone (click then exits by itself): nothing more to say, not even at exit.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 3
    except (ValueError, TypeError) as error:
        say(f"fastmodes: {error}")
        return 2
    except OSError as error:
        say(f"fastmodes: {_plain(error)}")
        return 3
    except (ArithmeticError, RuntimeError, MemoryError) as error:
        say(f"fastmodes: {type(error).__name__}: {error}")
        return 4


def _plain(error: OSError) -> str:
    """What went wrong and where, without the system's number for it."""
    if error.strerror is None:
        return str(error)
    where = [repr(os.fspath(name)) for name in (error.filename, error.filename2) if name is not None]
    return f"{error.strerror}: {' -> '.join(where)}" if where else error.strerror
