"""The CUDA sources compile for several GPUs, by the compiler that CuPy uses, without a GPU.

Needs the extra ``nvrtc``, which ``make nvrtc`` installs; skipped with the reason without it.
"""

from pathlib import Path
from typing import Any

import pytest

from minigrad.kernels import launch


def compiler() -> Any:
    """NVRTC, or a skip with the reason."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")
    try:
        nvrtc.nvrtcVersion()
    except Exception as error:  # whatever a missing library raises is the reason
        pytest.skip(f"NVRTC cannot be loaded: {error}")
    return nvrtc


def compiled(code: str, architecture: str, *options: str) -> tuple[bool, str]:
    """Whether NVRTC takes ``code``, and what it says."""
    nvrtc = compiler()
    _, program = nvrtc.nvrtcCreateProgram(code.encode(), b"kernels.cu", 0, [], [])
    given = [f"-arch={architecture}", "-std=c++17", *options]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(given), [o.encode() for o in given])
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    # NVRTC writes into the object itself. Python has one object for all bytes of length 1, so an
    # empty log, which is a single 0, must not be read into that.
    log = bytes(size + 1)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(program)
    return status == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode(errors="replace").strip(" \0\n")


@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("dtype", launch.TYPES)
def test_the_kernels_compile_without_a_warning(dtype: str, architecture: str) -> None:
    real, total, _ = launch.TYPES[dtype]
    worked, log = compiled(launch.source(), architecture, f"-DREAL={real}", f"-DSUM={total}")
    assert worked, log
    assert "warning" not in log, log


def test_a_mistake_in_a_source_is_found() -> None:
    worked, log = compiled('extern "C" __global__ void f(float* x) { x[0] = expp(1.f); }', "sm_90")
    assert not worked
    assert "expp" in log


def test_every_source_in_the_folder_is_compiled() -> None:
    folder = Path(launch.__file__).with_name("cuda")
    assert {path.stem for path in folder.glob("*.cu")} == set(launch.SOURCES)
