"""VGG-16 and VGG-19, with batch normalisation or without.

Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition",
arXiv:1409.1556, table 1: columns D and E. Every convolution is 3x3 with padding 1 and ReLU.

    block     D (VGG-16)   E (VGG-19)   output shape
    block1    2 x  64      2 x  64      112 x 112 x  64
    block2    2 x 128      2 x 128       56 x  56 x 128
    block3    3 x 256      4 x 256       28 x  28 x 256
    block4    3 x 512      4 x 512       14 x  14 x 512
    block5    3 x 512      4 x 512        7 x   7 x 512
    fc1, fc2  4096 units with ReLU, half of them dropped
    predictions  1000 units, softmax

                                parameters     G multiply-accumulates
    VGG16                      138,357,544     15.470
    VGG16, batch_norm          138,365,992     (trainable)
    VGG19                      143,667,240     19.632
    VGG19, batch_norm          143,678,248     (trainable)

"2014" is the paper's network and Keras's: fc1 sees the maps of block5 as they come, and has as many
weights as they need. "torchvision" averages them to 7 x 7 first (at 224 x 224 they are that
already), so that its weights fit images of any size. They differ in how they start, too: by Glorot
and Bengio, as the paper recommends in section 3.1 and Keras does, or by He et al. over the fan-out,
with dense layers in N(0, 0.01).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from striate.applications import building
from striate.applications.building import Shape, Weights
from striate.initializers import GlorotUniform, RandomNormal, VarianceScaling
from striate.layers import (
    Activation,
    AdaptiveAveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    MaxPooling2D,
)
from striate.models import Model

VARIANTS = ("2014", "torchvision")
SMALLEST = 32

FILTERS = (64, 128, 256, 512, 512)
# Convolutions of each block.
D = (2, 2, 3, 3, 3)
E = (2, 2, 4, 4, 4)


def VGG16(
    variant: str = "2014",
    classes: int = 1000,
    input_shape: Shape = (224, 224, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    batch_norm: bool = False,
    weights: Weights = None,
    name: str = "vgg16",
) -> Model:
    """VGG-16, configuration D: 138,357,544 parameters; 138,365,992 trainable with batch_norm.

    Args:
        variant: "2014" or "torchvision"; see above.
        classes: of the last layer.
        input_shape: (height, width, channels), at least 32 x 32.
        include_top: False ends at block5_pool, for features.
        pooling: None, "avg" or "max", of block5's maps where there is no top.
        classifier_activation: None for logits.
        batch_norm: whether each convolution's output is normalised over the batch.
        weights: a model file to take the weights from.

    Raises:
        ShapeError: images too small.
        ArgumentError: no such variant or pooling.
    """
    return _vgg(
        D, variant, classes, input_shape, include_top, pooling, classifier_activation, batch_norm,
        weights, name,
    )  # fmt: skip


def VGG19(
    variant: str = "2014",
    classes: int = 1000,
    input_shape: Shape = (224, 224, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    batch_norm: bool = False,
    weights: Weights = None,
    name: str = "vgg19",
) -> Model:
    """VGG-19, configuration E: 143,667,240 parameters; 143,678,248 trainable with batch_norm.

    Arguments and errors are VGG16's.
    """
    return _vgg(
        E, variant, classes, input_shape, include_top, pooling, classifier_activation, batch_norm,
        weights, name,
    )  # fmt: skip


def _vgg(
    convolutions: tuple[int, ...],
    variant: str,
    classes: int,
    input_shape: Shape,
    include_top: bool,
    pooling: str | None,
    classifier_activation: object,
    batch_norm: bool,
    weights: Weights,
    name: str,
) -> Model:
    building.one_of(name, "variant", variant, VARIANTS)
    building.check(name, classes, pooling)
    shape = building.image_shape(name, input_shape, SMALLEST)
    images = x = Input(shape=shape, name="image")
    for number, (filters, count) in enumerate(zip(FILTERS, convolutions, strict=True), start=1):
        x = block(x, f"block{number}", filters, count, batch_norm, variant)
    if include_top:
        outputs = _head(x, classes, classifier_activation, variant)
    else:
        outputs = building.pooled(x, pooling)
    return building.finished(images, outputs, name, weights)


def block(x: Any, name: str, filters: int, count: int, batch_norm: bool, variant: str) -> Any:
    """`count` 3x3 convolutions with ReLU, then the largest of each 2x2."""
    for number in range(1, count + 1):
        x = Conv2D(
            filters,
            3,
            padding=1,
            activation=None if batch_norm else "relu",
            kernel_initializer=(
                GlorotUniform() if variant == "2014" else VarianceScaling(2.0, "fan_out")
            ),
            name=f"{name}_conv{number}",
        )(x)
        if batch_norm:
            x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn{number}")(x)
            x = Activation("relu", name=f"{name}_relu{number}")(x)
    return MaxPooling2D(2, name=f"{name}_pool")(x)


def _head(x: Any, classes: int, activation: object, variant: str) -> Any:
    start = GlorotUniform() if variant == "2014" else RandomNormal(0.0, 0.01)
    if variant == "torchvision":
        x = AdaptiveAveragePooling2D((7, 7), name="avg_pool")(x)
    x = Flatten(name="flatten")(x)
    for number in (1, 2):
        x = Dense(4096, "relu", kernel_initializer=start, name=f"fc{number}")(x)
        x = Dropout(0.5, name=f"drop{number}")(x)
    return Dense(classes, activation, kernel_initializer=start, name="predictions")(x)


def torch_names(layers: Sequence[str]) -> dict[str, str]:
    """torchvision's names of the modules with these layers' weights.

    torchvision numbers the modules of `features`, activations and poolings too.

    layers: names in order; whether "block1_bn1" is among them decides the numbers.
    """
    names = {"fc1": "classifier.0", "fc2": "classifier.3", "predictions": "classifier.6"}
    per_convolution = 3 if any(re.fullmatch(r"block\d_bn\d", layer) for layer in layers) else 2
    module, block_before = 0, "1"
    for layer in layers:
        found = re.fullmatch(r"block(\d)_conv(\d)", layer)
        if not found:
            continue
        if found[1] != block_before:
            module, block_before = module + 1, found[1]  # a pooling lies between
        names[layer] = f"features.{module}"
        if per_convolution == 3:
            names[f"block{found[1]}_bn{found[2]}"] = f"features.{module + 1}"
        module += per_convolution
    return {layer: names[layer] for layer in layers if layer in names}
