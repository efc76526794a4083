"""Every operation: ``forward`` over arrays, and its hand-derived ``backward``. Start with
``elementwise``, then ``linear`` and ``activation``; ``normalization`` derives BatchNorm.

``Op`` is what they have in common, and ``apply`` runs one on Tensors: see ``core/``.

Each file names in ``__all__`` what stands here.
"""

from ..core.autograd import apply, call_op
from ..core.op import Op, Shape
from . import (
    activation,
    broadcasting,
    convolution,
    elementwise,
    fused,
    indexing,
    linear,
    loss,
    near_zero,
    normalization,
    reduction,
    samplewise,
    selection,
    shape,
    softmax,
    standardize,
    steps,
)
from .activation import *
from .broadcasting import *
from .convolution import *
from .elementwise import *
from .fused import *
from .indexing import *
from .linear import *
from .loss import *
from .near_zero import *
from .normalization import *
from .reduction import *
from .samplewise import *
from .selection import *
from .shape import *
from .softmax import *
from .standardize import *
from .steps import *

__all__ = [
    "apply",
    "call_op",
    "Op",
    "Shape",
]
__all__ += activation.__all__
__all__ += broadcasting.__all__
__all__ += convolution.__all__
__all__ += elementwise.__all__
__all__ += fused.__all__
__all__ += indexing.__all__
__all__ += linear.__all__
__all__ += loss.__all__
__all__ += near_zero.__all__
__all__ += normalization.__all__
__all__ += reduction.__all__
__all__ += samplewise.__all__
__all__ += selection.__all__
__all__ += shape.__all__
__all__ += softmax.__all__
__all__ += standardize.__all__
__all__ += steps.__all__
