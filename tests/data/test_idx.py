"""read_idx returns what was written, and says what is wrong with everything else."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.data import idx, read_idx

CODES = {
    "uint8": 0x08,
    "int8": 0x09,
    "int16": 0x0B,
    "int32": 0x0C,
    "float32": 0x0D,
    "float64": 0x0E,
}


def idx_bytes(array: np.ndarray) -> bytes:
    """The IDX file of an array, after the description of the format."""
    header = bytes([0, 0, CODES[array.dtype.name], array.ndim])
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return header + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@given(
    array=st.sampled_from(sorted(CODES)).flatmap(
        lambda name: hnp.arrays(name, hnp.array_shapes(max_dims=4, min_side=0, max_side=4))
    ),
    packed=st.booleans(),
)
def test_reads_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, packed: bool
) -> None:
    path = tmp_path_factory.mktemp("idx") / ("a.idx.gz" if packed else "a.idx")
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    read = read_idx(path)
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


def test_reads_the_example_of_the_format(tmp_path: Path) -> None:
    # Written out by hand: int16 (0b), 2 dimensions of 2 and 1, the values 258 and -2.
    (tmp_path / "x").write_bytes(bytes.fromhex("00000b02 00000002 00000001 0102 fffe"))
    assert read_idx(str(tmp_path / "x")).tolist() == [[258], [-2]]


def test_the_array_can_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(idx_bytes(IMAGES))
    array = read_idx(tmp_path / "x")
    array += 1
    assert array[0, 0, 0] == 1


def damage_gzip() -> bytes:
    packed = bytearray(gzip.compress(idx_bytes(IMAGES), mtime=0))
    packed[-6] ^= 0xFF  # a bit of the checksum at the end
    return bytes(packed)


WHOLE = idx_bytes(IMAGES)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x", b"", ["empty file", "Fetch it again"]),
        ("x.gz", b"", ["empty file"]),
        ("x.gz", gzip.compress(b"", mtime=0), ["empty file"]),
        ("x", WHOLE[:3], ["'00 00 08'", "magic number"]),
        ("x", b"\0\1" + WHOLE[2:], ["'00 01 08 03'", "'00 00'"]),
        ("x", b"\0\0\x0a\3" + WHOLE[4:], ["'00 00 0a 03'", "08, 09, 0b, 0c, 0d, 0e"]),
        ("x", b"\0\0\x08\0" + WHOLE[4:], ["'00 00 08 00'", "dimensions from 01"]),
        ("x", WHOLE[:9], ["ends after 9 bytes", "header of 16 bytes", "cut off"]),
        ("x", WHOLE[:-1], ["23 bytes of values", "expected 24", "(2, 3, 4) of uint8", "cut off"]),
        ("x", WHOLE + b"\0", ["25 bytes of values", "expected 24", "appended"]),
        ("x", WHOLE[:4] + b"\xff" * 12 + WHOLE[16:], ["24 bytes of values", "cut off"]),
        ("x", gzip.compress(WHOLE, mtime=0), ["This is gzip: let its name end in .gz"]),
        ("x.gz", WHOLE, ["named .gz", "'1f 8b'", "take .gz off its name"]),
        ("x.gz", b"<!DOCTYPE html>", ["'3c 21 44 4f'", "web page"]),
        ("x.gz", b"PK\3\4", ["another kind of file"]),
        (
            "x.gz",
            gzip.compress(WHOLE, mtime=0)[:-9],
            ["cannot be unpacked", "damaged or was cut off"],
        ),
        ("x.gz", damage_gzip(), ["cannot be unpacked", "CRC"]),
        ("x.gz", gzip.compress(WHOLE[:-2], mtime=0), ["22 bytes of values", "expected 24"]),
    ],
)
def test_a_damaged_file_is_refused(
    tmp_path: Path, name: str, content: bytes, says: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"expected|unpacked") as caught:
        read_idx(tmp_path / name)
    message = str(caught.value)
    for part in [str(tmp_path / name), *says]:
        assert part in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.gz"):
        read_idx(tmp_path / "absent.gz")


def test_a_file_that_grows_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "LARGEST", 10_000)
    path = tmp_path / "zeros.gz"
    path.write_bytes(gzip.compress(bytes(10_001), mtime=0))
    with pytest.raises(ValueError, match="to more than 10000 bytes"):
        read_idx(path)


def test_more_dimensions_than_numpy_has(tmp_path):
    path = tmp_path / "deep"
    path.write_bytes(bytes([0, 0, 8, 65]) + bytes(4 * 65))
    with pytest.raises(ValueError, match="says that it has 65 dimensions, expected at most 64"):
        read_idx(path)
