"""Data sets for image classification, loaded as Keras loads them.

`mnist`, `fashion_mnist` and `kmnist` are looked for on this machine, then downloaded; `digits` is
drawn by the package and needs no network; `idx` reads and writes the files that they are kept in.
`cifar10` and `cifar100` are looked for likewise, also as folders of images; `ImageFolder` and
`image_dataset_from_directory` read any such folder. Each is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import cifar10, cifar100, digits, fashion_mnist, idx, kmnist, mnist
    from .from_directory import image_dataset_from_directory
    from .image_folder import ImageFolder

_NAMES = {
    "ImageFolder": "image_folder",
    "image_dataset_from_directory": "from_directory",
}

__all__ = [
    "ImageFolder",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "idx",
    "image_dataset_from_directory",
    "kmnist",
    "mnist",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
