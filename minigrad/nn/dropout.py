"""Dropout: in training, a random part of the signals is missing."""

from .. import functional as F
from ..tensor import Tensor
from .linear import checked_number
from .module import Module


class Dropout(Module):
    """In training each element is 0 with probability ``p`` and otherwise divided by 1 - p; in
    evaluation the input passes unchanged.

    Srivastava et al. (2014), "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".

    Raises:
        TypeError: ``p`` is no number.
        ValueError: ``p`` is no probability.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = checked_number("Dropout: p", p)
        if not 0 <= self.p <= 1:
            raise ValueError(f"Dropout: p is {p}, expected a probability from 0 to 1")

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
