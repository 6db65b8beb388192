"""The names of all result variables, what they mean and hold, and the attributes every dataset carries.

Each variable is named once, here or beside. :func:`annotate` checks names, kinds of values and dims of a dataset
against these lists and writes the attributes.
"""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numba
import numpy as np
import xarray as xr

from .compared_names import COMPARED
from .identification_names import IDENTIFICATION
from .moment_variables import MOMENTS

#: name: (long_name, units)
VARIABLES = {
    # coordinates
    "rule": ("learning rule", "1"),
    "seed": ("random seed", "1"),
    "epoch": ("epoch (parameter updates made)", "1"),
    "mode": ("mode, by decreasing teacher eigenvalue", "1"),
    "unit": ("hidden unit, or rank of a singular value or eigenvalue, by decreasing value", "1"),
    "unit_to": ("hidden unit that receives", "1"),
    "unit_from": ("hidden unit that sends", "1"),
    "output": ("output channel", "1"),
    "channel": ("input channel", "1"),
    "teacher_recurrent": ("teacher's recurrent mode entry w*", "1"),
    "teacher_recurrent_imag": ("imaginary part of the teacher's recurrent mode entry w*", "1"),
    "teacher_readout": ("teacher's readout mode entry a*", "1"),
    "teacher_input": ("teacher's input mode entry b*", "1"),
    "time": ("flow time s (epochs times learning rate)", "1"),
    # training
    "loss": ("loss", "1"),
    "validation_loss": ("loss on held-out sequences", "1"),
    "training_loss": ("loss on all sequences that are learned from", "1"),
    "status": ("how the run or the trajectory ended", "1"),
    "resume_epoch": ("epoch that a run goes on from", "1"),
    "resume_state": ("weights, moments and feedback that a run goes on from", "1"),
    "resume_stream": ("random stream that a run goes on from", "1"),
    "resume_run": ("run at work: place of its rule times the number of seeds, and place of its seed", "1"),
    "resume_history": ("trained weights of a run at its records, as the kernels have them", "1"),
    "epochs_made": ("parameter updates made before the run ended", "1"),
    "mode_recurrent": ("estimated recurrent mode entry w", "1"),
    "mode_recurrent_imag": ("imaginary part of the estimated recurrent mode entry w", "1"),
    "mode_readout": ("estimated readout mode entry a", "1"),
    "mode_readout_imag": ("imaginary part of the estimated readout mode entry a", "1"),
    "mode_input": ("estimated input mode entry b", "1"),
    "mode_input_imag": ("imaginary part of the estimated input mode entry b", "1"),
    "mode_feedback": ("estimated feedback mode entry r", "1"),
    "mode_feedback_imag": ("imaginary part of the estimated feedback mode entry r", "1"),
    "mode_is_complex": ("whether an imaginary part of the mode's estimates is not small", "1"),
    "mode_match": ("how sure the match of the mode with the teacher's is", "1"),
    "alignment_recurrent": ("recurrent alignment", "1"),
    "alignment_readout": ("readout alignment", "1"),
    "alignment_input": ("input alignment", "1"),
    "alignment_feedback": ("feedback alignment", "1"),
    "eigenvalue_real": ("real part of the eigenvalues of W", "1"),
    "eigenvalue_imag": ("imaginary part of the eigenvalues of W", "1"),
    "singular_value": ("singular values of W", "1"),
    "change_eigenvalue_real": ("real part of the eigenvalues of the change of W", "1"),
    "change_eigenvalue_imag": ("imaginary part of the eigenvalues of the change of W", "1"),
    "change_singular_value": ("singular values of the change of W", "1"),
    "readout_weights": ("readout matrix A", "1"),
    "recurrent_weights": ("recurrent matrix W", "1"),
    "input_weights": ("input matrix B", "1"),
    # a network's file, tasks in a row
    "readout": ("readout matrix A", "1"),
    "recurrent": ("recurrent matrix W", "1"),
    "input": ("input matrix B", "1"),
    "task": ("task, a teacher, in the order given", "1"),
    "phase": ("phase of training", "1"),
    "phase_task": ("task that is trained in the phase", "1"),
    "task_loss": ("expected loss on each task", "1"),
    "whole_change_singular_value": ("singular values of the change of W since the first phase began", "1"),
    "forgetting": ("loss on a task that came back since it was trained, over the untrained loss", "1"),
    "transfer": ("loss on a task that had gone before it was trained, over the untrained loss", "1"),
    # theory started from an epoch
    "start_epoch": ("epoch the theory starts from", "1"),
    "prediction_status": ("how the prediction ended", "1"),
    "theory_error": ("theory error (mean distance of w, a, b)", "1"),
    "standstill_error": ("error of the prediction that nothing changes", "1"),
    "start": ("flow time from which the theory starts", "1"),
    "optimizer": ("optimiser", "1"),
    "variation": ("what is changed", "1"),
    # largest stable learning rate
    "teacher_eigenvalue": ("teacher eigenvalue w*", "1"),
    "predicted_rate": ("largest stable learning rate, predicted", "1"),
    "measured_rate": ("largest stable learning rate, found in training one unit", "1"),
    "network_predicted_rate": ("largest learning rate of whole networks, predicted", "1"),
    "network_measured_rate": ("largest learning rate of whole networks, found in training", "1"),
    # rank of what is learned
    "matrix": ("weight matrix", "1"),
    "rank_place": ("place of a singular value of the change of B", "1"),
    "other_rule": ("learning rule it is compared with", "1"),
    "angle": ("place of a principal angle", "1"),
    "numeric_rank": ("numeric rank of the change", "1"),
    "participation_ratio": ("participation ratio of the change", "1"),
    "stable_rank": ("stable rank of the change", "1"),
    "effective_rank": ("effective rank of the change", "1"),
    "share_in_feedback_rows": ("share of the change inside the row space of R", "1"),
    "share_in_readout_rows": ("share of the change inside the row space of A", "1"),
    "outside_factors": ("share of the change's norm outside R^T times its factor", "1"),
    "factor_recurrent": ("factor Q of the change of W, which is R^T Q", "1"),
    "factor_input": ("factor Q of the change of B, which is R^T Q", "1"),
    "change_input_singular_value": ("singular values of the change of B", "1"),
    "normalised_singular_value": ("singular values of the change of W over the largest", "1"),
    "normalised_eigenvalue": ("moduli of the eigenvalues of the change of W over the largest", "1"),
    "eigenvalue_imaginary_share": ("largest imaginary part over the largest modulus", "1"),
    "principal_angle": ("principal angle between the changes of W", "rad"),
    "feedback_weights": ("fixed feedback matrix R", "1"),
    "final_feedback_weights": ("feedback matrix R of a rule at the end", "1"),
    "learned_feedback_weights": ("feedback matrix R of a rule", "1"),
    **IDENTIFICATION,
    # single modes: flow, maps, fixed points, stability
    "point": ("grid point", "1"),
    "eigenvalue": ("which of the two non-zero eigenvalues", "1"),
    "manifold": ("manifold of fixed points", "1"),
    "position": ("position s along the manifold (readout a, or recurrent w)", "1"),
    "w": ("recurrent weight w of the mode", "1"),
    "a": ("readout weight a of the mode", "1"),
    "b": ("input weight b of the mode", "1"),
    "time_reached": ("flow time s at which the trajectory ended", "1"),
    "evaluations": ("right-hand sides evaluated", "1"),
    "detour": ("path length over distance from start to end", "1"),
    "path_length": ("length of the path in (w, a, b)", "1"),
    "learning_time": ("flow time until the loss has fallen to the threshold", "1"),
    "basin": ("where the trajectory goes", "1"),
    "fixed_point_exists": ("whether the rule has this manifold of fixed points", "1"),
    "stability_real": ("real part of the flow's eigenvalue", "1"),
    "stability_imag": ("imaginary part of the flow's eigenvalue", "1"),
    "stable": ("whether both eigenvalues have a negative real part", "1"),
    "oscillatory": ("whether the eigenvalues are complex", "1"),
    "kind": ("kind of fixed point", "1"),
    "convergence_rate": ("convergence rate (minus the larger real part)", "1"),
    "largest_learning_rate": ("largest stable learning rate of the discrete map", "1"),
    "window_exists": ("whether a part of the wrong branch is stable", "1"),
    "window_start": ("|s| where the wrong branch becomes stable", "1"),
    "window_end": ("|s| of the Hopf point, where it loses stability again", "1"),
    "teacher_product": ("teacher's product p = a* b*", "1"),
    "feedback": ("feedback weight r", "1"),
    "feedback_entry": ("feedback entry f by which the error enters the mode", "1"),
    "decay": ("fixed propagator", "1"),
    "horizon": ("horizon of credit in steps (0: endless)", "1"),
    "learning_rate": ("learning rate", "1"),
    # flow of whole networks
    "integration_steps": ("steps of the integrator, rejected ones included", "1"),
    "spectral_radius": ("spectral radius of W at the end", "1"),
    "final_readout_weights": ("readout matrix A at the end", "1"),
    "final_recurrent_weights": ("recurrent matrix W at the end", "1"),
    "final_input_weights": ("input matrix B at the end", "1"),
    "relative_loss": ("loss over the teacher's output power", "1"),
    "update_size": ("largest entry of the update", "1"),
    "growth": ("largest real part of the flow's eigenvalues", "1"),
    "fastest": ("largest modulus of the flow's eigenvalues", "1"),
    "end_stable": ("whether no eigenvalue's real part is positive", "1"),
    "end_kind": ("where the flow has ended", "1"),
    # sweeps of expected updates
    "update_readout_norm": ("Frobenius norm of Delta A", "1"),
    "update_recurrent_norm": ("Frobenius norm of Delta W", "1"),
    "update_input_norm": ("Frobenius norm of Delta B", "1"),
    "outcome": ("how runs ended", "1"),
    "outcome_fraction": ("fraction of seeds", "1"),
    "convergence_fraction": ("fraction of seeds that converged", "1"),
    "convergence_low": ("lower end of the interval of the fraction that converged", "1"),
    "convergence_high": ("upper end of the interval of the fraction that converged", "1"),
    "gradient_cosine": ("cosine between the update and the exact gradient", "1"),
    **COMPARED,
    **MOMENTS,
}

#: Data variables of whole numbers: flags and counts. All others hold floating-point numbers.
_WHOLE = (
    "status epochs_made resume_epoch resume_stream mode_is_complex mode_match prediction_status evaluations basin "
    "fixed_point_exists stable oscillatory kind window_exists end_stable end_kind integration_steps horizon "
    "start_epoch quality_status horizon_status passage_status runs_used pairs_used "
    "geometry_status shared_feedback flat_directions likeliest verdict"
)
WHOLE_NUMBERS = frozenset(_WHOLE.split())
#: Dims that data variables have besides those of the user's grid.
DIMS = {
    name: dim
    for dim, names in {
        "mode": "mode_recurrent mode_recurrent_imag mode_readout mode_readout_imag mode_input mode_input_imag "
        "mode_feedback mode_feedback_imag mode_is_complex mode_match "
        "prediction_status theory_error standstill_error",
        "unit": "eigenvalue_real eigenvalue_imag singular_value change_eigenvalue_real change_eigenvalue_imag "
        "change_singular_value whole_change_singular_value normalised_singular_value normalised_eigenvalue "
        "factor_recurrent",
        "eigenvalue": "stability_real stability_imag",
        "manifold": "fixed_point_exists",
        "rank_place": "change_input_singular_value",
        "angle": "principal_angle",
        "matrix": "numeric_rank participation_ratio stable_rank effective_rank share_in_feedback_rows "
        "share_in_readout_rows outside_factors matrix_gradient_cosine",
    }.items()
    for name in names.split()
}


def flag_attributes(names: Sequence[str]) -> dict[str, Any]:
    """CF attributes of a status variable whose value i means ``names[i]``.

    Parameters
    ----------
    names : sequence of str
        Words without spaces.
    """
    return {"flag_values": np.arange(len(names), dtype=np.int8), "flag_meanings": " ".join(names)}


def annotate(
    dataset: xr.Dataset, *, title: str, configuration: Mapping[str, Any], seeds: Iterable[int] = ()
) -> xr.Dataset:
    """Give every variable its ``long_name`` and ``units`` and the dataset its provenance; return the dataset.

    Parameters
    ----------
    dataset : xarray.Dataset
        Changed in place. Attributes already present on a variable (flags, say) stay.
    title : str
        What the dataset is.
    configuration : dict
        Everything needed to compute it again; stored as one JSON string.
    seeds : sequence of int
        Entropy of the random streams.

    Raises
    ------
    KeyError
        If a variable is not named in this module. Coordinates with a ``long_name`` of their own may have any name:
        they are the axes of a user's grid.
    ValueError
        If a variable holds another kind of values than it should, or lacks its dim.
    """
    from .. import __version__

    for name, variable in dataset.variables.items():
        if name in VARIABLES:
            long_name, units = VARIABLES[name]
        elif name in dataset.coords:
            long_name, units = variable.attrs.get("long_name", str(name)), variable.attrs.get("units", "1")
        else:
            raise KeyError(f"{name!r} is not named in fastmodes.files.schema.VARIABLES")
        _check_form(name, variable, name in dataset.coords)
        variable.attrs = {"long_name": long_name, "units": units} | variable.attrs
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    dataset.attrs = {
        "Conventions": "CF-1.11",
        "title": title,
        "source": f"fastmodes {__version__}",
        "history": f"{now} computed by fastmodes {__version__}",
        "created_at": now,
        "configuration": json.dumps(configuration, sort_keys=True, default=_plain),
        "versions": json.dumps(versions(), sort_keys=True),
        "seed_entropy": json.dumps([int(seed) for seed in seeds]),
    } | dataset.attrs
    return dataset


def _check_form(name: Hashable, variable: xr.Variable, coordinate: bool) -> None:
    if coordinate:
        # The axes of a user's grid are numbers or labels.
        kinds, wanted = "fiubUO", "numbers or texts"
    elif name in WHOLE_NUMBERS:
        kinds, wanted = "i", "whole numbers"
    else:
        kinds, wanted = "f", "floating-point numbers (or be listed in schema.WHOLE_NUMBERS)"
    if variable.dtype.kind not in kinds:
        raise ValueError(f"{name!r} must hold {wanted}; got {variable.dtype}")
    if not coordinate and name in DIMS and DIMS[name] not in variable.dims:
        raise ValueError(f"{name!r} must have the dim {DIMS[name]!r}; got {variable.dims}")


def versions() -> dict[str, str]:
    """Versions of the package and of what its numbers depend on."""
    from .. import __version__

    return {
        "fastmodes": __version__,
        "numba": numba.__version__,
        "numpy": np.__version__,
        "xarray": xr.__version__,
        "python": platform.python_version(),
    }


def _plain(value: object) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, xr.DataArray):
        return {"dims": value.dims, "values": value.values.tolist()}
    if isinstance(value, tuple):
        return list(value)
    return repr(value)
