"""Who am I, and how many are we?

The launcher starts the processes and tells each its number. MPI knows it after ``init``; before
that it is read from the variables that the launchers set.
"""

import os
import sys
import traceback
from types import TracebackType
from typing import Any

LAUNCHERS = (
    ("PMI_RANK", "PMI_SIZE"),  # mpiexec of MPICH and Intel MPI
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # mpiexec of Open MPI
    ("RANK", "WORLD_SIZE"),  # torchrun and those that follow it
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),  # srun
)
"""The variables with the rank and the number of processes. The first pair that is complete counts:
mpiexec may itself have been started by srun."""


class _World:
    """What ``init`` has set up: a communicator, if there are several processes."""

    comm: Any = None


world = _World()


def from_environment() -> tuple[int, int]:
    """The rank and the number of processes that the launcher has set; (0, 1) if there is none.

    Raises:
        ValueError: the launcher's variables are no integers, or do not fit each other.
    """
    for rank_name, size_name in LAUNCHERS:
        if rank_name in os.environ and size_name in os.environ:
            texts = os.environ[rank_name], os.environ[size_name]
            if not all(text.isdecimal() for text in texts) or int(texts[0]) >= int(texts[1]):
                raise ValueError(
                    f"distributed: {rank_name}={texts[0]!r} and {size_name}={texts[1]!r} in the "
                    f"environment, expected a rank from 0 that is below the number of processes"
                )
            return int(texts[0]), int(texts[1])
    return 0, 1


def init() -> None:
    """Join the other processes. Call it first in the program; a second call does nothing.

    From here on, an error that nobody catches in one process ends all of them: the others would
    wait for it for ever.

    Raises:
        ImportError: the launcher has started several processes, and mpi4py or MPI is missing.
        RuntimeError: the launcher says that there are several processes, and MPI finds one: they
            would train one network each.
    """
    if world.comm is not None:
        return
    _, expected = from_environment()
    if expected == 1:
        return
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py without an MPI library
        raise ImportError(
            f"distributed.init: the launcher has started {expected} processes, and MPI cannot be "
            f"used ({error}); pip install mpi4py, and an MPI, such as pip install mpich"
        ) from error
    size = MPI.COMM_WORLD.Get_size()
    if size != expected:
        raise RuntimeError(
            f"distributed.init: the launcher has started {expected} processes, and MPI knows of "
            f"{size}; start them with the mpiexec of the MPI that mpi4py uses, or with "
            f"srun --mpi=pmix"
        )
    world.comm = MPI.COMM_WORLD
    sys.excepthook = _end_all


def _end_all(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback with the rank, and end the processes of all ranks."""
    text = "".join(traceback.format_exception(kind, error, trace))
    print(f"rank {rank()} of {world_size()} failed:\n{text}", file=sys.stderr, flush=True)
    world.comm.Abort(1)


def rank() -> int:
    """The number of this process, from 0."""
    return from_environment()[0] if world.comm is None else int(world.comm.Get_rank())


def world_size() -> int:
    """The number of processes."""
    return from_environment()[1] if world.comm is None else int(world.comm.Get_size())


def communicator(name: str) -> Any:
    """MPI's communicator for ``name``, or None if this is the only process.

    Raises:
        RuntimeError: there are several processes, and ``init`` has not been called.
    """
    if world.comm is None and from_environment()[1] > 1:
        raise RuntimeError(f"{name}: call minigrad.distributed.init() first")
    return world.comm


def barrier() -> None:
    """Wait until every process has come here."""
    comm = communicator("barrier")
    if comm is not None:
        comm.Barrier()
