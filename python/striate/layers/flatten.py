"""Maps to a vector."""

from __future__ import annotations

from typing import Any

from striate import _core
from striate.layers.conv2d import require_channels_last
from striate.layers.layer import Layer


class Flatten(Layer):
    """Input (N, H, W, C), output (N, H * W * C), rows first and channels last."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require_channels_last(f"{type(self).__name__} {self.name}", data_format)

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.flatten(x, name=self.name)
