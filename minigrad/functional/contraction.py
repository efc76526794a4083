"""einsum: sums of products of elements, written with one letter for each axis.

    einsum("ij,jk->ik", a, b)      y_ik = sum_j a_ij b_jk, the product of two matrices

A letter on the right is an axis of the result; over a letter that stands on the left alone, the
products are summed. Operands are taken in one after the other, each by one product of matrices, so
the gradient is that of products, sums and permutations.
"""

import math
from typing import Any

from ..tensor import Tensor

__all__ = ["einsum"]


def einsum(equation: str, *operands: Any) -> Tensor:
    """The sum of products that ``equation`` says, as ``torch.einsum`` takes it.

    Args:
        equation: a letter for each axis of each operand, operands apart by commas; after ``->`` the
            axes of the result. Without ``->`` these are the letters that occur once, in
            alphabetical order. A letter twice in one operand is its diagonal. ``...`` stands for
            further axes, which broadcast.
        operands: Tensors, or one list of them.

    Raises:
        TypeError: an operand is no Tensor.
        ValueError: the equation does not fit the operands, or a letter has two lengths.
    """
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    for i, operand in enumerate(operands):
        if not isinstance(operand, Tensor):
            raise TypeError(f"einsum: operand {i} is a {type(operand).__name__}, expected a Tensor")
    inputs, output = parse(equation, [x.ndim for x in operands])
    check_lengths(equation, inputs, operands)
    terms = [diagonals(x, letters) for x, letters in zip(operands, inputs, strict=True)]
    (result, axes), *rest = terms
    for i, (x, letters) in enumerate(rest):
        later = set(output).union(*(names for _, names in rest[i + 1 :]))
        result, axes = contracted(result, axes, x, letters, later)
    result, axes = summed(result, axes, set(output))
    return arranged(result, axes, output)


def parse(equation: str, ndims: list[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result. The axes of ``...`` become digits, the last
    one "0", so that they are letters like the others."""
    left, arrow, output = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(
            f"einsum: {equation!r} has {len(terms)} operands, got {len(ndims)} Tensors"
        )
    extra = 0
    inputs = []
    for i, (term, ndim) in enumerate(zip(terms, ndims, strict=True)):
        letters = term.replace("...", "", 1)
        free = ndim - len(letters)
        if not (letters == "" or (letters.isalpha() and letters.isascii())):
            raise ValueError(f"einsum: {equation!r} holds {term!r}, expected letters and ...")
        if free < 0 or (free > 0 and "..." not in term):
            raise ValueError(
                f"einsum: {term!r} names {len(letters)} axes, but operand {i} has {ndim}"
            )
        if free > 10:
            raise ValueError(f"einsum: ... stands for {free} axes of operand {i}, expected <= 10")
        extra = max(extra, free)
        inputs.append(term.replace("...", "9876543210"[10 - free :]))
    ellipsis = "9876543210"[10 - extra :]
    if not arrow:
        once = sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1)
        return inputs, ellipsis + "".join(once)
    wanted = output.replace("...", ellipsis)
    known = set("".join(inputs))
    if len(set(wanted)) < len(wanted) or not set(wanted) <= known | set(ellipsis):
        raise ValueError(
            f"einsum: the result {output!r} of {equation!r} must name letters of the operands, "
            f"each once"
        )
    return inputs, wanted


def check_lengths(equation: str, inputs: list[str], operands: Any) -> None:
    """A letter has one length; 1 broadcasts."""
    lengths: dict[str, int] = {}
    for letters, x in zip(inputs, operands, strict=True):
        for letter, n in zip(letters, x.shape, strict=True):
            known = lengths.get(letter, 1)
            if 1 not in (n, known) and n != known:
                name = "..." if letter.isdigit() else letter
                raise ValueError(
                    f"einsum: in {equation!r} the axis {name!r} is {known} long in one place and "
                    f"{n} in another"
                )
            lengths[letter] = n if known == 1 else known


def diagonals(x: Tensor, letters: str) -> tuple[Tensor, str]:
    """``x`` with each letter once: of axes with the same letter, their diagonal."""
    for letter in sorted(set(letters)):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            n = max(x.shape[first], x.shape[second])
            shape = list(x.shape)
            shape[first] = shape[second] = n
            x = x.expand(shape).diagonal(0, first, second)
            letters = letters.replace(letter, "", 2) + letter
    return x, letters


def summed(x: Tensor, letters: str, kept: set[str]) -> tuple[Tensor, str]:
    """``x`` without the axes whose letters are not ``kept``: summed over."""
    away = [i for i, letter in enumerate(letters) if letter not in kept]
    if not away:
        return x, letters
    return x.sum(away), "".join(letter for letter in letters if letter in kept)


def arranged(x: Tensor, letters: str, wanted: str) -> Tensor:
    """``x`` with its axes in the order ``wanted``; a letter that it lacks has length 1."""
    order = [letters.index(letter) for letter in wanted if letter in letters]
    x = x.permute(order) if order else x
    lengths = iter(x.shape)
    return x.reshape([next(lengths) if letter in letters else 1 for letter in wanted])


def contracted(a: Tensor, ia: str, b: Tensor, ib: str, later: set[str]) -> tuple[Tensor, str]:
    """Two operands as one, by a product of matrices. Letters that both have are summed over, unless
    they are needed ``later``: these are stacked."""
    a, ia = summed(a, ia, later | set(ib))
    b, ib = summed(b, ib, later | set(ia))
    both = [letter for letter in ia if letter in ib]
    stacked = "".join(letter for letter in both if letter in later)
    inner = "".join(letter for letter in both if letter not in later)
    rows = "".join(letter for letter in ia if letter not in ib)
    columns = "".join(letter for letter in ib if letter not in ia)
    length = {
        letter: max(a.shape[ia.index(letter)], b.shape[ib.index(letter)])
        if 0 not in (a.shape[ia.index(letter)], b.shape[ib.index(letter)])
        else 0
        for letter in both
    }
    a = arranged(a, ia, stacked + rows + inner)
    b = arranged(b, ib, stacked + inner + columns)
    stack = [length[letter] for letter in stacked]
    sum_over = [length[letter] for letter in inner]
    up = [a.shape[len(stacked) + i] for i in range(len(rows))]
    across = [b.shape[len(stacked) + len(inner) + i] for i in range(len(columns))]
    a = a.expand([*stack, *up, *sum_over])
    b = b.expand([*stack, *sum_over, *across])
    left = a.reshape([*stack, math.prod(up), math.prod(sum_over)])
    right = b.reshape([*stack, math.prod(sum_over), math.prod(across)])
    return (left @ right).reshape([*stack, *up, *across]), stacked + rows + columns
