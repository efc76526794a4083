"""What docs/architecture.md and docs/README.md say of the files and of PyTorch is so."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, ops
from minigrad.core import graph

ROOT = Path(__file__).parents[2]


@pytest.fixture
def architecture(pages: dict[str, Any]) -> Any:
    return pages["architecture"]


def enforced_levels() -> list[set[str]]:
    """LEVELS as tests/test_imports.py has it, without importing that file."""
    tree = ast.parse((ROOT / "tests" / "test_imports.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LEVELS":
            levels: list[set[str]] = ast.literal_eval(node.value)
            return levels
    raise AssertionError("tests/test_imports.py has no LEVELS")


def test_the_levels_are_those_that_are_enforced(architecture: Any) -> None:
    section = architecture.text.partition("## Files and levels")[2]
    listed = re.search(r"```text\n(.*?)```", section, re.S)
    assert listed
    assert [set(line.split()) for line in listed[1].splitlines()] == enforced_levels()


def test_each_part_is_explained(architecture: Any) -> None:
    section = architecture.text.partition("## Files and levels")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^\| `([\w.]+)` \|", section, re.M))
    assert explained == set().union(*enforced_levels()) - {"diagnostics.plots"}
    assert "`diagnostics.plots`" in section


def bare(source: str) -> str:
    """The source of a class without docstring and annotations, in one way of writing it."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
    (definition,) = tree.body
    assert isinstance(definition, ast.ClassDef)
    if ast.get_docstring(definition):
        del definition.body[0]
    return ast.unparse(tree)


def test_the_operation_on_the_page_is_the_one_in_the_source(architecture: Any) -> None:
    shown = next(b.text for b in architecture.blocks if "class Tanh(Op)" in b.text)
    assert bare(shown) == bare(inspect.getsource(ops.Tanh))


def test_the_walk_imports_nothing_of_the_package() -> None:
    imported = re.findall(r"^(?:from|import) (\S+)", inspect.getsource(graph), re.M)
    assert imported
    assert not [name for name in imported if name.startswith((".", "minigrad", "numpy"))]


# ---------------------------------------------------------------- the table of differences


def test_data_is_the_array_and_types_are_numpys() -> None:
    assert type(mg.tensor([1.5]).data) is np.ndarray
    assert isinstance(mg.float32, np.dtype)
    assert mg.float32 == np.float32


def test_floating_types_are_not_mixed_and_integers_are_converted() -> None:
    single, double = mg.tensor([1.5]), mg.tensor([2.5], dtype=mg.float64)
    with pytest.raises(TypeError, match="expected one floating type"):
        single + double
    assert (single + mg.tensor([2])).dtype == np.float32


def test_a_change_in_place_of_what_requires_a_gradient_is_refused() -> None:
    y = mg.tensor([1.5], requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="cannot be recorded"):
        y.add_(1)
    with mg.no_grad():
        y.add_(1)
    assert y.tolist() == [4.0]


def test_an_option_that_is_not_there_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        F.cross_entropy(mg.zeros(1, 2), mg.tensor([0]), size_average=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        nn.Linear(2, 3, biass=False)  # type: ignore[call-arg]


def test_numpys_spelling_of_axes_works_too() -> None:
    x = mg.tensor([[1.0, 2.0], [4.0, 8.0]])
    assert x.sum(axis=1, keepdims=True).tolist() == x.sum(dim=1, keepdim=True).tolist()


def far_from_zero() -> Any:
    """float32 data of mean 10,000 and standard deviation 1, and its x_hat in float64."""
    x = (np.random.default_rng(0).normal(size=(64, 8)) + 1e4).astype(np.float32)
    exact = x.astype(np.float64) - x.astype(np.float64).mean(axis=0)
    return x, exact / np.sqrt((exact * exact).mean(axis=0) + 1e-5)


def test_batch_norm_is_right_for_data_far_from_zero(architecture: Any) -> None:
    x, exact = far_from_zero()
    assert np.abs(nn.BatchNorm1d(8)(mg.tensor(x)).data - exact).max() < 1e-5
    assert architecture.says("within 0.00001: the first sample is taken away before the mean")


@pytest.mark.parity
def test_pytorchs_batch_norm_is_off_by_what_the_table_says(architecture: Any) -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch (make parity)")
    x, exact = far_from_zero()
    with torch.no_grad():
        error = np.abs(torch.nn.BatchNorm1d(8)(torch.from_numpy(x)).numpy() - exact).max()
    assert 5e-4 < error < 1e-2
    assert architecture.says("off by about 0.002")


def test_the_reading_order_holds_the_five_ideas(pages: dict[str, Any]) -> None:
    for idea in ("core/graph.py", "core/op.py", "tensor.py", "nn/module.py", "backend/library.py"):
        assert f"(../minigrad/{idea})" in pages["README"].text, idea


def test_a_node_that_runs_too_early_is_left_out(pages: dict[str, Any]) -> None:
    """What the first exercise of the reading order says will happen."""
    Node = pages["README"].names["Node"]
    a = Node(0)
    late = Node(4, a, a)
    c = Node(3, late, a)
    arrived = graph.backpropagate({c: 1}, lambda node, paths: (paths,) * len(node.parents))
    assert arrived[a] == 1


def test_an_operation_is_added_in_three_places(architecture: Any, tmp_path: Path) -> None:
    """The example of the page: its class, its function, and a test of it. No other file changes."""
    shown = {b.text for b in architecture.blocks}
    rule = next(text for text in shown if "class Normalize(Op)" in text)
    function = next(text for text in shown if "def normalize(input" in text)
    shutil.copytree(
        ROOT / "minigrad", tmp_path / "minigrad", ignore=shutil.ignore_patterns("*.pyc")
    )
    for file, name, text in (
        ("ops/activation.py", "Normalize", rule.partition("class")[2]),
        ("functional/layers.py", "normalize", function.replace("Normalize(", "ops.Normalize(")),
    ):
        path = tmp_path / "minigrad" / file
        source = path.read_text(encoding="utf-8").replace("__all__ = [", f'__all__ = ["{name}",', 1)
        text = f"class{text}" if name == "Normalize" else text
        path.write_text(f"{source}\n\n{text}", encoding="utf-8")
    test = """
import minigrad as mg, minigrad.functional as F
from minigrad.testing import gradcheck, gradgradcheck
assert mg.normalize is F.normalize and "normalize" in mg.__all__ and mg.ops.Normalize
x = mg.randn(2, 3, dtype=mg.float64, requires_grad=True)
assert gradcheck(mg.normalize, x) and gradgradcheck(mg.normalize, x)
print(mg.__file__)
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", test],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path) in done.stdout
