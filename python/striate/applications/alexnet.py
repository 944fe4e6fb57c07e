"""AlexNet: the network of 2012, and the one that torchvision has under the name.

"2012": Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
networks", NIPS 2012, section 3. The halves of conv2, conv4 and conv5 that the paper kept on two
GPUs are groups here.

    layer   what it does                            output shape   parameters
    conv1   96 kernels 11x11, stride 4              55 x 55 x  96      34,944
    norm1   response normalisation over 5 maps      55 x 55 x  96           0
    pool1   max of 3x3, stride 2                    27 x 27 x  96           0
    conv2   256 kernels 5x5, 2 groups               27 x 27 x 256     307,456
    norm2   response normalisation over 5 maps      27 x 27 x 256           0
    pool2   max of 3x3, stride 2                    13 x 13 x 256           0
    conv3   384 kernels 3x3                         13 x 13 x 384     885,120
    conv4   384 kernels 3x3, 2 groups               13 x 13 x 384     663,936
    conv5   256 kernels 3x3, 2 groups               13 x 13 x 256     442,624
    pool5   max of 3x3, stride 2                     6 x  6 x 256           0
    fc6     4096 units, half of them dropped                 4096  37,752,832
    fc7     4096 units, half of them dropped                 4096  16,781,312
    fc8     1000 units, softmax                              1000   4,097,000
                                                    total          60,965,224

0.724 G multiply-accumulates. The paper's 224 pixels do not give its 55 x 55 maps; 227 do, and 224
do with padding. So conv1 pads no image that its kernels tile exactly (227, as Caffe crops them),
and any other by 2 pixels on each side, as torchvision does.

"one-weird-trick": Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
arXiv:1404.5997, as in torchvision: 64, 192, 384, 256 and 256 kernels without groups or response
normalisation, maps averaged to 6 x 6, and dropout before fc6 and fc7. 61,100,840 parameters,
0.714 G multiply-accumulates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate.applications import building
from striate.applications.building import Shape, Weights
from striate.initializers import Initializer, RandomNormal, VarianceScaling
from striate.layers import (
    AdaptiveAveragePooling2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    LocalResponseNormalization,
    MaxPooling2D,
)
from striate.models import Model

VARIANTS = ("2012", "one-weird-trick")
SMALLEST = {"2012": 64, "one-weird-trick": 63}

# Section 5 of the paper; and PyTorch's default, uniform in +-1 / sqrt(fan_in) for biases too.
_NARROW = RandomNormal(0.0, 0.01)
_TORCH = VarianceScaling(1 / 3, "fan_in", "uniform")


def AlexNet(
    variant: str = "2012",
    classes: int = 1000,
    input_shape: Shape = (224, 224, 3),
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: object = "softmax",
    weights: Weights = None,
    name: str = "alexnet",
) -> Model:
    """AlexNet with 60,965,224 parameters ("2012") or 61,100,840 ("one-weird-trick").

    Args:
        variant: "2012" or "one-weird-trick"; see above.
        classes: of the last layer.
        input_shape: (height, width, channels), at least 64 x 64 or, for "one-weird-trick",
            63 x 63.
        include_top: False ends at pool5, for features.
        pooling: None, "avg" or "max", of pool5's maps where there is no top.
        classifier_activation: None for logits.
        weights: a model file to take the weights from.

    Raises:
        ShapeError: images too small.
        ArgumentError: no such variant or pooling.
    """
    building.one_of(name, "variant", variant, VARIANTS)
    building.check(name, classes, pooling)
    shape = building.image_shape(name, input_shape, SMALLEST[variant])
    images = Input(shape=shape, name="image")
    if variant == "2012":
        x, head = _features_2012(images, shape), _head_2012
    else:
        x, head = _features_one_weird_trick(images), _head_one_weird_trick
    if include_top:
        outputs = head(x, classes, classifier_activation)
    else:
        outputs = building.pooled(x, pooling)
    return building.finished(images, outputs, name, weights)


def _features_2012(x: Any, shape: Shape) -> Any:
    x = _convolution(x, "conv1", 96, 11, strides=4, padding=_conv1_padding(shape))
    x = _normalised_and_pooled(x, 1)
    x = _convolution(x, "conv2", 256, 5, padding=2, groups=2, bias="ones")
    x = _normalised_and_pooled(x, 2)
    x = _convolution(x, "conv3", 384, 3, padding=1)
    x = _convolution(x, "conv4", 384, 3, padding=1, groups=2, bias="ones")
    x = _convolution(x, "conv5", 256, 3, padding=1, groups=2, bias="ones")
    return MaxPooling2D(3, strides=2, name="pool5")(x)


def _head_2012(x: Any, classes: int, activation: object) -> Any:
    x = Flatten(name="flatten")(x)
    x = _dense(x, "fc6", 4096, "relu", _NARROW, "ones")
    x = Dropout(0.5, name="drop6")(x)
    x = _dense(x, "fc7", 4096, "relu", _NARROW, "ones")
    x = Dropout(0.5, name="drop7")(x)
    return _dense(x, "fc8", classes, activation, _NARROW, "zeros")


def _features_one_weird_trick(x: Any) -> Any:
    x = _convolution(x, "conv1", 64, 11, strides=4, padding=2, kernel=_TORCH, bias=_TORCH)
    x = MaxPooling2D(3, strides=2, name="pool1")(x)
    x = _convolution(x, "conv2", 192, 5, padding=2, kernel=_TORCH, bias=_TORCH)
    x = MaxPooling2D(3, strides=2, name="pool2")(x)
    x = _convolution(x, "conv3", 384, 3, padding=1, kernel=_TORCH, bias=_TORCH)
    x = _convolution(x, "conv4", 256, 3, padding=1, kernel=_TORCH, bias=_TORCH)
    x = _convolution(x, "conv5", 256, 3, padding=1, kernel=_TORCH, bias=_TORCH)
    return MaxPooling2D(3, strides=2, name="pool5")(x)


def _head_one_weird_trick(x: Any, classes: int, activation: object) -> Any:
    x = AdaptiveAveragePooling2D((6, 6), name="avg_pool")(x)
    x = Flatten(name="flatten")(x)
    x = Dropout(0.5, name="drop6")(x)
    x = _dense(x, "fc6", 4096, "relu", _TORCH, _TORCH)
    x = Dropout(0.5, name="drop7")(x)
    x = _dense(x, "fc7", 4096, "relu", _TORCH, _TORCH)
    return _dense(x, "fc8", classes, activation, _TORCH, _TORCH)


def _conv1_padding(shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
    height, width = (0 if (size - 11) % 4 == 0 else 2 for size in shape[:2])
    return (height, height), (width, width)


def _normalised_and_pooled(x: Any, number: int) -> Any:
    x = LocalResponseNormalization(
        size=5, alpha=1e-4, beta=0.75, k=2.0, alpha_convention="sum", name=f"norm{number}"
    )(x)
    return MaxPooling2D(3, strides=2, name=f"pool{number}")(x)


def _convolution(
    x: Any,
    name: str,
    filters: int,
    size: int,
    strides: int = 1,
    padding: int | tuple[tuple[int, int], tuple[int, int]] = 0,
    groups: int = 1,
    kernel: Initializer = _NARROW,
    bias: Initializer | str = "zeros",
) -> Any:
    return Conv2D(
        filters,
        size,
        strides=strides,
        padding=padding,
        groups=groups,
        activation="relu",
        kernel_initializer=kernel,
        bias_initializer=bias,
        name=name,
    )(x)


def _dense(
    x: Any,
    name: str,
    units: int,
    activation: object,
    kernel: Initializer,
    bias: Initializer | str,
) -> Any:
    return Dense(units, activation, kernel_initializer=kernel, bias_initializer=bias, name=name)(x)


# torchvision numbers modules, activations and poolings too.
_TORCHVISION = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "fc8": "classifier.6",
}


def torch_names(layers: Sequence[str]) -> dict[str, str]:
    """torchvision's names of the modules that hold these layers' weights."""
    return {layer: _TORCHVISION[layer] for layer in layers if layer in _TORCHVISION}
