"""What is seen of the changes, and networks along the path, with their chains."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .chains import Chains, chains_of
from .snapshots import Weights, changes_of

if TYPE_CHECKING:
    from fastmodes.typing import FloatArray

    from .chains import Task

#: Share of the mean variance of hidden units that is added to all, so that silent ones do not rule the metric.
_RIDGE = 1e-2


class Sight(NamedTuple):
    """``rows`` and ``columns`` (unit,) 1 where seen, else 0; whether the change of W is seen as that of the flow."""

    rows: FloatArray
    columns: FloatArray
    flow_field: bool


class Path(NamedTuple):
    """Networks at the nodes of a path through the snapshots, and their chains."""

    networks: Weights
    chains: Chains


class Seen(NamedTuple):
    """Observed changes, and networks from which every rule's changes follow.

    ``readout`` (interval, n_out, n_hidden); ``hidden`` (interval, n_hidden, column) [Delta W, Delta B]; ``path``,
    ``rough`` (2 intervals,): the path that is believed, and one of lower order; ``middle`` (interval,);
    ``updates``, ``weights`` (interval,); ``rows`` and ``columns`` (unit,) as of a sight. Columns of Delta W, and of
    credit, are seen through ``view`` (interval, n_hidden, n_hidden), on the right.
    """

    readout: FloatArray
    hidden: FloatArray
    path: Path
    rough: Path
    middle: Path
    updates: FloatArray
    weights: FloatArray
    rows: FloatArray
    columns: FloatArray
    view: FloatArray

    def averaged(self, of_nodes: FloatArray) -> FloatArray:
        """Sum over the updates of each interval, from values (.., 2 intervals, ..) whose axis of nodes is -3."""
        half = of_nodes.shape[-3] // 2
        both = of_nodes[..., :half, :, :] + of_nodes[..., half:, :, :]
        both *= 0.5 * self.updates[:, None, None]
        return both


def seen_of(
    snapshots: Weights, epochs: FloatArray, task: Task, sight: Sight, slopes: Weights | None = None
) -> Seen:  # fmt: skip
    """The changes between snapshots as they are seen; ``slopes`` as of :func:`.snapshots.changes_of`."""
    changes = changes_of(snapshots, epochs, slopes)
    path, rough = (_path(networks, task) for networks in (changes.nodes, changes.rough))
    middle = Weights(*(part.mean(axis=0) for part in changes.nodes))
    view, n = _view(path, sight), snapshots.recurrent.shape[-1]
    for each in (path, rough):
        each.chains.credit[..., :n] = each.chains.credit[..., :n] @ np.concatenate([view, view])
        each.chains.readout[:] *= sight.columns
    of_recurrent, of_input = changes.changes.recurrent @ view, changes.changes.input
    hidden = np.concatenate([of_recurrent, of_input], axis=2) * sight.rows[:, None]
    readout = changes.changes.readout * sight.columns
    size = np.sum(hidden**2, axis=(1, 2)) + np.sum(readout**2, axis=(1, 2))
    weights = 1 / np.maximum(size, np.finfo(float).tiny + 1e-20 * np.max(size))
    return Seen(
        readout, hidden, path, rough, Path(middle, chains_of(middle, task)), changes.updates, weights, sight.rows,
        sight.columns, view,
    )  # fmt: skip


def _path(networks: Weights, task: Task) -> Path:
    flat = Weights(*(part.reshape(-1, *part.shape[2:]) for part in networks))
    return Path(flat, chains_of(flat, task))


def _view(path: Path, sight: Sight) -> FloatArray:
    """Through what the columns of Delta W are seen (interval, n_hidden, n_hidden).

    By default the inverse root of the hidden units' covariance, in whose metric the noise of all columns is alike; the
    flow field changes by Delta W h, and is seen through the root itself.
    """
    reached = path.chains.reached
    half = reached.shape[1] // 2
    seen = (reached[:, :half] * sight.columns[:, None]).transpose(1, 2, 0, 3).reshape(half, len(sight.columns), -1)
    values, vectors = np.linalg.eigh(seen @ np.swapaxes(seen, 1, 2))
    mean = np.maximum(np.mean(values, axis=1), np.finfo(float).tiny)[:, None]
    shares = np.maximum(values, 0.0) / mean
    root = np.sqrt(shares) if sight.flow_field else 1 / np.sqrt(shares + _RIDGE)
    view: FloatArray = (vectors * root[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    return view * sight.columns[:, None]
