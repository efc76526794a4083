"""Recording a step on a GPU: as one CUDA graph, in memory of its own."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from ..backend import import_cupy
from ..kernels.arena import Arena
from ..kernels.cublas import Direct
from .recording import Recording


class GraphRecorder:
    """Records what is launched on a stream."""

    drew = False  # random numbers are refused

    def __init__(self, parameters: list[Any]) -> None:
        self.cupy: Any = import_cupy()
        self.parameters = parameters

    @contextlib.contextmanager
    def around(self) -> Iterator[Recording]:
        """Within it the step runs on a stream of its own, in memory that nothing else is put
        into."""
        cupy = self.cupy
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self.arena = Arena(cupy.cuda)
        cupy.get_default_memory_pool().free_all_blocks()  # it keeps what a step needs; so will this
        cupy.cuda.Device().synchronize()  # the stream waits for no other,
        with cupy.cuda.using_allocator(self.arena.malloc), self.stream:
            self.gemm = Direct(cupy, self.stream)
            self.gemm.prepare()
            try:
                with Recording(self.gemm, self.parameters) as recording:
                    yield recording
            finally:
                self.stream.synchronize()  # and no other waits for it

    def record(self, step: Callable[[], Any], tensors: Any) -> Any:
        """Run the step once more, and make ``graph`` of what it launches."""
        self.stream.synchronize()
        self.gemm.prepare()
        self.stream.begin_capture()
        try:
            result = step()
            self.graph = self.stream.end_capture()
        except BaseException:
            with contextlib.suppress(Exception):  # it has failed already
                self.stream.end_capture()
            raise
        return result

    def finish(self, kept: Any, model: Any) -> None:
        """There is nothing left to do."""

    def must_be_noted(self, array: Any, what: str) -> None:
        """All that the stream is given is."""

    def update(self, optimizer: Any, gradients: Any) -> Any:
        """The optimiser itself: one kernel for all parameters."""
        return optimizer

    def launch(self) -> None:
        """Replay."""
        self.graph.launch()
