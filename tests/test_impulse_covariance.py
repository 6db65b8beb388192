"""The covariance of anybody's update from pairs of impulses."""

import numpy as np
import pytest
from naive_moments import quadratic_forms
from problems import family, feedback_for, random_network

import fastmodes as fm
from fastmodes.updates.impulses import covariance_root

MATRICES = ("readout", "recurrent", "input")


@pytest.mark.parametrize("loss", ["final", "sequence"])
def test_of_sampled_updates_it_holds_the_variances(loss, rng):
    student, teacher = random_network(rng, 2, 3, 2), random_network(rng, 2, 2, 2)
    root = rng.standard_normal((2, 2))
    for covariance in (None, root @ root.T):
        for rule in list(family(3, 4, rng))[::6]:
            r, _ = feedback_for(rule, student, rng)
            found = fm.impulse_covariance(
                lambda x, rule=rule, r=r: fm.sampled_update(rule, student, teacher, x, feedback=r, loss=loss),
                4, 2, covariance,
            )  # fmt: skip
            moments = fm.update_moments(rule, student, teacher, 4, feedback=r, loss=loss, input_covariance=covariance)
            wanted = np.concatenate([moments[f"variance_{name}"].values.ravel() for name in MATRICES])
            assert np.abs(np.diagonal(found)[1:] - wanted).max() < 1e-12 * wanted.max(), rule
            assert np.linalg.eigvalsh(found)[0] > -1e-12 * np.trace(found)


def test_coloured_input_and_any_tuple(rng):
    forms = rng.standard_normal((5, 6, 6))
    root = rng.standard_normal((6, 6))

    def update(inputs):
        values = np.einsum("eij,i,j->e", forms, inputs.ravel(), inputs.ravel())
        return values[0], values[1:].reshape(2, 2)

    for covariance in (np.eye(6), root @ root.T):
        factor = covariance_root(covariance, 6)
        q = quadratic_forms(lambda z, factor=factor: np.concatenate([np.ravel(p) for p in update(factor @ z)]), 6)
        wanted = 2 * np.einsum("eik,fik->ef", q, q)
        found = fm.impulse_covariance(update, 3, 2, covariance)
        assert np.abs(found - wanted).max() < 1e-12 * np.abs(wanted).max()


def test_what_is_not_quadratic_is_refused(rng):
    student, teacher = random_network(rng, 2, 3, 2), random_network(rng, 2, 2, 2)
    with pytest.raises(ValueError, match=r"^update must be quadratic"):
        fm.impulse_covariance(lambda x: fm.sampled_update("bptt", student, teacher, x, nonlinearity="tanh"), 4, 2)
    with pytest.raises(TypeError, match=r"^update must return a tuple"):
        fm.impulse_covariance(lambda x: 1.0, 4, 2)
    with pytest.raises(TypeError, match=r"^update must be a callable"):
        fm.impulse_covariance(3, 4, 2)
