"""Faults of the disk: every block is in its old state or in its new one, and damage is always found."""

import builtins
import contextlib
import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sweep_toy import document

from fastmodes.sweeps import merge, open_sweep, sweep, verify
from fastmodes.sweeps.store.folder import Store

CALLS = [
    (os, "open"), (os, "write"), (os, "fsync"), (os, "replace"), (os, "close"), (os, "listdir"), (os, "unlink"),
    (builtins, "open"), (fcntl, "flock"),
]  # fmt: skip
PLAN = document(points_per_block=24)


def run(out, plan=PLAN):
    return sweep(plan, out, threads=1, progress=False)


def content(out):
    return {path.name: path.read_bytes() for path in sorted((out / "blocks").rglob("*.nc"))}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("faults") / "undisturbed"
    run(out)
    return content(out)


class Faults:
    """Counts the calls that reach the disk while a block is committed, and makes the N-th one fail."""

    def __init__(self, monkeypatch, failing, number, persistent=False):
        self.count, self.failing, self.number, self.persistent = 0, failing, number, persistent
        self.armed = False
        for module, name in CALLS:
            monkeypatch.setattr(module, name, self.wrapped(getattr(module, name), name))
        original = Store.commit

        def commit(store, index, block):
            self.armed = True
            try:
                return original(store, index, block)
            finally:
                self.armed = False

        monkeypatch.setattr(Store, "commit", commit)

    def wrapped(self, function, name):
        def call(*args, **kwargs):
            fails = False
            if self.armed:
                self.count += 1
                fails = self.count == self.failing or (self.persistent and self.count > self.failing)
            if not fails:
                return function(*args, **kwargs)
            if name == "write":  # what was written before the fault stays
                function(args[0], bytes(args[1])[: len(args[1]) // 2])
            if name == "close":
                function(*args)
            raise OSError(self.number, os.strerror(self.number))

        return call


def number_of_calls(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        faults = Faults(patch, failing=0, number=0)
        run(tmp_path_factory.mktemp("count") / "out")
    return faults.count


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EACCES])
def test_a_fault_at_any_call_leaves_the_old_state_or_the_new_one(
    tmp_path, tmp_path_factory, undisturbed, number, persistent
):
    calls = number_of_calls(tmp_path_factory)
    assert calls >= 9
    failed = 0
    for failing in range(1, calls + 1):
        out = tmp_path / str(failing)
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, failing, number, persistent)
            try:
                run(out)
                seen = number
            except OSError as error:
                failed += 1
                seen = error.errno
            assert seen == number
        assert faults.count >= failing
        assert content(out) in ({}, undisturbed)
        run(out)
        assert content(out) == undisturbed
        assert not list(out.rglob("*.part"))
    # Of the calls in a commit only the lock and the tidying up may fail without the user hearing of it.
    assert failed >= calls - 3


def damaged_copies(block, flips, cuts):
    rng = np.random.default_rng(0)
    for _ in range(flips):
        copy = bytearray(block)
        copy[rng.integers(len(copy))] ^= 1 << rng.integers(8)
        yield bytes(copy)
    for length in rng.integers(0, len(block), cuts):
        yield block[:length]


@pytest.mark.parametrize(("flips", "cuts"), [(200, 40), pytest.param(1000, 200, marks=pytest.mark.slow)])
def test_every_flipped_bit_and_every_truncation_is_found_and_mended(tmp_path, flips, cuts):
    out, plan = tmp_path / "out", document()
    run(out, plan)
    whole = content(out)
    paths = sorted((out / "blocks").rglob("*.nc"))
    rng = np.random.default_rng(1)
    found = 0
    for wrong in damaged_copies(max(whole.values(), key=len), flips, cuts):
        index = int(rng.integers(len(paths) - 1))
        block = whole[paths[index].name]
        # The damage of the longest block, carried over to another one of the same size.
        spoiled = wrong if len(wrong) < len(block) else bytes(
            a ^ b ^ c for a, b, c in zip(wrong, max(whole.values(), key=len), block, strict=True)
        )  # fmt: skip
        paths[index].write_bytes(spoiled)
        assert list(verify(out, progress=False).damaged) == [index]
        found += 1
        if found % 240 == 0:
            with pytest.raises(OSError, match=f"block {index} is damaged"):
                merge(out, tmp_path / "all.nc", progress=False)
            assert os.listdir(tmp_path) == ["out"]
        if found % 40 == 0:
            with pytest.raises(OSError, match=f"block {index} is damaged"):
                open_sweep(out).load()
            done = run(out, plan)
            assert (done.damaged, done.computed) == (1, 1)
        else:
            paths[index].write_bytes(block)
    assert found == flips + cuts
    assert content(out) == whole


def test_a_damaged_plan_is_found(tmp_path):
    run(tmp_path / "out")
    path = tmp_path / "out" / "plan.json"
    kept = path.read_bytes()
    for wrong in damaged_copies(kept, 200, 50):
        path.write_bytes(wrong)
        with pytest.raises(OSError, match="damaged plan"):
            verify(tmp_path / "out", progress=False)
        with pytest.raises(OSError, match="damaged plan"):
            run(tmp_path / "out")
    path.write_bytes(kept)
    assert verify(tmp_path / "out", progress=False).complete


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB, where this may be mounted."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mounted)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no permission to mount a small disk")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


#: 24 blocks of some 160 kB: more than the small disk holds.
LARGE = document(points_per_block=1) | {"fixed": {"times": np.linspace(0.0, 1.0, 20_000).tolist()}}


def test_a_full_disk_is_explained_and_the_sweep_goes_on_when_there_is_room(small_disk, tmp_path):
    run(tmp_path / "elsewhere", LARGE)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    with pytest.raises(OSError, match=r"No space left on device; \d+ bytes needed, \d+ bytes free") as full:
        run(small_disk / "out", LARGE)
    assert full.value.errno == errno.ENOSPC
    assert str(small_disk / "out" / "blocks") in full.value.filename
    before = content(small_disk / "out")
    assert verify(small_disk / "out", progress=False).sound
    assert not list(small_disk.rglob("*.part"))
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    done = run(small_disk / "out", LARGE)
    assert done.found == len(before) < done.blocks
    assert content(small_disk / "out") == content(tmp_path / "elsewhere")


def test_a_plan_onto_a_full_disk_leaves_nothing_and_says_why(small_disk):
    out = small_disk / "out"
    out.mkdir()
    with contextlib.suppress(OSError), open(small_disk / "ballast", "wb") as ballast:
        while True:
            ballast.write(bytes(4096))
            ballast.flush()
    with pytest.raises(OSError, match=r"No space left on device; \d+ bytes needed, 0 bytes free") as full:
        run(out, LARGE)
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, str(out / "plan.json"))
    assert os.listdir(out) == []
    (small_disk / "ballast").unlink()
    run(out)


@pytest.mark.slow
def test_a_merge_onto_a_full_disk_leaves_nothing_and_says_why(small_disk, tmp_path):
    plan = document(points=2400, points_per_block=600) | {"fixed": {"times": np.linspace(0.0, 1.0, 200).tolist()}}
    run(tmp_path / "out", plan)
    (small_disk / "ballast").write_bytes(bytes(1_900_000))
    with pytest.raises(OSError, match=r"No space left on device; \d+ bytes needed, \d+ bytes free") as full:
        merge(tmp_path / "out", small_disk / "all.nc", progress=False)
    assert full.value.filename == str(small_disk / "all.nc")
    assert os.listdir(small_disk) == ["ballast"]
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    merge(tmp_path / "out", small_disk / "all.nc", progress=False)
    with xr.open_dataset(small_disk / "all.nc") as merged:
        xr.testing.assert_identical(merged.load(), open_sweep(tmp_path / "out").load())


def test_a_file_size_limit_is_a_disk_full_too(tmp_path):
    code = """
import resource, sys, sweep_toy, test_sweep_faults as faults
from fastmodes.sweeps import sweep
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1))
try:
    faults.run(sys.argv[1], faults.LARGE)
except OSError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
print(faults.run(sys.argv[1], faults.LARGE).computed)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    # The plan's own file is larger than the limit: nothing is left at all.
    first, second = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )[:2]
    assert "File too large" in first
    assert "bytes free" in first
    assert str(tmp_path / "out") in first
    assert second == "24"
