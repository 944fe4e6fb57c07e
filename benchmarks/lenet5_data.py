"""What LeNet-5's benchmarks train on and start from: MNIST, or random images of its shape."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]  # [N, 28, 28, 1] in [0, 1]
Labels = NDArray[np.int64]

# Kernels [H, W, I, O] or [in, out], where c5's inputs are a flattened [5, 5, 16].
KERNELS = {
    "c1": (5, 5, 1, 6),
    "c3": (5, 5, 6, 16),
    "c5": (400, 120),
    "f6": (120, 84),
    "output": (84, 10),
}


def load(data: str | None, images: int) -> tuple[Images, Labels, str]:
    """The first `images` images, their labels, and what they are.

    MNIST from the folder `data` (an error if it isn't there), else from where striate.datasets
    finds it, else synthetic images, which "synthetic" asks for: the speed is nearly the same, since
    nothing in training depends on the pixels but which units a ReLU switches off.
    """
    if data == "synthetic":
        return _synthetic(images)
    try:
        from striate.datasets import mnist

        (x, y), _ = mnist.load_data(data)
    except Exception as error:
        if data is not None:
            raise
        print(f"no MNIST ({type(error).__name__}), synthetic images instead; see --data")
        return _synthetic(images)
    return *_as_numbers(x[:images], y[:images]), "MNIST, training set"


def _synthetic(images: int) -> tuple[Images, Labels, str]:
    random = np.random.Generator(np.random.Philox(1998))
    x = random.integers(0, 256, size=(images, 28, 28), dtype=np.uint8)
    y = random.integers(0, 10, size=images, dtype=np.uint8)
    return *_as_numbers(x, y), "synthetic: uniformly random pixels and labels"


def _as_numbers(x: NDArray[np.uint8], y: NDArray[np.uint8]) -> tuple[Images, Labels]:
    return (x[..., np.newaxis] / np.float32(255)).astype(np.float32), y.astype(np.int64)


def weights() -> dict[str, NDArray[np.float32]]:
    """{"c1/kernel": .., "c1/bias": ..}: He's normal kernels, small biases."""
    random = np.random.Generator(np.random.Philox(1998))
    values = {}
    for name, shape in KERNELS.items():
        fan_in = np.prod(shape[:-1])
        kernel = random.standard_normal(shape) * np.sqrt(2 / fan_in)
        values[f"{name}/kernel"] = kernel.astype(np.float32)
        values[f"{name}/bias"] = random.uniform(-0.1, 0.1, shape[-1:]).astype(np.float32)
    return values


def save(folder: Path, x: Images, y: Labels) -> None:
    """Where the workers load them from, and the weights that all start from."""
    np.save(folder / "images.npy", x)
    np.save(folder / "labels.npy", y)
    np.savez(folder / "weights.npz", allow_pickle=False, **weights())


def folder_named(argument: str | None) -> str | None:
    return argument or os.environ.get("STRIATE_DATA")
