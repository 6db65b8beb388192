"""What defines a training job: its parameters, checked, before anything is computed."""

from __future__ import annotations

import collections
import dataclasses
import math
import numbers
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.training import loop as training
from ..kernels.training import optimizers
from ..networks.network import LinearRNN, check_network, check_pair
from ..networks.random import random_feedback, random_student
from ..networks.units import Units, refuse_nonlinear
from ..rule_codes import unit_decay
from ..rules import LearningRule, at_leak, check_rules
from ..updates.feedback import MOST_SEEDS, check_each_feedback, seed_feedback
from ..updates.infinite import spectral_radius
from ..updates.one import LOSSES
from ..validation import check_choice, check_integer, check_sequence, check_steps, shown
from .configuration import configuration_of, matrices_of
from .given_data import around, check_data, parts
from .optimizers import complete_optimizer, in_kernel
from .parameters import TRAIN, check_parameters
from .plasticity import Plasticity, check_mask, check_rates, check_schedule, check_weight_decay
from .quality import check_quality
from .room import check_room
from .sequences import Sequences
from .surroundings import Surroundings, check_surroundings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .left import Resumed
    from .parameters import LossName, Seeds, UpdatesName


@dataclasses.dataclass(frozen=True)
class Job:
    """Everything that defines a training job, checked."""

    rules: tuple[LearningRule, ...]
    teacher: LinearRNN
    seeds: tuple[int, ...]
    epochs: int
    steps: int
    updates: UpdatesName
    batch_size: int
    optimizer: optimizers.Optimizer
    loss: LossName
    records: NDArray[np.int64]
    limits: training.Limits
    data: Sequences | int | None
    held_out: Sequences | None
    validation_size: int
    labelled: bool
    students: tuple[LinearRNN, ...]
    feedbacks: tuple[NDArray[np.float64], ...]
    keep_weights: bool
    gradient_quality: bool
    plasticity: Plasticity
    schedule: NDArray[np.float64]
    surroundings: Surroundings
    configuration: dict[str, Any]
    #: Runs that go on, by their places; None for one that had not begun.
    resumed: dict[tuple[int, int], Resumed | None] = dataclasses.field(default_factory=dict)
    #: Runs that have been made already, and all that is known of them, by name.
    done: dict[tuple[int, int], dict[str, NDArray[Any]]] = dataclasses.field(default_factory=dict)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(n_out, n_hidden, n_in)."""
        student = self.students[0]
        return student.n_out, student.n_hidden, student.n_in

    @property
    def goes_on(self) -> bool:
        """Whether some of the work has been done before: each run then has a block of its own."""
        return bool(self.resumed or self.done)

    def feedback(self, rule: LearningRule, place: int) -> NDArray[np.float64] | None:
        """R of one rule and seed at the start, or None."""
        return seed_feedback(rule, self.students[place], self.feedbacks[place])


def check_seeds(seeds: Seeds) -> tuple[int, ...]:
    """A number of seeds, from 0 on, or a sequence of seeds, as a tuple of distinct whole numbers.

    Raises
    ------
    TypeError, ValueError
        If there is none, one is no whole number >= 0, or two are equal.
    """
    if isinstance(seeds, numbers.Integral) and not isinstance(seeds, bool):
        if not 1 <= int(seeds) <= MOST_SEEDS:
            raise ValueError(
                f"seeds must be a count from 1 to {MOST_SEEDS} (8 means 0 to 7), or a list of distinct whole numbers "
                f">= 0 (one seed: [8]); got {shown(seeds)}"
            )
        return tuple(range(int(seeds)))
    listed = check_sequence("seeds", seeds, "distinct whole numbers >= 0", MOST_SEEDS)
    checked = [check_integer("seeds", seed, 0, 2**63 - 1) for seed in listed]
    seed, count = collections.Counter(checked).most_common(1)[0]
    if count > 1:
        raise ValueError(f"seeds must be distinct; got {seed} more than once")
    return tuple(checked)


def check_stable_teacher(teacher: LinearRNN) -> None:
    """Check that the expected loss has a limit for infinitely many steps.

    Raises
    ------
    ValueError
        If the teacher's spectral radius is not below one.
    """
    radius = spectral_radius(teacher.recurrent)
    if radius >= 1:
        raise ValueError(f"teacher must have a spectral radius below 1 for infinitely many steps; got {radius:.17g}")


def given_students(students: Any) -> LinearRNN | list[Any] | None:
    """What was given as initial students: nothing, one network, or a list of them.

    Raises
    ------
    TypeError, ValueError
        If it is anything else.
    """
    if isinstance(students, LinearRNN | None):
        return students
    return check_sequence("students", students, "fastmodes.LinearRNN", MOST_SEEDS)


def check_hidden(hidden: int | None, students: LinearRNN | Sequence[LinearRNN] | None) -> int:
    """Hidden units: those asked for, or those of the students given.

    Raises
    ------
    TypeError
        If neither is given, or the first student is no LinearRNN.
    """
    if hidden is not None:
        units: int = TRAIN["hidden"].check("hidden", hidden)
        return units
    if students is None:
        raise TypeError("hidden must be a whole number from 1 to 100000 unless students are given; got None")
    first = students if isinstance(students, LinearRNN) else next(iter(students), None)
    return check_network("students", first).n_hidden


def check_students(
    students: LinearRNN | Sequence[LinearRNN] | None,
    teacher: LinearRNN,
    hidden: int,
    seeds: Sequence[int],
    init_scale: float,
) -> list[LinearRNN]:
    """The initial students, one for each seed: the one or those given, or random ones.

    Raises
    ------
    TypeError, ValueError
        If their number or their size differs.
    """
    if students is None:
        return [random_student(hidden, teacher, scale=init_scale, seed=seed) for seed in seeds]
    given = [students] * len(seeds) if isinstance(students, LinearRNN) else students
    listed = check_sequence("students", given, "fastmodes.LinearRNN", MOST_SEEDS)
    if len(listed) != len(seeds):
        raise ValueError(f"students must hold one entry for each of the {len(seeds)} seeds; got {len(listed)}")
    for student in listed:
        check_pair(check_network("students", student), teacher)
        if student.n_hidden != hidden:
            raise ValueError(f"students must have hidden={hidden} units; got one with {student.n_hidden}")
    return listed


def check_feedbacks(
    feedbacks: ArrayLike | Sequence[ArrayLike] | None,
    rules: Sequence[LearningRule],
    students: Sequence[LinearRNN],
    seeds: Sequence[int],
    feedback_scale: float,
) -> list[NDArray[np.float64]]:
    """R of each seed: the one or those given, or random ones.

    Raises
    ------
    TypeError, ValueError
        If their number or shape differs, or a rule cannot turn one of them.
    """
    first, pairs = students[0], zip(students, seeds, strict=True)
    if feedbacks is None:
        found = [random_feedback(student, scale=feedback_scale, seed=seed) for student, seed in pairs]
    else:
        found = check_each_feedback(feedbacks, len(seeds), "seeds", first.n_out, first.n_hidden)
    for rule in rules:
        for student, feedback in zip(students, found, strict=True):
            seed_feedback(rule, student, feedback)
    return found


def check_job(given: dict[str, Any]) -> Job:
    """Check the parameters of :func:`fastmodes.train`: each by itself, then those that depend on each other.

    Parameters
    ----------
    given : dict
        Every name of :data:`~fastmodes.training.parameters.TRAIN`.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    rules = check_rules(given["rules"])
    data = check_data(given["data"], check_choice("loss", given["loss"], LOSSES))
    given = given | around(data, given)
    given = given | {"students": given_students(given["students"])}
    given = given | {"hidden": check_hidden(given["hidden"], given["students"]), "seeds": check_seeds(given["seeds"])}
    labelled = given.pop("labelled")
    values = SimpleNamespace(**check_parameters(given), labelled=labelled)
    rules = tuple(at_leak(rule, values.leak) for rule in rules)
    rate, rates = check_rates(values.learning_rate, [rule.name for rule in rules], values.seeds)
    optimizer = complete_optimizer(values.optimizer, vars(values) | {"learning_rate": rate, "rates": rates})
    units, mask = Units(values.nonlinearity, values.leak), check_mask(values.mask, values.hidden)
    plasticity = Plasticity(units, rates, check_weight_decay(values.weight_decay), mask)
    schedule = check_schedule(values.schedule, values.epochs)
    surroundings = check_surroundings(values, data, plasticity.leak)
    _check_updates(values, data)
    check_quality(values, data)
    data, held_out = parts(values, data)
    if values.record_every is None:
        values.record_every = max(1, values.epochs // 100)
    check_room(rules, values)
    configuration = configuration_of(rules, values, optimizer, plasticity, data)
    students = check_students(values.students, values.teacher, values.hidden, values.seeds, values.init_scale)
    if values.students is None:
        students = [plasticity.masked(student) for student in students]
    feedbacks = check_feedbacks(values.feedbacks, rules, students, values.seeds, values.feedback_scale)
    # What was drawn follows from the seeds; what was given is kept.
    if values.students is not None:
        configuration["students"] = [matrices_of(student) for student in students]
    if values.feedbacks is not None:
        configuration["feedbacks"] = [feedback.tolist() for feedback in feedbacks]
    for rule in rules:
        unit_decay(rule, values.hidden)
    records = np.unique(np.append(np.arange(0, values.epochs, values.record_every), values.epochs))
    stop_loss = -math.inf if values.stop_loss is None else values.stop_loss
    return Job(
        rules=rules, teacher=values.teacher, seeds=values.seeds, epochs=values.epochs, steps=values.steps,
        updates=values.updates, batch_size=values.batch_size, optimizer=in_kernel(optimizer), loss=values.loss,
        records=records, limits=training.Limits(stop_loss=stop_loss, divergence_loss=values.divergence_loss),
        data=data, held_out=held_out, validation_size=values.validation_size, labelled=values.labelled,
        students=tuple(plasticity.trained(student) for student in students), feedbacks=tuple(feedbacks),
        keep_weights=values.keep_weights, gradient_quality=values.gradient_quality, plasticity=plasticity,
        schedule=schedule, surroundings=surroundings, configuration=configuration,
    )  # fmt: skip


def _check_updates(values: SimpleNamespace, data: Sequences | int | None) -> None:
    """Steps and batch of sampled or expected updates."""
    expected = values.updates == "expected"
    if expected:
        refuse_nonlinear(values.nonlinearity, "updates='expected'")
    if expected and data is not None:
        raise ValueError("data must be None for expected updates, whose sequences are all that there are; got data")
    check_steps("steps", values.steps, infinite=expected)
    if values.steps == math.inf:
        check_stable_teacher(values.teacher)
    if expected and values.batch_size is not None:
        given = shown(values.batch_size)
        raise ValueError(f"batch_size must be None for expected updates, which draw no batch; got {given}")
