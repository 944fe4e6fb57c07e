"""Numbers moved to another range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from striate import _core
from striate.errors import ArgumentError
from striate.layers.layer import Layer


def _numbers(owner: str, name: str, value: ArrayLike) -> list[float]:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty((0, 0))
    if array.ndim > 1 or not array.size or not np.isfinite(array).all():
        raise ArgumentError(
            f"{owner}: {name} must be a finite number, or one for each channel, got {value!r}"
        )
    return [float(number) for number in array.ravel()]


class Rescaling(Layer):
    """x * scale + offset, in training and in inference alike.

    Args:
        scale: one number, or one for each channel; 1 / 255 takes bytes to [0, 1].
        offset: the same.
    """

    def __init__(self, scale: ArrayLike, offset: ArrayLike = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = f"Rescaling {self.name}"
        self.scale = _numbers(owner, "scale", scale)
        self.offset = _numbers(owner, "offset", offset)

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.rescaling(x, name=self.name, scale=self.scale, offset=self.offset)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            name: value[0] if len(value) == 1 else value
            for name, value in (("scale", self.scale), ("offset", self.offset))
        }
