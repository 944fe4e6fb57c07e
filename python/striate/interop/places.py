"""Where a model's weights are: layer by layer, in striate's order and in Keras's.

And what a Flatten did to the features that a layer sees. PyTorch flattens maps channel by channel
(C, H, W), striate and Keras pixel by pixel (H, W, C): a dense layer's rows come in another order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from striate.layers import Layer, Weight
    from striate.models import Model

Order = NDArray[np.intp]


@dataclass(frozen=True)
class Call:
    """A layer's place in a model: the values that go in and come out, by number."""

    layer: Layer
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    """Without the batch."""

    @property
    def kind(self) -> str:
        """The layer's class."""
        return type(self.layer).__name__


@dataclass(frozen=True)
class Place:
    """A layer with weights.

    Attributes:
        name: as the model's weights have it: "fc6", or "encoder/fc6" in a model inside another.
        weights: {"kernel": ..} in get_weights order.
        features: None, or for each input feature its number where maps are flattened as C, H, W.
    """

    layer: Layer
    name: str
    weights: dict[str, Weight]
    features: Order | None

    @property
    def kind(self) -> str:
        """The layer's class."""
        return type(self.layer).__name__

    @property
    def normalisation(self) -> tuple[float, float] | None:
        """(epsilon, momentum) of a BatchNormalization."""
        if self.kind != "BatchNormalization":
            return None
        layer: Any = self.layer
        return float(layer.epsilon), float(layer.momentum)


def places_of(model: Model) -> list[Place]:
    """The layers with weights, in get_weights order."""
    calls = {call.name: call for call in calls_of(model)}
    orders = _feature_orders(calls.values())
    weights: dict[str, dict[str, Weight]] = {}
    for weight in model.weights:
        name, _, parameter = weight.path.rpartition("/")
        weights.setdefault(name, {})[parameter] = weight
    return [
        Place(calls[name].layer, name, own, orders.get(calls[name].inputs[0]))
        for name, own in weights.items()
    ]


def keras_order(model: Any, prefix: str = "") -> list[str]:
    """The names of the layers with weights in the order of Keras's model.layers: by depth."""
    names = []
    for layer in model.layers:
        if layer.inner_topology() is not None:
            names += keras_order(layer, f"{prefix}{layer.name}/")
        elif layer.weights:
            names.append(prefix + layer.name)
    return names


def calls_of(model: Model) -> list[Call]:
    """The layers in the order in which they run, those of inner models among them."""
    graph = model.graph
    return [
        Call(
            step.layer,
            step.name,
            tuple(step.inputs),
            (step.output,),
            tuple(tuple(graph.shape(value)) for value in step.inputs),
        )
        for step in model.steps
    ]


# Layers after which a vector's features are still what they were.
_FEATURE_BY_FEATURE = frozenset(
    {
        "Activation", "BatchNormalization", "Dropout", "ELU", "LayerNormalization", "LeakyReLU",
        "ReLU", "Rescaling", "Softmax",
    }
)  # fmt: skip
_MERGES = frozenset({"Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"})


def _feature_orders(calls: Iterable[Call]) -> dict[int, Order]:
    """For each value that is flattened maps: its features' numbers by C, H, W."""
    orders: dict[int, Order] = {}
    for call in calls:
        known = [orders.get(value) for value in call.inputs]
        order = None
        if call.kind == "Flatten":
            order = _flattened(call.input_shapes[0]) if known[0] is None else known[0]
        elif call.kind in _FEATURE_BY_FEATURE:
            order = known[0]
        elif call.kind in _MERGES and all(_same(known[0], other) for other in known):
            order = known[0]
        elif call.kind == "Concatenate":
            order = _concatenated(known, call.input_shapes)
        if order is not None:
            orders.update(dict.fromkeys(call.outputs, order))
    return orders


def _flattened(shape: tuple[int, ...]) -> Order | None:
    if len(shape) != 3 or shape[2] == 1 or shape[0] * shape[1] == 1:
        return None  # the same either way
    height, width, channels = shape
    numbers = np.arange(height * width * channels, dtype=np.intp)
    order: Order = numbers.reshape(channels, height, width).transpose(1, 2, 0).ravel()
    return order


def _same(a: Order | None, b: Order | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


def _concatenated(known: list[Order | None], shapes: tuple[tuple[int, ...], ...]) -> Order | None:
    if all(order is None for order in known) or any(len(shape) != 1 for shape in shapes):
        return None
    parts, start = [], 0
    for order, (size,) in zip(known, shapes, strict=True):
        parts.append(start + (np.arange(size, dtype=np.intp) if order is None else order))
        start += size
    return np.concatenate(parts)
