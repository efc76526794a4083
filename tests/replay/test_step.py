"""``mg.capture``: a replay does what the step does, and what it cannot do it refuses."""

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad import functional as F
from minigrad import nn, optim
from minigrad.events import events
from tests.cuda.raw_module import DryRawModule
from tests.devices import cuda, emulated, strict, use_kernels
from tests.strict_cupy.runtime import Graph, Stream
from tests.strict_cupy.stand_in import WrongOnGPU, counted, no_sync

__all__ = ["cuda", "emulated", "strict"]  # fixtures

BATCH, INPUTS, WIDTH, CLASSES = 7, 6, 5, 4


@pytest.fixture(params=["cpu", "emulated", pytest.param("cuda", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest) -> str:
    """With the kernels in the emulator, and on a GPU."""
    name: str = "cpu" if request.param == "cpu" else request.getfixturevalue(request.param)
    mg.manual_seed(3)
    return name


def network(gpu: str, *more: nn.Module) -> nn.Sequential:
    layers = [nn.Linear(INPUTS, WIDTH), nn.BatchNorm1d(WIDTH), nn.Sigmoid()]
    return nn.Sequential(*layers, *more, nn.Linear(WIDTH, CLASSES)).to(gpu)


def batch(gpu: str, n: int = BATCH) -> tuple[mg.Tensor, mg.Tensor]:
    return mg.randn(n, INPUTS, device=gpu), mg.randint(0, CLASSES, (n,), device=gpu)


def step_of(model: nn.Module) -> Callable[..., Any]:
    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        model.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        return loss

    return step


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Parameters, buffers and gradients, on the host."""
    found = {name: value.cpu().numpy().copy() for name, value in model.state_dict().items()}
    for name, p in model.named_parameters():
        found[f"{name}.grad"] = None if p.grad is None else p.grad.cpu().numpy().copy()
    return found


def same(found: dict[str, Any], expected: dict[str, Any], rtol: float = 0.0) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if value is None:
            assert found[name] is None, name
        else:
            size = np.abs(value).max()
            np.testing.assert_allclose(
                found[name], value, rtol=0, atol=rtol * size + 1e-6 * rtol, err_msg=name
            )


# ---------------------------------------------------------------------------- it is the step


OPTIMISERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD, momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
}


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
@pytest.mark.parametrize("change", [lambda model: model, nn.fuse], ids=["layers", "fused"])
def test_training_by_replays_is_training(
    make: Callable[[Any], optim.Optimizer], change: Callable[[Any], Any], gpu: str
) -> None:
    first = network(gpu).double()
    start, found = first.state_dict(), []
    start = {name: value.clone() for name, value in start.items()}
    for replayed in (False, True):
        mg.manual_seed(11)
        first.load_state_dict(start)
        model = change(first)
        optimizer, step = make(model.parameters()), step_of(model)
        schedule = optim.StepLR(optimizer, step_size=2, gamma=0.5)
        if replayed:
            generator = np.random.default_rng(5)  # of its own: the batches are drawn alike below
            x = mg.tensor(generator.normal(size=(BATCH, INPUTS)), device=gpu)
            labels = mg.tensor(generator.integers(0, CLASSES, BATCH), device=gpu)
            step = mg.capture(step, x, labels, model=model)
        losses = []
        for _ in range(5):
            x, labels = batch(gpu)
            losses.append(step(x.double(), labels).detach())
            optimizer.step()
            schedule.step()
        found.append({"losses": np.array([v.item() for v in losses]), **snapshot(model)})
    same(found[1], found[0], 1e-6)


def test_a_replay_is_one_launch_and_waits_for_nothing(emulated: str) -> None:
    model = network(emulated)
    replay = mg.capture(step_of(model), *batch(emulated), model=model)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, labels = batch(emulated)
    replay(x, labels)
    optimizer.step()
    with no_sync(), counted() as launches:
        replay(x, labels)
        optimizer.step()
    # The inputs are copied to the graph's memory, and the loss out of it.
    assert launches == {"graph": 1, "setitem": 2, "copy": 1, "sgd_step": 1}


def test_twenty_layers_are_captured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    use_kernels(monkeypatch, DryRawModule)
    layers: list[nn.Module] = []
    for _ in range(20):
        layers += [nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.Sigmoid()]
    model = nn.Sequential(nn.Linear(INPUTS, WIDTH), *layers, nn.Linear(WIDTH, CLASSES)).to("cuda")
    monkeypatch.setattr("minigrad.replay.step.difference", lambda *_: None)  # nothing is computed
    replay = mg.capture(step_of(model), *batch("cuda"), model=model)
    assert len(replay.recorder.graph.work) > 20 * 12


def test_inputs_may_come_from_the_host(gpu: str) -> None:
    model = network(gpu)
    replay = mg.capture(step_of(model), *batch(gpu), model=model)
    x, labels = batch(gpu)
    loss = replay(x, labels).item()
    assert replay(x.cpu(), labels.cpu()).item() == loss
    assert replay(x, labels.cpu()).item() == loss


def test_what_is_returned_is_not_overwritten_by_the_next_replay(gpu: str) -> None:
    model = network(gpu)

    def step(x: mg.Tensor, labels: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
        model.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        return loss, logits

    replay = mg.capture(step, *batch(gpu), model=model)
    loss, logits = replay(*batch(gpu))
    before = loss.item(), logits.tolist()
    other, _ = replay(*batch(gpu))
    assert (loss.item(), logits.tolist()) == before
    assert other.item() != before[0]
    assert not logits.requires_grad


def test_gradients_are_the_replays_even_after_other_ones(gpu: str) -> None:
    model = network(gpu)
    step = step_of(model)
    replay = mg.capture(step, *batch(gpu), model=model)
    one, two = batch(gpu), batch(gpu)
    replay(*one)
    first = snapshot(model)
    step(*two)  # in memory of its own
    assert model[0].weight.grad.tolist() != first["0.weight.grad"].tolist()
    replay(*one)
    same({k: v for k, v in snapshot(model).items() if "grad" in k},
         {k: v for k, v in first.items() if "grad" in k}, 1e-6)  # fmt: skip


def test_the_whole_state_is_as_before(gpu: str) -> None:
    model = network(gpu)
    step_of(model)(*batch(gpu))
    before, gradient = snapshot(model), model[0].weight.grad
    mg.capture(step_of(model), *batch(gpu), model=model)
    same(snapshot(model), before)
    assert model[0].weight.grad is gradient
    assert events.listener is None


def test_evaluation_can_be_captured_and_leaves_gradients_alone(gpu: str) -> None:
    model = network(gpu)
    x, labels = batch(gpu)
    step_of(model.train())(x, labels)
    model.eval()
    gradient = model[0].weight.grad

    def predict(x: mg.Tensor) -> mg.Tensor:
        with mg.no_grad():
            return model(x)

    replay = mg.capture(predict, x, model=model)
    other, _ = batch(gpu)
    np.testing.assert_allclose(
        replay(other).cpu().numpy(), predict(other).cpu().numpy(), rtol=1e-5, atol=1e-6
    )
    assert model[0].weight.grad is gradient
    assert gradient is not None


@pytest.mark.parametrize("set_to_none", [True, False])
def test_what_the_step_does_to_gradients_a_replay_does(set_to_none: bool, gpu: str) -> None:
    """Of a parameter that is used, and of one that is not."""
    model = network(gpu)
    model.add_module("spare", nn.Linear(2, 2).to(gpu))

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        model.zero_grad(set_to_none)
        loss = F.cross_entropy(model[:4](x), labels)
        loss.backward()
        return loss

    found = []
    one = batch(gpu)
    for compute in (step, mg.capture(step, *one, model=model)):
        model.spare.weight.grad = mg.ones(2, 2, device=gpu)
        compute(*one)
        left = model.spare.weight.grad
        found.append((None if left is None else left.tolist(), model[0].weight.grad.tolist()))
    assert found[0][0] == (None if set_to_none else [[0, 0], [0, 0]])
    assert found[1][0] == found[0][0]
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-5, atol=1e-7)


def test_a_gradient_that_was_replaced_comes_back(gpu: str) -> None:
    model = network(gpu)
    replay, one = mg.capture(step_of(model), *batch(gpu), model=model), batch(gpu)
    replay(*one)
    gradient = model[0].weight.grad
    expected = gradient.tolist()
    gradient.data = gradient.data * 0.5
    replay(*one)
    np.testing.assert_allclose(model[0].weight.grad.tolist(), expected, rtol=1e-5, atol=1e-7)


def test_a_model_may_have_buffers_alone(gpu: str) -> None:
    model, x = nn.BatchNorm1d(INPUTS, affine=False).to(gpu), batch(gpu)[0]
    replay = mg.capture(lambda x: model(x), x, model=model)
    other = batch(gpu)[0]
    found, twice = replay(other), model.running_mean.tolist()
    model.reset_running_stats()
    np.testing.assert_allclose(found.tolist(), model(other).tolist(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(twice, model.running_mean.tolist(), rtol=1e-5, atol=1e-7)


def test_an_interrupted_capture_leaves_nothing_behind(emulated: str) -> None:
    model, calls = network(emulated), iter(range(9))

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        if next(calls) == 2:  # after two to warm up
            raise KeyboardInterrupt
        return step_of(model)(x, labels)

    before = snapshot(model)
    with pytest.raises(KeyboardInterrupt):
        mg.capture(step, *batch(emulated), model=model)
    assert (Stream.recorded, events.listener) == (None, None)
    same(snapshot(model), before)


def test_a_graph_is_on_the_gpu_of_its_model(emulated: str) -> None:
    model = network("cuda:1")
    replay = mg.capture(step_of(model), *batch("cuda:1"), model=model)
    x, labels = batch("cuda:1")
    loss = replay(x, labels)
    assert loss.device == "cuda:1"
    assert loss.item() == pytest.approx(step_of(model)(x, labels).item(), rel=1e-5)


def test_a_linear_layer_without_bias_and_a_product_of_tensors(gpu: str) -> None:
    model = nn.Sequential(nn.Linear(INPUTS, CLASSES, bias=False)).to(gpu)

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        model.zero_grad()
        weight = model[0].weight
        logits = model(x) @ (weight @ weight.T)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        return loss

    replay = mg.capture(step, *batch(gpu), model=model)
    one = batch(gpu)
    expected = step(*one).item(), snapshot(model)
    assert replay(*one).item() == pytest.approx(expected[0], rel=1e-5)
    same(snapshot(model), expected[1], 1e-5)


def test_a_graph_holds_what_the_step_reads_besides(emulated: str) -> None:
    """Class weights that nobody else holds any more: on a GPU others would get their memory."""
    model = network(emulated)
    weight = [mg.tensor([1.0, 2.0, 3.0, 4.0], device=emulated)]
    added = [mg.tensor([[0.5] * CLASSES], device=emulated)]

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        model.zero_grad()
        logits = model(x)
        bias = logits.detach() * 0
        bias += added[0]
        loss = F.cross_entropy(logits + bias, labels, weight=weight[0])
        loss.backward()
        return loss

    replay = mg.capture(step, *batch(emulated), model=model)
    held = [weakref.ref(tensors.pop().array) for tensors in (weight, added)]
    assert all(any(reference() is memory for memory in replay.read) for reference in held)


def test_losses_of_labels_that_are_looked_up(gpu: str) -> None:
    """Without reading them back: as images of labels, of few bits, smoothed, by nll_loss."""
    model = network(gpu)

    def step(x: mg.Tensor, labels: mg.Tensor, few: mg.Tensor, rows: mg.Tensor) -> mg.Tensor:
        model.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits, few) + F.nll_loss(logits.log_softmax(1), labels)
        loss = loss + F.cross_entropy(logits, labels, label_smoothing=0.1)
        loss = loss + F.cross_entropy(logits.T.reshape(1, CLASSES, BATCH), rows)
        loss.backward()
        return loss

    def inputs() -> tuple[mg.Tensor, ...]:
        x, labels = batch(gpu)
        host = labels.cpu().numpy()
        few, rows = host.astype(np.uint8), host.reshape(1, -1)
        return x, labels, mg.tensor(few, device=gpu), mg.tensor(rows, device=gpu)

    replay, others = mg.capture(step, *inputs(), model=model), inputs()
    expected = step(*others).item(), snapshot(model)
    assert replay(*others).item() == pytest.approx(expected[0], rel=1e-5)
    same({k: v for k, v in snapshot(model).items() if "grad" in k},
         {k: v for k, v in expected[1].items() if "grad" in k}, 1e-5)  # fmt: skip
    others[2].add_(CLASSES)
    with pytest.raises(IndexError, match="cross_entropy: a label is"):
        replay(*others)


class Results(NamedTuple):
    loss: mg.Tensor
    logits: mg.Tensor


def test_several_results_come_as_the_step_gives_them(gpu: str) -> None:
    model = network(gpu)

    def step(x: mg.Tensor, labels: mg.Tensor) -> Results:
        model.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        return Results(loss, logits)

    found = mg.capture(step, *batch(gpu), model=model)(*batch(gpu))
    assert type(found) is Results
    assert found.logits.shape == (BATCH, CLASSES)


def test_the_mean_of_a_linear_layer(gpu: str) -> None:
    """The gradient of a mean is one number, repeated without memory of its own."""
    model = network(gpu)

    def step(x: mg.Tensor) -> mg.Tensor:
        model.zero_grad()
        mean = model(x).mean()
        mean.backward()
        return mean

    one = batch(gpu)[0]
    replay = mg.capture(step, batch(gpu)[0], model=model)
    assert replay(one).item() == pytest.approx(step(one).item(), rel=1e-5)


# --------------------------------------------------------- what changes between the replays


def test_labels_are_checked_at_each_replay(gpu: str) -> None:
    model = network(gpu)
    replay = mg.capture(step_of(model), *batch(gpu), model=model)
    x, labels = batch(gpu)
    replay(x, labels)
    before = snapshot(model)
    wrong = mg.tensor([1, 2, CLASSES, 0, 1, 1, 1], device=gpu)
    with pytest.raises(IndexError, match=r"a label is 4 \(at position \(2,\)\)"):
        replay(x, wrong)
    same(snapshot(model), before)
    replay(x, labels)


def test_labels_that_the_host_does_not_know_are_looked_at(gpu: str) -> None:
    """Right labels that it knows of have been there just before."""
    model = network(gpu)
    x, labels = batch(gpu)
    replay = mg.capture(step_of(model), x, labels + 0, model=model)
    replay(x, labels)
    with pytest.raises(IndexError, match="a label is"):
        replay(x, labels + CLASSES)


def test_an_index_is_checked_at_each_replay(gpu: str) -> None:
    model = nn.Sequential(nn.Embedding(5, WIDTH), nn.Linear(WIDTH, CLASSES)).to(gpu)
    rows = mg.tensor([0, 4, 2], device=gpu)
    labels = mg.tensor([1, 2, 0], device=gpu)
    replay = mg.capture(step_of(model), rows, labels, model=model)
    with pytest.raises(IndexError, match="an index is 5"):
        replay(mg.tensor([0, 5, 2], device=gpu), labels)


def test_another_batch_size_is_refused_and_says_what_to_do(gpu: str) -> None:
    model = network(gpu)
    replay = mg.capture(step_of(model), *batch(gpu), model=model)
    with pytest.raises(
        ValueError, match=r"input 0 is float32 of shape \(3, 6\), expected float32 o"
    ):
        replay(*batch(gpu, 3))
    x, labels = batch(gpu)
    with pytest.raises(ValueError, match="input 0 is float64"):
        replay(x.double(), labels)
    with pytest.raises(TypeError, match="got 1 inputs, expected 2"):
        replay(x)
    with pytest.raises(TypeError, match="input 1 is a list, expected a Tensor"):
        replay(x, [1, 2])
    with pytest.raises(ValueError, match="input 0 requires a gradient"):
        replay(x.requires_grad_(), labels)


CHANGES: dict[str, tuple[str, Callable[[nn.Sequential], object]]] = {
    "mode": ("training of the model", lambda m: m.eval()),
    "mode of a layer": ("training of 1", lambda m: m[1].eval()),
    "a number": ("momentum of 1", lambda m: setattr(m[1], "momentum", 0.5)),
    "a function": ("act of 4", lambda m: setattr(m[4], "act", lambda x: 2.0)),
    "forward": ("forward of 2", lambda m: setattr(m[2], "forward", lambda x: x * 2)),
    "frozen": ("requires_grad of 0.weight", lambda m: m[0].weight.requires_grad_(False)),
    "other memory": (
        "the memory of 3.bias",
        lambda m: setattr(m[3].bias, "data", m[3].bias.data.copy()),
    ),
    "other type": ("the memory of 0.weight", lambda m: m.double()),
    "another parameter": (
        "weight of 3",
        lambda m: setattr(m[3], "weight", nn.Parameter(m[3].weight.detach())),
    ),
    "a new layer": ("2 of the model", lambda m: setattr(m, "2", nn.Tanh())),
    "one layer more": ("the list of parts of the model", lambda m: m.append(nn.Sigmoid())),
    "precision": (
        "the precision of matrix products",
        lambda m: mg.set_float32_matmul_precision("high"),
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_model_that_has_changed_is_not_replayed(case: str, gpu: str) -> None:
    what, change = CHANGES[case]
    model = network(gpu)
    model.append(Unfit(lambda x: 1.5))
    replay = mg.capture(step_of(model), *batch(gpu), model=model)
    one = batch(gpu)
    replay(*one)
    change(model)
    try:
        with pytest.raises(RuntimeError, match=f"{what} is not what it was when the step"):
            replay(*one)
    finally:
        mg.set_float32_matmul_precision("highest")


def test_hooks_are_not_passed_over_in_silence(gpu: str) -> None:
    model = network(gpu)
    replay, one = mg.capture(step_of(model), *batch(gpu), model=model), batch(gpu)
    for name, watched in (("1", model[1].register_forward_hook),
                          ("0.weight", model[0].weight.register_hook)):  # fmt: skip
        handle = watched(lambda *_: None)
        with pytest.raises(RuntimeError, match=f"{name} has hooks, which a replay does not call"):
            replay(*one)
        handle.remove()
        replay(*one)


def test_what_is_said_again_has_not_changed(gpu: str) -> None:
    model = network(gpu)
    replay = mg.capture(step_of(model), *batch(gpu), model=model)
    one = batch(gpu)
    first = replay(*one).item()
    model.eval()
    model.train()
    model[1].momentum = float("0.1")  # a number of its own
    model[1].note = [1, 2]  # no number, and no part
    assert replay(*one).item() == first


def test_weights_may_be_changed_in_place(gpu: str) -> None:
    model = network(gpu)
    replay = mg.capture(step_of(model), *batch(gpu), model=model)
    one = batch(gpu)
    before = replay(*one).item()
    model.load_state_dict({k: v * 2 for k, v in model.state_dict().items()})
    after = replay(*one).item()
    assert after != before
    assert after == pytest.approx(step_of(model)(*one).item(), rel=1e-4)


def test_a_backward_pass_notices_that_a_replay_has_written(gpu: str) -> None:
    model = network(gpu)
    replay = mg.capture(step_of(model), *batch(gpu), model=model)
    scale = mg.ones(WIDTH, device=gpu).requires_grad_()
    product = scale * model[1].running_mean
    replay(*batch(gpu))
    with pytest.raises(RuntimeError, match="changed in place"):
        product.sum().backward()


# --------------------------------------------------------------------- what cannot be captured


class Unfit(nn.Module):
    """Does in each forward pass what it is told to."""

    def __init__(self, act: Callable[[mg.Tensor], Any]) -> None:
        super().__init__()
        self.act = act

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """Pass ``x`` on, times what the act returns."""
        return x * self.act(x)


UNFIT: dict[str, tuple[str, Callable[[mg.Tensor], Any]]] = {
    "dropout": ("draws random numbers on the host", lambda x: F.dropout(x, 0.5)),
    "a tensor from the host": (
        "moves an array between devices",
        lambda x: mg.tensor([1.5] * WIDTH, device=x.device),
    ),
    "a number that is read": ("cannot be captured", lambda x: x.detach().sum().item()),
    "an index that is read": (
        "reads a number to index with",
        lambda x: x.detach()[mg.tensor(0, device="cpu")],
    ),
    "a branch": ("cannot be captured", lambda x: 2.0 if x.detach().sum() > 0 else 1.0),
    "another stack of products": (
        "cannot be captured",
        lambda x: (x.reshape(1, -1, 1) @ x.reshape(1, 1, -1)).sum(),
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_a_replay_would_not_do_is_refused(case: str, gpu: str) -> None:
    message, act = UNFIT[case]
    if gpu == "cpu" and case in ("dropout", "a tensor from the host", "another stack of products"):
        pytest.skip("the CPU can do this")
    model = network(gpu, Unfit(act))
    before, one = snapshot(model), batch(gpu)
    with pytest.raises(RuntimeError, match=message):
        mg.capture(step_of(model), *one, model=model)
    same(snapshot(model), before)
    assert events.listener is None
    if case != "dropout":
        step_of(model)(*one)  # nothing is left behind: it trains as it did


def test_an_optimiser_and_a_schedule_stay_outside(gpu: str) -> None:
    model = network(gpu)
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    schedule = optim.StepLR(optimizer, step_size=2)
    for culprit, name in ((optimizer, "SGD"), (schedule, "StepLR")):

        def step(x: mg.Tensor, labels: mg.Tensor, culprit: Any = culprit) -> mg.Tensor:
            loss = step_of(model)(x, labels)
            culprit.step()
            return loss

        with pytest.raises(RuntimeError, match=f"the step calls {name}.step"):
            mg.capture(step, *batch(gpu), model=model)


def test_a_module_may_count_its_calls(gpu: str) -> None:
    model, x = network(gpu), batch(gpu)
    model.calls = 0
    step = step_of(model)

    def counting(*inputs: mg.Tensor) -> mg.Tensor:
        model.calls += 1
        return step(*inputs)

    replay = mg.capture(counting, *batch(gpu), model=model)
    assert model.calls == 5, "as the docstring says"
    assert replay(*x).item() == pytest.approx(step(*x).item(), rel=1e-5)
    counting(*x)
    with pytest.raises(RuntimeError, match="calls of the model is not what it was"):
        replay(*x)


def test_only_the_model_is_trained(gpu: str) -> None:
    """A gradient of anything else would be there once, and never again."""
    model, other = network(gpu), mg.ones(CLASSES, device=gpu).requires_grad_()

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        model.zero_grad()
        loss = F.cross_entropy(model(x) * other, labels)
        loss.backward()
        return loss

    with pytest.raises(
        RuntimeError, match=r"a gradient to a tensor of shape \(4,\), which is no p"
    ):
        mg.capture(step, *batch(gpu), model=model)
    assert other.grad is None


@pytest.mark.parametrize("what", ["total", "parameter", "other model"])
def test_what_a_replay_would_change_unnoticed_is_refused(what: str, gpu: str) -> None:
    model, other = network(gpu), nn.BatchNorm1d(CLASSES, affine=False).to(gpu)
    total = mg.zeros((), device=gpu)

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        model.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(other(logits) if what == "other model" else logits, labels)
        loss.backward()
        with mg.no_grad():
            if what == "total":
                total.add_(loss)
            if what == "parameter":
                model[0].bias.mul_(0.99)
        return loss

    shape = {"total": r"\(\)", "parameter": r"\(5,\)", "other model": r"\(4,\)|\(\)"}[what]
    with pytest.raises(
        RuntimeError, match=f"changes a tensor of shape ({shape}) in place, which is"
    ):
        mg.capture(step, *batch(gpu), model=model)


def test_a_tensor_made_in_the_step_may_be_changed_in_place(gpu: str) -> None:
    model = network(gpu)

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        loss = step_of(model)(x, labels).detach()
        loss.mul_(2)
        x.mul_(3)  # an input is copied anew for each replay
        return loss + x.sum()

    x, labels = batch(gpu)
    replay = mg.capture(step, x, labels, model=model)
    x, labels = batch(gpu)
    found = replay(x, labels).item(), replay(x, labels).item()
    assert found[0] == found[1] == pytest.approx(step(x, labels).item(), rel=1e-5)


def test_gradients_that_add_up_are_noticed(gpu: str) -> None:
    model = network(gpu)

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        return loss

    with pytest.raises(
        RuntimeError, match=r"gradient of 0\.weight in the second run differs.*zero_"
    ):
        mg.capture(step, *batch(gpu), model=model)
    assert model[0].weight.grad is None


def test_a_number_that_changes_from_call_to_call_is_noticed(gpu: str) -> None:
    model, calls = network(gpu), iter(range(1, 99))

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        return step_of(model)(x * (1 + 1 / next(calls)), labels)

    with pytest.raises(RuntimeError, match="a replay of step gave another result"):
        mg.capture(step, *batch(gpu), model=model)


def test_an_input_that_is_not_read_from_its_place_is_noticed(gpu: str) -> None:
    model, one = network(gpu), batch(gpu)

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        inside = events.listener is not None
        return step_of(model)(one[0] if inside else x, labels)

    with pytest.raises(RuntimeError, match="the second run differs"):
        mg.capture(step, *one, model=model)


def test_running_statistics_as_a_plain_average_are_noticed(gpu: str) -> None:
    model = network(gpu, nn.BatchNorm1d(WIDTH, momentum=None))
    with pytest.raises(RuntimeError, match="cannot be captured"):
        mg.capture(step_of(model), *batch(gpu), model=model)


def test_a_graph_that_goes_wrong_is_not_handed_out(
    emulated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: a replay that leaves out one launch."""
    model, one = network(emulated), batch(emulated)
    before = snapshot(model)
    launch = Graph.launch
    for left_out in range(25):

        def forgetful(self: Graph, left_out: int = left_out) -> None:
            missing = self.work[left_out]
            self.work[left_out] = lambda: None
            launch(self)
            self.work[left_out] = missing

        monkeypatch.setattr(Graph, "launch", forgetful)
        with pytest.raises(RuntimeError, match="gave another result"):
            mg.capture(step_of(model), *one, model=model)
        same(snapshot(model), before)


def test_arguments_that_do_not_fit(gpu: str) -> None:
    model, (x, labels) = network(gpu), batch(gpu)
    step = step_of(model)
    with pytest.raises(TypeError, match="the step is a Tensor, expected a function"):
        mg.capture(x, labels, model=model)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="input 1 is a list"):
        mg.capture(step, x, [1, 2], model=model)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="input 0 requires a gradient"):
        mg.capture(step, x.requires_grad_(), labels, model=model)
    with pytest.raises(TypeError, match="optimizer is a float, expected an Optimizer"):
        mg.capture(step, x.detach(), labels, model=model, optimizer=0.1)  # type: ignore[arg-type]
    strange = optim.SGD([mg.ones(3, device=gpu).requires_grad_()])
    with pytest.raises(ValueError, match=r"updates a tensor of shape \(3,\), which is no param"):
        mg.capture(step, x.detach(), labels, model=model, optimizer=strange)
    with pytest.raises(ValueError, match="the model is on nowhere"):
        mg.capture(step, x.detach(), labels, model=nn.Sigmoid())
    with pytest.raises(TypeError, match="returned a NoneType, expected a Tensor"):
        mg.capture(lambda x, labels: None, x.detach(), labels, model=model)
    handle = model[0].register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match="0 has hooks, which a replay would not call"):
        mg.capture(step, x.detach(), labels, model=model)
    handle.remove()
    with pytest.raises(IndexError, match="a label is 9"):  # the step's own error
        mg.capture(step, x.detach(), labels * 0 + mg.arange(9, 16, device=gpu), model=model)
    for number, given in (
        (0, (x.detach() * 0, labels)),
        (1, (x.detach(), labels * 0 + 1)),
    ):
        with pytest.raises(ValueError, match=f"input {number} is zero, or the same from"):
            mg.capture(step, *given, model=model)


def test_the_stand_in_fails_on_what_a_capture_would_bake_in(emulated: str) -> None:
    """An upload that does not go through ``to_device``: CuPy would record a copy from freed
    memory."""
    from tests.strict_cupy.stand_in import module as cupy

    model = network(emulated, Unfit(lambda x: mg.Tensor.from_array(cupy.asarray(np.float32(2.5)))))
    with pytest.raises(RuntimeError, match="a replay would copy from memory") as caught:
        mg.capture(step_of(model), *batch(emulated), model=model)
    assert isinstance(caught.value.__cause__, WrongOnGPU)
