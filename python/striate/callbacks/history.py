"""What each epoch brought."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from striate.callbacks.callback import Callback, Logs


class History(Callback):
    """A record of each epoch's logs.

    Attributes:
        epoch: numbers of the epochs that are complete.
        history: {"loss": [..], "accuracy": [..], "val_loss": [..], ..}, an entry an epoch.
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "history": self.history}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.epoch = list(state["epoch"])
        self.history = {name: list(values) for name, values in state["history"].items()}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
