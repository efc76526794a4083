"""The third bench: running statistics follow the formula, eval does not look at neighbours."""

import numpy as np
import pytest

from minigrad.lab.train_eval import SAMPLE, chase, share_left


@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_running_statistics_are_the_moving_average(momentum):
    seen = chase(momentum, 8, 25)
    mean, var = 0.0, 1.0
    for i in range(25):
        mean = (1 - momentum) * mean + momentum * seen.batch_mean[i]
        var = (1 - momentum) * var + momentum * seen.batch_var[i]
        assert seen.running_mean[i] == pytest.approx(mean)
        assert seen.running_var[i] == pytest.approx(var)
    assert seen.in_eval == pytest.approx((SAMPLE - mean) / np.sqrt(var + 1e-5))


def test_training_mode_looks_at_the_neighbours_and_refuses_one():
    seen = chase(0.1, 4, 10)
    assert len(set(seen.in_train)) == 3
    assert "has one value per channel" in seen.alone
    assert share_left(0.1, 22) == pytest.approx(0.0985, abs=1e-3)
