"""What a captured step does on the CPU alone: bit by bit as the step, planned, shown, refused."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from minigrad.core.autograd import apply
from minigrad.ops import Op
from minigrad.replay.notes import Noted
from minigrad.replay.plan import Block

BATCH, WIDTH, CLASSES = 9, 6, 4


def network(*more: nn.Module) -> nn.Sequential:
    mg.manual_seed(4)
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.Sigmoid()]
    return nn.Sequential(*layers, *more, nn.Linear(WIDTH, CLASSES))


def batches(rng: np.random.Generator, number: int, size: int = BATCH) -> list[Any]:
    return [
        (mg.tensor(rng.standard_normal((size, WIDTH)).astype("float32")),
         mg.tensor(rng.integers(0, CLASSES, size)))
        for _ in range(number)
    ]  # fmt: skip


def step_of(model: nn.Module, clip: float | None = None) -> Callable[..., Any]:
    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        model.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        return loss

    return step


OPTIMISERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, weight_decay=0.01),
}


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("fused", [False, True], ids=["layers", "fused"])
def test_training_is_the_same_to_the_last_bit(
    name: str, fused: bool, rng: np.random.Generator
) -> None:
    """With dropout, clipping and a schedule; parameters, statistics and losses."""
    given, found = batches(rng, 6), []
    for captured in (False, True):
        first = network(nn.Dropout(0.3))
        model = nn.fuse(first) if fused else first
        optimizer = OPTIMISERS[name](model.parameters())
        schedule = optim.StepLR(optimizer, step_size=2, gamma=0.5)
        step = step_of(model, clip=0.2)
        mg.manual_seed(8)
        if captured:
            run = mg.capture(step, *given[0], model=model, optimizer=optimizer)
        losses = []
        for x, labels in given:
            if captured:
                losses.append(run(x, labels).item())
            else:
                losses.append(step(x, labels).item())
                optimizer.step()
            schedule.step()
        state = {k: v.numpy().copy() for k, v in first.state_dict().items()}
        found.append({"losses": np.array(losses), "next": mg.rand(3).numpy(), **state})
    for what, value in found[0].items():
        np.testing.assert_array_equal(found[1][what], value, err_msg=what)


def test_the_last_batch_of_an_epoch_may_be_smaller(rng: np.random.Generator) -> None:
    model = network()
    step = step_of(model)
    captured = mg.capture(step, *batches(rng, 1)[0], model=model, dynamic=True)
    for size in (BATCH, 5, BATCH, 5):
        [(x, labels)] = batches(rng, 1, size)
        expected = step(x, labels).item()
        assert captured(x, labels).item() == expected
    assert len(captured.replays) == 2


class Doubling(nn.Module):
    """Asks a question whose answer depends on the batch."""

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        """Twice ``x`` if one of its elements is above 40."""
        return apply(Outside(lambda x: x * 2 if x.max() > 40 else x * 1), x)


def test_another_path_is_taken_by_the_step_itself(rng: np.random.Generator) -> None:
    models = [network(nn.Dropout(0.4), Doubling()) for _ in range(2)]
    for model in models:
        model[2] = nn.LeakyReLU()
        model[8] = nn.LeakyReLU()
    ours, theirs = models
    [(x, labels), (other, wrong)] = batches(rng, 2)
    captured, step = mg.capture(step_of(ours), x * 0.01, labels, model=ours), step_of(theirs)
    asked = []
    ran, captured.step = captured.step, lambda *given: asked.append(True) or ran(*given)
    for number, given in enumerate(((x * 0.01, labels), (other * 50, wrong), (x, wrong))):
        with mg.no_grad():
            for model in models:
                model[7].bias.fill_(60.0 if number == 1 else 0.0)
        mg.manual_seed(number)
        found = captured(*given).item()
        mg.manual_seed(number)
        assert found == step(*given).item()
        for one, two in zip(ours.buffers(), theirs.buffers(), strict=True):
            np.testing.assert_array_equal(one, two)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_array_equal(p.grad, q.grad)
    assert asked == [True]


# --------------------------------------------------------------------------------- the plan


def test_what_nobody_reads_is_not_computed(rng: np.random.Generator) -> None:
    model, [(x, labels)] = network(), batches(rng, 1)

    def idle(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        for _ in range(5):
            (x * 3).exp()
        return step_of(model)(x, labels)

    plans = [mg.capture(step, x, labels, model=model).plan for step in (step_of(model), idle)]
    assert len(plans[0].calls) == len(plans[1].calls)
    assert plans[1].noted == plans[0].noted + 10


def test_intermediate_results_share_memory(rng: np.random.Generator) -> None:
    model, [(x, labels)] = network(), batches(rng, 1)
    captured = mg.capture(step_of(model), x, labels, model=model)
    memory, lives = captured.memory, list(captured.plan.lives.values())
    assert memory.shared < memory.unshared / 2
    assert memory.kept >= sum(p.array.nbytes for p in model.parameters())
    for number, one in enumerate(lives):
        assert 0 <= one.start <= one.start + one.size <= memory.shared
        for other in lives[:number]:
            together = one.first <= other.last and other.first <= one.last
            apart = (
                one.start + one.size <= other.start or other.start + other.size <= one.start
            )  # fmt: skip
            assert apart or not together


def test_gaps_beside_each_other_are_one() -> None:
    block = Block()
    a, b, c = block.take(64), block.take(64), block.take(64)
    block.give_back(a, 64)
    block.give_back(c, 64)
    block.give_back(b, 64)
    assert block.gaps == [(0, 192)]
    assert (block.take(128), block.take(128), block.size) == (0, 128, 256)


def test_statistics_are_written_when_all_questions_are_answered(rng: np.random.Generator) -> None:
    model, [(x, labels)] = network(), batches(rng, 1)
    plan = mg.capture(step_of(model), x, labels, model=model).plan
    assert not plan.restores
    assert plan.postponed >= 3 * 5  # of three layers a mean, a variance and a count


def test_a_plan_can_be_read(rng: np.random.Generator, tmp_path: Any) -> None:
    model, [(x, labels)] = network(), batches(rng, 1)
    captured = mg.capture(step_of(model), x, labels, model=model)
    text = str(captured)
    assert "0.Linear Linear forward\n     1 dot" in text
    assert "(9, 6) (6, 6) -> (9, 6)" in text
    assert "1.BatchNorm1d BatchNorm backward" in text
    assert f"{len(captured.calls)} calls" in text
    captured.to_html(tmp_path / "step.html")
    page = (tmp_path / "step.html").read_text()
    assert page.count("<rect") == len(captured.plan.lives)
    assert page.count("<tr>") == len(captured.calls) + 1


# ------------------------------------------------------------------------------ what is refused


class Outside(Op):
    """A rule that leaves the arrays it is given."""

    def __init__(self, how: Callable[[Any], Any]) -> None:
        self.how = how

    def forward(self, x: Any) -> Any:
        return self.how(x)

    def backward(self, grad: Any, y: Any, x: Any) -> Any:
        return grad


def into(out: Any, x: Any) -> Any:
    np.multiply(x, 2, out=out)
    return out


UNNOTED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a number": ("reads or changes numbers by item", lambda x: x * x.max().item()),
    "a float": ("reads or changes numbers by __float__", lambda x: x * float(x.max())),
    "a method of another array": (
        r"has NumPy make an array without asking.*test_cpu.py",
        lambda x: np.ones((len(x), len(x)), x.dtype).dot(x),
    ),
    "a mask": ("picks elements by a mask", lambda x: x * x[x > 0].sum()),
    "nonzero": (r"calls numpy.nonzero", lambda x: x * len(np.nonzero(x)[0])),
    "equal": (r"array_equal, which gives a bool", lambda x: x * np.array_equal(x, x)),
    "an array from outside": (
        "has np.multiply write into an array that is made anew",
        lambda x: into(np.empty(x.shape, x.dtype), x),
    ),
    "a copy that is not noted": ("another result|cannot be noted", lambda x: np.array(x) * 2),
}


@pytest.mark.parametrize("name", UNNOTED)
def test_what_cannot_be_noted_is_refused_by_name(name: str, rng: np.random.Generator) -> None:
    message, how = UNNOTED[name]
    model, [(x, labels)] = network(), batches(rng, 1)

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        model.zero_grad()
        loss = F.cross_entropy(model(apply(Outside(how), x)), labels)
        loss.backward()
        return loss

    with pytest.raises(RuntimeError, match=message):
        mg.capture(step, x, labels, model=model)
    assert type(model[0].weight.array) is np.ndarray
    step(x, labels)


def test_nothing_noted_is_left_behind(rng: np.random.Generator) -> None:
    model, [(x, labels)] = network(), batches(rng, 1)
    loss = mg.capture(step_of(model), x, labels, model=model)(x, labels)
    arrays = [loss.array, *(p.array for p in model.parameters())]
    arrays += [p.grad.array for p in model.parameters()] + [b.array for b in model.buffers()]
    assert not any(isinstance(array, Noted) for array in arrays)


# ---------------------------------------------------------------------------------------- threads


def test_two_models_in_two_threads(rng: np.random.Generator) -> None:
    given = batches(rng, 4)
    found: dict[int, list[float]] = {}
    models = {number: network() for number in (1, 2, 3, 4)}  # the generator is one for all

    def train(number: int) -> None:
        model = models[number]
        optimizer = optim.SGD(model.parameters(), lr=0.1 * (number % 2 + 1))
        run = mg.capture(step_of(model), *given[0], model=model, optimizer=optimizer)
        found[number] = [run(*one).item() for one in given * 5]

    with mg.enable_grad():
        threads = [threading.Thread(target=train, args=(number,)) for number in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    train(3)
    train(4)
    assert (found[1], found[2]) == (found[3], found[4])
    assert found[1] != found[2]


def test_another_thread_is_told_so(rng: np.random.Generator) -> None:
    model, [one] = network(), batches(rng, 1)
    captured = mg.capture(step_of(model), *one, model=model)
    said = []

    def call() -> None:
        with pytest.raises(RuntimeError, match="it was captured in another thread"):
            captured(*one)
        said.append(True)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert said
