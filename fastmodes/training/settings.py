"""What defines a training job: its parameters, checked, before anything is computed."""

import collections
import dataclasses
import math
from typing import Any

import numpy as np

from ..kernels.arrays import layout
from ..kernels.training import loop as training
from ..kernels.training import optimizers
from ..networks.network import LinearRNN, check_network, check_pair, random_feedback, random_student
from ..rules import check_rules
from ..updates.infinite import spectral_radius
from ..updates.one import LOSSES, check_feedback, kernel_rule
from ..validation import (
    LARGEST_SCALE,
    check_choice,
    check_flag,
    check_integer,
    check_memory,
    check_number,
    check_sequence,
    check_steps,
    one_by_one,
    shown,
)

#: More runs than this are a sweep, or a slip of the keyboard.
_MOST_SEEDS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Job:
    """Everything that defines a training job, checked."""

    rules: tuple
    teacher: LinearRNN
    seeds: tuple
    epochs: int
    steps: int
    updates: str
    batch_size: int
    optimizer: optimizers.Optimizer
    loss: str
    records: np.ndarray
    limits: training.Limits
    validation_size: int
    students: tuple
    feedbacks: tuple
    keep_weights: bool
    configuration: dict[str, Any]

    @property
    def sizes(self):
        """(n_out, n_hidden, n_in)."""
        student = self.students[0]
        return student.n_out, student.n_hidden, student.n_in

    def feedback(self, rule, place):
        """R of one rule and seed, or None."""
        return None if rule.feedback == "readout" else self.feedbacks[place]


def check_seeds(seeds):
    """One seed or several as a tuple of distinct whole numbers.

    Raises
    ------
    TypeError, ValueError
        If there is none, one is no whole number >= 0, or two are equal.
    """
    listed = [seeds] if isinstance(seeds, int | np.integer) else seeds
    listed = check_sequence("seeds", listed, "distinct whole numbers >= 0", _MOST_SEEDS)
    checked = [check_integer("seeds", seed, 0, 2**63 - 1) for seed in listed]
    seed, count = collections.Counter(checked).most_common(1)[0]
    if count > 1:
        raise ValueError(f"seeds must be distinct; got {seed} more than once")
    return tuple(checked)


def _check_each_seed(name, values, seeds, kind):
    listed = check_sequence(name, one_by_one(values, "seed"), kind, _MOST_SEEDS)
    if len(listed) != len(seeds):
        raise ValueError(f"{name} must hold one entry for each of the {len(seeds)} seeds; got {len(listed)}")
    return listed


def check_optimizer(optimizer, learning_rate, adam_betas, adam_epsilon, clip_norm):
    """The optimiser as the kernels read it.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    check_choice("optimizer", optimizer, ("sgd", "adam"))
    try:
        beta_1, beta_2 = adam_betas
    except (TypeError, ValueError):
        raise TypeError(f"adam_betas must be two numbers in [0, 1); got {shown(adam_betas)}") from None
    return optimizers.Optimizer(
        kind=optimizers.SGD if optimizer == "sgd" else optimizers.ADAM,
        learning_rate=check_number("learning_rate", learning_rate, above=0.0),
        beta_1=check_number("adam_betas", beta_1, 0.0, below=1.0),
        beta_2=check_number("adam_betas", beta_2, 0.0, below=1.0),
        epsilon=check_number("adam_epsilon", adam_epsilon, above=0.0),
        clip_norm=math.inf if clip_norm is None else check_number("clip_norm", clip_norm, above=0.0),
    )


def check_stable_teacher(teacher):
    """Check that the expected loss has a limit for infinitely many steps.

    Raises
    ------
    ValueError
        If the teacher's spectral radius is not below one.
    """
    radius = spectral_radius(teacher.recurrent)
    if radius >= 1:
        raise ValueError(f"teacher must have a spectral radius below 1 for infinitely many steps; got {radius:.17g}")


def check_students(students, teacher, hidden, seeds, init_scale):
    """The initial students, one for each seed: those given, or random ones.

    Raises
    ------
    TypeError, ValueError
        If their number or their size differs.
    """
    if students is None:
        return [random_student(hidden, teacher, scale=init_scale, seed=seed) for seed in seeds]
    students = _check_each_seed("students", students, seeds, "fastmodes.LinearRNN")
    for student in students:
        check_pair(check_network("students", student), teacher)
        if student.n_hidden != hidden:
            raise ValueError(f"students must have hidden={hidden} units; got one with {student.n_hidden}")
    return students


def check_feedbacks(feedbacks, rules, students, seeds, feedback_scale):
    """R of each seed: those given, or random ones.

    Raises
    ------
    TypeError, ValueError
        If their number or shape differs, or no rule reads them.
    """
    if feedbacks is None:
        return [random_feedback(s, scale=feedback_scale, seed=seed) for s, seed in zip(students, seeds, strict=True)]
    feedbacks = _check_each_seed("feedbacks", feedbacks, seeds, "arrays (n_out, n_hidden)")
    reader = next((rule for rule in rules if rule.feedback == "random"), None)
    if reader is None:
        raise ValueError(f"feedbacks must be None where no rule has random feedback; got {len(feedbacks)} arrays")
    return [check_feedback(reader, feedback, students[0].n_out, students[0].n_hidden) for feedback in feedbacks]


def _matrices(network):
    return {field.name: getattr(network, field.name).tolist() for field in dataclasses.fields(network)}


def _bytes_needed(rules, teacher, hidden, seeds, records, steps, batch, validation_size, keep_weights):
    """What a job holds at the very least: students, one run's history and its eigenvectors, sequences, results."""
    around = teacher.n_out + teacher.n_in
    weights = hidden * (hidden + around)
    history = records * (weights + 4 * hidden * hidden)
    sequences = steps * (hidden + around) * max(batch, validation_size)
    results = rules * seeds * records * (6 * hidden + 9 * teacher.n_hidden + (weights if keep_weights else 0))
    return 8.0 * (seeds * weights + history + sequences + results)


def check_job(
    rules, teacher, *, hidden, seeds, epochs, learning_rate, steps, updates, batch_size, optimizer, clip_norm, loss,
    init_scale, feedback_scale, record_every, stop_loss, divergence_loss, validation_size, adam_betas, adam_epsilon,
    students, feedbacks, keep_weights,
) -> Job:  # fmt: skip
    """Check every parameter of :func:`fastmodes.train`, in the order of its signature.

    Raises
    ------
    TypeError, ValueError
        For a parameter outside its range.
    """
    rules = check_rules(rules)
    check_network("teacher", teacher)
    hidden = check_integer("hidden", hidden, 1, 100_000)
    seeds = check_seeds(seeds)
    epochs = check_integer("epochs", epochs)
    settings = check_optimizer(optimizer, learning_rate, adam_betas, adam_epsilon, clip_norm)
    check_choice("updates", updates, ("sampled", "expected"))
    steps = check_steps("steps", steps, infinite=updates == "expected")
    if steps == math.inf:
        check_stable_teacher(teacher)
    if updates == "expected" and batch_size is not None:
        raise ValueError(f"batch_size must be None for expected updates, which draw no batch; got {shown(batch_size)}")
    batch_size = check_integer("batch_size", 32 if batch_size is None else batch_size, 1, 10**7)
    check_choice("loss", loss, LOSSES)
    init_scale = check_number("init_scale", init_scale, 0.0, LARGEST_SCALE)
    feedback_scale = check_number("feedback_scale", feedback_scale, 0.0, LARGEST_SCALE)
    record_every = check_integer("record_every", max(1, epochs // 100) if record_every is None else record_every)
    limits = training.Limits(
        stop_loss=-math.inf if stop_loss is None else check_number("stop_loss", stop_loss, 0.0),
        divergence_loss=check_number("divergence_loss", divergence_loss, above=0.0),
    )
    validation_size = check_integer("validation_size", validation_size, 1, 10**7)
    keep_weights = check_flag("keep_weights", keep_weights)
    batch = batch_size if updates == "sampled" else 1
    timed = 1 if steps == math.inf else steps
    needed = _bytes_needed(
        len(rules), teacher, hidden, len(seeds), epochs // record_every + 1, timed, batch, validation_size, keep_weights
    )
    check_memory(
        needed, hidden=hidden, steps=timed, seeds=len(seeds), epochs=epochs, record_every=record_every,
        batch_size=batch, validation_size=validation_size,
    )  # fmt: skip
    configuration: dict[str, Any] = {
        "rules": [dataclasses.asdict(rule) for rule in rules],
        "teacher": _matrices(teacher),
        "hidden": hidden, "seeds": seeds, "epochs": epochs, "learning_rate": settings.learning_rate,
        "steps": "inf" if steps == math.inf else steps,
        "updates": updates, "batch_size": batch_size if updates == "sampled" else None, "optimizer": optimizer,
        "clip_norm": clip_norm, "loss": loss, "init_scale": init_scale, "feedback_scale": feedback_scale,
        "record_every": record_every, "stop_loss": stop_loss, "divergence_loss": limits.divergence_loss,
        "validation_size": validation_size, "adam_betas": [settings.beta_1, settings.beta_2],
        "adam_epsilon": settings.epsilon, "students": None, "feedbacks": None,
        "keep_weights": keep_weights,
    }  # fmt: skip
    given_students, given_feedbacks = students is not None, feedbacks is not None
    students = check_students(students, teacher, hidden, seeds, init_scale)
    feedbacks = check_feedbacks(feedbacks, rules, students, seeds, feedback_scale)
    # What was drawn follows from the seeds; what was given is kept.
    if given_students:
        configuration["students"] = [_matrices(student) for student in students]
    if given_feedbacks:
        configuration["feedbacks"] = [feedback.tolist() for feedback in feedbacks]
    for rule in rules:
        kernel_rule(rule, layout.single_layout(teacher.n_out, hidden, teacher.n_in), hidden, steps, feedbacks[:1])
    return Job(
        rules=rules, teacher=teacher, seeds=seeds, epochs=epochs, steps=steps, updates=updates,
        batch_size=batch_size, optimizer=settings, loss=loss,
        records=np.unique(np.append(np.arange(0, epochs, record_every), epochs)), limits=limits,
        validation_size=validation_size, students=tuple(students), feedbacks=tuple(feedbacks),
        keep_weights=keep_weights, configuration=configuration,
    )  # fmt: skip
