"""A view of one of a layer's weights: what `model.weights` lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate.errors import ShapeError

if TYPE_CHECKING:
    from striate.layers.layer import Layer


class Weight:
    """One weight, by name; the values are the layer's, whichever model trained them last."""

    dtype = "float32"

    def __init__(self, layer: Layer, place: int, info: dict[str, Any]) -> None:
        self._layer = layer
        self._place = place
        self.path: str = info["name"]
        self.name: str = self.path.rsplit("/", 1)[-1]
        self.shape: tuple[int, ...] = tuple(info["shape"])
        self.trainable: bool = info["trainable"]

    @property
    def size(self) -> int:
        """How many values it has."""
        return int(np.prod(self.shape, dtype=np.int64))

    def numpy(self) -> NDArray[np.float32]:
        """A copy of the values."""
        store = self._layer.require_store()
        return store.value(store.indices[self._layer][self._place])

    def assign(self, value: ArrayLike) -> None:
        """Replaces the values; `value` has this weight's shape."""
        store = self._layer.require_store()
        store.assign([store.indices[self._layer][self._place]], [value], self.path)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.numpy(), dtype=dtype)

    def __repr__(self) -> str:
        return f"<Weight {self.path}, shape={self.shape}, trainable={self.trainable}>"


def checked(path: str, shape: tuple[int, ...], value: ArrayLike) -> NDArray[np.float32]:
    """`value` as contiguous float32 of exactly this shape.

    Raises:
        ShapeError: another shape, or not numbers.
    """
    try:
        array = np.ascontiguousarray(value, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{path}: a weight is an array of numbers: {error}") from None
    if np.shape(value) != tuple(shape):
        raise ShapeError(f"{path}: the weight has shape {tuple(shape)}, got {np.shape(value)}")
    return array.reshape(shape)
