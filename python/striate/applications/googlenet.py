"""GoogLeNet, Inception v1: the network of 2014, and torchvision's.

Szegedy et al., "Going deeper with convolutions", CVPR 2015 (arXiv:1409.4842), table 1; what the
table leaves open is Caffe's: pools round their output sizes up, response normalisation over 5 maps.

    layer              what it does                    output shape
    conv1              64 kernels 7x7, stride 2        112 x 112 x   64
    pool1              max of 3x3, stride 2             56 x  56 x   64
    conv2              64 kernels 1x1                   56 x  56 x   64
    conv3              192 kernels 3x3                  56 x  56 x  192
    pool2              max of 3x3, stride 2             28 x  28 x  192
    inception_3a, 3b                                    28 x  28 x  480
    pool3              max of 3x3, stride 2             14 x  14 x  480
    inception_4a .. 4e                                  14 x  14 x  832
    pool4              max of 3x3, stride 2              7 x   7 x  832
    inception_5a, 5b                                     7 x   7 x 1024
    avg_pool           mean of each map                            1024
    predictions        1000 units, softmax                         1000

                                     "2014"        "torchvision"
    after conv3 and around conv2     LRN           -
    each convolution                 with bias     without, then batch normalisation
    the module's widest kernels      5x5           3x3 (a slip that its weights were trained with)
    pool4                            3x3           2x2
    auxiliary heads                  mean of 5x5,  means of 4x4 parts
                                     stride 3
    dropout before predictions       0.4           0.2
    parameters                        6,998,552     6,624,904 (trainable)
    with auxiliary heads             13,378,280    13,004,888 (trainable)
    G multiply-accumulates, no heads  1.583         1.498

The two auxiliary heads, after 4a and 4d, bring gradients to the middle of the network. They are
outputs "aux1" and "aux2" after the main one. Their losses count 0.3 each:

    model.compile("sgd", "sparse_categorical_crossentropy", loss_weights=[1.0, 0.3, 0.3])

The paper drops them at test time: Model(model.input, model.outputs[0]) is the network without them
and with the same weights. torchvision returns them in the opposite order (logits, aux2, aux1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from striate.applications import building
from striate.applications.building import Shape, Weights
from striate.applications.preprocess import TORCH_DEVIATION, TORCH_MEAN
from striate.errors import ArgumentError
from striate.initializers import (
    GlorotUniform,
    Initializer,
    RandomNormal,
    VarianceScaling,
    Zeros,
)
from striate.layers import (
    Activation,
    AdaptiveAveragePooling2D,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    LocalResponseNormalization,
    MaxPooling2D,
    Rescaling,
)
from striate.models import Model

VARIANTS = ("2014", "torchvision")


class Widths(NamedTuple):
    """A row of table 1: how many kernels each branch of a module has."""

    ones: int
    threes_reduce: int
    threes: int
    fives_reduce: int
    fives: int
    pool_proj: int


TABLE_1 = {
    "3a": Widths(64, 96, 128, 16, 32, 32),
    "3b": Widths(128, 128, 192, 32, 96, 64),
    "4a": Widths(192, 96, 208, 16, 48, 64),
    "4b": Widths(160, 112, 224, 24, 64, 64),
    "4c": Widths(128, 128, 256, 24, 64, 64),
    "4d": Widths(112, 144, 288, 32, 64, 64),
    "4e": Widths(256, 160, 320, 32, 128, 128),
    "5a": Widths(256, 160, 320, 32, 128, 128),
    "5b": Widths(384, 192, 384, 48, 128, 128),
}


@dataclass(frozen=True)
class _Style:
    """What the variants do differently."""

    batch_norm: bool  # without biases; else biases, and response normalisation in the stem
    wide: int  # side of the kernels that table 1 calls 5x5
    pool4: int
    dropout: float
    smallest: int
    smallest_with_heads: int
    kernel_initializer: Initializer
    bias_initializer: Initializer


_STYLES = {
    # The paper does not say how weights start.
    "2014": _Style(False, 5, 3, 0.4, 31, 79, GlorotUniform(), Zeros()),
    # PyTorch's default for biases is uniform in +-1 / sqrt(fan_in).
    "torchvision": _Style(
        True,
        3,
        2,
        0.2,
        15,
        15,
        RandomNormal(0.0, 0.01),
        VarianceScaling(1 / 3, "fan_in", "uniform"),
    ),
}


def GoogLeNet(
    variant: str = "2014",
    classes: int = 1000,
    input_shape: Shape = (224, 224, 3),
    include_top: bool = True,
    auxiliary: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    transform_input: bool = False,
    weights: Weights = None,
    name: str = "googlenet",
) -> Model:
    """GoogLeNet; outputs are the classes and, with auxiliary heads, "aux1" and "aux2".

    Args:
        variant: "2014" or "torchvision"; see above.
        classes: of the last layer and of the heads.
        input_shape: (height, width, channels), at least 31 x 31, with the paper's heads 79 x 79;
            for "torchvision" 15 x 15.
        include_top: False ends at inception_5b, without heads.
        auxiliary: False leaves the two heads out.
        pooling: None, "avg" or "max", of inception_5b's maps where there is no top.
        classifier_activation: None for logits.
        transform_input: whether images come normalised as torchvision's other networks want them
            (preprocess_input's "torch") and are to be rescaled to -1 .. 1 (its "tf"), which is
            what torchvision's weights were trained on. Only for "torchvision".
        weights: a model file to take the weights from.

    Raises:
        ShapeError: images too small.
        ArgumentError: no such variant or pooling.
    """
    building.one_of(name, "variant", variant, VARIANTS)
    building.check(name, classes, pooling)
    if transform_input and variant != "torchvision":
        raise ArgumentError(f'{name}: transform_input is for variant="torchvision"')
    auxiliary = auxiliary and include_top
    style = _STYLES[variant]
    smallest = style.smallest_with_heads if auxiliary else style.smallest
    images = x = Input(shape=building.image_shape(name, input_shape, smallest), name="image")
    if transform_input:
        x = Rescaling(
            (TORCH_DEVIATION / 0.5).tolist(), ((TORCH_MEAN - 0.5) / 0.5).tolist(), name="transform"
        )(x)
    heads = []

    x = _stem(x, style)
    x = inception(x, "3a", style)
    x = inception(x, "3b", style)
    x = _pool(x, "pool3")
    x = inception(x, "4a", style)
    if auxiliary:
        heads.append(_head(x, "aux1", classes, classifier_activation, style))
    x = inception(x, "4b", style)
    x = inception(x, "4c", style)
    x = inception(x, "4d", style)
    if auxiliary:
        heads.append(_head(x, "aux2", classes, classifier_activation, style))
    x = inception(x, "4e", style)
    x = _pool(x, "pool4", style.pool4)
    x = inception(x, "5a", style)
    x = inception(x, "5b", style)
    if not include_top:
        return building.finished(images, building.pooled(x, pooling), name, weights)
    x = GlobalAveragePooling2D(name="avg_pool")(x)
    x = Dropout(style.dropout, name="dropout")(x)
    x = _dense(x, "predictions", classes, classifier_activation, style)
    return building.finished(images, [x, *heads] if heads else x, name, weights)


def inception(x: Any, row: str, style: _Style) -> Any:
    """A module of figure 2b: 1x1, 3x3 and 5x5 kernels and a pool side by side, then stacked.

    row: of table 1, "3a" to "5b".
    """
    name, widths = f"inception_{row}", TABLE_1[row]
    ones = _convolution(x, f"{name}_1x1", widths.ones, 1, style)
    threes = _convolution(x, f"{name}_3x3_reduce", widths.threes_reduce, 1, style)
    threes = _convolution(threes, f"{name}_3x3", widths.threes, 3, style)
    fives = _convolution(x, f"{name}_5x5_reduce", widths.fives_reduce, 1, style)
    fives = _convolution(fives, f"{name}_5x5", widths.fives, style.wide, style)
    pool = MaxPooling2D(3, strides=1, padding=1, name=f"{name}_pool")(x)
    pool = _convolution(pool, f"{name}_pool_proj", widths.pool_proj, 1, style)
    return Concatenate(name=name)([ones, threes, fives, pool])


def _stem(x: Any, style: _Style) -> Any:
    x = _convolution(x, "conv1", 64, 7, style, strides=2)
    x = _pool(x, "pool1")
    if not style.batch_norm:
        x = _response_normalised(x, "norm1")
    x = _convolution(x, "conv2", 64, 1, style)
    x = _convolution(x, "conv3", 192, 3, style)
    if not style.batch_norm:
        x = _response_normalised(x, "norm2")
    return _pool(x, "pool2")


def _head(x: Any, name: str, classes: int, activation: object, style: _Style) -> Any:
    if style.batch_norm:
        x = AdaptiveAveragePooling2D((4, 4), name=f"{name}_pool")(x)
    else:
        x = AveragePooling2D(5, strides=3, name=f"{name}_pool")(x)
    x = _convolution(x, f"{name}_conv", 128, 1, style)
    x = Flatten(name=f"{name}_flatten")(x)
    x = _dense(x, f"{name}_fc", 1024, "relu", style)
    x = Dropout(0.7, name=f"{name}_dropout")(x)
    return _dense(x, name, classes, activation, style)


def _convolution(
    x: Any, name: str, filters: int, size: int, style: _Style, strides: int = 1
) -> Any:
    x = Conv2D(
        filters,
        size,
        strides=strides,
        padding=size // 2,
        activation=None if style.batch_norm else "relu",
        use_bias=not style.batch_norm,
        kernel_initializer=style.kernel_initializer,
        name=name,
    )(x)
    if style.batch_norm:
        x = BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
        x = Activation("relu", name=f"{name}_relu")(x)
    return x


def _dense(x: Any, name: str, units: int, activation: object, style: _Style) -> Any:
    return Dense(
        units,
        activation,
        kernel_initializer=style.kernel_initializer,
        bias_initializer=style.bias_initializer,
        name=name,
    )(x)


def _pool(x: Any, name: str, size: int = 3) -> Any:
    return MaxPooling2D(size, strides=2, ceil_mode=True, name=name)(x)


def _response_normalised(x: Any, name: str) -> Any:
    return LocalResponseNormalization(
        size=5, alpha=1e-4, beta=0.75, k=1.0, alpha_convention="mean", name=name
    )(x)


_BRANCHES = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}
_DENSE = {
    "predictions": "fc",
    "aux1_fc": "aux1.fc1",
    "aux1": "aux1.fc2",
    "aux2_fc": "aux2.fc1",
    "aux2": "aux2.fc2",
}


def torch_names(layers: Sequence[str]) -> dict[str, str]:
    """torchvision's names of the modules that hold these layers' weights."""
    names = {}
    for layer in layers:
        stem, part = (layer[:-3], "bn") if layer.endswith("_bn") else (layer, "conv")
        module = re.fullmatch(r"inception_(\d[a-e])_(.*)", stem)
        if layer in _DENSE:
            names[layer] = _DENSE[layer]
        elif module and module[2] in _BRANCHES:
            names[layer] = f"inception{module[1]}.{_BRANCHES[module[2]]}.{part}"
        elif re.fullmatch(r"conv[123]|aux[12]_conv", stem):
            names[layer] = f"{stem.replace('_', '.')}.{part}"
    return names
