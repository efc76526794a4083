"""Which samples of a data set each process gets."""

from collections.abc import Iterator, Sized

import numpy as np

from .world import rank, world_size


class DistributedSampler:
    """The indices of this process's share of a data set, for ``DataLoader(..., sampler=...)``.

    All processes draw the same order; process r takes every P-th index of it, from the r-th on.
    Every share has the same length, so that all processes make as many steps.

    Args:
        dataset: anything with a length.
        shuffle: draw an order for each epoch; otherwise the samples come as they stand.
        seed: the same in every process; the order depends on it and on the epoch alone.
        drop_last: leave out the samples that do not make equal shares. Otherwise the first ones
            of the order come again.

    Raises:
        ValueError: the data set is empty, or with ``drop_last`` smaller than the number of
            processes.
    """

    def __init__(
        self, dataset: Sized, shuffle: bool = True, seed: int = 0, drop_last: bool = False
    ) -> None:
        self.samples, self.shuffle, self.seed, self.epoch = len(dataset), shuffle, seed, 0
        whole, rest = divmod(self.samples, world_size())
        self.length = whole + (rest > 0 and not drop_last)
        if self.length == 0:
            raise ValueError(
                f"DistributedSampler: the data set has {self.samples} samples, expected at least "
                f"{world_size() if drop_last else 1}"
            )

    def set_epoch(self, epoch: int) -> None:
        """Draw another order for this epoch. Call it in every process before each epoch."""
        self.epoch = int(epoch)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        order = np.arange(self.samples)
        if self.shuffle:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        return iter(np.resize(order, self.length * world_size())[rank() :: world_size()].tolist())
