"""Why a network of 20 sigmoid layers does not learn, and what batch normalisation does about it.

    python examples/vanishing_gradient.py          # or: make demo

The popular story: pre-activations drift into the flat ends of the sigmoid, where its slope is 0,
so the gradient dies; batch normalisation pulls them back. This script measures how much of that is
so, on 20 layers of Linear (-BatchNorm) -Sigmoid with a linear head and handwritten digits:

1. before training, three ways to start, each with and without BatchNorm: where the pre-activations
   of each layer lie, and what is left of the gradient there;
2. training two of them over several seeds;
3. the trained network afterwards: what `eval()` is for, and what forgetting it costs;
4. what `minigrad.diagnostics.diagnose` says of these networks, which knows nothing of the story.

It prints tables, and writes figures and every number (results.json) into `out/`. Nothing it says
about a measurement is written down here: all of it comes from the run. If a run with the default
settings does not bear out what the README promises, it says so and exits with 1.
"""

import copy
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any

# The matrices are small: a second thread costs more than it brings. (Read when NumPy is imported.)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

try:
    import numpy as np
    from experiment import claims, files, report
    from experiment.settings import Data, Settings, check_batch_size, load, parse

    import minigrad as mg
    import minigrad.functional as F
    from minigrad import nn, optim
    from minigrad.data import DataLoader, TensorDataset
    from minigrad.diagnostics import Observation, Report, diagnose, factor_per_layer, observe
    from minigrad.diagnostics.stats import norm
    from minigrad.terminal import replace_missing_letters
except ModuleNotFoundError as error:  # rich
    sys.exit(f"This example needs {error.name}: pip install -e '.[examples]'")
except KeyboardInterrupt:
    sys.exit(130)

TRAP_STEPS = (1, 2, 5, 10, 20, 30, 50, 100, 200)


# ------------------------------------------------------------------------------- the networks


def shifted(linear: nn.Linear) -> None:
    """Xavier weights, and biases that put every unit deep into one of the flat ends."""
    nn.init.xavier_uniform_(linear.weight)
    n = linear.out_features
    high, low = 50 + 30 * mg.rand(n), -100 + 40 * mg.rand(n)
    with mg.no_grad():
        linear.bias.copy_(mg.where(mg.rand(n) < 0.5, high, low))


def xavier(linear: nn.Linear) -> None:
    """The usual careful start: weights that keep the size of a signal, no biases."""
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)


def large(linear: nn.Linear) -> None:
    """Weights of mean 0, so large that many units are saturated."""
    nn.init.normal_(linear.weight, std=10 / math.sqrt(linear.in_features))
    nn.init.zeros_(linear.bias)


STARTS: dict[str, Callable[[nn.Linear], None]] = {
    "a. shifted": shifted,
    "b. Xavier": xavier,
    "c. large weights": large,
}
TRAINED = ("a. shifted", "b. Xavier")
EXAMINED = "b. Xavier"  # whose network with BatchNorm part 3 looks at


def build(
    settings: Settings, start: str, batchnorm: bool, inputs: int, classes: int
) -> nn.Sequential:
    """depth x (Linear, BatchNorm if wanted, Sigmoid) and a linear head.

    BatchNorm draws no random numbers, so with the same seed both kinds start from the same weights.
    """
    layers: list[nn.Module] = []
    for i in range(settings.depth):
        linear = nn.Linear(inputs if i == 0 else settings.width, settings.width)
        STARTS[start](linear)
        layers += [linear, nn.BatchNorm1d(settings.width)] if batchnorm else [linear]
        layers.append(nn.Sigmoid())
    head = nn.Linear(settings.width, classes)
    xavier(head)
    return nn.Sequential(*layers, head).to(settings.device, np.dtype(settings.dtype))


def hidden_weights(model: nn.Sequential) -> list[np.ndarray]:
    """Copies of the weights of the hidden Linear layers, first layer first, on the host."""
    linears = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    return [linear.weight.detach().cpu().numpy().copy() for linear in linears[:-1]]


# ---------------------------------------------------------------------------- before training


def measure(model: nn.Sequential, x: mg.Tensor, y: mg.Tensor) -> dict[str, Any]:
    """One forward and backward pass in training mode, seen layer by layer.

    z is what enters the sigmoid; dL/dz and dL/dW belong to the Linear layer. The running statistics
    of BatchNorm are left as they were.
    """
    model = copy.deepcopy(model).train()
    with observe(model) as seen:
        loss = F.cross_entropy(model(x), y)
        loss.backward()
    z = [row.input for row in seen.of("Sigmoid")]
    hidden = seen.of("Linear")[:-1]
    dz = [row.grad_output for row in hidden]
    dw = [row.grad_weight for row in hidden]
    return {
        "loss": loss.item(),
        "z": z,
        "sigma": [row.input.batch_std for row in seen.of("BatchNorm1d")],
        "dz": dz,
        "dw": dw,
        "dz_ratio": ratio(dz[0], dz[-1]),
        "dw_ratio": ratio(dw[0], dw[-1]),
        "factor": factor_per_layer(dz[1:]),  # layer 1 has another number of inputs
        "predicted_factor": predicted_factor(model, seen),
    }


def gradients(model: nn.Sequential, x: mg.Tensor, y: mg.Tensor) -> dict[str, Any]:
    """Of what ``measure`` finds, the loss and the gradients alone, in a fraction of its time."""
    model = copy.deepcopy(model).train()
    linears = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    outputs: list[mg.Tensor] = []

    def note(layer: nn.Module, inputs: Any, output: mg.Tensor) -> None:
        output.retain_grad()
        outputs.append(output)

    for linear in linears:
        linear.register_forward_hook(note)
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    dz = [norm(output.grad.data) for output in outputs[:-1]]
    dw = [norm(linear.weight.grad.data) for linear in linears[:-1]]
    return {"loss": loss.item(), "dz": dz, "dw": dw, "dw_ratio": ratio(dw[0], dw[-1])}


def ratio(first: float, last: float) -> float:
    """first / last, with 0 / 0 = 0: nothing arrives."""
    return first / last if last else 0.0


def predicted_factor(model: nn.Sequential, seen: Observation) -> float:
    """The factor per layer as a product of three things measured in layers 2, 3, ...

    On its way back through a layer a gradient is multiplied by the sigmoid's slope, by the weights
    (which stretch a random vector by |W| / sqrt(number of its entries)), and by BatchNorm's
    1 / sigma. The geometric mean over the layers of slope x weights / sigma is the prediction.
    """
    slopes = [row.input.slope_rms for row in seen.of("Sigmoid")[1:-1]]
    gains = [np.linalg.norm(w) / math.sqrt(len(w)) for w in hidden_weights(model)[2:]]
    sigmas = [row.input.batch_std for row in seen.of("BatchNorm1d")[1:-1]] or [1.0] * len(gains)
    logs = [
        math.log(s * g / sigma) if s * g > 0 and sigma > 0 else -math.inf
        for s, g, sigma in zip(slopes, gains, sigmas, strict=True)
    ]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def before_training(settings: Settings) -> dict[str, dict[str, Any]]:
    """Each start, without and with BatchNorm, measured on 256 training samples."""
    data = load(settings, seed=0)
    x, y = data.x_train[:256], data.y_train[:256]
    measured = {}
    for start in STARTS:
        for batchnorm in (False, True):
            mg.manual_seed(0)
            model = build(settings, start, batchnorm, data.inputs, data.classes)
            measured[files.name_of(start, batchnorm)] = measure(model, x, y)
    return measured


# ------------------------------------------------------------------------------------ training


def accuracy(model: nn.Module, data: Data) -> float:
    """The share of the test samples that the model names rightly, in the mode it is in."""
    with mg.no_grad():
        guesses = model(data.x_test).argmax(1)
    return (guesses == data.y_test).float().mean().item()


def test_accuracy(model: nn.Module, data: Data) -> float:
    """``accuracy`` in eval mode; afterwards the model is in training mode again."""
    model.eval()
    share = accuracy(model, data)
    model.train()
    return share


def train(
    settings: Settings,
    model: nn.Sequential,
    data: Data,
    seed: int,
    after_step: Callable[[int], None] = lambda step: None,
    optimizer: optim.Optimizer | None = None,
) -> dict[str, Any]:
    """SGD, if no other optimiser is given, with cosine decay; returns the curves and what became of
    each layer's weights."""
    loader = DataLoader(
        TensorDataset(data.x_train, data.y_train),
        batch_size=settings.batch_size, shuffle=True, drop_last=True, seed=seed,
    )  # fmt: skip
    optimizer = optimizer or optim.SGD(model.parameters(), lr=settings.lr)
    schedule = optim.CosineAnnealingLR(optimizer, T_max=settings.steps)
    # Once per epoch; more often where an epoch is a large part of the run.
    interval = max(1, min(len(loader), settings.steps // 20))
    sample = data.x_train[:256], data.y_train[:256]
    start, weights = gradients(model, *sample), hidden_weights(model)
    curve = {"step": [0], "loss": [start["loss"]], "accuracy": [test_accuracy(model, data)]}
    losses: list[mg.Tensor] = []
    fused = nn.fuse(model)  # the same parameters and the same function, in fewer operations

    def compute(x: mg.Tensor, y: mg.Tensor) -> mg.Tensor:
        loss = F.cross_entropy(fused(x), y)
        optimizer.zero_grad()
        loss.backward()
        return loss

    if settings.capture:
        batch = data.x_train[: settings.batch_size], data.y_train[: settings.batch_size]
        update = mg.capture(compute, *batch, model=fused, optimizer=optimizer)
    else:

        def update(x: mg.Tensor, y: mg.Tensor) -> mg.Tensor:
            loss = compute(x, y)
            optimizer.step()
            return loss

    step = 0
    while step < settings.steps:
        for x, y in loader:
            loss = update(x, y)
            schedule.step()
            losses.append(loss.detach())
            step += 1
            if step % interval == 0 or step == settings.steps:
                curve["step"].append(step)
                curve["loss"].append(float(np.mean([value.item() for value in losses])))
                curve["accuracy"].append(test_accuracy(model, data))
                losses.clear()
            after_step(step)
            if step == settings.steps:
                break
    end = gradients(model, *sample)
    moved = [
        float(np.linalg.norm(w - w0) / np.linalg.norm(w0))
        for w, w0 in zip(hidden_weights(model), weights, strict=True)
    ]
    return {
        **curve,
        "moved": moved,
        "layer_1_identical": bool(np.array_equal(hidden_weights(model)[0], weights[0])),
        "dw_ratio": [start["dw_ratio"], end["dw_ratio"]],
        "dw_1": [start["dw"][0], end["dw"][0]],
        "dz_1": [start["dz"][0], end["dz"][0]],
    }


# ---------------------------------------------------------------------------------- afterwards


def in_training_mode(model: nn.Module, data: Data, batch_size: int, rows: np.ndarray) -> float:
    """Test accuracy of a model that was left in training mode, fed ``rows`` in small batches."""
    model.train()
    right = 0
    with mg.no_grad():
        for i in range(0, len(rows) - len(rows) % batch_size, batch_size):
            batch = rows[i : i + batch_size]
            guesses = model(data.x_test[batch]).argmax(1)
            right += int((guesses == data.y_test[batch]).sum().item())
    return right / (len(rows) - len(rows) % batch_size)


def both_modes(model: nn.Module, data: Data) -> tuple[float, float]:
    """Test accuracy in eval mode, and with the statistics of the batch; changes nothing."""
    trial = copy.deepcopy(model)
    return accuracy(trial.eval(), data), accuracy(trial.train(), data)


def afterwards(model: nn.Sequential, data: Data) -> dict[str, Any]:
    """What eval mode is for, on a trained network with BatchNorm; the model is left as it was."""
    model = copy.deepcopy(model).eval()
    with mg.no_grad():
        together, again = model(data.x_test[:64]), model(data.x_test[:64])
        alone = model(data.x_test[:1])
    found: dict[str, Any] = {
        "eval_accuracy": accuracy(model, data),
        "repeatable": bool(np.array_equal(together.cpu().numpy(), again.cpu().numpy())),
        "alone_or_together": float(np.abs((alone - together[:1]).cpu().numpy()).max()),
    }
    try:
        copy.deepcopy(model).train()(data.x_test[:1])
    except ValueError as error:
        found["batch_of_one_in_training_mode"] = str(error)
    mixed = np.arange(len(data.y_test))
    by_class = np.argsort(data.y_test.cpu().numpy(), kind="stable")
    found["forgotten"] = {
        f"batches of {size}": in_training_mode(copy.deepcopy(model), data, size, mixed)
        for size in (2, 8, 64)
    }
    spoilt = copy.deepcopy(model)
    found["forgotten"]["batches of 8, sorted by class"] = in_training_mode(
        spoilt, data, 8, by_class
    )
    found["eval_accuracy_after_that"] = accuracy(spoilt.eval(), data)
    return found


# ----------------------------------------------------------------------------------- the doctor


def verdicts(settings: Settings) -> dict[str, Report]:
    """What ``diagnose`` says of each start, without and with BatchNorm, before any training: of the
    same networks and with the same step as in part 2."""
    data = load(settings, seed=0)
    reports = {}
    for start in STARTS:
        for batchnorm in (False, True):
            mg.manual_seed(0)
            model = build(settings, start, batchnorm, data.inputs, data.classes)
            optimizer = optim.SGD(model.parameters(), lr=settings.lr)
            reports[files.name_of(start, batchnorm)] = diagnose(
                model, data.x_train[:256], data.y_train[:256], optimizer=optimizer
            )
    return reports


# ------------------------------------------------------------------------------------ the story


def run_network(
    settings: Settings,
    data: Data,
    start: str,
    batchnorm: bool,
    seed: int,
    advance: Callable[[str], None],
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Train one network; of the one that part 3 looks at, also what becomes of it in eval mode."""
    mg.manual_seed(seed)
    model = build(settings, start, batchnorm, data.inputs, data.classes)
    examined = batchnorm and start == EXAMINED and seed == 0
    trap: list[dict[str, float]] = []

    def after_step(step: int) -> None:
        advance(f"seed {seed}: {files.name_of(start, batchnorm)}")
        if examined and step in TRAP_STEPS:
            in_eval, in_training = both_modes(model, data)
            trap.append({"step": step, "eval": in_eval, "training": in_training})

    run = {"seed": seed, **train(settings, model, data, seed, after_step)}
    return run, {"trap": trap, **afterwards(model, data)} if examined else None


def tell(settings: Settings, results: dict[str, Any], show: report.Terminal) -> None:
    """All four parts. ``results`` fills up on the way, so an interruption leaves what is done."""
    results["before"] = before_training(settings)
    show.before(results["before"])

    results["training"] = {files.name_of(s, b): [] for s in TRAINED for b in (False, True)}
    with show.progress(settings.seeds * len(results["training"]) * settings.steps) as advance:
        for seed in range(settings.seeds):
            data = load(settings, seed)
            for start in TRAINED:
                for batchnorm in (False, True):
                    run, found = run_network(settings, data, start, batchnorm, seed, advance)
                    results["training"][files.name_of(start, batchnorm)].append(run)
                    results["afterwards"] = found or results.get("afterwards")
    show.training(results["training"])
    show.afterwards(results["afterwards"])

    reports = verdicts(settings)
    results["doctor"] = {name: report.to_dict() for name, report in reports.items()}
    show.doctor(reports)
    results["finished"] = True


def main(argv: list[str] | None = None) -> int:
    """Run the story. Returns 0; 1 if a promise was broken; 2 if the settings cannot be served; 130
    if it was interrupted."""
    replace_missing_letters()
    settings = parse(argv, (__doc__ or "").partition("\n")[0])
    started = time.perf_counter()
    try:
        check_batch_size(settings, load(settings, seed=0))
        files.make_folder(settings.out)
    except (OSError, RuntimeError, ValueError, ModuleNotFoundError) as error:
        print(error, file=sys.stderr)  # no such device, no data: said before anything is computed
        return 2
    show = report.Terminal(settings)
    results: dict[str, Any] = files.header(settings)
    show.opening()
    try:
        tell(settings, results, show)
    except KeyboardInterrupt:
        show.interrupted(results)
    results["seconds"] = time.perf_counter() - started
    results["checks"] = claims.check(results)
    show.checks(results["checks"], settings.are_promised())
    show.written(files.write(results, settings.out), time.perf_counter() - started)
    if not results["finished"]:
        return 130
    broken = settings.are_promised() and not all(check["holds"] for check in results["checks"])
    return 1 if broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before there was anything to keep, or a second time
        sys.exit(130)
