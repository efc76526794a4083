"""The size of a network: shapes, parameters and multiplications, layer by layer.

    print(summary(model, (32, 784)))

The model runs once, in evaluation and without gradients, under ``observe``.
"""

import math
from dataclasses import dataclass
from typing import Any

from ..core.gradmode import no_grad
from ..creation import zeros
from ..nn import Embedding, Module
from ..tensor import Tensor
from .observe import observe


@dataclass(frozen=True)
class SummaryRow:
    """One call of a layer: of a module without submodules."""

    name: str
    """Its path in the model; "" for a model that is itself a layer."""
    kind: str
    """The name of its class."""
    output_shape: tuple[int, ...] | None
    """None where the output was no Tensor."""
    parameters: int
    """How many numbers its parameters have; 0 in its second call, so that they are counted once."""
    multiply_adds: int
    """How many multiplications, each with an addition, the product with its weight takes in this
    call: for y = x W^T with W of shape (out, in), ``in`` for each element of y. What layers without
    such a product compute (normalisation, activations) is not counted."""


@dataclass(frozen=True)
class Summary:
    """What ``summary`` returns: rows and totals; ``print`` shows it as a table."""

    rows: list[SummaryRow]
    parameters: int
    """How many numbers all parameters of the model have; shared ones count once."""
    trainable: int
    """How many of them require a gradient."""
    multiply_adds: int
    """Of all rows together."""

    def __str__(self) -> str:
        header = ("layer", "kind", "output", "parameters", "multiply-adds")
        lines = [header]
        for row in self.rows:
            shape = "-" if row.output_shape is None else str(row.output_shape)
            numbers = f"{row.parameters:,}", f"{row.multiply_adds:,}"
            lines.append((row.name or "(model)", row.kind, shape, *numbers))
        lines.append(("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}"))
        widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
        text = [
            "  ".join(f"{c:<{w}}" if i < 3 else f"{c:>{w}}" for i, (c, w) in enumerate(cells))
            for cells in (list(zip(line, widths, strict=True)) for line in lines)
        ]
        if self.trainable != self.parameters:
            text.append(f"{self.trainable:,} of the parameters are trained, the others are frozen.")
        return "\n".join(text)


def summary(model: Module, *inputs: Any) -> Summary:
    """The layers of ``model`` in the order of their calls, with output shapes, the number of
    parameters, and the multiply-adds of a forward pass.

    Args:
        inputs: what ``model`` is called with: Tensors, or in the place of a Tensor its shape, such
            as ``(32, 784)``; then it is zeros of the type and on the device of the parameters.

    The model is put into evaluation for it and back, so that no running statistics move.

    Raises:
        TypeError: ``model`` is no Module.

    >>> from minigrad import nn
    >>> s = summary(nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()), (8, 4))
    >>> s.parameters, s.multiply_adds, s.rows[0].output_shape
    (15, 96, (8, 3))
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: got a {type(model).__name__}, expected a Module")
    like = next(model.parameters(), zeros(()))
    arguments = [zeros(x).to(like) if _is_shape(x) else x for x in inputs]
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with no_grad(), observe(model) as seen:
            model(*arguments)
    finally:
        for module, training in modes:
            module.training = training
    modules = dict(model.named_modules())
    counted: set[Tensor] = set()
    rows = []
    for row in seen:
        shape = row.output.shape if row.output is not None else None
        own = [p for p in modules[row.name].parameters(recurse=False) if p not in counted]
        counted.update(own)
        products = _multiply_adds(modules[row.name], shape)
        rows.append(SummaryRow(row.name, row.kind, shape, sum(p.numel() for p in own), products))
    parameters = list(model.parameters())
    return Summary(
        rows,
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        multiply_adds=sum(row.multiply_adds for row in rows),
    )


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(length, int) for length in value)


def _multiply_adds(layer: Module, shape: tuple[int, ...] | None) -> int:
    """Each element of the output is a product with one row of the weight."""
    weight = getattr(layer, "weight", None)
    if shape is None or not isinstance(weight, Tensor) or weight.ndim < 2:
        return 0
    if isinstance(layer, Embedding):  # it picks rows
        return 0
    return math.prod(shape) * math.prod(weight.shape[1:])
