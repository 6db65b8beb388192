"""What each matrix of a student makes of its gradient: leak, rates of its own, mask, weight decay (theory section 10).

A leaky student runs as ``h_{t+1} = (1 - alpha) h_t + alpha (W h_t + B x_t)``, a plain network with the effective
matrices ``W_e = (1 - alpha) I + alpha W`` and ``B_e = alpha B``. Training works on these: their gradient is alpha
times smaller for W and B, and a step of W moves W_e by alpha of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..kernels.arrays.layout import Layout
from ..kernels.training import optimizers as kernels
from ..networks.leaky import MATRICES as MATRICES
from ..networks.leaky import check_per_matrix, effective, effective_matrices, own_matrices
from ..networks.network import LinearRNN
from ..networks.units import PLAIN, Units
from ..validation import check_array, check_memory, check_number

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Plasticity:
    """How the matrices of all runs learn.

    Attributes
    ----------
    units : Units
        The students' hidden units: phi, and alpha.
    rates : array (rule, seed, matrix) or None
        Learning rates; None where one serves all, the optimiser's.
    decay : tuple of float
        Weight decay of each matrix.
    mask : array (n_hidden, n_hidden) or None
        1 where W learns.
    """

    units: Units = PLAIN
    rates: NDArray[np.float64] | None = None
    decay: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mask: NDArray[np.float64] | None = None

    @property
    def leak(self) -> float:
        """alpha where the effective matrices are trained; 1 where W and B themselves are, as nonlinear units want."""
        return self.units.leak if self.units.linear else 1.0

    def trained(self, student: LinearRNN) -> LinearRNN:
        """The student as it is trained."""
        return effective(student, self.leak)

    def masked(self, student: LinearRNN) -> LinearRNN:
        """The student without the recurrent weights that do not learn."""
        if self.mask is None:
            return student
        return LinearRNN(student.readout, student.recurrent * self.mask, student.input)

    def table(self) -> dict[str, list[list[float]]]:
        """Learning rates of each matrix by rule and seed, in values that JSON has."""
        assert self.rates is not None
        return {name: self.rates[..., i].tolist() for i, name in enumerate(MATRICES)}

    def own(self, weights: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The students' own A, W, B from trained ones (epoch, ...)."""
        readout, recurrent, input_ = weights
        return [readout, *own_matrices(recurrent, input_, self.leak)]

    def trained_history(self, weights: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Trained A, W, B from the students' own (epoch, ...), as :meth:`trained` makes them of one."""
        readout, recurrent, input_ = weights
        return [readout, *effective_matrices(recurrent, input_, self.leak)]

    def effective(self, weights: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """A, W_e, B_e from trained ones (epoch, ...); of nonlinear units those of small signals."""
        readout, recurrent, input_ = weights
        return [readout, *effective_matrices(recurrent, input_, 1.0 if self.units.linear else self.units.leak)]

    def learns(self, rule: int, seed_place: int) -> list[Any]:
        """1 where a weight of A, W, B learns, 0 where it stays; numbers, or an array for W with a mask."""
        rates = np.ones(3) if self.rates is None else self.rates[rule, seed_place]
        learns: list[Any] = [float(eta > 0) for eta in rates]
        return learns if self.mask is None else [learns[0], learns[1] * self.mask, learns[2]]

    def in_kernel(self, place: Layout, rule: int, seed_places: Sequence[int]) -> kernels.Plasticity:
        """As the kernels read it, for the networks of a block."""
        if self.leak == 1.0 and self.rates is None and self.mask is None and not any(self.decay):
            return kernels.equal_plasticity()
        flats, views = zip(*(place.zeros() for _ in kernels.Plasticity._fields), strict=True)
        gain, rate, decay, anchor = views
        sizes = place.n_out, place.n_hidden, place.n_in
        shapes = ((sizes[0], sizes[1]), (sizes[1], sizes[1]), (sizes[1], sizes[2]))
        leaks = np.array([1.0, self.leak, self.leak])
        kept = [np.zeros(shapes[0]), (1.0 - self.leak) * np.eye(sizes[1]), np.zeros(shapes[2])]
        for position, seed_place in enumerate(seed_places):
            rates = np.ones(3) if self.rates is None else self.rates[rule, seed_place]
            learns = [np.full(shape, float(eta > 0)) for shape, eta in zip(shapes, rates, strict=True)]
            if self.mask is not None:
                learns[1] = learns[1] * self.mask
            place.put(gain, position, [leak * on for leak, on in zip(leaks, learns, strict=True)])
            place.put(rate, position, [np.full(s, r) for s, r in zip(shapes, leaks * rates, strict=True)])
            place.put(decay, position, [d / k * on for d, k, on in zip(self.decay, leaks, learns, strict=True)])
            place.put(anchor, position, kept)
        return kernels.Plasticity(*flats)


def check_weight_decay(weight_decay: Any) -> tuple[float, float, float]:
    """lambda of each matrix.

    Raises
    ------
    TypeError, ValueError
        If one is missing or negative.
    """
    return check_per_matrix("weight_decay", weight_decay, lambda name, value: check_number(name, value, 0.0))


def check_schedule(schedule: Any, epochs: int) -> NDArray[np.float64]:
    """Factor of the learning rate at every epoch; empty where it is constant.

    Raises
    ------
    TypeError, ValueError
        If there is not one finite number >= 0 for each epoch.
    """
    if isinstance(schedule, str) and schedule == "constant":
        return np.empty(0)
    check_memory(16.0 * epochs, "keep the schedule constant", epochs=epochs)
    if isinstance(schedule, str):
        done = np.arange(epochs) / epochs
        return 1.0 - done if schedule == "linear" else 0.5 + 0.5 * np.cos(np.pi * done)
    factors: NDArray[np.float64] = check_array("schedule", schedule, (epochs,), dims=("epoch",))
    if factors.min() < 0:
        raise ValueError(f"schedule must hold numbers >= 0; got {factors.min():.17g}")
    return factors


def check_mask(mask: Any, hidden: int) -> NDArray[np.float64] | None:
    """0 or 1 for every entry of W, or None.

    Raises
    ------
    TypeError, ValueError
        If the shape differs from (n_hidden, n_hidden), or an entry is neither 0 nor 1.
    """
    if mask is None:
        return None
    # A labelled mask keeps its labels: its axes are told by name.
    values = mask if isinstance(mask, xr.DataArray) else np.asarray(mask)
    values = values.astype(float) if values.dtype == bool else values
    checked: NDArray[np.float64] = check_array("mask", values, (hidden, hidden), dims=("n_hidden", "n_hidden"))
    if not np.isin(checked, (0.0, 1.0)).all():
        wrong = checked[~np.isin(checked, (0.0, 1.0))][0]
        raise ValueError(f"mask must hold 0 and 1 alone; got {wrong:.17g}")
    return checked


def check_rates(
    learning_rate: Any, rules: Sequence[str], seeds: Sequence[int]
) -> tuple[float | None, NDArray[np.float64] | None]:
    """The optimiser's rate (None where none is given), and where runs or matrices differ their rates times that one.

    Raises
    ------
    TypeError, ValueError
        If a rate is negative, all are zero, or their number or labels are not those of the runs.
    """
    if not isinstance(learning_rate, Mapping) and np.ndim(learning_rate) == 0:
        return learning_rate, None
    single = check_per_matrix("learning_rate", learning_rate, lambda name, value: value)
    named = zip(MATRICES, single, strict=True)
    parts = [_per_run(f"learning_rate of {name}", value, rules, seeds) for name, value in named]
    rates = np.stack(parts, axis=-1)
    if not (rates > 0).any(axis=-1).all():
        raise ValueError("learning_rate must be > 0 for at least one of readout, recurrent and input in every run")
    return 1.0, rates


def _per_run(name: str, value: Any, rules: Sequence[str], seeds: Sequence[int]) -> NDArray[np.float64]:
    """A rate of all runs, of each seed, or labelled by rule and seed, as an array (rule, seed)."""
    if isinstance(value, xr.DataArray):
        if set(value.dims) - {"rule", "seed"}:
            raise ValueError(f"{name} may have the dims 'rule' and 'seed'; got {value.dims}")
        value = _in_order(name, _in_order(name, value, "rule", rules), "seed", seeds)
        value = value.expand_dims([dim for dim in ("rule", "seed") if dim not in value.dims])
        value = value.transpose("rule", "seed").values
    elif np.ndim(value) > 1:
        raise ValueError(f"{name} must be a number, one for each seed, or a DataArray; got shape {np.shape(value)}")
    numbers = np.asarray(value, dtype=float)
    for kind, size, wanted in (("seeds", numbers.shape[-1:], seeds), ("rules", numbers.shape[:-1], rules)):
        if size not in ((), (1,), (len(wanted),)):
            raise ValueError(f"{name} must hold one number for each of {len(wanted)} {kind}; got {size[0]}")
    if not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise ValueError(f"{name} must be finite and >= 0; got {numbers.min():.17g}")
    return np.broadcast_to(numbers, (len(rules), len(seeds)))


def _in_order(name: str, value: xr.DataArray, dim: str, wanted: Sequence[Any]) -> xr.DataArray:
    """Rates in the order of the runs, told by their labels where they have some.

    Raises
    ------
    ValueError
        If the labels are not those of the runs, each once.
    """
    if dim not in value.indexes:
        return value
    labels = value.indexes[dim].tolist()
    if sorted(map(str, labels)) != sorted(map(str, wanted)):
        raise ValueError(f"{name} must have the labels {list(wanted)} along {dim!r}; got {labels}")
    return value.sel({dim: list(wanted)})
