"""The three commands as a person runs them, from the command line to the exit code."""

import ast
import csv
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minigrad.coursework import cli, sandbox
from minigrad.coursework.handout import COMMON
from minigrad.coursework.tasks import load_tasks

HERE = Path(__file__).parent
SOLUTION = HERE / "solution"
ROOT = HERE.parents[1]
COURSE = load_tasks()
FAST = [str(t.number) for t in COURSE.tasks if not t.finale]


def only(*numbers):
    return [part for n in numbers for part in ("--task", str(n))]


@pytest.fixture
def hw(tmp_path, capsys):
    """A folder as it is handed out."""
    assert cli.main(["new", str(tmp_path / "hw")]) == 0
    capsys.readouterr()
    return tmp_path / "hw"


def solve(folder, *files):
    for file in files:
        (folder / file).write_text((SOLUTION / file).read_text())


def table_of(path):
    """The rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# --------------------------------------------------------------------------------------------- new


def test_new_writes_every_file_and_changes_none_that_is_there(tmp_path, capsys):
    folder = tmp_path / "hw"
    assert cli.main(["new", str(folder)]) == 0
    expected = {*COMMON, *(t.file for t in COURSE.tasks)}
    assert {p.name for p in folder.iterdir()} == expected
    (folder / "sgd.py").write_text("mine")
    (folder / "walk.py").unlink()
    assert cli.main(["new", str(folder)]) == 0
    assert (folder / "sgd.py").read_text() == "mine"
    assert (folder / "walk.py").exists()
    assert cli.main(["new", str(folder)]) == 2
    assert "nothing was changed" in capsys.readouterr().err


def test_new_does_not_write_over_a_file(tmp_path, capsys):
    (tmp_path / "hw").write_text("a file")
    assert cli.main(["new", str(tmp_path / "hw")]) == 2
    assert "is a file" in capsys.readouterr().err


def test_the_readme_lists_the_tasks(hw):
    readme = (hw / "README.md").read_text()
    for task in COURSE.tasks:
        assert f"| {task.number} | {task.title} | `{task.file}` |" in readme
    assert "{" not in readme


def test_no_handed_out_file_holds_a_solution(hw):
    """Each function only raises; what is around it is its docstring."""
    for task in COURSE.tasks:
        tree = ast.parse((hw / task.file).read_text())
        functions = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name != "__init__"
        ]
        assert functions
        for function in functions:
            said = [n for n in function.body if not isinstance(n, ast.Expr)]
            assert isinstance(said[0], ast.Raise), (task.file, function.name)
            assert f"Task {task.number}: " in ast.unparse(said[0])
            assert all(isinstance(n, ast.Return) for n in said[1:])


# ------------------------------------------------------------------------------------------- check


def test_untouched_stubs_give_zero_points_and_say_so(hw, capsys):
    assert cli.main(["check", str(hw)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("not implemented yet") == len(COURSE.tasks) == 12
    assert "0 / 114" in out


def test_the_solution_gives_full_points_and_its_own_figure(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    solve(tmp_path, *(p.name for p in SOLUTION.glob("*.py")))
    assert cli.main(["check", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "114 / 114" in out
    rows = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit()]
    layers = {int(r[0]): (float(r[1]), float(r[2])) for r in rows if len(r) == 3}
    assert layers[1][0] < 1e-9 * layers[20][0]
    assert 0.1 < layers[1][1] / layers[20][1] < 10
    assert (tmp_path / "finale.png").stat().st_size > 5000


def test_a_task_is_checked_with_those_that_it_stands_on(hw, capsys):
    solve(hw, "batchnorm_backward.py")
    assert cli.main(["check", str(hw), "--task", "6"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "BatchNorm, forward" in out
    assert "Sigmoid" not in out
    assert "20 / 30" in out
    solve(hw, "batchnorm.py")
    assert cli.main(["check", str(hw / "batchnorm_backward.py")]) == 0
    assert "30 / 30" in capsys.readouterr().out


def test_a_failing_task_names_the_one_below(hw, capsys):
    text = (SOLUTION / "batchnorm_backward.py").read_text()
    (hw / "batchnorm_backward.py").write_text(text.replace("- dy.mean(axis=0)", ""))
    cli.main(["check", str(hw), "--task", "6"])
    out = " ".join(capsys.readouterr().out.split())
    assert "needs task 5, which does not pass yet" in out
    assert "path through the batch mean is missing" in out
    assert "steps 8 and 10" in out


def test_plain_text_where_rich_is_missing(hw, capsys, monkeypatch):
    monkeypatch.setattr(cli, "console", lambda to=None: None)
    solve(hw, "sgd.py")
    (hw / "sigmoid.py").write_text("def sigmoid(x):\n    return x.nothing\n")
    assert cli.main(["check", str(hw), *only(1, 8)]) == 1
    out = capsys.readouterr().out
    assert "passed" in out
    assert "line 2: return x.nothing" in out


def test_what_a_file_prints_is_shown(hw, capsys):
    text = (SOLUTION / "sgd.py").read_text()
    (hw / "sgd.py").write_text(
        text.replace("    velocity =", "    print('lr is', lr)\n    velocity =")
    )
    assert cli.main(["check", str(hw), "--task", "8"]) == 0
    assert "lr is 0." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "nowhere"], "there is no folder"),
        (["check", "--task", "13"], "there is no task 13; there are 1, 2"),
        (["check", "other.py"], "no task is written in other.py; the files are sigmoid.py"),
        (["grade", "nowhere"], "there is no folder"),
        (["check", "--tasks", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_an_impossible_wish_is_refused(hw, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(hw)
    assert cli.main(arguments) == 2
    assert said in capsys.readouterr().err


def test_watching_judges_again_after_a_change(hw, monkeypatch, capsys):
    rounds = []

    def sleep(seconds):
        rounds.append(seconds)
        if len(rounds) == 1:
            solve(hw, "sgd.py")
        elif len(rounds) > 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(cli.time, "sleep", sleep)
    assert cli.main(["check", str(hw), "--task", "8", "--watch"]) == 0
    out = capsys.readouterr().out
    assert "0 / 5" in out
    assert "5 / 5" in out


def test_the_module_can_be_run(hw):
    result = subprocess.run(
        [sys.executable, "-m", "minigrad.coursework", "check", str(hw), "--task", "8"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "not implemented yet" in " ".join(result.stdout.split())
    assert result.stderr == ""


def test_pytest_works_in_the_folder(hw):
    solve(hw, "sgd.py")
    (hw / "linear.py").write_text(
        (SOLUTION / "linear.py").read_text().replace("dy.sum(axis=0)", "dy.mean(axis=0)")
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    result = subprocess.run(
        [*command, "-m", "task2 or task8"], cwd=hw, env=env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "1 failed, 1 passed" in result.stdout, result.stdout + result.stderr
    assert "db is a mean over the batch" in " ".join(result.stdout.split())


# ------------------------------------------------------------------------------------------- grade


@pytest.fixture
def submissions(tmp_path):
    """Three students: all right, one mistake and a hang of one task, and nothing."""
    folder = tmp_path / "submissions"
    for name in ("ann", "bob", "cem"):
        (folder / name).mkdir(parents=True)
    solve(folder / "ann", "sgd.py", "linear.py")
    (folder / "bob" / "hw").mkdir()
    solve(folder / "bob" / "hw", "sgd.py")
    (folder / "bob" / "hw" / "linear.py").write_text(
        "import typing\n\n"
        "def linear(x, weight, bias):\n    typing.sys.modules['os']._exit(0)\n"
        "\ndef linear_backward(dy, x, weight):\n    return dy @ weight, dy.T @ x, dy.mean(0)\n"
    )
    return folder


def test_grades_in_every_format(submissions, tmp_path, capsys):
    out, junit = tmp_path / "grades.csv", tmp_path / "junit.xml"
    (submissions / "bob" / "hw" / "linear.py").write_text(
        "def linear(x, weight, bias):\n    return x @ weight.T\n"
        "\ndef linear_backward(dy, x, weight):\n    return dy @ weight, dy.T @ x, dy.mean(0)\n"
    )
    arguments = ["grade", str(submissions), "--out", str(out), "--junit", str(junit), *only(2, 8)]
    assert cli.main([*arguments, "--hidden-seed", "5"]) == 0
    rows = table_of(out)
    points = {(r["student"], r["task"]): (r["points"], r["of"], r["state"]) for r in rows}
    assert points == {
        ("ann", "2"): ("8", "8", "passed"),
        ("ann", "8"): ("5", "5", "passed"),
        ("bob", "2"): ("0", "8", "failed"),
        ("bob", "8"): ("5", "5", "passed"),
        ("cem", "2"): ("0", "8", "not yet"),
        ("cem", "8"): ("0", "5", "not yet"),
    }
    bob = next(r for r in rows if (r["student"], r["task"]) == ("bob", "2"))
    assert bob["mistakes"] == "L11 L4"
    assert "The bias is missing" in bob["diagnosis"]
    suites = {s.get("name"): s for s in ElementTree.parse(junit).getroot()}
    assert [suites[n].get("failures") for n in ("ann", "bob", "cem")] == ["0", "1", "2"]
    failure = suites["bob"].find("testcase/failure")
    assert failure.get("message") == "0 of 8 points"
    assert "mean over the batch" in failure.text
    assert "seed 5" in capsys.readouterr().out


def test_gradescope_gets_one_submission(submissions, tmp_path, capsys):
    target = tmp_path / "results" / "results.json"
    arguments = ["grade", str(submissions / "bob" / "hw"), "--gradescope", str(target)]
    assert cli.main([*arguments, *only(8)]) == 0
    result = json.loads(target.read_text())
    assert result["score"] == 5
    (test,) = result["tests"]
    assert test["score"] == test["max_score"] == 5
    assert test["status"] == "passed"
    solve(submissions / "cem", "sgd.py")
    assert cli.main(["grade", str(submissions), "--gradescope", str(target)]) == 2
    assert "the folder of one student" in capsys.readouterr().err


@pytest.fixture
def one(tmp_path):
    """Writes a submission with these files, and gives what Gradescope shows for two tasks."""

    def write(*paths):
        folder = tmp_path / "submission"
        folder.mkdir()
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            solution = SOLUTION / Path(path).name
            (folder / path).write_text(solution.read_text() if solution.exists() else "x = 1\n")
        target = tmp_path / "results.json"
        arguments = ["grade", str(folder), "--gradescope", str(target), *only(2, 8)]
        code = cli.main(arguments)
        result = json.loads(target.read_text())
        return code, result["score"], [test["output"] for test in result["tests"]]

    return write


MISSING = {
    "nothing": ([], "linear.py is missing."),
    "a notebook": (
        ["homework.ipynb"],
        "linear.py is missing; found homework.ipynb. Hand in a file with the name linear.py, "
        "outside of any folder. A notebook cannot be judged: copy its code into that file.",
    ),
    "a copy's name": (["Linear (1).py", "notes.py"], "is missing; found Linear (1).py. Hand in"),
    "capital letters": (["Linear.py"], "linear.py is missing; found Linear.py. Hand in"),
    "a text file": (["linear.py.txt"], "linear.py is missing; found linear.py.txt. Hand in"),
    "two folders down": (["week/2/linear.py"], "linear.py is missing; found week/2/linear.py."),
    "what is handed out": (["pytest.ini", "test_coursework.py"], "linear.py is missing."),
    "what programs make": (
        ["__pycache__/linear.py", ".ipynb_checkpoints/linear.ipynb"],
        "linear.py is missing.",
    ),
    "many files": (
        [f"part{k}.py" for k in range(7)],
        "found part0.py, part1.py, part2.py, part3.py, part4.py and 2 more. Hand in",
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_file_is_named_with_what_is_there_instead(one, name):
    paths, said = MISSING[name]
    code, score, outputs = one(*paths)
    assert (code, score) == (0, 0)
    assert said in outputs[0]
    assert "sgd.py is missing" in outputs[1]


def test_a_missing_file_costs_its_task_only(one):
    code, score, outputs = one("linear.py", "SGD.py")
    assert (code, score) == (0, 8)
    assert outputs == [
        "passed",
        'Task 8, "SGD with momentum": sgd.py is missing; found SGD.py. Hand in a file with the '
        "name sgd.py, outside of any folder.",
    ]


def test_files_may_lie_one_folder_down_beside_other_folders(one):
    assert one("hw/linear.py", "hw/sgd.py", "images/plot.py")[:2] == (0, 13)


def test_files_in_two_folders_are_told_to_the_student_too(one):
    code, score, outputs = one("old/linear.py", "new/linear.py")
    assert (code, score) == (2, 0)
    assert "lie in several folders: new, old" in outputs[0]


def test_a_notebook_alone_is_a_submission_in_every_format(tmp_path):
    (tmp_path / "hw").mkdir()
    (tmp_path / "hw" / "work.ipynb").write_text("{}")
    out = tmp_path / "grades.csv"
    assert cli.main(["grade", str(tmp_path / "hw"), "--out", str(out), *only(8)]) == 0
    (row,) = table_of(out)
    assert (row["student"], row["points"], row["state"]) == ("hw", "0", "not yet")
    assert "sgd.py is missing; found work.ipynb" in row["diagnosis"]


@pytest.mark.parametrize("jobs", ["1", "2", "7"])
def test_the_number_of_jobs_changes_no_result(submissions, tmp_path, jobs, capsys):
    """The same rows in the same order, also where a program ends itself or a file is missing."""
    out, junit = tmp_path / "grades.csv", tmp_path / "junit.xml"
    arguments = ["grade", str(submissions), "--out", str(out), "--junit", str(junit), *only(2, 8)]
    assert cli.main([*arguments, "--hidden-seed", "5", "--jobs", jobs]) == 0
    rows = [(r["student"], r["task"], r["points"]) for r in table_of(out)]
    assert rows == [
        ("ann", "2", "8"), ("ann", "8", "5"), ("bob", "2", "0"), ("bob", "8", "5"),
        ("cem", "2", "0"), ("cem", "8", "0"),
    ]  # fmt: skip
    assert [s.get("name") for s in ElementTree.parse(junit).getroot()] == ["ann", "bob", "cem"]
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[:3]] == [
        "ann", "bob", "cem",
    ]  # fmt: skip


def test_no_jobs_are_refused(submissions, capsys):
    assert cli.main(["grade", str(submissions), "--jobs", "0"]) == 2
    assert "--jobs is 0; expected 1 or more" in capsys.readouterr().err


def test_an_interruption_ends_the_programs_of_all_jobs(submissions, monkeypatch):
    """Ctrl-C while two students' functions run for ever."""
    for place in (submissions / "ann", submissions / "bob" / "hw"):
        (place / "sgd.py").write_text("while True:\n    pass\n")
    pids = []
    started = sandbox.Child.call

    def call(child, *rest):
        pids.append(child.process)
        if len(pids) == 2:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return started(child, *rest)

    monkeypatch.setattr(sandbox.Child, "call", call)
    before = time.monotonic()
    # A shell has its background jobs ignore Ctrl-C.
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert cli.main(["grade", str(submissions), "--jobs", "2", *only(8)]) == 130
    finally:
        signal.signal(signal.SIGINT, outside)
    assert time.monotonic() - before < 8  # a call may take 10 seconds
    assert all(process.poll() is not None for process in pids)


def test_a_folder_without_submissions_is_told(tmp_path, capsys):
    assert cli.main(["grade", str(tmp_path)]) == 2
    assert "holds no submissions" in capsys.readouterr().err


def test_a_crash_costs_one_student_one_task(submissions, tmp_path):
    out = tmp_path / "grades.csv"
    assert cli.main(["grade", str(submissions), "--out", str(out), *only(2, 8)]) == 0
    rows = {(r["student"], r["task"]): r for r in table_of(out)}
    assert rows["bob", "2"]["points"] == "0"
    assert "ended itself with exit code 0" in rows["bob", "2"]["diagnosis"]
    assert rows["bob", "8"]["points"] == "5"
    assert rows["ann", "2"]["points"] == "8"


CHEATS = {
    "imports the engine": (
        "import minigrad.functional as F\n",
        "imports minigrad.functional; allowed are numpy",
    ),
    "imports the grader": (
        "from minigrad.coursework.questions import sgd\n",
        "imports minigrad.coursework.questions",
    ),
    "hides the import": ("mg = __import__('minigrad')\n", "uses __import__"),
    "imports importlib": ("import importlib\n", "imports importlib"),
    "reads files": ("text = open('x').read()\n", "uses open"),
    "through another file": ("import helper\n", "helper.py, line 1 imports torch"),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_refused_with_its_line(hw, capsys, name):
    line, said = CHEATS[name]
    (hw / "helper.py").write_text("import torch\n")
    (hw / "sgd.py").write_text(line + (SOLUTION / "sgd.py").read_text())
    assert cli.main(["check", str(hw), "--task", "8"]) == 1
    assert said in " ".join(capsys.readouterr().out.split())


def test_a_patched_numpy_or_a_faked_report_earns_nothing(hw, capsys):
    (hw / "sgd.py").write_text(
        "import numpy as np\n"
        "np.allclose = np.array_equal = lambda *a, **k: True\n"
        "np.abs = lambda x: np.zeros_like(x)\n"
        'print(\'{"passed": true, "score": 100}\')\n'
        "def sgd_step(weight, grad, velocity, lr, momentum):\n"
        "    return weight, velocity\n"
    )
    assert cli.main(["check", str(hw), "--task", "8"]) == 1
    assert "0 / 5" in capsys.readouterr().out


def test_another_tasks_file_changes_points_and_selection(hw, tmp_path, capsys):
    mine = tmp_path / "mine.toml"
    mine.write_text(
        '[[task]]\nnumber = 1\ntitle = "Descent"\nfile = "sgd.py"\nlesson = "none"\n'
        "[task.points]\nsgd_step = 50\n"
    )
    solve(hw, "sgd.py")
    assert cli.main(["check", str(hw), "--tasks", str(mine)]) == 0
    assert "50 / 50" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("sgd_step = 50", "sgd_stepp = 50"), "asks for sgd_stepp"),
        (("sgd_step = 50", "sgd_step = -1"), "not negative"),
        (('title = "Descent"\n', ""), "title"),
        (("[task.points]", "[task.point]"), "'points' is missing"),
        (("[[task]]", "[[task"), "mine.toml"),
    ],
)
def test_a_damaged_tasks_file_is_refused(hw, tmp_path, capsys, change, said):
    mine = tmp_path / "mine.toml"
    text = (
        '[[task]]\nnumber = 1\ntitle = "Descent"\nfile = "sgd.py"\nlesson = "none"\n'
        "[task.points]\nsgd_step = 50\n"
    )
    assert change[0] in text
    mine.write_text(text.replace(*change))
    assert cli.main(["check", str(hw), "--tasks", str(mine)]) == 2
    assert said in capsys.readouterr().err
