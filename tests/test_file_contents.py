"""What is written comes back exactly as it was, or is refused by name before anything is written."""

import os

import numpy as np
import pytest
import xarray as xr

import fastmodes as fm
from fastmodes.files import disk, encoding
from fastmodes.files import netcdf as files
from fastmodes.files.lossless import difference

X = ("x", np.arange(3.0))

KEPT = {
    "largest whole numbers": xr.Dataset({"v": ("x", np.array([2**63 - 1, -(2**63), 0]))}),
    "largest unsigned number": xr.Dataset({"v": ("x", np.array([2**64 - 1, 0], np.uint64))}, attrs={"a": np.uint64(5)}),
    "truth values": xr.Dataset({"v": ("x", [True, False]), "w": ((), True)}),
    "infinities": xr.Dataset({"v": ("x", [np.inf, -np.inf, np.nan, -0.0, 5e-324])}),
    "texts": xr.Dataset({"v": ("x", ["", "a", "äöü 漢字 🎉", " trailing "]), "w": ((), "alone")}),
    "texts as objects": xr.Dataset({"v": ("x", np.array(["", "longer than the others"], object))}),
    "bytes": xr.Dataset({"v": ("x", np.array([b"", b"abc", b"d"]))}),
    "times": xr.Dataset({"v": ("x", np.array(["1999-12-31T23:59:59.999999999", "NaT"], "M8[ns]"))}),
    "durations": xr.Dataset({"v": ("x", np.array([1, 10**15], "m8[ns]"))}),
    "nothing": xr.Dataset(),
    "empty arrays": xr.Dataset({"v": ("x", np.zeros(0)), "w": (("x", "y"), np.zeros((0, 3), np.int8)),
                                "t": ("x", np.zeros(0, object))}),
    "no axes": xr.Dataset({"v": ((), 3), "w": ((), 0.5)}),
    "a dimension without a variable": xr.Dataset({"v": (("x", "y"), np.ones((2, 3)))}),
    "coordinates of every kind": xr.Dataset(
        {"v": (("x", "y"), np.ones((2, 3)))},
        {"x": [0.5, 1.5], "label": ("x", ["a", "b"]), "alone": 7, "plane": (("x", "y"), np.zeros((2, 3), int))},
    ),
    "names of any script": xr.Dataset({"größe": ("漢 字", [1.0])}, attrs={"Ω": "ω", "a b.c-d": 1}),
    "small kinds": xr.Dataset({k: ("x", np.arange(3).astype(k)) for k in ("i1", "u1", "i2", "u2", "i4", "u4", "f4")}),
    "swapped bytes": xr.Dataset({"v": ("x", np.arange(3.0, dtype=">f8")), "w": ("x", np.arange(3, dtype=">i2"))}),
    "attributes of every kind": xr.Dataset(
        {"v": X}, attrs={"i": 3, "f": 0.1, "s": "ä\nb", "e": "", "list": [1, 2], "texts": ["a", "ü"],
                         "f4": np.float32(1),
                         "i1": np.int8(-1), "inf": np.inf, "nan": np.nan, "none": np.array([])},
    ),
    "units that look like durations": xr.Dataset({"v": ("x", [1.0, 2.0], {"units": "1"})}),
}  # fmt: skip


IN_PIECES = ("empty arrays", "truth values", "swapped bytes", "coordinates of every kind", "texts")


@pytest.mark.parametrize(("case", "large"), [*((case, False) for case in KEPT), *((case, True) for case in IN_PIECES)])
def test_kept(case, large, tmp_path, monkeypatch):
    if large:
        monkeypatch.setattr(files, "scratch_folder", lambda dataset: None)
    before = KEPT[case]
    path = fm.write_netcdf(before, tmp_path / "a.nc")
    after = fm.read_netcdf(path)
    assert difference(before, after) is None
    assert after.identical(before)
    assert list(after.variables) == list(before.variables)
    assert path.read_bytes()[-disk.SEAL_LENGTH :].startswith(b"fastmodes sha256 ")
    assert os.listdir(tmp_path) == ["a.nc"]


REFUSED = {
    "_FillValue": (xr.Dataset({"v": ("x", [1.0, 2.0], {"_FillValue": 1.0})}), "'_FillValue' of 'v'"),
    "missing_value": (xr.Dataset({"v": ("x", [1.0, 2.0], {"missing_value": 1.0})}), "'missing_value' of 'v'"),
    "scale_factor": (xr.Dataset({"v": ("x", [1.0, 2.0], {"scale_factor": 2.0})}), "'scale_factor' of 'v'"),
    "scale_factor 1": (xr.Dataset({"v": ("x", [1.0, 2.0], {"scale_factor": 1.0})}), "'scale_factor' of 'v'"),
    "add_offset": (xr.Dataset({"v": ("x", [1, 2], {"add_offset": 2.0})}), "'add_offset' of 'v'"),
    "_Unsigned": (xr.Dataset({"v": ("x", np.int8([1, -2]), {"_Unsigned": "true"})}), "'_Unsigned' of 'v'"),
    "dtype": (xr.Dataset({"v": ("x", np.int8([1, 0]), {"dtype": "bool"})}), "'dtype' of 'v'"),
    "days since": (xr.Dataset({"v": ("x", [1.0, 2.0], {"units": "days since 2000-01-01"})}), "'units' of 'v'"),
    "nonsense since": (xr.Dataset({"v": ("x", [1.0], {"units": "nonsense since 1"})}), "v"),
    "coordinates": (xr.Dataset({"v": X, "w": X, "u": ("x", [1.0] * 3, {"coordinates": "w"})}), "'w'"),
    "long attribute": (xr.Dataset({"v": ("x", [1.0], {"a" * 300: 1})}), "attribute 'aaa"),
    "reserved attribute": (xr.Dataset(attrs={"_NCProperties": "x"}), "_NCProperties"),
    "reserved attribute of a variable": (xr.Dataset({"v": ("x", [1.0], {"DIMENSION_LIST": "x"})}), "DIMENSION_LIST"),
    "NUL in names": (xr.Dataset({"v\0a": X, "v\0b": X}), "v\\x00"),
    "NUL in one name": (xr.Dataset({"v\0a": X}), "v\\x00a"),
    "NUL in an attribute": (xr.Dataset(attrs={"a": "b\0c"}), "'a'"),
    "NUL in an attribute's name": (xr.Dataset(attrs={"a\0b": 1}), "a\\x00b"),
    "NUL in a list of texts": (xr.Dataset(attrs={"a": ["b\0c", "d"]}), "'a'"),
    "NUL in texts": (xr.Dataset({"v": ("x", np.array(["a\0b", "c"], object))}), "'v'"),
    "NUL in a dimension": (xr.Dataset({"v": ("x\0y", [1.0])}), "'v'"),
    "half a letter": (xr.Dataset({"v": ("x", np.array(["\ud800"], object))}), "'v'"),
    "half a letter in an attribute": (xr.Dataset(attrs={"a": "\ud800"}), "'a'"),
    "slash in a name": (xr.Dataset({"a/b": X}), "a/b"),
    "long name": (xr.Dataset({"v" * 300: X}), "vvv"),
    "composed letters": (xr.Dataset({"e\u0301": X}), "e"),
    "space in a coordinate": (xr.Dataset({"v": X}, {"a b": ("x", [1, 2, 3])}), "a b"),
    "half precision": (xr.Dataset({"v": ("x", np.float16([1, 2]))}), "'v'"),
    "more than double precision": (xr.Dataset({"v": ("x", np.longdouble([1, 2]))}), "'v'"),
    "half precision in an attribute": (xr.Dataset(attrs={"a": np.float16(1)}), "'a'"),
    "bytes in an attribute": (xr.Dataset(attrs={"a": b"bytes"}), "'a'"),
    "a table in an attribute": (xr.Dataset(attrs={"a": np.ones((2, 2))}), "'a'"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("large", [False, True], ids=["in memory", "in pieces"])
def test_refused_by_name_before_anything_is_written(case, large, tmp_path, monkeypatch):
    if large:
        monkeypatch.setattr(files, "scratch_folder", lambda dataset: None)
    dataset, name = REFUSED[case]
    copy = dataset.copy(deep=True)
    with pytest.raises(ValueError) as refused:
        fm.write_netcdf(dataset, tmp_path / "a.nc")
    assert name in str(refused.value)
    assert os.listdir(tmp_path) == []
    assert dataset.identical(copy)


def test_encodings_of_other_files_change_nothing(tmp_path):
    dataset = xr.Dataset({"v": ("x", [1.25, 2.5])})
    dataset["v"].encoding = {"dtype": "int16", "scale_factor": 1.0, "_FillValue": -1}
    assert fm.read_netcdf(fm.write_netcdf(dataset, tmp_path / "a.nc")).identical(dataset)


def test_numbers_are_compressed_and_checked(tmp_path):
    import netCDF4

    dataset = xr.Dataset({"v": (("x", "y"), np.zeros((1000, 1000))), "flag": ("x", np.zeros(1000, bool))})
    with netCDF4.Dataset(fm.write_netcdf(dataset, tmp_path / "a.nc")) as file:
        for variable in file.variables.values():
            filters = variable.filters()
            assert filters["zlib"]
            assert filters["shuffle"]
            assert filters["fletcher32"]
            assert np.prod(variable.chunking()) <= encoding.CHUNK
