"""The shape that enters a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.errors import ArgumentError, ShapeError
from striate.layers.layer import Layer


class InputLayer(Layer):
    """Says what one sample looks like; the first entry of a Sequential.

    Args:
        shape: of one sample, without the batch axis: (28, 28, 1).
        batch_size: taken for Keras's sake; batches may have any size.
    """

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        name: str | None = None,
        *,
        input_shape: Sequence[int] | None = None,
        **unknown: Any,
    ) -> None:
        given = shape if shape is not None else input_shape
        if given is None:
            raise ArgumentError("Input: needs shape=, of one sample, as in Input((28, 28, 1))")
        super().__init__(name=name, input_shape=given, dtype=dtype, **unknown)
        assert self.given_input_shape is not None
        self.shape: tuple[int, ...] = self.given_input_shape

    def describe(self, graph: _core.Graph, x: int) -> int:
        if tuple(graph.shape(x)) != self.shape:
            raise ShapeError(f"{self.name}: input is {graph.shape(x)}, expected {self.shape}")
        return x

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.shape)}


def Input(  # Keras's name
    shape: Sequence[int] | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    name: str | None = None,
) -> InputLayer:
    """The first entry of a Sequential: Input((28, 28, 1)) for samples of that shape."""
    return InputLayer(shape=shape, batch_size=batch_size, dtype=dtype, name=name)
