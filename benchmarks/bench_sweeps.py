"""What sweeps cost beside their kernels: ``python -m benchmarks.bench_sweeps [flow] [dask] [merge]``.

* ``flow``: ten million points; resident memory, and the share of the time that is spent outside the kernels.
* ``dask``: the same training sweep on one and on two workers of a LocalCluster, each with one thread; and how many
  cores other programs used meanwhile, since two workers gain nothing where one of two cores is taken.
* ``merge``: a thousand blocks into one file.

Each part runs in a process of its own. Writes ``benchmarks/results/sweeps.json``, where parts not asked for stay if
they come from the same machine and versions.
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

#: Cores that other programs may use beside a measurement of a speedup.
QUIET = 0.1


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
    from fastmodes.modes import flow as flows
    from fastmodes.modes import grid as grids
    from fastmodes.parallel import thread_count

    sweep({**FLOW, "axes": {"rule": FLOW["axes"]["rule"], "recurrent": [0.1], "readout": [1.0]}}, folder / "warm")
    clock = Clock()
    flows.FLOW_LANES = tuple(map(clock.timed, flows.FLOW_LANES))
    flows.mode_losses = clock.timed(flows.mode_losses)
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
    """Seconds on one and on two workers, in turn, and what they and all others used of the processors."""
    measured = {1: [], 2: []}
    for number in range(rounds):
        for workers, taken in measured.items():
            taken.append(_least_disturbed(folder / f"{number}{workers}", workers))
    one, two = (statistics.median(run["seconds"] for run in taken) for taken in measured.values())
    return {"seconds_one_worker": one, "seconds_two_workers": two, "speedup": one / two, "rounds": measured}


def _least_disturbed(folder, workers, tries=3):
    """A measurement beside other programs is made again; of three, the one beside the fewest, whatever its seconds."""
    runs = []
    while len(runs) < tries and not (runs and runs[-1]["cores_of_others"] < QUIET):
        runs.append(_on_cluster(folder / str(len(runs)), workers))
    least = min(runs, key=lambda run: run["cores_of_others"])
    if least["cores_of_others"] >= QUIET:
        print(f"NOT QUIET: other programs used {least['cores_of_others']:.2f} cores meanwhile", file=sys.stderr)
    return least


def _on_cluster(folder, workers):
    from dask.distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    with cluster, Client(cluster) as client:
        _warm(client, folder)
        begin, own, everyone = time.perf_counter(), _own_cpu(client), _all_cpu()
        sweep(TRAIN, folder / "sweep", client=client, progress=False)
        wall, own, everyone = time.perf_counter() - begin, _own_cpu(client) - own, _all_cpu() - everyone
    return {"seconds": wall, "cpu_seconds": own, "cores_of_others": (everyone - own) / wall}


def _warm(client, folder):
    """Every worker loads all kernels: it trains under every rule by itself."""
    plan = TRAIN | {"axes": TRAIN["axes"] | {"learning_rate": [1e-4]}}
    client.gather([
        client.submit(sweep, plan, folder / f"warm{number}", threads=1, progress=False, workers=[address])
        for number, address in enumerate(client.nthreads())
    ])  # fmt: skip


def _own_cpu(client):
    """Processor seconds of this process, with the scheduler in it, and of the workers."""
    return time.process_time() + sum(client.run(time.process_time).values())


def _all_cpu():
    """Processor seconds of all programs on this machine."""
    import psutil

    times = psutil.cpu_times()
    return sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "steal"))


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
    path = Path(__file__).parent / "results" / "sweeps.json"
    here = machine(("fastmodes", "numba", "numpy", "xarray", "netCDF4", "distributed"))
    day = here.pop("day")
    results = json.loads(path.read_text()) if path.exists() else {}
    if results.get("machine") != here:
        results = {"machine": here}
    for name in names or PARTS:
        code = (
            "import json, sys, tempfile, pathlib; from benchmarks.bench_sweeps import PARTS\n"
            "with tempfile.TemporaryDirectory() as folder:\n"
            f"    print(json.dumps(PARTS[{name!r}](pathlib.Path(folder))))"
        )
        answer = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True).stdout
        results[name] = {"day": day} | json.loads(answer.splitlines()[-1])
        print(name, json.dumps(results[name], indent=1))
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
