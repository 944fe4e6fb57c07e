"""Depthwise separable convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core, activations, initializers
from striate.layers.arguments import integer, padding, pair
from striate.layers.conv2d import padding_config, require_channels_last
from striate.layers.layer import Layer


class SeparableConv2D(Layer):
    """A depthwise convolution, then a 1x1 convolution, plus bias, then an activation.

    Input (N, H, W, C), output (N, OH, OW, filters). Weights: depthwise_kernel (KH, KW, C,
    depth_multiplier), pointwise_kernel (1, 1, C * depth_multiplier, filters), bias (filters,).

    Args:
        filters: how many maps come out.
        kernel_size: (height, width) of the depthwise kernels, or one number for both.
        strides: (vertical, horizontal), of the depthwise convolution.
        padding: "valid", "same" (as TensorFlow pads), a number of pixels on all four sides, or
            ((top, bottom), (left, right)).
        data_format: only "channels_last".
        dilation_rate: (vertical, horizontal).
        depth_multiplier: depthwise kernels a channel.
        activation: see striate.activations.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str | int | Sequence[Sequence[int]] = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        depth_multiplier: int = 1,
        activation: object = None,
        use_bias: bool = True,
        depthwise_initializer: object = "glorot_uniform",
        pointwise_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
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
        self.depth_multiplier = integer(owner, "depth_multiplier", depth_multiplier)
        self.activation = activations.get(activation, owner)
        self.use_bias = bool(use_bias)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def describe(self, graph: _core.Graph, x: int) -> int:
        y = graph.separable_conv2d(
            x,
            name=self.name,
            filters=self.filters,
            kernel=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            depth_multiplier=self.depth_multiplier,
            use_bias=self.use_bias,
            depthwise_initializer=self.depthwise_initializer.as_core(),
            pointwise_initializer=self.pointwise_initializer.as_core(),
            bias_initializer=self.bias_initializer.as_core(),
            trainable=self.trainable,
        )
        return self.activate(graph, y, self.activation)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": padding_config(self.padding),
            "dilation_rate": list(self.dilation_rate),
            "depth_multiplier": self.depth_multiplier,
            "activation": self.activation.as_config(),
            "use_bias": self.use_bias,
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "pointwise_initializer": initializers.serialize(self.pointwise_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }


_padding = padding  # the constructor's argument hides the name
