"""Batches that stay in memory, the same in every peer, and the networks that they are for."""

import numpy as np
from numpy.typing import NDArray

CIFAR_RESNETS = ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110")


def sample_shape(network: str, side: int = 224) -> tuple[int, int, int]:
    """(height, width, channels); side: of the deep networks' images."""
    if network == "lenet5":
        return 28, 28, 1
    return (32, 32, 3) if network in CIFAR_RESNETS else (side, side, 3)


def classes_of(network: str) -> int:
    return 10 if network == "lenet5" or network in CIFAR_RESNETS else 1000


def random_batch(
    network: str, batch: int, side: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Normalised images [batch, H, W, C] and labels [batch]."""
    random = np.random.Generator(np.random.Philox(2015))
    shape = (batch, *sample_shape(network, side))
    images = random.standard_normal(shape, dtype=np.float32)
    return images, random.integers(0, classes_of(network), batch)
