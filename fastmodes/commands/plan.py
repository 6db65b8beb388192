"""``fastmodes plan``: what a sweep will take."""

from collections.abc import Mapping
from typing import Any

import click

from .wording import byte_count, duration


@click.command()
@click.argument("file", metavar="PLAN.toml", type=click.Path())
@click.option("--threads", type=click.IntRange(1, 10_000), help="Threads to count on.  [default: all cores]")
def plan(file: str, threads: int | None) -> None:
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


def _point(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={getattr(v, 'name', None) or _short(v)}" for k, v in values.items() if v is not None)


def _short(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
