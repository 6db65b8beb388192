"""The larger networks that updates see under coloured input or noise, beside those that learn (theory section 15)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from ..kernels.arrays.layout import Layout, Network, single_layout
from ..kernels.training.seen import Seen
from ..kernels.updates.doubling import (
    CHANGE_INPUT,
    CHANGE_READOUT,
    CHANGE_RECURRENT,
    FEEDBACK,
    INPUT,
    READOUT,
    RECURRENT,
)
from ..rule_codes import carrier
from ..updates.infinite import place_of
from ..updates.one import student_matrices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..kernels.arrays.workspace import Matrices
    from ..kernels.updates.credit import Carrier
    from ..networks.network import LinearRNN
    from ..typing import FloatArray
    from ..updates.drive import Drive
    from .block_networks import Networks


@dataclasses.dataclass(frozen=True)
class Larger:
    """What updates are computed of: ``network``, its ``update`` and ``carrier``, and what they have to do with ours."""

    network: Network
    update: Network
    carrier: Carrier
    layout: Layout
    seen: Seen | None


def larger(drive: Drive | None, member: Networks, students: Sequence[LinearRNN], offset: float = 0.0) -> Larger:
    """The larger networks of a block, or without a drive its own."""
    if drive is None:
        return Larger(member.weights, member.update, member.carrier, member.layout, None)
    own = member.layout
    place = Layout(own.n_out, own.n_hidden + drive.n_state, drive.channels(own.n_hidden), own.side_by_side)
    (_, network), (_, update) = place.zeros(), place.zeros()
    for position, student in enumerate(students):
        place.put(network, position, student_matrices(drive.student(student)))
    carried_by = carrier(drive.rule(member.learned_rule, own.n_hidden), place, [])
    return Larger(network, update, carried_by, place, seen_by(drive, member, offset))


def seen_in(m: Matrices) -> Seen:
    """What learns in the work space of sums over infinitely many steps, where nothing is beside it."""
    own = Network(*(place_of(m, code) for code in (READOUT, RECURRENT, INPUT)))
    update = Network(*(place_of(m, code) for code in (CHANGE_READOUT, CHANGE_RECURRENT, CHANGE_INPUT)))
    count, nothing = sum(matrix.size for matrix in own), np.zeros((0, 0))
    return Seen(
        own, update, m.flat[:count], m.flat[count : 2 * count], place_of(m, FEEDBACK), 0, nothing, nothing, 0.0
    )  # fmt: skip


def seen_alone(drive: Drive, student: LinearRNN, given: FloatArray | None) -> Seen:
    """A student that learns, from updates of its larger network; ``given`` is what kernels of learning take for R."""
    place = single_layout(student.n_out, student.n_hidden, student.n_in)
    (values, own), (gradient, update) = place.zeros(), place.zeros()
    place.put(own, 0, student_matrices(student))
    feedback = place.readout_like([] if given is None else [given])
    return Seen(own, update, values, gradient, feedback, student.n_hidden, drive.output, drive.direct, 0.0)


def seen_by(drive: Drive, member: Networks, offset: float) -> Seen:
    """What learns, and its place in the larger networks of a drive."""
    kept = member.learner.parameters
    return Seen(
        own=member.weights, own_update=member.update, values=kept.values, gradient=kept.gradient, given=member.given,
        units=member.layout.n_hidden, output=drive.output, direct=drive.direct, offset=offset,
    )  # fmt: skip
