"""The package's folders laid out as Python names them, for type checkers: `python tests/typed_tree.py && mypy`.

pyproject.toml maps fastmodes.kernels and fastmodes.analysis to folders beside the package. Type checkers do not read
that map; they look into build/typed, where symbolic links put every folder in its place.
"""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def lay_out(target=ROOT / "build" / "typed"):
    """Make or renew the tree, and return its path, for ``mypy_path`` or MYPYPATH."""
    folders = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-dir"]
    package = target / "fastmodes"
    package.mkdir(parents=True, exist_ok=True)
    wanted = {path.name: path for path in (ROOT / "fastmodes").iterdir() if path.name != "__pycache__"}
    wanted |= {name.split(".")[1]: ROOT / folder for name, folder in folders.items() if name.count(".") == 1}
    for link in package.iterdir():
        if link.name not in wanted or link.resolve() != wanted[link.name]:
            link.unlink()
    for name, path in wanted.items():
        link = package / name
        if not link.is_symlink():
            link.symlink_to(path, target_is_directory=path.is_dir())
    return target


if __name__ == "__main__":
    print(lay_out(), file=sys.stderr)
