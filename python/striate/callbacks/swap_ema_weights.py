"""Evaluation with the moving average of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from striate.callbacks.callback import Callback, Logs
from striate.errors import ArgumentError

if TYPE_CHECKING:
    from striate.models.model import Model


class SwapEMAWeights(Callback):
    """Puts the weights' moving averages in their place for evaluation, validation and prediction.

    For an optimizer with use_ema=True; training goes on from the weights themselves.

    Args:
        swap_on_epoch: keep the averages in place between epochs too, for the callbacks that come
            after this one, such as a ModelCheckpoint.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = bool(swap_on_epoch)

    def set_model(self, model: Model) -> None:
        """Raises ArgumentError where the model's optimizer keeps no averages."""
        if not model.optimizer.use_ema:
            raise ArgumentError(
                f"SwapEMAWeights: {model.name} keeps no averages: give its optimizer use_ema=True"
            )
        super().set_model(model)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self.model.optimizer.use_average(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self.model.optimizer.use_average(True)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self.model.optimizer.use_average(True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self.model.optimizer.use_average(False)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self.model.optimizer.use_average(True)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self.model.optimizer.use_average(False)

    def close(self) -> None:
        """Puts the weights back where a validation was interrupted."""
        self.model.optimizer.use_average(False)
