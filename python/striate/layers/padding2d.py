"""Frames of zeros around images, and frames taken off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.errors import ArgumentError
from striate.layers.arguments import Pair, integer
from striate.layers.conv2d import require_channels_last
from striate.layers.layer import Layer


def _sides(owner: str, name: str, value: object) -> tuple[Pair, Pair]:
    """((top, bottom), (left, right)) of Keras's three forms; none is negative."""
    if not isinstance(value, (tuple, list)):
        p = integer(owner, name, value, 0)
        return (p, p), (p, p)
    if len(value) == 2:
        if all(isinstance(v, (tuple, list)) and len(v) == 2 for v in value):
            (top, bottom), (left, right) = value
            sides = [integer(owner, name, v, 0) for v in (top, bottom, left, right)]
            return (sides[0], sides[1]), (sides[2], sides[3])
        if not any(isinstance(v, (tuple, list)) for v in value):
            h, w = (integer(owner, name, v, 0) for v in value)
            return (h, h), (w, w)
    raise ArgumentError(
        f"{owner}: {name} must be an integer, (vertical, horizontal) or "
        f"((top, bottom), (left, right)), got {value!r}"
    )


class ZeroPadding2D(Layer):
    """Zeros around every map: (N, H, W, C) to (N, top + H + bottom, left + W + right, C).

    Args:
        padding: one integer for all four sides, (vertical, horizontal) or
            ((top, bottom), (left, right)).
        data_format: only "channels_last".
    """

    def __init__(
        self,
        padding: int | Sequence[int] | Sequence[Sequence[int]] = (1, 1),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = f"ZeroPadding2D {self.name}"
        require_channels_last(owner, data_format)
        self.padding = _sides(owner, "padding", padding)

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.zero_padding2d(x, name=self.name, padding=self.padding)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"padding": [list(side) for side in self.padding]}


class Cropping2D(Layer):
    """What is inside a frame of every map: (N, H, W, C) to (N, H - top - bottom, .., C).

    Args:
        cropping: one integer for all four sides, (vertical, horizontal) or
            ((top, bottom), (left, right)).
        data_format: only "channels_last".
    """

    def __init__(
        self,
        cropping: int | Sequence[int] | Sequence[Sequence[int]] = ((0, 0), (0, 0)),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = f"Cropping2D {self.name}"
        require_channels_last(owner, data_format)
        self.cropping = _sides(owner, "cropping", cropping)

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.cropping2d(x, name=self.name, cropping=self.cropping)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"cropping": [list(side) for side in self.cropping]}
