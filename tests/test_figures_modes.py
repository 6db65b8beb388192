"""Standard figures: they are drawn, labelled, touch no global state; and the command line that writes them."""

import matplotlib
import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.figures import FIGURES, standard_figure
from matplotlib.figure import Figure

import fastmodes as fm
from fastmodes import analysis
from fastmodes.cli import run

MODE_FIGURES = (
    "fixed-points", "vector-fields", "eigenvalues", "trajectories", "feedback-strength",
    "hopf-map", "basins", "convergence-ratio", "task-switches", "gradient-quality",
    "required-horizon", "shared-directions", "noise-map", "which-rule", "how-many-snapshots",
)  # fmt: skip


@pytest.mark.parametrize("name", MODE_FIGURES)
def test_figure_is_drawn_and_labelled(name, tmp_path):
    before = dict(matplotlib.rcParams)
    figure = standard_figure(name)()
    figure.savefig(tmp_path / "figure.png", dpi=40)
    assert isinstance(figure, Figure)
    assert figure.get_suptitle()
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert panels
    assert all(ax.get_xlabel() or ax.get_shared_x_axes().get_siblings(ax)[1:] for ax in panels)
    assert any(ax.get_ylabel() for ax in panels)
    assert dict(matplotlib.rcParams) == before


def test_figures_are_found_by_the_papers_number():
    assert {number for number, _, _ in FIGURES.values() if number} >= {"1", "2", "3", "4", "7"}
    for name, (number, _, _) in FIGURES.items():
        if number:
            assert standard_figure(number) is standard_figure(name)
    with pytest.raises(ValueError, match="figure must be one of"):
        standard_figure("12")


def test_command_draws_figures(tmp_path, capsys):
    assert run(["figures", "4", "--out", str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / "figure-4.png").stat().st_size > 10_000
    assert capsys.readouterr().out.strip().endswith("figure-4.png")
    assert run(["figures", "nonsense", "--out", str(tmp_path)]) == 2


def test_command_follows_modes_over_a_grid(tmp_path):
    path = tmp_path / "flow.nc"
    arguments = ["flow", "--start-a=-1:1:5", "--feedback", "0.5,2", "--times", "0,1", "--rule", "rflo(0.4)"]
    assert run([*arguments, "-o", str(path)]) == 0
    a = xr.DataArray(np.linspace(-1, 1, 5), dims="start_a")
    r = xr.DataArray([0.5, 2.0], dims="feedback")
    whole = fm.flow(fm.rflo(0.4), fm.Modes(0.6, a, 1.0), fm.Modes(0.7, 1.0, 1.0), [0.0, 1.0], feedback=r)
    np.testing.assert_array_equal(fm.read_netcdf(path).w.values, whole.w.values)


@pytest.mark.parametrize("arguments", [["--teacher", "1.5"], ["--times", "1:0"], ["--start-w", "a"], ["--rule", "bpt"]])
def test_command_refuses_before_it_writes(arguments, tmp_path):
    path = tmp_path / "flow.nc"
    assert run(["flow", *arguments, "-o", str(path)]) == 2
    assert not path.exists()


def test_flow_written_in_slabs_is_the_whole(tmp_path):
    w = xr.DataArray(np.linspace(-0.8, 0.8, 23), dims="start", coords={"start": np.linspace(-0.8, 0.8, 23)})
    r = xr.DataArray([-1.0, 1.0], dims="r", coords={"r": [-1.0, 1.0]})
    arguments = ([fm.bptt(), fm.rflo()], fm.Modes(w, 1.0, 0.8), fm.Modes(0.6, 1.0, 1.0), [0.0, 1.0, 2.0])
    fm.write_flow(tmp_path / "flow.nc", *arguments, feedback=r, slab_points=10)
    got, whole = fm.read_netcdf(tmp_path / "flow.nc"), fm.flow(*arguments, feedback=r)
    xr.testing.assert_equal(got, whole.transpose(*got.w.dims))
    assert got.status.attrs["flag_meanings"] == whole.status.attrs["flag_meanings"]


def test_stability_written_in_slabs_is_the_whole(tmp_path):
    w = xr.DataArray(np.linspace(-0.8, 0.8, 23), dims="w", coords={"w": np.linspace(-0.8, 0.8, 23)})
    s = xr.DataArray(np.linspace(0.1, 2, 31), dims="s", coords={"s": np.linspace(0.1, 2, 31)})
    analysis.write_stability(tmp_path / "map.nc", [fm.bptt(), fm.rflo()], w, 1.0, s, slab_points=100)
    xr.testing.assert_equal(fm.read_netcdf(tmp_path / "map.nc"), analysis.stability([fm.bptt(), fm.rflo()], w, 1.0, s))


def test_slabs_are_complete_or_absent(tmp_path):
    from fastmodes.files.large_grids import write_slabs

    def compute(x):
        if x.values[0] > 3:
            raise RuntimeError("stopped half way")
        return xr.Dataset({"loss": x})

    with pytest.raises(RuntimeError, match="half way"):
        write_slabs(tmp_path / "x.nc", compute, {"x": np.arange(10.0)}, slab_points=2)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="must vary"):
        write_slabs(tmp_path / "x.nc", compute, {"x": 1.0})
