"""Hostile values, valid calls to spoil with them, and what counts as an answer."""

import decimal
import fractions
import inspect
import math

import numpy as np
import xarray as xr

import fastmodes as fm
from fastmodes import analysis

TEACHER = fm.aligned_teacher(fm.Modes([0.8, 0.5], 1.0, 1.0))
STUDENTS = [fm.random_student(3, TEACHER, scale=0.6, seed=seed) for seed in range(3)]
ALIGNED = fm.aligned_student(TEACHER, fm.Modes([0.3, 0.1], 0.5, 0.7))
R = np.array([[0.5, -0.2, 0.1], [0.3, 0.8, -0.6]])
START, GOAL = fm.Modes(np.array([0.1, 0.3]), 0.8, 0.9), fm.Modes(0.5, 1.0, 1.0)
SMALL = {
    "hidden": 3, "seeds": [0, 1], "epochs": 4, "learning_rate": 0.01, "steps": 4, "updates": "expected",
    "validation_size": 4, "keep_weights": True, "progress": False, "threads": 1,
}  # fmt: skip
#: A sweep of two blocks.
PLAN = {
    "job": "expected", "points_per_block": 1, "fixed": {"steps": 4, "hidden": 2, "rule": "bptt"},
    "axes": {"seed": [0, 1]},
}  # fmt: skip

#: Numbers of every kind; whole ones are small or beyond any limit, so that no legal call takes for ever.
NUMBERS = (
    math.nan, math.inf, -math.inf, -1, 0, 1, 2, 3, 10**30, -(2**63), 2**31, 0.5, -0.5, 1.5, 1e300, -1e300, 1e-300,
    5e-324, 1j, True, np.float32(0.5), np.int8(2), np.int64(3), np.bool_(False), np.float64("nan"),
    np.datetime64("2026-01-01"),
    fractions.Fraction(1, 3), fractions.Fraction(10**400), decimal.Decimal("0.5"), 10**400,
)  # fmt: skip
OBJECTS = (
    None, "", "x", "bptt", "rflo(0.5)", "random", "inf", b"x", {}, [], (), [[]], {"a": 1}, object(), [1, "x"], [None],
    [1.0, [2.0]], range(3), lambda x: x, float, fm.bptt(), [fm.bptt(), fm.bptt()], [fm.bptt(), 3], fm.rflo(1e200),
    TEACHER, STUDENTS[0], fm.Modes(0.5, 1.0, 1.0), fm.Modes(0.5, "x", None), fm.Modes([0.1, 0.2], [1.0, 2.0, 3.0], 1.0),
    fm.LearningRule("d", "random", "diagonal", None, (0.1, 0.2, 0.3)), fm.LearningRule("far", horizon=10**9),
    np.array([]), np.zeros((0, 3)), np.array(["x"]), np.array([1, None], dtype=object), np.full((2, 3), np.nan),
    np.ma.masked_array([1.0, 2.0], [True, False]), np.ones((2, 2, 2, 2)), np.array(1.0), np.eye(2), np.eye(3) * 1e200,
    xr.DataArray(np.ones((2, 3)), dims=("odd", "unit")), xr.DataArray([0.1, 0.2], dims="w"), xr.DataArray(0.5),
    xr.DataArray([0.1, 0.2], dims="rule"), xr.DataArray([0.1, np.nan], dims="x"), xr.Dataset(),
    xr.Dataset({"loss": 1.0}),
)  # fmt: skip


def training():
    """A dataset to be read by analysis."""
    return fm.train([fm.bptt(), fm.rflo()], TEACHER, **SMALL)


def tasks():
    """A dataset of two tasks in a row."""
    return fm.train_tasks([fm.bptt(), fm.rflo()], [TEACHER, TEACHER], **SMALL)


def networks_flow():
    """A dataset of whole networks that flowed, to be read by analysis."""
    return fm.matrix_flow("rflo", TEACHER, seeds=[0, 1], times=[0.0, 0.5], hidden=2, progress=False, threads=1)


def spoiled(value, rng):
    """The value in another form, or with one entry that does not belong."""
    if isinstance(value, xr.Dataset):
        name = str(rng.choice(list(value.data_vars)))
        along = "epoch" if "epoch" in value.dims else "time"
        cuts = (
            lambda: value.isel(rule=0), lambda: value.isel(seed=[1]), lambda: value.isel({along: [0]}),
            lambda: value.drop_vars(name), lambda: value.assign_attrs(configuration="{"), lambda: value.transpose(...),
            lambda: value.isel(seed=[]), lambda: value.drop_attrs(), lambda: value.sel(rule=["RFLO"]),
            lambda: value.assign({name: value[name] * np.nan}), lambda: value.drop_vars(along),
            lambda: value.isel(seed=0), lambda: value.drop_vars("seed"), lambda: value.drop_vars("rule"),
        )  # fmt: skip
        return cuts[rng.integers(len(cuts))]()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        place = int(rng.integers(len(value)))
        return value._replace(**{value._fields[place]: hostile(value[place], rng)})
    if isinstance(value, np.ndarray | list) and np.size(value) and np.asarray(value).dtype.kind in "fi":
        array = np.asarray(value, dtype=float)
        frozen = array.copy()
        frozen.flags.writeable = False
        holed = array.copy()
        holed.flat[0] = rng.choice([np.nan, np.inf, -1e300, 0.0])
        forms = (
            array.T, array.astype(np.float32), np.asfortranarray(array), array.astype(object), frozen, holed, array[:1],
            array[..., np.newaxis], array.astype(complex), array.tolist(), array[:0], xr.DataArray(array),
            array * 1e200, xr.DataArray(array, dims=[f"odd_{i}" for i in range(array.ndim)]),
            np.ma.masked_less(array, 0.0),
        )  # fmt: skip
        return forms[rng.integers(len(forms))]
    return hostile(None, rng)


def hostile(value, rng):
    """Some value that a user may hand over by mistake."""
    if value is not None and rng.random() < 0.4:
        return spoiled(value, rng)
    pool = NUMBERS if rng.random() < 0.6 else OBJECTS
    return pool[rng.integers(len(pool))]


def calls(folder, data, flowed):
    """A valid call of every public function, by name."""
    network = {"student": STUDENTS[0], "teacher": TEACHER}
    grid = {"modes": START, "teacher_modes": GOAL}
    on_manifold = {"teacher_recurrent": np.array([0.5, -0.3]), "teacher_product": 1.0, "position": 0.7}
    inputs = np.ones((2, 4, 2))
    pair = {"network": STUDENTS[0], "teacher": TEACHER}
    return {
        "InputFilter": {"state": [[0.5]], "drive": [[1.0]], "output": [[1.0], [0.5]], "direct": np.eye(2)[:, :1]},
        "LearningRule": {"name": "x", "feedback": "random", "propagator": "scalar", "horizon": 3, "decay": 0.5},
        "LinearRNN": {"readout": np.eye(2), "recurrent": np.eye(2), "input": np.eye(2)},
        "aligned_student": {"teacher": TEACHER, "modes": fm.Modes([0.3, 0.2], 1.0, 1.0), "basis": "random", "seed": 1},
        "aligned_teacher": {
            "modes": fm.Modes([0.3, 0.2], 1.0, 1.0), "n_out": 3, "n_in": 2, "basis": "random", "seed": 1,
        },
        "alignment": {"network": STUDENTS[0], "teacher": TEACHER, "feedback": R},
        "autoregressive_input": {"coefficient": 0.5, "n_in": 2, "variance": 1.0},
        "bptt": {}, "eprop": {}, "rflo": {"decay": 0.5}, "tbptt": {"horizon": 2},
        "coloured_update": network | {
            "rule": fm.rflo(), "steps": 5, "colour": fm.autoregressive_input(0.5, 2), "feedback": R, "loss": "final",
        },
        "discrete_map": grid | {"rules": fm.rflo(), "epochs": [1, 3], "learning_rate": 0.1, "feedback": 1.0},
        "estimate_modes": {"network": STUDENTS[0], "teacher": TEACHER, "feedback": R},
        "expected_update": network | {"rule": fm.rflo(), "steps": 6, "feedback": R, "input_covariance": np.eye(2)},
        "expected_updates": {
            "rule": fm.rflo(), "students": STUDENTS, "teacher": TEACHER, "steps": 6, "feedbacks": [R, 2 * R, -R],
        },
        "flow": grid | {"rules": [fm.rflo(), fm.tbptt(2)], "times": [0.5, 2.0], "feedback": 1.0, "step_limit": 2000},
        "impulse_expectation": {
            "update": lambda x: fm.sampled_update(fm.bptt(), STUDENTS[0], TEACHER, x), "steps": 3, "n_in": 2,
        },
        "impulse_covariance": {
            "update": lambda x: fm.sampled_update(fm.bptt(), STUDENTS[0], TEACHER, x), "steps": 3, "n_in": 2,
        },
        "loss_after_step": network | {"rule": fm.rflo(), "steps": 4, "learning_rate": [0.1, 0.2], "feedback": R},
        "matrix_flow": {
            "rules": fm.rflo(), "teacher": TEACHER, "seeds": [0], "times": [0.0, 0.5], "hidden": 2, "step_limit": 200,
            "progress": False,
        },
        "mode_jacobian": grid | {"rule": fm.rflo(), "steps": 5, "feedback": 1.0},
        "mode_moments": grid | {"rule": fm.rflo(), "feedback": 1.0, "batch_size": 3, "target_noise": 0.1},
        "mode_update": grid | {"rule": fm.rflo(), "steps": 5, "feedback": 1.0},
        "parse_rule": {"text": "rflo(0.5)"},
        "random_feedback": {"student": ALIGNED, "scale": 1.0, "seed": 0, "aligned": True},
        "random_student": {"hidden": 3, "teacher": TEACHER, "scale": 1.0, "seed": 0},
        "read_netcdf": {"path": str(folder / "runs.nc")},
        "sampled_update": network | {"rule": fm.rflo(), "inputs": inputs, "feedback": R},
        "stationary_scatter": {
            "rule": fm.bptt(), "student": TEACHER, "teacher": TEACHER, "steps": 4, "learning_rate": 0.01,
            "target_noise": 0.1,
        },
        "train_tasks": {"rules": [fm.bptt(), fm.rflo()], "teachers": [TEACHER, TEACHER], "order": [1, 0]} | SMALL,
        "task_memory": {"dataset": tasks()},
        "train": {"rules": [fm.bptt(), fm.rflo()], "teacher": TEACHER} | SMALL,
        "update_moments": network | {
            "rule": fm.rflo(), "steps": 5, "feedback": R, "input_covariance": np.eye(2), "along": STUDENTS[1],
        },
        "write_flow": grid | {"path": str(folder / "flow.nc"), "rules": fm.bptt(), "times": 1.0, "slab_points": 1},
        "write_netcdf": {"dataset": data, "path": str(folder / "runs.nc")},
        "fixed_points": {"rules": fm.bptt()} | on_manifold,
        "stability": {"rules": fm.rflo(), "feedback": 1.0} | on_manifold,
        "saddle_stability": {
            "rules": fm.tbptt(2), "teacher_recurrent": [0.5, 0.2], "teacher_product": 1.0, "recurrent": 0.1,
        },
        "convergence_rate": {"rules": fm.rflo(), "feedback": 1.0} | on_manifold,
        "largest_learning_rate": {"rules": fm.rflo(), "feedback": 1.0} | on_manifold,
        "wrong_branch_window": {"rules": fm.rflo(), "teacher_recurrent": 0.5, "teacher_product": 1.0, "feedback": 1.0},
        "write_stability": {"path": str(folder / "map.nc"), "rules": fm.bptt()} | on_manifold,
        "predict_from_epoch": {"dataset": data, "epoch": 1}, "theory_error": {"dataset": data, "epochs": [0, 2]},
        "rank": {"dataset": data, "tolerance": 1e-6}, "spectrum": {"dataset": data, "epoch": 2},
        "principal_angles": {"dataset": data, "dimensions": 1},
        "gradient_quality": {"runs": data, "threads": 1},
        "change_geometry": {"runs": data, "dimensions": 1, "epoch": 3, "draws": 20, "seed": 1},
        "required_horizon": network | {"steps": 5, "cosine": 0.9, "longest": 10, "loss": "sequence", "leak": 0.5},
        "compare_rules": {"runs": data, "quantity": "alignment_recurrent", "at": "loss", "levels": [1.0, 0.1]},
        "learning_rate_limits": {"rules": fm.bptt(), "eigenvalues": [], "networks": False, "threads": 1},
        "unit_rate": {"rule": fm.rflo(), "w": 0.5, "epochs": 3},
        "claims": {"datasets": {}},
        "basins": {"rules": fm.bptt(), "end": 5.0} | grid,
        "sgd": {"learning_rate": 0.1, "clip_norm": 1.0},
        "adam": {"learning_rate": 0.1, "betas": (0.9, 0.99), "epsilon": 1e-8, "clip_norm": 1.0},
        "simulate": {"network": STUDENTS[0], "inputs": inputs, "initial": np.ones(3)},
        "impulse_response": {"network": STUDENTS[0], "steps": 4},
        "dfa": {"name": "mine"}, "snap1": {"horizon": 2},
        "feedback_update": grid | {
            "rule": "rflo(0.5, feedback=mirror, mirror_rate=1, feedback_decay=0.5)", "steps": 5, "feedback": 0.4,
        },
        "resume": {"runs": data, "epochs": 6, "progress": False, "threads": 1},
        "rotating_teacher": {"modulus": [0.8, 0.5], "angle": 0.3, "readout": 1.0, "input": [1.0, 0.5]},
        "nonnormal_teacher": {"eigenvalues": [0.8, 0.5, 0.2], "departure": 1.5, "seed": 0},
        "delay_line_teacher": {"delay": 2, "gain": 0.9},
        "random_teacher": {"hidden": 3, "n_out": 2, "n_in": 2, "radius": 0.9, "seed": 0},
        "parse_teacher": {"text": "rotating(0.9, [0.3, 1.2])"},
        "write_network": {"network": TEACHER, "path": str(folder / "network.nc")},
        "read_network": {"path": str(folder / "network.nc")},
        "network_at": {"runs": data, "rule": "rflo", "seed": 0, "epoch": 1},
        "feedback_at": {"runs": data, "rule": "rflo", "seed": 0, "epoch": 1},
        "networks_of": {"runs": data},
        "status_names": {"dataset": data, "variable": "mode_match"},
        "sweep": {"plan": PLAN, "out": str(folder / "sweep"), "shard": "1/2", "progress": False},
        "open_sweep": {"out": str(folder / "sweep"), "allow_missing": True},
        "identify": {"runs": data, "horizons": [1], "threads": 1, "progress": False},
        "identifiability": {
            "rules": [fm.bptt(), fm.tbptt(1)], "student": STUDENTS[0], "teacher": TEACHER, "steps": 3,
            "learning_rate": 0.01, "snapshots": 4, "every": 2, "feedback": R,
        },
        "letters": {"dataset": data},
        "over_seeds": {"dataset": data, "quantiles": [0.1, 0.5]},
        "outcome_fractions": {"dataset": data},
        "convergence_fraction": {"dataset": data, "threshold": 0.1, "confidence": 0.9},
        "most_frequent": {"dataset": data, "variable": "status", "dims": ["seed"]},
        "error_transfer": pair | {"z": 0.3 + 0.2j},
        "flow_jacobian": pair | {"rule": fm.rflo(), "feedback": R},
        "stability_at": pair | {"rule": fm.rflo(), "feedback": R},
        "end_points": {"flow": flowed, "rules": fm.rflo(), "teacher": TEACHER, "at_rest": 10.0},
        "learning_map": {"rules": fm.bptt(), "end": 5.0} | grid,
    }  # fmt: skip


def public():
    """Every public function and class that makes something, by name."""
    found = {}
    for module in (fm, analysis):
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and name not in ("Modes", "Update", "reproduce"):
                found[name] = value
    return found


def names_of(function, arguments):
    """Words one of which the message of a refusal must hold: the function's parameters, and parts of networks."""
    words = {*inspect.signature(function).parameters, *arguments, "rule", "student", "feedback", "recurrent", "readout"}
    return words | {"input", "teacher", "steps", "arrays", "network", "job"}
