"""Whether a logged quantity got better."""

from __future__ import annotations

import math

from striate.callbacks.callback import Logs
from striate.errors import ArgumentError, warn_once

_LARGER_IS_BETTER = ("acc", "accuracy", "auc", "precision", "recall", "f1")


class Monitor:
    """A quantity of the logs, and its direction.

    Args:
        owner: the callback's name, for messages.
        name: of the quantity, as in the logs.
        mode: "min", "max", or "auto", which goes by the name.
        min_delta: a smaller change is none.
    """

    def __init__(self, owner: str, name: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ArgumentError(f'{owner}: mode is "auto", "min" or "max", got {mode!r}')
        if mode == "auto":
            mode = "max" if name.endswith(_LARGER_IS_BETTER) else "min"
        self.owner = owner
        self.name = name
        self.larger = mode == "max"
        self.min_delta = abs(float(min_delta))

    @property
    def worst(self) -> float:
        """What every value is better than."""
        return -math.inf if self.larger else math.inf

    def better(self, value: float, best: float) -> bool:
        """Whether `value` improves on `best` by more than min_delta."""
        if self.larger:
            return value - self.min_delta > best
        return value + self.min_delta < best

    def read(self, logs: Logs | None) -> float | None:
        """The quantity's value, or None with one warning if the logs lack it."""
        value = (logs or {}).get(self.name)
        if value is None:
            warn_once(
                f"{self.owner}: there is no {self.name!r} to monitor, only "
                f"{', '.join(logs or {}) or 'nothing'}"
            )
        return value
