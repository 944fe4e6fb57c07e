"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from striate.optimizers.optimizer import Optimizer, number
from striate.schedules import LearningRateSchedule


class SGD(Optimizer):
    """w -= learning_rate * gradient, with momentum, Nesterov's or plain, and weight decay.

    weight_decay is Keras's, decoupled from gradient and momentum. The weight decay of PyTorch's SGD
    and of the ResNet papers adds wd * w to the gradient instead: that is a layer's
    kernel_regularizer=regularizers.L2(wd / 2).
    """

    kind = "sgd"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.momentum = number("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = bool(nesterov)

    def options(self) -> dict[str, float | bool]:
        return {"momentum": self.momentum, "nesterov": self.nesterov}
