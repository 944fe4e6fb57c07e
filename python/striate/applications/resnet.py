"""ResNet-18, 34, 50, 101 and 152.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016 (arXiv:1512.03385),
table 1. Every convolution is followed by batch normalisation, and that by ReLU, but for the last
of a block: there the shortcut is added first. A shortcut is the identity, or where the shape
changes a 1x1 convolution with batch normalisation ("option B").

    stage        18           34           50                101    152    output shape
    conv1        64 kernels 7x7, stride 2                                  112 x 112 x 64
    pool1        max of 3x3, stride 2                                       56 x  56 x 64
    conv2        2 of 3x3 64  3 of 3x3 64  3 of 1x1, 3x3, 1x1   3      3    56 x  56
    conv3        2     x  128 4     x  128 4                    4      8    28 x  28
    conv4        2     x  256 6     x  256 6                   23     36    14 x  14
    conv5        2     x  512 3     x  512 3                    3      3     7 x   7
    predictions  mean of each map, 1000 units, softmax

               trainable parameters         G multiply-accumulates
               "v1", "v1.5"   "keras"       "v1", "keras"   "v1.5"
    ResNet18   11,689,512                    1.814           1.814
    ResNet34   21,797,672                    3.664           3.664
    ResNet50   25,557,032     25,583,592     3.858           4.089
    ResNet101  44,549,160     44,601,832     7.570           7.801
    ResNet152  60,192,808     60,268,520    11.282          11.514

The variants:

    "v1"     the paper's: a bottleneck that halves its maps does so in its first 1x1 convolution.
    "v1.5"   torchvision's: in its 3x3 convolution. ResNet18 and 34 are the same as in "v1".
    "keras"  Keras's ResNet50, 101 and 152: "v1" with biases in the convolutions, which batch
             normalisation makes pointless, and an epsilon of 1.001e-5 there instead of 1e-5. With
             moving statistics 25,636,712, 44,707,176 and 60,419,944 parameters, as Keras counts.

Layers have Keras's names in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from striate.applications import building
from striate.applications.building import Shape, Weights
from striate.errors import ArgumentError
from striate.initializers import GlorotUniform, HeNormal, Initializer, VarianceScaling, Zeros
from striate.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    Input,
    MaxPooling2D,
)
from striate.models import Model

VARIANTS = ("v1", "v1.5", "keras")


@dataclass(frozen=True)
class _Style:
    """What the variants do differently."""

    stride_in_first: bool  # of a bottleneck's convolutions; else in its second
    use_bias: bool
    momentum: float
    epsilon: float
    kernel_initializer: Initializer
    top_initializers: tuple[Initializer, Initializer]  # kernel, bias


_TORCH = VarianceScaling(1 / 3, "fan_in", "uniform")  # +-1 / sqrt(fan_in)
_STYLES = {
    "v1": _Style(True, False, 0.9, 1e-5, HeNormal(), (HeNormal(), Zeros())),
    "v1.5": _Style(False, False, 0.9, 1e-5, VarianceScaling(2.0, "fan_out"), (_TORCH, _TORCH)),
    "keras": _Style(True, True, 0.99, 1.001e-5, GlorotUniform(), (GlorotUniform(), Zeros())),
}

Block = Callable[[Any, str, int, int, _Style], Any]


def ResNet18(
    variant: str = "v1.5",
    classes: int = 1000,
    input_shape: Shape = (224, 224, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "resnet18",
) -> Model:
    """ResNet-18: 11,689,512 trainable parameters, 1.814 G multiply-accumulates.

    Args:
        variant: "v1" or "v1.5", which are the same but for how weights start.
        classes: of the last layer.
        input_shape: (height, width, channels), of any size.
        include_top: False ends at conv5's maps, for features.
        pooling: None, "avg" or "max", of conv5's maps where there is no top.
        classifier_activation: None for logits.
        weights: a model file to take the weights from.

    Raises:
        ArgumentError: no such variant or pooling.
    """
    if variant == "keras":
        raise ArgumentError(f'{name}: Keras has none: variant is "v1" or "v1.5"')
    return _resnet(
        basic_block, (2, 2, 2, 2), variant, classes, input_shape, include_top, pooling,
        classifier_activation, weights, name,
    )  # fmt: skip


def ResNet34(
    variant: str = "v1.5",
    classes: int = 1000,
    input_shape: Shape = (224, 224, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "resnet34",
) -> Model:
    """ResNet-34: 21,797,672 trainable parameters, 3.664 G multiply-accumulates.

    Arguments and errors are ResNet18's.
    """
    if variant == "keras":
        raise ArgumentError(f'{name}: Keras has none: variant is "v1" or "v1.5"')
    return _resnet(
        basic_block, (3, 4, 6, 3), variant, classes, input_shape, include_top, pooling,
        classifier_activation, weights, name,
    )  # fmt: skip


def ResNet50(
    variant: str = "v1.5",
    classes: int = 1000,
    input_shape: Shape = (224, 224, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "resnet50",
) -> Model:
    """ResNet-50: 25,557,032 trainable parameters; 3.858 ("v1") or 4.089 ("v1.5") GMAC.

    Args:
        variant: "v1", "v1.5" or "keras"; see above.
        classes: of the last layer.
        input_shape: (height, width, channels), of any size.
        include_top: False ends at conv5's maps, for features.
        pooling: None, "avg" or "max", of conv5's maps where there is no top.
        classifier_activation: None for logits.
        weights: a model file to take the weights from.

    Raises:
        ArgumentError: no such variant or pooling.
    """
    return _resnet(
        bottleneck_block, (3, 4, 6, 3), variant, classes, input_shape, include_top, pooling,
        classifier_activation, weights, name,
    )  # fmt: skip


def ResNet101(
    variant: str = "v1.5",
    classes: int = 1000,
    input_shape: Shape = (224, 224, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "resnet101",
) -> Model:
    """ResNet-101: 44,549,160 trainable parameters; 7.570 ("v1") or 7.801 ("v1.5") GMAC.

    Arguments and errors are ResNet50's.
    """
    return _resnet(
        bottleneck_block, (3, 4, 23, 3), variant, classes, input_shape, include_top, pooling,
        classifier_activation, weights, name,
    )  # fmt: skip


def ResNet152(
    variant: str = "v1.5",
    classes: int = 1000,
    input_shape: Shape = (224, 224, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "resnet152",
) -> Model:
    """ResNet-152: 60,192,808 trainable parameters; 11.282 ("v1") or 11.514 ("v1.5") GMAC.

    Arguments and errors are ResNet50's.
    """
    return _resnet(
        bottleneck_block, (3, 8, 36, 3), variant, classes, input_shape, include_top, pooling,
        classifier_activation, weights, name,
    )  # fmt: skip


def _resnet(
    block: Block,
    blocks: tuple[int, ...],
    variant: str,
    classes: int,
    input_shape: Shape,
    include_top: bool,
    pooling: str | None,
    classifier_activation: object,
    weights: Weights,
    name: str,
) -> Model:
    building.one_of(name, "variant", variant, VARIANTS)
    building.check(name, classes, pooling)
    style = _STYLES[variant]
    images = Input(shape=building.image_shape(name, input_shape, smallest=1), name="image")
    x = _convolution(images, "conv1", 64, 7, 2, style)
    x = Activation("relu", name="conv1_relu")(x)
    x = MaxPooling2D(3, strides=2, padding=1, name="pool1_pool")(x)
    for stage, count in enumerate(blocks, start=2):
        filters = 64 * 2 ** (stage - 2)
        for number in range(1, count + 1):
            stride = 2 if stage > 2 and number == 1 else 1
            x = block(x, f"conv{stage}_block{number}", filters, stride, style)
    if not include_top:
        return building.finished(images, building.pooled(x, pooling), name, weights)
    x = GlobalAveragePooling2D(name="avg_pool")(x)
    kernel, bias = style.top_initializers
    outputs = Dense(
        classes,
        classifier_activation,
        kernel_initializer=kernel,
        bias_initializer=bias,
        name="predictions",
    )(x)
    return building.finished(images, outputs, name, weights)


def basic_block(x: Any, name: str, filters: int, stride: int, style: _Style) -> Any:
    """Two 3x3 convolutions and the shortcut: figure 5, left."""
    shortcut = _shortcut(x, name, filters, stride, style)
    x = _convolution(x, f"{name}_1", filters, 3, stride, style)
    x = Activation("relu", name=f"{name}_1_relu")(x)
    x = _convolution(x, f"{name}_2", filters, 3, 1, style)
    x = Add(name=f"{name}_add")([shortcut, x])
    return Activation("relu", name=f"{name}_out")(x)


def bottleneck_block(x: Any, name: str, filters: int, stride: int, style: _Style) -> Any:
    """1x1 to fewer maps, 3x3, 1x1 to four times as many, and the shortcut: figure 5, right."""
    first, second = (stride, 1) if style.stride_in_first else (1, stride)
    shortcut = _shortcut(x, name, 4 * filters, stride, style)
    x = _convolution(x, f"{name}_1", filters, 1, first, style)
    x = Activation("relu", name=f"{name}_1_relu")(x)
    x = _convolution(x, f"{name}_2", filters, 3, second, style)
    x = Activation("relu", name=f"{name}_2_relu")(x)
    x = _convolution(x, f"{name}_3", 4 * filters, 1, 1, style)
    x = Add(name=f"{name}_add")([shortcut, x])
    return Activation("relu", name=f"{name}_out")(x)


def _shortcut(x: Any, name: str, filters: int, stride: int, style: _Style) -> Any:
    if stride == 1 and x.shape[-1] == filters:
        return x
    return _convolution(x, f"{name}_0", filters, 1, stride, style)


def _convolution(x: Any, name: str, filters: int, size: int, stride: int, style: _Style) -> Any:
    x = Conv2D(
        filters,
        size,
        strides=stride,
        padding=size // 2,
        use_bias=style.use_bias,
        kernel_initializer=style.kernel_initializer,
        name=f"{name}_conv",
    )(x)
    return BatchNormalization(momentum=style.momentum, epsilon=style.epsilon, name=f"{name}_bn")(x)


def torch_names(layers: Sequence[str]) -> dict[str, str]:
    """torchvision's names of the modules that hold these layers' weights."""
    names = {"conv1_conv": "conv1", "conv1_bn": "bn1", "predictions": "fc"}
    for layer in layers:
        found = re.fullmatch(r"conv([2-5])_block(\d+)_([0-3])_(conv|bn)", layer)
        if not found:
            continue
        stage, block, number, kind = found.groups()
        module = f"layer{int(stage) - 1}.{int(block) - 1}"
        if number == "0":
            names[layer] = f"{module}.downsample.{'0' if kind == 'conv' else '1'}"
        else:
            names[layer] = f"{module}.{kind}{number}"
    return {layer: names[layer] for layer in layers if layer in names}
