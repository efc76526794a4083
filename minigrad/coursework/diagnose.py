"""What is wrong with a student's function, in four steps, stopping at the first that explains it.

1. Form: an exception, None, a wrong shape or type, NaN, an input that was changed.
2. A known mistake: the results equal those of a named wrong rule on every probe.
3. Terms: the result is a sum of the formula's terms with other factors (``decompose.py``).
4. Evidence: where it is furthest off, what was expected, the slope there, and which identities of
   the right result hold.

A shape or a NaN can be the fingerprint of a known mistake, so step 2 looks at those as well, and
step 1 speaks for itself only where no mistake is recognised.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..backend import Array
from . import decompose
from .child.wire import Reply
from .compare import misfit, noise, worst_index
from .form import Finding, collect, judged, named_values, raised, remembers, side_effects
from .prepared import Case, Prepared, evaluate
from .questions.base import Inputs, Mistake, Question, Results

# ----------------------------------------------------------------------------------- the four steps


def diagnose(prepared: Prepared, replies: Sequence[Reply]) -> list[Finding]:
    """What is wrong, from the replies to ``prepared.calls``; nothing if all is right."""
    with np.errstate(all="ignore"):  # wrong results overflow, and so do wrong rules
        return in_order(prepared, replies)


def in_order(prepared: Prepared, replies: Sequence[Reply]) -> list[Finding]:
    """The steps, one after the other."""
    question = prepared.question
    failed = [r.failure for r in replies if r.failure is not None]
    if any(f.kind == "NotImplementedError" for f in failed):
        return [Finding("missing", question.results, "not implemented yet")]
    findings = [raised(question, failed[0])] if failed else []
    tables: list[tuple[int, dict[str, Any]]] = []
    for k, reply in enumerate(replies[: len(prepared.probes)]):
        if reply.failure is not None:
            continue
        values = named_values(question, reply.value)
        if isinstance(values, str):
            return [*findings, Finding("form", question.results, values)]
        tables.append((k, values))
    if not failed and (kept := remembers(prepared, replies)):
        return [kept]
    if question.judge is not None:
        return findings or judged(question, prepared, tables)
    cases, faults = collect(prepared, tables)
    findings += faults
    wrong = {name for name, found in cases.items() if not all(c.right for c in found)}
    wrong -= {name for fault in faults for name in fault.results}
    findings += blame(prepared, cases, wrong)
    findings.sort(key=lambda finding: finding.stage == "missing")  # a mistake comes before a gap
    return findings or side_effects(prepared, replies)


def blame(prepared: Prepared, cases: dict[str, list[Case]], wrong: set[str]) -> list[Finding]:
    """Steps 2 to 4 for the results in ``wrong``."""
    question, findings = prepared.question, []
    if question.steps:
        return [stepwise(prepared, name, cases) for name in question.results if name in wrong]
    left = set(wrong)
    for candidates in (question.mistakes, prepared.pairs(cases) if left else ()):
        for finding in recognise(candidates, prepared, cases, left):
            findings.append(finding)
            left = left.difference(finding.results)
    for name in question.results:
        if name in left:
            findings.append(unnamed(question, name, cases[name]))
    return findings


def recognise(
    mistakes: Sequence[Mistake], prepared: Prepared, cases: dict[str, list[Case]], wrong: set[str]
) -> Iterable[Finding]:
    """Step 2: the mistakes that give the same numbers on every probe, the widest first."""
    if not wrong:
        return
    matches: list[tuple[float, Mistake]] = []
    for mistake in mistakes:
        if wrong.intersection(mistake.results):
            apart = distance(mistake, prepared.wrong(mistake), cases)
            if apart <= 1:
                matches.append((apart, mistake))
    left = set(wrong)
    while matches := [(d, m) for d, m in matches if left.intersection(m.results)]:
        explained = [left.intersection(m.results) for _, m in matches]
        widest = max(explained, key=len)
        alike = [pair for pair, e in zip(matches, explained, strict=True) if e == widest]
        impossible = [failures(prepared.wrong(m), cases[min(widest)]) for _, m in alike]
        alike = [p for p, n in zip(alike, impossible, strict=True) if n == max(impossible)]
        nearest = min(d for d, _ in alike)
        results = tuple(name for name in prepared.question.results if name in widest)
        yield together([m for d, m in alike if d <= 1e4 * nearest + 1e-7], results)
        left -= widest


def failures(wrong: list[Results | None], cases: list[Case]) -> int:
    """On how many probes neither the student's function nor the mistake gives a result."""
    answered = {c.probe for c in cases}
    return sum(values is None for k, values in enumerate(wrong) if k not in answered)


def distance(mistake: Mistake, wrong: list[Results | None], cases: dict[str, list[Case]]) -> float:
    """How far a student's results are from those of ``mistake``, in units of the tolerance."""
    largest, compared = 0.0, 0
    for name in mistake.results:
        for case in cases[name]:
            values = wrong[case.probe]
            if values is None:
                return math.inf
            # A wrong result may be 0 but for rounding; then the right one says what is small.
            floor = 1e-7 * float(np.abs(case.want).max(initial=0.0)) + case.noise
            apart = misfit(case.got, values[name], floor)
            if 1 < apart < 1e3:  # only then is it worth asking what rounding does to this rule
                with np.errstate(all="ignore"):
                    moved = noise(lambda **inputs: mistake.wrong(inputs), case.inputs)
                apart = misfit(case.got, values[name], floor + moved.get(name, 0.0))
            if apart > 1:
                return math.inf
            largest, compared = max(largest, apart), compared + 1
    return largest if compared else math.inf


def together(mistakes: list[Mistake], results: tuple[str, ...]) -> Finding:
    """One mistake, or several that give the same numbers."""
    texts = list(dict.fromkeys(m.text for m in mistakes))
    text = texts[0]
    if len(texts) > 1:
        text = "One of these, which give the same numbers: " + " Or: ".join(texts)
    return Finding("named", results, text, tuple(m.key for m in mistakes), mistakes[0].see)


def unnamed(question: Question, name: str, cases: list[Case]) -> Finding:
    """Steps 1, 3 and 4 for a result that equals no known mistake."""
    for case in cases:
        if case.got.shape != case.want.shape:
            return Finding(
                "form",
                (name,),
                f"{name} has shape {case.got.shape}, expected {case.want.shape}"
                + f" (the inputs: {shapes(case.inputs)})",
            )
    for case in cases:
        odd = ~np.isfinite(case.got) & np.isfinite(case.want)
        if odd.any():
            index = tuple(int(i) for i in np.argwhere(odd)[0])
            return Finding(
                "form",
                (name,),
                f"{name}{place(index)} is {case.got[index]}, expected {case.want[index]:.6g}"
                f"{at_input(case, index)}",
            )
    for terms in question.terms:
        if terms.result == name:
            text = decompose.explain(terms, [(c.inputs, c.got) for c in cases])
            if text is not None:
                return Finding("terms", (name,), text)
    return Finding("evidence", (name,), evidence(question, name, cases))


def evidence(question: Question, name: str, cases: list[Case]) -> str:
    """Step 4: the worst place, its slope, and which identities hold."""
    off = [c for c in cases if not c.right]
    case = max(off, key=lambda c: misfit(c.got, c.want, c.noise))
    index = worst_index(case.got, case.want)
    text = f"{name}{place(index)} is {case.got[index]:.6g}, expected {case.want[index]:.6g}"
    if question.loss is not None and name in question.slopes:
        slope = numerical_slope(question, question.slopes[name], case.inputs, index)
        text += f" (the slope measured there is {slope:.6g})"
    text += f". The inputs: {shapes(case.inputs)}."
    if len(off) < len(cases):
        text += f" It is right for {len(cases) - len(off)} of {len(cases)} inputs."
    for identity in question.identities:
        if identity.result == name:
            holds = all(identity_holds(identity.defect, c) for c in cases)
            text += f" {'Holds' if holds else 'Does not hold'}: {identity.text}."
    return text


def identity_holds(defect: Any, case: Case) -> bool:
    """Whether a property of the right result is one of this result, too."""
    with np.errstate(all="ignore"):
        left = np.abs(defect(case.got, **case.inputs)).max()
    return bool(left <= 1e-4 * max(np.abs(case.got).max(), 1e-30) + 16 * case.noise)


def numerical_slope(
    question: Question, argument: str, inputs: Inputs, index: tuple[int, ...]
) -> float:
    """(f(x + h) - f(x - h)) / 2h for one number of one input."""
    assert question.loss is not None
    values = []
    h = 1e-6 * max(1.0, float(np.abs(inputs[argument]).max()))
    for step in (h, -h):
        moved = np.array(inputs[argument], dtype=np.float64)
        moved[index] += step
        values.append(float(question.loss(**{**inputs, argument: moved})))
    return (values[0] - values[1]) / (2 * h)


# ------------------------------------------------------------------------------------ step by step


def stepwise(prepared: Prepared, name: str, cases: dict[str, list[Case]]) -> Finding:
    """One step of a derivation, given the student's own values of the steps before it."""
    question = prepared.question
    earlier = question.results[: question.results.index(name)]
    own = {(n, c.probe): own_or_right(c) for n in earlier for c in cases[n]}
    local: list[Case] = []
    for case in cases[name]:
        known = {n: own.get((n, case.probe), prepared.rights[case.probe][n]) for n in earlier}
        inputs = {**case.inputs, **known}
        want = np.asarray(question.steps[name](**inputs), dtype=np.float64)
        local.append(Case(case.probe, inputs, want, case.noise, case.got))
    if all(c.right for c in local):
        text = f"{name} is right for your own earlier steps, but one of those is wrong"
        return Finding("follows", (name,), text)
    matches = [
        m
        for m in question.mistakes
        if m.results == (name,)
        and distance(m, [evaluate(m, c.inputs) for c in local], {name: renumbered(local)}) <= 1
    ]
    return together(matches, (name,)) if matches else unnamed(question, name, local)


def own_or_right(case: Case) -> Array:
    """The student's value, if it can be used in the next step."""
    usable = case.got.shape == case.want.shape and np.isfinite(case.got).all()
    return case.got if usable else case.want


def renumbered(cases: list[Case]) -> list[Case]:
    """The cases counted from 0, as rules evaluated for just these are."""
    return [Case(k, c.inputs, c.want, c.noise, c.got) for k, c in enumerate(cases)]


# ------------------------------------------------------------------------------------------- words


def shapes(inputs: Inputs) -> str:
    """The inputs of a probe, as shapes and numbers."""
    words = []
    for name, value in inputs.items():
        if isinstance(value, np.ndarray):
            words.append(f"{name} {value.shape}")
        elif isinstance(value, float):
            words.append(f"{name} {value:.3g}")
        elif isinstance(value, tuple):
            words.append(f"{name} {value}")
    return ", ".join(words)


def place(index: tuple[int, ...]) -> str:
    """The index in brackets; nothing for a single number."""
    return str(list(index)) if index else ""


def at_input(case: Case, index: tuple[int, ...]) -> str:
    """The input at the same place, where there is one: what overflowed?"""
    for name in ("x", "logits"):
        value = case.inputs.get(name)
        if isinstance(value, np.ndarray) and value.shape == case.got.shape:
            return f" (where {name} is {value[index]:.6g})"
    return ""
