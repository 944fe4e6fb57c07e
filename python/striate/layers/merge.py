"""Merges: several tensors to one, element by element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.layers.layer import Layer


class _Merge(Layer):
    """Input: a list of 2 to 64 tensors; output of the shape that they meet in.

    Extents must agree or be 1; what is 1 is repeated, as in (N, H, W, C) with (N, 1, 1, C). A
    tensor of lower rank gets axes of 1 behind the batch: (N, C) goes with (N, H, W, C), too.
    """

    several_inputs = True


class Add(_Merge):
    """The sum of its inputs."""

    def describe(self, graph: _core.Graph, x: Any) -> int:
        return graph.add(x, name=self.name)


class Subtract(_Merge):
    """The first of exactly two inputs less the second."""

    def describe(self, graph: _core.Graph, x: Any) -> int:
        return graph.subtract(x, name=self.name)


class Multiply(_Merge):
    """The product of its inputs."""

    def describe(self, graph: _core.Graph, x: Any) -> int:
        return graph.multiply(x, name=self.name)


class Average(_Merge):
    """The mean of its inputs."""

    def describe(self, graph: _core.Graph, x: Any) -> int:
        return graph.average(x, name=self.name)


class Maximum(_Merge):
    """The largest of its inputs; of equals the first takes the gradient, as in TensorFlow."""

    def describe(self, graph: _core.Graph, x: Any) -> int:
        return graph.maximum(x, name=self.name)


class Minimum(_Merge):
    """The smallest of its inputs; of equals the first takes the gradient, as in TensorFlow."""

    def describe(self, graph: _core.Graph, x: Any) -> int:
        return graph.minimum(x, name=self.name)


def _call(layer: Any, inputs: Sequence[Any]) -> Any:
    return layer(list(inputs))


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Add(**kwargs)(inputs)."""
    return _call(Add(**kwargs), inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Subtract(**kwargs)(inputs)."""
    return _call(Subtract(**kwargs), inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Multiply(**kwargs)(inputs)."""
    return _call(Multiply(**kwargs), inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Average(**kwargs)(inputs)."""
    return _call(Average(**kwargs), inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Maximum(**kwargs)(inputs)."""
    return _call(Maximum(**kwargs), inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """Minimum(**kwargs)(inputs)."""
    return _call(Minimum(**kwargs), inputs)
