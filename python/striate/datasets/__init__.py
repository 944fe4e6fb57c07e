"""Data sets for image classification, loaded as Keras loads them.

`mnist`, `fashion_mnist` and `kmnist` are looked for on this machine, then downloaded; `digits` is
drawn by the package and needs no network; `idx` reads and writes the files that they are kept in.
Each submodule is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import digits, fashion_mnist, idx, kmnist, mnist

__all__ = ["digits", "fashion_mnist", "idx", "kmnist", "mnist"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
