"""Images made larger by whole factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.errors import ArgumentError
from striate.layers.arguments import pair
from striate.layers.conv2d import require_channels_last
from striate.layers.layer import Layer


class UpSampling2D(Layer):
    """(N, H, W, C) to (N, size[0] * H, size[1] * W, C).

    Args:
        size: (vertical, horizontal) factor.
        data_format: only "channels_last".
        interpolation: "nearest" repeats every pixel; "bilinear" blends the four pixels around with
            half-pixel centres, as TensorFlow's resize, and keeps the outermost values at the edge.
    """

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = f"UpSampling2D {self.name}"
        require_channels_last(owner, data_format)
        self.size = pair(owner, "size", size)
        if interpolation not in ("nearest", "bilinear"):
            raise ArgumentError(
                f'{owner}: interpolation must be "nearest" or "bilinear", got {interpolation!r}'
            )
        self.interpolation = interpolation

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.upsampling2d(
            x, name=self.name, size=self.size, interpolation=self.interpolation
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "size": list(self.size),
            "interpolation": self.interpolation,
        }
