"""Child processes: a fresh interpreter that trusts no current folder, and ends when its parent does.

The child imports from where its parent does, never from the folder that it happens to be started in: a file
``json.py`` there is not executed. It reads its orders from stdin, and that pipe is its lifeline: the system closes the
parent's end however the parent dies. Who takes :func:`orders`, JSON, one a line, then ends at once, whatever it is
doing; on Linux the kernel also kills it by itself. Who reads stdin in another way ends when it comes to the pipe's end,
and may clear up first.
"""

import contextlib
import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); del sys.argv[1]; "
_MODULE = _START + "import importlib; getattr(importlib.import_module(sys.argv[1]), sys.argv[2])()"
_SCRIPT = _START + "import runpy; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
#: Of Linux's ``prctl``: the signal to send to this process when its parent dies.
_PARENT_DEATH_SIGNAL = 1


def start(module: str, function: str, quiet: bool = False) -> subprocess.Popen[str]:
    """Start a child process that calls ``module.function()``, in a session of its own.

    Ctrl-C reaches the parent alone, which then ends its children.

    Parameters
    ----------
    module, function : str
    quiet : bool
        Whether it should say nothing on stderr but errors.

    Returns
    -------
    subprocess.Popen
        With pipes ``stdin``, for :func:`give`, and ``stdout``, both text.
    """
    return _start((_MODULE, module, function), quiet, text=True, bufsize=1)


def start_script(path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a script as a child process, as :func:`start` does, with pipes of bytes: it need not load the package."""
    return _start((_SCRIPT, str(path), *arguments))


def _start(call: tuple[str, ...], quiet: bool = False, **pipes: Any) -> subprocess.Popen[Any]:
    # The parent's own paths; "" stands for whatever the current folder is.
    paths = [os.path.abspath(path) for path in sys.path if path]
    command = [sys.executable, "-P", "-c", call[0], json.dumps(paths), *call[1:]]
    environment = os.environ | {"FASTMODES_PARENT": str(os.getpid())} | ({"FASTMODES_QUIET": "1"} if quiet else {})
    environment.pop("PYTHONPATH", None)
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True, **pipes
    )


def give(process: subprocess.Popen[str], order: object) -> None:
    """Hand a child an order. One that has just died is noticed when its answer is read."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(order), file=process.stdin)


def end(process: subprocess.Popen[Any]) -> None:
    """Kill a child and clear up."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(BrokenPipeError):
            pipe.close()


def orders() -> Iterator[Any]:
    """In a child: the orders of its parent, one by one; the process ends when the parent is gone."""
    _die_with_parent()
    received: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            received.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True, name="lifeline").start()
    while True:
        yield json.loads(received.get())


def _die_with_parent() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    # It may have died before that.
    parent = os.environ.get("FASTMODES_PARENT", "")
    if parent and os.getppid() != int(parent):
        os._exit(1)
