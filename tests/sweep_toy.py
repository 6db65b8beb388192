"""A job for the tests of the sweep machinery: quick, with a closed form, or as slow as asked."""

import os
import signal
import time
from typing import Annotated

import numba
import numpy as np
import xarray as xr

from fastmodes.files import schema
from fastmodes.sweeps.jobs.registry import Job, register
from fastmodes.sweeps.plan.parameters import (
    FIXED,
    Count,
    NotNegative,
    Number,
    Numbers,
    RuleParameters,
    Seed,
    rule_of,
)


class ToyParameters(RuleParameters):
    x: Number
    y: Number = 1.0
    n: Count = 1
    seed: Seed = 0
    times: Annotated[Numbers, FIXED] = [1.0, 2.0]  # noqa: RUF012
    delay: Annotated[NotNegative, FIXED] = 0.0
    fatal: Annotated[bool, FIXED] = False
    faulty: Annotated[bool, FIXED] = False


def compute(points):
    """``value = sqrt(|x|) sin(y + seed) + n time``; ``flag`` is 1 where x > y."""
    x, y, n, seed = (np.broadcast_to(points.values(name), points.size) for name in ("x", "y", "n", "seed"))
    times = np.array(points.fixed["times"])
    shift = np.empty(points.size)
    for values, piece in points.groups("rule", "decay"):
        shift[piece] = rule_of(values).decay or 0.0
    value = (np.sqrt(np.abs(x)) * np.sin(y + seed) + shift)[:, None] + n[:, None] * times
    if points.fixed["fatal"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if points.fixed["faulty"]:
        raise FloatingPointError("asked for")
    if points.fixed["delay"]:
        time.sleep(points.fixed["delay"] * points.size)
    return xr.Dataset(
        {
            "loss": (("point", "time"), value),
            "status": (
                "point",
                (x > y).astype(np.int8),
                {"flag_values": np.arange(2, dtype=np.int8), "flag_meanings": "below above"},
            ),
        },
        coords={"time": times},
    )


schema.VARIABLES.setdefault("loss", ("loss", "1"))
schema.VARIABLES.setdefault("status", ("status", "1"))

TOY = register(
    Job("toy", ToyParameters, ("loss", "status"), compute, lambda p: 1e-6 + p["delay"], lambda p: 1 + len(p["times"]))
)


def count_threads(points):
    """How many threads kernels may use where a block is computed."""
    return xr.Dataset({"loss": ("point", np.full(points.size, float(numba.get_num_threads())))})


register(Job("threads", ToyParameters, ("loss",), count_threads, lambda p: 1.0, lambda p: 1))


def document(points=24, **changes):
    """A small plan of the toy job."""
    return {
        "job": "toy",
        "axes": {"rule": ["rflo(0.5)", "bptt"], "x": {"start": 0.0, "stop": 2.0, "num": points // 4}},
        "seeds": 2,
        "points_per_block": 5,
    } | changes
