"""``diagnose``: examine, compare with the criteria, and leave out what something else explains."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from ... import functional as F
from ...nn import Module
from ...optim import Optimizer
from ...tensor import Tensor
from . import fit, normalization, numbers, remedies, signal, training, units
from .examine import Examination, examine
from .finding import Finding
from .kinds import ORDER
from .patient import Loss, Patient, Step, undisturbed
from .report import Report

SATURATED = 0.3
"""From this share of saturated units on, a report says so, although it is no disease in itself."""


def diagnose(
    model: Module,
    x: Tensor,
    labels: Any,
    loss: Loss = F.cross_entropy,
    optimizer: Optimizer | None = None,
    step: Step | None = None,
    steps: int = 30,
    try_remedies: bool = False,
    remedy_steps: int = 200,
) -> Report:
    """Why does this network not learn? Looks at one forward and backward pass, then at a few
    training steps, and names what is wrong, with the evidence and the remedy.

    Everything happens on copies, or is put back, also after an error or Ctrl-C: the model, its
    buffers, gradients and modes, the optimiser and the random generator are afterwards bit for bit
    what they were. A model in evaluation mode is examined in training mode.

    Args:
        model: any Module. Its layers are the modules in it that have no submodules. One made by
            ``nn.fuse`` hides its activations; hand over the model it was made of.
        x: one batch, as in training: (N, ...).
        labels: what ``loss`` takes beside the outputs.
        loss: ``loss(model(x), labels)``, a single number.
        optimizer: the one that trains ``model``. Without it learning rates are not judged.
        step: ``step(x, labels)``, a training step of your own, if that is to be looked at too. It
            runs on the model itself, which is put back afterwards; what else it changes (a
            schedule, a counter outside of the model) is not.
        steps: how many training steps to look at; 0 for none. Without ``optimizer`` and ``step``
            there are none.
        try_remedies: apply what is proposed to copies, train with and without it on this batch,
            and say what it brought.
        remedy_steps: for so many steps.

    Returns:
        A ``Report``; its ``findings`` are empty if nothing was found.

    Raises:
        TypeError: ``model``, ``x`` or ``optimizer`` is not what it should be, or the loss is no
            Tensor.
        ValueError: the batch is empty, or ``steps`` is negative.
        RuntimeError: the model cannot be copied.

    What the model or the loss itself raises is raised again, unless it is a finding.
    """
    patient = _checked(Patient(model, x, labels, loss, optimizer, step), steps)
    with undisturbed():
        report, seen = _Round(patient, steps).report()
        if try_remedies and seen.error is None:
            trials = remedies.try_all(patient, seen, report.findings, remedy_steps)
            report.trials.extend(trials)
        return report


def _checked(patient: Patient, steps: int) -> Patient:
    expected: dict[str, tuple[Any, Any]] = {
        "model": (patient.model, Module),
        "x": (patient.x, Tensor),
        "optimizer": (patient.optimizer or Optimizer, (Optimizer, type)),
    }
    for name, (value, kind) in expected.items():
        if not isinstance(value, kind):
            wanted = {"model": "a Module", "x": "a Tensor", "optimizer": "an Optimizer"}[name]
            raise TypeError(f"diagnose: {name} is a {type(value).__name__}, expected {wanted}")
    if patient.x.ndim == 0 or len(patient.x) == 0:
        raise ValueError(f"diagnose: x has shape {patient.x.shape}, expected a batch (N, ...)")
    if steps < 0:
        raise ValueError(f"diagnose: steps is {steps}, expected 0 or more")
    return patient


class _Round:
    """One examination after the other, each where the ones before leave something to ask."""

    def __init__(self, patient: Patient, steps: int) -> None:
        self.patient, self.steps = patient, steps
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.looked_at: list[str] = []
        self.course: training.Course | None = None

    def report(self) -> tuple[Report, Examination]:
        seen = examine(self.patient)
        if seen.error is not None:
            self.add(fit.too_few_outputs(seen), normalization.refused(seen))
            if not self.findings:
                raise seen.error
            return self.written(seen), seen
        mode = "" if self.patient.model.training else " (the model was in evaluation mode)"
        self.looked_at.append(
            f"one forward and backward pass of {len(self.patient.x)} samples in training mode{mode}"
            f" through {len(seen.layers)} layers: loss {seen.loss:.4g}"
        )
        self.add(numbers.find(seen), fit.parameters(seen, self.patient))
        patient = self.patient
        if not self.found("non-finite"):
            self.add(fit.inputs(seen), fit.loss(seen))
            seen, patient = self.without(seen)
            self.add(self.signal(seen), units.find(seen))
        self.add(normalization.find(seen, patient))
        if not self.found("non-finite", "poisoned-statistics"):
            self.add(normalization.gap(seen, patient))
        self.train(patient)
        if not self.findings and (self.course is None or self.course.fall < fit.HALVED):
            self.add(fit.loud(seen))
        self.remark(seen)
        return self.written(seen), seen

    def signal(self, seen: Examination) -> Iterator[Finding]:
        """The findings about the signal; one that the optimiser makes up for is a remark."""
        for finding in signal.find(seen):
            if signal.made_up_for(finding, self.patient.optimizer):
                self.notes.append(
                    f"the gradient shrinks by {finding.numbers['factor']:.2g} per layer; Adam, "
                    f"which divides each gradient by its own size, makes up for it. SGD would not."
                )
            else:
                yield finding

    def without(self, seen: Examination) -> tuple[Examination, Patient]:
        """The examination of the same model without what would hide the rest: with inputs that
        are scaled, in float32 in the place of float16."""
        patient = self.patient
        if self.found("unscaled-inputs"):
            patient = patient.with_inputs(fit.scaled(patient.x))
            seen = examine(patient)
        if numbers.is_half(patient.model):
            single = examine(patient.in_float32())
            self.add(numbers.underflow(seen, single))
            seen = single
        return seen, patient

    def train(self, patient: Patient) -> None:
        """A few steps, where there is something that makes them and gradients for it."""
        if self.steps == 0 or (patient.optimizer is None and patient.step is None):
            return
        if self.found("non-finite") or not any(p.requires_grad for p in patient.model.parameters()):
            return
        course = self.course = training.train(patient, self.steps)
        by = "your step" if patient.step is not None else type(patient.optimizer).__name__
        self.looked_at.append(
            f"{course.steps} training steps ({by}) on this batch: loss {course.losses[0]:.4g} to "
            f"{course.losses[-1]:.4g}"
        )
        self.add(training.habits(course))
        explained = {kind for f in self.findings for kind in f.explains}
        if not {"rate-too-high", "rate-too-low"} <= explained:
            self.add(training.rates(patient, course, self.steps))

    def remark(self, seen: Examination) -> None:
        """What is worth a word and no disease."""
        flat = [a.saturated for a in seen.activations if not np.isnan(a.saturated)]
        lost = self.found("vanishing-by-saturation", "vanishing", "bottleneck")
        if flat and np.median(flat) > SATURATED and not lost:
            self.notes.append(
                f"{np.median(flat):.0%} of the units are saturated, and the gradient passes all "
                f"the same: large weights saturate, and amplify on the way back (vg-9)."
            )
        early = normalization.young(seen, self.patient)
        self.notes += [] if early is None else [early]
        for below, above in zip(seen.layers, seen.layers[1:], strict=False):
            bias = vars(below.module).get("bias")
            if below.weight is not None and bias is not None and above.batch and above.training:
                self.notes.append(
                    f"the bias of {below} does nothing: the BatchNorm after it takes every shift "
                    f"away (Linear(..., bias=False) saves it)."
                )
                break

    def add(self, *families: Iterator[Finding]) -> None:
        """Add what is new: of two findings of one kind the first stands."""
        for finding in chain(*families):
            if not self.found(finding.kind):
                self.findings.append(finding)

    def found(self, *kinds: str) -> bool:
        """Whether one of these is among the findings."""
        return any(finding.kind in kinds for finding in self.findings)

    def written(self, seen: Examination) -> Report:
        explained = {kind for f in self.findings for kind in f.explains}
        left = [f for f in self.findings if f.kind not in explained]
        left.sort(key=lambda f: ORDER[f.kind])
        return Report.of(left, self.notes, self.looked_at, seen, self.course)
