"""striate trains and runs convolutional networks on CPUs, in Keras's vocabulary.

    import striate
    from striate import layers

    model = striate.Sequential([
        striate.Input((28, 28, 1)),
        layers.Conv2D(6, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x, y, epochs=5)

Submodules and names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from striate.openmp_wait import short_spin

with short_spin():
    from striate._core import __version__, set_num_threads

if TYPE_CHECKING:
    from striate import (
        activations,
        applications,
        augment,
        callbacks,
        datasets,
        errors,
        initializers,
        layers,
        losses,
        metrics,
        models,
        optimizers,
        regularizers,
        schedules,
        utils,
    )
    from striate.config import show_config
    from striate.layers import Input
    from striate.models import Model, Sequential, load_model
    from striate.utils import set_random_seed

_SUBMODULES = frozenset(
    {
        "activations", "applications", "augment", "callbacks", "cli", "datasets", "errors",
        "initializers", "interop", "layers", "losses", "metrics", "models", "optimizers", "recipes",
        "regularizers", "schedules", "utils", "viz",
    }
)  # fmt: skip
_NAMES = {
    "Input": "layers",
    "Model": "models",
    "Sequential": "models",
    "load_model": "models",
    "set_random_seed": "utils",
    "show_config": "config",
}

__all__ = [
    "Input",
    "Model",
    "Sequential",
    "__version__",
    "activations",
    "applications",
    "augment",
    "callbacks",
    "datasets",
    "errors",
    "initializers",
    "layers",
    "load_model",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "regularizers",
    "schedules",
    "set_num_threads",
    "set_random_seed",
    "show_config",
    "utils",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"striate.{name}")
    if name in _NAMES:
        value = getattr(importlib.import_module(f"striate.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'striate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
