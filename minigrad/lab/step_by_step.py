"""The fourth bench: an expression that the reader types, and its backward pass step by step."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from .. import functional as F
from ..core.graph import oldest_first
from ..diagnostics.explain import Explanation, explain, named
from ..tensor import Tensor, tensor

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "relu": F.relu,
    "exp": F.exp,
    "log": F.log,
    "sqrt": F.sqrt,
    "sin": F.sin,
    "cos": F.cos,
}

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}

MOST = 200  # characters of an expression


def evaluated(expression: str, values: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
    """The value of ``expression``, recorded, and the leaves by their names.

    Args:
        expression: + - * / ** of numbers, of the names in ``values``, and of ``FUNCTIONS``.

    Raises:
        ValueError: it holds something else. Nothing of it is run as Python.
    """
    leaves = {
        name: tensor(float(value), dtype="float64", requires_grad=True)
        for name, value in values.items()
    }
    if len(expression) > MOST:
        raise ValueError(f"the expression has {len(expression)} characters, expected <= {MOST}")
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{expression!r} is no expression: {error.msg}") from None
    result = value_of(tree, leaves)
    if not isinstance(result, Tensor) or not result.requires_grad:
        raise ValueError(f"{expression!r} holds none of {', '.join(values)}")
    return result, leaves


def value_of(node: ast.AST, leaves: Mapping[str, Tensor]) -> Any:
    """The value of a part of the expression."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in leaves:
            return leaves[name]
        case ast.UnaryOp(op=op, operand=part) if type(op) in OPERATORS:
            return OPERATORS[type(op)](value_of(part, leaves))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](value_of(left, leaves), value_of(right, leaves))
        case ast.Call(func=ast.Name(id=name), args=[part], keywords=[]) if name in FUNCTIONS:
            inner = value_of(part, leaves)
            if not isinstance(inner, Tensor):
                inner = tensor(inner, dtype="float64")
            return FUNCTIONS[name](inner)
    raise ValueError(
        f"got {ast.unparse(node)!r}, expected numbers, {', '.join(leaves)}, + - * / ** and "
        f"{', '.join(FUNCTIONS)}"
    )


class Walk:
    """The graph of an expression, and its backward pass."""

    def __init__(self, expression: str, values: Mapping[str, float]) -> None:
        self.result, leaves = evaluated(expression, values)
        self.value = self.result.item()
        if self.result.grad_fn is None:  # a name alone
            raise ValueError(f"{expression!r} computes nothing; write {expression} * 1")
        self.explanation: Explanation = explain(self.result, leaves)
        self.gradients = dict.fromkeys(values, 0.0)
        self.result.backward(retain_graph=True)
        for name, leaf in leaves.items():
            if leaf.grad is not None:
                self.gradients[name] = leaf.grad.item()
        self.names = named(self.result, None)
        for name, leaf in leaves.items():
            if id(leaf) in self.names:
                self.names[id(leaf)] = f"{name} = {leaf.item():g}"

    def mermaid(self, step: int) -> str:
        """The graph as Mermaid's text; what the backward pass is at in ``step`` stands out."""
        nodes = oldest_first([self.result.grad_fn])
        at = self.explanation[step].name if step < len(self.explanation) else ""
        number = {id(node): f"n{i}" for i, node in enumerate(nodes)}
        lines = ["graph LR"]
        for node in nodes:
            lines.append(f'  {number[id(node)]}["{self.names[id(node)]}"]')
            for parent in node.parents:
                if parent is None:
                    continue
                if id(parent) not in number:
                    number[id(parent)] = f"l{len(number)}"
                    lines.append(f'  {number[id(parent)]}(["{self.names[id(parent)]}"])')
                lines.append(f"  {number[id(parent)]} --> {number[id(node)]}")
            if self.names[id(node)] == at:
                lines.append(f"  style {number[id(node)]} fill:#E69F00,color:#000")
        return "\n".join(lines)
