"""BatchNorm over the batch of all processes.

A plain BatchNorm in each process normalises with the statistics of its own share of the batch:
another function than that of one process. It is the one layer that data parallelism gets wrong.
"""

import copy
from typing import Any, ClassVar

import numpy as np

from ..backend import Array, array_module
from ..core.autograd import apply, call_op
from ..core.op import Op
from ..core.variable import array_of
from ..functional.normalization import checked_batch_norm, to_float, track
from ..nn.batchnorm import BatchNorm, BatchNorm1d, BatchNorm2d
from ..nn.module import Module
from ..ops import Cat
from ..ops.normalization import affine, along_channels
from ..ops.standardize import constant
from ..tensor import Tensor
from .collectives import AllGather, AllReduce
from .world import world_size


class SyncBatchNormRule(Op):
    """y = gamma x_hat + beta, with mean and variance over the samples of all processes.

    x, y: (N_r, C, ...) in process r, which has n_r values per channel, perhaps none; N = sum_r n_r.

    Forward: each process sends n_r, its mean m_r (in two parts, see below) and
    M_r = sum (x - m_r)^2, in one gather. Chan, Golub and LeVeque (1979), "Updating Formulae and a
    Pairwise Algorithm for Computing Sample Variances", eq. 2.1, for many parts at once:

        mean = sum_r n_r m_r / N,     N var = sum_r M_r + sum_r n_r (m_r - mean)^2.

    Backward: the derivation is that of ``ops.BatchNorm``, with sums over the values of all
    processes and N for m. So of the others a process needs two vectors, and none of their values:

        s = sum(dy),  t = sum(dy x_hat)   over all processes, in one sum
        dx = gamma r (dy - s / N - x_hat t / N)

    gamma and beta are each process's own: dgamma and dbeta are its own sums, which are not summed
    over the processes here, because data parallelism will do that for all parameters.
    ``docs/derivations/batchnorm.md`` has the steps.
    """

    saves: ClassVar[tuple[str, ...]] = ("x", "gamma")
    batch_mean: Array
    batch_var: Array
    count: int
    """N."""

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def standardize(self, x: Any) -> tuple[Any, Any, Any, Any, int]:
        """x_hat, r, mean and var, (1, C, 1, ...) but for x_hat, and N.

        A value is taken away before each mean, as in ``ops.standardize``, and for its reason. It
        travels beside the mean of what is left: their sum would be rounded.
        """
        axes, channels = (0, *range(2, x.ndim)), x.shape[1]
        values, xp = array_of(x), array_module(array_of(x))
        n = values.size // channels if channels else 0
        first = xp.zeros(channels, values.dtype)
        if n:
            first = values[(0, slice(None), *(0,) * (x.ndim - 2))].copy()
        first = constant(first, x)
        shifted = x - along_channels(first, x.ndim)
        own_mean = shifted.sum(axis=axes) / max(n, 1)
        centred = shifted - along_channels(own_mean, x.ndim)
        own_count = constant(xp.full(1, n, values.dtype), x)
        own_m2 = (centred * centred).sum(axis=axes)
        row = call_op(Cat(0), own_count, first, own_mean, own_m2)
        rows = call_op(AllGather(), row)
        counts = array_of(rows)[:, :1]
        total = round(float(counts.sum(dtype=np.float64)))
        if total < 2:
            raise ValueError(
                f"SyncBatchNorm: the inputs of all {world_size()} processes have {total} values "
                f"per channel, and the statistics of a batch need at least two; use a larger "
                f"batch, or eval()"
            )
        weights = constant(counts / total, x)
        firsts, means, parts = (rows[:, 1 + i * channels :][:, :channels] for i in range(3))
        base = constant(array_of(firsts)[int(counts.argmax())].copy(), x)
        offsets = firsts - base + means  # of the processes' means from base
        mean = (weights * offsets).sum(axis=0)  # likewise
        spread = offsets - mean
        var = parts.sum(axis=0) / total + (weights * spread * spread).sum(axis=0)
        inv_std = along_channels((var + self.eps) ** -0.5, x.ndim)
        x_hat = (x - along_channels(base, x.ndim) - along_channels(mean, x.ndim)) * inv_std
        return x_hat, inv_std, mean + base, var, total

    def forward(self, x: Array, gamma: Array | None = None, beta: Array | None = None) -> Array:
        x_hat, _, self.batch_mean, self.batch_var, self.count = self.cached(self.standardize, x)
        return affine(x_hat, gamma, beta)

    def backward(
        self,
        grad: Array,
        y: Array,
        x: Array,
        gamma: Array | None = None,
        beta: Array | None = None,
    ) -> tuple[Any, ...]:
        x_hat, r, _, _, total = self.cached(self.standardize, x)
        axes, channels = (0, *range(2, x.ndim)), x.shape[1]
        d_beta, d_gamma = grad.sum(axis=axes), (grad * x_hat).sum(axis=axes)  # this process's
        sums = call_op(AllReduce(), call_op(Cat(0), d_beta, d_gamma)) / total
        mean = along_channels(sums[:channels], x.ndim)
        mean_along = along_channels(sums[channels:], x.ndim)
        scale = r if gamma is None else r * along_channels(gamma, x.ndim)
        dx = scale * (grad - mean - x_hat * mean_along)
        return (dx, *(() if gamma is None else (d_gamma,)), *(() if beta is None else (d_beta,)))


def sync_batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """``F.batch_norm`` in training, over the batch of all processes."""
    running, vectors = (running_mean, running_var), (weight, bias)
    checked_batch_norm("SyncBatchNorm", input, running, vectors, training, momentum, eps)
    if input.dtype == np.float16:  # statistics of half precision are taken in float32
        w, b = to_float(weight), to_float(bias)
        return sync_batch_norm(input.float(), *running, w, b, training, momentum, eps).half()
    op = SyncBatchNormRule(float(eps))
    y: Tensor = apply(op, input, *(v for v in vectors if v is not None))
    track(running_mean, running_var, op, momentum, op.count)
    return y


class SyncBatchNorm(BatchNorm):
    """BatchNorm whose batch is that of all processes together; see ``BatchNorm`` for arguments.

    In training every process must call it, one whose share of the batch is empty too: an input of
    shape (0, C). The running statistics are then equal in all processes, and equal to those of one
    process with the whole batch. Evaluation communicates nothing, and a single process computes
    what ``BatchNorm1d`` does.

    In the backward pass the loss is the sum of all processes' losses (see ``batch_loss``).

    Raises:
        ValueError: as ``BatchNorm``; fewer than two values per channel in all processes together
            raise in each of them.
    """

    axes: ClassVar[dict[int, str]] = {2: "(N, C)", 3: "(N, C, L)", 4: "(N, C, H, W)"}

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(input)
        self._check(input, False)
        return self._run(sync_batch_norm, (input,), True)


def convert_sync_batchnorm(module: Module) -> Module:
    """Put a ``SyncBatchNorm`` in the place of each BatchNorm in ``module``, in place.

    Parameters, buffers and hooks stay the same objects, so an optimiser made before still fits.

    Returns:
        ``module``, or what takes its place if it is a BatchNorm itself.

    Raises:
        TypeError: ``module`` is no Module; or one inside is another kind of BatchNorm, such as a
            layer that ``nn.fuse`` has made: convert before. Nothing has changed then.
    """
    if not isinstance(module, Module):
        raise TypeError(f"convert_sync_batchnorm: got a {type(module).__name__}, expected a Module")
    plain = (BatchNorm1d, BatchNorm2d)
    twins: dict[Module, Module] = {}
    for path, part in module.named_modules():
        if type(part) in plain:
            twin = copy.copy(part)
            twin.__class__ = SyncBatchNorm  # a BatchNorm with other code, and no state of its own
            twins[part] = twin
        elif isinstance(part, BatchNorm) and type(part) is not SyncBatchNorm:
            raise TypeError(
                f"convert_sync_batchnorm: {path or 'the module'} is a {type(part).__name__}, "
                f"expected a BatchNorm1d or BatchNorm2d; convert before nn.fuse"
            )
    for part in list(module.modules()):
        for name, child in list(part.members_of("module")):
            if child in twins:
                setattr(part, name, twins[child])
    return twins.get(module, module)
