"""A step that is recorded once and replayed: as a plan of NumPy's calls, or as one CUDA graph.

On the CPU a small step is mostly Python: Tensors, nodes, checks, new arrays. On a GPU, to launch a
kernel takes the host 5 to 20 microseconds, and a step of 20 layers has some 300 kernels. What was
recorded replays without all that.

What makes it fast makes it dangerous: the Python of the step does not run again. An address, a
shape, a number is what it was when the step was recorded. So here

* inputs are copied to where a replay reads them, and labels are checked anew;
* what a replay would not do, or would do to what it does not know of, is refused while the step is
  recorded;
* a replay has memory of its own, and holds what the step read besides;
* it must give what the step gives, twice in a row and for other inputs, before it is returned;
* its assumptions about the model are checked again before each replay;
* what it returns is copied, as the next replay writes to the same place.

There is one shape (``step.py``) and two recorders (``on_cpu.py``, ``on_gpu.py``).
"""

from .capture import PerShape, capture
from .step import Replay

__all__ = ["PerShape", "Replay", "capture"]
