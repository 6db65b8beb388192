"""Rank: measures against their definitions, Proposition 3.1 at every epoch, what Adam does to it."""

import numpy as np
import pytest
import xarray as xr
from fastmodes.analysis.trained.learned_rank import MEASURES, principal_angles, rank, rank_measures, spectrum

import fastmodes as fm
from fastmodes.presets import ten_mode_teacher


def measures(*values):
    return {k: float(v) for k, v in rank_measures(xr.DataArray(np.array(values, dtype=float), dims="place")).items()}


def test_equal_singular_values_count_alike():
    for count in (1, 2, 5):
        for value in measures(*[3.0] * count, *[0.0] * 3).values():
            assert value == pytest.approx(count, rel=1e-14)


def test_measures_by_hand():
    got = measures(4.0, 2.0, 1e-9)
    assert got["numeric_rank"] == 2
    assert got["participation_ratio"] == pytest.approx((16 + 4) ** 2 / (256 + 16), rel=1e-12)
    assert got["stable_rank"] == pytest.approx(20 / 16, rel=1e-12)
    q = np.array([4, 2]) / 6
    assert got["effective_rank"] == pytest.approx(np.exp(-(q * np.log(q)).sum()), rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_measures_lie_between_one_and_the_number_of_values(seed):
    values = np.abs(np.random.default_rng(seed).standard_normal(7)) + 1e-3
    for scale in (1.0, 1e-8, 1e8):
        got = measures(*(scale * values))
        assert all(1 <= value <= 7 + 1e-9 for value in got.values())
        assert got == pytest.approx(measures(*values), rel=1e-9)


def trained(rules, teacher, **changes):
    arguments = dict(
        hidden=7, seeds=range(3), epochs=300, learning_rate=0.05, steps=12, updates="expected", record_every=30,
        keep_weights=True, init_scale=0.5, progress=False,
    )  # fmt: skip
    return fm.train(rules, teacher, **(arguments | changes))


@pytest.mark.parametrize("n_out", [1, 2, 3])
@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_proposition_holds_at_every_epoch_for_gradient_descent(n_out, clip_norm):
    """W_k - W_0 and B_k - B_0 are R^T times n_out rows (Eqs. 30-31), also under clipping by norm."""
    data = trained(fm.rflo(0.5), ten_mode_teacher(n_out), clip_norm=clip_norm)
    result = rank(data)
    later = result.isel(epoch=slice(1, None))
    assert later["outside_factors"].max() < 1e-12
    assert (later["numeric_rank"] == n_out).all()
    np.testing.assert_allclose(later["share_in_feedback_rows"], 1.0, atol=1e-12)
    r = data["feedback_weights"].values
    rebuilt = np.einsum("soi,rseoj->rseij", r, result["factor_recurrent"].values)
    change = (data["recurrent_weights"] - data["recurrent_weights"].isel(epoch=0)).values
    np.testing.assert_allclose(rebuilt, change, atol=1e-13)
    rebuilt = np.einsum("soi,rseoj->rseij", r, result["factor_input"].values)
    change = (data["input_weights"] - data["input_weights"].isel(epoch=0)).values
    np.testing.assert_allclose(rebuilt, change, atol=1e-13)


def test_factors_are_sums_of_the_updates():
    """The factor of W is minus the rate times the summed rows that R^T multiplies, from single updates."""
    teacher, epochs, rate = ten_mode_teacher(2), 20, 0.05
    data = trained(fm.rflo(0.5), teacher, epochs=epochs, record_every=1, learning_rate=rate)
    r = data["feedback_weights"].values[0]
    summed = 0.0
    for epoch in range(epochs):
        run = data.isel(rule=0, seed=0, epoch=epoch)
        student = fm.LinearRNN(*(run[f"{name}_weights"].values for name in ("readout", "recurrent", "input")))
        summed = summed - rate * fm.expected_update(fm.rflo(0.5), student, teacher, 12, feedback=r).recurrent
    factor = rank(data)["factor_recurrent"].values[0, 0, -1]
    np.testing.assert_allclose(r.T @ factor, summed, atol=1e-13)


def test_adam_keeps_rank_one_and_breaks_rank_two():
    for n_out in (1, 2):
        data = trained(fm.rflo(0.5), ten_mode_teacher(n_out), optimizer="adam", learning_rate=1e-3)
        singular = data["change_singular_value"].isel(epoch=-1)
        beyond = (singular.isel(unit=n_out) / singular.isel(unit=0)).max()
        assert (beyond < 1e-3) if n_out == 1 else (beyond > 0.05)


def test_other_rules_have_no_factors_and_full_rank():
    data = trained((fm.bptt(), fm.eprop(), fm.rflo(0.5)), ten_mode_teacher(1))
    result = rank(data).isel(epoch=-1)
    assert np.isnan(result["factor_recurrent"].sel(rule=["BPTT", "e-prop"])).all()
    assert np.isnan(result["share_in_feedback_rows"].sel(rule="BPTT")).all()
    assert (result["numeric_rank"].sel(rule="BPTT", matrix="recurrent") == 7).all()
    assert (result["share_in_readout_rows"] <= 1 + 1e-12).all()
    for name in MEASURES:
        assert result[name].dims == ("rule", "seed", "matrix")


def test_spectra_are_those_of_the_change():
    data = trained(fm.bptt(), ten_mode_teacher(1))
    result = spectrum(data)
    run = data.isel(rule=0, seed=1)
    change = (run["recurrent_weights"].isel(epoch=-1) - run["recurrent_weights"].isel(epoch=0)).values
    singular = np.linalg.svd(change, compute_uv=False)
    moduli = np.sort(np.abs(np.linalg.eigvals(change)))[::-1]
    np.testing.assert_allclose(result["normalised_singular_value"][0, 1], singular / singular[0], atol=1e-12)
    np.testing.assert_allclose(result["normalised_eigenvalue"][0, 1], moduli / moduli[0], atol=1e-12)


def test_principal_angles_of_rflo_and_others():
    data = trained((fm.rflo(0.5), fm.bptt()), ten_mode_teacher(2))
    angles = principal_angles(data)["principal_angle"]
    assert angles.sel(rule="RFLO", other_rule="RFLO").max() < 1e-6
    np.testing.assert_allclose(angles, angles.transpose("other_rule", "rule", "seed", "angle"), atol=1e-7)
    # RFLO changes W inside the rows of R: the angle between those and the changes is zero.
    from scipy.linalg import subspace_angles

    run = data.sel(rule="RFLO").isel(seed=0)
    change = (run["recurrent_weights"].isel(epoch=-1) - run["recurrent_weights"].isel(epoch=0)).values
    left = np.linalg.svd(change)[0][:, :2]
    assert subspace_angles(left, data["feedback_weights"].values[0].T).max() < 1e-7


@pytest.mark.parametrize("divergence_loss", [1e6, 0.9])
def test_ranks_without_weights_are_those_with_them(divergence_loss):
    """The singular values of the change of W are stored: its measures need no weights."""
    rules, teacher = (fm.bptt(), fm.rflo(0.5), fm.eprop()), ten_mode_teacher(2)
    kept = trained(rules, teacher, learning_rate=0.2, divergence_loss=divergence_loss)
    bare = trained(rules, teacher, learning_rate=0.2, divergence_loss=divergence_loss, keep_weights=False)
    with_weights, without = rank(kept), rank(bare)
    assert without["matrix"].values.tolist() == ["recurrent"]
    for name in MEASURES:
        wanted = with_weights[name].sel(matrix=["recurrent"])
        assert without[name].dims == wanted.dims
        np.testing.assert_allclose(without[name], wanted, rtol=1e-9)
    assert without["numeric_rank"].isel(epoch=0).isnull().all()
    assert "share_in_feedback_rows" not in without


def test_refuses_a_dataset_without_what_it_needs():
    data = trained(fm.bptt(), ten_mode_teacher(1), epochs=2, keep_weights=False)
    with pytest.raises(ValueError, match="change_singular_value"):
        rank(data.drop_vars("change_singular_value"))
    with pytest.raises(ValueError, match="keep_weights"):
        principal_angles(data)
