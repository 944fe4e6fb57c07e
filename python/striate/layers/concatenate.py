"""Concatenation: several tensors side by side."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.errors import ArgumentError
from striate.layers.layer import Layer


class Concatenate(Layer):
    """2 to 64 tensors, which agree in every other axis, side by side along one.

    Args:
        axis: counted with the batch as 0, as Keras does: 1 is an image's rows, 2 its columns, 3 or
            -1 its channels. The batch itself cannot be it.
    """

    several_inputs = True

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        try:
            if isinstance(axis, bool):
                raise TypeError
            self.axis = operator.index(axis)
        except TypeError:
            raise ArgumentError(
                f"Concatenate {self.name}: axis must be an integer, got {axis!r}"
            ) from None
        if self.axis == 0:
            raise ArgumentError(
                f"Concatenate {self.name}: axis 0 is the batch; 1, 2 and 3 are an image's rows, "
                "columns and channels"
            )

    def describe(self, graph: _core.Graph, x: Any) -> int:
        # A sample has no batch axis: counted from the front, its axes are one less.
        return graph.concatenate(
            x, name=self.name, axis=self.axis - 1 if self.axis > 0 else self.axis
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axis": self.axis}


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """Concatenate(axis, **kwargs)(inputs)."""
    layer: Any = Concatenate(axis, **kwargs)
    return layer(list(inputs))
