"""What defines a training job: its parameters, checked, before anything is computed."""

import dataclasses
import math
from typing import Any

import numpy as np

from .kernels import layout, optimizers, training
from .networks import LinearRNN, check_network, check_pair, random_feedback, random_student
from .rules import check_rules
from .updates import LOSSES, check_feedback, kernel_rule
from .validation import check_choice, check_flag, check_integer, check_number, check_steps


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


def _check_seeds(seeds):
    listed = [seeds] if isinstance(seeds, int | np.integer) else list(seeds)
    if not listed:
        raise ValueError("seeds must hold at least one whole number >= 0; got none")
    checked = [check_integer("seeds", seed, 0, 2**63 - 1) for seed in listed]
    twice = [seed for seed in checked if checked.count(seed) > 1] if len(set(checked)) < len(checked) else []
    if twice:
        raise ValueError(f"seeds must be distinct; got {twice[0]} more than once")
    return tuple(checked)


def _check_each_seed(name, values, seeds):
    listed = list(values)
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
        raise TypeError(f"adam_betas must be two numbers in [0, 1); got {adam_betas!r}") from None
    return optimizers.Optimizer(
        kind=optimizers.SGD if optimizer == "sgd" else optimizers.ADAM,
        learning_rate=check_number("learning_rate", learning_rate, above=0.0),
        beta_1=check_number("adam_betas", beta_1, 0.0, below=1.0),
        beta_2=check_number("adam_betas", beta_2, 0.0, below=1.0),
        epsilon=check_number("adam_epsilon", adam_epsilon, 0.0),
        clip_norm=math.inf if clip_norm is None else check_number("clip_norm", clip_norm, above=0.0),
    )


def _check_students(students, teacher, hidden, seeds, init_scale):
    if students is None:
        return [random_student(hidden, teacher, scale=init_scale, seed=seed) for seed in seeds]
    students = _check_each_seed("students", students, seeds)
    for student in students:
        check_pair(student, teacher)
        if student.n_hidden != hidden:
            raise ValueError(f"students must have hidden={hidden} units; got one with {student.n_hidden}")
    return students


def _check_feedbacks(feedbacks, rules, students, seeds, feedback_scale):
    if feedbacks is None:
        return [random_feedback(s, scale=feedback_scale, seed=seed) for s, seed in zip(students, seeds, strict=True)]
    feedbacks = _check_each_seed("feedbacks", feedbacks, seeds)
    reader = next((rule for rule in rules if rule.feedback == "random"), None)
    if reader is None:
        raise ValueError("feedbacks must be None where no rule has random feedback; got some")
    return [check_feedback(reader, feedback, students[0].n_out, students[0].n_hidden) for feedback in feedbacks]


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
    seeds = _check_seeds(seeds)
    epochs = check_integer("epochs", epochs)
    settings = check_optimizer(optimizer, learning_rate, adam_betas, adam_epsilon, clip_norm)
    steps = check_steps("steps", steps)
    check_choice("updates", updates, ("sampled", "expected"))
    if updates == "expected" and batch_size is not None:
        raise ValueError(f"batch_size must be None for expected updates, which draw no batch; got {batch_size!r}")
    batch_size = check_integer("batch_size", 32 if batch_size is None else batch_size, 1, 10**7)
    check_choice("loss", loss, LOSSES)
    init_scale = check_number("init_scale", init_scale, 0.0)
    feedback_scale = check_number("feedback_scale", feedback_scale, 0.0)
    record_every = check_integer("record_every", max(1, epochs // 100) if record_every is None else record_every)
    limits = training.Limits(
        stop_loss=-math.inf if stop_loss is None else check_number("stop_loss", stop_loss, 0.0),
        divergence_loss=check_number("divergence_loss", divergence_loss, above=0.0),
    )
    validation_size = check_integer("validation_size", validation_size, 1, 10**7)
    configuration: dict[str, Any] = {
        "rules": [dataclasses.asdict(rule) for rule in rules],
        "teacher": {f.name: getattr(teacher, f.name).tolist() for f in dataclasses.fields(teacher)},
        "hidden": hidden, "seeds": seeds, "epochs": epochs, "learning_rate": settings.learning_rate, "steps": steps,
        "updates": updates, "batch_size": batch_size if updates == "sampled" else None, "optimizer": optimizer,
        "clip_norm": clip_norm, "loss": loss, "init_scale": init_scale, "feedback_scale": feedback_scale,
        "record_every": record_every, "stop_loss": stop_loss, "divergence_loss": limits.divergence_loss,
        "validation_size": validation_size, "adam_betas": [settings.beta_1, settings.beta_2],
        "adam_epsilon": settings.epsilon, "students": "random" if students is None else "given",
        "feedbacks": "random" if feedbacks is None else "given",
    }  # fmt: skip
    students = _check_students(students, teacher, hidden, seeds, init_scale)
    feedbacks = _check_feedbacks(feedbacks, rules, students, seeds, feedback_scale)
    for rule in rules:
        kernel_rule(rule, layout.single_layout(teacher.n_out, hidden, teacher.n_in), hidden, steps, feedbacks[:1])
    return Job(
        rules=rules, teacher=teacher, seeds=seeds, epochs=epochs, steps=steps, updates=updates,
        batch_size=batch_size, optimizer=settings, loss=loss,
        records=np.unique(np.append(np.arange(0, epochs, record_every), epochs)), limits=limits,
        validation_size=validation_size, students=tuple(students), feedbacks=tuple(feedbacks),
        keep_weights=check_flag("keep_weights", keep_weights), configuration=configuration,
    )  # fmt: skip
