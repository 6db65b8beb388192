"""Options of the command line: how numbers, lists and grids are written in one word."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    import xarray as xr

_Command = TypeVar("_Command", bound=Callable[..., Any])


def whole_numbers(context: click.Context, parameter: click.Parameter, value: str) -> Sequence[int]:
    """Option callback: "8" means 0 .. 7, "3,5,9" means these, "10:20" means 10 .. 19."""
    numbers: Sequence[int]
    try:
        if ":" in value:
            first, last = value.split(":")
            numbers = range(int(first), int(last))
        else:
            numbers = [int(part) for part in value.split(",")]
            numbers = numbers if "," in value else range(numbers[0])
    except ValueError:
        numbers = []
    if not numbers:
        raise click.BadParameter(f"must be a count >= 1, a list 3,5,9 or a range 10:20; got {value!r}")
    return numbers


def numbers_of(context: click.Context, parameter: click.Parameter, value: str) -> list[float]:
    """Option callback: numbers separated by commas."""
    try:
        return [float(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"must be numbers separated by commas; got {value!r}") from None


def steps_of(context: click.Context, parameter: click.Parameter, value: str) -> float:
    """Option callback: a whole number, or "inf" for the limit of infinitely many steps."""
    try:
        return math.inf if value == "inf" else int(value)
    except ValueError:
        raise click.BadParameter(f"must be a whole number or inf; got {value!r}") from None


def pair_of(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Option callback: two numbers separated by a comma."""
    if not isinstance(value, str):
        return value
    numbers = numbers_of(context, parameter, value)
    if len(numbers) != 2:
        raise click.BadParameter(f"must be two numbers separated by a comma; got {value!r}")
    return tuple(numbers)


def per_matrix_of(context: click.Context, parameter: click.Parameter, value: str | float | None) -> Any:
    """Option callback: "0.01", or "readout=0,recurrent=0.01,input=0.01"."""
    if not isinstance(value, str):
        return value
    try:
        if "=" not in value:
            return float(value)
        return {name.strip(): float(number) for name, number in (part.split("=") for part in value.split(","))}
    except ValueError:
        raise click.BadParameter(f"must be a number, or readout=X,recurrent=Y,input=Z; got {value!r}") from None


def data_of(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Option callback: a number of sequences, or a netCDF file with the variables inputs and targets."""
    if value is None or value.isdigit():
        return None if value is None else int(value)
    import xarray as xr

    if not Path(value).is_file():
        raise click.BadParameter(f"must be a number of sequences or a netCDF file; got {value!r}")
    asked = any(option.name == "steps" for option in context.command.params)
    if asked and context.get_parameter_source("steps") is not ParameterSource.COMMANDLINE:
        context.params["steps"] = None
    with xr.open_dataset(value) as stored:
        return stored.load()


def matrix_of(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Option callback: rows of numbers, "1,0.5;0.5,1"."""
    if value is None:
        return None
    rows = [numbers_of(context, parameter, row) for row in value.split(";")]
    if len({len(row) for row in rows}) > 1:
        raise click.BadParameter(f"must be rows of equal length, separated by semicolons; got {value!r}")
    return rows


def colour_of(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Option callback: the coefficient of autoregressive input."""
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"must be a number between -1 and 1; got {value!r}") from None


def axis_of(context: click.Context, parameter: Any, value: str | None) -> float | xr.DataArray | None:
    """Option callback: "0.5", "0.1,0.5" or "FROM:TO:COUNT"; several values are a dimension named as the option."""
    import numpy as np
    import xarray as xr

    if value is None:
        return None
    try:
        if ":" in value:
            first, last, count = value.split(":")
            values = np.linspace(float(first), float(last), int(count))
        else:
            values = np.array([float(part) for part in value.split(",")])
    except ValueError:
        values = np.empty(0)
    if not len(values):
        raise click.BadParameter(
            f"must be a number, a list 0.1,0.5 or a range FROM:TO:COUNT with a COUNT of at least 1; got {value!r}"
        )
    if len(values) == 1:
        return float(values[0])
    name = parameter.name
    return xr.DataArray(values, dims=name, coords={name: (name, values, {"long_name": parameter.help.split(".")[0]})})


def option_of(*names: str) -> Callable[[_Command], _Command]:
    """Decorator that adds the options of parameters of :func:`fastmodes.train`, as its settings model has them."""
    from ..training import parameter_kinds as kinds
    from ..training import parameters as settings

    callbacks = {
        kinds.Steps: steps_of,
        kinds.Betas: pair_of,
        kinds.PerMatrix: per_matrix_of,
        kinds.Data: data_of,
        kinds.Covariance: matrix_of,
        kinds.Colour: colour_of,
    }
    types = {kinds.Whole: int, kinds.Real: float}

    def option(name: str) -> Callable[[_Command], _Command]:
        parameter = settings.TRAIN[name]
        kind: Any = parameter.kind
        default, flag = parameter.elsewhere, f"--{name.replace('_', '-')}"
        if isinstance(kind, kinds.Flag):
            return click.option(flag, is_flag=True, default=default, help=parameter.help, hidden=parameter.seldom)
        words = isinstance(kind, kinds.Choice | kinds.OptimizerName | kinds.Schedule)
        text = str(default) if isinstance(kind, kinds.Steps) else default
        return click.option(
            flag,
            type=click.Choice(kind.words) if words else types.get(type(kind), str),
            default=",".join(map(str, default)) if isinstance(default, tuple) else text,
            callback=callbacks.get(type(kind)),
            show_default=parameter.absent or default is not None,
            help=parameter.help,
            hidden=parameter.seldom,
        )

    def decorate(command: _Command) -> _Command:
        for name in reversed(names):
            command = option(name)(command)
        return command

    return decorate


def _explain_all(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Option callback: print the help with its seldom options, and end."""
    if value and not context.resilient_parsing:
        for option in context.command.params:
            if isinstance(option, click.Option):
                option.hidden = False
        click.echo(context.get_help())
        context.exit()


help_all_option = click.option(
    "--help-all", is_flag=True, is_eager=True, expose_value=False, callback=_explain_all,
    help="Show every option, seldom used ones too.",
)  # fmt: skip

progress_option = click.option(
    "--progress/--no-progress", " /-q", " /--quiet", default=True, help="Show progress on stderr, or not."
)

rule_option = click.option(
    "--rule",
    "rules",
    multiple=True,
    default=("bptt", "tbptt(1)", "rflo(0.5)", "eprop"),
    show_default=True,
    help="bptt, tbptt(K), rflo(DECAY), eprop, or FIELD=VALUE,... of a rule; may be repeated.",
)
