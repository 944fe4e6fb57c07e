"""The activations that layers take: by name, by (kind, alpha), or as an activation layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple

from striate.errors import ArgumentError

__all__ = ["KINDS", "Named", "get"]

# Keras's names -> (the core's kind, alpha). Keras's "leaky_relu" has slope 0.2, its layer 0.3.
KINDS: dict[str, tuple[str, float]] = {
    "linear": ("linear", 0.0),
    "relu": ("relu", 0.0),
    "leaky_relu": ("leaky_relu", 0.2),
    "sigmoid": ("sigmoid", 0.0),
    "tanh": ("tanh", 0.0),
    "scaled_tanh": ("scaled_tanh", 0.0),
    "softmax": ("softmax", 0.0),
    "elu": ("elu", 1.0),
    "gelu": ("gelu", 0.0),
    "silu": ("silu", 0.0),
    "swish": ("silu", 0.0),
}


class Named(NamedTuple):
    """An activation as the core knows it."""

    kind: str
    alpha: float

    def as_config(self) -> str | dict[str, Any]:
        """The name where that says it all, else {"kind": .., "alpha": ..}."""
        if KINDS[self.kind] == self:
            return self.kind
        return {"kind": self.kind, "alpha": self.alpha}


LINEAR = Named("linear", 0.0)


def get(identifier: object, owner: str = "activation") -> Named:
    """An activation from None (linear), a name, a config, or a layer such as LeakyReLU(0.1).

    Raises:
        ArgumentError: no such activation; the message opens with `owner`.
    """
    if identifier is None:
        return LINEAR
    if isinstance(identifier, Named):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in KINDS:
        return Named(*KINDS[identifier.lower()])
    if hasattr(identifier, "as_activation"):
        found = identifier.as_activation()
        assert isinstance(found, Named)
        return found
    if isinstance(identifier, Mapping) and identifier.get("kind") in KINDS:
        alpha = identifier.get("alpha", 0.0)
        if isinstance(alpha, Real) and math.isfinite(alpha):
            return Named(KINDS[identifier["kind"]][0], float(alpha))
    raise ArgumentError(f"{owner}: no activation {identifier!r}; there are {', '.join(KINDS)}")
