"""Timing side by side: interleaved rounds, medians, and the machine they were taken on."""

import datetime
import importlib.metadata
import os
import platform
import statistics
import time


def seconds_of(run, updates):
    """Wall-clock seconds of one call."""
    begin = time.perf_counter()
    run(updates)
    return time.perf_counter() - begin


def calibrated(run, seconds):
    """Number of updates that take about ``seconds``, what a call costs besides left out; compiles everything too."""
    run(1)
    fixed, updates = seconds_of(run, 1), 9
    while (taken := seconds_of(run, updates) - fixed) < seconds / 4:
        updates *= 2
    return 1 + max(8, round(updates * seconds / taken))


def interleaved(contenders, rounds, seconds):
    """Time per update of each contender, measured in turn, ``rounds`` times.

    A round calls each contender twice, with one update and with many. The difference is the time of the updates; what
    is left of the short call is the time around them: starting, recording, making the result.

    Parameters
    ----------
    contenders : dict of str: (callable, int)
        Name: ``run(updates)`` and the number of networks it trains.
    rounds : int
    seconds : float
        About how long the updates of a call take.

    Returns
    -------
    dict of str: dict
        ``updates`` of a long call; the rounds' ``microseconds`` per update and network, their ``median``; the median
        ``milliseconds_around`` of a call.
    """
    updates = {name: calibrated(run, seconds) for name, (run, _) in contenders.items()}
    found = {name: {"updates": updates[name], "microseconds": [], "around": []} for name in contenders}
    for _ in range(rounds):
        for name, (run, networks) in contenders.items():
            short, long = seconds_of(run, 1), seconds_of(run, updates[name])
            each = (long - short) / (updates[name] - 1)
            found[name]["microseconds"].append(1e6 * each / networks)
            found[name]["around"].append(1e3 * (short - each))
    for times in found.values():
        times["median"] = statistics.median(times["microseconds"])
        times["milliseconds_around"] = max(0.0, statistics.median(times.pop("around")))
    return found


def processor():
    """Name of the processor."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def machine(packages):
    """What the figures depend on, without the machine's name: processor, cores, system, versions, day."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": processor(),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "day": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
