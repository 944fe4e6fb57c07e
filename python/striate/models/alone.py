"""A layer without a model around it: the model of that layer only, which runs it on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from striate.layers import Input, Layer
from striate.layers.symbolic import Node, Shape
from striate.models.data_adapter import numbers

if TYPE_CHECKING:
    from striate.models.model import Model


def model_of(layer: Layer, shapes: Sequence[Shape]) -> Model:
    """A model of this layer, which keeps it for the next call with inputs of these shapes."""
    from striate.models.model import Model

    key = tuple(shapes)
    if layer.alone is None or layer.alone[0] != key:
        inputs = [
            Input([size for size in shape[1:] if size is not None], name=f"input_{i}")
            for i, shape in enumerate(shapes)
        ]
        # The node is the model's own: the layer's `output` is none of it.
        node = Node(layer, inputs, layer.shapes_after([x.shape for x in inputs]))
        model = Model(inputs, list(node.outputs), name=layer.name)
        model.materialize()
        layer.alone = key, model
    found: Model = layer.alone[1]
    return found


def run_alone(layer: Layer, values: Sequence[Any]) -> Any:
    """The layer's output for arrays (N, ..)."""
    arrays = [numbers(value, layer.name) for value in values]
    model = model_of(layer, [(None, *array.shape[1:]) for array in arrays])
    return model.predict(arrays if len(arrays) > 1 else arrays[0])
