"""Activations as layers of their own."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from striate import _core, activations
from striate.errors import ArgumentError
from striate.layers.layer import Layer


class _Activation(Layer):
    def as_activation(self) -> activations.Named:
        """What this layer applies; so a layer may be another's `activation=` too."""
        raise NotImplementedError

    def describe(self, graph: _core.Graph, x: int) -> int:
        kind, alpha = self.as_activation()
        return graph.activation(x, name=self.name, kind=kind, alpha=alpha)


class Activation(_Activation):
    """The activation of that name; see striate.activations."""

    def __init__(self, activation: object, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation, f"Activation {self.name}")

    def as_activation(self) -> activations.Named:
        return self.activation

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"activation": self.activation.as_config()}


def _number(owner: str, name: str, value: float) -> float:
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ArgumentError(f"{owner}: {name} must be a finite number, got {value!r}")
    return float(value)


class ReLU(_Activation):
    """max(x, 0), or negative_slope * x below zero."""

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_value is not None or threshold:
            raise ArgumentError(f"ReLU {self.name}: max_value and threshold are not supported")
        self.negative_slope = _number(self.name, "negative_slope", negative_slope)

    def as_activation(self) -> activations.Named:
        if self.negative_slope:
            return activations.Named("leaky_relu", self.negative_slope)
        return activations.get("relu")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"negative_slope": self.negative_slope}


class LeakyReLU(_Activation):
    """x, or negative_slope * x below zero. `alpha` is Keras 2's name of the slope."""

    def __init__(
        self, negative_slope: float = 0.3, *, alpha: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        slope = negative_slope if alpha is None else alpha
        self.negative_slope = _number(self.name, "negative_slope", slope)

    def as_activation(self) -> activations.Named:
        return activations.Named("leaky_relu", self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"negative_slope": self.negative_slope}


class ELU(_Activation):
    """x, or alpha * (exp(x) - 1) below zero."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = _number(self.name, "alpha", alpha)

    def as_activation(self) -> activations.Named:
        return activations.Named("elu", self.alpha)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"alpha": self.alpha}


class Softmax(_Activation):
    """exp(x) / sum(exp(x)) over the last axis."""

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if axis != -1:
            raise ArgumentError(f"Softmax {self.name}: axis is the last one, -1; got {axis!r}")

    def as_activation(self) -> activations.Named:
        return activations.get("softmax")
