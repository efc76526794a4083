"""Every named mistake is recognised, however it is written; and all that are named are tested.

``edits/*.txt`` holds, for every mistake, what a student who makes it writes differently: in the
reference solution (A, whole arrays) and in another right one (B, loops, sums and chains of steps).
"""

from pathlib import Path

import pytest

from minigrad.coursework.questions import QUESTIONS

EDITS = Path(__file__).parent / "edits"

QUESTIONS_OF = {
    "sigmoid": ["sigmoid", "sigmoid_backward"],
    "linear": ["linear", "linear_backward"],
    "unbroadcast": ["unbroadcast"],
    "cross_entropy": ["softmax_cross_entropy", "softmax_cross_entropy_backward"],
    "batchnorm": ["batch_norm_train", "batch_norm_eval"],
    "batchnorm_steps": ["batch_norm_steps"],
    "batchnorm_backward": ["batch_norm_backward"],
    "batchnorm_eval": ["batch_norm_eval_backward"],
    "sgd": ["sgd_step"],
    "order": ["topological_order"],
    "walk": ["backpropagate"],
    "operation": ["RMSNorm", "RMSNorm_twice"],
    "finale": ["network_normalised"],
    "convolution": ["conv2d", "conv2d_backward"],
}


def read(path):
    """(key, style, [(old, new), ...]) for each mistake and style in a file."""
    for paragraph in path.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        if not lines:
            continue
        key, *edits = lines
        for style in ("A", "B"):
            mine = [e.removeprefix(f"{style} ") for e in edits if e.startswith(f"{style} ")]
            pairs = [tuple(part.replace("\\n", "\n") for part in e.split(" => ")) for e in mine]
            if pairs:
                yield key, style, pairs


CASES = [
    pytest.param(path.stem, key, style, edits, id=f"{path.stem}-{key}-{style}")
    for path in sorted(EDITS.glob("*.txt"))
    for key, style, edits in read(path)
]


def edited(text, edits):
    """``text`` with each ``old`` exchanged; each must be there exactly once."""
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(("group", "key", "style", "edits"), CASES)
def test_a_named_mistake_is_named(kit, group, key, style, edits):
    names = QUESTIONS_OF[group]
    file = kit.FILES[names[0]]
    texts = kit.sources(style)
    texts[file] = edited(texts[file], edits)
    findings = [f for name in names for f in kit.judge(kit.function_of(name, texts), name)]
    assert findings, "was accepted"
    found = {k for f in findings for k in f.keys}
    assert key in found, [(f.stage, f.keys, f.text) for f in findings]


def test_every_named_mistake_is_tested_in_two_styles():
    named = {key for question in QUESTIONS.values() for key in question.names}
    tested = {(case.values[1], case.values[2]) for case in CASES}
    assert len(named) >= 40
    missing = {(key, style) for key in named for style in "AB"} - tested
    assert missing == set(), sorted(missing)
