"""Saving and loading state: models, optimisers, schedules, and whatever numbers go with them.

    save({"model": model.state_dict(), "optim": optimizer.state_dict(), "step": 300}, "run.npz")
    state = load("run.npz")
    model.load_state_dict(state["model"])

The file is an ordinary ``.npz`` (NumPy alone) or ``.safetensors`` (extra ``io``): each Tensor is an
entry under its path, ``model.0.weight``, and one entry of JSON says how they nest. A plain state
dict keeps its own names, so other tools read it, and a file that other tools wrote loads as a
plain state dict. Nothing is pickled, so loading a file from a stranger runs no code of theirs.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .atomic import write_whole
from .backend import CPU, is_array, to_device
from .tensor import Tensor

STRUCTURE = "minigrad.structure"
CHECKSUM = "minigrad.sha256"
RESERVED = {STRUCTURE, CHECKSUM, "file", "allow_pickle", "__metadata__"}
"""Names that an entry cannot have: arguments of ``numpy.savez``, and safetensors' own entry."""

Entries = dict[str, np.ndarray[Any, Any]]


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write ``obj`` to ``path``, a file that ends in .npz or .safetensors.

    What it promises:

    * When it returns, the file is on the disk, also after a power cut.
    * At every moment the old file or the new one is there, whole: after a crash, a kill, a full
      disk, and while other threads and processes save to the same path.
    * A file that was there keeps its permissions; a new one has those that the umask gives. Where
      ``path`` is a link, the file that it names is replaced.
    * Nothing is left behind. What a killed writer has left is removed by the next save to the path.
    * Damage is noticed: the entries of .npz have checksums, and a .safetensors file carries a
      SHA-256 of names, types, shapes, bytes and structure in its metadata, which ``load`` verifies.

    Tensors must not change while they are saved.

    Args:
        obj: Tensors, arrays, numbers, strings, bools and None, in dicts (whose keys are strings or
            integers), lists and tuples.
        path: where to; the ending says which format.

    Raises:
        TypeError: ``obj`` holds something else; the message says where.
        ValueError: the path has another ending.
        OSError: the file cannot be written.
    """
    write, _ = _format_of(path)
    entries: Entries = {}
    structure = json.dumps(_encoded(obj, "", entries))
    write_whole(path, lambda file: write(file, entries, structure))


def load(path: str | os.PathLike[str]) -> Any:
    """What ``save`` wrote, with Tensors on the CPU; ``load_state_dict`` moves them on.

    Raises:
        OSError: there is no such file, or it cannot be opened.
        ValueError: it is damaged, holds other things than real numbers of at most 64 bits, or is of
            another kind.
    """
    _, read = _format_of(path)
    with open(path, "rb"):
        pass  # a file that is missing or not ours to read is not a damaged one
    try:
        entries, structure = read(Path(path))
        entries = {name: _numbers(name, array) for name, array in entries.items()}
        if structure is None:
            return {name: Tensor.from_array(array) for name, array in entries.items()}
        return _decoded(json.loads(structure), entries)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged file makes its reader raise
        raise ValueError(
            f"load: {os.fspath(path)!r} is damaged or no checkpoint ({type(error).__name__}: "
            f"{error})"
        ) from error


# ------------------------------------------------------------------------------ how it nests


def _encoded(obj: Any, path: str, entries: Entries) -> Any:
    """``obj`` as JSON; Tensors and arrays go into ``entries`` and leave their name behind."""
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, np.generic):
        return _encoded(obj.item(), path, entries)
    if isinstance(obj, Tensor):
        return {"tensor": _stored(obj.data, path, entries)}
    if is_array(obj):
        return {"array": _stored(obj, path, entries)}
    if isinstance(obj, Mapping):
        for key in obj:
            if isinstance(key, bool) or not isinstance(key, (str, int)):
                raise TypeError(f"save: {_place(path)} has a key {key!r}, expected str or int")
        return {
            "dict": [
                [k, _encoded(v, f"{path}.{k}" if path else str(k), entries)] for k, v in obj.items()
            ]
        }
    if isinstance(obj, (list, tuple)):
        parts = [_encoded(v, f"{path}.{i}" if path else str(i), entries) for i, v in enumerate(obj)]
        return parts if isinstance(obj, list) else {"tuple": parts}
    remedy = "; save its state_dict()" if hasattr(obj, "state_dict") else ""
    raise TypeError(
        f"save: {_place(path)} is a {type(obj).__name__}, expected Tensors, arrays, numbers and "
        f"strings in dicts, lists and tuples{remedy}"
    )


def _place(path: str) -> str:
    return f"the entry {path!r}" if path else "the object"


def _stored(array: Any, path: str, entries: Entries) -> str:
    """Put ``array`` among the entries, under ``path`` or a name like it that is free."""
    if array.dtype.kind not in "fiub":
        raise TypeError(f"save: {_place(path)} is an array of {array.dtype}, expected numbers")
    native = array.dtype.newbyteorder("=")
    host = np.ascontiguousarray(to_device(array, CPU), native).reshape(array.shape)
    name = path.replace("\0", "_").replace("\\", "_") or "tensor"  # zip archives change these
    # NumPy takes "a.npy" for the file that holds the entry "a".
    while name in entries or name in RESERVED or name.endswith(".npy"):
        name += "_"
    entries[name] = host
    return name


def _decoded(node: Any, entries: Entries) -> Any:
    if isinstance(node, list):
        return [_decoded(part, entries) for part in node]
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind == "tensor":
        return Tensor.from_array(entries[value])
    if kind == "array":
        return entries[value]
    if kind == "tuple":
        return tuple(_decoded(part, entries) for part in value)
    if kind == "dict":
        return {key: _decoded(part, entries) for key, part in value}
    raise ValueError(f"unknown kind {kind!r}")


# --------------------------------------------------------------------------------- the formats


def _write_npz(file: BinaryIO, entries: Entries, structure: str) -> None:
    np.savez(file, **{STRUCTURE: np.array(structure)}, **entries)  # type: ignore[arg-type]


def _read_npz(path: Path) -> tuple[Entries, str | None]:
    entries = {}
    with path.open("rb") as packed, np.load(packed, allow_pickle=False) as loaded:
        archive = loaded.zip
        for member in archive.infolist():
            _refuse_bomb(member)
            # By the name of the file: an entry "a.npy" could not be told from "a" otherwise.
            name = member.filename.removesuffix(".npy")
            with archive.open(member) as file:
                entries[name] = np.lib.format.read_array(file, allow_pickle=False)
                if file.read(1):  # at the end, the archive compares its checksum
                    raise ValueError(f"{name!r} holds more bytes than its shape says")
    structure = entries.pop(STRUCTURE, None)
    return entries, None if structure is None else str(structure)


def _refuse_bomb(member: Any) -> None:
    """A member that is small on disk and huge in memory is no checkpoint of anybody's."""
    if member.file_size > 2**26 and member.file_size > 200 * member.compress_size:
        raise ValueError(
            f"{member.filename!r} grows from {member.compress_size} to {member.file_size} bytes"
        )


def _numbers(name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``array`` as this machine orders bytes, if a Tensor can hold it."""
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise ValueError(f"{name!r} is an array of {array.dtype}, expected real numbers")
    native: np.ndarray[Any, Any] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native


def _write_safetensors(file: BinaryIO, entries: Entries, structure: str) -> None:
    metadata = {STRUCTURE: structure, CHECKSUM: _checksum(entries, structure)}
    file.write(_safetensors().save(entries, metadata=metadata))


def _read_safetensors(path: Path) -> tuple[Entries, str | None]:
    with _safetensors().safe_open(path, framework="numpy") as file:
        entries = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata() or {}
    structure = metadata.get(STRUCTURE)
    if metadata.get(CHECKSUM, "") not in ("", _checksum(entries, structure or "")):
        raise ValueError("the numbers are not those that were saved (SHA-256)")
    return entries, structure


def _checksum(entries: Entries, structure: str) -> str:
    """SHA-256 of names, types, shapes, bytes and structure; files of others carry none."""
    digest = hashlib.sha256(structure.encode())
    for name in sorted(entries):
        array = np.ascontiguousarray(entries[name])
        little: Any = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(json.dumps([name, little.dtype.str, array.shape]).encode())
        digest.update(little.tobytes() if not little.size else memoryview(little).cast("B"))
    return digest.hexdigest()


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise ImportError(
            "safetensors is not installed (pip install safetensors); .npz needs nothing more"
        ) from None
    return safetensors.numpy


Write = Callable[[BinaryIO, Entries, str], None]
Read = Callable[[Path], tuple[Entries, str | None]]
FORMATS: dict[str, tuple[Write, Read]] = {
    ".npz": (_write_npz, _read_npz),
    ".safetensors": (_write_safetensors, _read_safetensors),
}


def _format_of(path: str | os.PathLike[str]) -> tuple[Write, Read]:
    ending = Path(path).suffix
    if ending not in FORMATS:
        raise ValueError(
            f"checkpoint: {os.fspath(path)!r} ends in {ending!r}, expected {' or '.join(FORMATS)}"
        )
    return FORMATS[ending]
