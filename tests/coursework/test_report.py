"""Verdicts as files: nothing that a student writes may break a table, an XML file or a terminal."""

import csv
import io
import json
from xml.etree import ElementTree

import pytest

from minigrad.coursework import report
from minigrad.coursework.form import Finding
from minigrad.coursework.judge import Outcome, Verdict
from minigrad.coursework.questions import QUESTIONS
from minigrad.coursework.tasks import load_tasks

COURSE = load_tasks()


def verdict(number, *texts, stage="form", printed=""):
    """A verdict on a task with ``texts`` found wrong in its first question."""
    task = COURSE.by_number(number)
    outcomes = [Outcome(QUESTIONS[name], points, []) for name, points in task.points.items()]
    outcomes[0].findings += [Finding(stage, (), text, ("B02",), "step 8") for text in texts]
    return Verdict(task, outcomes, printed)


NASTY = "=cmd|' /C calc'!A0\x1b[31m]]>\x00<&\ud800 \n,\"quoted\""


def test_a_table_for_a_spreadsheet_holds_no_formula():
    text = report.as_csv({"=1+1": [verdict(1, NASTY)], "ann": [verdict(1)]})
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [r["student"] for r in rows] == ["'=1+1", "ann"]
    assert all(r["diagnosis"][:1] not in ("=", "+", "-", "@") for r in rows)
    assert "\x1b" not in text
    assert rows[0]["points"] == "3"
    assert rows[0]["mistakes"] == "B02"


def test_junit_can_be_read_again_whatever_is_in_it():
    text = report.as_junit({NASTY: [verdict(1, NASTY), verdict(2)]})
    (suite,) = ElementTree.fromstring(text.partition("\n")[2])
    assert suite.get("tests") == "2"
    assert suite.get("failures") == "1"
    assert "]]>" in suite.find("testcase/failure").text


def test_gradescope_can_be_read_again():
    result = json.loads(report.as_gradescope([verdict(1, NASTY), verdict(2)]))
    assert result["score"] == pytest.approx(11)
    assert [t["status"] for t in result["tests"]] == ["failed", "passed"]
    assert [t["score"] for t in result["tests"]] == [3, 8]


def test_a_file_is_written_whole(tmp_path):
    path = tmp_path / "new" / "grades.csv"
    report.write(path, "one\r\n")
    report.write(path, "two\r\n")
    assert path.read_bytes() == b"two\r\n"
    assert [p.name for p in path.parent.iterdir()] == ["grades.csv"]


def test_the_plain_table():
    text = report.as_text([verdict(1), verdict(2, "The bias is missing.", stage="named")])
    assert "   1  Sigmoid                            passed       5 / 5" in text
    assert "   2  Linear                             failed       6 / 8" in text
    assert "linear: The bias is missing. [step 8]" in text


@pytest.mark.parametrize("normalised", [False, True])
def test_there_is_no_figure_without_both_networks(tmp_path, normalised):
    found = verdict(11)
    found.outcomes[2 + normalised].measured = {"gradients": [1.0] * 21}
    assert report.finale_rows([found]) == []
    assert report.finale_text([found]) == ""
    assert not report.finale_figure([found], tmp_path / "x.png")
