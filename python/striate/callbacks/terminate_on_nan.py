"""Stop when the loss is no longer a number."""

from __future__ import annotations

import math

from striate.callbacks.callback import Callback, Logs
from striate.errors import NumericsError


class TerminateOnNaN(Callback):
    """Ends training after a batch whose loss is NaN or infinite.

    `compile(..., check_numerics=True)` says which layer it came from.

    Args:
        raise_error: raise NumericsError instead of ending quietly.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        message = f"Batch {batch}: the loss is {loss}, training ends"
        if self.raise_error:
            raise NumericsError(message)
        print(message)
        self.model.stop_training = True
