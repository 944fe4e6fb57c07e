"""Penalties on weights, under Keras's names: what a layer's kernel_regularizer adds to the loss.

The loss that `fit` and `evaluate` report has the penalties of all weights that are trained in it,
as Keras's has. A regularizer only describes; the core adds penalty and gradient.

    layers.Conv2D(64, 3, kernel_regularizer=regularizers.L2(1e-4))

The weight decay of the ResNet papers and of PyTorch's SGD, gradient + wd * w, is L2(wd / 2); an
optimizer's weight_decay= is another thing, the decoupled one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from striate.errors import ArgumentError
from striate.registry import find

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get", "l1", "l1_l2", "l2"]


class Regularizer:
    """l1 * sum |w| + l2 * sum w^2, of the factors that a subclass takes."""

    def __init__(self, l1: float, l2: float) -> None:
        self.l1 = _factor(type(self).__name__, "l1", l1)
        self.l2 = _factor(type(self).__name__, "l2", l2)

    def __call__(self, x: ArrayLike) -> float:
        """The penalty of weights `x`."""
        w = np.asarray(x, dtype=np.float64)
        return float(self.l1 * np.abs(w).sum() + self.l2 * np.square(w).sum())

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, as JSON-able values."""
        raise NotImplementedError(f"{type(self).__name__} has no get_config")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Regularizer:
        """The regularizer that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        factors = ", ".join(f"{name}={value:g}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({factors})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.l1, self.l2))


class L1(Regularizer):
    """l1 * sum |w|: makes small weights zero."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(Regularizer):
    """l2 * sum w^2: gradient 2 * l2 * w, which keeps weights small."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(0.0, l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class L1L2(Regularizer):
    """Both. By name, "l1_l2" has 0.01 of each."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        super().__init__(l1, l2)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


l1, l2, l1_l2 = L1, L2, L1L2  # Keras's other names: regularizers.l2(1e-4)

_CLASSES: dict[str, type[Regularizer]] = {cls.__name__: cls for cls in (L1, L2, L1L2)}
_NAMES: dict[str, type[Regularizer]] = {"l1": L1, "l2": L2, "l1_l2": L1L2}


def _factor(owner: str, name: str, value: object) -> float:
    if not isinstance(value, Real) or not math.isfinite(value) or value < 0:
        raise ArgumentError(f"{owner}: {name} must be a number of at least 0, got {value!r}")
    return float(value)


def serialize(regularizer: Regularizer | None) -> dict[str, Any] | None:
    """{"class": .., "config": ..}, as model files keep it; None for none."""
    if regularizer is None:
        return None
    return {"class": type(regularizer).__name__, "config": regularizer.get_config()}


def get(identifier: object) -> Regularizer | None:
    """A regularizer from an object, a class, a name ("l2", "l1_l2") or a config; None for None.

    Raises:
        ArgumentError: no such regularizer.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str) and identifier.lower() == "l1_l2":
        return L1L2(0.01, 0.01)
    return find(identifier, Regularizer, _CLASSES, _NAMES, "regularizer")
