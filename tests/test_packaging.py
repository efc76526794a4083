"""What is installed with the package, what it asks for, and what the repository may hold."""

import configparser
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The paths that git knows, from the top of the repository."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone of the repository")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]


def entries(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def requirement_name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return match[0]


def test_the_core_needs_numpy_alone(config: configparser.ConfigParser) -> None:
    assert entries(config["options"]["install_requires"]) == ["numpy>=2.2.6"]
    assert config["options"]["python_requires"] == ">=3.11"


@pytest.mark.parametrize(
    ("extra", "needed"),
    [
        ("plots", {"matplotlib"}),
        ("data", {"pooch"}),
        ("io", {"safetensors"}),
        ("examples", {"minigrad-batchnorm", "rich"}),
        ("coursework", {"minigrad-batchnorm", "rich", "pytest"}),
        ("cuda12", {"cupy-cuda12x"}),
        ("cuda13", {"cupy-cuda13x"}),
        ("parity", {"torch", "expecttest"}),
        ("dev", {"minigrad-batchnorm", "pytest", "pytest-cov", "hypothesis", "ruff", "mypy"}),
        ("docs", {"sphinx"}),
    ],
)
def test_an_extra_brings_what_it_is_for(
    config: configparser.ConfigParser, extra: str, needed: set[str]
) -> None:
    requirements = entries(config["options.extras_require"][extra])
    assert needed <= {requirement_name(r) for r in requirements}


def test_extras_refer_to_extras_that_exist(config: configparser.ConfigParser) -> None:
    extras = config["options.extras_require"]
    for name in extras:
        for reference in re.findall(r"minigrad-batchnorm\[(.*)\]", extras[name]):
            assert set(reference.split(",")) <= set(extras), name


def test_the_version_can_be_read_without_an_import(config: configparser.ConfigParser) -> None:
    """Where minigrad is built NumPy is not installed; setuptools finds a plain assignment."""
    assert config["metadata"]["version"] == "attr: minigrad.__version__"
    source = (ROOT / "minigrad" / "__init__.py").read_text(encoding="utf-8")
    stated = re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE)
    assert len(stated) == 1
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.?(a|b|rc|dev)\d+)?", stated[0])


def test_every_file_of_the_package_is_installed(
    config: configparser.ConfigParser, tracked: list[str]
) -> None:
    """A wheel holds the Python files, and of the others those that package_data names."""
    assert entries(config["options.packages.find"]["include"]) == ["minigrad*"]
    package = ROOT / "minigrad"
    named = {
        path
        for pattern in entries(config["options.package_data"]["minigrad"])
        for path in package.glob(pattern)
    }
    others = {
        ROOT / name for name in tracked if name.startswith("minigrad/") and not name.endswith(".py")
    }
    assert package / "py.typed" in others
    assert package / "data" / "files" / "digits.npz" in others
    assert others <= named, "setup.cfg, package_data lacks " + ", ".join(map(str, others - named))


def test_every_folder_with_python_files_is_a_package(tracked: list[str]) -> None:
    """``packages = find:`` passes over a folder without ``__init__.py``. The lab's notebooks are no
    modules; package_data has them."""
    folders = {os.path.dirname(name) for name in tracked if re.match(r"minigrad/.*\.py$", name)}
    folders.remove("minigrad/lab/benches")
    assert {f for f in folders if f"{f}/__init__.py" not in tracked} == set()


def test_the_digits_are_those_that_their_readme_describes() -> None:
    folder = ROOT / "minigrad" / "data" / "files"
    with np.load(folder / "digits.npz") as stored:
        content = stored["images"].tobytes() + stored["labels"].tobytes()
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(content).hexdigest() in readme
    for credit in ("Alpaydin", "Kaynak", "10.24432/C50P49", "creativecommons.org/licenses/by/4.0"):
        assert credit in readme


def test_the_top_level_holds_what_belongs_there(tracked: list[str]) -> None:
    folders = {"minigrad", "examples", "tests", "docs"}
    files = {
        "setup.cfg", "pyproject.toml", "Makefile", "LICENSE", "CHANGELOG.md",
        "README.md", "README.zh-CN.md",
    }  # fmt: skip
    tops = {name.partition("/")[0] for name in tracked}
    assert {name for name in tops if not name.startswith(".")} <= folders | files


# Put together here, so that this file does not hold what it looks for. Within a URL the folders
# are somebody else's, so the slash must not follow a letter.
FOLDERS = "|".join(["tmp", "work", "root", r"home/\w+", r"Users/\w+"])
MACHINE_PATH = re.compile(rf"(?<![\w./-])(?<!--tmpfs )/({FOLDERS})\b")
PACKAGE_INDEX = re.compile(
    "|".join(["index" + "-url", "find" + "-links", r"pypi\.org/" + "simple"])
)


def test_no_file_speaks_of_one_machine(tracked: list[str]) -> None:
    """Neither paths of somebody's disk nor the package index that somebody happens to use."""
    for name in tracked:
        content = (ROOT / name).read_bytes()
        if b"\0" in content:  # a picture or an archive
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            found = MACHINE_PATH.search(line) or PACKAGE_INDEX.search(line)
            assert found is None, f"{name}, line {number}: {line.strip()}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cd /" + "tmp/x", True),
        ("open('/" + "home/ann/data.csv')", True),
        ("see (/" + "root)", True),
        ("pip install --extra-index" + "-url", True),
        ("https://example.org/" + "work/page", False),
        ("~/data and out/figures", False),
    ],
)
def test_the_search_for_machines_finds_them(text: str, found: bool) -> None:
    assert bool(MACHINE_PATH.search(text) or PACKAGE_INDEX.search(text)) == found


def test_ci_runs_the_three_commands() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = re.findall(r"^make (\w+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert commands == ["test", "lint", "browser", "nvrtc", "parity", "oldest", "newest"]
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")


# ------------------------------------------------------------------------------ the name


ANOTHER_PROJECT = re.compile(
    r"pip3? install (-\S+ )*[\"'\x60]?minigrad\b(?!_)|(?<![\w/.])minigrad\[\w+"
)


def test_no_page_and_no_message_installs_somebody_elses_package(tracked: list[str]) -> None:
    """On the public index, minigrad is another project. What works is a clone, or a wheel."""
    for name in tracked:
        content = (ROOT / name).read_bytes()
        if b"\0" in content or name == "tests/test_packaging.py":
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            assert not ANOTHER_PROJECT.search(line), f"{name}, line {number}: {line.strip()}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pip install minigrad", True),
        ("pip install 'minigrad[plots]'", True),
        ("pip install -U minigrad", True),
        ("needs minigrad[io]", True),
        ("pip install -e '.[plots]'", False),
        ("pip install minigrad_batchnorm-0.1.0-py3-none-any.whl[io]", False),
        ("minigrad-batchnorm[plots]", False),
    ],
)
def test_the_search_for_the_name_finds_it(text: str, found: bool) -> None:
    assert bool(ANOTHER_PROJECT.search(text)) == found


def test_the_pages_name_the_wheel_as_it_is_built(config: configparser.ConfigParser) -> None:
    name = config["metadata"]["name"].replace("-", "_")
    wheel = f"{name}-{mg.__version__}-py3-none-any.whl"
    pages = ["README.md", "docs/gpu.md", "docs/coursework-students.md"]
    for page in pages:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert wheel in text
        assert set(re.findall(r"\w+-[\w.]+-py3-none-any\.whl", text)) == {wheel}


def test_parts_that_are_loaded_when_they_are_asked_for() -> None:
    code = """
import sys, minigrad as mg
assert "minigrad.data" not in sys.modules and {"data", "testing", "sum"} <= set(dir(mg))
print(mg.data.load_digits.__name__, mg.testing.gradcheck.__name__, mg.diagnostics.observe.__name__)
try:
    mg.nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "load_digits gradcheck observe",
        "module 'minigrad' has no attribute 'nothing'",
    ]
