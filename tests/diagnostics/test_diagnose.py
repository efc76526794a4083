"""``diagnose``: it leaves everything as it was, measures what it says, and writes a report."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.backend import default_generator
from minigrad.diagnostics import KINDS, Finding, diagnose, factor_per_layer, observe
from minigrad.diagnostics.doctor.examine import examine, measure
from minigrad.diagnostics.doctor.patient import Patient
from minigrad.diagnostics.doctor.training import train
from tests.interrupts import interrupted


def network() -> tuple[nn.Module, mg.Tensor, mg.Tensor, optim.Optimizer]:
    """A small network in the middle of training, with gradients left over."""
    model = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 3)
    )
    x, labels = mg.randn(20, 6), mg.randint(0, 3, (20,))
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
    model[1].eval()
    model[0].bias.requires_grad_(False)
    return model, x, labels, optimizer


def everything(model: nn.Module, optimizer: optim.Optimizer) -> list[Any]:
    """All that must be as it was, down to which array object holds it."""
    tensors = [*model.parameters(), *model.buffers()]
    return [
        [(id(t), id(t.array), t.array.tobytes(), t.requires_grad, t.hooks) for t in tensors],
        [None if p.grad is None else (id(p.grad), p.grad.data.tobytes()) for p in tensors],
        [(id(m), m.training, len(m._forward_hooks), len(m._pre_hooks)) for m in model.modules()],
        [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups],
        [
            {k: v.tobytes() if isinstance(v, np.ndarray) else v for k, v in state.items()}
            for state in optimizer.state.values()
        ],
        copy.deepcopy(default_generator().bit_generator.state),
    ]


def own_step(
    model: nn.Module, optimizer: optim.Optimizer, at: int = 0, error: Any = None
) -> Callable[..., mg.Tensor]:
    """A training step that changes all it can, and raises ``error`` in step number ``at``."""
    steps = iter(range(1, 1000))

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        if next(steps) == at:
            raise error
        optimizer.step()
        optimizer.param_groups[0]["lr"] *= 0.9
        return loss

    return step


class TestWhatItLeaves:
    @pytest.mark.parametrize("with_step", [False, True], ids=["copies", "own step"])
    def test_all_is_as_it_was(self, with_step: bool) -> None:
        model, x, labels, optimizer = network()
        before, data = everything(model, optimizer), x.data.tobytes()
        step = own_step(model, optimizer) if with_step else None
        diagnose(model, x, labels, optimizer=optimizer, step=step, steps=4)
        assert everything(model, optimizer) == before
        assert x.data.tobytes() == data

    def test_training_goes_on_as_if_nothing_had_been(self) -> None:
        results = []
        for examined in (False, True):
            mg.manual_seed(5)
            model, x, labels, optimizer = network()
            if examined:
                step = own_step(model, optimizer)
                diagnose(model, x, labels, optimizer=optimizer, step=step, steps=3)
            model.train()
            for _ in range(3):
                optimizer.zero_grad()
                F.cross_entropy(model(x), labels).backward()
                optimizer.step()
            results.append([p.data.tobytes() for p in model.parameters()])
        assert results[0] == results[1]

    @pytest.mark.parametrize("error", [ValueError("in a step"), KeyboardInterrupt()])
    def test_also_after_an_error_in_a_step(self, error: BaseException) -> None:
        model, x, labels, optimizer = network()
        before = everything(model, optimizer)
        step = own_step(model, optimizer, at=3, error=error)
        with pytest.raises(type(error)):
            diagnose(model, x, labels, optimizer=optimizer, step=step)
        assert everything(model, optimizer) == before

    @pytest.mark.parametrize("error", [ValueError("in the loss"), KeyboardInterrupt()])
    def test_also_after_an_error_in_the_loss(self, error: BaseException) -> None:
        model, x, labels, optimizer = network()
        before = everything(model, optimizer)
        calls = iter(range(1, 1000))

        def loss(outputs: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
            if next(calls) == 4:
                raise error
            return F.cross_entropy(outputs, labels)

        with pytest.raises(type(error)):
            diagnose(model, x, labels, loss, optimizer)
        assert everything(model, optimizer) == before

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_ctrl_c_at_any_moment(self) -> None:
        model, x, labels, optimizer = network()
        before, moments = everything(model, optimizer), 0

        def run() -> None:
            step = own_step(model, optimizer)
            diagnose(model, x[:6], labels[:6], optimizer=optimizer, step=step, steps=1)

        for place in interrupted(run, every=211):
            moments += 1
            assert everything(model, optimizer) == before, place
        assert moments > 30

    def test_it_works_within_no_grad_and_stays_there(self) -> None:
        model, x, labels, optimizer = network()
        with mg.no_grad():
            report = diagnose(model, x, labels, optimizer=optimizer, steps=2)
            assert not mg.is_grad_enabled()
        assert report.kinds == ["no-gradient", "batchnorm-in-eval"]

    def test_the_rate_that_is_tried_is_put_back(self) -> None:
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        x, labels = mg.randn(16, 4), mg.randint(0, 2, (16,))
        optimizer = optim.SGD(model.parameters(), lr=0.25)
        patient = Patient(model, x, labels, F.cross_entropy, optimizer, own_step(model, optimizer))
        train(patient, 2, factor=100)
        assert optimizer.param_groups[0]["lr"] == 0.25


class TestWhatItMeasures:
    def test_directions_of_a_cloud(self, rng: np.random.Generator) -> None:
        """With equal variances along k axes there are k directions; along one line, 1."""
        signs = np.array([[i >> k & 1 for k in range(3)] for i in range(8)]) * 2.0 - 1
        assert measure(
            signs @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
        ).directions == pytest.approx(3)
        line = rng.normal(size=(20, 1)) * rng.normal(size=(1, 7)) + rng.normal(size=7)
        assert measure(line).directions == pytest.approx(1)
        v = np.array([3.0, 1.0])  # variances 9 and 1: (9 + 1)^2 / (81 + 1)
        assert measure(signs[:, :2] * v).directions == pytest.approx(100 / 82)

    def test_spread_and_size(self, rng: np.random.Generator) -> None:
        array = rng.normal(size=(30, 2, 3)) + 5
        seen = measure(array.astype(np.float32))
        assert seen.spread == pytest.approx(np.sqrt(array.var(axis=0).mean()), rel=1e-6)
        assert seen.rms == pytest.approx(np.sqrt((array**2).mean()), rel=1e-6)
        assert (seen.width, seen.finite) == (6, True)

    def test_the_gradients_are_those_of_observe(self) -> None:
        model, x, labels, _ = network()
        model.train()
        state = default_generator().bit_generator.state
        with observe(model) as seen:
            F.cross_entropy(model(x), labels).backward()
        default_generator().bit_generator.state = state
        found = examine(Patient(model, x, labels, F.cross_entropy))
        assert [row.grad for row in found.layers] == [row.grad_output for row in seen.rows]

    def test_slopes_are_measured_in_functions_too(self, rng: np.random.Generator) -> None:
        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a, self.b = nn.Linear(5, 4), nn.Linear(4, 2)

            def forward(self, x: mg.Tensor) -> mg.Tensor:
                self.z = self.a(x).detach()
                return self.b(self.a(x).tanh())

        model, x = Net(), mg.tensor(rng.normal(size=(9, 5)).astype(np.float32) * 3)
        seen = examine(Patient(model, x, mg.randint(0, 2, (9,)), F.cross_entropy))
        [activation] = seen.activations
        with mg.no_grad():
            z = model.a(x).data.astype(float)
        slopes = 1 / np.cosh(z) ** 2
        assert activation.slope == pytest.approx(np.sqrt((slopes**2).mean()), rel=1e-5)
        assert activation.saturated == (slopes < 0.0266).mean()
        assert (activation.kind, activation.where) == ("Tanh", "a")

    def test_the_factor_per_layer_is_that_of_the_theory(self) -> None:
        """20 sigmoid layers with Xavier's weights: 0.236 per layer (vg-5), here with the head."""
        layers: list[nn.Module] = []
        for i in range(20):
            linear = nn.Linear(64 if i else 10, 64)
            nn.init.normal_(linear.weight, std=1 / math.sqrt(linear.in_features))
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.Sigmoid()]
        model = nn.Sequential(*layers, nn.Linear(64, 10))
        x, labels = mg.randn(64, 10), mg.randint(0, 10, (64,))
        [finding] = diagnose(model, x, labels).findings
        assert finding.kind == "vanishing"
        assert finding.numbers["slope"] * finding.numbers["gain"] == pytest.approx(0.236, abs=0.01)
        with observe(model) as seen:
            F.cross_entropy(model(x), labels).backward()
        factor = factor_per_layer([row.grad_output for row in seen.of("Linear")])
        assert finding.numbers["factor"] == pytest.approx(factor, rel=1e-3)

    def test_a_course_of_sgd_is_that_of_arithmetic(self) -> None:
        """One weight, loss w^2, rate 0.25: w halves in each step."""
        model = nn.Linear(1, 1, bias=False)
        nn.init.constant_(model.weight, 4.0)
        x, target = mg.ones(2, 1), mg.zeros(2, 1)
        optimizer = optim.SGD(model.parameters(), lr=0.25)
        course = train(Patient(model, x, target, F.mse_loss, optimizer), 3)
        assert course.losses == [16.0, 4.0, 1.0, 0.25]
        assert course.updates == {"weight": [0.5, 0.5, 0.5]}
        assert train(Patient(model, x, target, F.mse_loss, optimizer), 1, 2.0).losses == [16.0, 0.0]


class TestWhatIsNoDisease:
    def test_large_weights_saturate_and_are_not_accused(self) -> None:
        layers: list[nn.Module] = []
        for i in range(12):
            linear = nn.Linear(64 if i else 10, 64)
            nn.init.normal_(linear.weight, std=10.15 / math.sqrt(linear.in_features))
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.Sigmoid()]
        model = nn.Sequential(*layers, nn.Linear(64, 10))
        report = diagnose(model, mg.randn(64, 10), mg.randint(0, 10, (64,)))
        assert not report
        assert any("saturated, and the gradient passes" in note for note in report.notes)

    def test_a_bias_before_batchnorm_is_a_remark(self) -> None:
        for bias, expected in ((True, 1), (False, 0)):
            model = nn.Sequential(
                nn.Linear(5, 8, bias=bias), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)
            )
            report = diagnose(model, mg.randn(32, 5), mg.randint(0, 3, (32,)))
            assert not report
            assert (
                sum("bias of 0 (Linear) does nothing" in note for note in report.notes) == expected
            )


class TestTheReport:
    @pytest.fixture
    def report(self) -> Any:
        model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3), nn.Softmax(1))
        x = mg.randn(24, 6) * 50
        return diagnose(model, x, mg.randint(0, 3, (24,)), optimizer=optim.SGD(model.parameters()))

    def test_for_a_student(self, report: Any) -> None:
        text = str(report)
        assert report.kinds == ["loss-mismatch", "unscaled-inputs"]
        assert text.startswith("1. loss-mismatch: the outputs of the model are not what")
        assert "2. unscaled-inputs" in text
        for finding in report.findings:
            for part in (finding.evidence, finding.cause, finding.remedy):
                assert " ".join(part.split()) in " ".join(text.split())
        assert max(map(len, text.splitlines())) <= 100
        assert report

    def test_as_json(self, report: Any, tmp_path: Any) -> None:
        written = json.loads(report.to_json(tmp_path / "report.json"))
        assert json.loads((tmp_path / "report.json").read_text()) == written
        assert [f["kind"] for f in written["findings"]] == report.kinds
        assert written["findings"][1]["numbers"]["rms"] == pytest.approx(50, rel=0.2)
        assert len(written["losses"]) == 31

    def test_in_a_notebook(self, report: Any) -> None:
        page = report._repr_html_()
        assert page.count("<tr>") == 3
        assert "loss-mismatch" in page
        assert "<b>Nothing found.</b>" not in page

    def test_as_a_figure(self, report: Any) -> None:
        pytest.importorskip("matplotlib")
        layers, loss = report.plot().axes
        assert [len(line.get_xdata()) for line in layers.lines] == [2, 2]
        assert list(loss.lines[0].get_ydata()) == report.losses

    def test_of_a_healthy_network(self) -> None:
        model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
        report = diagnose(model, mg.randn(24, 6), mg.randint(0, 3, (24,)))
        assert not report
        assert str(report).startswith("Nothing found.\n\nLooked at:\n- one forward and backward")
        assert "Nothing found." in report._repr_html_()
        pytest.importorskip("matplotlib")
        assert len(report.plot().axes) == 1


class TestWhatItRefuses:
    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (
                {"model": print},
                TypeError,
                "model is a builtin_function_or_method, expected a Module",
            ),
            ({"x": np.ones((4, 6))}, TypeError, "x is a ndarray, expected a Tensor"),
            ({"x": mg.ones(0, 6)}, ValueError, r"x has shape \(0, 6\), expected a batch"),
            ({"optimizer": 0.1}, TypeError, "optimizer is a float, expected an Optimizer"),
            ({"steps": -1}, ValueError, "steps is -1, expected 0 or more"),
            ({"loss": lambda y, t: 3.0}, TypeError, "the loss is a float, expected a Tensor"),
        ],
    )
    def test_what_makes_no_sense(
        self, change: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        model = nn.Linear(6, 3)
        arguments = {"model": model, "x": mg.ones(4, 6), "labels": mg.zeros(4, dtype=mg.int64)}
        with pytest.raises(error, match=f"diagnose: {message}"):
            diagnose(**{**arguments, **change})

    def test_an_error_of_the_model_is_the_users(self) -> None:
        with pytest.raises(ValueError, match="Linear: input has 5 features"):
            diagnose(nn.Linear(6, 3), mg.randn(4, 5), mg.zeros(4, dtype=mg.int64))


class TestTheDictionary:
    def test_what_is_explained_exists_and_is_not_graver(self) -> None:
        for name, kind in KINDS.items():
            assert set(kind.explains) <= set(KINDS) - {name}

    def test_a_finding_speaks_from_it(self) -> None:
        finding = Finding("vanishing", ("0",), "measured")
        assert finding.cause == KINDS["vanishing"].cause
        assert finding.to_dict()["see"].startswith("docs/diagnosis.md#vanishing, docs/derivations/")
