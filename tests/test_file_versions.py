"""Files and sweep folders of version 0.1.0 stay readable, and unfinished sweeps of its can be finished."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import fastmodes as fm
from fastmodes.sweeps import Plan, merge, open_sweep, status, sweep, verify

STORED = Path(__file__).parent / "data" / "version_0_1_0"


@pytest.mark.parametrize("name", ["training", "flow", "merged"])
def test_a_file_reads_as_it_did(name):
    found = fm.read_netcdf(STORED / f"{name}.nc")
    with xr.open_dataset(STORED / f"{name}.nc", engine="netcdf4") as opened:
        assert found.identical(opened.load())
    assert found.attrs["source"] == "fastmodes 0.1.0"
    assert {variable.dtype.kind for variable in found.variables.values()} <= set("fiUO")


def test_a_file_can_be_written_again(tmp_path):
    found = fm.read_netcdf(STORED / "training.nc")
    assert fm.read_netcdf(fm.write_netcdf(found, tmp_path / "again.nc")).identical(found)


def test_an_unfinished_sweep_can_be_looked_at_finished_and_merged(tmp_path):
    out = tmp_path / "sweep"
    shutil.copytree(STORED / "sweep", out)
    blocks = {path: path.read_bytes() for path in out.rglob("*.nc")}
    assert status(out).missing == (1,)
    assert verify(out, progress=False).sound
    assert open_sweep(out, allow_missing=True).w.shape == (2, 3, 2)
    axes = {"rule": ["bptt", "rflo(0.5)"], "recurrent": [0.2, 0.5, 0.8]}
    fixed = {"readout": 1.0, "input": 0.8, "teacher_recurrent": 0.6, "times": [0.0, 1.0]}
    plan = Plan({"job": "flow", "title": "a small map", "axes": axes, "fixed": fixed, "points_per_block": 2})
    done = sweep(plan, out, progress=False)
    assert (done.found, done.damaged, done.computed) == (2, 0, 1)
    assert blocks.items() <= {path: path.read_bytes() for path in out.rglob("*.nc")}.items()
    now = fm.read_netcdf(merge(out, tmp_path / "merged.nc", progress=False))
    then = fm.read_netcdf(STORED / "merged.nc")
    for name in then.variables:
        if then[name].dtype.kind == "f":
            np.testing.assert_allclose(now[name].values, then[name].values, rtol=1e-7, atol=1e-9, err_msg=name)
        else:
            np.testing.assert_array_equal(now[name].values, then[name].values, err_msg=name)
