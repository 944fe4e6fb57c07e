"""Layers, under Keras's names; each one describes itself to the core's graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from striate.errors import FormatError
from striate.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from striate.layers.adaptive_pooling2d import AdaptiveAveragePooling2D
from striate.layers.batch_normalization import BatchNormalization
from striate.layers.concatenate import Concatenate, concatenate
from striate.layers.conv2d import Conv2D
from striate.layers.conv2d_transpose import Conv2DTranspose
from striate.layers.dense import Dense
from striate.layers.depthwise_conv2d import DepthwiseConv2D
from striate.layers.dropout import Dropout, SpatialDropout2D
from striate.layers.flatten import Flatten
from striate.layers.group_normalization import GroupNormalization
from striate.layers.input import Input, InputLayer
from striate.layers.layer import Layer
from striate.layers.layer_normalization import LayerNormalization
from striate.layers.local_response_normalization import LocalResponseNormalization
from striate.layers.merge import (
    Add,
    Average,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    maximum,
    minimum,
    multiply,
    subtract,
)
from striate.layers.padding2d import Cropping2D, ZeroPadding2D
from striate.layers.permute import Permute
from striate.layers.pooling2d import (
    AveragePooling2D,
    AvgPool2D,
    GlobalAveragePooling2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    GlobalMaxPooling2D,
    MaxPool2D,
    MaxPooling2D,
)
from striate.layers.rbf import RBFOutput
from striate.layers.rescaling import Rescaling
from striate.layers.reshape import Reshape
from striate.layers.separable_conv2d import SeparableConv2D
from striate.layers.subsampling2d import Subsampling2D
from striate.layers.upsampling2d import UpSampling2D
from striate.layers.weight import Weight

__all__ = [
    "ELU",
    "Activation",
    "AdaptiveAveragePooling2D",
    "Add",
    "Average",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "Concatenate",
    "Conv2D",
    "Cropping2D",
    "Conv2DTranspose",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "LocalResponseNormalization",
    "MaxPool2D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Permute",
    "RBFOutput",
    "ReLU",
    "Rescaling",
    "Reshape",
    "SeparableConv2D",
    "Softmax",
    "SpatialDropout2D",
    "Subsampling2D",
    "Subtract",
    "UpSampling2D",
    "Weight",
    "ZeroPadding2D",
    "add",
    "average",
    "concatenate",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

# The only classes that a model file can name: a file decides no code.
_REGISTRY: dict[str, type[Layer]] = {
    cls.__name__: cls
    for cls in (
        Activation, AdaptiveAveragePooling2D, Add, Average, AveragePooling2D, BatchNormalization,
        Concatenate, Conv2D, Conv2DTranspose, Cropping2D, Dense, DepthwiseConv2D, Dropout, ELU,
        Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, GroupNormalization, InputLayer,
        LayerNormalization, LeakyReLU, LocalResponseNormalization, MaxPooling2D, Maximum, Minimum,
        Multiply, Permute, RBFOutput, ReLU, Rescaling, Reshape, SeparableConv2D, Softmax,
        SpatialDropout2D, Subsampling2D, Subtract, UpSampling2D, ZeroPadding2D,
    )
}  # fmt: skip


def serialize(layer: Layer) -> dict[str, Any]:
    """{"class": .., "config": ..}, as model files keep a layer.

    Raises:
        FormatError: the layer is not one of striate's own, so no file could name it.
    """
    name = type(layer).__name__
    if _REGISTRY.get(name) is not type(layer):
        raise FormatError(f"{layer.name}: a model file cannot hold {name}: it is not striate's own")
    return {"class": name, "config": layer.get_config()}


def deserialize(entry: Mapping[str, Any]) -> Layer:
    """The layer that `serialize` described.

    Raises:
        FormatError: no such layer class, or a config that it does not take.
    """
    name = entry.get("class") if isinstance(entry, Mapping) else None
    cls = _REGISTRY.get(name) if isinstance(name, str) else None
    if cls is None:
        raise FormatError(f"no layer class {name!r}; there are {', '.join(_REGISTRY)}")
    config = entry.get("config")
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise FormatError(f"{name}: its config is not an object")
    try:
        return cls.from_config(config)
    except FormatError:
        raise
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise FormatError(f"{name}: a config that it does not take: {error}") from error
