"""A deep convolutional network, with and without BatchNorm2d: what it gets and what it learns.

    python examples/convolution.py                                  # the digits; --quick: seconds
    python examples/convolution.py --data mnist --data-root folder  # MNIST's four IDX files

Eight layers of Conv2d (-BatchNorm2d) -ReLU with the initial weights that `nn.Conv2d` draws by
default, a mean over the image, and a linear head. Three tables:

1. before training: how far the samples are apart in each layer, and what is left of the gradient;
2. training, over several seeds;
3. the same pictures, moved by one pixel: a convolution finds again what it knows, wherever it is.
   Beside it stands a network of Linear layers, to which every place is another one.

The tables and figures are those of `vanishing_gradient.py`, and every number comes from the run.
"""

import argparse
import functools
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the matrices are small

try:
    import numpy as np
    from experiment import files
    from rich.console import Console
    from rich.table import Table

    import minigrad as mg
    import minigrad.functional as F
    from minigrad import nn, optim
    from minigrad.data import DataLoader, TensorDataset, load_digits, load_mnist, train_test_split
    from minigrad.diagnostics import factor_per_layer, observe, plots
    from minigrad.terminal import replace_missing_letters
except ModuleNotFoundError as error:  # rich
    sys.exit(f"This example needs {error.name}: pip install -e '.[examples]'")

PLAIN, NORMED, LINEAR = "conv", "conv + BN", "linear + BN"
STYLES = {
    PLAIN: (plots.VERMILLION, "s", "--"),
    NORMED: (plots.BLUE, "o", "-"),
    LINEAR: (plots.GREY, "^", "-."),
}
Samples = tuple[mg.Tensor, mg.Tensor, mg.Tensor, mg.Tensor]


# -------------------------------------------------------------------------------- the networks


def convolutions(batchnorm: bool, size: int, depth: int, channels: int) -> nn.Sequential:
    """depth x (Conv2d, BatchNorm2d if wanted, ReLU), halving the image twice at most, the mean over
    what is left of it, and a linear head."""
    layers: list[nn.Module] = []
    for i in range(depth):
        stride = 2 if i == 0 and size > 16 else 1  # MNIST: a quarter of the work
        layers.append(nn.Conv2d(channels if i else 1, channels, 3, stride, 1, bias=not batchnorm))
        size = -(-size // stride)
        layers += [nn.BatchNorm2d(channels)] if batchnorm else []
        layers.append(nn.ReLU())
        if i == depth // 2 - 1:
            layers.append(nn.MaxPool2d(2))
            size //= 2
    return nn.Sequential(*layers, nn.AvgPool2d(size), nn.Flatten(), nn.Linear(channels, 10))


def linear_layers(size: int, depth: int, channels: int) -> nn.Sequential:
    """Nearly as many weights, which see the image as a row of numbers."""
    width = max(8, round(math.sqrt(9 * channels**2)))
    layers: list[nn.Module] = [nn.Flatten()]
    for i in range(depth):
        layers += [nn.Linear(width if i else size**2, width), nn.BatchNorm1d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def networks(settings: argparse.Namespace, size: int) -> dict[str, Callable[[], nn.Sequential]]:
    """By name, what builds each network."""
    given = size, settings.depth, settings.channels
    return {
        PLAIN: lambda: convolutions(False, *given),
        NORMED: lambda: convolutions(True, *given),
        LINEAR: lambda: linear_layers(*given),
    }


# ------------------------------------------------------------------------------------- the data


@functools.cache
def mnist(root: str | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """The training and the test samples; downloaded where no folder is named."""
    return [load_mnist(root, part, root is None) for part in ("train", "test")]


def load(settings: argparse.Namespace, seed: int) -> Samples:
    """Images (N, 1, size, size) and labels to train with, and to test with."""
    if settings.data == "digits":
        images, labels = load_digits()
        x, x_test, y, y_test = train_test_split(images, labels, test_size=0.2, seed=seed)
    else:
        (x, y), (x_test, y_test) = mnist(settings.data_root)
    on = settings.device
    return (
        mg.tensor(x[:, None], device=on), mg.tensor(y, device=on),
        mg.tensor(x_test[:, None], device=on), mg.tensor(y_test, device=on),
    )  # fmt: skip


# ----------------------------------------------------------------------------------- the parts


def measure(model: nn.Sequential, x: mg.Tensor, y: mg.Tensor) -> dict[str, Any]:
    """For each convolution the spread of the samples in what comes out, and |dL/dW|."""
    with observe(model.train()) as seen:
        F.cross_entropy(model(x), y).backward()
    rows = seen.of("Conv2d")
    dw = [row.grad_weight for row in rows]
    return {
        "spread": [row.output.batch_std for row in rows],
        "dw": dw,
        "factor": factor_per_layer([row.grad_output for row in rows]),
    }


def accuracy(model: nn.Module, x: mg.Tensor, y: mg.Tensor) -> float:
    """The share of the samples that the model names rightly, in eval mode."""
    model.eval()
    right = 0
    with mg.no_grad():
        for i in range(0, len(y), 512):
            right += (model(x[i : i + 512]).argmax(1) == y[i : i + 512]).sum().item()
    model.train()
    return right / len(y)


def moved(x: mg.Tensor) -> dict[str, mg.Tensor]:
    """The images, and the same moved by a pixel; the border that comes in is empty."""
    empty_row, empty_column = x[:, :, :1] * 0, x[:, :, :, :1] * 0
    return {
        "where they were": x,
        "moved up": F.cat([x[:, :, 1:], empty_row], 2),
        "moved down": F.cat([empty_row, x[:, :, :-1]], 2),
        "moved left": F.cat([x[:, :, :, 1:], empty_column], 3),
        "moved right": F.cat([empty_column, x[:, :, :, :-1]], 3),
    }


def train(settings: argparse.Namespace, model: nn.Sequential, data: Samples, seed: int) -> Any:
    """Adam with cosine decay; the curves, and the accuracy on images that were moved."""
    x, y, x_test, y_test = data
    loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True, drop_last=True, seed=seed)
    optimizer = optim.Adam(model.parameters(), lr=settings.lr)
    schedule = optim.CosineAnnealingLR(optimizer, T_max=settings.steps)
    interval = max(1, settings.steps // 12)
    curve: dict[str, list[float]] = {"step": [], "loss": [], "accuracy": []}
    losses: list[mg.Tensor] = []

    def compute(images: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        return loss

    if settings.capture:
        update = mg.capture(compute, x[:64], y[:64], model=model, optimizer=optimizer)
    else:

        def update(images: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
            loss = compute(images, labels)
            optimizer.step()
            return loss

    step = 0
    while step < settings.steps:
        for images, labels in loader:
            loss = update(images, labels)
            schedule.step()
            losses.append(loss.detach())
            step += 1
            if step % interval == 0 or step == settings.steps:
                curve["step"].append(step)
                curve["loss"].append(float(np.mean([value.item() for value in losses])))
                curve["accuracy"].append(accuracy(model, x_test, y_test))
                losses.clear()
            if step == settings.steps:
                break
    shifts = {name: accuracy(model, images, y_test) for name, images in moved(x_test).items()}
    return {"seed": seed, **curve, "moved": shifts}


# ----------------------------------------------------------------------------------- the tables


def before_table(before: dict[str, dict[str, Any]]) -> Table:
    """Layer by layer, without and with BatchNorm."""
    table = Table("layer", title="Before training")
    for name in before:
        table.add_column(f"{name}\nspread of the samples", justify="right")
        table.add_column("|dL/dW|", justify="right")
    for i in range(len(before[PLAIN]["dw"])):
        cells = [(found["spread"][i], found["dw"][i]) for found in before.values()]
        table.add_row(str(i + 1), *(f"{value:.1e}" for pair in cells for value in pair))
    return table


def middle(values: list[float]) -> str:
    """The median, and the smallest and the largest."""
    return f"{np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def training_table(training: dict[str, list[dict[str, Any]]], weights: dict[str, int]) -> Table:
    """Where each network arrived, over the seeds."""
    table = Table("network", "parameters", "training loss", "test accuracy", title="Training")
    for name, runs in training.items():
        ends = [middle([run[key][-1] for run in runs]) for key in ("loss", "accuracy")]
        table.add_row(name, str(weights[name]), *ends)
    return table


def moved_table(training: dict[str, list[dict[str, Any]]]) -> Table:
    """Accuracy on the test images, and on the same moved by a pixel: medians."""
    table = Table("network", title="Test images moved by one pixel: accuracy, medians")
    for where in training[NORMED][0]["moved"]:
        table.add_column(where, justify="right")
    for name, runs in training.items():
        places = runs[0]["moved"]
        table.add_row(
            name, *(f"{np.median([run['moved'][where] for run in runs]):.3f}" for where in places)
        )
    return table


def draw(results: dict[str, Any], folder: str) -> list[Path]:
    """The figures."""
    drawn = {
        "convolution-training": plots.training_curves(
            results["training"], (math.log(10), 0.1), "Training", STYLES
        ),
        "convolution-gradients": plots.gradient_norms(
            {"before training": {name: found["dw"] for name, found in results["before"].items()}},
            "|dL/dW|",
            "What is left of the gradient in each convolution",
        ),
    }
    paths = [Path(folder) / f"{name}.png" for name in drawn]
    for path, figure in zip(paths, drawn.values(), strict=True):
        figure.savefig(path)
    return paths


# ------------------------------------------------------------------------------------ the story


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", choices=("digits", "mnist"), default="digits")
    parser.add_argument("--data-root", help="folder of the MNIST files (else downloaded)")
    parser.add_argument("--depth", type=int, default=8, help="convolutions, from 2")
    parser.add_argument("--channels", type=int, default=16, help="of each convolution, from 2")
    parser.add_argument("--seeds", type=int, default=3, help="how many runs")
    parser.add_argument("--steps", type=int, default=300, help="training steps")
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate at the start")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    parser.add_argument("--out", default="out", help="folder for the figures")
    parser.add_argument("--capture", action="store_true", help="replay a captured step")
    parser.add_argument("--quick", action="store_true", help="one seed, 60 steps, 4 layers")
    settings = parser.parse_args(argv)
    if settings.quick:
        settings.seeds, settings.steps, settings.depth = 1, 60, 4
    if min(settings.depth, settings.channels) < 2 or min(settings.seeds, settings.steps) < 1:
        parser.error("--depth and --channels begin at 2, --seeds and --steps at 1")
    if not 0 < settings.lr < math.inf:
        parser.error(f"--lr: got {settings.lr}, expected a number above 0")
    if settings.data_root is not None and settings.data != "mnist":
        parser.error("--data-root: is for --data mnist; the digits come with minigrad")
    return settings


def main(argv: list[str] | None = None) -> int:
    """Run the story. Returns 0; 2 if the settings cannot be served."""
    replace_missing_letters()
    settings, console = parse(argv), Console(highlight=False)
    try:
        data = load(settings, seed=0)
        files.make_folder(settings.out)
    except (OSError, RuntimeError, ValueError, ModuleNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    makers = networks(settings, data[0].shape[-1])
    results: dict[str, Any] = {"before": {}, "training": {name: [] for name in makers}}

    for name in (PLAIN, NORMED):
        mg.manual_seed(0)
        model = makers[name]().to(settings.device)
        results["before"][name] = measure(model, data[0][:256], data[1][:256])
    console.print(before_table(results["before"]))
    factors = [f"{found['factor']:.3f} ({name})" for name, found in results["before"].items()]
    console.print(f"Factor per layer of the gradient dL/dz: {', '.join(factors)}.\n")

    weights = {}
    for seed in range(settings.seeds):
        data = load(settings, seed)
        for name, make in makers.items():
            mg.manual_seed(seed)
            model = make().to(settings.device)
            weights[name] = sum(p.numel() for p in model.parameters())
            results["training"][name].append(train(settings, model, data, seed))
    console.print(training_table(results["training"], weights))
    console.print(moved_table(results["training"]))
    for path in draw(results, settings.out):
        console.print(f"written: {path}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
