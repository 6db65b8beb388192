"""The integrators' coefficients satisfy the order conditions of rooted trees, and what else they are chosen for."""

import itertools

import numpy as np
import pytest
from fastmodes.kernels.tableau import EXPLICIT, EXPLICIT_STAGES, STIFF, STIFF_STAGES


def trees(order):
    """Rooted trees of so many vertices, as sorted tuples of their subtrees."""
    if order == 1:
        return {()}
    found = set()
    for parts in partitions(order - 1):
        for children in itertools.product(*(trees(part) for part in parts)):
            found.add(tuple(sorted(children)))
    return found


def partitions(count, largest=None):
    largest = count if largest is None else largest
    if count == 0:
        yield ()
    for first in range(min(count, largest), 0, -1):
        yield from ((first, *rest) for rest in partitions(count - first, first))


def order(tree):
    return 1 + sum(map(order, tree))


def density(tree):
    return order(tree) * np.prod([density(child) for child in tree])


def stages(tree, several, single):
    """What a tree demands of every stage; ``single`` replaces the coefficients below vertices with one child."""
    value = np.ones(len(several))
    for child in tree:
        value = value * ((single if len(tree) == 1 else several) @ stages(child, several, single))
    return value


def misses(weights, several, single, tree):
    return weights @ stages(tree, several, single) - 1 / density(tree)


def all_trees(up_to):
    return [tree for count in range(1, up_to + 1) for tree in sorted(trees(count))]


def explicit():
    a = np.zeros((EXPLICIT_STAGES, EXPLICIT_STAGES))
    for i, row in enumerate(EXPLICIT.stages):
        a[i + 1, : len(row)] = row
    return a, a[-1].copy(), np.array(EXPLICIT.error)


def rosenbrock():
    """The coefficients in the form y + sum b_i k_i, with alpha and beta = alpha + Gamma."""
    gammas = np.linalg.inv(np.eye(STIFF_STAGES) / STIFF.gamma - STIFF.c)
    step = STIFF.a[-1].copy()
    step[-1] = 1.0
    alpha = STIFF.a @ gammas
    return gammas, alpha, alpha + gammas, step @ gammas, gammas[-1]


def test_counts_of_rooted_trees():
    assert [len(trees(n)) for n in range(1, 7)] == [1, 1, 2, 4, 9, 20]


@pytest.mark.parametrize("tree", all_trees(5), ids=str)
def test_explicit_pair_has_order_five_and_four(tree):
    a, b, error = explicit()
    assert abs(misses(b, a, a, tree)) < 1e-15
    if order(tree) <= 4:
        assert abs(misses(b - error, a, a, tree)) < 1e-15


def test_explicit_pair_has_no_higher_order():
    a, b, error = explicit()
    assert max(abs(misses(b, a, a, tree)) for tree in trees(6)) > 1e-4
    assert max(abs(misses(b - error, a, a, tree)) for tree in trees(5)) > 1e-4


def test_explicit_first_stage_is_the_last_one():
    a, b, error = explicit()
    assert b[-1] == 0.0
    assert a[-1].sum() == pytest.approx(1.0, abs=1e-15)
    assert error.sum() == pytest.approx(0.0, abs=1e-16)


def explicit_weights(x):
    """y(x) = y + h sum_j weights_j k_j, as kernels/flow/networks.py writes it."""
    _, b, _ = explicit()
    first, last = np.eye(EXPLICIT_STAGES)[[0, -1]]
    start = first - b
    end = b - last - start
    return x * (b + (1 - x) * (start + x * (end + (1 - x) * np.array(EXPLICIT.dense))))


@pytest.mark.parametrize("x", [0.1, 0.5, 0.83])
@pytest.mark.parametrize("tree", all_trees(4), ids=str)
def test_explicit_interpolant_has_order_four(tree, x):
    a, _, _ = explicit()
    assert explicit_weights(x) @ stages(tree, a, a) == pytest.approx(x ** order(tree) / density(tree), abs=1e-14)


def test_explicit_interpolant_joins_smoothly():
    _, b, _ = explicit()
    np.testing.assert_array_equal(explicit_weights(0.0), 0.0)
    np.testing.assert_allclose(explicit_weights(1.0), b, atol=1e-16)
    for x, stage in ((0.0, 0), (1.0, -1)):
        slope = explicit_weights(x + 1e-30j).imag / 1e-30
        np.testing.assert_allclose(slope, np.eye(EXPLICIT_STAGES)[stage], atol=1e-14)


@pytest.mark.parametrize("tree", all_trees(5), ids=str)
def test_rosenbrock_pair_has_order_five_and_four(tree):
    _, alpha, beta, b, error = rosenbrock()
    assert abs(misses(b, alpha, beta, tree)) < 1e-13
    if order(tree) <= 4:
        assert abs(misses(b - error, alpha, beta, tree)) < 1e-13


def test_rosenbrock_pair_has_no_higher_order():
    _, alpha, beta, b, error = rosenbrock()
    assert max(abs(misses(b - error, alpha, beta, tree)) for tree in trees(5)) > 1e-5


@pytest.mark.parametrize("x", [0.1, 0.5, 0.83])
@pytest.mark.parametrize("tree", all_trees(4), ids=str)
def test_rosenbrock_interpolant_has_order_four(tree, x):
    gammas, alpha, beta, b, _ = rosenbrock()
    d = STIFF.dense @ gammas
    weights = x * (b + (1 - x) * (d[0] + x * (d[1] + x * d[2])))
    assert weights @ stages(tree, alpha, beta) == pytest.approx(x ** order(tree) / density(tree), abs=1e-12)


def test_rosenbrock_pair_is_stable_on_the_left_and_forgets_what_is_infinitely_fast():
    _, _, beta, b, error = rosenbrock()
    ones, eye = np.ones(STIFF_STAGES), np.eye(STIFF_STAGES)
    for weights in (b, b - error):
        assert abs(1 - weights @ np.linalg.solve(beta, ones)) < 1e-11
        for y in np.geomspace(1e-3, 1e6, 300):
            assert abs(1 + 1j * y * (weights @ np.linalg.solve(eye - 1j * y * beta, ones))) <= 1 + 1e-11
    for stage in range(STIFF_STAGES):
        assert beta[stage, stage] == pytest.approx(STIFF.gamma, rel=1e-13)
