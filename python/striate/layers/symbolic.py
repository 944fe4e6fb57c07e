"""Tensors without values: what `Input` gives, and what a layer called on one gives back.

A SymbolicTensor remembers the call that made it, so a Model can walk from its outputs back to its
inputs. Nothing is computed and no memory is taken until a model runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any, NoReturn

from striate.errors import ArgumentError

if TYPE_CHECKING:
    from striate.layers.layer import Layer

Shape = tuple[int | None, ...]

_calls = itertools.count()


class Node:
    """One call of a layer: what went in and what came out.

    Attributes:
        layer: that was called; a shared layer has several nodes.
        inputs: empty for an InputLayer's.
        inference: whether the call said training=False, so that dropout is off and a batch
            normalisation runs on its moving statistics in training, too.
        order: grows from call to call, so inputs always have smaller numbers than what uses them.
    """

    __slots__ = ("inference", "inputs", "layer", "order", "outputs")

    def __init__(
        self,
        layer: Layer,
        inputs: Iterable[SymbolicTensor],
        output_shapes: Iterable[Shape],
        *,
        inference: bool = False,
    ) -> None:
        self.layer = layer
        self.inputs = tuple(inputs)
        self.inference = inference
        self.order = next(_calls)
        self.outputs = tuple(
            SymbolicTensor(shape, self, index) for index, shape in enumerate(output_shapes)
        )


class SymbolicTensor:
    """A tensor of a network that is being put together; Keras's KerasTensor.

    `+`, `-`, `*` and `/` make layers: Add, Subtract and Multiply of two tensors, Rescaling of a
    tensor and a number.

    Attributes:
        shape: (None, *shape of one sample).
        node: the call that made it.
        index: which of that call's outputs it is.
    """

    __slots__ = ("__weakref__", "index", "node", "shape")

    dtype = "float32"

    def __init__(self, shape: Shape, node: Node, index: int) -> None:
        self.shape = shape
        self.node = node
        self.index = index

    @property
    def layer(self) -> Layer:
        """The layer that made it."""
        return self.node.layer

    @property
    def name(self) -> str:
        """The layer's name; with a number where the layer has several outputs."""
        name = self.node.layer.name
        return name if len(self.node.outputs) == 1 else f"{name}[{self.index}]"

    @property
    def ndim(self) -> int:
        """How many axes there are, the batch's included."""
        return len(self.shape)

    def __add__(self, other: Any) -> Any:
        return _rescaled(self, 1.0, other) if _is_number(other) else _merged("Add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _rescaled(self, 1.0, other) if _is_number(other) else _merged("Add", other, self)

    def __sub__(self, other: Any) -> Any:
        if _is_number(other):
            return _rescaled(self, 1.0, -other)
        return _merged("Subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        if _is_number(other):
            return _rescaled(self, -1.0, other)
        return _merged("Subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        if _is_number(other):
            return _rescaled(self, other, 0.0)
        return _merged("Multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        if _is_number(other):
            return _rescaled(self, other, 0.0)
        return _merged("Multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        if not _is_number(other):
            raise TypeError(f"{self.name}: a tensor of a network can be divided by a number only")
        if other == 0:
            raise ZeroDivisionError(f"{self.name} / 0")
        return _rescaled(self, 1.0 / other, 0.0)

    def __neg__(self) -> Any:
        return _rescaled(self, -1.0, 0.0)

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{_no_values(self)}: it is neither true nor false")

    def __len__(self) -> NoReturn:
        raise TypeError(f"{_no_values(self)}: a batch's size is not known yet")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{_no_values(self)}: it cannot be iterated over")

    def __getitem__(self, key: Any) -> NoReturn:
        raise TypeError(f"{_no_values(self)}: crop it with a layer, such as Cropping2D")

    def __float__(self) -> NoReturn:
        raise TypeError(f"{_no_values(self)}: it is no number")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise TypeError(
            f"{_no_values(self)}: NumPy cannot compute with it; use layers, or run a model of it "
            "with predict"
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # NumPy's numbers come here, as in np.float32(2) * x; its arrays and functions are refused.
        operations = {
            "add": lambda a, b: a + b,
            "subtract": lambda a, b: a - b,
            "multiply": lambda a, b: a * b,
        }
        operation = operations.get(ufunc.__name__)
        if operation and method == "__call__" and len(inputs) == 2 and not kwargs:
            first, second = (float(x) if _is_number(x) else x for x in inputs)
            if isinstance(first, float) or isinstance(second, float):
                return operation(first, second)
        self.__array__()

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> NoReturn:
        self.__array__()

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape}, name={self.name}>"


def _is_number(value: object) -> bool:
    return isinstance(value, Real)


def _no_values(tensor: SymbolicTensor) -> str:
    return f"{tensor.name} is a tensor of a network, shape {tensor.shape}, without values"


def _merged(kind: str, first: Any, second: Any) -> Any:
    from striate import layers

    for value in (first, second):
        if not isinstance(value, SymbolicTensor):
            raise TypeError(
                f"{kind}: a tensor of a network goes with another one or with a number, "
                f"got {type(value).__name__}"
            )
    return getattr(layers, kind)()([first, second])


def _rescaled(tensor: SymbolicTensor, scale: Any, offset: Any) -> Any:
    from striate import layers

    return layers.Rescaling(float(scale), float(offset))(tensor)


def symbolic(values: Iterable[object], owner: str) -> bool:
    """Whether these are symbolic tensors, rather than arrays.

    Raises:
        ArgumentError: some are and some are not.
    """
    found = [isinstance(value, SymbolicTensor) for value in values]
    if any(found) and not all(found):
        raise ArgumentError(f"{owner}: takes tensors of a network or arrays, not both in one call")
    return any(found)
