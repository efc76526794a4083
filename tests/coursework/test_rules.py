"""What a file may not contain is found before it runs, and told with its line."""

import pytest

from minigrad.coursework.rules import complaint
from minigrad.coursework.sandbox import MAX_FILE

ALLOWED = ("numpy", "math")


def found(folder, text, allowed=ALLOWED):
    (folder / "own.py").write_text(text)
    return complaint(folder, "own.py", allowed)


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as np\nimport numpy.linalg\nfrom math import sqrt\n",
        "from numpy import linalg\n",
        "from other import f\n",
        "def f(x):\n    return open_end(x)\n",
        "def f(:\n",  # no Python: running it says so
    ],
)
def test_an_ordinary_file_is_accepted(tmp_path, text):
    (tmp_path / "other.py").write_text("import math\nfrom own import g\n")
    assert found(tmp_path, text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nimport torch\n", "own.py, line 2 imports torch"),
        ("def f():\n    from minigrad import functional\n", "line 2 imports minigrad.functional"),
        ("import os.path\n", "imports os.path"),
        ("from other import f\n", "other.py, line 1 imports jax"),
        ("f = eval\n", "uses eval"),
        ("import numpy as np\nnp.memmap('x')\n", "uses .memmap"),
        ("().__class__.__base__.__subclasses__()\n", "uses .__subclasses__"),
    ],
)
def test_a_refused_file_is_told_with_its_line(tmp_path, text, said):
    (tmp_path / "other.py").write_text("import jax\n")
    assert said in found(tmp_path, text)


def test_the_grader_is_refused_where_the_engine_is_allowed(tmp_path):
    allowed = (*ALLOWED, "minigrad")
    assert found(tmp_path, "from minigrad.ops import Op\nimport minigrad as mg\n", allowed) is None
    for text in ("from minigrad import coursework\n", "import minigrad.coursework.questions\n"):
        assert "the grader itself" in found(tmp_path, text, allowed)


def test_links_and_huge_files_are_refused(tmp_path):
    (tmp_path / "target.py").write_text("")
    (tmp_path / "link.py").symlink_to(tmp_path / "target.py")
    assert "is a link" in complaint(tmp_path, "link.py", ALLOWED)
    (tmp_path / "huge.py").write_text("#" * (MAX_FILE + 1))
    assert "larger than 1 MB" in complaint(tmp_path, "huge.py", ALLOWED)
