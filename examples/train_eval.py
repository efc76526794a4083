"""Why BatchNorm has two modes, and what mixing them up costs.

    python examples/train_eval.py

In training mode BatchNorm normalises with the mean and variance of the batch, and moves its running
statistics a tenth of the way towards them. In eval mode it uses the running statistics, so that the
answer for one picture does not depend on which others are in the batch. Three parts: how fast the
running statistics get there, what eval mode guarantees, and three mistakes with what they cost.
"""

import copy

import numpy as np

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.data import DataLoader, TensorDataset, load_digits, train_test_split


def host(tensor: mg.Tensor) -> np.ndarray:
    """The numbers, wherever they are."""
    return tensor.detach().cpu().numpy()


def share_of_the_way(start: np.ndarray, now: np.ndarray, goal: np.ndarray) -> float:
    """How much of the way from ``start`` to ``goal`` the values have gone, as one number: the best
    fit of ``now - start`` by a multiple of ``goal - start``."""
    way = goal - start
    return float(((now - start) * way).sum() / (way * way).sum())


def approach(images: np.ndarray, steps: tuple[int, ...]) -> list[tuple[int, float, float]]:
    """(k, share of the way of running_mean, of running_var) after k batches of 64."""
    layer = nn.BatchNorm1d(images.shape[1])
    mean, var = images.mean(axis=0), images.var(axis=0, ddof=1)
    loader = DataLoader(TensorDataset(images), batch_size=64, shuffle=True, drop_last=True, seed=0)
    rows, k = [], 0
    while k < max(steps):
        for (x,) in loader:
            layer(x)
            k += 1
            if k in steps:
                rows.append(
                    (
                        k,
                        share_of_the_way(np.zeros_like(mean), host(layer.running_mean), mean),
                        share_of_the_way(np.ones_like(var), host(layer.running_var), var),
                    )
                )
    return rows


def network() -> nn.Sequential:
    """Six sigmoid layers with BatchNorm, from the same weights every time."""
    mg.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(6):
        layers += [nn.Linear(64, 64), nn.BatchNorm1d(64), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def train(model: nn.Module, x: np.ndarray, y: np.ndarray, steps: int) -> None:
    """``steps`` steps of SGD in whichever mode the model is in."""
    loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True, drop_last=True, seed=0)
    optimizer = optim.SGD(model.parameters(), lr=0.2)
    done = 0
    while done < steps:
        for images, labels in loader:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
            if done == steps:
                return


def accuracy(model: nn.Module, x: np.ndarray, y: np.ndarray, batch_size: int) -> float:
    """The share of pictures named rightly, in whichever mode the model is in."""
    right = 0
    with mg.no_grad():
        for i in range(0, len(x), batch_size):
            guesses = model(mg.tensor(x[i : i + batch_size])).argmax(1)
            right += int((host(guesses) == y[i : i + batch_size]).sum())
    return right / len(x)


def main() -> None:
    """Print the three parts."""
    images, labels = load_digits(flatten=True)
    x_train, x_test, y_train, y_test = train_test_split(images, labels)

    print("1. Running statistics approach those of the data as 1 - 0.9^k (momentum 0.1)\n")
    print("  batches k   1 - 0.9^k   running_mean   running_var")
    for k, mean, var in approach(images, (1, 2, 5, 10, 22, 44)):
        print(f"  {k:9d}   {1 - 0.9**k:9.1%}   {mean:12.1%}   {var:11.1%}")

    print("\n2. Eval mode, after 300 steps of training\n")
    model = network()
    train(model.train(), x_train, y_train, 300)
    model.eval()
    with mg.no_grad():
        x = mg.tensor(x_test[:64])
        first, second, alone = host(model(x)), host(model(x)), host(model(x[:1]))
    print(f"  test accuracy                          {accuracy(model, x_test, y_test, 64):.3f}")
    print(f"  the same batch twice, equal bit by bit {np.array_equal(first, second)}")
    print(f"  a picture alone or among 64, at most   {np.abs(first[:1] - alone).max():.0e} apart")

    print("\n3. Mistakes\n")
    order = np.argsort(y_test, kind="stable")
    print("  eval() forgotten at the test")
    for what, rows, size in (
        ("batches of 64", slice(None), 64),
        ("batches of 8", slice(None), 8),
        ("batches of 2", slice(None), 2),
        ("batches of 8, sorted by class", order, 8),
    ):
        forgetful = copy.deepcopy(model).train()
        share = accuracy(forgetful, x_test[rows], y_test[rows], size)
        spoilt = accuracy(forgetful.eval(), x_test, y_test, 64)
        print(f"    {what:30}  accuracy {share:.3f}; in eval mode from then on {spoilt:.3f}")
    try:
        copy.deepcopy(model).train()(mg.tensor(x_test[:1]))
    except ValueError as error:
        print(f"    {'a batch of one':30}  refused: {error}")
    model = network()
    train(model.eval(), x_train, y_train, 300)
    print("  train() forgotten: all 300 steps in eval mode, where nothing is normalised")
    print(f"    {'':30}  accuracy {accuracy(model, x_test, y_test, 64):.3f}")
    print("  tested too early: eval mode, before the running statistics have caught up")
    for steps in (5, 10, 20, 40):
        model = network()
        train(model.train(), x_train, y_train, steps)
        by_batch = accuracy(copy.deepcopy(model), x_test, y_test, len(x_test))
        in_eval = accuracy(model.eval(), x_test, y_test, 64)
        print(
            f"    {f'after {steps} steps':30}  accuracy {in_eval:.3f}; with the statistics of the "
            f"batch {by_batch:.3f}"
        )


if __name__ == "__main__":
    main()
