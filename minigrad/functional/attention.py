"""Attention: each row of the queries takes a weighted mean of the values."""

import math
from typing import Any

import numpy as np

from ..backend import array_module, on_device_of
from ..tensor import Tensor
from .layers import dropout, expect_tensors, floating

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Y = P V with P = softmax(c Q K^T + mask), the softmax along each row.

    query Q: (..., L, E), key K: (..., S, E), value V: (..., S, D)  ->  (..., L, D);  the axes in
    front broadcast. Vaswani et al. (2017), "Attention Is All You Need", eq. 1.

    The backward pass, with A = c Q K^T and without dropout:

    1. Y = P V              dV = P^T dY,    dP = dY V^T
    2. P = softmax(A)       dA = P * (dP - sum(dP * P)),  the sum along each row
    3. A = c Q K^T          dQ = c dA K,    dK = c dA^T Q

    Args:
        attn_mask: (L, S), or what broadcasts to (..., L, S). Booleans: True takes part. Numbers are
            added to A. A row in which nothing takes part gives NaN.
        dropout_p: each weight of P is 0 with this probability. Use 0 in evaluation.
        is_causal: row i takes part in the first i + 1 keys only. There is no ``attn_mask`` then.
        scale: c; by default 1 / sqrt(E), which keeps A at variance 1 if Q and K have it.

    Raises:
        TypeError: an argument is no Tensor, or not floating.
        ValueError: fewer than two axes, E or S differ, or there are both kinds of mask.
    """
    name = "scaled_dot_product_attention"
    expect_tensors(name, ("attn_mask",), query=query, key=key, value=value, attn_mask=attn_mask)
    for tensor in (query, key, value):
        floating(tensor, name)
    shapes = [t.shape for t in (query, key, value)]
    if (
        min(map(len, shapes)) < 2
        or shapes[0][-1] != shapes[1][-1]
        or shapes[1][-2] != shapes[2][-2]
    ):
        raise ValueError(
            f"{name}: query, key and value have shapes {shapes[0]}, {shapes[1]} and {shapes[2]}, "
            f"expected (..., L, E), (..., S, E) and (..., S, D)"
        )
    if attn_mask is not None and is_causal:
        raise ValueError(f"{name}: got both attn_mask and is_causal, expected one of them")
    c = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    a: Any = (query * c) @ key.mT
    if is_causal:
        with on_device_of(query.array):
            rows, columns = query.shape[-2], key.shape[-2]
            attn_mask = Tensor.from_array(array_module(query.array).tri(rows, columns, dtype=bool))
    if attn_mask is not None:
        boolean = attn_mask.dtype == np.bool_
        a = a.where(attn_mask, -math.inf) if boolean else a + attn_mask
    return dropout(a.softmax(-1), dropout_p) @ value
