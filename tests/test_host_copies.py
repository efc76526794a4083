"""Labels and indices on a GPU are checked against what the host remembers of them."""

import gc

import numpy as np
import pytest

import minigrad as mg
from minigrad import functional as F
from minigrad.backend import host_copies
from tests.devices import strict
from tests.strict_cupy.stand_in import no_sync
from tests.test_devices import Network, batch

__all__ = ["strict"]  # a fixture


@pytest.fixture(autouse=True)
def _(strict: str) -> None:
    """On the stand-in."""


def test_a_training_step_does_not_wait_for_the_device() -> None:
    net, (x, labels) = Network("cuda"), batch("cuda")
    with no_sync():
        loss = net.step(x, labels)
    assert 0 < loss.item() < 10


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"reduction": "sum"}])
def test_the_losses_of_labels_do_not_wait_for_the_device(options: dict[str, object]) -> None:
    logits = mg.randn(3, 4, device="cuda").requires_grad_()
    labels = mg.tensor([0, -100, 3]).to("cuda")
    with no_sync():
        F.cross_entropy(logits, labels, **options).backward()
        F.nll_loss(logits.log_softmax(1), labels).backward()
        F.embedding(mg.arange(4, device="cuda"), logits.detach().T)
        logits[[0, 2]].sum().backward()


def test_a_label_that_does_not_exist_is_found() -> None:
    logits = mg.randn(3, 4, device="cuda")
    with pytest.raises(IndexError, match=r"a label is 4 \(at position \(1,\)\)"):
        F.cross_entropy(logits, mg.tensor([0, 4, 3], device="cuda"))


@pytest.mark.parametrize("change", ["setitem", "fill_", "through a view"])
def test_labels_changed_in_place_are_looked_at_again(change: str) -> None:
    labels = mg.tensor([0, 1, 3], device="cuda")
    if change == "setitem":
        labels[1] = 9
    elif change == "fill_":
        labels.fill_(9)
    else:
        labels[1:].fill_(9)
    with pytest.raises(IndexError, match="a label is 9"):
        F.cross_entropy(mg.randn(3, 4, device="cuda"), labels)


def test_the_host_array_may_change_afterwards() -> None:
    here = np.array([0, 1, 3])
    labels = mg.from_numpy(here).to("cuda")
    here[:] = 77
    F.cross_entropy(mg.randn(3, 4, device="cuda"), labels)


@pytest.mark.parametrize("index", [[0, 3], ([0, 1], [0, -5]), (slice(None), [4])])
def test_an_index_that_does_not_exist_is_found(index: object) -> None:
    x = mg.randn(3, 4, device="cuda")
    with pytest.raises(IndexError, match="index: got"):
        x[index]
    with pytest.raises(IndexError, match="index: got"):
        x[index] = 0.0


def test_an_index_computed_on_the_device_is_checked_too() -> None:
    x, far = mg.randn(3, 4, device="cuda"), mg.tensor([1, 2], device="cuda") + 1
    with pytest.raises(IndexError, match="index: got"):
        x[far]


def test_nothing_is_remembered_of_labels_that_are_gone() -> None:
    gc.collect()
    before = len(host_copies.host_copies)
    labels = mg.tensor([0, 1, 3], device="cuda")
    assert len(host_copies.host_copies) == before + 1
    del labels
    assert len(host_copies.host_copies) == before
