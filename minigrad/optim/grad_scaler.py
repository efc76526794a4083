"""GradScaler: gradients that float16 would round to 0, brought back by a larger loss.

With S the scale, S L in the place of L makes every gradient S times as large, in the whole backward
pass, because it is linear in what it starts from. A power of two for S changes no digit. Before the
update the gradients are divided by S, in float32.

The largest S that does not overflow is best. It is found by trying: a step in which a gradient
became inf or NaN is left out, and S halved; after many good steps S is doubled. Micikevicius et al.
(2018), "Mixed Precision Training", section 3.2.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..backend import array_module, on_device_of
from ..core.versions import mark_written
from ..tensor import Tensor
from .optimizer import Optimizer


class GradScaler:
    """Scales a loss, unscales the gradients, and leaves out steps that overflowed.

        scaler = optim.GradScaler()
        for x, labels in loader:
            optimizer.zero_grad()
            with mg.autocast("cuda"):
                loss = F.cross_entropy(model(x), labels)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)              # only if something reads the gradients,
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)                     # as this does
            scaler.step(optimizer)
            scaler.update()

    Names and rules are PyTorch's (``torch.amp.GradScaler``). Whether a gradient is finite is found
    on its device; ``step`` reads the answer, and so waits for a GPU once.

    Args:
        init_scale: the scale of the first step.
        growth_factor, backoff_factor: what the scale is multiplied by, after ``growth_interval``
            good steps one after the other, and after a bad one.
        enabled: False: every method passes on what it gets, and ``step`` is the optimiser's.

    Raises:
        ValueError: a factor or an interval that makes no sense.
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        for name, value, right, expected in (
            ("init_scale", init_scale, 0 < init_scale < float("inf"), "a positive number"),
            ("growth_factor", growth_factor, growth_factor > 1, "more than 1"),
            ("backoff_factor", backoff_factor, 0 < backoff_factor < 1, "between 0 and 1"),
            ("growth_interval", growth_interval, growth_interval >= 1, "1 or more"),
        ):
            if not right:
                raise ValueError(f"GradScaler: {name} is {value}, expected {expected}")
        self._scale, self._growth_tracker = float(init_scale), 0
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval, self._enabled = growth_interval, enabled
        self._found: dict[int, list[Any]] = {}  # by optimiser: on each device, whether it is bad
        self._stepped: set[int] = set()
        self._bad = False

    def scale(self, outputs: Any) -> Any:
        """A loss, or a list, tuple or dict of them, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, Mapping):
            return {name: self.scale(value) for name, value in outputs.items()}
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(value) for value in outputs)
        raise TypeError(
            f"GradScaler.scale: got a {type(outputs).__name__}, expected a Tensor or several"
        )

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of the optimiser's parameters by the scale, in place. ``step`` does
        so itself, unless this was called before, in order to read or clip them.

        Raises:
            RuntimeError: called twice since the last ``update``, or after ``step``.
            ValueError: a gradient is float16: parameters are to be float32.
        """
        if not self._enabled:
            return
        key = id(optimizer)
        if key in self._stepped:
            raise RuntimeError("GradScaler.unscale_: it comes before step(), not after")
        if key in self._found:
            raise RuntimeError(
                "GradScaler.unscale_: the gradients of this optimiser have been unscaled since the "
                "last update(); dividing them again would make them too small"
            )
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        if any(gradient.dtype == np.float16 for gradient in gradients):
            raise ValueError(
                "GradScaler.unscale_: a gradient is float16, in which it can be lost when it is "
                "unscaled. Keep parameters in float32 and use mg.autocast; do not call model.half()"
            )
        bad: dict[str, Any] = {}
        for gradient in gradients:
            array = gradient.array
            with on_device_of(array):
                array *= 1.0 / self._scale
                flag = ~array_module(array).isfinite(array).all()
                bad[gradient.device] = flag | bad.get(gradient.device, False)
            mark_written(array, by="GradScaler.unscale_")
        self._found[key] = list(bad.values())

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step(...)``, unless a gradient is inf or NaN: then nothing changes, and the
        result is None.

        Raises:
            RuntimeError: called twice for an optimiser since the last ``update``.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        key = id(optimizer)
        if key in self._stepped:
            raise RuntimeError(
                "GradScaler.step: this optimiser has made its step since the last update(); call "
                "update() at the end of each step of training"
            )
        if key not in self._found:
            self.unscale_(optimizer)
        self._stepped.add(key)
        if any(self._found[key]):
            self._bad = True
            return None
        return optimizer.step(*args, **kwargs)

    def update(self) -> None:
        """Choose the scale of the next step: smaller after a bad one, larger after many good ones.

        Raises:
            RuntimeError: no optimiser has made a step, or unscaled, since the last time.
        """
        if not self._enabled:
            return
        if not self._found:
            raise RuntimeError("GradScaler.update: there was no step() since the last update()")
        bad = self._bad or any(flag for found in self._found.values() for flag in found)
        if bad:
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                grown = self._scale * self._growth_factor
                self._scale = grown if grown <= np.finfo(np.float32).max else self._scale
                self._growth_tracker = 0
        self._found, self._stepped, self._bad = {}, set(), False

    def get_scale(self) -> float:
        """The scale; 1 if it is not enabled."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to go on: the scale, the factors, and how many good steps there were."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a ``state_dict``, of this class or of PyTorch's.

        Raises:
            ValueError: something is missing, as it is where the scaler was not enabled.
        """
        if not self._enabled:
            return
        missing = sorted(set(self.state_dict()) - set(state_dict))
        if missing:
            raise ValueError(
                f"GradScaler.load_state_dict: the state lacks {missing}; it may be that of a "
                f"scaler which was not enabled"
            )
        self._scale = float(state_dict["scale"])
        self._growth_factor = float(state_dict["growth_factor"])
        self._backoff_factor = float(state_dict["backoff_factor"])
        self._growth_interval = int(state_dict["growth_interval"])
        self._growth_tracker = int(state_dict["_growth_tracker"])
