"""ResNet-20, 32, 44, 56 and 110 for images of CIFAR's size.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016 (arXiv:1512.03385),
section 4.2. 6n + 2 layers with weights; every convolution is 3x3, without bias, and followed by
batch normalisation.

    stage        what it does                               output shape
    conv1        16 kernels                                 32 x 32 x 16
    stage1       n blocks of two convolutions, 16 kernels   32 x 32 x 16
    stage2       n blocks of 32 kernels, the first stride 2 16 x 16 x 32
    stage3       n blocks of 64 kernels, the first stride 2  8 x  8 x 64
    predictions  mean of each map, 10 units, softmax

                n   trainable parameters   M multiply-accumulates
    ResNet20    3        269,722                 40.55
    ResNet32    5        464,154                 68.86
    ResNet44    7        658,586                 97.17
    ResNet56    9        853,018                125.5
    ResNet110  18      1,727,962                252.9

Shortcuts have no weights ("option A"): where a stage begins, every second pixel of every second row
is taken, and maps of zeros make up the number, half before and half behind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from striate.applications import building
from striate.applications.building import Shape, Weights
from striate.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
    Permute,
    ZeroPadding2D,
)
from striate.models import Model


def ResNet20(
    classes: int = 10,
    input_shape: Shape = (32, 32, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "resnet20",
) -> Model:
    """ResNet-20: 269,722 trainable parameters; the paper's has 8.75 % errors on CIFAR-10.

    Args:
        classes: of the last layer.
        input_shape: (height, width, channels), of any size.
        include_top: False ends at stage3's maps, for features.
        pooling: None, "avg" or "max", of stage3's maps where there is no top.
        classifier_activation: None for logits.
        weights: a model file to take the weights from.

    Raises:
        ArgumentError: no such pooling.
    """
    return _resnet(
        3, classes, input_shape, include_top, pooling, classifier_activation, weights, name
    )


def ResNet32(
    classes: int = 10,
    input_shape: Shape = (32, 32, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "resnet32",
) -> Model:
    """ResNet-32: 464,154 trainable parameters; the paper's has 7.51 % errors on CIFAR-10.

    Arguments and errors are ResNet20's.
    """
    return _resnet(
        5, classes, input_shape, include_top, pooling, classifier_activation, weights, name
    )


def ResNet44(
    classes: int = 10,
    input_shape: Shape = (32, 32, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "resnet44",
) -> Model:
    """ResNet-44: 658,586 trainable parameters; the paper's has 7.17 % errors on CIFAR-10.

    Arguments and errors are ResNet20's.
    """
    return _resnet(
        7, classes, input_shape, include_top, pooling, classifier_activation, weights, name
    )


def ResNet56(
    classes: int = 10,
    input_shape: Shape = (32, 32, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "resnet56",
) -> Model:
    """ResNet-56: 853,018 trainable parameters; the paper's has 6.97 % errors on CIFAR-10.

    Arguments and errors are ResNet20's.
    """
    return _resnet(
        9, classes, input_shape, include_top, pooling, classifier_activation, weights, name
    )


def ResNet110(
    classes: int = 10,
    input_shape: Shape = (32, 32, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "resnet110",
) -> Model:
    """ResNet-110: 1,727,962 trainable parameters; the paper's has 6.43 % errors on CIFAR-10.

    Arguments and errors are ResNet20's.
    """
    return _resnet(
        18, classes, input_shape, include_top, pooling, classifier_activation, weights, name
    )


def _resnet(
    blocks: int,
    classes: int,
    input_shape: Shape,
    include_top: bool,
    pooling: str | None,
    classifier_activation: object,
    weights: Weights,
    name: str,
) -> Model:
    building.check(name, classes, pooling)
    images = Input(shape=building.image_shape(name, input_shape, smallest=1), name="image")
    x = _convolution(images, "conv1", 16, 1)
    x = Activation("relu", name="conv1_relu")(x)
    for stage, filters in enumerate((16, 32, 64), start=1):
        for number in range(1, blocks + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            x = block(x, f"stage{stage}_block{number}", filters, stride)
    if include_top:
        x = GlobalAveragePooling2D(name="avg_pool")(x)
        outputs = Dense(
            classes, classifier_activation, kernel_initializer="he_normal", name="predictions"
        )(x)
    else:
        outputs = building.pooled(x, pooling)
    return building.finished(images, outputs, name, weights)


def block(x: Any, name: str, filters: int, stride: int) -> Any:
    """Two 3x3 convolutions and a shortcut without weights."""
    shortcut = x if stride == 1 else _shortcut(x, name, filters)
    x = _convolution(x, f"{name}_1", filters, stride)
    x = Activation("relu", name=f"{name}_1_relu")(x)
    x = _convolution(x, f"{name}_2", filters, 1)
    x = Add(name=f"{name}_add")([shortcut, x])
    return Activation("relu", name=f"{name}_out")(x)


def _shortcut(x: Any, name: str, filters: int) -> Any:
    """Every second pixel, and zeros for the maps that are missing: (H, W, C) -> (H/2, W/2, 2C)."""
    missing = filters - x.shape[-1]
    sides = (missing // 2, missing - missing // 2)
    x = MaxPooling2D(1, strides=2, name=f"{name}_0_pool")(x)
    x = Permute((1, 3, 2), name=f"{name}_0_maps_as_columns")(x)
    x = ZeroPadding2D(((0, 0), sides), name=f"{name}_0_pad")(x)
    return Permute((1, 3, 2), name=f"{name}_0_columns_as_maps")(x)


def _convolution(x: Any, name: str, filters: int, stride: int) -> Any:
    x = Conv2D(
        filters,
        3,
        strides=stride,
        padding=1,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)


def torch_names(layers: Sequence[str]) -> dict[str, str]:
    """The names that PyTorch implementations in torchvision's style give these layers' modules."""
    names = {"conv1_conv": "conv1", "conv1_bn": "bn1", "predictions": "linear"}
    for layer in layers:
        found = re.fullmatch(r"stage([1-3])_block(\d+)_([12])_(conv|bn)", layer)
        if found:
            stage, number, part, kind = found.groups()
            names[layer] = f"layer{stage}.{int(number) - 1}.{kind}{part}"
    return {layer: names[layer] for layer in layers if layer in names}
