"""What travels between the grader and the process of a student: plain data, never pickle.

A message is a length, a JSON header and the bytes of its arrays. Everything that comes back is
checked, because a student's program may write what it likes into the pipe.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64",
          "uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128")  # fmt: skip
LENGTH = struct.Struct("<QQ")  # of the header and of the arrays
MAX_HEADER = 2 << 20
MAX_ARRAYS = 64 << 20
MAX_DEPTH = 20


class WireError(ValueError):
    """What came through the pipe is no message."""


@dataclass(frozen=True)
class Strange:
    """Stands for a value that does not travel: the name of its type."""

    kind: str


@dataclass(frozen=True)
class Failure:
    """Why a call gave no results: an exception, a time-out, the end of the process."""

    kind: str
    message: str
    where: tuple[str, ...] = ()
    """The lines of the student's files that the exception came through, innermost last."""

    def text(self) -> str:
        """One sentence, with the student's own line."""
        said = f"{self.kind}: {self.message}" if self.message else self.kind
        return f"{said}; {self.where[-1]}" if self.where else said


@dataclass(frozen=True)
class Reply:
    """What one call of a student's function gave."""

    value: Any = None
    after: dict[str, Any] = field(default_factory=dict)
    """The inputs after the call."""
    failure: Failure | None = None
    note: str = ""

    def changed(self, inputs: Mapping[str, Any]) -> list[str]:
        """Which inputs the call changed."""
        return [
            name
            for name, before in inputs.items()
            if isinstance(before, np.ndarray)
            and name in self.after
            and not (
                isinstance(self.after[name], np.ndarray)
                and np.array_equal(self.after[name], before, equal_nan=True)
            )
        ]


def pack(message: Any) -> bytes:
    """``message``: None, numbers, strings, lists, tuples, dicts with string or integer keys, and
    arrays; anything else becomes a ``Strange``."""
    blobs: list[bytes] = []
    header = json.dumps(_encode(message, blobs, 0)).encode()
    body = b"".join(blobs)
    return LENGTH.pack(len(header), len(body)) + header + body


def lengths(start: bytes) -> tuple[int, int]:
    """The lengths of header and arrays, from the first bytes of a message."""
    header, body = LENGTH.unpack(start)
    if header > MAX_HEADER or body > MAX_ARRAYS:
        raise WireError("the results are too large")
    return header, body


def unpack(header: bytes, body: bytes) -> Any:
    """The message; raises WireError for anything that ``pack`` does not write."""
    try:
        encoded = json.loads(header)
        return _decode(encoded, memoryview(body), 0)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise WireError(f"the results do not arrive in the expected form ({error})") from None


def _encode(value: Any, blobs: list[bytes], depth: int) -> Any:
    if depth > MAX_DEPTH:
        return {"s": "structure nested too deeply"}
    if value is None or isinstance(value, str) or type(value) in (bool, int):
        return value if not isinstance(value, int) or abs(value) < 2**63 else {"s": "huge integer"}
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if str(array.dtype) not in DTYPES:
            return {"s": f"array of {array.dtype}"}
        # C order, which tobytes gives whatever the strides are
        blobs.append(array.tobytes())
        return {"a": [str(array.dtype), list(array.shape), len(blobs[-1])]}
    if isinstance(value, float):
        return {"f": value.hex()}
    if isinstance(value, list | tuple):
        items = [_encode(item, blobs, depth + 1) for item in value]
        return {"t" if isinstance(value, tuple) else "l": items}
    if isinstance(value, dict):
        pairs = [
            [_encode(k, blobs, depth + 1), _encode(v, blobs, depth + 1)] for k, v in value.items()
        ]
        return {"d": pairs}
    if isinstance(value, Strange):
        return {"s": value.kind}
    return {"s": type(value).__name__}


class _Reader:
    """Takes arrays from the body, one after the other."""

    place = 0


def _decode(encoded: Any, body: memoryview, depth: int, reader: _Reader | None = None) -> Any:
    reader = reader or _Reader()
    if encoded is None or isinstance(encoded, str | bool | int):
        return encoded
    ((tag, content),) = encoded.items()
    if tag == "f":
        return float.fromhex(content)
    if tag == "s":
        return Strange(str(content)[:200])
    if tag == "a":
        dtype, shape, size = content
        if dtype not in DTYPES or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError("no such array")
        if math.prod(shape) * np.dtype(dtype).itemsize != size or len(shape) > 32:
            raise ValueError("an array of another size than announced")
        start, reader.place = reader.place, reader.place + size
        if reader.place > len(body):
            raise ValueError("an array is cut off")
        return np.frombuffer(body[start : reader.place], dtype).reshape(shape).copy()
    if tag in ("l", "t"):
        items = [_decode(item, body, depth + 1, reader) for item in content]
        return tuple(items) if tag == "t" else items
    if tag == "d":
        return {
            _decode(k, body, depth + 1, reader): _decode(v, body, depth + 1, reader)
            for k, v in content
        }
    raise ValueError(f"unknown tag {tag!r}")
