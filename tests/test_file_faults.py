"""Full disks, planted links, odd names and odd blocks: said with a path and a number, and the process goes on."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sweep_toy import document

import fastmodes as fm
from fastmodes.cli import run as command_line
from fastmodes.files import disk
from fastmodes.files.large_grids import write_slabs
from fastmodes.sweeps import Plan, merge, open_sweep, status, sweep, verify
from fastmodes.sweeps.store import blocks
from fastmodes.sweeps.store.folder import Store

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}


def noise(x):
    """Numbers that cannot be compressed: half a megabyte for each point of x."""
    values = np.random.default_rng(int(x.values[0])).random((x.size, 60_000))
    return xr.Dataset({"loss": (("point", "time"), values), "stable": ("point", x.values > 2)})


def slabs(path):
    return write_slabs(path, noise, {"x": np.arange(4.0)}, slab_points=1)


def python(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=120, **options,
    )  # fmt: skip


# A full disk


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB, where this may be mounted."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mounted)], capture_output=True, check=False
    ).returncode:
        pytest.skip("no permission to mount a small disk")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=True)


def large(path):
    return fm.write_netcdf(noise(xr.DataArray(np.arange(4.0))), path)


def merged(path):
    return merge(path.parent.parent / "sweep", path, progress=False)


WRITERS = {"whole": large, "slabs": slabs, "merged": merged, "plain": lambda path: disk.write_bytes(path, bytes(2**21))}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_explained_and_writing_goes_on(writer, small_disk, tmp_path):
    if writer == "merged":
        times = np.random.default_rng(0).random(20_000).tolist()
        sweep(document(fixed={"times": times}), tmp_path / "sweep", progress=False)
    write = WRITERS[writer]
    with pytest.raises(OSError, match=r"No space left on device; \d{6,} bytes needed, \d+ bytes free") as full:
        write(small_disk / "a.nc")
    assert full.value.errno == errno.ENOSPC
    assert full.value.filename == str(small_disk / "a.nc")
    assert os.listdir(small_disk) == []
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    write(small_disk / "a.nc")
    if writer != "plain":
        assert fm.read_netcdf(small_disk / "a.nc").loss.size > 0
    assert os.listdir(small_disk) == ["a.nc"]


def test_commands_end_with_code_3_on_a_full_disk(small_disk, tmp_path, capsys):
    (small_disk / "ballast").write_bytes(bytes(2**20 - 4096))
    orders = (
        ["figures", "4", "-o", str(small_disk)],
        ["flow", "--start-a=-1:1:40", "--times", "0:9:10", "-o", str(small_disk / "flow.nc")],
    )
    for order in orders:
        assert command_line(order) == 3
        message = capsys.readouterr().err
        assert "None" not in message
        assert "bytes needed" in message
        assert "bytes free" in message
    assert os.listdir(small_disk) == ["ballast"]


def test_a_limit_on_the_size_of_files_is_a_full_disk_too(tmp_path):
    done = python(
        """
        import pathlib, resource, sys, test_file_faults as faults
        path = pathlib.Path(sys.argv[1]) / "a.nc"
        for write in (faults.large, faults.slabs):
            for limit in (5_000, 1_000_000):
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))
                try:
                    write(path)
                except OSError as error:
                    print(error)
            resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
            write(path)
            assert faults.fm.read_netcdf(path).loss.shape == (4, 60_000)
            path.unlink()
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    messages = done.stdout.splitlines()
    assert len(messages) == 4
    for text in (f"Errno {errno.EFBIG}", str(tmp_path / "a.nc"), "19200", "bytes needed", "bytes free"):
        assert all(text in message for message in messages)
    assert done.stderr == ""
    assert os.listdir(tmp_path) == []


def test_an_error_while_computing_slabs_passes_as_it_is(tmp_path):
    def failing(x):
        if x.values[0] > 2:
            raise OSError(errno.ENOENT, "asked for")
        return noise(x)

    with pytest.raises(OSError, match="asked for"):
        write_slabs(tmp_path / "a.nc", failing, {"x": np.arange(4.0)}, slab_points=1)
    assert os.listdir(tmp_path) == []


# Seals, links, names


def test_files_written_in_slabs_are_sealed(tmp_path):
    path = slabs(tmp_path / "a.nc")
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for bit in rng.integers(8 * (len(content) - disk.SEAL_LENGTH), size=20):
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(OSError, match="differs from its own checksum"):
            fm.read_netcdf(path)
        content[bit // 8] ^= 1 << bit % 8


def test_links_planted_for_temporary_files_are_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    names = iter(["first", "second"])
    monkeypatch.setattr(disk.secrets, "token_hex", lambda count: next(names))
    planted = tmp_path / f".{os.getpid()}.first{disk._ending(tmp_path / 'a.nc')}"
    planted.symlink_to(victim)
    with pytest.raises(OSError, match="exists"):
        disk.write_bytes(tmp_path / "a.nc", b"new")
    assert planted.is_symlink()
    disk.write_bytes(tmp_path / "a.nc", b"new")
    assert victim.read_text() == "mine"
    assert (tmp_path / "a.nc").read_bytes() == b"new"


def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path):
    python(
        """
        import os, signal, sys
        from fastmodes.files import disk
        with disk.replacing(sys.argv[1], 3) as (descriptor, temporary):
            os.write(descriptor, b"new")
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path / "a.nc",
    )
    assert len(os.listdir(tmp_path)) == 1
    fm.write_netcdf(xr.Dataset(), tmp_path / "a.nc")
    assert os.listdir(tmp_path) == ["a.nc"]


def test_a_writer_whose_parent_is_killed_ends_and_leaves_nothing(tmp_path):
    python(
        """
        import os, signal, sys, numpy as np, test_file_faults as faults
        def compute(x):
            if x.values[0] > 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return faults.noise(x)
        faults.write_slabs(sys.argv[1], compute, {"x": np.arange(4.0)}, slab_points=1)
        """,
        tmp_path / "a.nc",
    )
    waited = threading.Event()
    for _ in range(100):
        if not os.listdir(tmp_path):
            break
        waited.wait(0.1)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["_send", "_check_answer", "seal_file", "_tell"])
def test_whoever_dies_before_a_file_in_pieces_is_complete_leaves_nothing(moment, number, tmp_path):
    """Plain Python ends at once on SIGTERM, whatever it was doing."""
    python(
        f"""
        import os, sys, numpy as np, test_file_faults as faults
        from fastmodes.files import pieces
        pieces.{moment} = lambda *_: os.kill(os.getpid(), {int(number)})
        faults.write_slabs(sys.argv[1], faults.noise, {{"x": np.arange(4.0)}}, slab_points=1)
        """,
        tmp_path / "a.nc",
    )
    deadline = time.monotonic() + 10
    while os.listdir(tmp_path):
        assert time.monotonic() < deadline, os.listdir(tmp_path)
        time.sleep(0.02)


def test_any_name_is_written_in_a_posix_locale(tmp_path):
    environment = ENVIRONMENT | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code = """
        import sys, test_file_faults as faults
        dataset = faults.noise(faults.xr.DataArray([1.0]))
        faults.fm.write_netcdf(dataset, sys.argv[1])
        assert faults.fm.read_netcdf(sys.argv[1]).identical(dataset)
        faults.slabs(sys.argv[2])
        try:
            faults.fm.write_netcdf(dataset, chr(252))
        except ValueError as error:
            print(ascii(str(error)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path / "größe.nc", tmp_path / "flüsse.nc"],
        env=environment, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path)) == ["flüsse.nc", "größe.nc"]
    assert b"PYTHONUTF8=1" in done.stdout


def test_a_dask_client_that_is_gone_does_not_matter(tmp_path):
    distributed = pytest.importorskip("dask.distributed", reason="needs the extra 'dask'")
    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster, set_as_default=True) as client,
    ):
        cluster.close()
        dataset = xr.Dataset({"v": ("x", [1.0])})
        assert fm.read_netcdf(fm.write_netcdf(dataset, tmp_path / "a.nc")).identical(dataset)
        assert client is not None


# Blocks that are none


def run(out, **options):
    return sweep(document(), out, progress=False, threads=1, **options)


def plant(out, kind):
    """Put something in the place of block 1."""
    store, plan = Store(out), Plan(document())
    path = store.files_of(1)[0]
    content = path.read_bytes()
    path.unlink()
    if kind == "symlink":
        path.symlink_to(out / "plan.json")
    elif kind == "folder":
        path.mkdir()
        (path / "inside").write_text("something")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "unreadable version":
        store.commit(1, content.replace(b'{"fastmodes"', b'["fastmodes"'))
    else:
        other = Plan(document(seeds=3))
        content = {
            "block 2": lambda: store.files_of(2)[0].read_bytes(),
            "block of another sweep": lambda: blocks.encode(
                blocks.compute(other, 1), blocks.block_attributes(other, 1, {"fastmodes": "1"})
            ),
            "junk": lambda: b"junk",
            "empty": lambda: b"",
            "cut": lambda: content[:-1],
            "beginning": lambda: content[:100],
        }[kind]()
        store.commit(1, content)
    assert plan.blocks == 5


ODD = (
    "symlink", "folder", "pipe", "block 2", "block of another sweep", "junk", "empty", "cut", "beginning",
    "unreadable version",
)  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_block_is_judged_alike_set_aside_and_computed_anew(kind, tmp_path, caplog):
    out = tmp_path / "out"
    run(out)
    before = {path: path.read_bytes() for path in sorted(out.rglob("*.nc"))}
    plant(out, kind)
    assert status(out).missing == (1,)
    assert list(verify(out, progress=False).damaged) == [1]
    with pytest.raises(OSError, match="block 1 is damaged"):
        merge(out, tmp_path / "all.nc", progress=False)
    with pytest.raises(OSError, match="block 1 is damaged"):
        open_sweep(out).load()
    done = run(out)
    assert (done.found, done.damaged, done.computed) == (5, 1, 1)
    assert "set aside" in caplog.text
    assert len(os.listdir(out / "blocks" / "set-aside")) == 1
    assert verify(out, progress=False).complete
    assert status(out).complete
    assert {path: path.read_bytes() for path in sorted(out.rglob("*.nc"))} == before
    merge(out, tmp_path / "all.nc", progress=False)


def test_of_two_files_of_a_block_the_wrong_one_goes(tmp_path):
    out = tmp_path / "out"
    run(out)
    store = Store(out)
    right = store.files_of(1)[0]
    (right.parent / f"000001.{'0' * 64}.nc").write_bytes(b"damaged")
    store.commit(1, b"foreign")
    assert len(store.files_of(1)) == 2
    assert run(out).computed == 0
    assert store.files_of(1) == [right]
    assert verify(out, progress=False).complete


@pytest.mark.parametrize("name", ["plan.json", "blocks/0000"])
def test_pipes_and_files_in_the_place_of_plan_and_folder_are_refused_alike(name, tmp_path):
    out = tmp_path / "out"
    run(out)
    os.rename(out / name, tmp_path / "kept")
    os.mkfifo(out / name)
    calls = (run, status, open_sweep, lambda out: verify(out, progress=False),
             lambda out: merge(out, tmp_path / "all.nc", progress=False))  # fmt: skip
    for call in calls:
        with pytest.raises(OSError, match=r"not a regular file|own folders"):
            call(out)


def test_a_complete_sweep_on_a_read_only_disk_is_complete(tmp_path, capsys):
    out = tmp_path / "out"
    plan = tmp_path / "plan.toml"
    plan.write_text('job = "toy"\n[fixed]\nrule = "bptt"\nx = 1.0\n')
    assert command_line(["run", str(plan), "--out", str(out), "-q"]) == 0
    (out / "manifest.json").unlink()
    bind = ["mount", "--bind", str(out), str(out)]
    if subprocess.run(bind, capture_output=True, check=False).returncode:
        pytest.skip("no permission to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(out)], check=True, capture_output=True)
        assert command_line(["run", str(plan), "--out", str(out), "-q"]) == 0
        assert "0 computed, 1 found" in capsys.readouterr().out
    finally:
        subprocess.run(["umount", str(out)], check=True)


# Two runs in one folder


RUN = """
    import sys, sweep_toy
    from fastmodes.sweeps import sweep
    plan = sweep_toy.document(points_per_block=2, fixed={"delay": 0.1})
    print(sweep(plan, sys.argv[1], progress=False, threads=1).computed)
"""


def start(out):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUN), str(out)], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )


def test_two_runs_share_the_blocks(tmp_path):
    out = tmp_path / "out"
    pair = [start(out), start(out)]
    computed = [int(process.communicate(timeout=60)[0]) for process in pair]
    assert sum(computed) == 12
    assert verify(out, progress=False).complete
    assert not list(out.rglob("*.part"))


def test_a_run_that_is_killed_leaves_its_block_to_the_other(tmp_path):
    out = tmp_path / "out"
    victim, other = start(out), start(out)
    while len(list(out.rglob("*.nc"))) < 3:
        assert other.poll() is None
    victim.kill()
    victim.communicate()
    other.communicate(timeout=60)
    assert other.returncode == 0
    assert verify(out, progress=False).complete
    assert not [path for path in out.rglob("*.part") if "claim" in path.name]


def test_without_locks_blocks_are_computed_twice_at_worst(tmp_path, monkeypatch):
    import fcntl

    def no_locks(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert run(tmp_path / "out").computed == 5
    assert verify(tmp_path / "out", progress=False).complete
    assert not list((tmp_path / "out").rglob("*.part"))
