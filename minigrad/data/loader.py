"""Mini-batches, in an order that can be repeated.

Stochastic gradient descent learns from a few samples at a time, in a new random order in each
epoch (each pass over the data). The order is drawn on the host from one seeded generator, so that
two runs with the same seed see the same batches on any device.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ..backend import Array, array_module, default_generator, is_array
from ..tensor import Tensor, tensor
from .dataset import TensorDataset

Sample = TypeVar("Sample", covariant=True)


class Dataset(Protocol[Sample]):
    """Anything with a length whose samples can be had by number, such as a list.

    A sample is an array, a number or a tensor, or a tuple of these. A class may say so:
    ``class Numbers(Dataset[float])``.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class Sampler(Protocol):
    """The indices of the samples of an epoch, in their order, such as ``DistributedSampler``."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[int]: ...


class DataLoader:
    """Hand out a data set in mini-batches: ``for x, y in loader: ...``

    Each ``for`` loop is one epoch. A batch is a tuple of tensors, one per array of the data set,
    with the samples along the first axis. With ``shuffle`` the order differs from epoch to epoch,
    and the same seed gives the same sequence of epochs.

    Args:
        dataset: a ``TensorDataset``, or anything with a length and numbered samples (``Dataset``).
        batch_size: samples per batch. The last batch of an epoch holds what is left.
        shuffle: draw a new order for every epoch; otherwise the samples come as they stand.
        drop_last: leave the last batch out if it is smaller than the others. (BatchNorm cannot
            train on a batch of one sample.)
        seed: start of the loader's own generator, from which the orders are drawn.
        generator: the generator itself, in place of a seed. With neither, the orders come from
            the generator that ``manual_seed`` starts.
        sampler: which samples come, in which order, in place of ``shuffle``.

    Raises:
        TypeError: ``dataset`` has no length or no numbered samples, ``batch_size`` is not an int,
            ``generator`` is none of NumPy's, or both ``seed`` and ``generator``, or both
            ``shuffle`` and ``sampler``, are given.
        ValueError: ``batch_size`` is below 1, the data set is empty, or ``drop_last`` would leave
            no batch at all.

    >>> loader = DataLoader(TensorDataset([[0.5], [1.5], [2.5]], [7, 8, 9]), batch_size=2)
    >>> for x, y in loader:
    ...     print(x.shape, y.tolist())
    (2, 1) [7, 8]
    (1, 1) [9]
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        seed: int | None = None,
        generator: np.random.Generator | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        if not isinstance(batch_size, int | np.integer) or isinstance(batch_size, bool):
            raise TypeError(f"DataLoader: batch_size is {batch_size!r}, expected an int from 1")
        if batch_size < 1:
            raise ValueError(f"DataLoader: batch_size is {batch_size}, expected an int from 1")
        if seed is not None and generator is not None:
            raise TypeError("DataLoader: got both seed and generator, expected one of them")
        if generator is not None and not isinstance(generator, np.random.Generator):
            raise TypeError(
                f"DataLoader: generator is a {type(generator).__name__}, expected a NumPy "
                f"Generator: np.random.default_rng(...), or seed=..."
            )
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(
                f"DataLoader: the data set is a {type(dataset).__name__}, expected one with a "
                f"length and numbered samples, such as TensorDataset(x, y)"
            )
        if shuffle and sampler is not None:
            raise TypeError("DataLoader: got both shuffle and sampler, expected one of them")
        samples = len(dataset if sampler is None else sampler)
        if samples < (batch_size if drop_last else 1):
            raise ValueError(
                f"DataLoader: the data set has {samples} samples, which makes no batch of "
                f"{batch_size}{' with drop_last=True' if drop_last else ''}. "
                f"{'Choose a smaller batch_size.' if samples else 'Was everything filtered out?'}"
            )
        self.dataset, self.sampler = dataset, sampler
        self.batch_size = int(batch_size)  # JSON can hold no NumPy integer
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.generator = generator if seed is None else np.random.default_rng(seed)
        self._epoch_seed: int | None = None
        self._next_batch = 0
        self._resuming = False

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        whole, rest = divmod(self._samples(), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        if not self._resuming:
            # One number per epoch: with it, an epoch under way can be told and taken up again.
            source = self.generator or default_generator()
            self._epoch_seed = int(source.integers(2**63)) if self.shuffle else None
            self._next_batch = 0
        self._resuming = False
        return self._batches(self._epoch_seed, self._next_batch)

    def _batches(self, epoch_seed: int | None, first: int) -> Iterator[tuple[Tensor, ...]]:
        order = np.arange(len(self.dataset))
        if self.sampler is not None:
            order = np.array(list(self.sampler))
        if epoch_seed is not None:
            np.random.default_rng(epoch_seed).shuffle(order)
        for batch in range(first, len(self)):
            self._epoch_seed, self._next_batch = epoch_seed, batch + 1
            yield self._fetch(order[batch * self.batch_size : (batch + 1) * self.batch_size])
        self._epoch_seed, self._next_batch = None, 0

    def _fetch(self, rows: npt.NDArray[np.int64]) -> tuple[Tensor, ...]:
        if isinstance(self.dataset, TensorDataset):
            return self.dataset[rows]
        return _stack([(int(row), self.dataset[int(row)]) for row in rows])

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, for ``load_state_dict``; numbers and names, as JSON can hold.

        Within an epoch the batch handed out last counts as done, and after a loop that was left
        early the loader still stands in that epoch. The generator is included if it is the
        loader's own; ``None`` stands for the one of ``manual_seed``, which is not the loader's to
        keep.
        """
        return {
            **self._settings(),
            "epoch_seed": self._epoch_seed,
            "next_batch": self._next_batch,
            "generator": self.generator and self.generator.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was taken: the next loop hands out the rest of that epoch.

        Raises:
            ValueError: the state is not one of ``state_dict``, or that of a loader with other
                data, settings or kind of generator. Nothing is changed then.
        """
        expected = self.state_dict()
        if state.keys() != expected.keys():
            raise ValueError(
                f"DataLoader: the state has the keys {sorted(state)}, expected {sorted(expected)}"
            )
        for name, value in self._settings().items():
            if state[name] != value:
                raise ValueError(
                    f"DataLoader: the state is of a loader with {name}={state[name]}, but here "
                    f"{name}={value}, so its place in the epoch means nothing. Make the loader as "
                    f"it was."
                )
        if (state["generator"] is None) != (self.generator is None):
            raise ValueError(
                "DataLoader: the state and the loader must both have a generator of their own, or "
                "neither. Make the loader with a seed or without one, as it was."
            )
        batch, seed = state["next_batch"], state["epoch_seed"]
        if not _is_int(batch) or not 0 <= batch <= len(self):
            raise ValueError(
                f"DataLoader: the state's next_batch is {batch!r}, expected an int from 0 to "
                f"{len(self)}, the number of batches. The state is damaged: load another."
            )
        drawn = _is_int(seed) and 0 <= seed < 2**63
        if not (drawn if self.shuffle and batch else seed is None or (drawn and self.shuffle)):
            raise ValueError(
                f"DataLoader: the state's epoch_seed is {seed!r}, expected an int from 0 to 2**63 "
                f"- 1 within a shuffled epoch, and None without shuffle. The state is damaged: "
                f"load another."
            )
        if self.generator is not None:
            trial = copy.deepcopy(self.generator.bit_generator)  # it refuses, or ours can take it
            try:
                trial.state = state["generator"]
            except (TypeError, ValueError, KeyError, OverflowError) as error:
                raise ValueError(
                    f"DataLoader: the state's generator does not fit a "
                    f"{type(trial).__name__} ({type(error).__name__}: {error}). Make the loader "
                    f"with the generator that it had."
                ) from error
            self.generator.bit_generator.state = state["generator"]
        self._epoch_seed, self._next_batch = seed, batch
        self._resuming = batch > 0

    def _samples(self) -> int:
        return len(self.dataset if self.sampler is None else self.sampler)

    def _settings(self) -> dict[str, Any]:
        return {
            "samples": self._samples(),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }


def _is_int(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _stack(samples: Sequence[tuple[int, Any]]) -> tuple[Tensor, ...]:
    """A batch from numbered samples: one tensor per part of a sample."""
    parts = [sample if isinstance(sample, tuple | list) else (sample,) for _, sample in samples]
    arrays = [[_as_array(part) for part in sample] for sample in parts]
    shapes = [[array.shape for array in sample] for sample in arrays]
    for (row, _), shape in zip(samples, shapes, strict=True):
        if shape != shapes[0]:
            raise ValueError(
                f"DataLoader: the parts of sample {row} have the shapes {shape}, those of sample "
                f"{samples[0][0]} have {shapes[0]}, expected the same of all. Pad or crop them in "
                f"the data set."
            )
    columns = zip(*arrays, strict=True)
    return tuple(tensor(array_module(column[0]).stack(column)) for column in columns)


def _as_array(part: Any) -> Array:
    """The array of a tensor, an array itself, or what ``tensor`` makes of a number."""
    return part if is_array(part) else (part if isinstance(part, Tensor) else tensor(part)).data
