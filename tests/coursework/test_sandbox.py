"""A student's process: what it may do, and what it costs to try the rest: that task, nobody else's.

The programs in ``ATTACKS`` are what a submission could contain. Each runs as a submission does.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minigrad.coursework.child import wire
from minigrad.coursework.sandbox import PRINTED, Child, Limits

INPUTS = {"x": np.array([1.0, -2.0])}
RIGHT = "import numpy as np\ndef f(x):\n    return 2 * x\n"

confined = pytest.mark.skipif(
    sys.platform != "linux", reason="Landlock and seccomp are parts of Linux"
)


def run(tmp_path, text, seconds=20.0, limits=None, engine=False, name="f"):
    """The reply to one call of ``f`` in a file with ``text``, and what was printed."""
    (tmp_path / "own.py").write_text(text, encoding="utf-8")
    with Child(tmp_path, limits, engine) as child:
        reply = child.call([("own.py", name)], "call", INPUTS, seconds)
        time.sleep(0.05)
        return reply, child.printed.decode("utf-8", "replace"), child.fences


def test_results_come_back_as_they_are(tmp_path):
    reply, printed, _ = run(tmp_path, RIGHT + "print('hello')\n")
    np.testing.assert_array_equal(reply.value, [2.0, -4.0])
    assert reply.failure is None
    assert reply.changed(INPUTS) == []
    assert printed == "hello\n"


def test_a_changed_input_is_seen(tmp_path):
    reply, _, _ = run(tmp_path, "def f(x):\n    x += 1\n    return x\n")
    assert reply.changed(INPUTS) == ["x"]


def test_an_exception_comes_with_the_students_line(tmp_path):
    reply, _, _ = run(tmp_path, "import numpy as np\ndef f(x):\n    return x @ np.ones((3, 3))\n")
    assert reply.failure.kind == "ValueError"
    assert reply.failure.where == ("own.py, line 3: return x @ np.ones((3, 3))",)


def test_a_syntax_error_comes_with_its_line(tmp_path):
    reply, _, _ = run(tmp_path, "def f(x):\n    return (x\n")
    assert reply.failure.kind == "SyntaxError"
    assert reply.failure.where[0].startswith("own.py, line 2")


def test_a_renamed_function_is_told(tmp_path):
    reply, _, _ = run(tmp_path, "def g(x):\n    return x\n")
    assert "own.py has no f" in reply.failure.message


# What is tried, what the reply says of it ("" if the program gets away with doing nothing useful).
ATTACKS = {
    "exit": ("import sys\ndef f(x):\n    sys.exit(0)\n", "SystemExit"),
    "hard exit": ("import os\ndef f(x):\n    os._exit(0)\n", "Crash"),
    "abort": ("import os\ndef f(x):\n    os.abort()\n", "Crash"),
    "crash": ("import ctypes\ndef f(x):\n    ctypes.string_at(8)\n", "Crash"),
    "keyboard interrupt": ("def f(x):\n    raise KeyboardInterrupt\n", "KeyboardInterrupt"),
    "memory": ("import numpy as np\ndef f(x):\n    return np.ones((1 << 40,))\n", "MemoryError"),
    "a result that leaves no memory to send it": (
        "import numpy as np\ndef f(x):\n    return np.ones((40_000_000,))\n",
        "MemoryError",
    ),
    "memory, bit by bit": (
        "def f(x):\n    keep = []\n    while True:\n        keep.append(bytearray(1 << 26))\n",
        "MemoryError",
    ),
    "recursion": ("def f(x):\n    return f(x)\n", "RecursionError"),
    "huge result": (
        "import numpy as np\ndef f(x):\n    return np.zeros((10_000_000,))\n",
        "Unreadable",
    ),
    "deep result": (
        "def f(x):\n    r = []\n    for _ in range(500):\n        r = [r]\n    return r\n",
        None,
    ),
    "noise in the pipe": (
        "import os\ndef f(x):\n    for k in range(3, 20):\n        try:\n"
        "            os.write(k, b'A' * 100)\n        except OSError:\n            pass\n"
        "    return x\n",
        "Unreadable",
    ),
    "exception that cannot be shown": (
        "class E(Exception):\n    def __str__(self):\n        raise ValueError\n"
        "def f(x):\n    raise E\n",
        "E",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_the_attacker(tmp_path, name):
    text, kind = ATTACKS[name]
    reply, _, _ = run(tmp_path, text, limits=Limits(memory_mb=700))
    if kind is None:
        assert reply.failure is None
        assert not isinstance(reply.value, np.ndarray)
    else:
        assert reply.failure is not None
        assert reply.failure.kind == kind, reply.failure


def test_a_hang_ends_after_its_time(tmp_path):
    reply, _, _ = run(tmp_path, "def f(x):\n    while True:\n        pass\n", seconds=0.5)
    assert reply.failure.kind == "Timeout"
    assert "endless loop" in reply.failure.message


def test_a_program_that_refuses_to_die_is_killed(tmp_path):
    text = (
        "import signal, time\n"
        "for s in range(1, 32):\n"
        "    try:\n        signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError):\n        pass\n"
        "def f(x):\n"
        "    while True:\n"
        "        try:\n            time.sleep(1)\n"
        "        except BaseException:\n            pass\n"
    )
    (tmp_path / "own.py").write_text(text)
    with Child(tmp_path) as child:
        assert child.call([("own.py", "f")], "call", INPUTS, 0.5).failure.kind == "Timeout"
        assert child.process.returncode is not None


def test_after_its_end_every_call_says_why(tmp_path):
    (tmp_path / "own.py").write_text("import os\ndef f(x):\n    os._exit(3)\n")
    with Child(tmp_path) as child:
        for _ in range(2):
            reply = child.call([("own.py", "f")], "call", INPUTS, 20)
            assert "exit code 3" in reply.failure.message


def test_endless_output_is_cut_off(tmp_path):
    text = "def f(x):\n    for _ in range(20_000):\n        print('y' * 100)\n    return x\n"
    reply, printed, _ = run(tmp_path, text)
    assert reply.failure is None
    assert len(printed) == PRINTED


def test_standard_input_is_empty(tmp_path):
    reply, _, _ = run(tmp_path, "import sys\ndef f(x):\n    return sys.stdin.read()\n")
    assert reply.value == ""


def test_the_environment_is_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "42")
    reply, _, _ = run(tmp_path, "import os\ndef f(x):\n    return dict(os.environ)\n")
    assert "SECRET" not in reply.value
    assert set(reply.value) <= {
        "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
        "PYTHONHASHSEED", "LC_CTYPE",
    }  # fmt: skip


def test_the_folder_is_a_copy_without_links(tmp_path):
    other = tmp_path / "other.py"
    other.write_text("SECRET = 42\n")
    own = tmp_path / "own"
    own.mkdir()
    (own / "linked.py").symlink_to(other)
    text = "import os\ndef f(x):\n    return sorted(os.listdir('.')) + [os.getcwd()]\n"
    reply, _, _ = run(own, text)
    assert reply.value[:-1] == ["own.py"]
    assert Path(reply.value[-1]) != own
    assert not Path(reply.value[-1]).exists()


def test_a_patched_numpy_patches_nothing_here(tmp_path):
    text = (
        "import numpy as np\n"
        "np.allclose = np.array_equal = lambda *a, **k: True\n"
        "np.abs = lambda x: 0 * x\n"
        "def f(x):\n    return 3 * x\n"
    )
    reply, _, _ = run(tmp_path, text)
    np.testing.assert_array_equal(reply.value, [3.0, -6.0])
    assert not np.array_equal([1], [2])


def test_answers_are_not_in_the_process(tmp_path):
    text = (
        "import sys\n"
        "def f(x):\n"
        "    return [m for m, v in sys.modules.items() if v and m.startswith('minigrad')]\n"
    )
    reply, _, _ = run(tmp_path, text)
    assert reply.value == []
    reply, _, _ = run(tmp_path, text, engine=True)
    assert "minigrad.tensor" in reply.value
    assert not [m for m in reply.value if m.startswith("minigrad.coursework")]


def test_a_derivative_cannot_be_imported(tmp_path):
    text = "def f(x):\n    import minigrad\n    return x\n"
    reply, _, _ = run(tmp_path, text)
    assert reply.failure.kind == "ModuleNotFoundError"


@confined
def test_all_fences_stand_here(tmp_path):
    _, _, fences = run(tmp_path, RIGHT)
    if "files" not in fences:
        pytest.skip("this kernel has no Landlock")
    assert fences == ["files", "memory", "processes"]


def forbidden(tmp_path, *bodies, engine=False):
    """What each of ``bodies`` raises in a student's process that is fenced in."""
    text = "import os, sys, threading\n"
    for k, body in enumerate(bodies):
        text += f"def f{k}(x):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    (tmp_path / "own.py").write_text(text)
    with Child(tmp_path, engine=engine) as child:
        if "files" not in child.fences:
            pytest.skip("this kernel has no Landlock")
        return [child.call([("own.py", f"f{k}")], "call", INPUTS, 20) for k in range(len(bodies))]


FORBIDDEN = [
    "open('new.txt', 'w')",
    "open('own.py', 'a')",
    "os.mkdir('folder')",
    "os.remove('own.py')",
    "os.rename('own.py', 'other.py')",
    "os.symlink('own.py', 'link.py')",
    "os.chmod('own.py', 0o777)",
    "os.truncate('own.py', 0)",
    "open('/etc/passwd').read()",
    "os.listdir('/')",
    "open('/proc/self/environ').read()",
    "os.fork()",
    "os.kill(os.getppid(), 9)",
    "os.execv(sys.executable, ['python'])",
    "__import__('subprocess').run(['true'])",
    "__import__('socket').socket()",
    "__import__('resource').setrlimit(__import__('resource').RLIMIT_CPU, (9, 9))",
    "while True:\n    try:\n        os.fork()\n    except OSError:\n        raise",
]


@confined
def test_the_fences_hold(tmp_path):
    replies = forbidden(tmp_path, *FORBIDDEN, "threading.Thread(target=print).start()")
    kinds = [r.failure.kind if r.failure else f"nothing: {r.value}" for r in replies]
    refused = ("PermissionError", "ValueError")
    for body, kind in zip(FORBIDDEN, kinds[:-1], strict=True):
        assert kind in refused, (body, kind)
    assert kinds[-1] == "RuntimeError"  # can't start new thread


@confined
@pytest.mark.parametrize("engine", [False, True])
def test_the_answers_cannot_be_read_from_the_package(tmp_path, engine):
    import minigrad.coursework.questions.sigmoid as answers

    (reply,) = forbidden(tmp_path, f"return open({answers.__file__!r}).read()", engine=engine)
    assert reply.failure.kind == "PermissionError"


@confined
def test_the_rules_of_the_engine_cannot_be_read_where_they_are_asked_for(tmp_path):
    import minigrad.ops.normalization as rules

    body = f"return open({rules.__file__!r}).read()"
    assert forbidden(tmp_path, body)[0].failure.kind == "PermissionError"
    assert forbidden(tmp_path, body, engine=True)[0].failure is None  # task 10 reads the engine


@confined
def test_other_submissions_cannot_be_read(tmp_path):
    other = tmp_path / "bob"
    other.mkdir()
    (other / "sigmoid.py").write_text("SECRET = 42\n")
    own = tmp_path / "ann"
    own.mkdir()
    (reply,) = forbidden(own, f"return open({str(other / 'sigmoid.py')!r}).read()")
    assert reply.failure.kind == "PermissionError"


# ------------------------------------------------------------------------------------- the wire


@pytest.mark.parametrize(
    "message",
    [
        None, True, 3, -1.5, float("nan"), float("inf"), "text", [], (), {}, [1, (2, "x"), None],
        {"a": np.arange(6.0).reshape(2, 3), 3: np.array(True)}, np.zeros((0, 3), np.float32),
        np.arange(12).reshape(3, 4).T, np.arange(8)[::-2],
    ],
)  # fmt: skip
def test_what_travels_arrives(message):
    found = unpacked(wire.pack(message))
    np.testing.assert_equal(found, message)
    assert type(found) is type(message)


def unpacked(data):
    header, body = wire.lengths(data[: wire.LENGTH.size])
    rest = data[wire.LENGTH.size :]
    return wire.unpack(rest[:header], rest[header : header + body])


@pytest.mark.parametrize("thing", [object(), {1, 2}, b"bytes", np.array(["text"]), 1 << 70, print])
def test_what_does_not_travel_is_named(thing):
    assert isinstance(unpacked(wire.pack(thing)), wire.Strange)


@pytest.mark.parametrize(
    "header",
    [
        b"", b"{", b"\xff", b'{"a": ["float64", [2], 16]}', b'{"a": ["object", [1], 8]}',
        b'{"a": ["float64", [-1], 0]}', b'{"a": ["float64", [1000000000, 1000000000], 8]}',
        b'{"z": 1}', b'{"d": [[{"l": []}, 1]]}', b"[" * 100_000, b'{"a": 1, "b": 2}', b"1.5",
        b'{"f": "nonsense"}', b'{"a": ["float64", [true], 8]}',
    ],
)  # fmt: skip
def test_nonsense_is_refused(header):
    with pytest.raises(wire.WireError):
        wire.unpack(header, b"12345678")


def test_a_message_that_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(wire.WireError, match="too large"):
        wire.lengths(wire.LENGTH.pack(1 << 40, 0))


def test_nothing_is_left_behind(tmp_path):
    (tmp_path / "own.py").write_text(RIGHT)
    with Child(tmp_path) as child:
        folder, pid = child.folder, child.process.pid
    assert not Path(folder).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
