"""The packaged digits, and MNIST's files: found, fetched, and refused when they are damaged."""

import gzip
import hashlib
import struct
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from minigrad.data import images as module
from minigrad.data import load_digits, load_fashion_mnist, load_mnist

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(array: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


@pytest.fixture
def pixels(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    return np.array([3, 1, 4, 1, 9], dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, pixels: np.ndarray, labels: np.ndarray) -> Path:
    """The training part of a tiny MNIST: images packed, labels not."""
    (tmp_path / f"{IMAGES}.gz").write_bytes(gzip.compress(idx(pixels)))
    (tmp_path / LABELS).write_bytes(idx(labels))
    return tmp_path


# ------------------------------------------------------------------------------------------ digits


def test_digits_are_those_of_the_repository() -> None:
    x, y = load_digits()
    assert x.shape == (1797, 8, 8)
    assert x.dtype == np.float32
    assert y.shape == (1797,)
    assert y.dtype == np.int64
    # How many of each digit there are: the table in the description at the repository.
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_are_scaled_from_sixteenths() -> None:
    raw, _ = load_digits(scale=False)
    x, _ = load_digits()
    assert raw.dtype == np.uint8
    assert (raw.min(), raw.max()) == (0, 16)
    np.testing.assert_array_equal(x, raw / 16.0)  # exact: 16 is a power of two


def test_a_flat_digit_is_read_row_by_row() -> None:
    x, _ = load_digits()
    flat, _ = load_digits(flatten=True)
    assert flat.shape == (1797, 64)
    assert flat[17, 8 * 2 + 5] == x[17, 2, 5]


def test_digits_are_the_callers_own() -> None:
    x, y = load_digits()
    x += 1
    y += 1
    again, labels = load_digits()
    assert again.max() == 1
    assert labels.max() == 9


# ---------------------------------------------------------------------------- a folder of the user


@pytest.mark.parametrize("load", [load_mnist, load_fashion_mnist])
def test_reads_a_folder(load: object, folder: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    assert callable(load)
    x, y = load(folder)
    assert x.dtype == np.float32
    assert y.dtype == np.int64
    np.testing.assert_allclose(x, pixels / 255.0, rtol=1e-7)
    np.testing.assert_array_equal(y, labels)


def test_flat_and_unscaled(folder: Path, pixels: np.ndarray) -> None:
    x, _ = load_mnist(str(folder), flatten=True, scale=False)
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(x, pixels.reshape(5, 784))


def test_the_parts_have_files_of_their_own(folder: Path, pixels: np.ndarray) -> None:
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(pixels[3:]))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.uint8([7, 2]))))
    _, y = load_mnist(folder, "test")
    assert y.tolist() == [7, 2]


def test_reads_names_with_a_dot(folder: Path) -> None:
    (folder / LABELS).rename(folder / "train-labels.idx1-ubyte")
    assert len(load_mnist(folder)[1]) == 5


def test_an_unknown_part(folder: Path) -> None:
    with pytest.raises(
        ValueError, match="load_mnist: split is 'valid', expected 'train' or 'test'"
    ):
        load_mnist(folder, "valid")


def test_a_missing_file(folder: Path) -> None:
    (folder / LABELS).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(folder)
    for part in (f"no {LABELS}.gz", str(folder), "root=", "download=True"):
        assert part in str(caught.value)


def test_one_label_too_few(folder: Path, labels: np.ndarray) -> None:
    (folder / LABELS).write_bytes(idx(labels[:4]))
    with pytest.raises(ValueError, match="5 images but 4 labels for 'train'"):
        load_mnist(folder)


def test_a_label_out_of_range(folder: Path) -> None:
    (folder / LABELS).write_bytes(idx(np.uint8([0, 9, 10, 3, 200])))
    with pytest.raises(
        ValueError, match=r"label in row 2 of train-labels.* is 10, expected 0 to 9"
    ):
        load_mnist(folder)


def test_names_mixed_up(folder: Path, pixels: np.ndarray) -> None:
    (folder / LABELS).write_bytes(idx(pixels))
    with pytest.raises(ValueError, match=r"expected \(N, 28, 28\) and \(N,\)"):
        load_mnist(folder)


def test_a_truncated_file_is_named(folder: Path, labels: np.ndarray) -> None:
    (folder / LABELS).write_bytes(idx(labels)[:-1])
    with pytest.raises(ValueError, match=f"{LABELS}: holds 4 bytes of values, expected 5"):
        load_mnist(folder)


def test_without_pooch_a_folder_still_works(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)  # what an import of it then finds
    assert len(load_mnist(folder)[1]) == 5
    with pytest.raises(ModuleNotFoundError, match="pip install pooch"):
        load_mnist()


# --------------------------------------------------------------------------------------- downloads


class Server:
    """A web server in this process that holds a few files and counts the requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                outer.requests.append(name)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(outer.files[name])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.server.server_close()
            self.thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """MNIST as published by a server on this machine: nothing leaves it."""
    pytest.importorskip("pooch", reason="needs pooch (the extra 'data')")
    monkeypatch.setenv("NO_PROXY", "*")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def published(
    server: Server, pixels: np.ndarray, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> Server:
    server.files = {
        f"{IMAGES}.gz": gzip.compress(idx(pixels)),
        f"{LABELS}.gz": gzip.compress(idx(labels)),
    }
    sums = {name: f"md5:{hashlib.md5(data).hexdigest()}" for name, data in server.files.items()}
    monkeypatch.setattr(module, "MNIST", module.Source("mnist", server.url, sums))
    return server


def test_downloads_once(published: Server, tmp_path: Path, labels: np.ndarray) -> None:
    folder = tmp_path / "new" / "folder"
    for _ in range(2):
        _, y = load_mnist(folder, download=True)
        np.testing.assert_array_equal(y, labels)
    assert sorted(published.requests) == [f"{IMAGES}.gz", f"{LABELS}.gz"]
    np.testing.assert_array_equal(load_mnist(folder)[1], labels)


def test_fetches_only_what_is_missing(published: Server, folder: Path) -> None:
    (folder / LABELS).unlink()
    load_mnist(folder, download=True)
    assert published.requests == [f"{LABELS}.gz"]


def test_replaces_what_is_damaged(published: Server, folder: Path, pixels: np.ndarray) -> None:
    target = folder / f"{IMAGES}.gz"
    target.write_bytes(target.read_bytes()[:-10])
    x, _ = load_mnist(folder, download=True, scale=False)
    np.testing.assert_array_equal(x, pixels)
    assert published.requests == [f"{IMAGES}.gz"]


def test_a_folder_of_its_own(
    published: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: np.ndarray
) -> None:
    import pooch

    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / project)
    load_mnist(download=True)
    assert (tmp_path / "minigrad" / "mnist" / f"{LABELS}.gz").is_file()
    np.testing.assert_array_equal(load_mnist()[1], labels)


@pytest.mark.parametrize("spoilt", ["cut off", "error page", "no server"])
def test_a_bad_download_changes_nothing(
    published: Server, folder: Path, labels: np.ndarray, spoilt: str
) -> None:
    """Not even a damaged file of the user, who may yet save something of it."""
    name = f"{LABELS}.gz"
    content = published.files[name]
    published.files[name] = content[:-3] if spoilt == "cut off" else b"<html>try later</html>"
    if spoilt == "no server":
        published.close()
    (folder / LABELS).write_bytes(idx(labels)[:-1])
    (folder / name).write_bytes(content[:-4])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OSError, match="could not be downloaded") as caught:
        load_mnist(folder, download=True)
    assert published.url in str(caught.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("source", [module.MNIST, module.FASHION_MNIST], ids=lambda s: s.name)
def test_every_published_file_has_a_checksum(source: module.Source) -> None:
    assert set(source.checksums) == {name for names in module.FILES.values() for name in names}
    lengths = {"sha256": 64, "md5": 32}
    for checksum in source.checksums.values():
        kind, _, digits = checksum.partition(":")
        assert len(bytes.fromhex(digits)) * 2 == lengths[kind]
    assert source.url.startswith("https://")
    assert source.url.endswith("/")


@pytest.mark.parametrize("shape", [(5, 2, 2), (5, 28, 27), (0, 28, 28), (5, 784)])
def test_pictures_of_another_shape_are_refused(folder: Path, shape: tuple[int, ...]) -> None:
    (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(idx(np.zeros(shape, np.uint8))))
    (folder / LABELS).write_bytes(idx(np.zeros(shape[0], np.uint8)))
    with pytest.raises(ValueError, match=r"holds images of shape .*, expected \(N, 28, 28\)"):
        load_mnist(folder)
