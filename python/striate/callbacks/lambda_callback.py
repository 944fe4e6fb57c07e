"""Hooks from plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from striate.callbacks.callback import Callback


class LambdaCallback(Callback):
    """Calls the functions given, by the names of Callback's hooks.

    LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    """

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        for name, function in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise TypeError(f"LambdaCallback: there is no hook {name!r}")
            if function is not None:
                setattr(self, name, function)
