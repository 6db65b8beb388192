"""Compiled code on disk: never trusted where others could have written it, never in the way when it is broken."""

import errno
import os
import pickle
import shutil
import stat
import subprocess
import sys

import pytest
from fastmodes.kernels import code_cache
from fastmodes.kernels.compile import cache_folder, config, kernel

from fastmodes.commands import diagnosis

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")

as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files to other users"
)


def fresh():
    """A small kernel, as the next process would have it."""

    @kernel
    def tiny(x):
        return x + 1.0

    return tiny


def run():
    """(kernels found on disk, kernels compiled) by the next process."""
    tiny = fresh()
    assert tiny(1.0) == 2.0
    return sum(tiny.stats.cache_hits.values()), sum(tiny.stats.cache_misses.values())


def next_process():
    code_cache._place.cache_clear()
    code_cache._failures.clear()


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTMODES_CACHE_DIR", str(tmp_path / "cache"))
    next_process()
    yield tmp_path / "cache"
    next_process()


@pytest.fixture
def filled(base):
    assert run() == (0, 1)
    assert run() == (1, 0)
    return cache_folder()


@pytest.fixture
def said(monkeypatch):
    messages = []
    monkeypatch.setattr(code_cache, "listeners", [messages.append])
    return messages


def doctors_word():
    next_process()
    return diagnosis._checked("compiled code", diagnosis._compiled_code)


class Trap:
    """Unpickling it leaves a mark."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_the_folder_and_its_files_are_private(filled):
    assert stat.S_IMODE(filled.stat().st_mode) == stat.S_IMODE(filled.parent.stat().st_mode) == 0o700
    assert {path.suffix for path in filled.iterdir()} == {".nbi", ".nbc"}
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o077 for path in filled.iterdir())
    assert doctors_word()[1:] == (str(filled), True)


DAMAGE = {
    "cut by a byte": lambda content: content[:-1],
    "cut in half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "one byte": lambda content: b"\x80",
    "a flipped bit": lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
    "a flipped bit of the seal": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "grown": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_damaged_file_is_compiled_anew(filled, said, suffix, kind):
    for path in filled.glob("*" + suffix):
        path.write_bytes(DAMAGE[kind](path.read_bytes()))
    assert "1 of 2 files damaged" in doctors_word()[1]
    assert run() == (0, 1)
    assert run() == (1, 0)
    assert not said


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_poisoned_file_without_a_seal_runs_nothing(filled, tmp_path, suffix):
    for path in filled.glob("*" + suffix):
        path.write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
    assert run() == (0, 1)
    assert not (tmp_path / "mark").exists()


def poison(folder, mark):
    """Files as an attacker would seal them, who knows how."""
    content = pickle.dumps(Trap(mark))
    for path in folder.iterdir():
        path.write_bytes(content + code_cache.hashlib.sha256(content).digest())


def refused(said, word):
    """Nothing is read, the kernel runs nevertheless, and both doctor and a message say why."""
    next_process()
    assert run() == (0, 1)
    assert word in "".join(said) + code_cache.cache_problem()
    _, finding, good = doctors_word()
    assert not good
    assert word in finding


@as_root
@pytest.mark.parametrize("whose", ["base", "folder"])
def test_a_folder_of_another_user_is_not_trusted(filled, tmp_path, said, whose):
    poison(filled, tmp_path / "mark")
    os.chown(filled if whose == "folder" else filled.parent, 65534, -1)
    refused(said, "belongs to user 65534")
    assert not (tmp_path / "mark").exists()


@as_root
def test_a_file_of_another_user_is_not_trusted(filled, tmp_path, said):
    poison(filled, tmp_path / "mark")
    for path in filled.iterdir():
        os.chown(path, 65534, -1)
    refused(said, "belongs to user 65534")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
@pytest.mark.parametrize("whose", ["base", "folder", "files"])
def test_what_others_can_write_to_is_not_trusted(filled, tmp_path, said, whose, mode):
    poison(filled, tmp_path / "mark")
    for path in {"base": [filled.parent], "folder": [filled], "files": filled.iterdir()}[whose]:
        path.chmod(mode)
    refused(said, "others can write")
    assert not (tmp_path / "mark").exists()


def test_links_below_the_base_are_not_followed(filled, tmp_path, said):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(filled, elsewhere)
    poison(elsewhere, tmp_path / "mark")
    filled.symlink_to(elsewhere)
    refused(said, "not a plain folder")
    filled.unlink()
    filled.mkdir(mode=0o700)
    for path in elsewhere.iterdir():
        (filled / path.name).symlink_to(path)
    refused(said, "cannot be opened as a plain file")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_odd_things_in_place_of_a_file_hold_nothing_up(filled, said, suffix, make):
    for path in filled.glob("*" + suffix):
        path.unlink()
        make(path)
    assert run() == (0, 1)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_where_nothing_can_be_written_kernels_run_uncached_and_it_is_said_once(base, said, monkeypatch, number):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(code_cache.os, "replace", fail)
        assert run() == run() == (0, 1)
    assert len(said) == 1
    assert os.strerror(number) in said[0]
    assert not list(cache_folder().iterdir()), "no half written file is left"
    next_process()
    assert run() == (0, 1)
    assert run() == (1, 0)


def test_two_processes_that_save_different_code_never_share_a_file(base):
    one, other = fresh(), fresh()
    files = one._cache._cache_file, other._cache._cache_file
    # Both have read an empty index before either writes.
    index = files[0]._load_index()
    for file in files:
        file._load_index = lambda: dict(index)
    one(1.0)
    other(1)
    third = fresh()
    assert third(1.5) == 2.5
    assert third(2) == 3.0


def test_a_tight_umask_or_readable_folder_of_ones_own_is_made_private(filled):
    filled.chmod(0o755)
    next_process()
    assert run() == (1, 0)
    assert stat.S_IMODE(filled.stat().st_mode) == 0o700


# As another user, who may read everything (the interpreter may lie in root's home) but write nothing of others.

CHILD = """
import sys
from fastmodes.kernels import code_cache
from fastmodes.kernels.compile import kernel
@kernel
def tiny(x):
    return x + 1.0
assert tiny(1.0) == 2.0
print(code_cache.cache_folder(), sum(tiny.stats.cache_hits.values()), code_cache.cache_problem(), sep="|")
"""
NOBODY = 64321


def as_nobody(script, **environment):
    """Run a script as a user without home and without an entry in the password file."""
    capability = "-all,+dac_read_search"
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    command += [f"--inh-caps={capability}", f"--ambient-caps={capability}", sys.executable, str(script)]
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"} | environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder, hits, problem = done.stdout.strip().split("|")
    return folder, int(hits), problem, done.stderr


needs_setpriv = pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")


@as_root
@needs_setpriv
def test_without_home_and_password_entry_there_is_a_private_folder_among_the_temporary_ones(tmp_path):
    script, temporary = tmp_path / "child.py", tmp_path / "temporary"
    script.write_text(CHILD)
    temporary.mkdir()
    temporary.chmod(0o1777)
    environment = {"TMPDIR": str(temporary)}
    folder, hits, problem, _ = as_nobody(script, **environment)
    assert (hits, problem) == (0, "")
    assert folder.startswith(f"{temporary}/fastmodes-{NOBODY}/")
    assert as_nobody(script, **environment)[1] == 1
    # Somebody else was there first.
    shutil.rmtree(temporary / f"fastmodes-{NOBODY}")
    (temporary / f"fastmodes-{NOBODY}").mkdir()
    os.chown(temporary / f"fastmodes-{NOBODY}", 65534, -1)
    folder, hits, problem, _ = as_nobody(script, **environment)
    assert (folder, hits) == ("None", 0)
    assert "belongs to user 65534" in problem


@as_root
@needs_setpriv
@pytest.mark.parametrize("owner", [0, NOBODY])
def test_a_filled_folder_that_is_read_only_is_read(tmp_path, owner):
    script, cache = tmp_path / "child.py", tmp_path / "cache"
    script.write_text(CHILD)
    cache.mkdir()
    os.chown(cache, NOBODY, -1)
    assert as_nobody(script, FASTMODES_CACHE_DIR=str(cache))[1] == 0
    for path in [cache, *cache.rglob("*")]:
        os.chown(path, owner, -1)
        path.chmod(0o555 if path.is_dir() else 0o444)
    _, hits, problem, said = as_nobody(script, FASTMODES_CACHE_DIR=str(cache))
    assert (hits, said) == (1, "")
    # What is not there is compiled, and not kept.
    script.write_text(CHILD.replace("x + 1.0", "1.0 + x"))
    _, hits, problem, said = as_nobody(script, FASTMODES_CACHE_DIR=str(cache))
    assert hits == 0
    assert "not kept" in said
    assert problem
