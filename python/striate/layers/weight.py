"""A view of one parameter of a network: what `model.weights` lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate import _core
from striate.errors import ShapeError


class Weight:
    """One parameter, by name; the values live in the network."""

    dtype = "float32"

    def __init__(self, network: _core.Network, index: int, info: dict[str, Any]) -> None:
        self._network = network
        self._index = index
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
        return self._network.get_parameter(self._index)

    def assign(self, value: ArrayLike) -> None:
        """Replaces the values; `value` has this weight's shape."""
        self._network.set_parameter(self._index, checked(self.path, self.shape, value))

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


def set_all(network: _core.Network, indices: list[int], values: list[Any], owner: str) -> None:
    """Sets several parameters, or none if any of `values` does not fit."""
    infos = network.parameters()
    if len(values) != len(indices):
        names = ", ".join(f"{infos[i]['name']} {tuple(infos[i]['shape'])}" for i in indices)
        raise ShapeError(
            f"{owner}: has {len(indices)} weights ({names or 'none'}), got {len(values)}"
        )
    arrays = [
        checked(infos[i]["name"], tuple(infos[i]["shape"]), value)
        for i, value in zip(indices, values, strict=True)
    ]
    for i, array in zip(indices, arrays, strict=True):
        network.set_parameter(i, array)
