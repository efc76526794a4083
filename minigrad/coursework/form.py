"""Step 1 of the diagnosis: what came back at all, in which form, and with which side effects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import Array
from .child.wire import Failure, Reply, Strange
from .compare import misfit
from .prepared import Case, Prepared
from .questions.base import Question

Stage = str
"""Which step found something: "missing", "form", "named", "terms" or "evidence"; or "follows", for
a step of a derivation that is right for the wrong values before it."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: which step found it, in which results, and what to say."""

    stage: Stage
    results: tuple[str, ...]
    text: str
    keys: tuple[str, ...] = ()
    see: str = ""


def raised(question: Question, failure: Failure) -> Finding:
    """An exception, a crash or a time-out."""
    name = question.errors(failure.kind, failure.message)
    if name is not None:
        return Finding("named", question.results, name[1], (name[0],))
    return Finding("form", question.results, failure.text())


def named_values(question: Question, value: Any) -> dict[str, Any] | str:
    """What came back, by result; or what is wrong with it as a whole."""
    names = question.results
    listed = ", ".join(names)
    if isinstance(value, dict) and question.driver != "call":
        return value
    if value is None:
        return f"the function returned None (a return is missing?), expected {listed}"
    if len(names) == 1:
        if isinstance(value, tuple) and len(value) == 1:
            return f"the function returned a tuple of one, expected {listed} itself"
        return {names[0]: value}
    if not isinstance(value, tuple | list):
        kind = value.kind if isinstance(value, Strange) else type(value).__name__
        return f"the function returned one {kind}, expected {len(names)} results: {listed}"
    if len(value) != len(names):
        return f"the function returned {len(value)} results, expected {len(names)}: {listed}"
    return dict(zip(names, value, strict=True))


def collect(
    prepared: Prepared, tables: list[tuple[int, dict[str, Any]]]
) -> tuple[dict[str, list[Case]], list[Finding]]:
    """The results as arrays, and what cannot be one."""
    question = prepared.question
    cases: dict[str, list[Case]] = {name: [] for name in question.results}
    faults: dict[str, Finding] = {}
    for k, values in tables:
        for name in question.results:
            if question.steps and values.get(name) is None:
                faults[name] = Finding("missing", (name,), "not returned yet")
                continue
            got = as_array(name, values.get(name))
            if isinstance(got, Finding):
                faults.setdefault(name, got)
                continue
            want = prepared.rights[k][name]
            if question.loose_shape and squeezed(got) == squeezed(want):
                got = got.reshape(want.shape)
            cases[name].append(
                Case(k, prepared.probes[k], want, prepared.noises[k].get(name, 0.0), got)
            )
    return cases, list(faults.values())


def squeezed(array: Array) -> tuple[int, ...]:
    """The shape without axes of length 1."""
    return tuple(n for n in array.shape if n != 1)


def as_array(name: str, value: Any) -> Any:
    """A float64 array, or the Finding that says why it is none."""
    if value is None:
        return Finding("form", (name,), f"{name} is None, expected an array")
    if isinstance(value, bool | int | float | np.generic):
        value = np.asarray(value)
    if isinstance(value, Strange):
        text = f"{name} is a {value.kind}, expected a NumPy array"
        return Finding("form", (name,), text)
    if not isinstance(value, np.ndarray):
        text = f"{name} is a {type(value).__name__}, expected a NumPy array"
        return Finding("form", (name,), text)
    if value.dtype.kind not in "fiu" or value.dtype == np.float16:
        text = f"{name} is an array of {value.dtype}, expected float64 or float32"
        return Finding("form", (name,), text)
    return value.astype(np.float64)


def side_effects(prepared: Prepared, replies: Sequence[Reply]) -> list[Finding]:
    """Right results, but an input was changed, or the second call gave another answer."""
    question = prepared.question
    for inputs, reply in zip(prepared.calls, replies, strict=True):
        for name in reply.changed(inputs):
            if name in question.changes:
                m = question.changes[name]
                return [Finding("named", question.results, m.text, (m.key,), m.see)]
            if name not in question.may_change:
                text = (
                    f"your function changes its input {name} in place. The caller may still need "
                    f"it: work on a copy"
                )
                return [Finding("form", question.results, text)]
    return []


def remembers(prepared: Prepared, replies: Sequence[Reply]) -> Finding | None:
    """The last call repeats the first. With another answer, the function remembers something."""
    question = prepared.question
    first, again = (named_values(question, replies[k].value) for k in (0, -1))
    if isinstance(first, str) or isinstance(again, str) or question.judge is not None:
        return None
    for name in question.results:
        one, two = as_array(name, first.get(name)), as_array(name, again.get(name))
        if isinstance(one, Finding) or isinstance(two, Finding):
            continue
        if misfit(two, one) > 1:
            text = (
                f"the second call with the same inputs gives another {name}. Your function "
                f"remembers something from the first call (in a global, or in a list or dict "
                f"that is a default value), or it uses random numbers"
            )
            return Finding("named", (name,), text, ("A3",))
    return None


def judged(
    question: Question, prepared: Prepared, tables: list[tuple[int, dict[str, Any]]]
) -> list[Finding]:
    """For answers that are not unique."""
    assert question.judge is not None
    complaints = [question.judge(prepared.probes[k], v[question.results[0]]) for k, v in tables]
    found = [c for c in complaints if c is not None]
    if not found:
        return []
    key, text = found[-1]  # the largest: on a small graph, different mistakes look the same
    return [Finding("named", question.results, text, (key,))]
