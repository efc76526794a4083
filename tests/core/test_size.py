"""Tiny is a feature: how far it is from a line to its rule, and how much there is to read.

The numbers are promises of docs/architecture.md. Whoever makes the way longer has to say so there.
"""

import ast
import os
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad.core import hooks

PACKAGE = Path(mg.__file__).parent

READING_PATH = [
    "core/graph.py",
    "core/variable.py",
    "core/op.py",
    "core/execute.py",
    "core/autograd.py",
    "tensor.py",
    "ops/linear.py",
    "ops/activation.py",
    "ops/normalization.py",
    "nn/module.py",
]
"""The core, in the order of docs/README.md."""


def entered(function: Callable[[], Any]) -> tuple[set[tuple[str, str]], Any]:
    """The functions of the package that ``function`` enters, as (file, name); and its result."""
    found = set()

    def note(frame: Any, event: str, argument: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(f"{PACKAGE}{os.sep}"):
            name = Path(file).relative_to(PACKAGE).as_posix()
            found.add((name, frame.f_code.co_qualname))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        result = function()
    finally:
        sys.setprofile(before)
    return found, result


def passes() -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """What is entered by linear, sigmoid and sum, and what by their backward pass."""
    x, w, b = mg.randn(5, 3), mg.randn(4, 3, requires_grad=True), mg.randn(4, requires_grad=True)
    F.linear(x, w, b).sigmoid().sum().backward()  # what is found once is found
    w.grad = b.grad = None
    forward, loss = entered(lambda: F.linear(x, w, b).sigmoid().sum())
    backward, _ = entered(loss.backward)
    return forward, backward


@pytest.mark.parametrize(("kernels", "most"), [(True, (14, 18)), (False, (14, 21))])
def test_the_way_from_a_line_to_its_rule(
    kernels: bool, most: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Hooks that another test has left behind, on nodes that still live, are none of this way.
    monkeypatch.setattr(hooks, "watched", weakref.WeakSet())
    with mg.use_kernels(kernels):
        forward, backward = passes()
    assert len(forward) <= most[0], sorted(forward)
    assert len(backward) <= most[1], sorted(backward)
    for file in {file for file, _ in forward | backward}:
        lines = (PACKAGE / file).read_text(encoding="utf-8").count("\n")
        assert lines < 300, f"{file} has {lines} lines"


def test_with_kernels_off_the_rules_are_what_runs() -> None:
    with mg.use_kernels(False):
        forward, backward = passes()
    for name in ("Linear", "Sigmoid", "Sum"):
        assert f"{name}.forward" in {name for _, name in forward}
        assert f"{name}.backward" in {name for _, name in backward}
    assert not [file for file, _ in forward | backward if file.startswith("kernels")]


def test_the_core_is_read_in_one_sitting() -> None:
    texts = [(PACKAGE / file).read_text(encoding="utf-8") for file in READING_PATH]
    assert sum(text.count("\n") for text in texts) <= 2000


def private_names_of_others(source: str) -> list[str]:
    """The private attributes that a file uses and does not define."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    defined = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    defined |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    defined |= {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    defined |= {
        n.attr
        for n in nodes
        if isinstance(n, ast.Attribute)
        and isinstance(n.ctx, ast.Store)
        and isinstance(n.value, ast.Name)
        and n.value.id in {"self", "cls"}
    }
    used = [n.attr for n in nodes if isinstance(n, ast.Attribute)]
    used += [a.name for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names]
    return [name for name in used if name[0] == "_" != name[1:2] and name not in defined]


def test_the_count_of_private_names_sees_them() -> None:
    source = (
        "from .a import _b\nclass C:\n    def _d(self):\n        self._e = self._d\n        x._f._e"
    )
    assert private_names_of_others(source) == ["_f", "_b"]


def test_files_leave_each_others_private_attributes_alone() -> None:
    used = {
        path.relative_to(PACKAGE).as_posix(): private_names_of_others(
            path.read_text(encoding="utf-8")
        )
        for path in PACKAGE.rglob("*.py")
    }
    assert sum(map(len, used.values())) <= 60, {k: v for k, v in used.items() if v}
