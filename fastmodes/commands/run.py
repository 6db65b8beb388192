"""``fastmodes run``: a sweep, or what is missing of it."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import click

from .options import progress_option


@click.command()
@click.argument("file", metavar="PLAN.toml", type=click.Path())
@click.option("--out", metavar="DIR", required=True, type=click.Path(), help="Folder of the sweep, new or begun.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Worker processes.")
@click.option(
    "--threads",
    type=click.IntRange(1, 10_000),
    help="Threads in all, or per task on a cluster.  [default: all cores, 1 on a cluster]",
)
@click.option("--shard", metavar="I/N", help="Compute every N-th block from the I-th on (for job arrays).")
@click.option("--scheduler", metavar="ADDRESS", help="Compute on the Dask cluster whose scheduler is there.")
@progress_option
def run(
    file: str, out: str, processes: int, threads: int | None, shard: str | None, scheduler: str | None, progress: bool
) -> None:
    """Run a sweep, or what is missing of it. Stop it in any way and run it again."""
    from ..sweeps import Plan, sweep

    checked = Plan.from_toml(file)
    try:
        with _client(scheduler) as client:
            done = sweep(
                checked, out, client=client, processes=processes, threads=threads, shard=shard, progress=progress
            )
    except KeyboardInterrupt:
        click.echo("interrupted: finished blocks are kept; the same command goes on from there", err=True)
        sys.stderr.flush()
        # A kernel may still be at work in a thread, and a normal exit would wait for its block.
        os._exit(130)
    again = f", {done.damaged} of them damaged and computed again" if done.damaged else ""
    click.echo(f"{done.blocks} blocks: {done.computed} computed, {done.found} found{again}; {out}")


@contextlib.contextmanager
def _client(scheduler: str | None) -> Iterator[Any]:
    if scheduler is None:
        yield None
        return
    try:
        from dask.distributed import Client
    except ImportError:
        raise ValueError("--scheduler needs Dask: pip install 'fastmodes[dask]'") from None
    # What Dask logs of a scheduler that is gone are tracebacks of its own; we say it in a sentence.
    logging.disable()
    try:
        with Client(scheduler, timeout="30s") as client:
            yield client
    finally:
        logging.disable(logging.NOTSET)
