"""What sweeps cost beside their kernels: ``python -m benchmarks.bench_sweeps [flow] [dask] [merge]``.

* ``flow``: ten million points; resident memory, and the share of the time that is spent outside the kernels.
* ``dask``: the same training sweep on one and on two workers of a LocalCluster, each with one thread.
* ``merge``: a thousand blocks into one file.

Each part runs in a process of its own. Writes ``results/sweeps.json``.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from fastmodes.sweeps import Plan, merge, sweep

from .measure import machine

FLOW = {
    "job": "flow",
    "title": "Ten million starts",
    "fixed": {"input": 0.6, "teacher_recurrent": 0.7, "times": [20.0]},
    "axes": {
        "rule": ["bptt", "tbptt(1)", "rflo", "eprop"],
        "recurrent": {"start": -0.9, "stop": 0.9, "num": 1000},
        "readout": {"start": -2.0, "stop": 2.0, "num": 2500},
    },
}

TRAIN = {
    "job": "train",
    "seeds": 16,
    "points_per_block": 16,
    "fixed": {"hidden": 8, "epochs": 2000, "steps": 50},
    "axes": {"rule": ["bptt", "rflo", "eprop"], "learning_rate": {"start": 1e-4, "stop": 1e-3, "num": 20}},
}

THOUSAND = {
    "job": "stability",
    "fixed": {"teacher_recurrent": 0.7},
    "points_per_block": 4000,
    "axes": {
        "rule": ["bptt", "tbptt(1)", "rflo", "eprop"],
        "teacher_product": {"start": 0.1, "stop": 2.0, "num": 1000},
        "position": {"start": 0.1, "stop": 2.0, "num": 1000},
    },
}


class Clock:
    """Adds up the time spent inside functions, by the wall and by the threads' own clocks."""

    def __init__(self):
        self.wall, self.own = 0.0, 0.0

    def timed(self, function):
        """``function``, its calls timed."""

        def call(*args):
            wall, own = time.perf_counter(), time.thread_time()
            result = function(*args)
            # Adding floats under the interpreter's lock loses nothing worth the lock of one's own.
            self.wall += time.perf_counter() - wall
            self.own += time.thread_time() - own
            return result

        return call


def flow(folder):
    """Memory and time outside the kernels for ten million points."""
    from fastmodes.kernels.parallel import thread_count

    from fastmodes import flows, grids

    sweep({**FLOW, "axes": {"rule": FLOW["axes"]["rule"], "recurrent": [0.1], "readout": [1.0]}}, folder / "warm")
    clock = Clock()
    flows.flow_lanes = clock.timed(flows.flow_lanes)
    grids.gather = clock.timed(grids.gather)
    plan = Plan(FLOW)
    begin, used = time.perf_counter(), time.process_time()
    sweep(plan, folder / "sweep", progress=False)
    wall, used = time.perf_counter() - begin, time.process_time() - used
    return {
        "points": plan.points,
        "blocks": plan.blocks,
        "seconds": wall,
        "points_per_second": plan.points / wall,
        "share_outside_kernels_cpu": 1 - clock.own / used,
        "share_outside_kernels_wall": 1 - clock.wall / (wall * thread_count()),
        "resident_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def dask(folder, rounds=3):
    """Seconds on one and on two workers, in turn."""
    from dask.distributed import Client, LocalCluster

    seconds = {1: [], 2: []}
    for number in range(rounds):
        for workers, taken in seconds.items():
            cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50)
            with cluster, Client(cluster) as client:
                warm = TRAIN | {"axes": TRAIN["axes"] | {"learning_rate": [1e-4, 2e-4]}}
                sweep(warm, folder / f"warm{number}{workers}", client=client, progress=False)
                begin = time.perf_counter()
                sweep(TRAIN, folder / f"{number}{workers}", client=client, progress=False)
                taken.append(time.perf_counter() - begin)
    one, two = (statistics.median(taken) for taken in seconds.values())
    return {"seconds_one_worker": one, "seconds_two_workers": two, "speedup": one / two, "rounds": seconds}


def merging(folder):
    """Seconds to merge a thousand blocks."""
    plan = Plan(THOUSAND)
    sweep(plan, folder / "sweep", progress=False)
    begin = time.perf_counter()
    path = merge(folder / "sweep", folder / "all.nc", progress=False)
    return {"blocks": plan.blocks, "seconds": time.perf_counter() - begin, "megabytes": path.stat().st_size / 1e6}


PARTS = {"flow": flow, "dask": dask, "merge": merging}


def main(names):
    """Run the parts, each in its own process, and write down what came out."""
    results = {"machine": machine(("fastmodes", "numba", "numpy", "xarray", "netCDF4", "distributed"))}
    for name in names or PARTS:
        code = (
            "import json, sys, tempfile, pathlib; from benchmarks.bench_sweeps import PARTS\n"
            "with tempfile.TemporaryDirectory() as folder:\n"
            f"    print(json.dumps(PARTS[{name!r}](pathlib.Path(folder))))"
        )
        answer = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True).stdout
        results[name] = json.loads(answer.splitlines()[-1])
        print(name, json.dumps(results[name], indent=1))
    folder = Path("results")
    folder.mkdir(exist_ok=True)
    (folder / "sweeps.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
