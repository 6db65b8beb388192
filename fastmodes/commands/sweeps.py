"""The sweep commands of the command line: plan, run, status, verify, merge."""

import contextlib
import os
import sys

import click

from .wording import byte_count, duration

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path())
_QUIET = click.option("--quiet", "-q", is_flag=True, help="No progress.")


def register(commands):
    """Add the commands to the group ``commands``."""
    for command in (plan, run, status, verify, merge):
        commands.add_command(command)


@click.command()
@click.argument("file", metavar="PLAN.toml", type=click.Path())
@click.option("--threads", type=click.IntRange(1, 10_000), help="Threads to count on [all cores].")
def plan(file, threads):
    """Show what a sweep will take, without running it: points, blocks, bytes, memory, time."""
    from ..sweeps import Plan
    from ..sweeps.run.estimate import estimate

    checked = Plan.from_toml(file)
    cost = estimate(checked, threads)
    grid = " x ".join(f"{d.name} {d.size}" for d in checked.dimensions) or "one point"
    rows = {
        "title": checked.title,
        "job": checked.job.name,
        "plan": checked.sha256,
        "grid": grid,
        "points": f"{cost.points}",
        "blocks": f"{cost.blocks} of {cost.points_per_block} points",
        "disk": byte_count(cost.bytes),
        "memory": byte_count(cost.memory),
        "time": f"about {duration(cost.seconds)} on {cost.threads} threads",
        "first point": _point(checked.point(0)),
        "last point": _point(checked.point(checked.points - 1)),
    }
    for name, value in rows.items():
        click.echo(f"{name + ':':<13}{value}")


def _point(values):
    return ", ".join(f"{k}={getattr(v, 'name', None) or _short(v)}" for k, v in values.items() if v is not None)


def _short(value):
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


@click.command()
@click.argument("file", metavar="PLAN.toml", type=click.Path())
@click.option("--out", metavar="DIR", required=True, type=click.Path(), help="Folder of the sweep, new or begun.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Worker processes.")
@click.option(
    "--threads", type=click.IntRange(1, 10_000), help="Threads in all [all cores]; per task on a cluster [1]."
)
@click.option("--shard", metavar="I/N", help="Compute every N-th block from the I-th on (for job arrays).")
@click.option("--scheduler", metavar="ADDRESS", help="Compute on the Dask cluster whose scheduler is there.")
@_QUIET
def run(file, out, processes, threads, shard, scheduler, quiet):
    """Run a sweep, or what is missing of it. Stop it in any way and run it again."""
    from ..sweeps import Plan, sweep

    checked = Plan.from_toml(file)
    try:
        with _client(scheduler) as client:
            done = sweep(
                checked, out, client=client, processes=processes, threads=threads, shard=shard, progress=not quiet
            )
    except KeyboardInterrupt:
        click.echo("interrupted: finished blocks are kept; the same command goes on from there", err=True)
        sys.stderr.flush()
        # A kernel may still be at work in a thread, and a normal exit would wait for its block.
        os._exit(130)
    again = f", {done.damaged} of them damaged and computed again" if done.damaged else ""
    click.echo(f"{done.blocks} blocks: {done.computed} computed, {done.found} found{again}; {out}")


@contextlib.contextmanager
def _client(scheduler):
    if scheduler is None:
        yield None
        return
    try:
        from dask.distributed import Client
    except ImportError:
        raise ValueError("--scheduler needs Dask: pip install 'fastmodes[dask]'") from None
    with Client(scheduler, timeout="30s") as client:
        yield client


@click.command()
@_FOLDER
def status(folder):
    """Show how far a sweep is. Exit code 0 if it is complete, 3 if not."""
    from ..sweeps import status as look

    found = look(folder)
    click.echo(f"{found.title} ({found.job}, plan {found.plan_sha256[:12]})")
    click.echo(f"{found.blocks_done} of {found.blocks} blocks, {found.points_done} of {found.points} points")
    click.echo(f"{byte_count(found.bytes)} on disk")
    if not found.complete:
        click.echo(f"missing blocks: {_listed(found.missing)}")
        return 3
    return 0


def _listed(blocks):
    return ", ".join(map(str, blocks[:20])) + (f" and {len(blocks) - 20} more" if len(blocks) > 20 else "")


@click.command()
@_FOLDER
@click.option("--recompute", default=0, type=click.IntRange(0), help="Compute so many blocks again and compare bits.")
@_QUIET
def verify(folder, recompute, quiet):
    """Check every block: checksum, plan, place, values. Exit code 0 if all are right, 3 if not."""
    from ..sweeps import verify as check

    report = check(folder, recompute=recompute, progress=not quiet)
    for index, reason in report.damaged.items():
        click.echo(f"block {index} is damaged: {reason}")
    if report.missing:
        click.echo(f"missing blocks: {_listed(report.missing)}")
    if len(report.versions) > 1:
        click.echo("computed by different versions: " + "; ".join(report.versions))
    click.echo(
        f"{report.checked - len(report.damaged)} of {report.blocks} blocks are right"
        + (f", {report.recomputed} of them computed again" if report.recomputed else "")
    )
    if not report.complete:
        return 3
    return 0


@click.command()
@_FOLDER
@click.option("--output", "-o", metavar="FILE.nc", required=True, type=click.Path(), help="The file to write.")
@_QUIET
def merge(folder, output, quiet):
    """Merge a finished sweep into one netCDF file on the plan's axes."""
    from ..sweeps import merge as write

    click.echo(write(folder, output, progress=not quiet))
