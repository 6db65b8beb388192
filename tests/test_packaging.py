"""A wheel in an empty environment runs the main job; compiled code is kept where, and as long as, it is right."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import fastmodes as fm

ROOT = Path(fm.__file__).resolve().parent.parent
SOURCES = ("fastmodes", "kernels", "analysis")


def run(arguments, **options):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | options.pop("env", {})
    done = subprocess.run(
        [str(argument) for argument in arguments], capture_output=True, text=True, env=environment, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the sources, outside the repository."""
    folder = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(tree, tmp_path_factory):
    pytest.importorskip("setuptools", minversion="77")
    out = tmp_path_factory.mktemp("wheel")
    run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, tree],
        cwd=out,
    )
    (path,) = out.glob("fastmodes-*.whl")
    return path


@pytest.mark.slow
def test_a_wheel_runs_the_main_job_in_an_empty_environment(wheel, tmp_path):
    home = tmp_path / "environment"
    run([sys.executable, "-m", "venv", home])
    python = home / "bin" / "python"
    (site,) = home.glob("lib/python*/site-packages")
    # The dependencies of this environment, but not the package that it holds.
    dependencies = Path(pytest.__file__).resolve().parent.parent
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel])
    work = tmp_path / "work"
    work.mkdir()
    where = run([python, "-c", "import fastmodes; print(fastmodes.__file__)"], cwd=work).strip()
    assert Path(where).is_relative_to(site)
    out = run([home / "bin" / "fastmodes", "demo", "--seeds", "2", "--epochs", "20"], cwd=work)
    assert [Path(line).name for line in out.splitlines()] == ["demo.nc", "demo.png"]
    assert all((work / line).stat().st_size > 1000 for line in out.splitlines())
    # No other top-level name is installed, and the type marker is.
    files = {Path(name).parts[0] for name in run([sys.executable, "-m", "zipfile", "-l", wheel]).split() if "/" in name}
    assert {name for name in files if not name.endswith(".dist-info")} == {"fastmodes"}
    assert (site / "fastmodes" / "py.typed").is_file()
    assert run([home / "bin" / "fastmodes", "theory", "1"], cwd=work).startswith("## 1. ")


def test_a_checkout_s_folder_alone_says_that_it_is_not_the_package(tmp_path):
    """After ``pip install .``, Python started in the checkout finds its folder before the installed package."""
    shutil.copytree(ROOT / "fastmodes", tmp_path / "fastmodes", ignore=shutil.ignore_patterns("__pycache__"))
    finders = "[finder for finder in sys.meta_path if 'editable' not in repr(finder).lower()]"
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.meta_path[:] = {finders}; import fastmodes"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "ImportError: Python started in a checkout of fastmodes" in done.stderr


# Compiled code on disk

REPORT = """
import fastmodes as fm
from fastmodes.kernels import compile
from fastmodes.kernels.updates import recursion as expected
teacher = fm.aligned_teacher(fm.Modes(0.5, 1.0, 1.0))
fm.expected_update(fm.bptt(), teacher, teacher, 3)
stats = expected.expected_update.stats
print(compile.cache_folder(), sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), sep="|")
"""


def report(cache, tree=None, **environment):
    """The cache folder, and how many kernels a fresh process found in it and compiled."""
    code = REPORT if tree is None else f"import sys; sys.path.insert(0, {str(tree)!r})\n" + REPORT
    out = run([sys.executable, "-c", code], env={"FASTMODES_CACHE_DIR": str(cache), **environment}).strip()
    folder, hits, misses = out.split("|")
    return folder, int(hits), int(misses)


@pytest.mark.slow
def test_a_second_process_finds_the_compiled_code(tmp_path):
    folder, hits, misses = report(tmp_path / "cache")
    assert (hits, misses) == (0, 1)
    assert Path(folder).parent == tmp_path / "cache"
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert list(Path(folder).rglob("*.nbc"))
    assert report(tmp_path / "cache") == (folder, 1, 0)


@pytest.mark.slow
def test_another_kernel_source_is_another_folder(tmp_path):
    """In a tree whose folders lie as in a wheel, an edit of one kernel makes all kernels compile anew."""
    package = tmp_path / "site" / "fastmodes"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "fastmodes", package, ignore=ignore)
    for name in ("kernels", "analysis"):
        shutil.copytree(ROOT / name, package / name, ignore=ignore)
    cache, site = tmp_path / "cache", package.parent
    first = report(cache, site)
    source = package / "kernels" / "arrays" / "products.py"
    source.write_text(source.read_text() + "\n# Edited.\n")
    second = report(cache, site)
    assert first[1:] == second[1:] == (0, 1)
    assert first[0] != second[0]


def test_without_a_place_for_compiled_code_everything_works(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert report(blocked / "below") == ("None", 0, 1)
