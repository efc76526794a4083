"""What a notebook shows of a module: a row for each part that has no parts of its own."""

from typing import Any

from ..tables import table


def as_table(module: Any) -> str:
    """Name, kind and options, parameters and buffers of each part, as HTML."""
    rows = []
    for name, part in module.named_modules():
        if next(iter(part.children()), None) is None:
            parameters = sum(p.numel() for p in part.parameters())
            buffers = sum(b.numel() for b in part.buffers())
            kind = f"{type(part).__name__}({part.extra_repr()})"
            rows.append((name or "(itself)", kind, f"{parameters:,}", f"{buffers:,}"))
    total = sum(p.numel() for p in module.parameters())
    mode = "training" if module.training else "evaluation"
    title = f"{type(module).__name__}: {total:,} parameters, in {mode} mode"
    return table(rows, ("part", "module", "parameters", "buffers"), title)
