"""LeNet-5's optimizer of 1998."""

from __future__ import annotations

import math
from typing import Any

from striate.errors import ArgumentError
from striate.optimizers.optimizer import Optimizer, number
from striate.schedules import LearningRateSchedule


class SDLM(Optimizer):
    """Stochastic diagonal Levenberg-Marquardt: LeNet-5's (LeCun et al., 1998, appendix C).

    Each parameter has its own rate, learning_rate / (mu + curvature); `fit` estimates the
    curvature before every epoch.

    Args:
        mu: keeps the rate finite where the curvature vanishes.
        samples: how many random samples the estimate takes.
    """

    kind = "sdlm"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.0005,
        mu: float = 0.02,
        samples: int = 500,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.mu = number("SDLM", "mu", mu, 0.0, math.inf)
        if self.mu == 0:
            raise ArgumentError("SDLM: mu must be positive")
        if not isinstance(samples, int) or samples < 1:
            raise ArgumentError(f"SDLM: samples must be a positive integer, got {samples!r}")
        self.samples = samples

    def options(self) -> dict[str, float | bool]:
        return {"mu": self.mu}

    def _settings(self) -> dict[str, Any]:
        return {"mu": self.mu, "samples": self.samples}
