"""Pooling to an output of a given size, whatever the input's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.layers.arguments import pair
from striate.layers.conv2d import require_channels_last
from striate.layers.layer import Layer


class AdaptiveAveragePooling2D(Layer):
    """Means of windows that share the image out: (N, H, W, C) to (N, OH, OW, C).

    Output row i is the mean of the rows from floor(i * H / OH) to ceil((i + 1) * H / OH), and
    columns alike, as PyTorch's AdaptiveAvgPool2d does it.

    Args:
        output_size: (OH, OW), or one number for both.
        data_format: only "channels_last".
    """

    def __init__(
        self, output_size: int | Sequence[int], data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        owner = f"AdaptiveAveragePooling2D {self.name}"
        require_channels_last(owner, data_format)
        self.output_size = pair(owner, "output_size", output_size)

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.adaptive_avg_pool2d(x, name=self.name, output_size=self.output_size)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"output_size": list(self.output_size)}
