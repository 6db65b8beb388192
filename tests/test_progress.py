"""Progress and the compiler's share of it: what is announced, and what estimates leave out."""

import io
import sys
import time
import types

import pytest
from fastmodes.kernels import code_cache
from fastmodes.kernels.compile import config, kernel

from fastmodes import compiling, progress

needs_compiler = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch):
    monkeypatch.setattr(compiling._clock, "_announced", set())
    monkeypatch.delenv("FASTMODES_QUIET", raising=False)


@pytest.fixture
def uncached(monkeypatch):
    monkeypatch.setattr(code_cache, "_place", lambda: (None, "the disk of this test is full"))


def compile_one(module):
    def small(x):
        return x + 1

    small.__module__ = module
    return kernel(small)(1.0)


@needs_compiler
def test_compiling_is_announced_once_for_a_family_with_what_and_how_long(uncached, capsys):
    before = compiling.seconds_compiling()
    compile_one("fastmodes.kernels.flow.kinds")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "fastmodes: compiling the kernels of the flow of modes, about 20 s; "
        "not kept for next time: the disk of this test is full\n"
    )
    assert compiling.seconds_compiling() > before
    assert not compiling.compiling()
    compile_one("fastmodes.kernels.flow.kinds")
    assert capsys.readouterr().err == ""
    compile_one("fastmodes.kernels.modes.stability")
    assert "stability maps, about" in capsys.readouterr().err


@needs_compiler
def test_what_is_found_on_disk_is_not_announced(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(code_cache, "_place", lambda: (tmp_path, ""))
    compile_one("fastmodes.kernels.flow.kinds")
    assert capsys.readouterr().err.endswith("; kept for next time\n")
    compiling._clock._announced.clear()
    compile_one("fastmodes.kernels.flow.kinds")
    assert capsys.readouterr().err == ""


@needs_compiler
def test_small_kernels_and_those_of_others_are_not_announced(uncached, capsys):
    compile_one("fastmodes.kernels.arrays.grid")
    compile_one("somewhere.else")
    assert capsys.readouterr().err == ""


@needs_compiler
@pytest.mark.parametrize("stderr", [None, "closed"])
def test_nobody_listening_is_no_error(uncached, monkeypatch, stderr):
    if stderr == "closed":
        stderr = io.StringIO()
        stderr.close()
    monkeypatch.setattr(sys, "stderr", stderr)
    compile_one("fastmodes.kernels.flow.kinds")
    with progress.progress_bar(10, "points") as bar:
        bar.update(10)


@needs_compiler
def test_silence_is_granted_where_the_environment_asks_for_it(uncached, monkeypatch, capsys):
    monkeypatch.setenv("FASTMODES_QUIET", "1")
    monkeypatch.setattr(progress._Lines, "_every", 0.0)
    compile_one("fastmodes.kernels.flow.kinds")
    with progress.progress_bar(10, "points") as bar:
        bar.update(5)
    assert capsys.readouterr().err == ""


def test_every_family_exists():
    import importlib

    for beginning, (what, seconds) in compiling.FAMILIES.items():
        importlib.import_module(beginning)
        assert what
        assert seconds > 0


class Clock:
    """Time as a test wants it: 100 s of compiling, then 2 s for the first tenth of the work."""

    def __init__(self, monkeypatch):
        self.now = self.compiled = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: self.now)
        monkeypatch.setattr(progress, "seconds_compiling", lambda: self.compiled)

    def work(self):
        self.now += 102.0
        self.compiled += 100.0


def test_lines_estimate_without_the_compiler(monkeypatch, capsys):
    clock = Clock(monkeypatch)
    with progress.progress_bar(100, "points") as bar:
        clock.work()
        bar.update(10)
    assert capsys.readouterr().err == "10/100 points (10 %), 5 points/s, 18 s left\n"


def test_a_bar_on_a_terminal_estimates_without_the_compiler(monkeypatch, capsys):
    clock = Clock(monkeypatch)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress.progress_bar(100, "points") as bar:
        clock.work()
        bar.update(10)
        shown = str(bar._bar._bar)
    assert "[00:02<00:18" in shown
    assert "5.00 points/s" in shown


class Shown:
    """What a notebook shows of one display."""

    def __init__(self):
        self.texts = []

    def display(self, data, raw, display_id):
        assert raw
        assert display_id
        self.texts.append(data["text/plain"])
        return self

    def update(self, data, raw):
        self.texts.append(data["text/plain"])


class ZMQInteractiveShell:
    """Named as a notebook's."""


@pytest.fixture
def notebook(monkeypatch):
    shown = Shown()
    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython, ipython.display, display.display = ZMQInteractiveShell, display, shown.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_a_notebook_without_widgets_has_one_line_rewritten_in_place(notebook, monkeypatch, capsys):
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(progress._NotebookLine, "_every", 0.0)
    with progress.progress_bar(4, "points") as bar:
        for _ in range(4):
            bar.update(1)
    assert notebook.texts[0] == "0/4 points"
    assert notebook.texts[-1].startswith("4/4 points (100 %)")
    assert len(notebook.texts) == 6
    assert capsys.readouterr() == ("", "")


def test_a_notebook_with_widgets_has_a_real_bar(notebook, monkeypatch):
    made = []

    class Widget:
        def __init__(self, **options):
            self.start_t = self.last_print_t = 0.0
            self.count = 0
            made.append(self)

        def update(self, count):
            self.count += count

        def close(self):
            self.closed = True

    bars = types.ModuleType("tqdm.notebook")
    bars.tqdm = Widget
    monkeypatch.setitem(sys.modules, "tqdm.notebook", bars)
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: object())
    with progress.progress_bar(4, "points") as bar:
        bar.update(3)
    assert [(widget.count, widget.closed) for widget in made] == [(3, True)]
    assert not notebook.texts
