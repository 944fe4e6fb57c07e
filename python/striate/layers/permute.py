"""The axes of a sample in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.errors import ArgumentError
from striate.layers.arguments import integer
from striate.layers.layer import Layer


class Permute(Layer):
    """Puts the axes of a sample in another order; (2, 1, 3) swaps rows and columns.

    Args:
        dims: by output axis, which input axis it is, counted from 1: the batch is 0 and stays.
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        owner = f"Permute {self.name}"
        if not isinstance(dims, (tuple, list)):
            raise ArgumentError(f"{owner}: dims is a tuple of integers, got {dims!r}")
        self.dims = tuple(integer(owner, "an axis in dims", axis) for axis in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(
                f"{owner}: dims names each axis from 1 on once, as in (2, 1, 3), got {self.dims}"
            )

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.permute(x, name=self.name, axes=[axis - 1 for axis in self.dims])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"dims": list(self.dims)}
