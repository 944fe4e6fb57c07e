"""A small network that learns CIFAR-10 in few passes.

Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", 2024 (arXiv:2404.00498), after Page,
"How to train your ResNet", 2018.

    layer        what it does                               output shape    trainable parameters
    whiten       24 kernels 2x2 with biases, GELU           31 x 31 x 24               312
    block1       64 kernels, pool, 64 kernels               15 x 15 x 64            50,816
    block2       256 kernels, pool, 256 kernels              7 x 7 x 256           737,792
    block3       256 kernels, pool, 256 kernels              3 x 3 x 256         1,180,160
    top_pool     the largest value of each map              256
    predictions  10 units without biases, divided by nine   10                       2,560

A block: a 3x3 convolution, a 2x2 max pool, and another 3x3 convolution, both without biases and
followed by batch normalisation without scale, and GELU. Each convolution begins by passing its
inputs on (initializers.Dirac); only filters beyond their number are drawn. In all 1,971,640
trainable parameters; 312 fewer once `whiten` has fixed the first layer: its kernels are then the
principal directions of 2x2 patches, scaled so that each one's response has variance 1, and the same
with the sign turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from striate.applications import building
from striate.applications.building import Shape, Weights
from striate.errors import ArgumentError
from striate.initializers import Dirac
from striate.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalMaxPooling2D,
    Input,
    MaxPooling2D,
    Rescaling,
)
from striate.models import Model


def CifarNet(
    widths: Sequence[int] = (64, 256, 256),
    classes: int = 10,
    input_shape: Shape = (32, 32, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "cifarnet",
) -> Model:
    """The network of the table above; train it after `cifar_net.whiten(model, images)`.

    Args:
        widths: kernels of the convolutions of each block.
        classes: of the last layer.
        input_shape: (height, width, channels), at least 9x9 with three blocks.
        include_top: False ends at the last block's maps, for features.
        pooling: None, "avg" or "max", of those maps where there is no top.
        classifier_activation: None for logits.
        weights: a model file to take the weights from.

    Raises:
        ArgumentError: no width, or no such pooling.
        ShapeError: images that are too small.
    """
    building.check(name, classes, pooling)
    if not widths:
        raise ArgumentError(f"{name}: widths has no block")
    shape = building.image_shape(name, input_shape, smallest=2 ** len(widths) + 1)
    images = Input(shape=shape, name="image")
    kernels = 2 * 4 * shape[2]  # every direction of a 2x2 patch, and its opposite
    x = Conv2D(kernels, 2, activation="gelu", name="whiten")(images)
    for number, width in enumerate(widths, start=1):
        x = block(x, f"block{number}", width)
    if include_top:
        x = GlobalMaxPooling2D(name="top_pool")(x)
        x = Dense(classes, use_bias=False, name="predictions")(x)
        # The largest of nine numbers that are sums over 256 maps.
        x = Rescaling(1 / 9, name="ninth")(x)
        outputs = Activation(classifier_activation or "linear", name="probabilities")(x)
    else:
        outputs = building.pooled(x, pooling)
    return building.finished(images, outputs, name, weights)


def block(x: Any, name: str, width: int) -> Any:
    """Two 3x3 convolutions with a 2x2 max pool between: (H, W, C) -> (H/2, W/2, width)."""
    for part in (1, 2):
        x = Conv2D(
            width, 3, padding=1, use_bias=False, kernel_initializer=Dirac(),
            name=f"{name}_{part}_conv",
        )(x)  # fmt: skip
        if part == 1:
            x = MaxPooling2D(name=f"{name}_pool")(x)
        x = BatchNormalization(momentum=0.6, epsilon=1e-5, scale=False, name=f"{name}_{part}_bn")(x)
        x = Activation("gelu", name=f"{name}_{part}_gelu")(x)
    return x


def whiten(model: Model, images: ArrayLike, regularizer: float = 5e-2) -> None:
    """Makes the first convolution the whitening of 2x2 patches of these images, and freezes it.

    Args:
        model: a CifarNet, or one with layers in front that prepare its images.
        images: [N, H, W, C] as the model takes them; a few thousand are enough.
        regularizer: added to the variances of the directions, which keeps those that hardly occur
            from being blown up. Jordan has 5e-4; in JPEG files half of the directions are little
            but noise (their colours are stored at half the resolution), and so learn better.
    """
    layer = model.get_layer("whiten")
    x = np.asarray(images, np.float32)
    if layer.input is not model.inputs[0]:
        x = Model(model.inputs, layer.input).predict(x, verbose=0)
    height, width, channels = x.shape[1:]
    size = 4 * channels
    corners = [x[:, i : height - 1 + i, j : width - 1 + j] for i in (0, 1) for j in (0, 1)]
    patches = np.concatenate(corners, axis=-1).reshape(-1, size).astype(np.float64)
    variances, directions = np.linalg.eigh(patches.T @ patches / len(patches))
    kernels = directions / np.sqrt(variances + regularizer)  # [patch][kernel]
    kernels = np.concatenate([kernels, -kernels], axis=1).reshape(2, 2, channels, 2 * size)
    layer.set_weights([kernels.astype(np.float32), np.zeros(2 * size, np.float32)])
    layer.trainable = False
