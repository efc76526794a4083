"""``kit`` and ``table``: what the tests of the coursework share. The modules are no tests."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest


def helper(name: str) -> types.ModuleType:
    """A module of this folder, which is no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def kit() -> types.ModuleType:
    """Student's functions made from text, and judged."""
    return helper("coursework_kit")


@pytest.fixture(scope="session")
def table(kit: types.ModuleType) -> types.ModuleType:
    """The mutation suite and its table in the documentation."""
    helper("coursework_mutation")
    return helper("coursework_table")
