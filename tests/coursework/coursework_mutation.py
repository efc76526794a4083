"""Small random changes to right solutions: what a test of the tests is made of.

A mutant differs from its source in one place of the syntax tree: another sign or operator, another
number, another axis, a term or a factor dropped, a sum for a mean, another argument, a condition
turned round, a statement left out.
"""

import ast
from collections.abc import Iterator

BINARY = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div, ast.Add],
    ast.Div: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.MatMult: [],
}
COMPARE = {
    ast.GtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.LtE, ast.GtE],
    ast.Lt: [ast.GtE],
    ast.LtE: [ast.Gt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}
METHODS = {
    "sum": "mean",
    "mean": "sum",
    "max": "min",
    "exp": "log",
    "sqrt": "square",
    "abs": "sign",
}


def mutants(source: str, functions: set[str]) -> Iterator[tuple[str, str]]:
    """(description, source) of every mutant that lies within ``functions``."""
    source = source.replace(", strict=True", "")  # it guards, and computes nothing
    lines, tree = source.splitlines(), ast.parse(source)
    original = ast.unparse(tree)
    seen = {original}
    spans = [
        (node.lineno, node.end_lineno, [a.arg for a in node.args.args])
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in functions
    ]
    for parent in list(ast.walk(tree)):
        for name, value in list(ast.iter_fields(parent)):
            nodes = value if isinstance(value, list) else [value]
            for k, node in enumerate(nodes):
                line = getattr(node, "lineno", None)
                span = next((s for s in spans if line is not None and s[0] < line <= s[1]), None)
                if span is None:
                    continue
                for new in changes(node, span[2]):
                    changed = [*nodes[:k], new, *nodes[k + 1 :]]
                    setattr(parent, name, changed if isinstance(value, list) else new)
                    text = ast.unparse(tree)
                    setattr(parent, name, value)
                    if text not in seen:
                        seen.add(text)
                        before = lines[line - 1].strip()
                        yield f"{before} -> {difference(original, text)}", text


def difference(old: str, new: str) -> str:
    """The lines of ``new`` that are not in ``old``."""
    lines = [b.strip() for a, b in zip(old.splitlines(), new.splitlines(), strict=False) if a != b]
    return lines[0] if lines else "(left out)"


def changes(node: ast.AST, arguments: list[str]) -> list[ast.AST]:
    """What may stand in the place of ``node``."""
    found: list[ast.AST] = []
    if isinstance(node, ast.BinOp):
        for kind in BINARY.get(type(node.op), []):
            found.append(ast.BinOp(node.left, kind(), node.right))
        found += [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        found.append(node.operand)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        found += [ast.Constant(node.value + 1), ast.Constant(node.value * 2 or -1)]
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        found.append(ast.Constant(not node.value))
    elif isinstance(node, ast.Compare):
        for kind in COMPARE.get(type(node.ops[0]), []):
            found.append(ast.Compare(node.left, [kind()], node.comparators))
    elif isinstance(node, ast.Attribute) and node.attr in METHODS:
        found.append(ast.Attribute(node.value, METHODS[node.attr], node.ctx))
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        found.append(node.value)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in arguments:
        found += [ast.Name(a, node.ctx) for a in arguments if a not in (node.id, "self")]
    elif isinstance(node, ast.AugAssign):
        found.append(ast.Pass())
    elif isinstance(node, ast.IfExp):
        found += [node.body, node.orelse]
    elif isinstance(node, ast.Call) and node.keywords:
        for k in range(len(node.keywords)):
            rest = node.keywords[:k] + node.keywords[k + 1 :]
            found.append(ast.Call(node.func, node.args, rest))
    elif isinstance(node, ast.Tuple) and len(node.elts) > 1:
        found.append(ast.Tuple([node.elts[1], node.elts[0], *node.elts[2:]], node.ctx))
    return found
