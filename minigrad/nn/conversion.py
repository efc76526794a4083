"""The methods that move a module to another device, or give its numbers another type."""

from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from ..arrays import as_dtype
from ..backend import Device, array_module, import_cupy
from ..tensor import Tensor
from .parameter import Parameter


class Conversion:
    """What ``Module`` has of them."""

    parameters: Callable[[], Iterator[Parameter]]
    buffers: Callable[[], Iterator[Tensor]]
    named_parameters: Callable[[], Iterator[tuple[str, Parameter]]]
    named_buffers: Callable[[], Iterator[tuple[str, Tensor]]]

    def to(self, *args: Any, device: str | None = None, dtype: Any = None) -> Self:
        """Move all parameters, buffers and gradients: ``to("cuda")``, ``to(mg.float64)``,
        ``to(device, dtype)`` or ``to(tensor)``.

        The module itself changes and its Parameters stay the same objects, so an optimiser keeps
        them; buffers of integers keep their type.

        Raises:
            RuntimeError: there is no such device; the message says why. Nothing has moved then.
            TypeError: the type is no floating one.
            ValueError: a finite number would be infinite in it, such as a running variance above
                65504 in float16. Nothing has moved then.
        """
        for argument in args:
            if isinstance(argument, Tensor):
                device, dtype = argument.device, argument.dtype
            elif isinstance(argument, str) and argument.startswith(("cpu", "cuda")):
                device = argument
            else:
                dtype = argument
        if device is not None and Device(device).type == "cuda":
            import_cupy()
        if dtype is not None and as_dtype(dtype).kind != "f":
            raise TypeError(f"to: a module cannot be made {as_dtype(dtype)}, only a floating type")
        if dtype is not None:
            self._refuse_overflow(as_dtype(dtype))
        for tensor in [*self.parameters(), *self.buffers()]:
            wanted = dtype if tensor.dtype.kind == "f" else None
            moved = tensor.detach().to(device=device, dtype=wanted)
            if moved.data is tensor.data:  # assigning it would count as a change
                continue
            gradient, tensor.grad = tensor.grad, None
            tensor.data = moved
            if gradient is not None:
                tensor.grad = gradient.detach().to(device=device, dtype=wanted)
        return self

    def _refuse_overflow(self, dtype: np.dtype[Any]) -> None:
        largest = float(np.finfo(dtype).max)
        for name, tensor in [*self.named_parameters(), *self.named_buffers()]:
            if tensor.dtype.kind != "f" or float(np.finfo(tensor.dtype).max) <= largest:
                continue
            array = tensor.array
            finite = abs(array[array_module(array).isfinite(array)])
            most = float(finite.max()) if finite.size else 0.0
            if most > largest:
                raise ValueError(
                    f"to: {name} holds {most:.6g}, which {dtype} cannot: its largest number is "
                    f"{largest:.6g}; keep this module in {tensor.dtype}"
                )

    def cpu(self) -> Self:
        """All parameters and buffers on the CPU."""
        return self.to("cpu")

    def cuda(self, index: int = 0) -> Self:
        """All parameters and buffers on a GPU."""
        return self.to(f"cuda:{index}")

    def float(self) -> Self:
        """All floating parameters and buffers as float32."""
        return self.to(np.float32)

    def double(self) -> Self:
        """All floating parameters and buffers as float64."""
        return self.to(np.float64)

    def half(self) -> Self:
        """All floating parameters and buffers as float16."""
        return self.to(np.float16)
