"""Imports go strictly down, and ``import minigrad`` brings in NumPy and nothing heavier.

The order of the levels is the order in which the source can be read. It is checked over the
syntax tree of each file, so an import inside a function or behind ``TYPE_CHECKING`` is seen too.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the bottom to the top. Parts on one level do not import each other.
LEVELS = [
    {"atomic", "core", "core.graph", "core.gradmode", "dtypes", "events", "tables", "terminal"},
    {"backend"},
    {"arrays", "core.variable", "core.versions", "core.where"},
    {"core.op"},
    {"core.guard"},
    {"core.execute", "core.hooks"},
    {"core.autograd", "anomaly"},
    {"ops"},
    {"methods"},
    {"tensor"},
    {"functional", "creation"},
    {"nn", "derivatives", "recompute", "autocast"},
    {"optim"},
    {"kernels"},
    {"data", "serialization", "testing", "diagnostics.stats", "replay"},
    {"diagnostics.observe", "diagnostics.plots", "cuda", "distributed"},
    {"diagnostics"},
    {"coursework", "diagnose", "docs", "lab"},
]
LEVEL = {part: number for number, parts in enumerate(LEVELS) for part in parts}

# Imported inside functions and nowhere else: minigrad works without them.
OPTIONAL = {
    "anywidget", "cupy", "cupyx", "matplotlib", "mpi4py", "pooch", "rich", "safetensors", "torch",
    "traitlets",
}  # fmt: skip


def problems(module: str, source: str, is_package: bool = False) -> list[str]:
    """What is wrong with the imports of ``module`` ("minigrad.nn.linear"), one line each."""
    if module != "minigrad" and part_of(module) is None:
        return [f"{module} belongs to no level: give it one in LEVELS"]
    tree = ast.parse(source)
    package = module if is_package else module.rpartition(".")[0]
    found = []
    for statement, in_function in imports(tree):
        for target in targets(statement, package):
            complaint = judge(module, target, in_function)
            if complaint:
                found.append(f"{module}, line {statement.lineno}: {complaint}")
    if module == "minigrad":
        found += [f"minigrad, line {node.lineno}: {ast.unparse(node)}" for node in surplus(tree)]
    return found


def imports(node: ast.AST, in_function: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Each import statement, those for type checkers included, with whether a function holds it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, in_function
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from imports(child, in_function or inside)


def targets(statement: ast.stmt, package: str) -> Iterator[str]:
    """The absolute names of the modules that an import statement asks for."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
        return
    assert isinstance(statement, ast.ImportFrom)
    source = statement.module or ""
    if statement.level:
        above = package.split(".")[: len(package.split(".")) - statement.level + 1]
        source = ".".join([*above, source] if source else above)
    if source == "minigrad" or source in LEVEL_PACKAGES:
        # "from . import ops" names a module; "from .ops import Mul" may name one too.
        yield from (f"{source}.{alias.name}" for alias in statement.names)
    else:
        yield source


LEVEL_PACKAGES = {f"minigrad.{part.rpartition('.')[0]}" for part in LEVEL if "." in part}


def part_of(module: str) -> str | None:
    """The entry of LEVELS that a module of the package belongs to: the longest that fits."""
    name = module.removeprefix("minigrad.")
    while name and name not in LEVEL:
        name = name.rpartition(".")[0]
    return name or None


def judge(module: str, target: str, in_function: bool) -> str | None:
    """What is wrong with ``module`` importing ``target``; None if nothing is."""
    top = target.partition(".")[0]
    if in_function and top not in OPTIONAL:
        return f"imports {target} inside a function, which is for optional dependencies only"
    if top in OPTIONAL:
        return None if in_function else f"imports {target}, which is optional, outside a function"
    if top != "minigrad":
        known = top == "numpy" or top in sys.stdlib_module_names
        return None if known else f"imports {target}, which minigrad does not depend on"
    if module == "minigrad":
        return None
    here, there = part_of(module), part_of(target)
    assert here is not None
    if there is None:
        return f"imports {target}, which is in no module of LEVELS: name the one that defines it"
    if here == there or LEVEL[there] < LEVEL[here]:
        return None
    relation = "beside" if LEVEL[there] == LEVEL[here] else "above"
    return f"imports {target}, but {there} stands {relation} {here}"


def surplus(tree: ast.Module) -> Iterator[ast.stmt]:
    """What ``minigrad/__init__.py`` holds beside a docstring, imports, __all__ and __version__."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {
            "LATER",
            "__all__",
            "__version__",
        }:
            continue
        if isinstance(node, ast.FunctionDef) and node.name in {"__getattr__", "__dir__"}:
            continue
        if isinstance(node, ast.AugAssign) and ast.unparse(node.target) == "__all__":
            continue
        yield node


# Benches of the lab are no modules: marimo runs them, and its cells import.
FILES = sorted(
    path
    for path in (ROOT / "minigrad").rglob("*.py")
    if not {"__pycache__", "benches"} & set(path.parts)
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_down(path: Path) -> None:
    found = problems(module_name(path), path.read_text(encoding="utf-8"), path.stem == "__init__")
    assert not found, "\n".join(found)


# ------------------------------------------------------------------ the checker, on planted faults


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("minigrad.ops.linear", "from ..tensor import Tensor", "tensor stands above ops"),
        ("minigrad.ops.linear", "from minigrad.tensor import Tensor", "tensor stands above ops"),
        ("minigrad.ops.linear", "import minigrad.nn.linear", "nn stands above ops"),
        ("minigrad.ops", "from .. import nn", "nn stands above ops"),
        ("minigrad.core.gradmode", "from . import graph", "core.graph stands beside"),
        (
            "minigrad.core.gradmode",
            "from .graph import next_order",
            "core.graph stands beside",
        ),
        ("minigrad.optim.sgd", "from ..data import DataLoader", "data stands above optim"),
        ("minigrad.optim.sgd", "from .. import kernels", "kernels stands above optim"),
        ("minigrad.testing", "from .diagnostics import observe", "diagnostics.observe stands"),
        ("minigrad.serialization", "from .diagnostics.plots import curve", "plots stands above"),
        ("minigrad.diagnostics.observe", "from .plots import curve", "plots stands beside"),
        ("minigrad.diagnostics.observe", "from . import plots", "plots stands beside"),
        ("minigrad.nn.linear", "from minigrad import Tensor", "in no module of LEVELS"),
        ("minigrad.nn.linear", "import minigrad", "in no module of LEVELS"),
        ("minigrad.novelty", "import math", "belongs to no level"),
        ("minigrad.novelty", "from .tensor import Tensor\nimport cupy", "belongs to no level"),
        ("minigrad.nn.linear", "from tests.conftest import rng", "does not depend on"),
        ("minigrad.nn.linear", "import examples.quickstart", "does not depend on"),
        ("minigrad.nn.linear", "import scipy.special", "does not depend on"),
        ("minigrad.backend", "import cupy", "optional, outside a function"),
        ("minigrad.backend", "try:\n    import cupy\nexcept ImportError: ...", "optional, outside"),
        ("minigrad.nn.linear", "class A:\n    import torch", "optional, outside a function"),
        ("minigrad.tensor", "def f():\n    from . import ops", "inside a function"),
        ("minigrad.tensor", "def f():\n    import json", "inside a function"),
        ("minigrad.tensor", "async def f():\n    if x:\n        import json", "inside a function"),
        (
            "minigrad.ops.linear",
            "if TYPE_CHECKING:\n    from ..tensor import Tensor",
            "tensor stands above ops",
        ),
        ("minigrad", "from .tensor import Tensor\nTensor.__add__ = add", "Tensor.__add__ = add"),
        ("minigrad", "def f(): ...", "def f()"),
        ("minigrad", "for name in names:\n    globals()[name] = 1", "for name in names"),
        ("minigrad", "import cupy", "optional, outside a function"),
    ],
)
def test_a_planted_fault_is_found(module: str, source: str, complaint: str) -> None:
    is_package = module in {"minigrad", "minigrad.ops"}
    found = problems(module, source, is_package)
    assert len(found) == 1, found
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("minigrad.ops.linear", "from ..backend import Array\nfrom ..core.op import Op"),
        ("minigrad.ops.linear", "import math\nimport numpy as np\nfrom collections import abc"),
        ("minigrad.ops.linear", "if TYPE_CHECKING:\n    from ..core.variable import Variable"),
        ("minigrad.backend", "def f():\n    import cupy.cuda\n    from cupyx import jit"),
        ("minigrad.diagnostics.plots", "from .stats import Stats\nfrom ..nn import Module"),
        ("minigrad.diagnostics.doctor.report", "from .. import plots\nfrom ...optim import Adam"),
        ("minigrad.coursework.check", "from ..diagnostics import plots\nfrom .. import testing"),
        (
            "minigrad",
            '"""Contents."""\nfrom . import nn\n__all__ = ["nn"]\n__version__ = "0"',
        ),
    ],
)
def test_a_sound_file_is_not_accused(module: str, source: str) -> None:
    assert problems(module, source, is_package=module == "minigrad") == []


def test_every_level_is_known_once() -> None:
    assert len(LEVEL) == sum(len(parts) for parts in LEVELS)


# ---------------------------------------------------------------------------- what an import costs


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter holds after ``statement``."""
    code = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return set(json.loads(result.stdout))


def test_import_minigrad_loads_little_beside_numpy() -> None:
    # What NumPy itself loads changes with its version, and what these two load with Python's.
    base = "import numpy, dataclasses, pathlib"
    added = modules_after(f"{base}, minigrad") - modules_after(base)
    own = {name for name in added if name.partition(".")[0] == "minigrad"}
    assert "minigrad.tensor" in own
    foreign = added - own
    assert not {name.partition(".")[0] for name in foreign} & OPTIONAL
    # Parts of the standard library that cost as much as all of minigrad's own files.
    slow = {"asyncio", "email", "http.client", "importlib.metadata", "multiprocessing", "unittest"}
    assert not foreign & slow
    # An accelerator (_bisect) is no library of its own.
    libraries = {name.partition(".")[0] for name in foreign if not name.startswith("_")}
    assert len(libraries) <= 7, sorted(libraries)
