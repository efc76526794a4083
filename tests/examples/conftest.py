"""The examples as the tests see them: scripts in a folder that is no package."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def example() -> Callable[[str], Any]:
    """``example("gamma_beta")`` is the script as a module; its folder is on the path, as it is
    when the script is run."""

    def load(name: str) -> Any:
        sys.path.insert(0, str(EXAMPLES))
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(str(EXAMPLES))

    return load
