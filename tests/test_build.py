"""What is built from the repository: a source distribution, a wheel of it, an editable package."""

import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from minigrad import docs
from tests.built import answers, build

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git knows, as somebody clones it, with caches as they come into being."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone of the repository")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    copy = tmp_path_factory.mktemp("clone")
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    for cache in ("tests/__pycache__/x.pyc", "docs/_build/html/index.html"):
        (copy / cache).parent.mkdir(parents=True)
        (copy / cache).write_text("made by a command")
    return copy


@pytest.fixture(scope="module")
def unpacked(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution of the clone, unpacked."""
    tmp_path = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(build("build_sdist", clone, tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    return folder


def files(top: Path) -> Iterator[str]:
    return (path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file())


def test_a_source_distribution_holds_the_repository_and_nothing_else(
    clone: Path, unpacked: Path
) -> None:
    """With the helpers of the tests, so that the tests run in it too."""
    caches = {"tests/__pycache__/x.pyc", "docs/_build/html/index.html"}
    metadata = {name for name in files(unpacked) if ".egg-info/" in name} | {"PKG-INFO"}
    known = {name for name in files(clone) if ".egg-info/" not in name}
    assert "tests/conftest.py" in known
    assert set(files(unpacked)) - metadata == known - caches
    assert os.access(unpacked / ".ci" / "run", os.X_OK)


def test_a_wheel_of_a_source_distribution_has_all_pages(unpacked: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    with zipfile.ZipFile(build("build_wheel", unpacked, tmp_path)) as archive:
        archive.extractall(installed)
    tops = {name.partition("/")[0].partition("-")[0] for name in files(installed)}
    assert tops == {"minigrad", "minigrad_batchnorm"}
    folder, *names = answers(
        "from minigrad import docs; print(docs.folder(), *docs.names(), sep='\\n')", installed
    )
    assert Path(folder) == installed / "minigrad" / "docs" / "pages"
    assert names == docs.names()
    for name in names:
        page = f"{name}.md"
        assert (Path(folder) / page).read_bytes() == (ROOT / "docs" / page).read_bytes()


def test_an_editable_package_reads_the_pages_where_they_are(clone: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build("build_editable", clone, tmp_path)) as archive:
        archive.extractall(tmp_path)
    (folder,) = answers(
        "from minigrad import docs; print(docs.folder())",
        # First of all, because the environment of the tests may have such a package of its own.
        start=f"import site; sys.path.insert(0, {str(tmp_path)!r}); site.addsitedir(sys.path[0])",
    )
    assert Path(folder) == clone / "docs"
