"""The ordinary tests under every Python that is found, and with the oldest dependencies that pyproject.toml allows.

``python tests/versions.py [3.N ..] [oldest] [-- ARGUMENTS OF PYTEST]``; default: everything found, the ordinary suite.
Every interpreter has a virtual environment of its own, ``.venv-3.N``; the oldest versions ``.venv-oldest``.
"""

import functools
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FIRST = int(re.fullmatch(r">=3\.(\d+)", PROJECT["requires-python"])[1])
ORDINARY = ["-q", "-m", "not slow and not fuzz and not oracle"]


def works(python, minor):
    """Whether this is an interpreter of Python 3.``minor``, not a stand-in that refuses to start."""
    code = f"import sys, venv; sys.exit(sys.version_info[:2] != (3, {minor}))"
    try:
        return subprocess.run([python, "-c", code], capture_output=True).returncode == 0
    except OSError:
        return False


@functools.cache
def interpreters():
    """{minor version: interpreter} of every supported Python on the path or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for minor in range(FIRST, FIRST + 10):
        name = f"python3.{minor}"
        folders = [*os.environ.get("PATH", "").split(os.pathsep), *sorted(pyenv.glob(f"3.{minor}.*/bin"), reverse=True)]
        python = next((path for folder in folders if works(path := Path(folder) / name, minor)), None)
        if python is not None:
            found[minor] = python
    return found


def oldest():
    """Constraints, one for each dependency: the lower bound that pyproject.toml allows."""
    needed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dask"]]
    return [f"{name}=={bound}" for name, bound in (re.match(r"([\w-]+)>=([\d.]+)", line).groups() for line in needed)]


def prepared(folder, python, constraints=()):
    """The interpreter of a virtual environment with the package and its tests' needs."""
    inside = folder / "bin" / "python"
    stamp, wanted = folder / "ready", "\n".join([*constraints, (ROOT / "pyproject.toml").read_text(encoding="utf-8")])
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted):
        subprocess.run([python, "-m", "venv", folder], check=True)
        listed = folder / "constraints.txt"
        listed.write_text("\n".join(constraints), encoding="utf-8")
        install = [inside, "-m", "pip", "install", "--quiet", "--constraint", listed, "--editable", ".[test,dask]"]
        subprocess.run([*install, "setuptools>=77"], check=True, cwd=ROOT)
        stamp.write_text(wanted, encoding="utf-8")
    return inside


def environments(names):
    """{name: interpreter} of what is asked for, made where it is missing."""
    found = interpreters()
    for name in names or [*(f"3.{minor}" for minor in found), "oldest"]:
        if name == "oldest":
            if FIRST not in found:
                sys.exit(f"no python3.{FIRST} found, the oldest that is allowed; found {sorted(found)}")
            yield name, prepared(ROOT / ".venv-oldest", found[FIRST], oldest())
        elif (minor := int(name.removeprefix("3."))) in found:
            yield name, prepared(ROOT / f".venv-{name}", found[minor])
        else:
            sys.exit(f"no python{name} found; found {', '.join(f'3.{minor}' for minor in found)}")


def main(arguments):
    """Run the tests everywhere; the exit code is 1 if they fail somewhere."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    failed = []
    for name, python in environments(arguments[:split]):
        print(f"== Python {name}", flush=True)
        command = [python, "-m", "pytest", *ORDINARY, *arguments[split + 1 :]]
        if subprocess.run(command, cwd=ROOT).returncode:
            failed.append(name)
    print("failed: " + ", ".join(failed) if failed else "passed everywhere")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
