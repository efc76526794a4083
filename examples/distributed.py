"""A network learns digits, in one process or in several with the same result: 20 sigmoid layers, or
a small convolutional network.

    python examples/distributed.py
    mpiexec -n 4 python examples/distributed.py
    mpiexec -n 4 python examples/distributed.py --net conv

Every process sees every batch and takes its share of it. The losses that rank 0 prints are the
same for any number of processes, up to rounding: with ``--plain`` they are not, because each
BatchNorm then normalises its own share alone.
"""

import argparse

import minigrad as mg
import minigrad.functional as F
from minigrad import distributed as dist
from minigrad import nn, optim
from minigrad.data import DataLoader, TensorDataset, load_digits


def network(depth: int) -> nn.Module:
    """``depth`` sigmoid layers of 32 units with BatchNorm, and a linear one."""
    layers: list[nn.Module] = []
    for width in (64, *(32,) * (depth - 1)):
        layers += [nn.Linear(width, 32, bias=False), nn.BatchNorm1d(32), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(32, 10)).to(mg.float64)


def convolutional() -> nn.Module:
    """Two convolutions of 3 x 3 with BatchNorm and ReLU, on pictures of 8 x 8."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
    for inputs, outputs in ((1, 8), (8, 16)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 10)).to(mg.float64)


def main() -> None:
    """Train, and let rank 0 print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--net", choices=("sigmoid", "conv"), default="sigmoid")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="BatchNorm for each process alone")
    options = parser.parse_args()
    dist.init()
    mg.manual_seed(0)
    model = convolutional() if options.net == "conv" else network(options.depth)
    if not options.plain:
        model = dist.convert_sync_batchnorm(model)
    parallel = dist.DataParallel(model)
    optimizer = optim.SGD(
        parallel.parameters(), lr=0.1 if options.net == "conv" else 0.3, momentum=0.9
    )
    images, labels = load_digits(flatten=True)
    loader = DataLoader(
        TensorDataset(images.astype("float64"), labels), batch_size=100, shuffle=True, seed=0
    )
    for epoch in range(1, options.epochs + 1):
        seen, total = 0, mg.zeros((), dtype=mg.float64)
        for whole_x, whole_y in loader:
            x, y = (part[dist.rank() :: dist.world_size()] for part in (whole_x, whole_y))
            optimizer.zero_grad()
            loss = F.cross_entropy(parallel(x), y, reduction="sum")
            dist.batch_loss(loss, len(x)).backward()
            optimizer.step()
            seen, total = seen + len(whole_x), total + loss.detach()
        mean = dist.all_reduce(total).item() / seen
        if dist.rank() == 0:
            print(f"epoch {epoch}: loss {mean:.6f}", flush=True)


if __name__ == "__main__":
    main()
