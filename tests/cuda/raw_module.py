"""``cupy.RawModule`` for the stand-in: its kernels run in the emulator, or not at all."""

from typing import Any

import numpy as np

from tests.cuda import emulator
from tests.strict_cupy.runtime import postponed
from tests.strict_cupy.stand_in import host, meter


class RawModule:
    """CUDA source, compiled with g++ instead of NVRTC."""

    sanitizer: str | None = None
    dry = False
    """Only check and count the launches: the arrays keep what they hold."""

    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        self.module = emulator.Module(code, options, self.sanitizer)

    def get_function(self, name: str) -> Any:
        kernel = self.module.get_function(name)
        dry = self.dry

        def launch(grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
            plain = tuple(a if isinstance(a, np.generic) else host(a, name, []) for a in args)
            meter.launch(name)
            if not postponed(lambda: kernel(grid, block, plain, dry=dry)):
                kernel(grid, block, plain, dry=dry)

        return launch


class AddressSanitised(RawModule):
    """Finds reads and writes past the end of an array."""

    sanitizer = "address"


class ThreadSanitised(RawModule):
    """Finds threads that read what another writes, without a barrier in between."""

    sanitizer = "thread"


class DryRawModule(RawModule):
    """Checks and counts launches, and computes nothing."""

    dry = True
