"""State that all processes share: written by one of them, and compared between them."""

import os
import zlib
from collections.abc import Iterable
from typing import Any

from ..serialization import save as save_here
from ..tensor import Tensor
from .collectives import on_host
from .world import communicator, rank

__all__ = ["check_equal", "save"]


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """``mg.save(obj, path)`` by rank 0. The others wait until the file is there, whole.

    Every process calls it. To go on, each process calls ``mg.load``; the number of processes may be
    another one, as all have the same state. What differs from rank to rank is not saved: the
    running statistics of a plain BatchNorm are those of rank 0.

    Raises: what ``mg.save`` raises; in the other processes a RuntimeError with its message.
    """
    comm = communicator("save")
    error: Exception | None = None
    if rank() == 0:
        try:
            save_here(obj, path)
        except Exception as caught:
            error = caught
    if comm is not None:
        told = comm.bcast(None if error is None else f"{type(error).__name__}: {error}", 0)
        if told is not None and rank() != 0:
            raise RuntimeError(f"distributed.save: rank 0 failed: {told}")
    if error is not None:
        raise error


def check_equal(tensors: Iterable[tuple[str, Tensor]], where: str = "check_equal") -> None:
    """Compare named Tensors, such as ``model.named_parameters()``, over all processes by checksum.

    Raises:
        ValueError: in every process, if one differs from rank 0's. The message names the first.
    """
    comm = communicator("check_equal")
    if comm is None:
        return
    own = [(name, zlib.crc32(on_host(t.array).tobytes())) for name, t in tensors]
    every = comm.allgather(own)
    for other, sums in enumerate(every):
        if sums == every[0]:
            continue
        for mine, first in zip(sums, every[0], strict=False):
            if mine != first:
                raise ValueError(
                    f"{where}: {mine[0]} of rank {other} is not that of rank 0 any more. Every "
                    f"process must make the same steps, with the same options of the optimiser, "
                    f"and change parameters in no other way."
                )
        raise ValueError(
            f"{where}: rank {other} compares {len(sums)} Tensors, and rank 0 {len(every[0])}"
        )
