"""examples/checkpointing.py: the memory is what the theory says, and the gradients are right."""

import re
from collections.abc import Callable
from typing import Any

import pytest


def test_the_memory_is_about_k_plus_n_over_k(
    example: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    script = example("checkpointing")
    script.BATCH = 512  # activations large beside all else
    script.report(100)
    rows = re.findall(
        r"^ +(\d+) +(\d+) +(\d+) +\S+ +\S+  off by (\S+)$", capsys.readouterr().out, re.M
    )
    assert [int(parts) for parts, *_ in rows] == [1, 2, 10, 40, 100]
    for _, promised, memory, off in rows:
        assert int(promised) <= int(memory) + 2
        assert int(memory) < 1.2 * int(promised) + 10
        assert float(off) < 1e-5
