"""Compile CUDA sources with g++ and run their kernels on NumPy arrays, as CuPy's RawModule would.

    kernel = Module(code, ("-DREAL=float",)).get_function("normalise")
    kernel(grid, block, (x, y, np.int32(3)))

The arguments are checked against the signature in the source. CuPy checks nothing: it passes a
Python int as 64 bits and a float as a double whatever the kernel takes, and a strided array as if
it had no gaps.

With a ``sanitizer`` the kernels run in a program of their own, on arrays that end where they end,
and what AddressSanitizer or ThreadSanitizer finds is an error.
"""

import ctypes
import functools
import getpass
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HEADER = Path(__file__).with_name("cuda_on_cpu.h")
TYPES = {
    "float": np.float32,
    "double": np.float64,
    "Half": np.float16,
    "int": np.int32,
    "unsigned": np.uint32,
    "long long": np.int64,
}
NULL = np.uint64(0)

# What every build ends with: one way in, for a library, or a program that reads its arguments.
ENTRY = r"""
extern "C" int launch(const char* name, const unsigned* d, void** a) {
    const dim3 grid{d[0], d[1], d[2]}, block{d[3], d[4], d[5]};
    %s
    return 1;
}
#ifdef PROGRAM
int main(int, char** files) {
    std::FILE* in = std::fopen(files[1], "rb");
    char name[100];
    unsigned d[6], count;
    if (std::fscanf(in, "%%99s %%u", name, &count) != 2) return 2;
    for (unsigned& n : d)
        if (std::fscanf(in, "%%u", &n) != 1) return 2;
    std::vector<void*> arguments;
    std::vector<long> sizes;
    for (unsigned i = 0; i < count; ++i) {
        long size;
        if (std::fscanf(in, " %%ld", &size) != 1) return 2;
        std::fgetc(in);
        void* memory = size < 0 ? nullptr : std::malloc(size);
        if (size > 0 && std::fread(memory, 1, size, in) != size_t(size)) return 2;
        arguments.push_back(memory);
        sizes.push_back(size);
    }
    std::fclose(in);
    const int failed = launch(name, d, arguments.data());
    std::FILE* out = std::fopen(files[2], "wb");
    for (unsigned i = 0; i < count; ++i) {
        if (sizes[i] > 0) std::fwrite(arguments[i], 1, sizes[i], out);
        std::free(arguments[i]);
    }
    std::fclose(out);
    return failed;
}
#endif
"""


class Parameter(NamedTuple):
    """One parameter of a kernel, as the source declares it."""

    name: str
    type: str
    is_pointer: bool
    is_const: bool


class EmulatorError(Exception):
    """A launch that a GPU would not have refused, and should not have been given."""


@functools.cache
def unavailable() -> str | None:
    """Why nothing can be emulated here; None if it can."""
    if shutil.which("g++") is None:
        return "there is no g++"
    source = "#include <barrier>\nint main() { _Float16 h = 1; return int(h) - 1; }"
    found = subprocess.run(
        ["g++", "-std=c++20", "-fsyntax-only", "-x", "c++", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    return None if found.returncode == 0 else "g++ is too old, or has no _Float16 here"


@functools.cache
def sanitizer_unavailable(sanitizer: str) -> str | None:
    """Why ``-fsanitize=...`` cannot be used here; None if it can."""
    if unavailable():
        return unavailable()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "a")
        command = ["g++", f"-fsanitize={sanitizer}", "-x", "c++", "-", "-o", str(program)]
        built = subprocess.run(
            command, input="int main() {}", capture_output=True, text=True, check=False
        )
        if built.returncode or subprocess.run([program], check=False).returncode:
            return f"g++ has no working -fsanitize={sanitizer} here"
    return None


def signatures(code: str) -> dict[str, list[Parameter]]:
    """The kernels in ``code`` and what they take."""
    found = {}
    for name, inside in re.findall(r"__global__\s+void\s+(\w+)\s*\(([^)]*)\)", code):
        parameters = []
        for text in inside.split(","):
            match = re.fullmatch(r"\s*(const\s+)?([\w ]+?)\s*(\*?)\s*(\w+)\s*", text)
            if match is None:
                raise EmulatorError(f"{name}: cannot read the parameter {text.strip()!r}")
            parameters.append(Parameter(match[4], match[2].strip(), bool(match[3]), bool(match[1])))
        found[name] = parameters
    return found


class Module:
    """The kernels of a source, compiled when the first one is asked for."""

    def __init__(
        self, code: str, options: tuple[str, ...] = (), sanitizer: str | None = None
    ) -> None:
        self.code, self.options, self.sanitizer = code, options, sanitizer
        self.signatures = signatures(code)
        defined = dict(o[2:].partition("=")[::2] for o in options if o.startswith("-D"))
        self.types = {**TYPES, **{k: TYPES[v] for k, v in defined.items() if v in TYPES}}

    def get_function(self, name: str) -> "Kernel":
        if name not in self.signatures:
            raise EmulatorError(f"there is no kernel {name!r}")
        return Kernel(self, name, self.signatures[name])

    def _source(self) -> str:
        cases = []
        for name, parameters in self.signatures.items():
            arguments = ", ".join(
                f"({p.type}*)a[{i}]" if p.is_pointer else f"*({p.type}*)a[{i}]"
                for i, p in enumerate(parameters)
            )
            cases.append(
                f'if (!std::strcmp(name, "{name}")) '
                f"return emulated::launch(grid, block, [=] {{ {name}({arguments}); }}), 0;"
            )
        return f'#include "{HEADER}"\n{self.code}\n' + ENTRY % "\n    ".join(cases)

    @functools.cached_property
    def binary(self) -> Path:
        """The compiled library or program; kept from one run to the next."""
        source = self._source()
        flags = ["-std=c++20", "-ffp-contract=off", "-pthread", "-Wall", "-Wextra"]
        flags += ["-Wno-unused-function", *(o for o in self.options if o.startswith("-D"))]
        if self.sanitizer:
            flags += ["-g", "-O1", "-DTHREADS", "-DPROGRAM", f"-fsanitize={self.sanitizer}"]
        else:
            flags += ["-shared", "-fPIC"]
        key = hashlib.sha256(repr((source, HEADER.read_text(), flags)).encode()).hexdigest()[:16]
        folder = Path(tempfile.gettempdir(), f"minigrad-emulator-{getpass.getuser()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / key
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=folder) as work:
                cpp = Path(work, "kernels.cpp")
                cpp.write_text(source, encoding="utf-8")
                made = Path(work, "made")
                result = subprocess.run(
                    ["g++", *flags, str(cpp), "-o", str(made)],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if result.returncode or "warning" in result.stderr:
                    raise EmulatorError(f"g++ says:\n{result.stderr}")
                os.replace(made, target)
        return target

    @functools.cached_property
    def library(self) -> ctypes.CDLL:
        return ctypes.CDLL(str(self.binary))


class Kernel:
    """One kernel; called as CuPy's are, with the grid, the block and the arguments."""

    def __init__(self, module: Module, name: str, parameters: list[Parameter]) -> None:
        self.module, self.name, self.parameters = module, name, parameters

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: tuple[Any, ...],
        dry: bool = False,
    ) -> None:
        dims = [
            *self._three(grid, "grid", 2**31 - 1, 65535),
            *self._three(block, "block", 1024, 1024),
        ]
        if np.prod(dims[3:]) > 1024:
            raise EmulatorError(f"{self.name}: a block of {block} has more than 1024 threads")
        if len(args) != len(self.parameters):
            raise EmulatorError(
                f"{self.name}: {len(args)} arguments, expected {len(self.parameters)}"
            )
        for value, parameter in zip(args, self.parameters, strict=True):
            self._check(value, parameter)
        if dry:
            return
        if self.module.sanitizer:
            self._run_program(dims, args)
        else:
            self._run_library(dims, args)

    def _three(self, size: tuple[int, ...], what: str, first: int, others: int) -> list[int]:
        limits = (first, others, others)
        if not 1 <= len(size) <= 3 or not all(
            type(n) is int and 1 <= n <= limit for n, limit in zip(size, limits, strict=False)
        ):
            raise EmulatorError(f"{self.name}: the {what} is {size}")
        return [*size, *(1,) * (3 - len(size))]

    def _check(self, value: Any, parameter: Parameter) -> None:
        wanted = self.module.types[parameter.type]
        where = f"{self.name}: {parameter.name}"
        if not parameter.is_pointer:
            if type(value) is not wanted:
                raise EmulatorError(
                    f"{where} is a {type(value).__name__}, expected a {wanted.__name__}"
                )
        elif isinstance(value, np.ndarray):
            if value.dtype != wanted:
                raise EmulatorError(f"{where} is {value.dtype}, expected {np.dtype(wanted)}")
            if not value.flags.c_contiguous:
                raise EmulatorError(f"{where} has strides {value.strides}: a kernel ignores them")
        elif type(value) is not np.uint64 or value != 0:
            raise EmulatorError(f"{where} is a {type(value).__name__}, expected an array or NULL")

    def _run_library(self, dims: list[int], args: tuple[Any, ...]) -> None:
        scalars = [
            None if isinstance(a, np.ndarray) or p.is_pointer else np.array(a)
            for a, p in zip(args, self.parameters, strict=True)
        ]
        pointers = [
            a.ctypes.data if isinstance(a, np.ndarray) else None if s is None else s.ctypes.data
            for a, s in zip(args, scalars, strict=True)
        ]
        failed = self.module.library.launch(
            self.name.encode(),
            (ctypes.c_uint * 6)(*dims),
            (ctypes.c_void_p * len(pointers))(*pointers),
        )
        assert not failed

    def _run_program(self, dims: list[int], args: tuple[Any, ...]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            request, answer = Path(folder, "request"), Path(folder, "answer")
            with request.open("wb") as file:
                file.write(f"{self.name} {len(args)} {' '.join(map(str, dims))}".encode())
                for value, parameter in zip(args, self.parameters, strict=True):
                    is_null = parameter.is_pointer and not isinstance(value, np.ndarray)
                    content = b"" if is_null else np.asarray(value).tobytes()
                    file.write(f" {-1 if is_null else len(content)}\n".encode() + content)
            result = subprocess.run(
                [self.module.binary, request, answer],
                capture_output=True,
                text=True,
                check=False,
                env={
                    **os.environ,
                    "TSAN_OPTIONS": "halt_on_error=1",
                    "ASAN_OPTIONS": "abort_on_error=0",
                },
            )
            if result.returncode:
                raise EmulatorError(f"{self.name}: {result.stderr or result.returncode}")
            content = answer.read_bytes()
        start = 0
        for value, parameter in zip(args, self.parameters, strict=True):
            if isinstance(value, np.ndarray):
                part = np.frombuffer(content, value.dtype, value.size, start)
                if not parameter.is_const:
                    value[...] = part.reshape(value.shape)
                start += value.nbytes
            elif not parameter.is_pointer:
                start += np.asarray(value).nbytes
