"""The measurements behind a finding are those of arithmetic, and the limits lie where they are said
to lie."""

import math
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.diagnostics import diagnose, track
from minigrad.diagnostics.doctor import fit, normalization
from minigrad.diagnostics.doctor.examine import examine
from minigrad.diagnostics.doctor.patient import Patient


def classes(n: int = 40, features: int = 6) -> tuple[mg.Tensor, mg.Tensor]:
    x = mg.randn(n, features)
    return (x - x.mean(0)) / x.std(0), mg.randint(0, 3, (n,))


def plain(features: int = 6, width: int = 10, outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, outputs))


def finding(report: Any, kind: str) -> Any:
    [found] = [f for f in report.findings if f.kind == kind]
    return found


class TestInputs:
    @pytest.mark.parametrize(
        ("factor", "accused"), [(2.9, False), (3.1, True), (0.06, False), (0.04, True)]
    )
    def test_the_limits(self, factor: float, accused: bool) -> None:
        x, labels = classes()
        report = diagnose(plain(), x * factor, labels)
        assert ("unscaled-inputs" in report.kinds) is accused

    def test_the_size_of_all_values(self) -> None:
        x, labels = classes()
        found = finding(diagnose(plain(), x * 30 + 40, labels), "unscaled-inputs")
        values = x.data.astype(float) * 30 + 40
        assert found.numbers["rms"] == pytest.approx(np.sqrt((values**2).mean()), rel=1e-5)

    def test_features_of_different_scales(self) -> None:
        x, labels = classes(features=20)
        scales = np.ones(20, np.float32)
        scales[:5] = 0.005
        report = diagnose(plain(20), x * mg.tensor(scales), labels)
        ratio = finding(report, "unscaled-inputs").numbers["ratio"]
        assert ratio == pytest.approx(200, rel=0.2)

    def test_a_norm_at_the_start_scales_them(self) -> None:
        x, labels = classes()
        model = nn.Sequential(nn.BatchNorm1d(6), *plain())
        assert not diagnose(model, x * 1000 + 5000, labels)

    def test_scaling(self, rng: np.random.Generator) -> None:
        values = rng.normal(size=(50, 3)) * [1, 100, 0] + [0, 7, 5]
        scaled = fit.scaled(mg.tensor(values)).data
        assert scaled.mean(0) == pytest.approx(0, abs=1e-12)
        assert scaled.std(0) == pytest.approx([1, 1, 0])


class TestUnits:
    @pytest.mark.parametrize(("dead", "accused"), [(17, False), (18, True)])
    def test_nine_in_ten(self, dead: int, accused: bool) -> None:
        model, (x, labels) = plain(width=20), classes()
        with mg.no_grad():
            model[0].bias[:dead] = -100.0
            model[0].bias[dead:] = 5.0
        report = diagnose(model, x, labels)
        assert ("dead-units" in report.kinds) is accused
        if accused:
            assert finding(report, "dead-units").numbers["dead"] == pytest.approx(0.9)

    def test_rows_that_differ_a_little_are_not_identical(self) -> None:
        model, (x, labels) = plain(), classes()
        nn.init.constant_(model[0].weight, 0.3)
        assert diagnose(model, x, labels).kinds == ["identical-units"]
        with mg.no_grad():
            model[0].weight[0, 0] = 0.31
        assert "identical-units" not in diagnose(model, x, labels).kinds


class TestRunningStatistics:
    def trained(self, steps: int, momentum: float | None) -> tuple[nn.Sequential, Any, Any]:
        x, labels = classes()
        norm = nn.BatchNorm1d(10, momentum=momentum)
        model = nn.Sequential(nn.Linear(6, 10), norm, nn.ReLU(), nn.Linear(10, 3))
        nn.init.constant_(model[0].bias, 8.0)  # means of 8, and running means that start at 0
        with mg.no_grad():
            for _ in range(steps):
                model(x)
        return model, x, labels

    def test_the_steps_that_are_still_needed(self) -> None:
        model, x, labels = self.trained(3, 0.001)
        found = finding(diagnose(model, x, labels), "stale-statistics")
        steps, more = found.numbers["steps"], 0
        z = x.data.astype(float) @ model[0].weight.data.T + 8
        away = (model[1].running_mean.data - z.mean(0)) / np.sqrt(z.var(0, ddof=1))
        distance = np.sqrt((away**2).mean())
        assert found.numbers["mean"] == pytest.approx(distance, rel=1e-3)
        while distance > normalization.SETTLED:
            distance, more = distance * (1 - 0.001), more + 1
        assert more == math.ceil(steps)

    def test_young_ones_are_a_remark(self) -> None:
        for steps, remarks in ((4, 1), (60, 0)):
            model, x, labels = self.trained(steps, 0.1)
            report = diagnose(model, x, labels)
            assert not report
            assert sum("are young" in note for note in report.notes) == remarks

    def test_a_plain_average_is_never_young(self) -> None:
        model, x, labels = self.trained(1, None)
        report = diagnose(model, x, labels)
        assert not report
        assert not any("young" in note for note in report.notes)

    def test_of_other_data(self) -> None:
        model, x, labels = self.trained(60, 0.1)
        report = diagnose(model, x + 3.0, labels)
        assert report.kinds == ["stale-statistics"]

    def test_a_fused_model_is_not_accused_for_what_cannot_be_seen(self) -> None:
        x, labels = classes()
        layers = nn.Linear(6, 10), nn.BatchNorm1d(10), nn.Sigmoid(), nn.Linear(10, 3)
        model = nn.fuse(nn.Sequential(*layers))
        with mg.no_grad():
            for _ in range(60):
                model(x * 5)
        assert not diagnose(model, x * 2, labels)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        with track(model, optimizer, every=1) as history:
            F.cross_entropy(model(x), labels).backward()
            optimizer.step()
        assert set(history.values) == {"gradient", "update", "spread"}


class TestCollapse:
    def test_the_rank_of_the_weight_gradient(self) -> None:
        """All inputs of the second layer are multiples of one vector, so it has rank 1."""
        model, (x, labels) = plain(width=12), classes()
        with mg.no_grad():
            model[0].weight.copy_(model[0].weight[:1] * mg.linspace(1, 2, 12).reshape(12, 1))
            model[0].bias.fill_(0.0)
        found = finding(diagnose(model, x, labels), "collapse")
        assert found.where == ("0",)
        assert found.numbers["rank"] == pytest.approx(1, abs=1e-6)
        assert found.numbers["directions"] == pytest.approx(1, abs=1e-3)


class TestOutputs:
    def test_a_loss_that_is_summed(self) -> None:
        x, labels = classes()
        report = diagnose(plain(), x, labels, lambda y, t: F.cross_entropy(y, t, reduction="sum"))
        assert "is it summed, not averaged?" in finding(report, "loss-mismatch").evidence

    def test_probabilities_by_ones_own_softmax(self) -> None:
        class Own(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = plain()

            def forward(self, x: mg.Tensor) -> mg.Tensor:
                e = self.inner(x).exp()
                return e / e.sum(1, keepdim=True)

        assert diagnose(Own(), *classes()).kinds == ["loss-mismatch"]

    def test_log_probabilities_are_logits_too(self) -> None:
        """log_softmax twice is log_softmax once."""
        model = nn.Sequential(*plain(), nn.LogSoftmax(1))
        assert not diagnose(model, *classes())
        assert not diagnose(model, *classes(), F.nll_loss)

    def test_probabilities_into_a_likelihood(self) -> None:
        model = nn.Sequential(*plain(), nn.Softmax(1))
        assert diagnose(model, *classes(), F.nll_loss).kinds == ["loss-mismatch"]


class TestParameters:
    def test_each_reason_is_said(self) -> None:
        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
                self.spare, self.cut = nn.Linear(2, 2), nn.Linear(8, 8)

            def forward(self, x: mg.Tensor) -> mg.Tensor:
                h = self.a(x).tanh()
                with mg.no_grad():
                    g = self.b(h)
                return self.c(h + g + self.cut(h).detach())

        model = Net()
        model.c.bias.requires_grad_(False)
        optimizer = optim.SGD([model.c.weight, *model.a.parameters()][:2], lr=0.1)
        found = diagnose(model, *classes(), optimizer=optimizer, steps=0).findings[0]
        assert found.kind == "no-gradient"
        reasons = dict(part.split(": ", 1) for part in found.evidence.rstrip(".").split("; "))
        assert reasons == {
            "a.bias": "not given to the optimiser",
            "b.weight, b.bias": "computed without a record (no_grad)",
            "c.bias": "frozen (requires_grad is False)",
            "spare.weight, spare.bias": "never used: its layer is not called",
            "cut.weight, cut.bias": "cut off from the loss (detach, or not used by it)",
        }

    def test_a_parameter_that_is_used_without_its_module(self) -> None:
        class Tied(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a, self.b = nn.Linear(6, 3), nn.Linear(3, 6, bias=False)

            def forward(self, x: mg.Tensor) -> mg.Tensor:
                return F.linear(self.a(x), self.b.weight.T @ self.b.weight)

        assert not diagnose(Tied(), *classes())


class TestWhatCannotBeExamined:
    def test_a_model_that_cannot_be_copied(self) -> None:
        model = plain()
        model.memory = model(mg.randn(2, 6))  # the result of a recorded operation
        with pytest.raises(RuntimeError, match="diagnose: the model cannot be copied"):
            diagnose(model, *classes())

    def test_labels_that_do_not_fit_in_another_way(self) -> None:
        x, _ = classes()
        with pytest.raises(ValueError, match="cross_entropy: labels have shape"):
            diagnose(plain(), x, mg.zeros(3, dtype=mg.int64))


class TestUnusualModels:
    """None of these is accused of anything."""

    def check(self, model: nn.Module, x: mg.Tensor, labels: Any, loss: Any) -> None:
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        assert diagnose(model, x, labels, loss, optimizer).kinds == []

    def test_two_outputs(self) -> None:
        class Two(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a, self.b = plain(), nn.Linear(6, 1)

            def forward(self, x: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
                return self.a(x), self.b(x)

        x, labels = classes()
        target = mg.randn(40, 1)
        self.check(
            Two(), x, labels, lambda y, t: F.cross_entropy(y[0], t) + F.mse_loss(y[1], target)
        )

    def test_a_recurrent_one(self) -> None:
        """The first state is a constant, and the same layers are called again and again."""

        class Recurrent(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a, self.b, self.out = nn.Linear(6, 12), nn.Linear(12, 12), nn.Linear(12, 3)

            def forward(self, x: mg.Tensor) -> mg.Tensor:
                h = mg.zeros(len(x), 12)
                for k in range(x.shape[1]):
                    h = (self.a(x[:, k]) + self.b(h)).tanh()
                return self.out(h)

        self.check(Recurrent(), mg.randn(30, 4, 6), mg.randint(0, 3, (30,)), F.cross_entropy)

    def test_parameters_without_layers(self) -> None:
        class Own(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.w = nn.Parameter(mg.randn(6, 3) * 0.3)

            def forward(self, x: mg.Tensor) -> mg.Tensor:
                return (x @ self.w).tanh() * 3

        self.check(Own(), *classes(), F.cross_entropy)

    def test_sequences_images_and_a_single_sample(self) -> None:
        x, labels = mg.randn(10, 5, 6), mg.randint(0, 3, (10, 5))
        flat = lambda y, t: F.cross_entropy(y.reshape(-1, 3), t.reshape(-1))  # noqa: E731
        self.check(plain(), x, labels, flat)
        norm = nn.BatchNorm2d(2)
        images = nn.Sequential(norm, nn.Flatten(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3))
        self.check(images, mg.randn(20, 2, 4, 4), mg.randint(0, 3, (20,)), F.cross_entropy)
        x, labels = classes()
        self.check(plain(), x[:1], labels[:1], F.cross_entropy)

    def test_a_narrow_middle_and_a_single_input(self) -> None:
        parts = list(plain(outputs=2)), list(plain(2, 10, 6))
        x, _ = classes()
        self.check(nn.Sequential(*parts[0], nn.Tanh(), *parts[1]), x, x, F.mse_loss)
        line = mg.linspace(-1, 1, 50).reshape(50, 1)
        self.check(plain(1, 32, 1), line, (line * 3).sin(), F.mse_loss)

    def test_where_nothing_learns_that_is_said(self) -> None:
        model = plain().requires_grad_(False)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        report = diagnose(
            model, *classes(), optimizer=optimizer, try_remedies=True, remedy_steps=20
        )
        assert report.kinds == ["no-gradient"]
        assert [trial.helped for trial in report.trials] == [True]


def test_only_the_layer_that_gets_less_is_left_out_of_the_path() -> None:
    """A last layer of zeros sends nothing down until its first step, and learns itself."""
    model = nn.Sequential(*plain(), nn.ReLU(), nn.Linear(3, 3))
    nn.init.zeros_(model[4].weight)
    seen = examine(Patient(model, *classes(), F.cross_entropy))
    assert [row.grad == 0 for row in seen.weighted] == [True, True, False]
    assert not diagnose(model, *classes())


class TestBothModes:
    def test_a_model_that_is_another_one_in_evaluation(self) -> None:
        """No noise, no BatchNorm: the outputs are just others."""

        class Moody(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = plain()

            def forward(self, x: mg.Tensor) -> mg.Tensor:
                y = self.inner(x)
                return y if self.training else y + 5.0

        found = finding(diagnose(Moody(), *classes()), "train-eval-gap")
        assert found.numbers["apart"] == pytest.approx(5, rel=1e-5)
        assert found.numbers["noise"] == pytest.approx(0, abs=1e-6)

    def test_the_noise_of_dropout_is_measured(self) -> None:
        """One output per unit: of x / (1 - p) a share 1 - p is left, so the variance of an output
        is x^2 p / (1 - p)."""
        p, x = 0.999, mg.randn(60, 40)
        target = mg.randn(60, 40)
        model = nn.Sequential(nn.Linear(40, 40, bias=False), nn.Dropout(p))
        with mg.no_grad():
            model[0].weight.copy_(mg.eye(40))
        found = finding(diagnose(model, x, target, F.mse_loss), "train-eval-gap")
        assert found.where == ("1",)
        variance = (x.data.astype(float) ** 2).mean() * p / (1 - p)
        assert found.numbers["noise"] == pytest.approx(np.sqrt(variance), rel=0.25)
        assert found.numbers["spread"] == pytest.approx(x.data.std(), rel=1e-4)

    def test_a_batch_of_one_names_the_norm_that_refuses_it(self) -> None:
        model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 3))
        x, labels = classes()
        found = finding(diagnose(model, x[:1], labels[:1]), "batch-too-small")
        assert (found.where, found.numbers) == (("2",), {"values": 1})


class TestConvolutions:
    def network(self) -> nn.Sequential:
        layers = [
            nn.Conv2d(1, 6, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.ReLU(),
        ]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * 25, 3))

    def kinds(self, model: nn.Module) -> list[str]:
        return diagnose(model, mg.randn(24, 1, 5, 5), mg.randint(0, 3, (24,))).kinds

    def test_a_healthy_one(self) -> None:
        assert self.kinds(self.network()) == []

    def test_equal_filters(self) -> None:
        model = self.network()
        nn.init.constant_(model[2].weight, 0.1)
        assert self.kinds(model) == ["identical-units"]

    def test_dead_channels(self) -> None:
        model = self.network()
        nn.init.constant_(model[2].bias, -50.0)
        assert self.kinds(model) == ["dead-units"]

    def test_many_with_small_weights(self) -> None:
        """A factor of 0.3 times the slope, per layer."""
        layers: list[nn.Module] = [nn.Conv2d(1, 6, 3, padding=1)]
        for _ in range(8):
            conv = nn.Conv2d(6, 6, 3, padding=1)
            nn.init.normal_(conv.weight, std=0.3 / math.sqrt(54))
            layers += [nn.Tanh(), conv]
        assert self.kinds(nn.Sequential(*layers, nn.Flatten(), nn.Linear(150, 3))) == ["vanishing"]
