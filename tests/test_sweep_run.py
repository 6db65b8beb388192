"""Running a sweep: the numbers never depend on who computes them, when, or in which pieces."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg.cython_blas  # noqa: F401
import threadpoolctl
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_toy import document

from fastmodes.sweeps import Plan, PlanError, merge, open_sweep, status, sweep, verify
from fastmodes.sweeps.run.worker import carry_out, orders
from fastmodes.sweeps.store import blocks as blocks_module
from fastmodes.sweeps.store.folder import Store
from fastmodes.sweeps.store.merging import chunks, rectangles

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}


def run(plan, out, **options):
    return sweep(plan, out, progress=False, **options)


def files(out):
    """Name and content of every block: names hold the checksums."""
    return {path.name: path.read_bytes() for path in sorted((out / "blocks").rglob("*.nc"))}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("sweeps") / "undisturbed"
    run(document(), out, threads=1)
    return out


def test_the_dataset_holds_the_closed_form_at_its_labels(undisturbed):
    dataset = open_sweep(undisturbed).load()
    shift = xr.DataArray([0.5, 0.0], dims="rule", coords={"rule": ["RFLO", "BPTT"]})
    expected = np.sqrt(dataset.x) * np.sin(1.0 + dataset.seed) + shift + dataset.time
    xr.testing.assert_allclose(
        dataset.loss.drop_attrs(), expected.transpose(*dataset.loss.dims).drop_attrs(), rtol=1e-15
    )
    assert dataset.loss.dims == ("rule", "x", "seed", "time")
    assert (dataset.status == (dataset.x > 1.0)).all()
    assert dataset.status.attrs["flag_meanings"] == "below above"
    assert all("long_name" in variable.attrs for variable in dataset.variables.values())


@pytest.mark.parametrize(
    "options",
    [{"threads": 2}, {"threads": 3}, {"processes": 2}, pytest.param({"processes": 4}, marks=pytest.mark.slow)],
)
def test_blocks_are_bit_identical_whoever_computes_them(undisturbed, tmp_path, options):
    run(document(), tmp_path / "out", **options)
    assert files(tmp_path / "out") == files(undisturbed)


def test_blocks_are_bit_identical_whatever_the_threads_of_linear_algebra(tmp_path):
    # Large enough for the products inside kernels to be a library's, which shares them out among its threads.
    fixed = {"hidden": 600, "rule": "bptt", "teacher_recurrent": [0.7]}
    plan = Plan({"job": "expected", "fixed": fixed, "seeds": 4, "points_per_block": 4})
    for threads in (1, 2):
        store = Store(tmp_path / str(threads))
        store.prepare(plan)
        with threadpoolctl.threadpool_limits(threads, "blas"):
            carry_out(*orders(plan, store, [0], set(), 1))
    assert list(files(tmp_path / "1")) == list(files(tmp_path / "2")) != []


@pytest.mark.parametrize("size", [1, 3, 24, None])
def test_arrays_are_bit_identical_for_every_block_size(undisturbed, tmp_path, size):
    run(document(points_per_block=size), tmp_path / "out")
    one, other = open_sweep(undisturbed), open_sweep(tmp_path / "out")
    for name in one.data_vars:
        assert one[name].values.tobytes() == other[name].values.tobytes()


def test_shards_make_up_the_whole(undisturbed, tmp_path):
    done = [run(document(), tmp_path / "out", shard=f"{i}/3") for i in (3, 1, 2)]
    assert [part.computed for part in done] == [1, 2, 2]
    assert files(tmp_path / "out") == files(undisturbed)


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "1/0", "a/b", "1/3/5", "-1/3"])
def test_a_shard_that_does_not_exist_is_refused(tmp_path, shard):
    with pytest.raises(ValueError, match="shard"):
        run(document(), tmp_path / "out", shard=shard)


def test_only_what_is_missing_is_computed(undisturbed, tmp_path):
    run(document(), tmp_path / "out", shard="2/3")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.nc")}
    assert status(tmp_path / "out").missing == (0, 2, 3)
    with pytest.raises(FileNotFoundError, match="3 of 5 blocks are missing"):
        open_sweep(tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="3 of 5 blocks are missing"):
        merge(tmp_path / "out", tmp_path / "out.nc", progress=False)
    partial, whole = open_sweep(tmp_path / "out", allow_missing=True).load(), open_sweep(undisturbed).load()
    there = partial.loss.notnull()
    assert int(there.any("time").sum()) == 9  # blocks 1 and 4, of 5 and 4 points
    assert ((partial.loss == whole.loss) | ~there).all()
    assert ((partial.status == -1) == ~there.any("time")).all()
    done = run(document(), tmp_path / "out")
    assert (done.found, done.computed) == (2, 3)
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    assert run(document(), tmp_path / "out").computed == 0
    assert files(tmp_path / "out") == files(undisturbed)


def test_another_plan_is_refused_with_both_hashes(undisturbed):
    before = files(undisturbed)
    with pytest.raises(PlanError) as refused:
        run(document(seeds=3), undisturbed)
    assert Plan(document()).sha256 in str(refused.value)
    assert Plan(document(seeds=3)).sha256 in str(refused.value)
    assert files(undisturbed) == before


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(PlanError, match=r"thesis\.tex"):
        run(document(), tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_block_of_another_place_is_not_taken_for_its_own(undisturbed, tmp_path):
    run(document(), tmp_path / "out")
    folder = tmp_path / "out" / "blocks" / "0000"
    names = sorted(os.listdir(folder))
    os.rename(folder / names[1], folder / names[1].replace("000001", "000000"))
    os.remove(folder / names[0])
    report = verify(tmp_path / "out", progress=False)
    assert "block is 1, not 0" in report.damaged[0]
    assert report.missing == (1,)
    with pytest.raises(OSError, match="block is 1, not 0"):
        open_sweep(tmp_path / "out", allow_missing=True).load()


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_start_overtaken_by_another_one_goes_on_with_its_plan(undisturbed, tmp_path, monkeypatch, hard_links):
    # Between our draft and its place, another process puts its plan there and takes the draft for a stray one.
    link = os.link
    calls = []

    def overtaken(draft, path):
        if not calls:
            calls.append(draft)
            Store(path.parent).prepare(Plan(document()))
            assert not draft.exists()
        if not hard_links:
            raise OSError(errno.EPERM, "no hard links", str(path))
        link(draft, path)

    monkeypatch.setattr(os, "link", overtaken)
    run(document(), tmp_path / "out")
    assert calls
    assert files(tmp_path / "out") == files(undisturbed)


def test_two_processes_may_work_in_one_folder(undisturbed, tmp_path):
    # Both wait until the other is ready, then start at once, ten times over.
    code = """
import pathlib, sys, time, sweep_toy
from fastmodes.sweeps import sweep
folder, me, other = pathlib.Path(sys.argv[1]), *sys.argv[2:]
for attempt in range(10):
    (folder / f"{me}{attempt}").touch()
    while not (folder / f"{other}{attempt}").exists():
        time.sleep(0.001)
    sweep(sweep_toy.document(), folder / f"out{attempt}", progress=False)
"""
    pair = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(tmp_path), *names], env=ENVIRONMENT)
        for names in (("a", "b"), ("b", "a"))
    ]
    # One that fails leaves the other waiting for it.
    while None in (codes := [process.poll() for process in pair]) and not any(codes):
        time.sleep(0.01)
    for process in pair:
        process.kill()
        process.wait()
    assert codes == [0, 0]
    for attempt in range(10):
        out = tmp_path / f"out{attempt}"
        assert files(out) == files(undisturbed)
        assert verify(out, progress=False).complete
        assert not list(out.rglob("*.part"))


@pytest.mark.parametrize(
    ("number", "options"),
    [
        (signal.SIGINT, []),
        pytest.param(signal.SIGTERM, ["--processes", "2"], marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, [], marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, ["--processes", "2"], marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_run_within_two_seconds_and_it_can_go_on(tmp_path, number, options):
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'job = "toy"\npoints_per_block = 1\n[fixed]\nrule = "bptt"\ndelay = 0.5\n[axes]\nx = [1, 2, 3, 4, 5, 6, 7, 8]\n'
    )
    code = "import sweep_toy; from fastmodes.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(plan), "--out", str(tmp_path / "out"), *options]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE)
    while not list((tmp_path / "out").rglob("*.nc")):
        time.sleep(0.02)
        assert process.poll() is None
    started = time.monotonic()
    process.send_signal(number)
    message = process.communicate(timeout=10)[1].decode()
    assert time.monotonic() - started < 2.0
    assert process.returncode == 130
    assert "interrupted" in message
    assert "Traceback" not in message
    report = verify(tmp_path / "out", progress=False)
    assert report.sound
    assert 1 <= report.checked < 8
    assert not list((tmp_path / "out").rglob("*.part"))
    done = run(Plan.from_toml(plan), tmp_path / "out")
    assert done.found == report.checked
    assert status(tmp_path / "out").complete


def test_a_long_block_does_not_hold_up_an_interrupt(tmp_path):
    code = "import sweep_toy; from fastmodes.cli import main; main()"
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'job = "toy"\npoints_per_block = 2\n[fixed]\nrule = "bptt"\ndelay = 1000.0\n[axes]\nx = [1, 2, 3, 4]\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", str(plan), "--out", str(tmp_path / "out")], env=ENVIRONMENT
    )
    while not (tmp_path / "out" / "blocks").is_dir():
        time.sleep(0.02)
    time.sleep(0.3)
    started = time.monotonic()
    process.terminate()
    assert process.wait(timeout=10) == 130
    assert time.monotonic() - started < 2.0


def test_an_error_in_a_block_names_the_block_and_keeps_the_others(tmp_path, monkeypatch):
    plan = Plan(document())
    original = blocks_module.compute

    def failing(plan, index):
        if index == 3:
            raise FloatingPointError("no such number")
        return original(plan, index)

    monkeypatch.setattr(blocks_module, "compute", failing)
    with pytest.raises(RuntimeError, match="block 3: FloatingPointError: no such number"):
        run(plan, tmp_path / "out", threads=1)
    assert status(tmp_path / "out").blocks_done == 3


def test_merged_file_equals_the_lazy_dataset(tmp_path):
    plan = document(zipped={"start": {"y": [1.0, 2.0, 3.0], "n": [1, 2, 3]}})
    run(plan, tmp_path / "out")
    lazy = open_sweep(tmp_path / "out")
    merge(tmp_path / "out", tmp_path / "all.nc", progress=False)
    with xr.open_dataset(tmp_path / "all.nc") as merged:
        xr.testing.assert_identical(merged.load(), lazy.load())
    rng = np.random.default_rng(0)
    for _ in range(100):
        choices = {
            dim: [slice(None), int(rng.integers(size)), slice(None, None, -1), rng.integers(0, size, 3), slice(1, 2)]
            for dim, size in lazy.sizes.items()
        }
        key = {dim: options[rng.integers(len(options))] for dim, options in choices.items()}
        xr.testing.assert_identical(open_sweep(tmp_path / "out").isel(key).load(), lazy.isel(key))


def test_a_sweep_of_one_point_has_no_axes(tmp_path):
    run({"job": "toy", "fixed": {"rule": "bptt", "x": 4.0}}, tmp_path / "out")
    assert open_sweep(tmp_path / "out").status.shape == ()
    path = merge(tmp_path / "out", tmp_path / ("m" * 252 + ".nc"), progress=False)
    assert sorted(os.listdir(tmp_path)) == [path.name, "out"]
    with xr.open_dataset(path) as merged:
        xr.testing.assert_identical(merged.load(), open_sweep(tmp_path / "out").load())


@settings(max_examples=100, deadline=None)
@given(shape=st.lists(st.integers(1, 5), max_size=4), size=st.integers(1, 50))
def test_rectangles_tile_every_block_in_order(shape, size):
    shape, total = tuple(shape), int(np.prod(shape, dtype=int))
    grid = np.full(shape, -1)
    for start in range(0, total, size):
        pieces = list(rectangles(shape, start, min(start + size, total)))
        assert len(pieces) <= 2 * len(shape) + 1
        for place, (first, last) in pieces:
            assert (grid[place] == -1).all()
            grid[place] = np.arange(first, last).reshape(grid[place].shape)
    assert (grid.reshape(-1) == np.arange(total)).all()
    assert all(1 <= chunk <= extent for chunk, extent in zip(chunks(shape), shape, strict=True))


def test_nothing_is_written_outside_the_folder_and_nothing_is_fetched(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    for url in ("http://127.0.0.1:9/x", "https://example.org/x", "s3://bucket/x", "dap4://x/y", "", "a\0b"):
        with pytest.raises(ValueError, match="local file path"):
            run(document(), url)
    for kind in (3, None, b"bytes"):
        with pytest.raises(TypeError, match="local file path"):
            run(document(), kind)
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "blocks").symlink_to(outside)
    with pytest.raises(ValueError, match="symbolic link"):
        run(document(), linked)
    inner = tmp_path / "inner"
    (inner / "blocks").mkdir(parents=True)
    (inner / "blocks" / "0000").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic link"):
        run(document(), inner)
    planted = tmp_path / "planted"
    run(document(), planted, shard="1/5")
    victim = outside / "victim"
    victim.write_text("mine")
    for path in files(planted):
        target = planted / "blocks" / "0000" / path
        target.unlink()
        target.symlink_to(victim)
    run(document(), planted)
    assert victim.read_text() == "mine"
    assert os.listdir(outside) == ["victim"]
    assert verify(planted, progress=False).complete


def test_dots_and_long_names_stay_where_they_are_told(tmp_path):
    (tmp_path / "a").mkdir()
    run(document(), tmp_path / "a" / ".." / ("n" * 255))
    assert sorted(os.listdir(tmp_path)) == ["a", "n" * 255]
    assert verify(tmp_path / ("n" * 255), progress=False).complete
    with pytest.raises(OSError, match="long"):
        run(document(), tmp_path / ("n" * 256))


def test_verify_can_compute_again(undisturbed, tmp_path):
    assert verify(undisturbed, recompute=5, progress=False).complete
    out = tmp_path / "out"
    run(document(), out)
    # A wrong block that is consistent in itself: only computing again can tell.
    plan = Plan(document())
    wrong = blocks_module.compute(plan, 2)
    wrong.loss[0, 0] += 1e-15
    content = blocks_module.encode(wrong, blocks_module.block_attributes(plan, 2, {}))
    store = Store(out)
    store.files_of(2)[0].unlink()
    store.commit(2, content)
    assert verify(out, progress=False).complete
    assert "loss differs" in verify(out, recompute=5, progress=False).damaged[2]


def test_no_sweep_there(tmp_path):
    for call in (status, open_sweep, verify):
        with pytest.raises(FileNotFoundError, match="no sweep here"):
            call(tmp_path / "nowhere")
