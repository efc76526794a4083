"""Remedies that are tried: each is applied to a copy, and both are trained for the same steps.

A remedy changes a copy of the patient and returns it, or None where it does not apply. What it
brought is the loss at the end beside the loss without it. One that did not help is said not to have
helped.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ...nn import (
    BatchNorm1d,
    Identity,
    LayerNorm,
    LeakyReLU,
    Linear,
    Module,
    ReLU,
    Sequential,
    init,
)
from ...optim import SGD
from . import fit
from .examine import Examination
from .finding import Finding
from .patient import Patient
from .training import Course, train

HELPED = 0.9
"""A remedy helped where the loss ends below this share of what it is without."""

CRITICAL = {"Sigmoid": 10.15, "Tanh": 1.0}
"""Weights of this size / sqrt(inputs) keep the gradient (chi = 1, vg-10); sqrt(2) for ReLU and its
kin, 1 without an activation."""


@dataclass(frozen=True)
class Trial:
    """A remedy that was tried."""

    kind: str
    """The finding it is for; "" for all of them together."""
    what: str
    steps: int
    without: float
    """The loss at the end without it: the median of the last tenth of the steps."""
    loss: float
    """The same with it."""

    @property
    def helped(self) -> bool:
        """Whether the loss ended clearly lower."""
        spoilt = not math.isfinite(self.without)
        return math.isfinite(self.loss) and (spoilt or self.loss < HELPED * self.without)

    def __str__(self) -> str:
        verdict = "it helped" if self.helped else "it did not help"
        return (
            f"{self.what}: {self.steps} steps end at a loss of {self.loss:.3g}, without it at "
            f"{self.without:.3g}; {verdict}."
        )


class Skip(Module):
    """x + branch(x)."""

    def __init__(self, branch: Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Any) -> Any:
        return x + self.branch(x)


Remedy = Callable[[Patient, Examination, Finding], Patient | None]
NAMES: dict[Remedy, str] = {}


def called(name: str) -> Callable[[Remedy], Remedy]:
    """Say what a remedy is, in words."""

    def note(remedy: Remedy) -> Remedy:
        NAMES[remedy] = name
        return remedy

    return note


# ------------------------------------------------------------------------------- the remedies


@called("BatchNorm before each activation")
def _batchnorm(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    for name in _hidden(seen):
        layer = _at(patient.model, name)
        norm = BatchNorm1d(len(layer.weight), dtype=layer.weight.dtype, device=layer.weight.device)
        _put(patient.model, name, Sequential(layer, norm))
    return patient if _hidden(seen) else None


@called("weights that keep the gradient (He's, Xavier's, or critical ones), biases 0")
def _critical_weights(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    kinds = {a.kind for a in seen.activations}
    usual = math.sqrt(2) if kinds else 1.0
    gain = max((CRITICAL.get(kind, usual) for kind in kinds), default=1.0)
    names = [layer.name for layer in seen.weighted]
    for name in names:
        layer = _at(patient.model, name)
        last = name == names[-1]
        inputs = layer.weight.numel() // len(layer.weight)  # of one output
        init.normal_(layer.weight, std=(1.0 if last else gain) / math.sqrt(inputs))
        if getattr(layer, "bias", None) is not None:
            init.zeros_(layer.bias)
    return patient if names else None


@called("orthogonal weights")
def _orthogonal_weights(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    for layer in seen.weighted:
        init.orthogonal_(_at(patient.model, layer.name).weight)
    return patient if seen.weighted else None


@called("the layer that is named started anew")
def _this_layer_anew(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    layer: Any = _at(patient.model, finding.where[0])
    if not hasattr(layer, "reset_parameters"):
        return None
    layer.reset_parameters()
    return patient


@called("biases of 0")
def _biases_of_zero(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    for layer in seen.weighted:
        bias = getattr(_at(patient.model, layer.name), "bias", None)
        if bias is not None:
            init.zeros_(bias)
    return patient


@called("residual connections around the layers that have as many outputs as inputs")
def _residual(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    changed = None
    for row in [m for m in patient.model.modules() if isinstance(m, Sequential)]:
        names, parts = [name for name, _ in row.named_children()], list(row)
        for i, (part, after) in enumerate(pairwise(parts)):
            square = type(part) is Linear and part.in_features == part.out_features
            if square and not [*after.parameters()] and not [*after.children()]:
                row.add_module(names[i], Skip(Sequential(part, after)))
                row.add_module(names[i + 1], Identity())
                changed = patient
    return changed


@called("LeakyReLU in the place of ReLU")
def _leaky(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    names = [name for name, m in patient.model.named_modules() if isinstance(m, ReLU)]
    for name in names:
        _put(patient.model, name, LeakyReLU(0.1))
    return patient if names else None


@called("inputs of mean 0 and spread 1")
def _scaled_inputs(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    return patient.with_inputs(fit.scaled(patient.x))


@called("without the activation at the end")
def _no_last_activation(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    last = seen.layers[-1]
    if list(last.module.parameters()) or not last.name or "outputs, the labels" in finding.evidence:
        return None
    _put(patient.model, last.name, Identity())
    return patient


@called("the learning rate that did better")
def _other_rate(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    assert patient.optimizer is not None
    for group in patient.optimizer.param_groups:
        group["lr"] = float(group["lr"]) * finding.numbers["factor"]
    return patient


@called("all parameters learning and given to the optimiser")
def _unfrozen(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    patient.model.requires_grad_(True)
    return patient


@called("zero_grad() in each step")
def _fresh_gradients(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    return patient  # the doctor's own step does it


@called("model.train()")
def _in_training_mode(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    patient.model.train()
    return patient


@called("LayerNorm in the place of BatchNorm")
def _layernorm(patient: Patient, seen: Examination, finding: Finding) -> Patient | None:
    named = list(patient.model.named_modules())
    norms = [(n, m.num_features) for n, m in named if isinstance(m, BatchNorm1d)]
    for name, features in norms:
        _put(patient.model, name, LayerNorm(features))
    return patient if norms else None


REMEDIES: dict[str, tuple[Remedy, ...]] = {
    "no-gradient": (_unfrozen,),
    "accumulating-gradients": (_fresh_gradients,),
    "loss-mismatch": (_no_last_activation,),
    "unscaled-inputs": (_scaled_inputs,),
    "identical-units": (_critical_weights,),
    "dead-units": (_critical_weights, _leaky),
    "batchnorm-in-eval": (_in_training_mode,),
    "batch-too-small": (_layernorm,),
    "vanishing-by-saturation": (_biases_of_zero, _batchnorm),
    "vanishing": (_batchnorm, _critical_weights, _residual),
    "exploding": (_critical_weights, _batchnorm),
    "bottleneck": (_this_layer_anew,),
    "collapse": (_critical_weights, _orthogonal_weights),
    "rate-too-high": (_other_rate,),
    "rate-too-low": (_other_rate,),
}
"""What is tried for each kind. The others are mended in the data, in the user's own code, or in
what is remembered, and not by training."""


def _hidden(seen: Examination) -> list[str]:
    """The names of the Linear layers whose outputs an activation takes: all but the last."""
    layers = [layer for layer in seen.weighted if type(layer.module) is Linear]
    return list(dict.fromkeys(layer.name for layer in layers[:-1]))


def _at(model: Module, name: str) -> Any:
    return dict(model.named_modules())[name]


def _put(model: Module, name: str, module: Module) -> None:
    """Have ``module`` at this place."""
    parent, _, own = name.rpartition(".")
    setattr(_at(model, parent), own, module.train(model.training))


# ------------------------------------------------------------------------------------ trying


def try_all(
    patient: Patient, seen: Examination, findings: Sequence[Finding], steps: int
) -> Iterator[Trial]:
    """Every remedy for every finding, and then the first of each together."""
    if patient.optimizer is None:
        patient = replace(patient, optimizer=SGD(patient.model.parameters(), lr=0.1))
    without = _end(train(patient, steps))
    plain = replace(patient, step=None)
    for finding in findings:
        for remedy in REMEDIES.get(finding.kind, ()):
            loss = _tried(plain, seen, [(remedy, finding)], steps)
            if loss is not None:
                yield Trial(finding.kind, NAMES[remedy], steps, without, loss)
    firsts = [(REMEDIES[f.kind][0], f) for f in findings if f.kind in REMEDIES]
    if len(firsts) > 1:
        loss = _tried(plain, seen, firsts, steps)
        if loss is not None:
            yield Trial("", "the first remedy of each together", steps, without, loss)


def _tried(
    plain: Patient, seen: Examination, cures: Sequence[tuple[Remedy, Finding]], steps: int
) -> float | None:
    """The loss at the end with these remedies; None where one does not apply, or not here."""
    trial: Patient | None = plain.copy()
    try:
        for remedy, finding in cures:
            assert trial is not None
            trial = remedy(trial, seen, finding)
            if trial is None:
                return None
        assert trial is not None
        _serve(trial)
        return _end(train(trial, steps))
    except (ValueError, TypeError, IndexError):  # shapes that this remedy does not fit
        return None


def _serve(trial: Patient) -> None:
    """Give the optimiser the parameters that the model has now, in one group."""
    optimizer = trial.optimizer
    assert optimizer is not None
    optimizer.param_groups[:] = [
        {**optimizer.param_groups[0], "params": [*trial.model.parameters()]}
    ]
    optimizer.state.clear()


def _end(course: Course) -> float:
    last = course.losses[-max(len(course.losses) // 10, 1) :]
    return float(np.median(last)) if course.losses else math.nan
