"""BatchNorm: pre-activations kept in the range in which an activation responds.

Three ideas meet here.

*Normalise.* In training each channel is shifted and scaled to mean 0 and variance 1 over the
batch, so that 99.7% of roughly normal values lie in [-3, 3], where the sigmoid is not flat. In the
backward pass the same division by sigma enlarges a gradient that came through a channel of small
spread.

*Give back.* ``weight`` (gamma) and ``bias`` (beta) scale and shift the result and are learnt. With
gamma = sqrt(var + eps) and beta = mu the layer is the identity: what the network could express
before, it still can.

*Remember.* A prediction must not depend on what else is in the batch. So training also keeps
running averages of mean and variance, and evaluation uses these, as constants: the map is affine
there, and its gradient a different one.

The derivation of both gradients stands in ``ops/normalization.py``.
Ioffe and Szegedy (2015), "Batch Normalization: Accelerating Deep Network Training by Reducing
Internal Covariate Shift", section 3.
"""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import functional as F
from .. import ops
from ..core import execute
from ..core.versions import mark_written
from ..creation import ones, zeros
from ..tensor import Tensor
from . import init
from .linear import checked_number, checked_size, new_parameter
from .module import Module


class BatchNorm(Module):
    """What ``BatchNorm1d``, ``2d`` and ``3d`` share; they differ in the inputs they take.

    y = weight (x - mean) / sqrt(var + eps) + bias, per channel.    x, y: (N, C, ...)

    Args:
        num_features: C.
        eps: keeps the root away from 0; more than 0.
        momentum: the running statistics move by this share, from 0 to 1, towards each batch's.
            None: they are the plain average over all batches so far.
        affine: whether there is a ``weight`` and, with it, a ``bias``, each (C,).
        track_running_stats: whether there are running statistics; without them the batch's are
            used in evaluation too.
        device: where parameters and buffers are made.
        dtype: their type, float32 by default.
        bias: whether there is a ``bias`` beside the ``weight``.

    To keep a layer's statistics as they are while the rest of the model trains, put it into
    evaluation after each ``model.train()``:

        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()

    Buffers: ``running_mean`` and ``running_var`` (C,), of the batches' means and unbiased variances
    (divided by m - 1, though the layer itself divides by m), and ``num_batches_tracked`` ().

    Raises:
        TypeError: ``eps`` or ``momentum`` is no number; or, when called, the input is no Tensor, or
            not floating.
        ValueError: they are out of range; or, when called: the input has the wrong axes or
            channels, or, where the batch's statistics are used, fewer than two values per channel.
            No buffer has changed then.
    """

    axes: ClassVar[dict[int, str]] = {}
    """The inputs that are taken: number of axes and how to write them."""

    function: ClassVar[Callable[..., Tensor]] = staticmethod(F.batch_norm)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = checked_size(f"{type(self).__name__}: num_features", num_features)
        self.eps = checked_number(f"{type(self).__name__}: eps", eps)
        if not 0 < self.eps < math.inf:
            raise ValueError(f"{type(self).__name__}: eps is {eps}, expected a number above 0")
        self.momentum = momentum
        if momentum is not None:
            self.momentum = checked_number(f"{type(self).__name__}: momentum", momentum)
            if not 0 <= self.momentum <= 1:
                raise ValueError(
                    f"{type(self).__name__}: momentum is {momentum}, expected a share from 0 to 1, "
                    f"or None"
                )
        self.affine, self.track_running_stats = affine, track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            vector = new_parameter((num_features,), device, dtype) if wanted else None
            self.register_parameter(name, vector)
        kind = np.float32 if dtype is None else dtype
        statistics: dict[str, Tensor | None] = dict.fromkeys(
            ("running_mean", "running_var", "num_batches_tracked")
        )
        if track_running_stats:
            statistics = {
                "running_mean": zeros(num_features, dtype=kind, device=device),
                "running_var": ones(num_features, dtype=kind, device=device),
                "num_batches_tracked": zeros((), dtype=np.int64, device=device),
            }
        for name, buffer in statistics.items():
            self.register_buffer(name, buffer)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the batches seen: mean 0, variance 1, none counted."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """The start: weight 1, bias 0, no batches seen."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        by_batch = self.training or self.running_mean is None
        self._check(input, by_batch)
        return self._run(self.function, (input,), by_batch)

    def _run(
        self, function: Callable[..., Tensor], inputs: tuple[Tensor, ...], by_batch: bool
    ) -> Tensor:
        """``function`` of the inputs and of all that is kept here; counts the batch."""
        updating = self.training and self.track_running_stats
        momentum = self.momentum
        if momentum is None:  # 1/k for the k-th batch makes a running average a plain one
            counted = updating and self.num_batches_tracked is not None
            momentum = 1 / (int(self.num_batches_tracked) + 1) if counted else 0.0
        used = updating or not by_batch
        y = function(
            *inputs,
            self.running_mean if used else None,
            self.running_var if used else None,
            self.weight,
            self.bias,
            by_batch,
            momentum,
            self.eps,
        )
        if updating and self.num_batches_tracked is not None:
            # Counted last: an input that was refused has not been seen.
            execute.in_place(ops.count_one, self.num_batches_tracked.array)
            mark_written(self.num_batches_tracked.array)
        return y

    def _get_name(self) -> str:
        """What errors about the input call this layer."""
        return type(self).__name__

    def _check(self, input: Tensor, by_batch: bool) -> None:
        if isinstance(input, Tensor):
            shape = input.array.shape
            if (
                len(shape) in self.axes
                and shape[1] == self.num_features
                and (not by_batch or input.array.size >= 2 * self.num_features)
            ):
                return
        kind = self._get_name()
        if not isinstance(input, Tensor):
            raise TypeError(f"{kind}: the input is a {type(input).__name__}, expected a Tensor")
        if input.ndim not in self.axes:
            expected = " or ".join(self.axes.values())
            raise ValueError(f"{kind}: input has shape {input.shape}, expected {expected}")
        if input.shape[1] != self.num_features:
            raise ValueError(
                f"{kind}: input has {input.shape[1]} channels in axis 1, expected "
                f"{self.num_features} (input is {input.shape})"
            )
        found = "one value" if input.numel() else "no value"
        raise ValueError(
            f"{kind}: input of shape {input.shape} has {found} per channel, and the statistics "
            f"of a batch need at least two; use a larger batch, drop_last=True in the loader, "
            f"or eval()"
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(BatchNorm):
    """BatchNorm for (N, C) and (N, C, L); see ``BatchNorm`` for arguments and errors."""

    axes: ClassVar[dict[int, str]] = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(BatchNorm):
    """BatchNorm for (N, C, H, W); see ``BatchNorm`` for arguments and errors."""

    axes: ClassVar[dict[int, str]] = {4: "(N, C, H, W)"}


class BatchNorm3d(BatchNorm):
    """BatchNorm for (N, C, D, H, W); see ``BatchNorm`` for arguments and errors."""

    axes: ClassVar[dict[int, str]] = {5: "(N, C, D, H, W)"}
