"""Sweeps that are killed: a parent that forks, for each order on stdin, a child which runs a sweep and tells its steps.

The child may be told to stop dead inside its N-th call to the disk, half way through a write, before or after a rename;
there it waits to be killed. Lines on stdout: ``pid N``, ``began N``, ``here`` (stopped at the asked call), ``ended``,
``dead STATUS``.
"""

import json
import os
import sys
import time

import sweep_toy  # noqa: F401

from fastmodes.sweeps import sweep
from fastmodes.sweeps.store import blocks


def tell(*words):
    # One write a line: lines of several threads do not mix.
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def stop_at(call, fraction):
    """Stop dead inside the ``call``-th of the calls that change the disk while blocks are committed."""
    count = 0

    def stopping(function, name):
        def wrapped(*args, **kwargs):
            nonlocal count
            if name == "write" and args[0] == 1:
                return function(*args, **kwargs)
            count += 1
            if count < call:
                return function(*args, **kwargs)
            if name == "write":
                real_write(args[0], bytes(args[1])[: int(fraction * len(args[1]))])
            elif fraction > 0.5:
                function(*args, **kwargs)
            real_write(1, b"here\n")
            time.sleep(60)

        return wrapped

    real_write = os.write
    for name in ("write", "fsync", "replace"):
        setattr(os, name, stopping(getattr(os, name), name))


def child(order):
    original = blocks.compute

    def announced(plan, index):
        tell("began", index)
        return original(plan, index)

    blocks.compute = announced
    if order["call"]:
        stop_at(order["call"], order["fraction"])
    sweep(order["plan"], order["out"], threads=2, progress=False)
    tell("ended")


def main():
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                child(json.loads(line))
            finally:
                os._exit(0)
        tell("pid", pid)
        tell("dead", os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    main()
