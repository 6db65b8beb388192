"""Files are complete or absent, never silently wrong, and say how to compute their contents again."""

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap

import netCDF4
import numpy as np
import pytest
import xarray as xr

import fastmodes as fm
from fastmodes.files import disk, schema
from fastmodes.files.schema import VARIABLES

TEACHER = fm.aligned_teacher(fm.Modes([0.9, 0.4], 1.0, [1.0, 2.0]))
RULES = (
    fm.bptt(),
    fm.eprop(),
    fm.LearningRule("mine", feedback="random", propagator="diagonal", horizon=3, decay=(0.5, 0.25, 0.1)),
)


def trained(**changes):
    parameters = {
        "rules": RULES, "teacher": TEACHER, "hidden": 3, "seeds": (3, 2**40), "epochs": 7, "learning_rate": 0.01,
        "steps": 6, "batch_size": 5, "validation_size": 8, "progress": False,
    }  # fmt: skip
    return fm.train(**(parameters | changes))


@pytest.fixture(scope="module")
def dataset():
    return trained()


def temporaries(folder):
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


JOBS = {
    "sampled": {"rules": RULES},
    "expected": {"updates": "expected", "batch_size": None, "loss": "sequence"},
    "weights kept": {"keep_weights": True, "optimizer": "adam", "clip_norm": 0.5, "adam_betas": (0.8, 0.99)},
    "stopped": {"stop_loss": 1e3, "record_every": 2},
    "diverged": {"learning_rate": 1e6, "divergence_loss": 10.0},
    "students and feedbacks given": {
        "students": [fm.random_student(3, TEACHER, scale=0.7, seed=seed) for seed in (8, 9)],
        "feedbacks": np.arange(12.0).reshape(2, 2, 3) / 7,
        "rules": RULES,
    },
}


@pytest.mark.parametrize("job", JOBS)
def test_read_back_identical(job, tmp_path):
    before = trained(**JOBS[job])
    path = fm.write_netcdf(before, tmp_path / "training.nc")
    after = fm.read_netcdf(path)
    assert after.identical(before)
    assert list(after.variables) == list(before.variables)
    for name, variable in before.variables.items():
        assert after[name].dims == variable.dims
        assert after[name].dtype.kind == variable.dtype.kind
    # Other readers see the same file.
    with netCDF4.Dataset(path) as plain:
        np.testing.assert_array_equal(plain["loss"][:].filled(np.nan), before["loss"].values)
    with xr.open_dataset(path) as opened:
        assert opened.load().identical(before)


@pytest.mark.parametrize("job", JOBS)
def test_the_configuration_computes_the_dataset_again(job):
    before = trained(**JOBS[job])
    parameters = json.loads(before.attrs["configuration"])
    assert parameters.pop("command") == "train"
    parameters["rules"] = [fm.LearningRule(**rule) for rule in parameters["rules"]]
    parameters["teacher"] = fm.LinearRNN(**parameters["teacher"])
    if parameters["students"] is not None:
        parameters["students"] = [fm.LinearRNN(**student) for student in parameters["students"]]
    after = fm.train(**parameters, progress=False)
    for attribute in ("created_at", "history"):
        after.attrs[attribute] = before.attrs[attribute]
    assert after.identical(before)


def test_reading_does_not_touch_the_file(dataset, tmp_path):
    path = fm.write_netcdf(dataset, tmp_path / "a.nc")
    before = path.read_bytes()
    path.chmod(0o444)
    fm.read_netcdf(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.nc"]


@pytest.mark.parametrize(
    "name", ["a.nc", "späte Daten ü.nc", "x" * 255, "ü" * 127, "a b;c&d.nc", "no suffix", "#mode=bytes"]
)
def test_any_file_name(name, dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fm.write_netcdf(dataset, name)
    assert os.listdir(tmp_path) == [name]
    assert fm.read_netcdf(name).identical(dataset)


def test_two_datasets_to_one_place_leave_one(dataset, tmp_path):
    path = tmp_path / "a.nc"
    fm.write_netcdf(dataset.isel(seed=[0]), path)
    fm.write_netcdf(dataset, path)
    assert fm.read_netcdf(path).identical(dataset)
    assert os.listdir(tmp_path) == ["a.nc"]


# Failures while writing


def raising(error):
    def fail(*args, **kwargs):
        raise error

    return fail


def half_written(error):
    def fail(descriptor, content):
        os.write(descriptor, bytes(content)[: memoryview(content).nbytes // 2])
        raise error

    return fail


FAILURES = {
    "creating, no space": (disk, "_temporary", raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))),
    "writing, no space": (disk, "write_all", half_written(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))),
    "writing, too large": (disk, "write_all", half_written(OSError(errno.EFBIG, os.strerror(errno.EFBIG)))),
    "writing, without a number": (disk, "write_all", half_written(OSError("something else"))),
    "syncing, broken disk": (os, "fsync", raising(OSError(errno.EIO, os.strerror(errno.EIO)))),
    "syncing, quota": (os, "fsync", raising(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)))),
    "renaming, read-only": (os, "replace", raising(OSError(errno.EROFS, os.strerror(errno.EROFS)))),
}


@pytest.mark.parametrize("old", [True, False], ids=["over an old file", "as a new file"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_write_changes_nothing(failure, old, dataset, tmp_path, monkeypatch):
    path = tmp_path / "a.nc"
    if old:
        fm.write_netcdf(dataset.isel(seed=[0]), path)
    before = path.read_bytes() if old else None
    monkeypatch.setattr(*FAILURES[failure])
    with pytest.raises(OSError, match=r"bytes free") as caught:
        fm.write_netcdf(dataset, path)
    monkeypatch.undo()
    message = str(caught.value)
    assert str(path) in message
    assert f"{dataset.nbytes} bytes needed" in message
    assert caught.value.errno is not None
    assert (path.read_bytes() if old else None) == before
    assert os.listdir(tmp_path) == (["a.nc"] if old else [])


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, MemoryError, SystemExit])
def test_an_interrupted_write_changes_nothing(interrupt, dataset, tmp_path, monkeypatch):
    path = fm.write_netcdf(dataset, tmp_path / "a.nc")
    before = path.read_bytes()
    monkeypatch.setattr(disk, "write_all", half_written(interrupt()))
    with pytest.raises(interrupt):
        fm.write_netcdf(dataset, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.nc"]


WRITE_LARGE = """
    import os, sys
    import numpy as np
    import xarray as xr
    import fastmodes as fm

    {prelude}
    dataset = xr.Dataset({{"loss": ("epoch", np.random.default_rng(0).random(500_000))}})
    try:
        fm.write_netcdf(dataset, sys.argv[1])
    except OSError as error:
        print(error)
        sys.exit(3)
"""


def write_large(path, prelude=""):
    code = textwrap.dedent(WRITE_LARGE).format(prelude=prelude)
    return subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)


def test_a_file_size_limit_of_the_system(dataset, tmp_path):
    pytest.importorskip("resource")
    path = fm.write_netcdf(dataset, tmp_path / "a.nc")
    before = path.read_bytes()
    done = write_large(path, "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))")
    assert done.returncode == 3, done.stderr
    assert str(path) in done.stdout
    assert "4000000 bytes needed" in done.stdout
    assert "bytes free" in done.stdout
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.nc"]


def test_a_full_disk(dataset, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True).returncode
    ):
        pytest.skip("no right to mount a small disk")
    try:
        path = fm.write_netcdf(dataset, disk / "a.nc")
        before = path.read_bytes()
        done = write_large(path)
        assert done.returncode == 3, done.stderr
        assert "4000000 bytes needed" in done.stdout
        assert "bytes free" in done.stdout
        assert f"Errno {errno.ENOSPC}" in done.stdout
        assert path.read_bytes() == before
        assert os.listdir(disk) == ["a.nc"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# Damage


@pytest.mark.parametrize("seed", range(50))
def test_a_flipped_bit_is_never_read(seed, dataset, tmp_path):
    path = fm.write_netcdf(dataset, tmp_path / "a.nc")
    content = bytearray(path.read_bytes())
    bit = int(np.random.default_rng(seed).integers(8 * len(content)))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    if len(content) - 81 <= bit // 8 < len(content) - 64:
        # The name of the checksum is lost, and nothing else: the data still are what they were.
        assert fm.read_netcdf(path).identical(dataset)
        return
    with pytest.raises(OSError, match=r"differs from its own checksum.*a\.nc"):
        fm.read_netcdf(path)


@pytest.mark.parametrize("place", ["loss", "attributes", "checksum"])
def test_damage_where_it_hurts(place, dataset, tmp_path):
    path = fm.write_netcdf(dataset, tmp_path / "a.nc")
    content = path.read_bytes()
    old = {"loss": b"long_name", "attributes": b"learning_rate", "checksum": content[-3:]}[place]
    path.write_bytes(content.replace(old, bytes([old[0] ^ 1]) + old[1:]))
    with pytest.raises(OSError, match="checksum"):
        fm.read_netcdf(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_never_read(share, dataset, tmp_path):
    path = fm.write_netcdf(dataset, tmp_path / "a.nc")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * (len(content) - 81))])
    with pytest.raises(OSError, match=r"a\.nc"):
        fm.read_netcdf(path)


def test_without_its_checksum_a_file_still_is_readable(dataset, tmp_path):
    path = fm.write_netcdf(dataset, tmp_path / "a.nc")
    path.write_bytes(path.read_bytes()[:-81])
    assert fm.read_netcdf(path).identical(dataset)


def test_another_program_may_change_the_file(dataset, tmp_path):
    path = fm.write_netcdf(dataset, tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as opened:
        opened.comment = "looked at"
    assert fm.read_netcdf(path).attrs["comment"] == "looked at"


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89HDF\r\n\x1a\n", bytes(5000)], ids=["empty", "text", "signature alone", "zeros"]
)
def test_what_is_no_netcdf_file_is_said_so(content, tmp_path):
    path = tmp_path / "a.nc"
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"a\.nc"):
        fm.read_netcdf(path)


# Labels


def every_dataset():
    student = fm.random_student(3, TEACHER, scale=0.7, seed=1)
    return [
        *(trained(**changes) for changes in JOBS.values()),
        fm.estimate_modes(student, TEACHER),
        fm.alignment(student, TEACHER),
    ]


def test_every_variable_is_labelled():
    for dataset in every_dataset():
        for name, variable in dataset.variables.items():
            assert (variable.attrs["long_name"], variable.attrs["units"]) == VARIABLES[name]
            if "flag_values" in variable.attrs:
                assert len(variable.attrs["flag_values"]) == len(variable.attrs["flag_meanings"].split())
                assert set(np.unique(variable.values)) <= set(variable.attrs["flag_values"])


def test_attributes_are_what_netcdf_can_hold():
    for dataset in every_dataset():
        for attributes in (dataset.attrs, *(variable.attrs for variable in dataset.variables.values())):
            for value in attributes.values():
                assert isinstance(value, str | np.ndarray), value


def test_provenance_is_complete(dataset):
    attributes = dataset.attrs
    assert set(attributes) == {
        "Conventions", "title", "source", "history", "created_at", "configuration", "versions", "seed_entropy"
    }  # fmt: skip
    assert attributes["source"] == f"fastmodes {fm.__version__}"
    assert json.loads(attributes["seed_entropy"]) == [3, 2**40]
    assert {"fastmodes", "numba", "numpy", "xarray", "python"} <= set(json.loads(attributes["versions"]))
    configuration = json.loads(attributes["configuration"])
    assert configuration["hidden"] == 3
    assert configuration["rules"][2]["decay"] == [0.5, 0.25, 0.1]


def test_an_unknown_variable_is_refused():
    with pytest.raises(KeyError, match="los"):
        schema.annotate(xr.Dataset({"los": 1.0}), title="", configuration={})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"loss": ("epoch", [1, 2])}, "'loss' must hold floating-point numbers"),
        ({"loss": ("epoch", ["a", "b"])}, "'loss' must hold floating-point numbers"),
        ({"loss": ("epoch", [1j, 2])}, "'loss' must hold floating-point numbers"),
        ({"status": ("rule", [0.0])}, "'status' must hold whole numbers"),
        ({"mode_recurrent": ("unit", [0.5])}, "'mode_recurrent' must have the dim 'mode'"),
        ({"stability_real": ((), 0.5)}, "'stability_real' must have the dim 'eigenvalue'"),
    ],
)
def test_a_variable_of_another_kind_or_without_its_dim_is_refused(variables, message):
    with pytest.raises(ValueError, match=message):
        schema.annotate(xr.Dataset(variables), title="", configuration={})


def test_every_form_belongs_to_a_variable():
    assert set(schema.DIMS) | schema.WHOLE_NUMBERS <= set(VARIABLES)
