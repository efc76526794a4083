"""What the whole suite shares: hypothesis profiles, random numbers that a failure can repeat."""

import os
import zlib
from pathlib import Path

# The matrices of the tests are small: threads of BLAS would only wait for each other. Set before
# NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Figures are drawn without a screen; set before anything imports matplotlib.
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import numpy as np
import pytest

import minigrad as mg

# No deadline: a slow machine is no failure. In CI the same examples come each time, so that a
# change is not blamed for what it did not do; elsewhere each run looks at new ones.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tests that take long run when they are asked for."""
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the slow tests unless --slow is given, and say so."""
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: runs with --slow"))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Of the Python files in tests/, collect the tests alone: the search for doctests would import
    the helpers too, some of which need what is not installed."""
    helper = collection_path.suffix == ".py" and not collection_path.name.startswith("test_")
    return True if helper else None


def seed_of(node: pytest.Item) -> int:
    """A seed of the test's own: the same in every run, whichever other tests run beside it."""
    return zlib.crc32(node.nodeid.encode())


@pytest.fixture(autouse=True)
def _seeded(request: pytest.FixtureRequest) -> None:
    """Whatever minigrad draws in a test (weights, dropout, shuffling), it draws again next time."""
    mg.manual_seed(seed_of(request.node))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers for a test, seeded with its name."""
    return np.random.default_rng(seed_of(request.node))
