"""``diagnose(..., try_remedies=True)``: what is proposed is tried on copies, judged by the loss."""

import json
import math
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.diagnostics import KINDS, diagnose
from minigrad.diagnostics.doctor.examine import examine
from minigrad.diagnostics.doctor.finding import Finding
from minigrad.diagnostics.doctor.patient import Patient
from minigrad.diagnostics.doctor.remedies import NAMES, REMEDIES, Trial
from tests.diagnostics.ward import sick

BY_NAME = {name: remedy for remedy, name in NAMES.items()}


def deep(layers: int = 10) -> Patient:
    """Sigmoid layers of 16 units on four clouds of points."""
    model = sick.mlp(12, 4, layers, 16, nn.Sigmoid, sick.xavier)
    return Patient(model, *sick.blobs(48), F.cross_entropy, sick.sgd(model))


def cured(name: str, patient: Patient, finding: Finding) -> nn.Module:
    changed = BY_NAME[name](patient.copy(), examine(patient), finding)
    assert changed is not None
    return changed.model


def test_batchnorm_cures_what_vanishes() -> None:
    patient = deep()
    report = diagnose(
        patient.model, patient.x, patient.labels, optimizer=patient.optimizer,
        steps=2, try_remedies=True, remedy_steps=60,
    )  # fmt: skip
    first = report.trials[0]
    assert (first.kind, first.what) == ("vanishing", "BatchNorm before each activation")
    assert first.helped
    assert first.loss < 0.5 < 1.2 < first.without
    said = " ".join(str(report).split())
    assert (
        f"tried: BatchNorm before each activation: 60 steps end at a loss of {first.loss:.3g}"
        in said
    )
    assert "BatchNorm before each activation" in report._repr_html_()
    stored = json.loads(report.to_json())["trials"]
    assert [trial["helped"] for trial in stored] == [trial.helped for trial in report.trials]


def test_what_does_not_help_is_said_not_to_help() -> None:
    """That a spare layer may learn does not bring down the loss: it is not called."""
    mg.manual_seed(0)
    case = sick.a_layer_that_is_never_called()
    report = diagnose(**case.arguments(), steps=1, try_remedies=True, remedy_steps=10)
    [trial] = report.trials
    assert trial.loss == trial.without
    assert str(trial).endswith("it did not help.")


def test_two_diseases_are_also_treated_together() -> None:
    mg.manual_seed(0)
    case = sick.softmax_over_dead_units()
    report = diagnose(**case.arguments(), steps=2, try_remedies=True, remedy_steps=60)
    together = report.trials[-1]
    assert (together.kind, together.helped) == ("", True)
    assert together.loss < min(trial.loss for trial in report.trials[:-1])
    assert "Tried:\n- the first remedy of each together" in str(report)


@pytest.mark.parametrize("with_step", [False, True])
def test_all_is_as_it_was(with_step: bool) -> None:
    case = sick.forgetful(sick.D(sick.mlp(64, 10, 2, 12)))
    if not with_step:
        case.step, case.x = None, case.x * 100
    before = [p.data.tobytes() for p in case.model.parameters()]
    modules = [id(m) for m in case.model.modules()]
    report = diagnose(**case.arguments(), steps=3, try_remedies=True, remedy_steps=3)
    assert report.trials
    assert [p.data.tobytes() for p in case.model.parameters()] == before
    assert [id(m) for m in case.model.modules()] == modules


class TestARemedy:
    def test_residual_adds_the_input(self) -> None:
        patient = deep(3)
        finding = Finding("vanishing", ("0",), "")
        name = "residual connections around the layers that have as many outputs as inputs"
        changed = cured(name, patient, finding)
        with mg.no_grad():
            h = patient.model[:2](patient.x).data.astype(float)
            for i in (2, 4):
                w, b = (p.data.astype(float) for p in patient.model[i].parameters())
                h = h + 1 / (1 + np.exp(-(h @ w.T + b)))
            w, b = (p.data.astype(float) for p in patient.model[6].parameters())
            assert np.allclose(changed(patient.x).data, h @ w.T + b, atol=1e-5)

    def test_batchnorm_stands_before_the_activations_and_not_before_the_loss(self) -> None:
        changed = cured("BatchNorm before each activation", deep(2), Finding("vanishing", (), ""))
        kinds = [type(m).__name__ for m in changed.modules() if not list(m.children())]
        assert kinds == ["Linear", "BatchNorm1d", "Sigmoid"] * 2 + ["Linear"]

    def test_critical_weights_have_the_size_of_the_theory(self) -> None:
        name = "weights that keep the gradient (He's, Xavier's, or critical ones), biases 0"
        for activation, gain in ((nn.Sigmoid, 10.15), (nn.ReLU, math.sqrt(2)), (nn.Tanh, 1.0)):
            model = nn.Sequential(nn.Linear(50, 400), activation(), nn.Linear(400, 4))
            patient = Patient(model, mg.randn(8, 50), mg.randint(0, 4, (8,)), F.cross_entropy)
            weight = cured(name, patient, Finding("vanishing", (), ""))[0].weight.data
            assert weight.std() * math.sqrt(50) == pytest.approx(gain, rel=0.03)

    def test_the_other_rate_is_the_one_that_was_found(self) -> None:
        patient = deep(1)
        finding = Finding("rate-too-high", ("optimizer",), "", {"factor": 0.01})
        copy = patient.copy()
        BY_NAME["the learning rate that did better"](copy, examine(patient), finding)
        assert copy.optimizer.param_groups[0]["lr"] == pytest.approx(0.001)
        assert patient.optimizer.param_groups[0]["lr"] == 0.1

    def test_a_layer_is_started_anew_and_no_other(self) -> None:
        patient = deep(3)
        name = "the layer that is named started anew"
        changed = cured(name, patient, Finding("bottleneck", ("2",), ""))
        same = [
            np.array_equal(a.data, b.data)
            for a, b in zip(changed.parameters(), patient.model.parameters(), strict=True)
        ]
        assert same == [True, True, False, False, True, True, True, True]
        copy, seen = patient.copy(), examine(patient)
        assert BY_NAME[name](copy, seen, Finding("bottleneck", ("1",), "")) is None  # a Sigmoid

    def test_biases_become_0_and_weights_stay(self) -> None:
        patient = deep(2)
        for linear in sick.linears(patient.model):
            nn.init.constant_(linear.bias, 7.0)
        changed = cured("biases of 0", patient, Finding("vanishing-by-saturation", (), ""))
        for a, b in zip(sick.linears(changed), sick.linears(patient.model), strict=True):
            assert not a.bias.data.any()
            assert np.array_equal(a.weight.data, b.weight.data)

    def test_orthogonal_weights_are_orthogonal(self) -> None:
        changed = cured("orthogonal weights", deep(2), Finding("collapse", (), ""))
        weight = changed[2].weight.data.astype(float)
        assert np.allclose(weight @ weight.T, np.eye(16), atol=1e-5)

    def test_layernorm_takes_the_place_of_batchnorm(self) -> None:
        model = sick.mlp(12, 4, 2, 16, nn.ReLU, sick.he, nn.BatchNorm1d)
        patient = Patient(model, *sick.blobs(48), F.cross_entropy)
        changed = cured("LayerNorm in the place of BatchNorm", patient, Finding("x", (), ""))
        kinds = [type(m).__name__ for m in changed]
        assert kinds == ["Linear", "LayerNorm", "ReLU"] * 2 + ["Linear"]

    def test_leaky_units_let_something_through(self) -> None:
        model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        patient = Patient(model, mg.randn(8, 4), mg.randn(8, 3), F.mse_loss)
        changed = cured("LeakyReLU in the place of ReLU", patient, Finding("dead-units", (), ""))
        with mg.no_grad():
            z = model[0](patient.x).data
            assert np.allclose(changed(patient.x).data, np.where(z > 0, z, 0.1 * z))

    def test_one_that_does_not_fit_is_left_out(self) -> None:
        """BatchNorm1d cannot normalise (N, T, C) over its last axis."""
        model = nn.Sequential(*sick.mlp(6, 2, 10, 8, nn.Sigmoid, sick.xavier))
        loss = lambda y, t: F.cross_entropy(y.reshape(-1, 2), t.reshape(-1))  # noqa: E731
        x, t = mg.randn(4, 5, 6), mg.randint(0, 2, (4, 5))
        report = diagnose(model, x, t, loss, try_remedies=True, remedy_steps=3)
        tried = [trial.what for trial in report.trials]
        assert report.kinds == ["vanishing"]
        assert tried
        assert "BatchNorm before each activation" not in tried


@pytest.mark.parametrize(
    ("without", "loss", "helped"),
    [
        (1.0, 0.5, True),
        (1.0, 0.95, False),
        (1.0, 2.0, False),
        (math.nan, 3.0, True),
        (1.0, math.nan, False),
    ],
)
def test_what_helping_means(without: float, loss: float, helped: Any) -> None:
    assert Trial("vanishing", "", 10, without, loss).helped is helped


def test_the_remedies_are_for_kinds_and_have_names() -> None:
    assert set(REMEDIES) <= set(KINDS)
    assert {r for remedies in REMEDIES.values() for r in remedies} == set(NAMES)


def test_adam_keeps_its_options() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(1))
    optimizer = optim.Adam(model.parameters(), lr=0.02, betas=(0.5, 0.9))
    x, t = mg.randn(30, 6), mg.randint(0, 3, (30,))
    report = diagnose(model, x, t, optimizer=optimizer, try_remedies=True, remedy_steps=20)
    [trial] = report.trials
    mg.manual_seed(1)
    plain = nn.Sequential(*list(model)[:3])
    again = optim.Adam(plain.parameters(), lr=0.02, betas=(0.5, 0.9))
    losses = []
    for _ in range(21):
        again.zero_grad()
        loss = F.cross_entropy(plain(x), t)
        loss.backward()
        again.step()
        losses.append(loss.item())
    assert trial.loss == pytest.approx(np.median(losses[-2:]), rel=1e-5)
