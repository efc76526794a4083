"""The generator behind ``randn``, initialisation, dropout and shuffling: one, on the host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..events import events, tell
from .library import Array

_generator: np.random.Generator | None = None


def manual_seed(seed: int) -> np.random.Generator:
    """Start the generator behind ``randn``, initialisation, dropout and shuffling at ``seed``.

    There is one generator, on the host, so a run on the GPU starts from the CPU run's numbers.
    """
    global _generator
    _generator = np.random.default_rng(seed)
    return _generator


def default_generator() -> np.random.Generator:
    """The generator that ``manual_seed`` starts; unseeded, it starts anywhere."""
    tell(
        "leaves_the_step",
        "draws random numbers on the host",
        "draw before the step, and give it what was drawn as an input (dropout can be captured on "
        "the CPU, not on a GPU)",
    )
    return _started()


def _started() -> np.random.Generator:
    global _generator
    if _generator is None:  # made when first asked for: importing numpy.random takes a while
        _generator = np.random.default_rng()
    return _generator


def uniform(shape: tuple[int, ...]) -> Array:
    """Numbers from [0, 1), float64, on the host. Where a step is being captured on the CPU, they
    are drawn again before each replay."""
    listener = events.listener
    place = None if listener is None else listener.drawn_anew(shape, draw_into)
    return np.asarray(default_generator().random(shape)) if place is None else place


def draw_into(place: Array) -> None:
    """Fill an array with the next numbers of ``uniform``."""
    _started().random(out=place)


def get_rng_state() -> dict[str, Any]:
    """The state of the generator, to be put back by ``set_rng_state``: numbers in a dict, which
    ``mg.save`` can write."""
    return dict(_started().bit_generator.state)


@contextmanager
def drawing_again(state: dict[str, Any]) -> Iterator[None]:
    """Within it the generator draws from ``state`` on; afterwards it goes on where it was."""
    bits = _started().bit_generator
    before = bits.state
    try:
        bits.state = state
        yield
    finally:
        bits.state = before


def set_rng_state(state: dict[str, Any]) -> None:
    """Let the generator go on from a ``state`` of ``get_rng_state``.

    Raises:
        TypeError, ValueError: it is none. Nothing has changed then.
    """
    fresh = np.random.default_rng()
    try:
        fresh.bit_generator.state = state
    except (KeyError, OverflowError) as error:
        raise ValueError(
            f"set_rng_state: the state is not one of get_rng_state ({error})"
        ) from None
    global _generator
    _generator = fresh
