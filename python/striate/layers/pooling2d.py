"""Pooling: the maximum or the mean over windows, or over whole maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.layers.arguments import padding, pair
from striate.layers.conv2d import padding_config, require_channels_last
from striate.layers.layer import Layer


class _Pooling2D(Layer):
    """Input (N, H, W, C), output (N, OH, OW, C)."""

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: str | int | Sequence[Sequence[int]] = "valid",
        data_format: str | None = None,
        *,
        ceil_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = f"{type(self).__name__} {self.name}"
        require_channels_last(owner, data_format)
        self.pool_size = pair(owner, "pool_size", pool_size)
        self.strides = self.pool_size if strides is None else pair(owner, "strides", strides)
        self.padding = _padding(owner, padding)
        self.ceil_mode = bool(ceil_mode)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "padding": padding_config(self.padding),
            "ceil_mode": self.ceil_mode,
        }


_padding = padding  # the constructor's argument hides the name


class MaxPooling2D(_Pooling2D):
    """The largest value of each window.

    Args:
        pool_size: (height, width) of the window.
        strides: (vertical, horizontal); the window's size if None.
        padding: "valid", "same", a number of pixels, or ((top, bottom), (left, right)).
        ceil_mode: whether a last window that runs over the far edge counts too, unless it would
            start in the padding there (PyTorch's rule). "same" has as many windows either way.
    """

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.max_pool2d(
            x,
            name=self.name,
            window=self.pool_size,
            strides=self.strides,
            padding=self.padding,
            ceil_mode=self.ceil_mode,
        )


class AveragePooling2D(_Pooling2D):
    """The mean of each window.

    Args:
        pool_size: (height, width) of the window.
        strides: (vertical, horizontal); the window's size if None.
        padding: "valid", "same", a number of pixels, or ((top, bottom), (left, right)).
        count_include_pad: whether padding counts in the mean: True is PyTorch's default, False
            TensorFlow's.
        ceil_mode: whether a last window that runs over the far edge counts too, unless it would
            start in the padding there (PyTorch's rule); what is beyond the padding never counts.
    """

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: str | int | Sequence[Sequence[int]] = "valid",
        data_format: str | None = None,
        *,
        count_include_pad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        self.count_include_pad = bool(count_include_pad)

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.avg_pool2d(
            x,
            name=self.name,
            window=self.pool_size,
            strides=self.strides,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
            ceil_mode=self.ceil_mode,
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"count_include_pad": self.count_include_pad}


class _GlobalPooling2D(Layer):
    """Input (N, H, W, C), output (N, C), or (N, 1, 1, C) with keepdims."""

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        require_channels_last(f"{type(self).__name__} {self.name}", data_format)
        self.keepdims = bool(keepdims)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"keepdims": self.keepdims}


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest value of each map: (N, C), or (N, 1, 1, C) with keepdims."""

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.global_max_pool2d(x, name=self.name, keepdims=self.keepdims)


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each map: (N, C), or (N, 1, 1, C) with keepdims."""

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.global_avg_pool2d(x, name=self.name, keepdims=self.keepdims)


MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalAvgPool2D = GlobalAveragePooling2D
