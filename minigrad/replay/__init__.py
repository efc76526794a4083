"""A step that is recorded once and replayed: as one CUDA graph, with one launch.

To launch a kernel takes the host 5 to 20 microseconds, and a step of 20 layers has some 300
kernels. Where the layers are small, the GPU mostly waits for the next one. A CUDA graph is the list
of all that a step has launched, with every argument; the GPU works it off on its own.

What makes it fast makes it dangerous: the Python of the step does not run again. An address, a
shape, a number is what it was when the graph was captured. So here

* inputs are copied to where the graph reads them, and labels are checked anew;
* what a replay would not do, or would do to what it does not know of, is refused while the step is
  captured (``backend.refuse_while_capturing``);
* the graph has memory of its own (``kernels/arena.py``), and holds what the step read besides;
* it must give what the step gives, twice in a row and for other inputs, before it is returned;
* its assumptions about the model are checked again before each replay;
* what it returns is copied, as the next replay writes to the same place.

The step of the optimiser stays outside. It is one launch (``kernels/cuda_steps.py``), and its
numbers are new each time: the learning rate, how many steps Adam has made.
"""

from .step import Replay, graph

__all__ = ["Replay", "graph"]
