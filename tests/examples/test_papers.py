"""examples/papers: each claim goes the way the paper says, and the page is what was measured."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAPERS = ROOT / "examples" / "papers"
HELPERS = {"__main__", "study", "page"}
SCRIPTS = sorted(path.stem for path in PAPERS.glob("*.py") if path.stem not in HELPERS)


def load(name: str) -> Any:
    """A script of the folder as a module, under a name that nothing else has."""
    sys.path.insert(0, str(PAPERS))
    try:
        spec = importlib.util.spec_from_file_location(f"papers_{name}", PAPERS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(PAPERS))


def test_scripts_are_short() -> None:
    assert len(SCRIPTS) >= 10
    for name in SCRIPTS:
        assert len((PAPERS / f"{name}.py").read_text("utf-8").splitlines()) < 200, name


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_claims_go_the_way_of_the_paper(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(PAPERS / f"{name}.py"), "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    stored = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
    assert stored["settings"]["quick"]
    assert stored["claims"]
    wrong = [c for c in stored["claims"] if not (c["agrees"] or c["direction"])]
    assert not wrong
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_data_that_are_not_there_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    command = [sys.executable, str(PAPERS / "he2015.py"), "--quick", "--data-root", str(missing),
               "--out", str(tmp_path / "out")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_is_in_step_with_the_stored_numbers() -> None:
    page = load("page")
    text = page.PAGE.read_text("utf-8")
    stored = page.studies()
    assert {study["paper"]["key"] for study in stored} >= {"cures", "he2015"}
    assert page.fill(text, stored) == text, "run: python examples/papers/page.py"
    for study in stored:
        assert not study["settings"]["quick"]
        assert (page.IMAGES / f"{study['paper']['key']}.png").exists()


def test_a_study_without_a_place_in_the_page_is_refused() -> None:
    page = load("page")
    with pytest.raises(ValueError, match="no place for nobody1999"):
        page.fill("# empty", [{"paper": {"key": "nobody1999"}}])


def test_the_answer_of_a_claim_stands_in_its_row() -> None:
    page = load("page")
    claim = {"where": "a|b", "says": "s", "measured": "m", "within": "w"}
    answers = [(True, True, "yes"), (False, True, "in direction only"), (False, False, "**no**")]
    for agrees, direction, answer in answers:
        stored = {
            "paper": {"key": "k", "title": "t"}, "settings": {"quick": False}, "seconds": 1.0,
            "results": {}, "claims": [{**claim, "agrees": agrees, "direction": direction}],
        }  # fmt: skip
        assert f"| a\\|b | s | m | w | {answer} |" in page.section(stored)
