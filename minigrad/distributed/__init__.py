"""Several processes that train one network, on MPI: data parallelism, and a BatchNorm that sees the
whole batch. ``docs/distributed.md`` has a first run.

    mpiexec -n 4 python train.py

Each process (a *rank*) runs the same program on its own share of the data. Without mpiexec there
is one rank, nothing is sent, and neither MPI nor mpi4py is needed. Nothing below this package knows
of it. Read ``world.py`` first, then ``collectives.py``.
"""

from .collectives import all_gather, all_reduce, broadcast
from .parallel import DataParallel, batch_loss
from .sampler import DistributedSampler
from .state import check_equal, save
from .sync_batchnorm import SyncBatchNorm, convert_sync_batchnorm
from .world import barrier, init, rank, world_size

__all__ = [
    "init",
    "rank",
    "world_size",
    "barrier",
    "all_reduce",
    "all_gather",
    "broadcast",
    "DataParallel",
    "batch_loss",
    "DistributedSampler",
    "check_equal",
    "save",
    "SyncBatchNorm",
    "convert_sync_batchnorm",
]
