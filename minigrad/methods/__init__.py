"""What a Tensor can do: its methods and operators, a line or two for each, in families.

A method brings its arguments into the form its operation wants (axes counted from the front,
integers made floating, Python numbers told from Tensors) and applies it. The mathematics is in
``ops/``; what a Tensor *is* stands in ``tensor.py``.

Names and arguments are PyTorch's. ``axis`` and ``keepdims``, NumPy's spelling of ``dim`` and
``keepdim``, are understood as well, and so the rules in ``ops/`` can be given arrays or Tensors.
"""

from .arguments import as_shape
from .arithmetic import Arithmetic
from .comparisons import Comparisons
from .conversions import Conversions
from .exchange import Exchange
from .indexing import Indexing
from .inplace import InPlace
from .nearest import Nearest
from .ordering import Ordering
from .products import Products
from .questions import Questions
from .rearranging import Rearranging
from .reductions import Reductions
from .scattering import Scattering
from .shape import Shapes

__all__ = [
    "Arithmetic",
    "Comparisons",
    "Conversions",
    "Exchange",
    "InPlace",
    "Indexing",
    "Nearest",
    "Ordering",
    "Products",
    "Questions",
    "Rearranging",
    "Reductions",
    "Scattering",
    "Shapes",
    "as_shape",
]
