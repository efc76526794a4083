"""``kit``: what the tests of the coursework share (``kit.py``, which is no test)."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def kit() -> types.ModuleType:
    """The module ``kit.py``."""
    if "coursework_kit" not in sys.modules:
        path = Path(__file__).with_name("kit.py")
        spec = importlib.util.spec_from_file_location("coursework_kit", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["coursework_kit"] = module
        spec.loader.exec_module(module)
    return sys.modules["coursework_kit"]
