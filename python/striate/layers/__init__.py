"""Layers, under Keras's names; each one describes itself to the core's graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from striate.errors import FormatError
from striate.layers.activation import ELU, Activation, LeakyReLU, ReLU, Softmax
from striate.layers.batch_normalization import BatchNormalization
from striate.layers.conv2d import Conv2D
from striate.layers.dense import Dense
from striate.layers.dropout import Dropout
from striate.layers.flatten import Flatten
from striate.layers.input import Input, InputLayer
from striate.layers.layer import Layer
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
from striate.layers.subsampling2d import Subsampling2D
from striate.layers.symbolic import SymbolicTensor
from striate.layers.weight import Weight

__all__ = [
    "ELU",
    "Activation",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "Input",
    "InputLayer",
    "Layer",
    "LeakyReLU",
    "MaxPool2D",
    "MaxPooling2D",
    "RBFOutput",
    "ReLU",
    "Softmax",
    "Subsampling2D",
    "SymbolicTensor",
    "Weight",
]

# The only classes that a model file can name: a file decides no code.
_REGISTRY: dict[str, type[Layer]] = {
    cls.__name__: cls
    for cls in (
        Activation, AveragePooling2D, BatchNormalization, Conv2D, Dense, Dropout, ELU, Flatten, GlobalAveragePooling2D,
        GlobalMaxPooling2D, InputLayer, LeakyReLU, MaxPooling2D, RBFOutput, ReLU, Softmax,
        Subsampling2D,
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
