"""Checkpoints: what is saved comes back, and what goes wrong loses nothing."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim, serialization
from minigrad.serialization import load, save

ENDINGS = [".npz", ".safetensors"]
endings = pytest.mark.parametrize("ending", ENDINGS)


@pytest.fixture(autouse=True)
def _needs_safetensors(request: pytest.FixtureRequest) -> None:
    if "ending" in request.fixturenames and request.getfixturevalue("ending") == ".safetensors":
        pytest.importorskip("safetensors", reason="the extra io is not installed")


def same(a: object, b: object) -> bool:
    """Equal in kind, type and every number."""
    if type(a) is not type(b):
        return False
    if isinstance(a, mg.Tensor):
        return same(a.detach().numpy(), b.detach().numpy())
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


@endings
def test_everything_comes_back(ending: str, tmp_path: Path, rng) -> None:
    obj = {
        "model": {"0.weight": mg.tensor(rng.normal(size=(3, 2))), "scalar": mg.tensor(2.5)},
        "optim": {"state": {0: {"step": 7, "v": mg.randn(2)}}, "betas": (0.9, 0.999)},
        "list": [1, -2.5, True, None, "text", [], {}, ()],
        "floats": [0.1, 1e-300, math.inf, -math.inf, math.nan],
        "array": np.arange(6, dtype=np.int16).reshape(2, 3),
        "flags": mg.tensor([True, False]),
        "half": mg.tensor(np.array([0.1, 65504], np.float16)),
        "empty": mg.zeros(0, 3),
        "count": mg.tensor(2**40, dtype=mg.int64),
        "nan": mg.tensor([math.nan, math.inf]),
        "names": {"a.b": mg.ones(1), "a": {"b": mg.zeros(1)}, "file": mg.ones(2), "": mg.ones(3),
                  "ä/ö": mg.ones(4), "nul\0": mg.ones(5), "back\\slash": mg.ones(6)},
        1: "a number as a key", "1": "and as text",
    }  # fmt: skip
    path = tmp_path / f"all{ending}"
    save(obj, path)
    assert same(load(path), obj)
    assert os.listdir(tmp_path) == [path.name], "no partial file is left"


@endings
@pytest.mark.parametrize("obj", [mg.ones(2), [mg.ones(2)], 3, None, {}, {"file": mg.ones(1)}])
def test_an_object_need_not_be_a_dict(ending: str, tmp_path: Path, obj: object) -> None:
    save(obj, tmp_path / f"x{ending}")
    assert same(load(tmp_path / f"x{ending}"), obj)


@endings
def test_arrays_that_are_not_in_order_and_numpy_scalars(ending: str, tmp_path: Path) -> None:
    x = np.arange(12.0).reshape(3, 4)
    obj = {
        "t": mg.from_numpy(x).T,
        "step": x[::2, ::-1],
        "big": x.astype(">f8"),
        "n": np.float32(0.1),
    }
    path = str(tmp_path / f"x{ending}")
    save(obj, path)
    back = load(path)
    np.testing.assert_array_equal(back["t"].numpy(), x.T)
    np.testing.assert_array_equal(back["step"], x[::2, ::-1])
    np.testing.assert_array_equal(back["big"], x)
    assert back["big"].dtype == np.float64
    assert type(back["n"]) is float
    assert back["n"] == np.float32(0.1)


@endings
def test_training_goes_on_from_a_checkpoint(ending: str, tmp_path: Path, rng) -> None:
    """A model, its optimiser and its schedule, saved half way: the second half is the same."""
    x, labels = mg.tensor(rng.normal(size=(16, 3)).astype(np.float32)), mg.randint(0, 2, size=16)

    def make() -> tuple:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sigmoid(), nn.Linear(4, 2))
        optimizer = optim.Adam(model.parameters(), lr=0.05)
        return model, optimizer, optim.CosineAnnealingLR(optimizer, T_max=10)

    def train(model, optimizer, schedule) -> float:
        for _ in range(5):
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(x), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
        return loss.item()

    parts = make()
    train(*parts)
    save([part.state_dict() for part in parts], tmp_path / f"run{ending}")
    expected = train(*parts)
    resumed = make()
    for part, state in zip(resumed, load(tmp_path / f"run{ending}"), strict=True):
        part.load_state_dict(state)
    assert train(*resumed) == expected


@endings
def test_loaded_tensors_can_be_changed(ending: str, tmp_path: Path) -> None:
    save({"x": mg.ones(2)}, tmp_path / f"x{ending}")
    tensor = load(tmp_path / f"x{ending}")["x"]
    tensor.add_(1)
    assert tensor.numpy().tolist() == [2, 2]


# ----------------------------------------------------------------------------- other programs


def test_numpy_reads_a_state_dict_under_its_own_names(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    save(model.state_dict(), tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as archive:
        assert set(archive.files) == {"weight", "bias", serialization.STRUCTURE}
        np.testing.assert_array_equal(archive["weight"], model.weight.detach().numpy())
        assert json.loads(str(archive[serialization.STRUCTURE]))


def test_a_file_that_numpy_wrote_is_a_state_dict(tmp_path: Path) -> None:
    weight = np.arange(6.0).reshape(2, 3)
    np.savez(tmp_path / "m.npz", weight=weight, bias=np.array([1, 2], np.float32))
    state = load(tmp_path / "m.npz")
    assert same(state, {"weight": mg.tensor(weight), "bias": mg.tensor([1.0, 2.0])})
    nn.Linear(3, 2).load_state_dict(state)


@pytest.mark.parity
def test_safetensors_files_are_exchanged_with_pytorch(torch, tmp_path: Path) -> None:
    theirs = pytest.importorskip("safetensors.torch", reason="the extra io is not installed")
    path = tmp_path / "m.safetensors"
    ours, other = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    save(ours.state_dict(), path)
    other.load_state_dict(theirs.load_file(path))
    np.testing.assert_array_equal(other.weight.detach().numpy(), ours.weight.detach().numpy())
    theirs.save_file(torch.nn.Linear(3, 2).state_dict(), path)
    ours.load_state_dict(load(path))
    assert np.any(other.weight.detach().numpy() != ours.weight.detach().numpy())


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="compares with PyTorch: make parity")


# -------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (nn.Linear(2, 2), r"the object is a Linear, .*; save its state_dict\(\)"),
        ({"a": [1, {"b": {3}}]}, r"the entry 'a.1.b' is a set, expected Tensors"),
        ({(1, 2): 3}, r"the object has a key \(1, 2\), expected str or int"),
        ({"a": {True: 3}}, "the entry 'a' has a key True"),
        ({"a": np.array(["x"])}, "the entry 'a' is an array of <U1, expected numbers"),
        ({"a": np.array([1j])}, "array of complex128"),
        ({"a": np.array([None])}, "array of object"),
    ],
)
def test_what_cannot_be_saved_is_named_and_the_old_file_stays(
    tmp_path: Path, obj: object, message: str
) -> None:
    path = tmp_path / "x.npz"
    save({"old": 1}, path)
    with pytest.raises(TypeError, match=message):
        save(obj, path)
    assert load(path) == {"old": 1}


@endings
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_an_interrupted_save_leaves_the_old_file(
    ending: str, tmp_path: Path, monkeypatch, moment: str
) -> None:
    path = tmp_path / f"x{ending}"
    save({"old": mg.ones(3)}, path)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, moment, interrupt)
        with pytest.raises(KeyboardInterrupt):
            save({"new": mg.zeros(3)}, path)
    assert same(load(path), {"old": mg.ones(3)})
    assert os.listdir(tmp_path) == [path.name]


@endings
def test_damaged_files_are_errors(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{ending}"
    save({"weight": mg.randn(40, 30), "step": 3}, path)
    whole = path.read_bytes()
    damages = [b"", whole[: len(whole) // 2], whole[:-1], b"nonsense" * 50, b"\0" * 100]
    if ending == ".npz":  # zip archives carry a checksum of each entry
        middle = whole.index(b"weight") + 1000
        damages.append(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    for damaged in damages:
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"load: '.*' is damaged or no checkpoint"):
            load(path)


def test_files_of_another_kind_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        load(path)
    np.savez(path, **{serialization.STRUCTURE: np.array('{"surprise": 1}')})
    with pytest.raises(ValueError, match="unknown kind 'surprise'"):
        load(path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return pytest.fail, ("code from the file was run",)

    np.savez(tmp_path / "x.npz", weight=np.array([Bomb()], dtype=object))
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        load(tmp_path / "x.npz")


def test_missing_files_and_folders_are_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError):
        save({}, tmp_path / "none" / "x.npz")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.npz").symlink_to(tmp_path / "real.npz")
    save({"a": 1}, tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink()
    assert load(tmp_path / "real.npz") == {"a": 1}


@pytest.mark.parametrize("name", ["model.pt", "model", "model.NPY"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    for call in (lambda: save({}, tmp_path / name), lambda: load(tmp_path / name)):
        with pytest.raises(ValueError, match=r"expected .npz or .safetensors"):
            call()


def test_without_safetensors_the_message_says_what_to_install(tmp_path, monkeypatch) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "safetensors.numpy", None)
    for call in (
        lambda: save({}, tmp_path / "x.safetensors"),
        lambda: load(tmp_path / "x.safetensors"),
    ):
        with pytest.raises(ImportError, match=r"pip install safetensors"):
            call()


@endings
def test_names_that_look_like_files_are_not_mixed_up(ending: str, tmp_path: Path) -> None:
    obj = {"a": mg.full((2,), 3.5), "a.npy": mg.full((3,), 7.5), "a.npy_": mg.full((4,), 9.5)}
    path = tmp_path / f"x{ending}"
    save(obj, path)
    assert same(load(path), obj)
    if ending == ".npz":  # other tools find each array under one name, too
        with np.load(path) as archive:
            sizes = sorted(archive[name].size for name in archive.files)
        assert sizes == [1, 2, 3, 4]  # 1: how they nest


def test_a_file_whose_entries_are_named_like_files_loads(tmp_path: Path) -> None:
    arrays = {"a": np.full(2, 3.5), "a.npy": np.full(3, 7.5)}
    np.savez(tmp_path / "x.npz", **arrays)
    loaded = load(tmp_path / "x.npz")
    assert {name: t.numpy().tolist() for name, t in loaded.items()} == {
        name: array.tolist() for name, array in arrays.items()
    }


# ---------------------------------------------------------------- damage, and files of strangers


def flipped(content: bytes, place: int, bit: int) -> bytes:
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


@endings
@pytest.mark.parametrize("tries", [60, pytest.param(3000, marks=pytest.mark.slow)])
def test_one_flipped_bit_gives_an_error_or_the_same_numbers(
    ending: str, tries: int, tmp_path: Path, rng
) -> None:
    state = {"weight": mg.randn(6, 5), "nested": [mg.arange(4), 2.5], "flag": True}
    path = tmp_path / f"x{ending}"
    save(state, path)
    whole = path.read_bytes()
    refused = 0
    for _ in range(tries):
        path.write_bytes(flipped(whole, int(rng.integers(len(whole))), int(rng.integers(8))))
        try:
            loaded = load(path)
        except ValueError:
            refused += 1
        else:
            assert same(loaded, state)  # a bit that nobody reads: a date, padding
    assert refused > tries / 2


def test_a_header_that_says_fewer_numbers_is_damage(tmp_path: Path) -> None:
    """A reader that stops where the shape ends never comes to the checksum."""
    path = tmp_path / "x.npz"
    save({"weight": mg.randn(44)}, path)
    whole = path.read_bytes()
    place = whole.index(b"(44,)")
    path.write_bytes(whole[:place] + b"(14,)" + whole[place + 5 :])
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        load(path)


def test_the_checksum_of_safetensors_is_verified_where_it_is_present(tmp_path: Path) -> None:
    numpy = pytest.importorskip("safetensors.numpy", reason="the extra io is not installed")
    path = tmp_path / "x.safetensors"
    save({"weight": mg.tensor([1.5, -2.5])}, path)
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, len(whole) - 3, 4))
    with pytest.raises(ValueError, match="not those that were saved"):
        load(path)
    numpy.save_file({"weight": np.array([1.5, -2.5])}, path)  # of another program
    assert load(path)["weight"].tolist() == [1.5, -2.5]


@pytest.mark.parametrize(
    "array",
    [
        np.array([b"ab", b"cd"]),
        np.array(["ab", "cd"]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([1 + 2j, 3j]),
        np.array(["2026-01-02"], dtype="datetime64[D]"),
        np.array([1.5], dtype=np.longdouble),
    ],
    ids=lambda array: str(array.dtype.kind),
)
def test_what_a_tensor_cannot_hold_is_refused(array, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, odd=array)
    with pytest.raises(ValueError, match=r"'odd' is an array of .*, expected real numbers"):
        load(path)


def test_a_small_file_that_grows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, zeros=np.zeros(2**24))
    assert path.stat().st_size < 2**18
    with pytest.raises(ValueError, match=r"'zeros\.npy' grows from"):
        load(path)


def test_a_lack_of_memory_is_not_called_damage(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "x.npz"
    save({"a": mg.ones(3)}, path)

    def lack(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np.lib.format, "read_array", lack)
    with pytest.raises(MemoryError):
        load(path)


def test_an_old_state_without_the_number_of_batches_loads(rng) -> None:
    """PyTorch's BatchNorm of before 0.4.1 had no such entry, and its successor loads it."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    state = {
        name: rng.normal(size=t.shape).astype(np.float32) ** 2
        for name, t in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert model.load_state_dict(state) == ([], [])
    np.testing.assert_array_equal(model[1].running_var.numpy(), state["1.running_var"])
    assert model[1].num_batches_tracked.item() == 0
    del state["1.running_mean"]
    with pytest.raises(ValueError, match=r"missing: '1\.running_mean'$"):
        model.load_state_dict(state)
