"""The sick half of the ward: for each kind at least three networks that have it, and no other.

Each is made from the description of the disease in the documentation. They differ in width, depth,
activation, data, optimiser, and in whether there is BatchNorm.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim
from tests.diagnostics.ward.parts import (
    Builder,
    Case,
    Init,
    adam,
    bce,
    blobs,
    constant,
    curve,
    default,
    digits,
    gauss,
    halves,
    he,
    linears,
    mlp,
    positive,
    residual,
    rng,
    sgd,
    train,
    xavier,
)

BN, LN = nn.BatchNorm1d, nn.LayerNorm
SICK: dict[str, dict[str, Builder]] = {}


class Do(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[mg.Tensor], mg.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.function(x)


def sick(kind: str) -> Callable[[Builder], Builder]:
    """Put a case into the ward."""

    def add(build: Builder) -> Builder:
        SICK.setdefault(kind, {})[build.__name__.replace("_", " ")] = build
        return build

    return add


def D(model: nn.Module, rule: Any = sgd) -> Case:
    return Case(model, *digits(), rule(model))


def B(model: nn.Module, rule: Any = sgd) -> Case:
    return Case(model, *blobs(), rule(model))


def bias(low: float, high: float, signs: bool = False, weights: Init = xavier) -> Init:
    """A start with biases from ``low`` to ``high``, of both signs if asked for."""

    def start(linear: nn.Linear) -> None:
        weights(linear)
        r = rng()
        values = r.uniform(low, high, linear.out_features)
        values *= r.choice([-1, 1], linear.out_features) if signs else 1
        with mg.no_grad():
            linear.bias.copy_(mg.tensor(values.astype(np.float32)))

    return start


# ------------------------------------------------------------------------------------ vanishing


@sick("vanishing")
def twenty_sigmoid_layers() -> Case:
    return D(mlp(64, 10, 20, 32, nn.Sigmoid, xavier))


@sick("vanishing")
def eight_sigmoid_layers_from_the_default() -> Case:
    return B(mlp(12, 4, 8, 48, nn.Sigmoid, default))


@sick("vanishing")
def twelve_tanh_layers_with_small_weights() -> Case:
    return D(mlp(64, 10, 12, 32, nn.Tanh, gauss(0.3)), partial(sgd, momentum=0.9))


def hundredths(linear: nn.Linear) -> None:
    nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)


@sick("vanishing")
def ten_relu_layers_with_weights_of_a_hundredth() -> Case:
    return B(mlp(12, 4, 10, 64, nn.ReLU, hundredths), adam)


# ------------------------------------------------------------------- vanishing by saturation


@sick("vanishing-by-saturation")
def sigmoid_with_biases_from_fifty_to_eighty() -> Case:
    return D(mlp(64, 10, 20, 32, nn.Sigmoid, bias(50, 80, signs=True)))


@sick("vanishing-by-saturation")
def six_sigmoid_layers_with_biases_of_ten() -> Case:
    return B(mlp(12, 4, 6, 32, nn.Sigmoid, bias(9, 15, signs=True)), adam)


@sick("vanishing-by-saturation")
def tanh_pushed_up() -> Case:
    return D(mlp(64, 10, 5, 48, nn.Tanh, bias(5, 8)), partial(sgd, momentum=0.9))


@sick("vanishing-by-saturation")
def one_layer_of_three_shifted() -> Case:
    model = mlp(64, 10, 3, 32, nn.Tanh, xavier)
    bias(10, 14, signs=True)(linears(model)[1])
    return D(model)


# ------------------------------------------------------------------------------------ exploding


@sick("exploding")
def relu_with_a_gain_of_four() -> Case:
    return B(mlp(12, 4, 10, 48, nn.ReLU, gauss(4)))


@sick("exploding")
def tanh_with_large_weights() -> Case:
    return D(mlp(64, 10, 15, 32, nn.Tanh, gauss(10)), adam)


@sick("exploding")
def linear_layers_with_a_gain_of_three() -> Case:
    return D(mlp(64, 10, 9, 32, None, gauss(3)))


@sick("exploding")
def sigmoid_with_huge_weights() -> Case:
    return D(mlp(64, 10, 16, 64, nn.Sigmoid, gauss(100)), adam)


# ------------------------------------------------------------------------------------- collapse


@sick("collapse")
def positive_weights_and_batchnorm() -> Case:
    return D(mlp(64, 10, 8, 32, nn.Sigmoid, positive(60), BN))


@sick("collapse")
def positive_weights_and_relu() -> Case:
    return B(mlp(12, 4, 7, 64, nn.ReLU, positive(1.2)), adam)


@sick("collapse")
def positive_weights_relu_and_batchnorm() -> Case:
    return D(mlp(64, 10, 6, 48, nn.ReLU, positive(1), BN))


@sick("collapse")
def the_same_sample_again_and_again() -> Case:
    case = D(mlp(64, 10, 3, 32))
    case.x = mg.tensor(np.repeat(case.x.data[:1], len(case.x), axis=0))
    return case


# ------------------------------------------------------------------------------ identical units


@sick("identical-units")
def all_weights_a_tenth() -> Case:
    return D(mlp(64, 10, 3, 32, nn.Sigmoid, constant(0.1), head=constant(0.1)))


@sick("identical-units")
def all_weights_zero() -> Case:
    return B(mlp(12, 4, 2, 24, nn.Tanh, constant(0.0), head=constant(0.0)), adam)


@sick("identical-units")
def constant_hidden_layers_with_batchnorm() -> Case:
    return D(mlp(64, 10, 4, 32, nn.ReLU, constant(0.05), BN))


@sick("identical-units")
def the_first_of_three_layers_constant() -> Case:
    model = mlp(12, 4, 3, 16, nn.Tanh, xavier)
    for linear in linears(model)[:2]:
        constant(0.2)(linear)
    return B(model)


# ----------------------------------------------------------------------------------- dead units


@sick("dead-units")
def relu_with_biases_far_below() -> Case:
    return D(mlp(64, 10, 3, 32, init=bias(-20, -10, weights=he)))


@sick("dead-units")
def one_layer_of_four_dead() -> Case:
    model = mlp(12, 4, 4, 32)
    bias(-60, -40, weights=he)(linears(model)[2])
    return B(model, adam)


@sick("dead-units")
def batchnorm_with_a_low_beta() -> Case:
    model = mlp(64, 10, 4, 48, norm=BN)
    for module in model:
        if isinstance(module, BN):
            nn.init.constant_(module.bias, -6.0)
    return D(model)


@sick("dead-units")
def nearly_all_units_of_two_layers() -> Case:
    model = mlp(64, 10, 3, 64, norm=None)
    for linear in linears(model)[:2]:
        with mg.no_grad():
            linear.bias[:62] = -30.0
    return D(model, adam)


# ----------------------------------------------------------------------------------- bottleneck


@sick("bottleneck")
def one_layer_with_tiny_weights() -> Case:
    model = mlp(64, 10, 6, 32)
    gauss(1e-4)(linears(model)[3])
    return D(model)


@sick("bottleneck")
def gamma_near_zero() -> Case:
    parts = list(mlp(64, 10, 5, 32))
    norm = BN(32)
    nn.init.constant_(norm.weight, 1e-5)
    return D(nn.Sequential(*parts[:5], norm, *parts[5:]))


@sick("bottleneck")
def a_layer_that_divides_by_ten_thousand() -> Case:
    parts = list(mlp(12, 4, 4, 24, nn.Tanh, xavier))
    return B(nn.Sequential(*parts[:4], Do(lambda x: x / 10000), *parts[4:]))


# ------------------------------------------------------------------------------ unscaled inputs


@sick("unscaled-inputs")
def pixels_from_0_to_255() -> Case:
    case = D(mlp(64, 10, 2, 32))
    case.x = case.x * 255
    return case


@sick("unscaled-inputs")
def points_around_1000() -> Case:
    case = B(mlp(12, 4, 3, 24, nn.Tanh, xavier), adam)
    case.x = case.x + 1000.0
    return case


@sick("unscaled-inputs")
def features_in_different_units() -> Case:
    case = B(mlp(12, 4, 2, 24, nn.Sigmoid, xavier))
    units = 10.0 ** rng().uniform(-3, 3, 12)
    case.x = mg.tensor((case.x.data * units).astype(np.float32))
    return case


@sick("unscaled-inputs")
def inputs_of_thousandths() -> Case:
    case = Case(m := mlp(6, 1, 2, 24, nn.Tanh, xavier), *curve(), adam(m), F.mse_loss)
    case.x = case.x * 1e-3
    return case


# -------------------------------------------------------------------------------- loss mismatch


@sick("loss-mismatch")
def softmax_before_cross_entropy() -> Case:
    return D(nn.Sequential(*mlp(64, 10, 2, 32), nn.Softmax(1)))


@sick("loss-mismatch")
def sigmoid_before_bce_with_logits() -> Case:
    case = Case(m := nn.Sequential(*mlp(10, 1, 2, 16), nn.Sigmoid()), *halves(), adam(m), bce)
    return case


@sick("loss-mismatch")
def fewer_outputs_than_classes() -> Case:
    return D(mlp(64, 7, 2, 32, nn.Tanh, xavier, BN))


@sick("loss-mismatch")
def relu_at_the_end() -> Case:
    return B(nn.Sequential(*mlp(12, 4, 3, 24, norm=BN), nn.ReLU()))


@sick("loss-mismatch")
def tanh_for_targets_up_to_a_hundred() -> Case:
    m = nn.Sequential(*mlp(6, 1, 2, 24), nn.Tanh())
    case = Case(m, *curve(), adam(m), F.mse_loss)
    case.labels = case.labels * 50
    return case


# ---------------------------------------------------------------------------------------- rates


@sick("rate-too-high")
def sgd_at_100() -> Case:
    return D(mlp(64, 10, 2, 32), partial(sgd, lr=100.0))


@sick("rate-too-high")
def adam_at_10() -> Case:
    return B(mlp(12, 4, 3, 24, nn.Tanh, xavier), partial(adam, lr=10.0))


@sick("rate-too-high")
def sgd_at_3000_with_batchnorm() -> Case:
    return D(mlp(64, 10, 4, 32, nn.ReLU, norm=BN), partial(sgd, lr=3000.0))


@sick("rate-too-high")
def regression_at_30() -> Case:
    m = mlp(6, 1, 2, 24, nn.Tanh, xavier)
    return Case(m, *curve(), sgd(m, 30.0, momentum=0.9), F.mse_loss)


@sick("rate-too-low")
def sgd_at_a_ten_millionth() -> Case:
    return D(mlp(64, 10, 2, 32), partial(sgd, lr=1e-7))


@sick("rate-too-low")
def adam_at_a_hundred_millionth() -> Case:
    return B(mlp(12, 4, 3, 24, nn.Tanh, xavier), partial(adam, lr=1e-8))


@sick("rate-too-low")
def sgd_at_a_millionth_with_batchnorm() -> Case:
    return D(mlp(64, 10, 4, 32, nn.Sigmoid, xavier, BN), partial(sgd, lr=1e-6, momentum=0.9))


# ---------------------------------------------------------------------------------- no gradient


class Cut(nn.Module):
    """Detaches its input."""

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return x.detach()


class Unrecorded(nn.Module):
    """Computes its inner module under no_grad."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        with mg.no_grad():
            return self.inner(x)


class WithSpare(nn.Module):
    """Has a layer that it never calls."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.spare = inner, nn.Linear(8, 8)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.inner(x)


@sick("no-gradient")
def a_layer_that_is_never_called() -> Case:
    return D(WithSpare(mlp(64, 10, 2, 32)))


@sick("no-gradient")
def detached_in_the_middle() -> Case:
    parts = list(mlp(64, 10, 3, 32, norm=BN))
    return D(nn.Sequential(*parts[:3], Cut(), *parts[3:]))


@sick("no-gradient")
def features_under_no_grad() -> Case:
    parts = list(mlp(12, 4, 3, 24, nn.Tanh, xavier))
    return B(nn.Sequential(Unrecorded(nn.Sequential(*parts[:4])), *parts[4:]), adam)


@sick("no-gradient")
def frozen_and_forgotten() -> Case:
    case = D(mlp(64, 10, 4, 32, norm=LN))
    case.model[3].requires_grad_(False)
    return case


@sick("no-gradient")
def only_the_head_is_given_to_the_optimiser() -> Case:
    model = mlp(12, 4, 2, 24)
    return Case(model, *blobs(), optim.Adam(model[-1].parameters()))


# ------------------------------------------------------------------------ accumulating gradients


def forgetful(case: Case) -> Case:
    """A step without zero_grad."""

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        loss = case.loss(case.model(x), labels)
        loss.backward()
        case.optimizer.step()
        return loss

    case.step = step
    return case


@sick("accumulating-gradients")
def sgd_without_zero_grad() -> Case:
    return forgetful(D(mlp(64, 10, 2, 32)))


@sick("accumulating-gradients")
def adam_without_zero_grad() -> Case:
    return forgetful(B(mlp(12, 4, 3, 24, nn.Tanh, xavier), adam))


@sick("accumulating-gradients")
def batchnorm_without_zero_grad() -> Case:
    return forgetful(D(mlp(64, 10, 4, 32, nn.Sigmoid, xavier, BN), partial(sgd, momentum=0.9)))


# ------------------------------------------------------------------------------------ BatchNorm


@sick("batchnorm-in-eval")
def left_in_eval_after_the_evaluation() -> Case:
    case = D(mlp(64, 10, 3, 32, norm=BN))

    def step(x: mg.Tensor, labels: mg.Tensor) -> mg.Tensor:
        case.optimizer.zero_grad()
        loss = F.cross_entropy(case.model(x), labels)
        loss.backward()
        case.optimizer.step()
        case.model.eval()
        return loss

    case.step = step
    case.model.eval()
    return case


@sick("batchnorm-in-eval")
def all_norms_of_twenty_layers_in_eval() -> Case:
    case = D(mlp(64, 10, 20, 32, nn.Sigmoid, xavier, BN))
    for module in case.model:
        if isinstance(module, BN):
            module.eval()
    return case


@sick("batchnorm-in-eval")
def one_norm_in_eval() -> Case:
    case = B(mlp(12, 4, 4, 24, nn.Tanh, xavier, BN), adam)
    case.model[4].eval()
    return case


@sick("batch-too-small")
def batches_of_two() -> Case:
    case = D(mlp(64, 10, 3, 32, norm=BN))
    case.x, case.labels = case.x[:2], case.labels[:2]
    return case


@sick("batch-too-small")
def batches_of_four() -> Case:
    case = B(mlp(12, 4, 5, 24, nn.Sigmoid, xavier, BN), adam)
    case.x, case.labels = case.x[:4], case.labels[:4]
    return case


@sick("batch-too-small")
def a_batch_of_one() -> Case:
    case = D(residual(64, 10, 4, 32, BN))
    case.x, case.labels = case.x[:1], case.labels[:1]
    return case


@sick("stale-statistics")
def a_momentum_of_a_ten_thousandth() -> Case:
    return train(D(mlp(64, 10, 3, 32, norm=lambda n: BN(n, momentum=1e-4))), 40)


@sick("stale-statistics")
def trained_on_other_data() -> Case:
    case = B(mlp(12, 4, 3, 24, nn.Tanh, xavier, BN), adam)
    case.x = case.x * 0.2 + 3.0
    train(case, 60)
    case.x = (case.x - 3.0) / 0.2
    return case


@sick("stale-statistics")
def a_momentum_of_zero() -> Case:
    return train(D(mlp(64, 10, 5, 32, nn.Sigmoid, xavier, lambda n: BN(n, momentum=0.0))), 40)


def poisoned(case: Case, value: float, channels: slice = slice(None)) -> Case:
    """The statistics of the first BatchNorm come from a checkpoint, of a training in which a batch
    had a value that is not finite."""
    state = {name: tensor.data.copy() for name, tensor in case.model.state_dict().items()}
    first = next(name for name in state if name.endswith("running_mean"))
    state[first][channels] = value
    state[first.replace("mean", "var")][channels] = np.nan
    case.model.load_state_dict(state)
    return case


@sick("poisoned-statistics")
def all_channels_are_nan() -> Case:
    return poisoned(D(mlp(64, 10, 3, 32, norm=BN)), np.nan)


@sick("poisoned-statistics")
def one_channel_is_infinite() -> Case:
    return poisoned(B(mlp(12, 4, 4, 24, nn.Tanh, xavier, BN), adam), np.inf, slice(3, 4))


@sick("poisoned-statistics")
def nan_after_some_training() -> Case:
    case = train(D(residual(64, 10, 4, 32, BN)), 30)
    return poisoned(case, np.nan)


# --------------------------------------------------------------------------------- train and eval


class AlwaysDropping(nn.Module):
    """F.dropout without saying whether it is training."""

    def __init__(self, first: nn.Module, second: nn.Module, p: float) -> None:
        super().__init__()
        self.first, self.second, self.p = first, second, p

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return self.second(F.dropout(self.first(x), self.p))


@sick("train-eval-gap")
def dropout_without_training_flag() -> Case:
    parts = list(mlp(64, 10, 2, 48))
    return D(AlwaysDropping(nn.Sequential(*parts[:2]), nn.Sequential(*parts[2:]), 0.3), adam)


@sick("train-eval-gap")
def dropout_awake_in_eval() -> Case:
    case = B(mlp(12, 4, 3, 32, nn.Tanh, xavier, dropout=0.2), adam)
    case.model.eval()
    for module in case.model:
        if isinstance(module, nn.Dropout):
            module.train()
    return case


@sick("train-eval-gap")
def nearly_everything_dropped() -> Case:
    return D(mlp(64, 10, 3, 64, dropout=0.95), adam)


@sick("train-eval-gap")
def dropout_always_with_batchnorm() -> Case:
    parts = list(mlp(12, 4, 3, 24, norm=BN))
    return B(AlwaysDropping(nn.Sequential(*parts[:3]), nn.Sequential(*parts[3:]), 0.5))


# ------------------------------------------------------------------------------------- numbers


@sick("non-finite")
def a_missing_value_in_the_data() -> Case:
    case = D(mlp(64, 10, 3, 32))
    x = case.x.data.copy()
    x[7, 11] = np.nan
    case.x = mg.tensor(x)
    return case


@sick("non-finite")
def the_logarithm_of_relu() -> Case:
    parts = list(mlp(12, 4, 2, 24))
    return B(nn.Sequential(*parts[:2], Do(mg.log), *parts[2:]), adam)


@sick("non-finite")
def the_root_of_a_distance_of_zero() -> Case:
    def add_distance(x: mg.Tensor) -> mg.Tensor:
        return x + ((x - x.detach()) ** 2).sum(1, keepdim=True).sqrt()

    parts = list(mlp(64, 10, 2, 32))
    return D(nn.Sequential(*parts[:2], Do(add_distance), *parts[2:]))


@sick("non-finite")
def exponentials_of_large_numbers() -> Case:
    parts = list(mlp(64, 10, 3, 32, norm=BN))
    return D(nn.Sequential(*parts[:3], Do(lambda x: (x * 60).exp()), *parts[3:]))


@sick("non-finite")
def infinite_weights() -> Case:
    case = B(mlp(12, 4, 3, 24, nn.Tanh, xavier))
    with mg.no_grad():
        case.model[2].weight[3, 4] = float("inf")
    return case


def halved(case: Case, share: float) -> Case:
    """In float16, with a loss of which a small share counts (a weight among several losses)."""
    case.model.half()
    case.x = case.x.half()
    case.loss = lambda y, t: F.cross_entropy(y.float(), t) * share
    return case


@sick("underflow")
def float16_with_a_small_loss() -> Case:
    return halved(D(mlp(64, 10, 3, 24)), 1e-5)


@sick("underflow")
def float16_tanh() -> Case:
    return halved(B(mlp(12, 4, 4, 20, nn.Tanh, xavier)), 1e-5)


@sick("underflow")
def float16_with_layernorm() -> Case:
    return halved(D(mlp(64, 10, 4, 24, norm=LN)), 1e-5)


# -------------------------------------------------------------------------------- two at once


PAIRS: dict[str, tuple[tuple[str, str], Builder]] = {}


def pair(first: str, second: str) -> Callable[[Builder], Builder]:
    """Put a network with two diseases into the ward."""

    def add(build: Builder) -> Builder:
        PAIRS[build.__name__.replace("_", " ")] = (first, second), build
        return build

    return add


@pair("unscaled-inputs", "vanishing")
def raw_pixels_into_twenty_sigmoid_layers() -> Case:
    case = twenty_sigmoid_layers()
    case.x = case.x * 255
    return case


@pair("no-gradient", "rate-too-low")
def a_spare_layer_and_a_tiny_rate() -> Case:
    return D(WithSpare(mlp(64, 10, 2, 32)), partial(sgd, lr=1e-7))


@pair("loss-mismatch", "dead-units")
def softmax_over_dead_units() -> Case:
    return D(nn.Sequential(*mlp(64, 10, 3, 32, init=bias(-20, -10, weights=he)), nn.Softmax(1)))


@pair("unscaled-inputs", "rate-too-high")
def points_around_1000_at_a_rate_of_100() -> Case:
    case = B(mlp(12, 4, 2, 24, nn.Tanh, xavier), partial(sgd, lr=100.0))
    case.x = case.x + 1000.0
    return case


@pair("accumulating-gradients", "stale-statistics")
def no_zero_grad_and_a_tiny_momentum() -> Case:
    return forgetful(D(mlp(64, 10, 3, 32, norm=lambda n: BN(n, momentum=1e-4))))


@pair("poisoned-statistics", "identical-units")
def nan_and_constant_weights() -> Case:
    return poisoned(D(mlp(64, 10, 4, 32, nn.ReLU, constant(0.05), BN)), np.nan)
