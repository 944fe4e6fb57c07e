"""The images that LeNet-5's benchmarks train on: MNIST, or random ones of its shape."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]  # [N, 28, 28, 1] in [0, 1]
Labels = NDArray[np.int64]


def load(data: str | None, images: int) -> tuple[Images, Labels, str]:
    """The first `images` images, their labels, and what they are.

    MNIST from the folder `data` (an error if it isn't there), else from where striate.datasets
    finds it, else synthetic images: the speed is nearly the same, since nothing in training
    depends on the pixels but which units a ReLU switches off.
    """
    try:
        from striate.datasets import mnist

        (x, y), _ = mnist.load_data(data)
        what = "MNIST, training set"
    except Exception as error:
        if data is not None:
            raise
        print(f"no MNIST ({type(error).__name__}), synthetic images instead; see --data")
        random = np.random.Generator(np.random.Philox(1998))
        x = random.integers(0, 256, size=(60_000, 28, 28), dtype=np.uint8)
        y = random.integers(0, 10, size=60_000, dtype=np.uint8)
        what = "synthetic: uniformly random pixels and labels"
    x, y = x[:images], y[:images]
    return (x[..., np.newaxis] / np.float32(255)).astype(np.float32), y.astype(np.int64), what


def save(folder: Path, x: Images, y: Labels) -> None:
    """Where the workers load them from."""
    np.save(folder / "images.npy", x)
    np.save(folder / "labels.npy", y)


def folder_named(argument: str | None) -> str | None:
    return argument or os.environ.get("STRIATE_DATA")
