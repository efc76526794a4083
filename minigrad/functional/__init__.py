"""Every operation as a function of Tensors: ``import minigrad.functional as F``.

The functions in ``elementary`` are Tensor's methods under their function names; those in ``layers``
and ``losses`` take several tensors, check them, say what does not fit, and apply the operation
whose derivation stands in ``ops/``. An option that is not in a signature does not exist: passing it
is a TypeError.

Each file names in ``__all__`` what stands here and, under the same name, in ``minigrad``.
"""

from ..methods.nearest import missing
from . import (
    attention,
    contraction,
    convolution,
    elementary,
    layers,
    losses,
    normalization,
    padding,
    pooling,
)
from .attention import *
from .contraction import *
from .convolution import *
from .elementary import *
from .layers import *
from .losses import *
from .normalization import *
from .padding import *
from .pooling import *

__all__: list[str] = []
__all__ += elementary.__all__
__all__ += convolution.__all__
__all__ += layers.__all__
__all__ += losses.__all__
__all__ += normalization.__all__
__all__ += attention.__all__
__all__ += contraction.__all__
__all__ += padding.__all__
__all__ += pooling.__all__


def __getattr__(name: str) -> object:
    raise missing("module 'minigrad.functional'", name, __all__)
