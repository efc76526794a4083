"""What an operation returns may be written to: then the gradient is still right, or refused."""

import numpy as np
import pytest

import minigrad as mg
from tests.test_devices import OPERATIONS, drawn

CASES = {
    **OPERATIONS,
    "batch_norm, bare": (lambda x: mg.batch_norm(x, None, None, training=True), (drawn(6, 4),)),
    "layer_norm, bare": (lambda x: mg.layer_norm(x, (4,)), (drawn(6, 4),)),
    "group_norm, bare": (lambda x: mg.group_norm(x, 2), (drawn(6, 4),)),
    "rms_norm, bare": (lambda x: mg.rms_norm(x, 4), (drawn(6, 4),)),
}


@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "rules"])
@pytest.mark.parametrize("name", CASES)
def test_a_write_to_the_output_is_no_wrong_gradient(
    name: str, kernels: bool, rng: np.random.Generator
) -> None:
    function, shapes = CASES[name]
    arrays = [rng.uniform(low, high, shape) for shape, low, high in shapes]

    def gradients(write: bool) -> list[np.ndarray]:
        mg.manual_seed(3)
        inputs = [mg.tensor(a, requires_grad=True) for a in arrays]
        with mg.use_kernels(kernels):
            y = function(*inputs)
            seed = mg.tensor(np.random.default_rng(1).normal(size=y.shape))
            if write:
                with mg.no_grad():
                    y.mul_(-3.0).add_(0.7)
            return [g.numpy() for g in mg.grad(y, inputs, seed)]

    expected = gradients(write=False)
    try:
        found = gradients(write=True)
    except RuntimeError as error:
        refused = str(error)
    else:
        refused = None
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    assert refused is None or "changed in place" in refused
