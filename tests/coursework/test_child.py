"""The program of a student's process, run here: how it finds functions and answers."""

import io
import os
import sys

import numpy as np
import pytest

from minigrad.coursework.child import confine, drivers, main, wire


@pytest.fixture
def student(tmp_path):
    (tmp_path / "own.py").write_text(
        "import helper\n"
        "calls = []\n"
        "def double(x):\n    return helper.two * x\n"
        "def grow(x):\n    x += 1\n    return x\n"
        "def fail(x):\n    return helper.fail()\n"
        "def leave(x):\n    raise SystemExit(3)\n"
    )
    (tmp_path / "helper.py").write_text("two = 2\ndef fail():\n    return {}['key']\n")
    (tmp_path / "broken.py").write_text("x = 1 / 0\n")
    before = set(sys.modules)
    sys.path.insert(0, str(tmp_path))
    yield main.Student(str(tmp_path))
    sys.path.remove(str(tmp_path))
    for name in set(sys.modules) - before:
        if name in ("own", "helper", "broken"):
            del sys.modules[name]


def request(name, file="own.py", **inputs):
    return {"targets": [(file, name)], "driver": "call", "inputs": inputs}


def test_a_call_is_answered_with_value_and_inputs(student):
    reply = main.answer(student, request("grow", x=np.array([1.0, 2.0])))
    np.testing.assert_array_equal(reply["value"], [2.0, 3.0])
    np.testing.assert_array_equal(reply["after"]["x"], [2.0, 3.0])


def test_files_are_loaded_once_and_may_import_each_other(student):
    assert main.answer(student, request("double", x=3.0))["value"] == 6.0
    module = student.modules["own.py"]
    main.answer(student, request("double", x=3.0))
    assert student.modules["own.py"] is module


@pytest.mark.parametrize(
    ("name", "file", "kind", "message", "lines"),
    [
        ("fail", "own.py", "KeyError", "'key'", ["own.py, line 9", "helper.py, line 3"]),
        ("leave", "own.py", "SystemExit", "3", ["own.py, line 11"]),
        ("absent", "own.py", "AttributeError", "own.py has no absent; was it renamed?", []),
        ("f", "broken.py", "ZeroDivisionError", "division by zero", ["broken.py, line 1"]),
    ],
)
def test_a_failure_is_described(student, name, file, kind, message, lines):
    found, text, where = main.answer(student, request(name, file, x=np.ones(2)))["failure"]
    assert (found, text) == (kind, message)
    assert [line.partition(":")[0] for line in where] == lines


def test_a_file_that_failed_is_tried_again(student, tmp_path):
    main.answer(student, request("f", "broken.py", x=1.0))
    (tmp_path / "broken.py").write_text("def f(x):\n    return x + 1  # repaired\n")
    assert main.answer(student, request("f", "broken.py", x=1.0))["value"] == 2.0


def test_requests_are_served_until_the_pipe_ends(student, tmp_path, monkeypatch):
    monkeypatch.setattr(confine, "confine", lambda **limits: ["none", *limits])
    monkeypatch.setattr(main, "FOREIGN", ("a_module_that_is_not_there",))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    setup = {"folder": str(tmp_path), "engine": "", "limits": {"memory_mb": 1}}
    requests = [setup, request("double", x=1.5), request("double", x=2.5)]
    answers = io.BytesIO()
    main.serve(io.BytesIO(b"".join(map(wire.pack, requests))), answers)
    answers.seek(0)
    assert main.receive(answers) == {"fences": ["none", "memory_mb"]}
    assert [main.receive(answers)["value"] for _ in range(2)] == [3.0, 5.0]
    assert main.receive(answers) is None
    with pytest.raises(ModuleNotFoundError):
        __import__("a_module_that_is_not_there")
    del sys.modules["a_module_that_is_not_there"]


def test_the_engine_is_loaded_for_the_tasks_that_need_it(student, tmp_path, monkeypatch):
    monkeypatch.setattr(confine, "confine", lambda **limits: [])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own.py").write_text("class Wrong:\n    pass\n")
    call = {
        "targets": [("own.py", "Wrong")],
        "driver": "operation",
        "inputs": {"x": np.ones((2, 2)), "gamma": np.ones(2), "eps": 0.1},
    }
    setup = {"folder": str(tmp_path), "engine": os.getcwd(), "limits": {}}
    answers = io.BytesIO()
    main.serve(io.BytesIO(wire.pack(setup) + wire.pack(call)), answers)
    answers.seek(0)
    main.receive(answers)
    assert main.receive(answers)["failure"][0] == "NotAnOperation"


# ------------------------------------------------------------------------------------------ drivers


def test_a_walk_that_returns_no_dictionary_is_told():
    inputs = {"root": 0, "seed": np.ones(1), "parents": [[]], "slopes": [[]]}
    with pytest.raises(TypeError, match="returned list, expected a dict"):
        drivers.walk(lambda *_: [], inputs)
    with pytest.raises(TypeError, match="returned NoneType, expected a list"):
        drivers.order(lambda *_: None, inputs)


def test_visits_are_counted_whichever_way_the_graph_is_read():
    graph = drivers.watched({"parents": [[], [0]]})
    assert graph.get(7, "none") == "none"
    for _ in range(graph.left):
        assert graph.get(1) == (0,)
    with pytest.raises(drivers.TooManyVisits):
        graph.get(1)


def test_a_network_needs_one_gradient_per_layer():
    inputs = {"x": np.ones((1, 1)), "labels": np.zeros(1), "layers": [{}, {}]}
    with pytest.raises(ValueError, match="1 gradients for 2 layers"):
        drivers.network(lambda *_: (0.0, [{}]), inputs)


# ----------------------------------------------------------------------------------- without fences


def test_fences_that_a_system_lacks_are_not_claimed(monkeypatch):
    monkeypatch.setattr(confine.sys, "platform", "plan9")
    monkeypatch.setattr(confine, "resource", None)
    assert confine.confine(1, 1, 1, [], []) == []
    assert not confine.refuse_calls()
