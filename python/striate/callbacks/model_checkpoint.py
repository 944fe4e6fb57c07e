"""Save the model while it trains."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from striate.callbacks.callback import Callback, Logs
from striate.callbacks.monitor import Monitor
from striate.errors import ArgumentError


class ModelCheckpoint(Callback):
    """Saves the model, or its weights, after epochs or every so many batches.

    Args:
        filepath: may hold {epoch}, from 1, and names from the logs: "m-{epoch:02d}-{val_loss:.3f}".
        monitor: a name in the logs.
        verbose: 1 prints each time it saves.
        save_best_only: only when `monitor` is better than ever before.
        save_weights_only: model.save_weights instead of model.save.
        mode: "min", "max", or "auto", which goes by the name.
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: a value of `monitor` to be beaten from the start.
    """

    def __init__(
        self,
        filepath: str | Path,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ArgumentError(
                f'ModelCheckpoint: save_freq is "epoch" or a number of batches, got {save_freq!r}'
            )
        self.filepath = os.fspath(filepath)
        self.monitor = monitor
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._monitor = Monitor("ModelCheckpoint", monitor, mode)
        threshold = initial_value_threshold
        self.best = self._monitor.worst if threshold is None else threshold
        self._epoch = 0
        self._batches = 0
        if save_freq != "epoch":
            self.on_train_batch_end = self._count_batch  # type: ignore[method-assign]

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "batches": self._batches}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best = state.get("best", self.best)
        self._batches = state.get("batches", self._batches)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def _count_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        assert isinstance(self.save_freq, int)
        if self._batches % self.save_freq == 0:
            self._save(self._epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: Logs | None) -> None:
        if self.save_best_only:
            value = self._monitor.read(logs)
            if value is None or not self._monitor.better(value, self.best):
                return
            self.best = value
        path = self._path(epoch, logs or {})
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            print(f"Epoch {epoch + 1}: saved {path}")

    def _path(self, epoch: int, logs: Logs) -> str:
        try:
            return self.filepath.format(epoch=epoch + 1, **logs)
        except KeyError as error:
            raise ArgumentError(
                f"ModelCheckpoint: filepath {self.filepath!r} names {error}; there are epoch, "
                f"{', '.join(logs)}"
            ) from None
