"""RMSprop."""

from __future__ import annotations

import math
from typing import Any

from striate.optimizers.optimizer import Optimizer, number
from striate.schedules import LearningRateSchedule


class RMSprop(Optimizer):
    """The gradient over the root of its running mean square (Hinton, 2012)."""

    kind = "rmsprop"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.rho = number("RMSprop", "rho", rho, 0.0, 1.0)
        self.momentum = number("RMSprop", "momentum", momentum, 0.0, 1.0)
        self.epsilon = number("RMSprop", "epsilon", epsilon, 0.0, math.inf)
        self.centered = bool(centered)

    def options(self) -> dict[str, float | bool]:
        return {
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
