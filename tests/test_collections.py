"""Updates of many networks in one work space: nothing of one network is left for the next."""

import math

import numpy as np
import pytest
from fastmodes.kernels.updates import doubling, finite
from fastmodes.kernels.updates import infinite as kernel
from problems import family, feedback_for, matrices, random_network, worst

import fastmodes as fm
from fastmodes.rule_codes import kernel_rule
from fastmodes.updates import infinite
from fastmodes.updates.one import by_recursion

#: Of the students of a collection: powers that are spent at once, soon, late, never, and powers that grow.
RADII = (1.02, 0.3, 1.0, 0.05, 0.9, 0.99, 0.6)
#: (n_out, n_hidden, n_in, teacher's n_hidden): more outputs than units, one unit, more units than a lane.
SIZES = ((2, 3, 4, 5), (3, 1, 2, 2), (10, 2, 1, 3), (1, 9, 3, 4))


def collection(rng, sizes, radii):
    n_out, n, n_in, n_teacher = sizes
    students = [random_network(rng, n_out, n, n_in, radius=radius) for radius in radii]
    return students, random_network(rng, n_out, n_teacher, n_in, radius=0.95)


def each_alone(rule, students, rng):
    """R of every student, None where the rule reads none."""
    return [feedback_for(rule, student, rng)[0] for student in students]


def part_of(update, i):
    return [np.asarray(part)[i] for part in update]


@pytest.mark.parametrize("loss", ["final", "sequence"])
@pytest.mark.parametrize("steps", [1, 2, 3, 8, 20, 37, 200])
def test_a_collection_is_each_of_its_networks_alone(steps, loss, rng):
    sizes = SIZES[steps % len(SIZES)]
    students, teacher = collection(rng, sizes, RADII)
    for rule in family(sizes[1], steps, rng, horizons=(None, 1, 5, max(1, steps - 1), steps + 3)):
        given = each_alone(rule, students, rng)
        feedbacks = given if rule.reads_feedback else None
        many = fm.expected_updates(rule, students, teacher, steps, feedbacks=feedbacks, loss=loss)
        turned = fm.expected_updates(
            rule, students[::-1], teacher, steps, feedbacks=given[::-1] if rule.reads_feedback else None, loss=loss
        )
        for i, (student, r) in enumerate(zip(students, given, strict=True)):
            alone = infinite.finite_update(rule, student, teacher, steps, r, loss)
            assert worst(part_of(many, i), alone) == 0, (rule, i)
            assert worst(part_of(turned, -1 - i), alone) == 0, (rule, i)
            if steps < 200 or i < 2:
                recursion = by_recursion(rule, student, teacher, steps, r, loss)
                assert worst(part_of(many, i), recursion) < 1e-11, (rule, i)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_collection_at_infinitely_many_steps(sizes, rng):
    students, teacher = collection(rng, sizes, (0.9, 0.3, 0.02, 0.8, 0.6))
    for rule in family(sizes[1], 4, rng, horizons=(None, 1, 7)):
        if rule.horizon is None and max(infinite.propagated_radius(rule, s, teacher) for s in students) > 0.98:
            continue
        given = each_alone(rule, students, rng)
        feedbacks = given if rule.reads_feedback else None
        many = fm.expected_updates(rule, students, teacher, math.inf, feedbacks=feedbacks)
        for i, (student, r) in enumerate(zip(students, given, strict=True)):
            alone = fm.expected_update(rule, student, teacher, math.inf, feedback=r)
            assert worst(part_of(many, i), alone) == 0, (rule, i)
            assert worst(part_of(many, i), by_recursion(rule, student, teacher, 500, r, "final")) < 1e-11, (rule, i)


def filled_with_rubbish(m, rule):
    """Everything an update does not read becomes NaN."""
    read = [code + s for code in (doubling.READOUT, doubling.RECURRENT, doubling.INPUT) for s in range(2)]
    read += [doubling.FEEDBACK] if rule.reads_feedback else []
    read += [] if rule.propagator == "recurrent_diagonal" else [doubling.DECAY]
    kept = {code: infinite.place_of(m, code).copy() for code in read}
    m.flat[:] = np.nan
    for code, matrix in kept.items():
        infinite.place_of(m, code)[:] = matrix


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 7, 40, 200])
def test_no_update_reads_what_it_has_not_written(steps, weighted, rng):
    sizes = (2, 5, 3, 4)
    for radius in (1.01, 0.4):
        (student,), teacher = collection(rng, sizes, (radius,))
        for rule in family(5, steps, rng, horizons=(None, 1, 3)):
            r, _ = feedback_for(rule, student, rng)
            in_kernel, found = kernel_rule(rule), []
            for rubbish in (False, True):
                m = infinite.work_space(
                    rule, student, teacher, r, weighted=weighted, levels=finite.chain_levels(in_kernel, steps)
                )
                if rubbish:
                    filled_with_rubbish(m, rule)
                found.append((finite.finite_update(m, in_kernel, steps, weighted), *infinite.read_update(m, student)))
            assert worst(found[1], found[0]) == 0, rule


def test_no_update_at_infinitely_many_steps_reads_what_it_has_not_written(rng):
    (student,), teacher = collection(rng, (2, 5, 3, 4), (0.8,))
    for rule in family(5, 4, rng):
        r, _ = feedback_for(rule, student, rng)
        found = []
        for rubbish in (False, True):
            m = infinite.work_space(rule, student, teacher, r)
            if rubbish:
                filled_with_rubbish(m, rule)
            loss, _ = kernel.infinite_update(m, kernel_rule(rule), doubling.MOST_DOUBLINGS)
            found.append((loss, *infinite.read_update(m, student)))
        assert worst(found[1], found[0]) == 0, rule


def test_identical_students_have_identical_updates(rng):
    student, teacher = random_network(rng, 2, 3, 4, radius=0.9), random_network(rng, 2, 4, 4, radius=0.9)
    many = fm.expected_updates(fm.bptt(), [student] * 40, teacher, 20, loss="sequence")
    for part in many:
        assert (np.asarray(part) == np.asarray(part)[0]).all()
    assert matrices(student)[0].shape == many.readout.shape[1:]
