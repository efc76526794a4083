"""Embedding: a vector for every number of a vocabulary, learnt."""

from typing import Any

from .. import functional as F
from ..core.gradmode import no_grad
from ..ops.axes import normalize_dim
from ..tensor import Tensor
from . import init
from .linear import checked_size, new_parameter
from .module import Module


class Embedding(Module):
    """The rows of ``weight`` that the integers in the input name.   (...) -> (..., embedding_dim)

    weight (num_embeddings, embedding_dim) starts normal with standard deviation 1. The row
    ``padding_idx`` starts as zeros and receives no gradient.

    Raises:
        IndexError: ``padding_idx``, or when called an element of the input, names no row.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = checked_size("Embedding: num_embeddings", num_embeddings)
        self.embedding_dim = checked_size("Embedding: embedding_dim", embedding_dim)
        if padding_idx is not None:
            padding_idx = normalize_dim(padding_idx, num_embeddings, "Embedding: padding_idx")
        self.padding_idx = padding_idx
        self.weight = new_parameter((num_embeddings, embedding_dim), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
