"""Two-dimensional transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core, activations, initializers
from striate.errors import ArgumentError
from striate.layers.arguments import Pair, integer, padding, pair
from striate.layers.conv2d import padding_config, require_channels_last
from striate.layers.layer import Layer


class Conv2DTranspose(Layer):
    """The gradient of a convolution by its input, as a layer: it enlarges images by its strides.

    Input (N, H, W, C), output (N, OH, OW, filters); kernel (KH, KW, filters, C). Each input pixel
    adds its kernel's worth to the output at (h * strides[0], w * strides[1]). With
    K = (kernel_size - 1) * dilation_rate + 1, an axis of H pixels gives

    - "valid": (H - 1) * stride + max(K, stride), or + K + output_padding;
    - "same": H * stride, or (H - 1) * stride + K % 2 + output_padding;
    - explicit numbers: (H - 1) * stride + K - before - after + output_padding,

    the first two as TensorFlow and Keras have them, the odd pixel of "same" cut at the bottom and
    right, the third as PyTorch has it.

    Args:
        filters: how many maps come out.
        kernel_size: (height, width) of the kernels, or one number for both.
        strides: (vertical, horizontal).
        padding: "valid", "same", a number of pixels cut from all four sides, or
            ((top, bottom), (left, right)).
        output_padding: (vertical, horizontal) pixels more at the bottom and right, or one number
            for both; below the larger of stride and dilation rate.
        data_format: only "channels_last".
        dilation_rate: (vertical, horizontal).
        activation: see striate.activations.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str | int | Sequence[Sequence[int]] = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        activation: object = None,
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
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
        self.output_padding = None if output_padding is None else _more(owner, output_padding)
        self.activation = activations.get(activation, owner)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def describe(self, graph: _core.Graph, x: int) -> int:
        y = graph.conv2d_transpose(
            x,
            name=self.name,
            filters=self.filters,
            kernel=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation_rate,
            use_bias=self.use_bias,
            kernel_initializer=self.kernel_initializer.as_core(),
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
            "output_padding": None if self.output_padding is None else list(self.output_padding),
            "dilation_rate": list(self.dilation_rate),
            "activation": self.activation.as_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }


_padding = padding  # the constructor's argument hides the name


def _more(owner: str, value: object) -> Pair:
    """(vertical, horizontal) pixels, 0 allowed; one integer stands for both."""
    both = value if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2:
        raise ArgumentError(
            f"{owner}: output_padding must be one integer or (vertical, horizontal), got {value!r}"
        )
    vertical, horizontal = (integer(owner, "output_padding", v, 0) for v in both)
    return vertical, horizontal
