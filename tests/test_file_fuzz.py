"""Bits that flip in every kind of file, and datasets made to be trouble: the same data, or a clear error."""

import os

import numpy as np
import pytest
import xarray as xr
from sweep_toy import document

import fastmodes as fm
from fastmodes.files.large_grids import write_slabs
from fastmodes.files.lossless import difference
from fastmodes.sweeps import merge, open_sweep, sweep, verify

#: Flips of one kind of file, and round trips, in the ordinary suite and in all.
FEW = {"flips": 6, "trips": 20}
MANY = {"flips": 600, "trips": 500}
SIZES = [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.fuzz)]


# Flipped bits


def slab(x):
    return xr.Dataset({"w": x * 2, "stable": x > 1}, {"label": (x.dims, [f"point {value}" for value in x.values])})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A file of every kind, and what it holds."""
    folder = tmp_path_factory.mktemp("fuzz")
    out = folder / "sweep"
    sweep(document(), out, progress=False)
    whole = xr.Dataset(
        {"loss": (("epoch", "seed"), np.random.default_rng(0).random((40, 3)), {"units": "1"}),
         "ok": ("seed", [True] * 3)},
        {"rule": ["a", "ü"]}, {"configuration": "{}"},
    )  # fmt: skip
    return {
        "dataset": fm.write_netcdf(whole, folder / "dataset.nc"),
        "slabs": write_slabs(folder / "slabs.nc", slab, {"x": np.arange(8.0)}, slab_points=4),
        "merged": merge(out, folder / "merged.nc", progress=False),
        "block": sorted(out.rglob("*.nc"))[1],
        "plan": out / "plan.json",
    }


def look(kind, path):
    """What is in a file, and what is wrong with it in words of the package, if anything."""
    if kind == "block":
        found = verify(path.parents[2], progress=False)
        assert found.sound or list(found.damaged) == [1]
    if kind in ("block", "plan"):
        return open_sweep(path.parents[2] if kind == "block" else path.parent).load()
    return fm.read_netcdf(path)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["dataset", "slabs", "merged", "block", "plan"])
def test_flipped_bits_are_found_or_change_nothing(kind, size, stored):
    path = stored[kind]
    content = path.read_bytes()
    before = look(kind, path)
    rng = np.random.default_rng([len(kind), size["flips"]])
    found = 0
    try:
        for _ in range(size["flips"]):
            copy = bytearray(content)
            # One bit, or a few in one place, or a piece overwritten.
            place, extent = int(rng.integers(len(copy))), int(rng.choice([1, 1, 1, 4, 64]))
            for position in range(place, min(place + extent, len(copy))):
                copy[position] ^= 1 << int(rng.integers(8)) if extent == 1 else int(rng.integers(256))
            path.write_bytes(copy)
            message = ""
            try:
                assert look(kind, path).identical(before)
            except (OSError, ValueError) as error:
                message = str(error)
                found += 1
            assert not message or path.name in message or "block 1 is damaged" in message
    finally:
        path.write_bytes(content)
    # Only the words "fastmodes sha256" may change without a trace.
    assert found >= 0.9 * size["flips"] - 1


# Datasets made to be trouble

NAMES = ("v", "w", "x", "units", "größe", "e\u0301", "a b", "a/b", "a\0b", "", "x" * 300, "_v", "1v", "🎉", " v", "v ",
         "NAME", "coordinates", "dtype", "a\nb", "\ud800", "string3")  # fmt: skip
TEXTS = ("", "a", "ü 漢字", "a\0", "a\0b", "\0", "\ud800", "🎉" * 50, "days since 2000-01-01", "seconds", "1", "true",
         "bool", "v w", "nan", "noleap", "\n")  # fmt: skip
ATTRIBUTES = (
    "units", "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "dtype", "coordinates",
    "calendar",
    "_NCProperties", "CLASS", "NAME", "DIMENSION_LIST", "_Netcdf4Dimid", "bounds", "grid_mapping", "valid_range",
    "flag_values", "long_name", "_Encoding", "a" * 300, "Ω", "a/b", "", "a\0b",
)  # fmt: skip
KINDS = (
    "f8",
    "f4",
    "f2",
    "i8",
    "i4",
    "i2",
    "i1",
    "u8",
    "u4",
    "u2",
    "u1",
    "?",
    ">f8",
    ">i4",
    "U",
    "O",
    "S",
    "M8[ns]",
    "m8[ns]",
)
EXTREMES = (0, 1, -1, 127, -128, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 2**53 + 1)


def draw(rng, choices):
    return choices[int(rng.integers(len(choices)))]


def name_of(rng):
    return draw(rng, NAMES if rng.random() < 0.06 else "abcdefgh")


def text_of(rng):
    return draw(rng, TEXTS if rng.random() < 0.2 else ("", "one", "zwölf", "a b"))


def values_of(rng, shape):
    kind, count = draw(rng, KINDS), int(np.prod(shape))
    if kind in "UOS":
        texts = np.array([text_of(rng) for _ in range(count)] or [""], object)[:count]
        if kind == "S":
            texts = np.array([text.encode("utf-8", "replace") for text in texts], "S5")
        return (texts if kind != "U" else texts.astype(str)).reshape(shape)
    if kind[0] in ">f" and kind[-2] == "f":
        return np.array([draw(rng, (0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, 1e300, 0.1)) for _ in range(count)]
                        ).astype(kind).reshape(shape)  # fmt: skip
    numbers = np.array([draw(rng, EXTREMES) for _ in range(count)], np.int64)
    return (numbers.view(kind) if kind[0] in "Mm" else numbers.astype(kind)).reshape(shape)


def attributes_of(rng):
    options = (
        *TEXTS,
        *EXTREMES,
        0.5,
        np.nan,
        np.float32(1),
        np.int8(1),
        [1, 2],
        ["a", "b"],
        [],
        [""],
        np.ones((2, 2)),
        b"b",
    )
    hostile = rng.random() < 0.2
    return {draw(rng, ATTRIBUTES) if hostile else name_of(rng): draw(rng, options) for _ in range(int(rng.integers(3)))}


def hostile(rng):
    """A dataset that xarray allows, netCDF perhaps not."""
    dims = {name_of(rng): int(rng.integers(4)) for _ in range(3)}
    variables = {}
    for _ in range(int(rng.integers(1, 4))):
        chosen = tuple(dim for dim in dims if rng.random() < 0.5)
        variables[name_of(rng)] = xr.Variable(
            chosen, values_of(rng, tuple(dims[dim] for dim in chosen)), attributes_of(rng)
        )
    coordinates = {name: variables.pop(name) for name in list(variables) if rng.random() < 0.3}
    return xr.Dataset(variables, coordinates, attributes_of(rng))


@pytest.mark.parametrize("size", SIZES)
def test_hostile_datasets_come_back_or_are_refused(size, tmp_path):
    kept = 0
    for seed in range(size["trips"]):
        rng = np.random.default_rng([seed, 9])
        with np.errstate(all="ignore"):
            try:
                dataset = hostile(rng)
            except (ValueError, FutureWarning):
                continue  # xarray itself wants nothing of it
        copy = dataset.copy(deep=True)
        try:
            fm.write_netcdf(dataset, tmp_path / "a.nc")
        except (TypeError, ValueError):
            assert os.listdir(tmp_path) == [], seed
        else:
            kept += 1
            assert difference(copy, fm.read_netcdf(tmp_path / "a.nc")) is None, seed
            (tmp_path / "a.nc").unlink()
        assert difference(copy, dataset) is None, seed
    assert 0.1 * size["trips"] < kept < 0.9 * size["trips"]
