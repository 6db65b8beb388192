"""House rules on size: arguments and branches of every function, and the digests that see every source."""

import ast
import importlib
import shutil
from pathlib import Path

import pytest

import fastmodes as fm

ROOT = Path(fm.__file__).resolve().parent.parent
FOLDERS = ("kernels", "fastmodes", "analysis")
pytestmark = pytest.mark.skipif(not (ROOT / "kernels").is_dir(), reason="looks at a source tree")

MOST_ARGUMENTS, MOST_COMPLEX = 7, 10

#: Functions that take more arguments, parameters that go by keyword only not counted. May only shrink.
MANY_ARGUMENTS = {
    "kernels/arrays/grid.py find_rows",
    "kernels/arrays/products.py _products",
    "kernels/arrays/products.py _products_eight",
    "kernels/arrays/products.py _products_one",
    "kernels/flow/driver.py _advance",
    "kernels/flow/driver.py _begin",
    "kernels/flow/driver.py _ended",
    "kernels/flow/driver.py integrate",
    "kernels/modes/stability.py _write",
    "kernels/modes/update.py jacobian_formula",
    "kernels/modes/update.py mode_formula",
    "kernels/training/loop.py train_expected",
    "fastmodes/commands/flow.py flow",
    "fastmodes/modes/flow.py flow_grid",
    "fastmodes/modes/update.py _evaluate",
    "fastmodes/sweeps/run/runner.py _run",
    "fastmodes/training/network_flow.py _dataset",
}

#: Functions of more independent paths (McCabe). May only shrink.
COMPLEX = {
    "kernels/flow/driver.py integrate",
    "kernels/flow/networks.py matrix_flow",
    "kernels/updates/online.py _step_trace",
}

_BRANCHES = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.match_case)


def functions():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{path.relative_to(ROOT).as_posix()} {node.name}", node


def own_nodes(function):
    """Nodes of a function without those of the functions inside it."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def test_functions_have_few_arguments():
    found = {name for name, node in functions() if len(node.args.posonlyargs + node.args.args) > MOST_ARGUMENTS}
    assert found - MANY_ARGUMENTS == set(), "too many arguments"
    assert MANY_ARGUMENTS - found == set(), "no exception any more: take it off the table"


def test_functions_have_few_branches():
    found = {
        name
        for name, node in functions()
        if 1 + sum(isinstance(part, _BRANCHES) for part in own_nodes(node)) > MOST_COMPLEX
    }
    assert found - COMPLEX == set(), "too complex"
    assert COMPLEX - found == set(), "no exception any more: take it off the table"


DIGESTS = (("kernels", "code_cache", "source_digest"), ("analysis", "report.experiments", "_source_digest"))


@pytest.mark.parametrize(("folder", "name", "function"), DIGESTS)
def test_an_edit_in_any_folder_changes_the_source_digest(folder, name, function, tmp_path, monkeypatch):
    copied = ("kernels", "fastmodes", "analysis")
    for each in copied:
        shutil.copytree(ROOT / each, tmp_path / each, ignore=shutil.ignore_patterns("__pycache__"))
    module = importlib.import_module(f"fastmodes.{folder}.{name}")
    digest = getattr(module, function)
    digest = getattr(digest, "__wrapped__", digest)
    monkeypatch.setattr(module, "__file__", str(tmp_path / Path(module.__file__).relative_to(ROOT)))
    for package in ("fastmodes", "fastmodes.kernels", "fastmodes.analysis"):
        whole = importlib.import_module(package)
        monkeypatch.setattr(whole, "__file__", str(tmp_path / Path(whole.__file__).relative_to(ROOT)))
    seen = {digest()}
    # The results of experiments do not depend on the command line, nor on what draws and reports them.
    watched = ("kernels",) if folder == "kernels" else ("kernels", "fastmodes")
    folders = {path.parent for each in watched for path in (tmp_path / each).rglob("*.py")}
    files = [sorted(place.glob("*.py"))[-1] for place in sorted(folders) if place.name != "commands"]
    files += [tmp_path / "analysis" / name for name in getattr(module, "_COMPUTING", ())]
    assert len(files) > 5
    for count, path in enumerate(files, start=2):
        path.write_bytes(path.read_bytes() + b"#\n")
        seen.add(digest())
        assert len(seen) == count, path
