"""Full connection."""

from __future__ import annotations

from typing import Any

from striate import _core, activations, initializers, regularizers
from striate.errors import ShapeError
from striate.layers.arguments import integer
from striate.layers.layer import Layer


class Dense(Layer):
    """Every input to every unit, plus bias, then an activation.

    Input (N, F), output (N, units); kernel (F, units).

    Args:
        units: how many numbers come out.
        activation: see striate.activations.
        kernel_regularizer: a penalty on the kernel, "l2" or regularizers.L2(1e-4).
        input_dim: F, where this is the first layer (as input_shape=(F,)).
    """

    def __init__(
        self,
        units: int,
        activation: object = None,
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        kernel_regularizer: object = None,
        bias_regularizer: object = None,
        *,
        input_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        if input_dim is not None:
            kwargs.setdefault("input_shape", (input_dim,))
        super().__init__(**kwargs)
        owner = f"{type(self).__name__} {self.name}"
        self.units = integer(owner, "units", units)
        self.activation = activations.get(activation, owner)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def describe(self, graph: _core.Graph, x: int) -> int:
        shape = tuple(graph.shape(x))
        if len(shape) != 1:
            raise ShapeError(
                f"{self.name}: input is {shape}, expected a vector: is a Flatten missing?"
            )
        y = graph.dense(
            x,
            name=self.name,
            units=self.units,
            use_bias=self.use_bias,
            kernel_initializer=self.kernel_initializer.as_core(),
            bias_initializer=self.bias_initializer.as_core(),
            trainable=self.trainable,
        )
        return self.activate(graph, y, self.activation)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "units": self.units,
            "activation": self.activation.as_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
        }
