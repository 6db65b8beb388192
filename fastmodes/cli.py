"""Command line: ``fastmodes COMMAND``. Data goes to stdout, messages to stderr.

Exit codes: 0 done, 2 wrong usage or input, 3 could not read or write, 4 the computation failed, 130 interrupted.
"""

import os
import shutil
import sys
import time

import click

from . import __version__
from .commands import sweeps as sweep_commands
from .commands.options import axis_of, numbers_of, rule_option, steps_of, whole_numbers

_HELP = {
    "help_option_names": ["-h", "--help"],
    # Wide where the terminal is, so that the help of every command fits one screen.
    "terminal_width": min(110, shutil.get_terminal_size((110, 40)).columns),
    "max_content_width": 110,
}


@click.group(context_settings=_HELP)
@click.version_option(__version__, prog_name="fastmodes")
def commands():
    """How learning rules shape a linear recurrent network, exactly and fast.

    Shell completion: eval "$(_FASTMODES_COMPLETE=bash_source fastmodes)", or zsh_source, fish_source.
    """


def say(message):
    """A message for people, on stderr."""
    click.echo(message, err=True)


@commands.command()
@click.option(
    "--out", default="fastmodes-demo", show_default=True, help="Folder for demo.nc and demo.png; made if missing."
)
@click.option("--seeds", default=8, type=click.IntRange(1, 10**6), show_default=True, help="Random starts per rule.")
@click.option("--epochs", default=6000, type=click.IntRange(1), show_default=True, help="Parameter updates.")
def demo(out, seeds, epochs):
    """Train four rules on the paper's four-mode teacher; save a dataset and a picture.

    BPTT, tBPTT(1), RFLO and e-prop learn a teacher with recurrent eigenvalues 0.9, 0.7, 0.5, 0.3 from small random
    weights, by exact expected updates.
    """
    from . import train, write_netcdf
    from .files.netcdf import make_folder
    from .presets import Demo

    parameters = Demo(seeds=seeds, epochs=epochs).parameters()
    folder = make_folder("out", out)
    say(f"Training {len(parameters['rules'])} rules x {seeds} seeds, {epochs} epochs (the first run ever compiles) ...")
    start = time.perf_counter()
    dataset = train(**parameters)
    elapsed = time.perf_counter() - start
    data = write_netcdf(dataset, folder / "demo.nc")
    picture = _draw_learning(dataset, folder / "demo.png")
    _print_outcome(dataset)
    say(f"{int(dataset['epochs_made'].sum())} exact updates in {elapsed:.1f} s.")
    click.echo(data)
    click.echo(picture)


def _check_picture(name, value, other):
    """Path of a picture, checked before computing: its folder, its format, and that it is not the data's."""
    from matplotlib.backend_bases import FigureCanvasBase

    from .files.netcdf import check_writable
    from .validation import check_choice

    path = check_writable(name, value)
    check_choice(
        f"format of {name}", path.suffix[1:].lower() or "png", tuple(FigureCanvasBase.get_supported_filetypes())
    )
    if path.absolute() == other.absolute():
        raise ValueError(f"{name} must be another file than the data's; got {str(path)!r}")
    return path


def _draw_learning(dataset, path):
    from fastmodes.analysis.figures.learning import learning_summary

    return _save(learning_summary(dataset), path, path.suffix[1:].lower() or "png")


def _print_outcome(dataset):
    """A line per rule: how its runs ended and where their modes are."""
    last = dataset.isel(epoch=-1)
    teacher = ", ".join(f"{value:.3f}" for value in dataset["teacher_recurrent"].values)
    say(f"{'rule':<12} {'running':>7} {'converged':>9} {'diverged':>8}  {'median loss':>11}  modes ({teacher})")
    for name in dataset["rule"].values:
        run = last.sel(rule=name)
        counts = [int((run["status"] == code).sum()) for code in range(3)]
        modes = ", ".join(f"{value:.3f}" for value in run["mode_recurrent"].median("seed").values)
        loss = float(run["loss"].median())
        say(f"{name:<12} {counts[0]:>7} {counts[1]:>9} {counts[2]:>8}  {loss:>11.2e}  {modes}")


@commands.command()
@rule_option
@click.option(
    "--teacher", default="0.9,0.7,0.5,0.3", callback=numbers_of, show_default=True, help="Recurrent eigenvalues w*."
)
@click.option("--teacher-basis", type=click.Choice(["identity", "random"]), default="identity", show_default=True)
@click.option("--teacher-seed", default=0, show_default=True, help="For a random basis.")
@click.option("--hidden", default=8, show_default=True, help="Hidden units of the students.")
@click.option(
    "--seeds", default="8", callback=whole_numbers, show_default=True, help="8 means 0..7; or 3,5,9; or 10:20."
)
@click.option("--epochs", default=3000, show_default=True)
@click.option("--steps", default="50", callback=steps_of, show_default=True, help="Time steps T, or inf.")
@click.option("--learning-rate", default=0.005, show_default=True)
@click.option("--updates", type=click.Choice(["sampled", "expected"]), default="sampled", show_default=True)
@click.option("--batch-size", type=int, help="Sequences per sampled update.  [default: 32]")
@click.option("--optimizer", type=click.Choice(["sgd", "adam"]), default="sgd", show_default=True)
@click.option("--clip-norm", type=float, help="Clip gradients to this norm.")
@click.option("--loss", type=click.Choice(["final", "sequence"]), default="final", show_default=True)
@click.option("--init-scale", default=0.1, show_default=True, help="Weights start with deviation scale / sqrt(hidden).")
@click.option("--feedback-scale", default=1.0, show_default=True, help="The same for R.")
@click.option("--record-every", type=int, help="Epochs between two records.  [default: about 100 records]")
@click.option("--stop-loss", type=float, help="A run whose loss falls to this has converged.")
@click.option("--divergence-loss", default=1e6, show_default=True, help="A run whose loss is above this has diverged.")
@click.option("--keep-weights", is_flag=True, help="Keep all recorded weights.")
@click.option("--threads", type=int, help="[default: all cores]")
@click.option("--figure", type=click.Path(dir_okay=False), help="Also draw the learning curves.")
@click.option("-o", "--out", default="training.nc", show_default=True, help="netCDF file, complete or absent.")
def train(rules, teacher, teacher_basis, teacher_seed, seeds, figure, out, **parameters):
    """Train students under several rules and write one dataset."""
    from . import Modes, aligned_teacher, parse_rule, write_netcdf
    from . import train as train_students
    from .files.netcdf import check_writable

    path = check_writable("out", out)
    picture = None if figure is None else _check_picture("figure", figure, path)
    network = aligned_teacher(Modes(teacher, 1.0, 1.0), basis=teacher_basis, seed=teacher_seed)
    dataset = train_students([parse_rule(rule) for rule in rules], network, seeds=seeds, **parameters)
    _print_outcome(dataset)
    click.echo(write_netcdf(dataset, path))
    if picture is not None:
        click.echo(_draw_learning(dataset, picture))


@commands.command()
@rule_option
@click.option("--start-w", default="0.6", callback=axis_of, show_default=True, help="Recurrent weight w at the start.")
@click.option("--start-a", default="1", callback=axis_of, show_default=True, help="Readout weight a at the start.")
@click.option("--start-b", default="1", callback=axis_of, show_default=True, help="Input weight b at the start.")
@click.option("--teacher", default="0.7", callback=axis_of, show_default=True, help="Teacher's recurrent weight w*.")
@click.option("--product", default="1", callback=axis_of, show_default=True, help="Teacher's product p = a* b*.")
@click.option("--feedback", default="1", callback=axis_of, show_default=True, help="Random feedback r.")
@click.option("--decay", callback=axis_of, help="Fixed propagator, instead of the rules' own.")
@click.option("--horizon", callback=axis_of, help="Horizon of truncated rules, instead of their own.")
@click.option("--times", default="0:50:101", callback=axis_of, show_default=True, help="Flow times wanted.")
@click.option("--rtol", default=1e-8, show_default=True, help="Relative tolerance.")
@click.option("--atol", default=1e-10, show_default=True, help="Absolute tolerance.")
@click.option("-o", "--out", default="flow.nc", show_default=True, help="netCDF file, complete or absent.")
def flow(rules, start_w, start_a, start_b, teacher, product, feedback, times, out, **options):
    """Follow modes along the flow of several rules, over a grid.

    A parameter is a number, a list 0.1,0.5 or a range FROM:TO:COUNT; every parameter with several values is a
    dimension of the result.
    """
    import numpy as np

    from . import Modes, parse_rule, write_flow, write_netcdf
    from . import flow as follow
    from .files.netcdf import check_writable

    path = check_writable("out", out)
    problem = {
        "rules": [parse_rule(rule) for rule in rules],
        "modes": Modes(start_w, start_a, start_b),
        "teacher_modes": Modes(teacher, 1.0, product),
        "times": np.atleast_1d(times),
        "feedback": feedback,
    }
    varying = [start_w, start_a, start_b, teacher, product, feedback, options["decay"], options["horizon"]]
    if any(np.ndim(value) for value in varying):
        click.echo(write_flow(path, progress=True, **problem, **options))
    else:
        click.echo(write_netcdf(follow(**problem, **options), path))


@commands.command()
@click.argument("names", nargs=-1)
@click.option(
    "-o", "--out", help="Folder for the pictures, made if missing, or the sweep's picture.  [default: figures]"
)
@click.option("--format", "kind", type=click.Choice(["png", "pdf", "svg"]), default="png", show_default=True)
def figures(names, out, kind):
    """Draw the paper's figures, by number or name, and our own; default all. A wrong name lists them.

    fastmodes figures sweep DIR draws what a finished sweep found, into DIR/figure.png unless --out says otherwise.
    """
    from .analysis.figures import FIGURES, standard_figure
    from .files.netcdf import make_folder

    if names[:1] == ("sweep",):
        click.echo(_draw_sweep(names[1:], out, kind))
        return
    makers = {name: standard_figure(name) for name in names or FIGURES}
    folder = make_folder("out", out or "figures")
    for name, make in makers.items():
        path = folder / f"{'figure-' if name.isdigit() else ''}{name}.{kind}"
        click.echo(_save(make(), path, kind))


def _draw_sweep(folders, out, kind):
    from fastmodes.analysis.figures.sweeps import sweep_figure

    from .files.netcdf import check_writable, local_path
    from .sweeps import open_sweep

    if len(folders) != 1:
        raise click.UsageError("figures sweep takes one folder, that of a sweep")
    path = check_writable("out", out or local_path("folder", folders[0]) / f"figure.{kind}")
    return _save(sweep_figure(open_sweep(folders[0])), path, path.suffix[1:] or kind)


def _save(figure, path, kind):
    """Write a picture, complete or absent; return its path."""
    from .files.netcdf import replacing

    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format=kind)
    return path


@commands.command()
def doctor():
    """Check this installation: versions, threads, compiled code, files, and the kernels against a self-check."""
    from .commands.diagnosis import diagnose

    healthy = True
    for name, value, good in diagnose():
        click.echo(f"{'ok  ' if good else 'FAIL'} {name:<24} {value}")
        healthy = healthy and good
    if not healthy:
        raise RuntimeError("something above does not work as it should")


@commands.command()
@click.option("--out", default="fastmodes-reproduce", show_default=True, help="Folder; made if missing.")
@click.option("--quick", is_flag=True, help="A small version, to see that it works; its verdicts mean nothing.")
def reproduce(out, quick):
    """Run the paper's experiments and ours; judge ten claims; write datasets, figures and a report.

    About two minutes on two cores. Interrupted, it goes on where it was: datasets already there are used again.
    """
    from fastmodes.analysis.report.reproduction import reproduce as reproduce_all
    from fastmodes.analysis.report.verdicts import verdict_lines

    outcome = reproduce_all(out, quick=quick, progress=True)
    for line in verdict_lines(outcome.claims, quick=quick):
        say(line)
    click.echo(outcome.report)


sweep_commands.register(commands)


def main(arguments=None):
    """Run the command line and exit with its code."""
    sys.exit(run(arguments))


def run(arguments=None):
    """Run the command line; return the exit code instead of exiting."""
    try:
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
        say(f"fastmodes: {error}")
        return 3
    except (ArithmeticError, RuntimeError, MemoryError) as error:
        say(f"fastmodes: {type(error).__name__}: {error}")
        return 4
