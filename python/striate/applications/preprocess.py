"""Pixels as the published networks were fed them.

    mode     what is done to RGB in 0 .. 255                 who was trained so
    "torch"  (x / 255 - mean) / deviation, by channel        torchvision's networks
    "caffe"  RGB to BGR, minus the mean of each channel      VGG, Keras's ResNet50/101/152
    "tf"     x / 127.5 - 1                                   torchvision's GoogLeNet weights

torchvision feeds GoogLeNet "torch" images and undoes it inside (transform_input): the two together
are "tf".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate.errors import ArgumentError, ShapeError

# ImageNet's statistics as torchvision uses them, RGB in 0 .. 1.
TORCH_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
TORCH_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
# ImageNet's mean pixel as Caffe's networks use it, BGR in 0 .. 255.
CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)


def _torch(x: NDArray[np.float32]) -> NDArray[np.float32]:
    y: NDArray[np.float32] = (x / np.float32(255) - TORCH_MEAN) / TORCH_DEVIATION
    return y


def _caffe(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(x[..., ::-1]) - CAFFE_MEAN


def _tf(x: NDArray[np.float32]) -> NDArray[np.float32]:
    y: NDArray[np.float32] = x / np.float32(127.5) - np.float32(1)
    return y


MODES: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "torch": _torch,
    "caffe": _caffe,
    "tf": _tf,
}


def preprocess_input(x: ArrayLike, mode: str = "caffe") -> NDArray[np.float32]:
    """RGB images in 0 .. 255, (N, H, W, 3) or (H, W, 3), -> float32 of the same shape; `x` is kept.

    Args:
        mode: "torch", "caffe" or "tf"; see the table above. Keras's default is "caffe".

    Raises:
        ArgumentError: no such mode.
        ShapeError: the last axis is not the three colours.
    """
    if mode not in MODES:
        raise ArgumentError(
            f"preprocess_input: mode is one of {', '.join(map(repr, MODES))}, got {mode!r}"
        )
    images = np.asarray(x)
    if images.ndim not in (3, 4) or images.shape[-1] != 3:
        raise ShapeError(
            f"preprocess_input: takes RGB images (N, H, W, 3) or (H, W, 3), got {images.shape}"
        )
    return MODES[mode](images.astype(np.float32))
