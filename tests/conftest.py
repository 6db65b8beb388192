"""Shared by all tests."""

import numpy as np
import pytest

import fastmodes as fm

#: Files whose tests watch the clock, signals or processes: they are run by themselves, after all others.
ALONE = (
    "test_children.py",
    "test_interrupts.py",
    "test_parallel.py",
    "test_progress.py",
    "test_sweep_dask.py",
    "test_sweep_kills.py",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if (
            item.path.name in ALONE
            or "interrupt" in item.name
            or "signal" in item.name
            or "importing_the_package" in item.name
        ):
            item.add_marker("alone")


@pytest.fixture
def rng():
    return np.random.default_rng(20260601)


@pytest.fixture
def teacher():
    """Four modes, identity bases."""
    return fm.aligned_teacher(fm.Modes([0.9, 0.7, 0.5, 0.3], 1.0, 1.0))
