"""The benches, as notebooks and in a browser."""

import ast
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad.lab.__main__ as command
from minigrad.lab.one_batchnorm import channel
from minigrad.lab.train_eval import chase
from minigrad.lab.twenty_layers import Bench, Settings
from tests.browser import page

__all__ = ["page"]

BENCHES = sorted(command.BENCHES.glob("*.py"))


@pytest.mark.parametrize("path", BENCHES, ids=lambda path: path.stem)
def test_a_bench_imports_nothing_that_a_browser_lacks(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= {"marimo", "minigrad", "numpy"}


@pytest.mark.parametrize("path", BENCHES, ids=lambda path: path.stem)
@pytest.mark.browser
def test_a_bench_runs_from_its_first_cell_to_its_last(path: Path) -> None:
    pytest.importorskip("marimo", reason="marimo is not installed (pip install marimo)")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]


def test_without_marimo_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert command.main([]) == 2
    assert "pip install marimo" in capsys.readouterr().err


def test_it_serves_the_benches_at_the_port_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def run(arguments: list[str], **options: Any) -> Any:
        calls.append((arguments, options["env"]))
        return subprocess.CompletedProcess(arguments, 0)

    monkeypatch.setattr(command, "find_spec", lambda name: object())
    monkeypatch.setattr(command.subprocess, "run", run)
    assert command.main(["--port", "8123", "--headless"]) == 0
    [(arguments, environment)] = calls
    assert arguments[1:] == [
        "-m", "marimo", "run", str(command.BENCHES), "--port", "8123", "--headless",
    ]  # fmt: skip
    assert environment["OPENBLAS_NUM_THREADS"] == os.environ.get("OPENBLAS_NUM_THREADS", "1")


@contextmanager
def running() -> Iterator[str]:
    """A lab, until the end of the block; its address."""
    pytest.importorskip("marimo", reason="marimo is not installed (pip install marimo)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "minigrad.lab", "--headless", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            if answers(address):
                break
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/health", timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    """The address of a running lab."""
    with running() as address:
        yield address


@pytest.mark.browser
def test_a_lab_that_is_terminated_takes_its_server_along() -> None:
    with running() as address:
        assert answers(address)
    assert not answers(address)


def loss_of(settings: Settings, steps: int = 0) -> str:
    bench = Bench(settings)
    bench.go_to(steps)
    return f"Loss {bench.measure()[1]:.3f}, accuracy"


@pytest.mark.browser
def test_sliders_move_the_numbers_of_twenty_layers(page: Any, lab: str) -> None:
    page.goto(f"{lab}/?file=twenty_layers.py")
    page.get_by_text(loss_of(Settings())).wait_for(timeout=30_000)
    page.get_by_text("vanishing").first.wait_for(timeout=10_000)
    sliders = page.get_by_role("slider")
    sliders.nth(0).focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text(loss_of(Settings(depth=21))).wait_for(timeout=10_000)
    page.locator("select").nth(1).select_option("BatchNorm")
    page.get_by_text(loss_of(Settings(depth=21, normalization="BatchNorm"))).wait_for(
        timeout=10_000
    )
    page.get_by_text("Nothing found").first.wait_for(timeout=10_000)
    sliders.nth(5).focus()
    page.keyboard.press("ArrowRight")
    trained = loss_of(Settings(depth=21, normalization="BatchNorm"), 10)
    page.get_by_text("training steps 10:").wait_for(timeout=10_000)
    page.get_by_text(trained).wait_for(timeout=10_000)
    page.get_by_text("中文").click()
    page.get_by_role("heading", name="二十层网络").wait_for(timeout=10_000)
    assert not page.outside


@pytest.mark.browser
def test_points_move_the_numbers_of_one_batchnorm(page: Any, lab: str) -> None:
    x, dy = [-2.0, -1.0, 0.5, 1.0, 2.5, 5.0], [0.5, -1.0, 0.8, 0.2, -0.6, 1.2]
    page.goto(f"{lab}/?file=one_batchnorm.py")
    page.get_by_text(f"mu {np.mean(x):.3f}, sigma").wait_for(timeout=30_000)
    page.get_by_role("slider", name="x1").focus()
    page.keyboard.press("ArrowRight")
    moved = channel([-1.5, *x[1:]], dy, 1.0, 0.0)
    text = f"mu {moved.mu:.3f}, sigma {moved.sigma:.3f}, dgamma {moved.dgamma:.3f}"
    page.get_by_text(text).wait_for(timeout=10_000)
    last = page.get_by_role("slider", name="x6").bounding_box()
    page.mouse.move(last["x"] + last["width"] / 2, last["y"] + last["height"] / 2)
    page.mouse.down()
    page.mouse.move(1099, last["y"], steps=5)  # beyond the end of the line, which is 10
    page.mouse.up()
    dragged = channel([-1.5, *x[1:-1], 10.0], dy, 1.0, 0.0)
    text = f"mu {dragged.mu:.3f}, sigma {dragged.sigma:.3f}, dgamma {dragged.dgamma:.3f}"
    page.get_by_text(text).wait_for(timeout=10_000)
    assert not page.outside


@pytest.mark.browser
def test_running_statistics_are_on_the_page(page: Any, lab: str) -> None:
    page.goto(f"{lab}/?file=train_eval.py")
    page.get_by_text(f"{chase(0.1, 8, 40).in_eval:.3f}").first.wait_for(timeout=30_000)
    page.get_by_role("slider").nth(0).focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text(f"{chase(0.2, 8, 40).in_eval:.3f}").first.wait_for(timeout=10_000)
    assert not page.outside


@pytest.mark.browser
def test_the_walk_goes_step_by_step(page: Any, lab: str) -> None:
    page.goto(f"{lab}/?file=step_by_step.py")
    page.get_by_text("Step 1 of 5: Add 5").wait_for(timeout=30_000)
    page.get_by_role("slider").nth(3).focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text("Step 2 of 5: PowScalar 4").wait_for(timeout=10_000)
    box = page.get_by_role("textbox").first
    box.fill("x.data")
    box.press("Enter")
    page.get_by_text("expected numbers, w, x, b").wait_for(timeout=10_000)
    box.fill("x * x")
    box.press("Enter")
    page.get_by_text("paths meet").first.wait_for(timeout=10_000)
    assert not page.outside
