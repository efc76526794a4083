"""A name that is not there: the error names the nearest one that is."""

import pytest

import minigrad as mg
import minigrad.functional as F
from minigrad import nn, optim


@pytest.mark.parametrize(
    ("owner", "name", "nearest"),
    [
        (mg.tensor([1.0]), "argsrt", "argsort"),
        (mg, "einsm", "einsum"),
        (F, "log_sofmax", "log_softmax"),
        (nn, "Conv2D", "Conv2d"),
        (optim, "Adm", "Adam"),
    ],
)
def test_the_nearest_name_is_said(owner: object, name: str, nearest: str) -> None:
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; there is '{nearest}'"):
        getattr(owner, name)


def test_nothing_is_offered_for_what_is_far_away_or_private() -> None:
    for name in ("qqqqqqqq", "__cuda_array_interfac__"):
        with pytest.raises(AttributeError) as caught:
            getattr(mg.tensor([1.0]), name)
        assert "there is" not in str(caught.value)
