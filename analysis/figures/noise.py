"""Maps of how noisy sampled updates of modes are, beside how far their mean is from the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

import fastmodes as fm

from .style import axis_label, new_figure

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.figure import Figure


def _axis(name: str, values: Any, long_name: str) -> xr.DataArray:
    return xr.DataArray(values, dims=name, coords={name: (name, values, {"long_name": long_name})})


def balanced_batch_size(moments: xr.Dataset) -> xr.DataArray:
    """Batch size at which the noise of an update, tr Cov, equals its squared bias.

    The bias is the part of the mean at right angles to the exact gradient: its length is free, for a learning rate can
    make up for it. Larger batches than this hardly help. Infinite without bias.

    Parameters
    ----------
    moments : xarray.Dataset
        From :func:`fastmodes.update_moments` or :func:`fastmodes.mode_moments`, of batch size 1.
    """
    signal = moments["signal_to_noise"]
    # The cosine of the mean itself with the gradient: that of an endless batch.
    squared_cosine = (moments["expected_cosine"] ** 2 * (1.0 + 1.0 / signal)).clip(max=1.0)
    # What rounding leaves of no bias is none.
    sine = (1.0 - squared_cosine).where(squared_cosine < 1.0 - 1e-12, 0.0)
    return 1.0 / (signal * sine)


def noise_map() -> Figure:
    """Batch sizes over (w, w*) at which BPTT's noise equals its signal, and other rules' noise their bias."""
    values = np.linspace(-0.95, 0.95, 401)
    w, goal = _axis("w", values, "recurrent weight w"), _axis("w_star", values, "teacher's recurrent weight w*")
    rules = [fm.bptt(), fm.tbptt(1), fm.rflo(0.5), fm.eprop()]
    figure, axes = new_figure(1, 4, figsize=(14.5, 4.6), sharey=True)
    for rule, ax in zip(rules, axes, strict=True):
        found = fm.mode_moments(rule, fm.Modes(w, 1.0, 0.5), fm.Modes(goal, 1.0, 1.0), feedback=0.5)
        exact = rule.name == "BPTT"
        size = found["critical_batch_size"] if exact else balanced_batch_size(found)
        shown = xr.DataArray(np.log10(size)).transpose("w_star", "w")
        colours = ax.pcolormesh(w, goal, shown, cmap="cividis", vmin=0, vmax=4, shading="nearest", rasterized=True)
        ax.contour(w, goal, shown, levels=[1.0, 2.0], colors="white", linewidths=(0.8, 1.6))
        ax.plot([-0.95, 0.95], [-0.95, 0.95], color="black", linewidth=0.8, linestyle="--")
        ax.set(title=f"{rule.name}: noise = {'signal' if exact else 'bias'}", aspect="equal")
        ax.set_xlabel(axis_label(w["w"]))
    axes[0].set_ylabel(axis_label(goal["w_star"]))
    figure.colorbar(colours, ax=axes, label="log10 of the batch size", extend="both", fraction=0.02)
    figure.suptitle(
        "Beyond which batch size does averaging no longer help? (a = 1, b = 0.5, p = 1, r = 0.5; white: 10 and 100)"
    )
    return figure
