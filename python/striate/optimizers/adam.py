"""Adam and AdamW."""

from __future__ import annotations

import math
from typing import Any

from striate.optimizers.optimizer import Optimizer, number
from striate.schedules import LearningRateSchedule


class Adam(Optimizer):
    """Kingma and Ba, 2015; with weight_decay it is AdamW, as in Keras."""

    kind = "adam"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        *,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        if amsgrad:
            raise TypeError(f"{type(self).__name__}: amsgrad={amsgrad!r} is not supported")
        owner = type(self).__name__
        self.beta_1 = number(owner, "beta_1", beta_1, 0.0, 1.0)
        self.beta_2 = number(owner, "beta_2", beta_2, 0.0, 1.0)
        self.epsilon = number(owner, "epsilon", epsilon, 0.0, math.inf)

    def options(self) -> dict[str, float | bool]:
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class AdamW(Adam):
    """Adam with weight decay of its own, w -= learning_rate * weight_decay * w (Loshchilov)."""

    kind = "adamw"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay, **kwargs)
