"""Shared by all tests."""

import numpy as np
import pytest

import fastmodes as fm


@pytest.fixture
def rng():
    return np.random.default_rng(20260601)


@pytest.fixture
def teacher():
    """Four modes, identity bases."""
    return fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0))
