"""Change the learning rate between epochs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from striate.callbacks.callback import Callback, Logs, restore_state, state_of
from striate.callbacks.monitor import Monitor
from striate.errors import ArgumentError


class LearningRateScheduler(Callback):
    """Sets the rate before each epoch to schedule(epoch, rate), or schedule(epoch).

    Args:
        schedule: takes the epoch, from 0, and the present rate; returns the new rate.
        verbose: 1 prints each rate.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule = schedule
        self.verbose = verbose
        try:
            parameters = inspect.signature(schedule).parameters.values()
            self._takes_rate = len(parameters) > 1 or any(
                p.kind == p.VAR_POSITIONAL for p in parameters
            )
        except (TypeError, ValueError):  # a built-in without a signature
            self._takes_rate = True

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        rate = (
            self.schedule(epoch, optimizer.learning_rate)
            if self._takes_rate
            else self.schedule(epoch)
        )
        try:
            optimizer.learning_rate = float(rate)
        except (TypeError, ValueError):
            raise ArgumentError(
                f"LearningRateScheduler: schedule({epoch}) gave {rate!r}, which is no rate"
            ) from None
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {optimizer.learning_rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate


_STATE = ("best", "wait", "cooldown_counter")


class ReduceLROnPlateau(Callback):
    """Multiplies the rate by `factor` when `monitor` has not improved for `patience` epochs.

    Args:
        monitor: a name in the logs.
        factor: below 1.
        patience: epochs without improvement that are borne.
        verbose: 1 prints each reduction.
        mode: "min", "max", or "auto", which goes by the name.
        min_delta: a smaller change is no improvement.
        cooldown: epochs after a reduction that are not looked at.
        min_lr: the rate goes no lower.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not 0 < factor < 1:
            raise ArgumentError(f"ReduceLROnPlateau: factor must lie between 0 and 1, got {factor}")
        self.monitor = monitor
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._monitor = Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self._reset()

    def _reset(self) -> None:
        self.best = self._monitor.worst
        self.wait = 0
        self.cooldown_counter = 0

    def get_state(self) -> dict[str, Any]:
        return state_of(self, _STATE)

    def set_state(self, state: Mapping[str, Any]) -> None:
        restore_state(self, state, _STATE)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        if logs is not None:
            logs["learning_rate"] = optimizer.learning_rate
        value = self._monitor.read(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self._monitor.better(value, self.best):
            self.best = value
            self.wait = 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        rate = optimizer.learning_rate
        if rate <= self.min_lr:
            return
        optimizer.learning_rate = max(rate * self.factor, self.min_lr)
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate reduced to {optimizer.learning_rate:g}")
