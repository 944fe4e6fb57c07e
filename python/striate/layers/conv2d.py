"""Two-dimensional convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate import _core, activations, initializers, regularizers
from striate.errors import ArgumentError, ShapeError
from striate.layers.arguments import integer, padding, pair
from striate.layers.layer import Layer


class Conv2D(Layer):
    """Cross-correlation of NHWC images with HWIO kernels, plus bias, then an activation.

    Input (N, H, W, C), output (N, OH, OW, filters); kernel (KH, KW, C / groups, filters).

    Args:
        filters: how many maps come out.
        kernel_size: (height, width) of the kernels, or one number for both.
        strides: (vertical, horizontal).
        padding: "valid", "same" (as TensorFlow pads), a number of pixels on all four sides, or
            ((top, bottom), (left, right)).
        data_format: only "channels_last".
        dilation_rate: (vertical, horizontal).
        groups: of channels, each with its own filters / groups kernels.
        activation: see striate.activations.
        kernel_regularizer: a penalty on the kernel, "l2" or regularizers.L2(1e-4).
        connections: booleans (C, filters), True where input map c feeds output map o; the weights
            of absent connections are zero and stay zero (LeNet-5's table I).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str | int | Sequence[Sequence[int]] = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        groups: int = 1,
        activation: object = None,
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        kernel_regularizer: object = None,
        bias_regularizer: object = None,
        *,
        connections: ArrayLike | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = f"{type(self).__name__} {self.name}"
        require_channels_last(owner, data_format)
        self.filters = integer(owner, "filters", filters)
        self.kernel_size = pair(owner, "kernel_size", kernel_size)
        self.strides = pair(owner, "strides", strides)
        self.padding = _padding(owner, padding)
        self.dilation_rate = pair(owner, "dilation_rate", dilation_rate)
        self.groups = integer(owner, "groups", groups)
        self.activation = activations.get(activation, owner)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.connections = None if connections is None else _table(owner, connections, self.filters)

    def describe(self, graph: _core.Graph, x: int) -> int:
        y = graph.conv2d(
            x,
            name=self.name,
            filters=self.filters,
            kernel=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            groups=self.groups,
            use_bias=self.use_bias,
            connections=self.connections,
            kernel_initializer=self.kernel_initializer.as_core(),
            bias_initializer=self.bias_initializer.as_core(),
            trainable=self.trainable,
        )
        return self.activate(graph, y, self.activation)

    def stored_parameters(self, graph: _core.Graph, x: int, values: Sequence[int]) -> int:
        # The kernel is kept whole, whatever the table leaves of it.
        height, width = self.kernel_size
        channels = graph.shape(x)[-1]
        kernel = height * width * (channels // self.groups) * self.filters
        return kernel + (self.filters if self.use_bias else 0)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": padding_config(self.padding),
            "dilation_rate": list(self.dilation_rate),
            "groups": self.groups,
            "activation": self.activation.as_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
        }
        if self.connections is not None:
            config["connections"] = self.connections.astype(int).tolist()
        return config


_padding = padding  # the constructor's argument hides the name


def padding_config(value: str | tuple[tuple[int, int], tuple[int, int]]) -> Any:
    """A checked padding as JSON keeps it."""
    return value if isinstance(value, str) else [list(side) for side in value]


def require_channels_last(owner: str, data_format: str | None) -> None:
    """Refuses Keras's "channels_first"."""
    if data_format not in (None, "channels_last"):
        raise ArgumentError(
            f"{owner}: data_format={data_format!r}: striate's images are NHWC, "
            'data_format="channels_last"'
        )


def _table(owner: str, connections: ArrayLike, filters: int) -> NDArray[np.bool_]:
    table = np.asarray(connections)
    if table.ndim != 2 or table.shape[1] != filters:
        raise ShapeError(
            f"{owner}: connections is a table (input maps, {filters} filters), got {table.shape}"
        )
    if table.dtype != np.bool_ and not np.isin(table, (0, 1)).all():
        raise ArgumentError(f"{owner}: connections holds booleans, or 0 and 1")
    return np.ascontiguousarray(table, dtype=np.bool_)
