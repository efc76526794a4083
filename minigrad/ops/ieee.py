"""Results that IEEE 754 defines are results, and nothing to warn of: log 0 = -inf, 1 / 0 = inf,
0 / 0 = NaN, e^1000 = inf. PyTorch gives them in silence, and so do the rules that can produce one.

NumPy's own way, ``with np.errstate(all="ignore")``, takes half as long as a small operation. To run
it in a context where that has been said once and for all costs next to nothing.

Addition, multiplication and sums are not among these rules: where they leave the range of numbers,
NumPy's warning stands.
"""

import contextvars

import numpy as np

_silent = contextvars.Context()
_silent.run(np.seterr, all="ignore")

ieee = _silent.copy  # a copy, because each can be entered only once at a time
"""``ieee().run(function, x)`` is ``function(x)``, without warnings."""
