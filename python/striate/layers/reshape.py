"""The same numbers under another shape."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.errors import ArgumentError
from striate.layers.layer import Layer


class Reshape(Layer):
    """The features of a sample, rows first and channels last, under another shape.

    Args:
        target_shape: of one sample, without the batch axis; one size may be -1 and takes what the
            others leave.
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        try:
            if isinstance(target_shape, str) or any(isinstance(v, bool) for v in target_shape):
                raise TypeError
            self.target_shape = tuple(operator.index(v) for v in target_shape)
        except TypeError:
            raise ArgumentError(
                f"Reshape {self.name}: target_shape is a tuple of integers, got {target_shape!r}"
            ) from None

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.reshape(x, name=self.name, target_shape=self.target_shape)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"target_shape": list(self.target_shape)}
