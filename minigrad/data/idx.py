"""The IDX format, in which MNIST and its relatives are published.

An IDX file is an array and nothing else. Its first four bytes are 0, 0, a code for the type of
the values and the number of dimensions; then comes one 4-byte size per dimension, then the values,
row by row. All numbers are big-endian. (Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database
of handwritten digits", section "File formats".)

The header says how long the file has to be, so a download that broke off cannot pass for data.
"""

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

VALUE_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

MOST_DIMENSIONS = 64
LARGEST = 2**30
"""Bytes: what a packed file may grow to; MNIST's largest has 47 million."""


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[np.generic]:
    """The array in an IDX file, in this machine's byte order.

    A file whose name ends in ``.gz`` is unpacked on the way; any other is read as it stands.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not gzip although its name says so, is not IDX, or is shorter or
            longer than its header says. The message names the file, what was found, what was
            expected and what to do.
    """
    path = Path(path)
    content = _unpack(path) if path.suffix == ".gz" else path.read_bytes()
    if not content:
        raise ValueError(f"{path}: got an empty file, expected IDX data. Fetch it again.")
    magic = content[:4]
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in VALUE_TYPES or magic[3] == 0:
        codes = ", ".join(f"{code:02x}" for code in VALUE_TYPES)
        raise ValueError(
            f"{path}: starts with the bytes '{magic.hex(' ')}', expected the magic number of "
            f"IDX: '00 00', a type ({codes}), a number of dimensions from 01. {_advice(content)}"
        )
    dtype, ndim = np.dtype(VALUE_TYPES[magic[2]]), magic[3]
    if ndim > MOST_DIMENSIONS:
        raise ValueError(
            f"{path}: says that it has {ndim} dimensions, expected at most {MOST_DIMENSIONS}, as "
            f"NumPy has. The header is damaged: fetch it again."
        )
    start = 4 + 4 * ndim
    if len(content) < start:
        raise ValueError(
            f"{path}: ends after {len(content)} bytes, expected a header of {start} bytes for "
            f"{ndim} dimensions. The file was cut off: fetch it again."
        )
    shape = struct.unpack(f">{ndim}I", content[4:start])
    got, expected = len(content) - start, math.prod(shape) * dtype.itemsize
    if got != expected:
        what = "was cut off" if got < expected else "has something appended, or a damaged header"
        raise ValueError(
            f"{path}: holds {got} bytes of values, expected {expected} for the shape {shape} of "
            f"{dtype.name} in its header. The file {what}: fetch it again."
        )
    values = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return values.astype(dtype.newbyteorder("="))


def _unpack(path: Path) -> bytes:
    """The content of a gzip file, whose own checksum is checked on the way."""
    packed = path.read_bytes()
    if not packed:
        return packed
    if packed[:2] != b"\x1f\x8b":
        raise ValueError(
            f"{path}: is named .gz, but starts with the bytes '{packed[:4].hex(' ')}', expected "
            f"'1f 8b' (gzip). {_advice(packed)}"
        )
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            content = file.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise ValueError(
                    f"{path}: grows from {len(packed)} to more than {LARGEST} bytes, expected at "
                    f"most that. Unpack it yourself if you trust it."
                )
            return content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path}: cannot be unpacked after {len(packed)} bytes of gzip ({error}). The file is "
            f"damaged or was cut off: fetch it again."
        ) from error


def _advice(start: bytes) -> str:
    """What probably happened to a file that starts like this, and what to do."""
    if start[:2] == b"\x1f\x8b":
        return "This is gzip: let its name end in .gz."
    if start[:2] == b"\0\0":
        return "If it was unpacked already, take .gz off its name; otherwise fetch it again."
    if start.lstrip()[:1] == b"<":
        return "This is a web page, perhaps a server's error message: fetch the file again."
    return "This is another kind of file: fetch it again."
