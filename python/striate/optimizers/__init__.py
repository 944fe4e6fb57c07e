"""Optimizers, under Keras's names, and LeNet-5's own.

An optimizer holds settings; its arithmetic and its state are the core's. Once a model is compiled
with it, `learning_rate` reads and sets the rate of the next step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from striate import schedules
from striate.errors import ArgumentError
from striate.optimizers.adam import Adam, AdamW
from striate.optimizers.muon import Muon
from striate.optimizers.optimizer import Optimizer
from striate.optimizers.rmsprop import RMSprop
from striate.optimizers.sdlm import SDLM
from striate.optimizers.sgd import SGD

__all__ = [
    "SDLM",
    "SGD",
    "Adam",
    "AdamW",
    "Muon",
    "Optimizer",
    "RMSprop",
    "get",
    "schedules",
]

_CLASSES: dict[str, type[Optimizer]] = {
    cls.__name__: cls for cls in (SGD, Adam, AdamW, RMSprop, Muon, SDLM)
}


def serialize(optimizer: Optimizer) -> dict[str, Any] | None:
    """{"class": .., "config": ..}, or None for a class that is not striate's own."""
    name = type(optimizer).__name__
    if _CLASSES.get(name) is not type(optimizer):
        return None
    return {"class": name, "config": optimizer.get_config()}


def get(identifier: object) -> Optimizer:
    """An optimizer from an object, a class, a name ("adam", "Adam") or a config.

    Raises:
        ArgumentError: no such optimizer.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()  # type: ignore[call-arg]
    if isinstance(identifier, str):
        for name, cls in _CLASSES.items():
            if identifier.lower() == name.lower():
                return cls()  # type: ignore[call-arg]
    if isinstance(identifier, Mapping) and identifier.get("class") in _CLASSES:
        return _CLASSES[identifier["class"]].from_config(identifier.get("config", {}))
    raise ArgumentError(f"no optimizer {identifier!r}; there are {', '.join(_CLASSES)}")
