"""Memory for time: 2000 layers in the memory of about 90.

    python examples/checkpointing.py --layers 2000

One forward and backward pass of a deep network, whose activations are kept, or computed again in
backward part by part (``mg.checkpoint_sequential``). For each number of parts: the memory that the
pass took at its peak, in layers' worth; what k + n/k promises; and the time. The gradients are
compared: they are sums over the layers, which the parts add up in another order.
"""

import argparse
import time
import tracemalloc

import numpy as np

import minigrad as mg
from minigrad import nn

WIDTH, BATCH = 64, 256


def network(layers: int) -> list[nn.Module]:
    """Linear and tanh, again and again. All layers share their parameters, as the steps of a
    recurrent network do, so that what is measured is activations and not gradients of weights."""
    mg.manual_seed(0)
    return [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())] * layers


def one_pass(model: list[nn.Module], parts: int) -> mg.Tensor:
    """The gradient of the weight; ``parts`` = 0 keeps all activations."""
    mg.manual_seed(1)
    x = y = mg.randn(BATCH, WIDTH)
    cotangent = mg.randn(BATCH, WIDTH)
    for layer in model if not parts else ():
        y = layer(y)
    if parts:
        y = mg.checkpoint_sequential(model, parts, x)
    weight = next(iter(model[0].parameters()))
    weight.grad = None
    y.backward(cotangent)
    return weight.grad


def measured(model: list[nn.Module], parts: int) -> tuple[float, float, np.ndarray]:
    """Peak memory in bytes, seconds, and the gradient. The time is that of a pass of its own:
    counting memory takes time."""
    start = time.perf_counter()
    gradient = one_pass(model, parts).numpy()
    seconds = time.perf_counter() - start
    tracemalloc.start()
    one_pass(model, parts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, seconds, gradient


def report(layers: int) -> None:
    """Print the table."""
    model = network(layers)
    one_pass(model, 0)
    best = round(layers**0.5)
    choices = sorted({1, max(1, best // 4), best, min(layers, 4 * best), layers})
    peak, seconds, exact = measured(model, 0)
    layer = peak / layers
    print(f"{layers} layers of {WIDTH} units, batch {BATCH}: {layer / 1e3:.0f} kB per layer")
    print(f"{'parts':>6} {'k + n/k':>8} {'memory, layers':>15} {'MB':>7} {'time':>6}  gradient")
    print(f"{'none':>6} {layers:8} {layers:15} {peak / 1e6:7.1f} {1:6.2f}  -")
    for parts in choices:
        memory, took, gradient = measured(model, parts)
        off = abs(gradient - exact).max() / abs(exact).max()
        print(
            f"{parts:6} {parts + layers / parts:8.0f} {memory / layer:15.0f} {memory / 1e6:7.1f} "
            f"{took / seconds:6.2f}  off by {off:.0e}"
        )


def main() -> None:
    """Read the command line, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, default=2000, help="how many (default 2000)")
    report(parser.parse_args().layers)


if __name__ == "__main__":
    main()
