"""Does the signal get through? Vanishing, exploding, saturation, a bottleneck, collapse.

What is compared is |dL/dz| of the layers with a weight matrix, z their outputs, from the first
layer to the last, whose outputs are usually the logits. Each layer multiplies it by a factor, which
for independent weights is the root of chi = (gain)^2 (mean squared slope): vg-5 of
``docs/derivations/vanishing-gradients.md``.
"""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ...optim import Adam, Optimizer
from .examine import FLAT, Activation, Examination, Layer
from .finding import Finding

VANISHED = 2e-3
"""The gradient of the first layer, as a share of the last one's, below which it has vanished. With
this share the first layer moves by a fifth of a per cent while the last one moves by its own size.
Measured on sigmoid layers of 64 units with Xavier's weights and SGD at a rate of 1, on the digits,
3 seeds: 4 layers (share 0.004) reach 94% in 3000 steps, 5 (share 0.001) still guess after 6000."""

EXPLODED = 1e3
"""The same for exploding. Where it is due, BatchNorm with ReLU reaches 38 after 20 layers."""

GROWN = 10.0
"""It is exploding, too, where the gradient grows to this many times on the way down and the spread
of the outputs on the way up. With a normalisation the spread does not grow."""

STEEP = 0.5
"""Slopes below this share of the largest are the cause where the gradient would not have vanished
with the largest."""

ONE_LAYER = 0.7
"""A bottleneck is one layer that makes up for this share of all that is lost (of its logarithm)."""

HALF = 0.5
"""Saturation is the cause where more than half of the units on the way are saturated."""

NOTHING = 45.0
"""How many powers of ten a gradient of exactly 0 counts as: float32 ends there."""

RANK_ONE = 1.02
"""So many directions, at most, are a collapse (``Values.directions``); of the inputs there must be
at least ``SPREAD_OUT``."""

SPREAD_OUT = 1.5

PASSES_ON = 2e-5
"""An optimiser that rescales gradients makes up for a vanished one where the last layer can still
tell the samples apart (vg-7): their spread, as a share of the size of the values, is at least this
share of what it is in the first. Measured with Adam and sigmoid layers: 7 of them (4e-5) learn,
10 (5e-7) hardly, 20 (4e-8) not at all."""

ALIKE = 1e-5
"""The spread over the samples, as a share of the size of the values, below which all look alike,
for the same reason."""


def find(seen: Examination) -> Iterator[Finding]:
    """The findings of this file."""
    layers = _path(seen)
    if len(layers) >= 2:
        # The powers of ten that are lost on the way from layer i + 1 down to layer i.
        lost = [_powers(below.grad, above.grad) for below, above in pairwise(layers)]
        if sum(lost) > -math.log10(VANISHED):
            yield _vanishing(seen, layers, lost)
        elif -sum(lost) > math.log10(EXPLODED if _growth(layers) <= GROWN else GROWN):
            yield _exploding(seen, layers)
    yield from _collapse(seen)


def made_up_for(finding: Finding, optimizer: Optimizer | None) -> bool:
    """Whether an optimiser that rescales each gradient by its own size makes up for one that
    vanishes: it does where the layers can still tell the inputs apart."""
    if finding.kind != "vanishing" or not isinstance(optimizer, Adam):
        return False
    tiniest = max(group["eps"] for group in optimizer.param_groups)  # what is added to the size
    return finding.numbers["spread"] > PASSES_ON and finding.numbers["element"] > tiniest


def _path(seen: Examination) -> list[Layer]:
    """The layers that gradients pass, first to last. A layer below weights that are exactly 0 but
    learn (the zero start of a residual branch, or of the head) is left out: it waits for a step."""
    passed: list[Layer] = []
    waiting = False
    for layer in reversed([row for row in seen.weighted if row.grad is not None]):
        if waiting and layer.grad == 0:
            continue
        waiting = bool(layer.grad) and not _any(layer)
        passed.insert(0, layer)
    return passed


def _any(layer: Layer) -> bool:
    return layer.weight is not None and bool((layer.weight != 0).any())


def _powers(below: float | None, above: float | None) -> float:
    if not above:
        return 0.0
    return NOTHING if not below else math.log10(above / below)


def _between(seen: Examination, below: Layer, above: Layer) -> list[Activation]:
    """The activations that the gradient passes from ``above`` to ``below``."""
    first = next(i for i, row in enumerate(seen.weighted) if row is below)
    last = next(i for i, row in enumerate(seen.weighted) if row is above)
    return [a for a in seen.activations if first < a.after <= last]


def _vanishing(seen: Examination, layers: list[Layer], lost: list[float]) -> Finding:
    first, last = layers[0], layers[-1]
    worst = int(np.argmax(lost))
    numbers = _numbers(seen, layers)
    share = (
        f"|dL/dz| is {first.grad:.2g} in {first} and {last.grad:.2g} in {last}: a share of "
        f"{numbers['share']:.2g} (vanished: below {VANISHED:g}), a factor of "
        f"{numbers['factor']:.3g} per layer."
    )
    below, above = layers[worst], layers[worst + 1]
    alone = lost[worst] > ONE_LAYER * sum(v for v in lost if v > 0)
    concerned = _between(seen, below, above) if alone else seen.activations
    saturated = _median([a.saturated for a in concerned])
    if saturated > HALF or _flattened(concerned, sum(lost)):
        flat = [a for a in concerned if a.saturated > HALF or a.steepness < STEEP]
        where = tuple(dict.fromkeys(a.where for a in flat))
        evidence = (
            f"{share} {saturated:.0%} of the units on the way are saturated (slope below "
            f"{FLAT:.1%} of the largest), the slopes are {numbers['slope']:.2g} (root mean square)."
            f" The weights multiply by {numbers['gain']:.2g} only."
        )
        return Finding("vanishing-by-saturation", where, evidence, numbers)
    if alone:
        culprit = _narrowest(seen, below, above)
        evidence = (
            f"{share} Of the {sum(lost):.1f} powers of ten, {lost[worst]:.1f} are lost between "
            f"{above} and {below}: at {culprit}."
        )
        return Finding("bottleneck", (culprit.name,), evidence, numbers)
    evidence = (
        f"{share} The slopes are {numbers['slope']:.2g} (root mean square), the weights multiply "
        f"by {numbers['gain']:.2g}, together {numbers['slope'] * numbers['gain']:.2g} per layer; "
        f"{0 if math.isnan(saturated) else saturated:.0%} of the units are saturated. What tells "
        f"the samples apart shrinks on the way up, to {numbers['spread']:.1g} of what it was."
    )
    return Finding("vanishing", _names(layers[:-1]), evidence, numbers)


def _flattened(concerned: list[Activation], lost: float) -> bool:
    """Whether the gradient would not have vanished with the steepest slopes there are."""
    known = [a.steepness for a in concerned if not math.isnan(a.steepness)]
    if not known or float(np.median(known)) >= STEEP:
        return False
    by_slopes = sum(-math.log10(v) if v > 0 else NOTHING for v in known)
    return lost - by_slopes < -math.log10(VANISHED)


def _narrowest(seen: Examination, below: Layer, above: Layer) -> Layer:
    """The layer above ``below``, up to ``above``, that takes most of the gradient away."""
    row = [r for r in seen.layers if r.grad is not None and below.opened <= r.opened]
    row = row[: next(i for i, r in enumerate(row) if r is above) + 1]
    lost = [_powers(a.grad, b.grad) for a, b in pairwise(row)]
    return row[int(np.argmax(lost)) + 1]


def _exploding(seen: Examination, layers: list[Layer]) -> Finding:
    numbers = _numbers(seen, layers)
    evidence = (
        f"|dL/dz| is {layers[0].grad:.2g} in {layers[0]} and {layers[-1].grad:.2g} in "
        f"{layers[-1]}: {numbers['share']:.2g} times as much, a factor of "
        f"{numbers['factor']:.3g} per layer; the spread of z grows to {_growth(layers):.2g} times "
        f"(exploded: {EXPLODED:g} times, or {GROWN:g} times both). The weights multiply by "
        f"{numbers['gain']:.2g}, the slopes by {numbers['slope']:.2g}."
    )
    return Finding("exploding", _names(layers[:-1]), evidence, numbers)


def _growth(layers: list[Layer]) -> float:
    """How many times as far the outputs of the last layer spread as those of the first."""
    first, last = layers[0].output, layers[-1].output
    return last.spread / first.spread if first and last and first.spread else 0.0


def _numbers(seen: Examination, layers: list[Layer]) -> dict[str, float]:
    first_layer, first, last = layers[0], layers[0].grad or 0.0, layers[-1].grad or 0.0
    share = first / last if last else math.nan
    return {
        "share": share,
        "factor": share ** (1 / (len(layers) - 1)),
        "slope": _median([a.slope for a in seen.activations], 1.0),
        "gain": _median([layer.gain for layer in layers[1:]]),
        "saturated": _median([a.saturated for a in seen.activations]),
        "spread": _spread(layers[-1]) / (_spread(first_layer) or 1.0),
        "element": _element(seen, first_layer),
    }


def _spread(layer: Layer) -> float:
    """The spread over the samples of what enters a layer, as a share of its size."""
    entering = layer.input
    return entering.spread / entering.rms if entering is not None and entering.rms else 0.0


def _element(seen: Examination, layer: Layer) -> float:
    """The size of an element of the weight gradient of a layer, root mean square."""
    name = f"{layer.name}.weight" if layer.name else "weight"
    row = next((row for row in seen.parameters if row.name == name), None)
    size = 1 if layer.weight is None else layer.weight.size
    return 0.0 if row is None or row.grad is None else row.grad / math.sqrt(size)


def _rank(seen: Examination, layer: Layer) -> float:
    """In how many directions the rows of a layer's weight gradient point: as for the samples, but
    from 0 and not from their mean."""
    gradient = layer.module.weight._grad
    if gradient is None:
        return math.nan
    rows = gradient.array.astype(np.float64).reshape(len(gradient), -1)
    rows = rows / (abs(rows).max() or 1.0)
    products = rows @ rows.T
    squares = float((products * products).sum())
    return float(products.trace()) ** 2 / squares if squares else math.nan


def _median(values: list[float], default: float = math.nan) -> float:
    known = [v for v in values if not math.isnan(v)]
    return float(np.median(known)) if known else default


def _names(layers: list[Layer]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(layer.name for layer in layers))


def _collapse(seen: Examination) -> Iterator[Finding]:
    layers = [layer for layer in seen.weighted if layer.input is not None]
    if not layers or len(seen.patient.x) < 2:
        return
    start = layers[0].input
    assert start is not None
    if start.width and start.spread <= ALIKE * start.rms:
        evidence = (
            f"the samples of the batch differ by {start.spread:.2g} where the inputs are "
            f"{start.rms:.2g} (alike: a share of {ALIKE:g} or less)."
        )
        yield Finding("collapse", ("input",), evidence, {"share": _spread(layers[0])})
        return
    if not start.directions >= SPREAD_OUT:
        return
    for layer, above in pairwise(layers):
        if layer.output is None or layer.output.width < 4:
            return  # made narrow on purpose
        inside = above.input
        assert inside is not None
        if not above.fed:  # a constant, such as the first state of a recurrent layer
            continue
        alike = inside.spread <= ALIKE * inside.rms
        if alike or inside.directions <= RANK_ONE:
            rank = _rank(seen, above)
            evidence = (
                f"the inputs differ in {start.directions:.1f} directions, what enters {above} in "
                f"{inside.directions:.3f} (collapsed: {RANK_ONE:g} or less), with a spread of "
                f"{inside.spread:.2g} where the values are {inside.rms:.2g} (alike: a share of "
                f"{ALIKE:g}). Its weight gradient has {rank:.2f} directions."
            )
            numbers = {"directions": inside.directions, "share": _spread(above), "rank": rank}
            yield Finding("collapse", (layer.name,), evidence, numbers)
            return
