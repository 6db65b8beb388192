"""Type checkers know the names of fastmodes.analysis, which Python loads when they are first used."""

import subprocess
import sys

import pytest
from typed_tree import ROOT, lay_out

SNIPPET = """
import fastmodes as fm
fm.analysis.stability("bptt", 0.5, 1.0, 1.0)
fm.analysis.figures.FIGURES
fm.analysis.stabilty
fm.analysis.stability("bptt", 0.5, 1.0, 1.0, thread=2)
"""


@pytest.mark.skipif(not (ROOT / "kernels").is_dir(), reason="looks at a source tree")
def test_a_misspelt_name_of_the_analysis_is_an_error(tmp_path):
    pytest.importorskip("mypy")
    tree, snippet = lay_out(tmp_path / "typed"), tmp_path / "snippet.py"
    snippet.write_text(SNIPPET, encoding="utf-8")
    settings = tmp_path / "mypy.ini"
    settings.write_text(
        f"[mypy]\nmypy_path = {tree}\nignore_missing_imports = true\nfollow_imports = silent\n"
        "[mypy-fastmodes.kernels.*]\nfollow_imports = skip\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), str(snippet)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    lines = [line.split(":")[1] for line in done.stdout.splitlines() if ": error: " in line]
    assert lines == ["5", "6"], done.stdout + done.stderr
