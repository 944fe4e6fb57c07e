"""The LeNet-5 parity case: start weights, batches and optimizers, from fixed formulas and NumPy.

The maker of the golden file, the comparison with it and the live comparison with PyTorch all take
their numbers from here. Layout is striate's: images NHWC, convolutions HWIO, dense layers [I, O].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

CLASSES = 10
STEPS = 10

# name, shape, and a power of two that bounds it: for kernels near He's bound, sqrt(6 / fan_in)
PARAMETERS: tuple[tuple[str, tuple[int, ...], float], ...] = (
    ("c1/kernel", (5, 5, 1, 6), 2.0**-1),
    ("c1/bias", (6,), 2.0**-4),
    ("c3/kernel", (5, 5, 6, 16), 2.0**-2),
    ("c3/bias", (16,), 2.0**-4),
    ("c5/kernel", (400, 120), 2.0**-3),
    ("c5/bias", (120,), 2.0**-4),
    ("f6/kernel", (120, 84), 2.0**-2),
    ("f6/bias", (84,), 2.0**-4),
    ("output/kernel", (84, 10), 2.0**-2),
    ("output/bias", (10,), 2.0**-4),
)


def philox(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def start_weights(seed: int) -> list[Array]:
    """bound * k / 2048, k uniform in {-2048..2047}: exact in float32, small when compressed."""
    random = philox(seed)
    weights = []
    for _, shape, bound in PARAMETERS:
        k = random.integers(-2048, 2048, size=shape)
        weights.append((k * (bound / 2048)).astype(np.float32))
    return weights


def batch(samples: int, seed: int) -> tuple[Array, NDArray[np.int64]]:
    """Images in [0, 1) in steps of 1/256, half a pattern of their class and half noise.

    Noise everywhere: between two equal inputs of a max pool, which one takes the gradient is open.
    """
    random = philox(seed)
    patterns = random.integers(0, 128, size=(CLASSES, 28, 28, 1))
    labels = random.integers(0, CLASSES, size=samples)
    noise = random.integers(0, 128, size=(samples, 28, 28, 1))
    return ((patterns[labels] + noise) / 256).astype(np.float32), labels.astype(np.int64)


@dataclass(frozen=True)
class OptimizerCase:
    """An optimizer by its Keras class name and arguments."""

    rule: str
    options: dict[str, float | bool]


OPTIMIZERS: dict[str, OptimizerCase] = {
    "sgd": OptimizerCase("SGD", {"learning_rate": 0.05}),
    "momentum": OptimizerCase("SGD", {"learning_rate": 0.01, "momentum": 0.9}),
    "nesterov": OptimizerCase("SGD", {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True}),
    "adam": OptimizerCase("Adam", {"learning_rate": 1e-3, "epsilon": 1e-7}),
    "adamw": OptimizerCase("AdamW", {"learning_rate": 1e-3, "epsilon": 1e-7, "weight_decay": 4e-3}),
    "rmsprop": OptimizerCase("RMSprop", {"learning_rate": 1e-3, "rho": 0.9, "epsilon": 1e-7}),
}


def relative_l2(got: NDArray[np.floating], want: NDArray[np.floating]) -> float:
    """||got - want|| / ||want||, computed in float64; 0 where both are zero."""
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    difference = float(np.linalg.norm(got.astype(np.float64) - want.astype(np.float64)))
    if difference == 0.0:
        return 0.0
    return difference / max(float(np.linalg.norm(want.astype(np.float64))), 1e-30)


SKETCH_ABOVE = 4096
SKETCH_STRIDE = 13


def sketch(tensor: NDArray[np.floating]) -> NDArray[np.floating]:
    """What a golden file keeps of a tensor: all of a small one; of a large one every 13th element
    and the sums along each axis, which every other element enters."""
    if tensor.size <= SKETCH_ABOVE:
        return tensor
    wide = tensor.astype(np.float64)
    sums = [wide.sum(axis=axis).ravel() for axis in range(wide.ndim)]
    return np.concatenate([wide.ravel()[::SKETCH_STRIDE], *sums]).astype(tensor.dtype)
