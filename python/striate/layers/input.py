"""The shape that enters a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.errors import ArgumentError, ShapeError
from striate.layers.layer import Layer
from striate.layers.symbolic import Node, SymbolicTensor


class InputLayer(Layer):
    """Says what one sample looks like; its `output` is what `Input` returns.

    Args:
        shape: of one sample, without the batch axis: (28, 28, 1).
        batch_size: taken for Keras's sake; batches may have any size.
    """

    can_train = False

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
        self.nodes.append(Node(self, (), [(None, *self.shape)]))

    def describe(self, graph: _core.Graph, x: int) -> int:
        if tuple(graph.shape(x)) != self.shape:
            raise ShapeError(f"{self.name}: input is {graph.shape(x)}, expected {self.shape}")
        return x

    @property
    def input(self) -> SymbolicTensor:
        """The same as `output`."""
        return self.nodes[0].outputs[0]

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """(None, *shape of one sample)."""
        return (None, *self.shape)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.shape)}


def Input(  # Keras's name
    shape: Sequence[int] | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    name: str | None = None,
) -> SymbolicTensor:
    """Where a network begins: Input((28, 28, 1)) for samples of that shape.

    A tensor to call layers on, and what a Model takes as `inputs`; also the first entry of a
    Sequential.
    """
    layer = InputLayer(shape=shape, batch_size=batch_size, dtype=dtype, name=name)
    return layer.nodes[0].outputs[0]
