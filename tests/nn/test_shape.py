"""Identity and Flatten."""

import numpy as np

import minigrad as mg
from minigrad import nn


def test_identity_passes_its_input_and_takes_any_arguments() -> None:
    x = mg.tensor([1.5])
    assert nn.Identity()(x) is x
    assert nn.Identity(54, bias=False)(x) is x
    assert repr(nn.Identity()) == "Identity()"


def test_flatten_keeps_the_batch() -> None:
    x = mg.tensor(np.arange(24.0).reshape(2, 3, 4))
    assert nn.Flatten()(x).shape == (2, 12)
    np.testing.assert_array_equal(nn.Flatten()(x).numpy()[1], np.arange(12.0, 24.0))
    assert nn.Flatten(0, 1)(x).shape == (6, 4)
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"
