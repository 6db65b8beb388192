"""What the README shows works as shown, and the docstrings' examples run."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python_examples():
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(python_examples())))
def test_readme_examples_run(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(python_examples()[number], f"README example {number + 1}", "exec"), {})


def test_readme_links_exist():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if "://" not in target:
            assert (ROOT / target.split("#")[0]).exists(), target


def test_readme_names_what_exists():
    fm = importlib.import_module("fastmodes")
    names = set(re.findall(r"`?fm\.([A-Za-z_]\w*)", (ROOT / "README.md").read_text()))
    assert {name for name in names if not hasattr(fm, name)} == set()


def test_the_files_that_contributing_names_exist():
    named = re.findall(
        r"`((?:kernels|fastmodes|analysis|tests)/[\w./]*|README\.md)`", (ROOT / "CONTRIBUTING.md").read_text()
    )
    assert len(set(named)) > 12
    assert [name for name in named if not (ROOT / name).exists()] == []
