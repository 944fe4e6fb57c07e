"""What each epoch brought."""

from __future__ import annotations

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

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
