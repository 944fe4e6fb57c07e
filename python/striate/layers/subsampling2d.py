"""LeNet-5's S layers: pooling with weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core, activations, initializers
from striate.layers.arguments import pair
from striate.layers.layer import Layer


class Subsampling2D(Layer):
    """coefficient[c] * (sum over the window) + bias[c], then an activation.

    Input (N, H, W, C), output (N, OH, OW, C); coefficient (C,), bias (C,); LeCun et al., 1998.

    Args:
        pool_size: (height, width) of the window.
        strides: (vertical, horizontal); the window's size if None.
        activation: see striate.activations; the paper's is "scaled_tanh".
    """

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        activation: object = None,
        coefficient_initializer: object = "fan_in_uniform",
        bias_initializer: object = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = f"{type(self).__name__} {self.name}"
        self.pool_size = pair(owner, "pool_size", pool_size)
        self.strides = self.pool_size if strides is None else pair(owner, "strides", strides)
        self.activation = activations.get(activation, owner)
        self.coefficient_initializer = initializers.get(coefficient_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def describe(self, graph: _core.Graph, x: int) -> int:
        y = graph.subsample2d(
            x,
            name=self.name,
            window=self.pool_size,
            strides=self.strides,
            coefficient_initializer=self.coefficient_initializer.as_core(),
            bias_initializer=self.bias_initializer.as_core(),
            trainable=self.trainable,
        )
        return self.activate(graph, y, self.activation)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "activation": self.activation.as_config(),
            "coefficient_initializer": initializers.serialize(self.coefficient_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }
