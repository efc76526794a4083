"""Write ``cupy_api.json``: what the installed CuPy offers, for the stand-in to offer no more.

Needs CuPy and cuBLAS (``pip install cupy-cuda13x nvidia-cublas``) and no GPU: names and signatures
can be read without one.
Run it when a new CuPy is to be supported, and look at the difference:

    python tests/strict_cupy/make_api.py
"""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import cupy
import numpy as np
from cupy._core import _routines_linalg

OWN = (
    "asnumpy",
    "get_array_module",
    "get_default_memory_pool",
)  # functions that NumPy lacks and minigrad uses


def parameters(function: Any) -> list[str] | None:
    """The parameter names of a function. Those written in Cython have a signature only in the first
    line of their docstring, with C types before the names."""
    try:
        return [
            {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "") + p.name
            for p in inspect.signature(function).parameters.values()
        ]
    except (TypeError, ValueError):
        found = re.match(r"[\w.]+\((.*)\)", (function.__doc__ or "").split("\n")[0])
        words = [re.split("[:=]", p)[0].split() for p in found[1].split(",")] if found else []
        return [w[-1] for w in words if w] if found else None


def public(thing: Any) -> list[str]:
    return sorted(name for name in dir(thing) if not name.startswith("_"))


api: dict[str, Any] = {
    "cupy": cupy.__version__,
    "functions": {},
    "ufuncs": {},  # name -> whether it has .at
    "same_as_numpy": [],
    "ndarray": {},
    "cuda": {"": public(cupy.cuda)},
}
for name in public(cupy):
    value = getattr(cupy, name)
    if isinstance(value, cupy.ufunc):
        api["ufuncs"][name] = bool(value._scatter_op)
    elif hasattr(np, name) and (value is getattr(np, name) or isinstance(value, float)):
        api["same_as_numpy"].append(name)
    elif callable(value) and not inspect.isclass(value) and (hasattr(np, name) or name in OWN):
        api["functions"][name] = parameters(value)
for name in sorted(set(dir(cupy.ndarray)) - set(dir(object))):
    value = getattr(cupy.ndarray, name)
    api["ndarray"][name] = parameters(value) if callable(value) and name[0] != "_" else None
for name in ("Device", "Event", "Graph", "MemoryPool", "Stream"):
    api["cuda"][name] = public(getattr(cupy.cuda, name))
api["cuda"]["runtime"] = public(cupy.cuda.runtime)
# What minigrad asks cuBLAS for while a step is captured.
cublas = cupy.cuda.cublas
assert callable(cublas.setStream)
assert callable(cublas.getVersion)
assert callable(cupy.cuda.get_cublas_handle)
api["cublas"] = {
    name: getattr(cublas, f"CUBLAS_{name}")
    for name in (
        "OP_N", "OP_T", "GEMM_DEFAULT", "COMPUTE_32F", "COMPUTE_32F_FAST_TF32", "COMPUTE_64F"
    )
}  # fmt: skip
api["cublas"] |= {
    name: getattr(cupy.cuda.runtime, f"CUDA_{name}") for name in ("R_16F", "R_32F", "R_64F")
}
# The switch for TF32, which minigrad uses though it is private: a CuPy without it ends here.
api["linalg"] = {
    name: getattr(_routines_linalg, name) for name in ("COMPUTE_TYPE_DEFAULT", "COMPUTE_TYPE_TF32")
}
assert callable(_routines_linalg.set_compute_type)
api["RawModule"] = parameters(cupy.RawModule)

lines = [
    f"{json.dumps(section)}: {{\n"
    + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    + "\n}"
    if isinstance(content, dict)
    else f"{json.dumps(section)}: {json.dumps(content)}"
    for section, content in api.items()
]
target = Path(__file__).with_name("cupy_api.json")
target.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
print(f"{target}: {', '.join(f'{len(v)} {k}' for k, v in api.items() if k != 'cupy')}")
