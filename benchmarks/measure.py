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
    """Number of updates with which a call lasts about ``seconds``; the calls made here also compile everything."""
    updates = 8
    run(updates)
    while (taken := seconds_of(run, updates)) < seconds / 4:
        updates *= 2
    return max(1, round(updates * seconds / taken))


def interleaved(contenders, rounds, seconds):
    """Microseconds per update and network of each contender, one call of each in turn, ``rounds`` times.

    Parameters
    ----------
    contenders : dict of str: (callable, int)
        Name: ``run(updates)`` and the number of networks it trains.
    rounds : int
    seconds : float
        About how long one call lasts.

    Returns
    -------
    dict of str: dict
        ``updates`` per call, the rounds' ``microseconds`` and their ``median``.
    """
    updates = {name: calibrated(run, seconds) for name, (run, _) in contenders.items()}
    taken = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (run, networks) in contenders.items():
            taken[name].append(1e6 * seconds_of(run, updates[name]) / updates[name] / networks)
    return {
        name: {"updates": updates[name], "microseconds": times, "median": statistics.median(times)}
        for name, times in taken.items()
    }


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
