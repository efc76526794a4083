"""A right answer is never accused, whatever its style.

Each function here is right. They differ from the reference solution in the formula, in the order of
operations, in precision, in what they change or share on the way, and in what they return.
"""

import math

import numpy as np
import pytest

VARIANTS = []


def variant(question):
    """Enter a right answer to ``question``."""

    def enter(function):
        VARIANTS.append(pytest.param(question, function, id=f"{question}-{function.__name__}"))
        return function

    return enter


def single(*arrays):
    """As float32, whatever it was."""
    return [np.asarray(a, dtype=np.float32) for a in arrays]


# ---------------------------------------------------------------------------------------- sigmoid


@variant("sigmoid")
def by_tanh(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


@variant("sigmoid")
def overflowing_but_right(x):
    return 1 / (1 + np.exp(-x))


@variant("sigmoid")
def by_logaddexp(x):
    return np.exp(-np.logaddexp(0, -x))


@variant("sigmoid")
def clipped_far_out(x):
    return 1 / (1 + np.exp(-np.clip(x, -500, 500)))


@variant("sigmoid")
def masked(x):
    y = np.empty_like(x)
    low = x < 0
    e = np.exp(x[low])
    y[low] = e / (1 + e)
    y[~low] = 1 / (1 + np.exp(-x[~low]))
    return y


@variant("sigmoid")
def in_single_precision(x):
    (x,) = single(x)
    return 1 / (1 + np.exp(-x))


@variant("sigmoid_backward")
def multiplied_out(dy, y, x):
    return dy * y - dy * y**2


@variant("sigmoid_backward")
def from_x(dy, y, x):
    e = np.exp(-np.abs(x))
    return dy * e / (1 + e) ** 2


@variant("sigmoid_backward")
def in_place_on_a_copy(dy, y, x):
    dx = dy.copy()
    dx *= y
    dx *= 1 - y
    return dx


@variant("sigmoid_backward")
def by_cosh(dy, y, x):
    return dy / (2 * np.cosh(x / 2)) ** 2


@variant("sigmoid_backward")
def backward_in_single_precision(dy, y, x):
    dy, y = single(dy, y)
    return dy * y * (1 - y)


# ----------------------------------------------------------------------------------------- linear


@variant("linear")
def with_dot(x, weight, bias):
    return np.dot(x, np.transpose(weight)) + np.tile(bias, (len(x), 1))


@variant("linear_backward")
def transposed_twice(dy, x, weight):
    return (weight.T @ dy.T).T, (x.T @ dy).T, np.ones(len(dy)) @ dy


@variant("linear_backward")
def linear_in_single_precision(dy, x, weight):
    dy, x, weight = single(dy, x, weight)
    return dy @ weight, dy.T @ x, dy.sum(0)


@variant("linear_backward")
def as_a_list_of_views(dy, x, weight):
    padded = np.zeros((dy.shape[0] + 1, dy.shape[1]))
    padded[1:] = dy
    rows = padded[1:]
    return [np.asfortranarray(rows @ weight), np.einsum("no,ni->oi", rows, x), rows.sum(0)]


# ------------------------------------------------------------------------------------ unbroadcast


@variant("unbroadcast")
def by_reshaping(grad, shape):
    full = (1,) * (grad.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i, (a, b) in enumerate(zip(full, grad.shape, strict=True)) if a != b)
    return grad.sum(axis=axes, keepdims=True).reshape(shape)


@variant("unbroadcast")
def by_counting(grad, shape):
    places = np.broadcast_to(np.arange(math.prod(shape)).reshape(shape), grad.shape)
    sums = np.bincount(places.ravel(), weights=grad.ravel(), minlength=math.prod(shape))
    return sums.reshape(shape)


# ---------------------------------------------------------------------------------- cross-entropy


@variant("softmax_cross_entropy")
def by_logaddexp_reduce(logits, labels):
    picked = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return float(np.mean(np.logaddexp.reduce(logits, axis=1) - picked))


@variant("softmax_cross_entropy")
def loss_in_single_precision(logits, labels):
    (z,) = single(logits)
    z = z - z.max(1, keepdims=True)
    return (np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), labels]).mean()


@variant("softmax_cross_entropy_backward")
def jacobian_by_hand(dloss, logits, labels):
    e = np.exp(logits - logits.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    rows = [
        np.delete(np.eye(len(q)), t, 0).T @ np.delete(q, t) - (1 - q[t]) * np.eye(len(q))[t]
        for q, t in zip(p, labels, strict=True)
    ]
    return dloss / len(labels) * np.array(rows)


@variant("softmax_cross_entropy_backward")
def with_add_at(dloss, logits, labels):
    e = np.exp(logits - logits.max(1, keepdims=True))
    d = e * (dloss / len(labels)) / e.sum(1, keepdims=True)
    np.subtract.at(d, (np.arange(len(labels)), labels), dloss / len(labels))
    return d


# -------------------------------------------------------------------------------- BatchNorm forward


@variant("batch_norm_train")
def updated_in_place(x, gamma, beta, running_mean, running_var, momentum, eps):
    running_mean += momentum * (x.mean(0) - running_mean)
    running_var += momentum * (x.var(0, ddof=1) - running_var)
    y = np.subtract(x, x.mean(0))
    y /= np.sqrt(x.var(0) + eps)
    y *= gamma
    y += beta
    return y, running_mean, running_var


@variant("batch_norm_train")
def variance_by_squares(x, gamma, beta, running_mean, running_var, momentum, eps):
    n = x.shape[0]
    mean, var = x.mean(0), (x**2).mean(0) - x.mean(0) ** 2
    scale = gamma / np.sqrt(var + eps)
    keep = 1 - momentum
    return (
        x * scale + (beta - mean * scale),
        keep * running_mean + momentum * mean,
        keep * running_var + momentum * var / (1 - 1 / n),
    )


@variant("batch_norm_train")
def forward_in_single_precision(x, gamma, beta, running_mean, running_var, momentum, eps):
    x, gamma, beta, m, v = single(x, gamma, beta, running_mean, running_var)
    keep = np.float32(1 - momentum)
    new = np.float32(momentum)
    c = x - x.mean(0)
    y = gamma * c / np.sqrt((c * c).mean(0) + np.float32(eps)) + beta
    return y, keep * m + new * x.mean(0), keep * v + new * x.var(0, ddof=1)


@variant("batch_norm_eval")
def as_an_affine_map(x, gamma, beta, running_mean, running_var, eps):
    slope = gamma * (running_var + eps) ** -0.5
    return x * slope + (beta - running_mean * slope)


# ------------------------------------------------------------------------------- BatchNorm backward


@variant("batch_norm_backward")
def with_the_third_power(dy, x, gamma, eps):
    c = x - x.mean(0)
    r = (x.var(0) + eps) ** -0.5
    dx = gamma * r * (dy - dy.mean(0)) - gamma * r**3 * c * (dy * c).mean(0)
    return dx, (dy * c).sum(0) * r, dy.sum(0)


@variant("batch_norm_backward")
def with_the_term_that_is_zero(dy, x, gamma, eps):
    """dmu also through var, which adds -2 dvar mean(x - mu) = 0 (as in the paper)."""
    n, mu = len(x), x.mean(0)
    var = ((x - mu) ** 2).mean(0)
    r = 1 / np.sqrt(var + eps)
    dx_hat = dy * gamma
    dvar = np.sum(dx_hat * (x - mu), 0) * -0.5 * (var + eps) ** -1.5
    dmu = np.sum(dx_hat * -r, 0) + dvar * np.mean(-2 * (x - mu), 0)
    dx = dx_hat * r + dvar * 2 * (x - mu) / n + dmu / n
    return dx, np.sum(dy * (x - mu) * r, 0), np.sum(dy, 0)


@variant("batch_norm_backward")
def one_over_n_in_front(dy, x, gamma, eps):
    n = len(x)
    x_hat = (x - x.mean(0)) / np.sqrt(x.var(0) + eps)
    dgamma, dbeta = np.einsum("nj,nj->j", dy, x_hat), dy.sum(0)
    dx = gamma / (n * np.sqrt(x.var(0) + eps)) * (n * dy - dbeta - x_hat * dgamma)
    return dx, dgamma, dbeta


@variant("batch_norm_backward")
def by_projection(dy, x, gamma, eps):
    n = len(x)
    dx = np.empty_like(x)
    c = x - x.mean(0)
    var = (c**2).mean(0)
    for j in range(x.shape[1]):
        centre = np.eye(n) - np.ones((n, n)) / n
        along = np.outer(c[:, j], c[:, j]) / (n * (var[j] + eps))
        dx[:, j] = gamma[j] * (var[j] + eps) ** -0.5 * (centre - along) @ dy[:, j]
    return dx, (dy * c / np.sqrt(var + eps)).sum(0), dy.sum(0)


@variant("batch_norm_backward")
def backward_of_batch_norm_in_single_precision(dy, x, gamma, eps):
    dy, x, gamma = single(dy, x, gamma)
    c = x - x.mean(0)
    r = 1 / np.sqrt((c * c).mean(0) + np.float32(eps))
    x_hat = c * r
    dx = gamma * r * (dy - dy.mean(0) - x_hat * (dy * x_hat).mean(0))
    return dx, (dy * x_hat).sum(0), dy.sum(0)


@variant("batch_norm_backward")
def in_single_precision_step_by_step(dy, x, gamma, eps):
    dy, x, gamma = single(dy, x, gamma)
    n = np.float32(len(x))
    c = x - x.mean(0)
    r = ((c * c).sum(0) / n + np.float32(eps)) ** np.float32(-0.5)
    dx_hat = dy * gamma
    dvar = np.float32(-0.5) * r**3 * (dx_hat * c).sum(0)
    dc = dx_hat * r + dvar * 2 * c / n
    return dc - dc.sum(0) / n, (dy * c * r).sum(0), dy.sum(0)


@variant("batch_norm_backward")
def transposed_and_back(dy, x, gamma, eps):
    dy, x = dy.T, x.T
    c = x - x.mean(1, keepdims=True)
    s = np.sqrt(x.var(1, keepdims=True) + eps)
    h = c / s
    dx = gamma[:, None] / s * (dy - dy.mean(1, keepdims=True) - h * (dy * h).mean(1, keepdims=True))
    return dx.T, (dy * h).sum(1), dy.sum(1)


@variant("batch_norm_steps")
def with_axes_of_length_one(dy, x, gamma, eps):
    c = x - x.mean(0, keepdims=True)
    r = 1 / np.sqrt((c * c).mean(0, keepdims=True) + eps)
    dx_hat = dy * gamma
    dr = (dx_hat * c).sum(0, keepdims=True)
    dvar = -0.5 * dr * r**3
    dc = dx_hat * r + 2 * c * dvar / len(x)
    dmu = -(dx_hat * r).sum(0, keepdims=True)  # the part through var sums to 0
    return {
        "dgamma": (dy * c * r).sum(0, keepdims=True),
        "dbeta": dy.sum(0, keepdims=True),
        "dx_hat": dx_hat,
        "dr": dr,
        "dvar": dvar,
        "dc": dc,
        "dmu": dmu,
        "dx": dc + dmu / len(x),
        "more": "of one's own",
    }


@variant("batch_norm_eval_backward")
def slope_first(dy, x, gamma, running_mean, running_var, eps):
    slope = np.sqrt(1 / (running_var + eps))
    dgamma = slope * ((x * dy).sum(0) - running_mean * dy.sum(0))
    return np.multiply(dy, gamma * slope), dgamma, np.add.reduce(dy)


# --------------------------------------------------------------------------------------------- SGD


@variant("sgd_step")
def learning_rate_in_the_velocity(weight, grad, velocity, lr, momentum):
    velocity = momentum * velocity + lr * grad
    return weight - velocity, velocity


@variant("sgd_step")
def negative_velocity(weight, grad, velocity, lr, momentum):
    velocity = momentum * velocity - lr * grad
    return weight + velocity, velocity


@variant("sgd_step")
def changing_everything(weight, grad, velocity, lr, momentum):
    velocity *= momentum
    velocity += grad
    grad[...] = velocity
    grad *= lr
    weight -= grad
    return [weight, velocity]


@variant("sgd_step")
def steps_in_single_precision(weight, grad, velocity, lr, momentum):
    weight, grad, velocity = single(weight, grad, velocity)
    velocity = np.float32(momentum) * velocity + grad
    return weight - np.float32(lr) * velocity, velocity


# -------------------------------------------------------------------------------------------- walk


@variant("topological_order")
def by_depth(root, parents):
    """Longest way down first: leaves have depth 0."""
    depth, stack = {}, [root]
    while stack:
        node = stack[-1]
        waiting = [p for p in parents[node] if p not in depth]
        if waiting:
            stack += waiting
        else:
            depth[node] = 1 + max((depth[p] for p in parents[node]), default=-1)
            stack.pop()
    return sorted(depth, key=depth.get)


@variant("backpropagate")
def with_leaves_left_out_of_the_calls(root, seed, parents, pull_back):
    order, grads = by_depth(root, parents), {}
    grads[root] = np.array(seed)
    for node in order[::-1]:
        if not parents[node]:
            continue
        for parent, share in zip(parents[node], pull_back(node, grads[node]), strict=True):
            if parent not in grads:
                grads[parent] = np.zeros_like(share)
            grads[parent] += share
    return grads


# ------------------------------------------------------------------------------------ convolution


@variant("conv2d")
def tap_by_tap(x, weight, bias, stride, padding):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    oh, ow = ((n - k) // stride + 1 for n, k in zip(x.shape[2:], weight.shape[2:], strict=True))
    y = np.zeros((len(x), len(weight), oh, ow)) + bias[:, None, None]
    for i, j in np.ndindex(weight.shape[2:]):
        pixels = x[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride]
        y += np.tensordot(weight[:, :, i, j], pixels, (1, 1)).swapaxes(0, 1)
    return y


@variant("conv2d_backward")
def by_a_convolution_with_the_turned_kernel(dy, x, weight, stride, padding):
    """dy with zeros between its rows and around them, then conv-14 and conv-15."""
    (n, o, oh, ow), (h, w), (kh, kw) = dy.shape, x.shape[2:], weight.shape[2:]
    spread = np.zeros((n, o, h + 2 * padding - kh + 1, w + 2 * padding - kw + 1))
    spread[:, :, : stride * oh : stride, : stride * ow : stride] = dy
    turned = weight[:, :, ::-1, ::-1].swapaxes(0, 1)
    dx = tap_by_tap_full(np.pad(spread, ((0, 0), (0, 0), (kh - 1,) * 2, (kw - 1,) * 2)), turned)
    images = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dweight = tap_by_tap_full(images.swapaxes(0, 1), spread.swapaxes(0, 1)).swapaxes(0, 1)
    return dx[:, :, padding : padding + h, padding : padding + w], dweight, dy.sum((0, 2, 3))


def tap_by_tap_full(x, weight):
    return tap_by_tap(x, weight, np.zeros(len(weight)), 1, 0)


@variant("conv2d_backward")
def by_columns_in_single_precision(dy, x, weight, stride, padding):
    dy, x, weight = single(dy, x, weight)
    (n, c), (o, _, kh, kw), (oh, ow) = x.shape[:2], weight.shape, dy.shape[2:]
    places = np.arange((x.shape[2] + 2 * padding) * (x.shape[3] + 2 * padding))
    places = places.reshape(x.shape[2] + 2 * padding, -1)
    seen = np.lib.stride_tricks.sliding_window_view(places, (kh, kw))[::stride, ::stride]
    seen = seen.reshape(oh * ow, kh * kw)
    flat = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))).reshape(n, c, -1)
    dy_flat = dy.reshape(n, o, -1)
    dweight = np.einsum("nol,nclk->ock", dy_flat, flat[:, :, seen]).reshape(weight.shape)
    back = np.einsum("nol,ock->nclk", dy_flat, weight.reshape(o, c, -1))
    total = np.zeros_like(flat)
    np.add.at(total, (slice(None), slice(None), seen), back)
    total = total.reshape(n, c, *places.shape)
    end = total.shape[2] - padding, total.shape[3] - padding
    return total[:, :, padding : end[0], padding : end[1]], dweight, dy.sum((0, 2, 3))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("question", "function"), VARIANTS)
def test_a_right_answer_is_not_accused(kit, question, function, seed):
    assert kit.judge(function, question, seed) == []


@pytest.mark.parametrize("style", "AB")
@pytest.mark.parametrize(
    "question",
    [
        "sigmoid", "sigmoid_backward", "linear", "linear_backward", "unbroadcast",
        "softmax_cross_entropy", "softmax_cross_entropy_backward", "batch_norm_train",
        "batch_norm_eval", "batch_norm_steps", "batch_norm_backward", "batch_norm_eval_backward",
        "sgd_step", "topological_order", "backpropagate", "RMSNorm", "RMSNorm_twice",
        "network_plain", "network_normalised", "conv2d", "conv2d_backward",
    ],
)  # fmt: skip
def test_both_solutions_are_right(kit, question, style):
    assert kit.judge(kit.function_of(question, kit.sources(style)), question) == []


def test_there_are_enough_of_them():
    assert len(VARIANTS) >= 30
