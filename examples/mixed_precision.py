"""Gradients that vanish by rounding: float16, the scale of the loss, and BatchNorm.

    python examples/mixed_precision.py

float16 ends at 6e-8: what is smaller becomes 0. In a deep sigmoid network gradients get there soon,
so they vanish in float16 where float32 still has them. A larger loss makes all gradients larger,
and brings some back, until the largest overflow. Twelve sigmoid layers with and without BatchNorm,
one backward pass for each scale.
"""

import argparse

import numpy as np

import minigrad as mg
import minigrad.functional as F
from minigrad import nn
from minigrad.data import load_digits

SCALES = (1.0, 2.0**8, 2.0**16, 2.0**24)


def network(depth: int, batch_norm: bool) -> nn.Sequential:
    """Sigmoid layers of 64 units; the same weights every time."""
    mg.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        norm = [nn.BatchNorm1d(64)] if batch_norm else []
        layers += [nn.Linear(64, 64), *norm, nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def gradients(model: nn.Sequential, scale: float, half: bool) -> list[np.ndarray]:
    """dL/dW of each layer, divided by the scale again."""
    images, labels = load_digits(flatten=True)
    x, y = mg.tensor(images[:128]), mg.tensor(labels[:128])
    with mg.autocast("cpu", enabled=half):
        loss = F.cross_entropy(model(x), y)
    model.zero_grad()
    (loss * scale).backward()
    return [m.weight.grad.numpy() / scale for m in model if isinstance(m, nn.Linear)]


def mark(gradient: np.ndarray, exact: np.ndarray) -> str:
    """What became of a gradient: lost, partly lost, kept, or overflowed."""
    if not np.isfinite(gradient).all():
        return "inf"
    there = exact != 0  # a pixel that is always 0 gives a gradient of 0 in any type
    lost = (gradient[there] == 0).mean()
    return "0" if lost == 1 else f"{lost:.0%} lost" if lost > 0.005 else "kept"


def report(depth: int) -> None:
    """Print a table for each of the two networks."""
    for batch_norm in (False, True):
        model = network(depth, batch_norm)
        exact = gradients(model, 1.0, half=False)
        columns = [
            [mark(g, e) for g, e in zip(gradients(model, scale, half=True), exact, strict=True)]
            for scale in SCALES
        ]
        print(f"\n{depth} sigmoid layers, {'with' if batch_norm else 'without'} BatchNorm")
        heads = [f"float16 x 2^{int(np.log2(scale))}" for scale in SCALES]
        print(f"{'layer':>5}  {'|dL/dW| float32':>15}  " + "  ".join(f"{h:>12}" for h in heads))
        for i, gradient in enumerate(exact):
            size = np.linalg.norm(gradient)
            cells = "  ".join(f"{column[i]:>12}" for column in columns)
            print(f"{i + 1:5}  {size:15.1e}  {cells}")


def main() -> None:
    """Read the command line, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--depth", type=int, default=12, help="hidden layers (default 12)")
    report(parser.parse_args().depth)


if __name__ == "__main__":
    main()
