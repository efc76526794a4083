"""What the tests of modules share."""

from types import ModuleType

import pytest


@pytest.fixture
def torch() -> ModuleType:
    """PyTorch, for the tests marked ``parity``."""
    module: ModuleType = pytest.importorskip("torch", reason="compares with PyTorch: make parity")
    module.set_num_threads(1)  # its idle threads spin, and the arrays here are small
    return module
