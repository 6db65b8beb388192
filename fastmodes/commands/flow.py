"""``fastmodes flow``: mode trajectories over a grid, to a file."""

from typing import Any

import click

from .options import axis_of, per_matrix_of, progress_option, rule_option


@click.command()
@rule_option
@click.option("--start-w", default="0.6", callback=axis_of, show_default=True, help="Recurrent weight w at the start.")
@click.option("--start-a", default="1", callback=axis_of, show_default=True, help="Readout weight a at the start.")
@click.option("--start-b", default="1", callback=axis_of, show_default=True, help="Input weight b at the start.")
@click.option("--teacher", default="0.7", callback=axis_of, show_default=True, help="Teacher's recurrent weight w*.")
@click.option("--product", default="1", callback=axis_of, show_default=True, help="Teacher's product p = a* b*.")
@click.option("--feedback", default="1", callback=axis_of, show_default=True, help="Random feedback r.")
@click.option("--decay", callback=axis_of, help="Fixed propagator, instead of the rules' own.")
@click.option("--horizon", callback=axis_of, help="Horizon of truncated rules, instead of their own.")
@click.option("--leak", default=1.0, show_default=True, help="alpha of leaky students, in (0, 1]; 1: none.")
@click.option("--rates", callback=per_matrix_of, help="Rates of all: X, or readout=X,recurrent=Y,input=Z.")
@click.option("--times", default="0:50:101", callback=axis_of, show_default=True, help="Flow times wanted.")
@click.option("--rtol", default=1e-8, show_default=True, help="Relative tolerance.")
@click.option("--atol", default=1e-10, show_default=True, help="Absolute tolerance.")
@click.option("--step-limit", default=100_000, show_default=True, help="Largest number of steps of a trajectory.")
@click.option("--threads", type=int, help="Threads to use.  [default: all cores]")
@progress_option
@click.option("-o", "--out", default="flow.nc", show_default=True, help="netCDF file, complete or absent.")
def flow(
    rules: tuple[str, ...],
    start_w: Any,
    start_a: Any,
    start_b: Any,
    teacher: Any,
    product: Any,
    feedback: Any,
    times: Any,
    out: str,
    **options: Any,
) -> None:
    """Follow modes along the flow of several rules, over a grid.

    A parameter is a number, a list 0.1,0.5 or a range FROM:TO:COUNT; every parameter with several values is a
    dimension of the result.
    """
    import numpy as np

    from .. import Modes, write_flow, write_netcdf
    from .. import flow as follow
    from ..files.netcdf import check_writable

    path = check_writable("out", out)
    problem = {
        "rules": rules,
        "modes": Modes(start_w, start_a, start_b),
        "teacher_modes": Modes(teacher, 1.0, product),
        "times": np.atleast_1d(times),
        "feedback": feedback,
    }
    varying = [start_w, start_a, start_b, teacher, product, feedback, options["decay"], options["horizon"]]
    if any(np.ndim(value) for value in varying):
        click.echo(write_flow(path, **problem, **options))
    else:
        click.echo(write_netcdf(follow(**problem, **options), path))
