"""``track``: what it keeps of a training run, what it costs, and what it says of it."""

import copy
import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.diagnostics import History, diagnose, track
from tests.diagnostics.ward import sick
from tests.diagnostics.ward.parts import Case


def steps(case: Case, number: int, after: Callable[[int], Any] = lambda i: None) -> None:
    """A training loop."""
    for i in range(number):
        case.optimizer.zero_grad()
        case.loss(case.model(case.x), case.labels).backward()
        case.optimizer.step()
        after(i)


def small(seed: int = 0, **options: Any) -> Case:
    mg.manual_seed(seed)
    return sick.B(sick.mlp(12, 4, 2, 10, nn.Sigmoid, sick.xavier, nn.BatchNorm1d), **options)


def watched(case: Case, number: int, every: int = 5) -> History:
    with track(case.model, case.optimizer, every) as history:
        steps(case, number)
    return history


class TestWhatItKeeps:
    def test_every_kth_step(self) -> None:
        assert watched(small(), 10, every=3).steps == [0, 3, 6, 9]

    def test_the_numbers_are_those_of_numpy(self) -> None:
        case = small()
        case.x = case.x + 0.5
        model, expected = case.model, {}

        def after(i: int) -> None:
            weight = model[3].weight
            expected["gradient"] = np.linalg.norm(weight.grad.data.astype(float))
            before = weight.data.astype(float) + 0.1 * weight.grad.data
            expected["update"] = 0.1 * expected["gradient"] / np.linalg.norm(before)

        with track(model, case.optimizer, every=4) as history:
            steps(case, 4)
            with mg.no_grad():  # what the fifth step will see: the first layer before its update
                z = case.x.data.astype(float) @ model[0].weight.data.T + model[0].bias.data
                running = 0.9 * model[1].running_mean.data + 0.1 * z.mean(0)
            steps(case, 1, after)
        seen = {name: history.table(name)[:, 1] for name in history.values}
        assert seen["spread"][0] == pytest.approx(np.sqrt(z.var(0).mean()), rel=1e-4)
        away = (running - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
        assert seen["behind"][0] == pytest.approx(np.sqrt((away**2).mean()), rel=1e-3)
        assert seen["gradient"][1] == pytest.approx(expected["gradient"], rel=1e-5)
        assert seen["update"][1] == pytest.approx(expected["update"], rel=1e-4)
        assert list(history.values["spread"]) == ["0", "3", "6"]

    def test_shares_of_units(self) -> None:
        model = nn.Sequential(nn.Sigmoid(), nn.Linear(3, 3), nn.ReLU(), nn.Tanh(), nn.Linear(3, 2))
        with mg.no_grad():
            model[1].weight.copy_(mg.eye(3) * 4)
            model[1].bias.copy_(mg.tensor([-9.0, 0.0, 0.0]))
        x = mg.tensor([[7.0, 0.3, -6.0], [1.0, 0.2, 6.0]])
        case = Case(model, x, mg.tensor([0, 1]), optim.SGD(model.parameters(), lr=0.1))
        history = watched(case, 1)
        assert history.values["saturated"]["0"] == [0.5]  # 7, -6 and 6 of six
        assert history.values["dead"]["2"] == [pytest.approx(1 / 3)]  # 4 s(z) - 9 < 0
        z = 4 / (1 + np.exp(-x.data[:, 1:]))
        assert history.values["saturated"]["3"] == [(np.abs(z) > 2.5).sum() / 6]

    def test_memory_is_bounded(self) -> None:
        case = small()
        with track(case.model, case.optimizer, every=1, keep=8) as history:
            steps(case, 100)
        assert len(history) < 8
        assert history.every == 16  # 1, 2 from step 7 on, 4 from 14, 8 from 28, 16 from 56
        assert all(step % history.every == 0 for step in history.steps)
        lengths = {len(v) for layers in history.values.values() for v in layers.values()}
        assert lengths == {len(history)}

    def test_evaluation_in_between_does_not_count(self) -> None:
        case, other = small(), small()
        with track(case.model, case.optimizer, every=1) as history:
            steps(case, 2)
            case.model.eval()
            with mg.no_grad():
                case.model(case.x * 100)
            case.model.train()
            steps(case, 1)
        assert history.to_dict() == watched(other, 3, every=1).to_dict()


class TestWhatItLeaves:
    def test_training_is_the_same_to_the_bit(self) -> None:
        alone, tracked = small(), small()
        steps(alone, 12)
        watched(tracked, 12)
        for a, b in zip(alone.model.parameters(), tracked.model.parameters(), strict=True):
            assert a.data.tobytes() == b.data.tobytes()

    def test_between_the_steps_that_count_there_are_no_hooks(self) -> None:
        case, hooks = small(), []
        with track(case.model, case.optimizer, every=3):
            steps(case, 6, lambda i: hooks.append(len(case.model[0]._forward_hooks)))
        assert hooks == [0, 0, 1, 0, 0, 1]  # in place for steps 3 and 6
        assert not any(m._forward_hooks for m in case.model.modules())

    def test_all_hooks_go_also_after_an_error(self) -> None:
        case = small()

        def stop(i: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), track(case.model, case.optimizer, every=1):
            steps(case, 1, stop)
        assert not any(m._forward_hooks for m in case.model.modules())
        assert not case.optimizer.before_step + case.optimizer.after_step

    def test_copies_of_the_optimiser_are_not_tracked(self) -> None:
        case = small()
        with track(case.model, case.optimizer, every=1) as history:
            diagnose(**case.arguments(), steps=5)
            _, twin = copy.deepcopy((case.model, case.optimizer))
            twin.step()
            assert len(history) == 0

    @pytest.mark.slow
    def test_it_costs_at_most_a_tenth_of_a_step(self) -> None:
        mg.manual_seed(0)
        ratios = []
        for _ in range(15):
            times = []
            for tracked in (False, True):
                model = sick.mlp(64, 10, 20, 64, nn.Sigmoid, sick.xavier, nn.BatchNorm1d)
                case = Case(model, *sick.digits(64), sick.sgd(model))
                with track(model, case.optimizer, 10) if tracked else nullcontext():
                    start = time.process_time()
                    steps(case, 60)
                    times.append(time.process_time() - start)
            ratios.append(times[1] / times[0])
        assert np.median(ratios) <= 1.10


class TestWhatItSays:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("twenty sigmoid layers", "vanishing"),
            ("sigmoid with biases from fifty to eighty", "vanishing-by-saturation"),
            ("sigmoid with huge weights", "exploding"),
            ("one layer of four dead", "dead-units"),
            ("a momentum of zero", "stale-statistics"),
            ("adam at 10", "rate-too-high"),
            ("adam at a hundred millionth", "rate-too-low"),
            ("a layer that is never called", "no-gradient"),
        ],
    )
    def test_of_a_sick_network(self, name: str, kind: str) -> None:
        mg.manual_seed(1)
        [build] = [cases[name] for cases in sick.SICK.values() if name in cases]
        history = watched(build(), 31 if kind == "stale-statistics" else 11)
        assert history.diagnose().kinds == [kind]

    def test_of_a_healthy_one(self) -> None:
        report = watched(small(), 60).diagnose()
        assert not report
        assert report.looked_at == ["12 steps, from 0 to 55, of 3 layers"]

    def test_when_it_becomes_infinite(self) -> None:
        case = sick.B(sick.mlp(12, 4, 2, 10))

        def spoil(i: int) -> None:
            if i == 6:
                with mg.no_grad():
                    case.model[2].weight[0, 0] = math.nan

        with np.errstate(all="ignore"), track(case.model, case.optimizer, every=2) as history:
            steps(case, 12, spoil)
        [finding] = history.diagnose().findings
        assert finding.kind == "non-finite"
        assert "first seen in step 8" in finding.evidence

    def test_of_nothing(self) -> None:
        assert not History(10, 200).diagnose()


class TestItsForms:
    def test_as_json(self, tmp_path: Any) -> None:
        history = watched(small(), 7, every=3)
        stored = json.loads(history.to_json(tmp_path / "history.json"))
        assert json.loads((tmp_path / "history.json").read_text()) == stored
        assert stored["steps"] == [0, 3, 6]
        assert stored["values"]["update"]["0"] == history.table("update")[0].tolist()

    def test_as_heat_maps(self) -> None:
        pytest.importorskip("matplotlib")
        history = watched(small(), 7, every=3)
        images = [ax.images[0].get_array() for ax in history.plot().axes if ax.images]
        assert [image.shape for image in images] == [(3, 3), (3, 3), (3, 3), (2, 3), (2, 3)]
        assert np.allclose(images[0], np.log10(history.table("gradient")))
        assert np.allclose(images[3], history.table("saturated"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, None), TypeError, "model is a int, expected a Module"),
        ((nn.Linear(2, 2), 3), TypeError, "optimizer is a int, expected an Optimizer"),
    ],
)
def test_what_it_refuses(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message), track(*arguments):
        pass


@pytest.mark.parametrize("options", [{"every": 0}, {"keep": 1}])
def test_numbers_that_make_no_sense(options: dict[str, int]) -> None:
    case = small()
    message = "expected at least 1 and 2"
    with pytest.raises(ValueError, match=message), track(case.model, case.optimizer, **options):
        pass
