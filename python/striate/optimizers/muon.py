"""Muon: momentum made orthonormal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from striate.optimizers.optimizer import Optimizer, check_pattern, count, number
from striate.schedules import LearningRateSchedule


class Muon(Optimizer):
    """Kernels move by their momentum, made into a matrix of orthonormal rows, or columns where
    there are fewer (Jordan et al., "Muon: an optimizer for hidden layers in neural networks",
    2024).

    For a kernel, seen as a matrix of its last axis by all others: m = momentum * m + gradient, and
    w -= learning_rate * sqrt(max(1, outputs / inputs)) * orthonormal(m) (Nesterov: of gradient +
    momentum * m). So a step's size is the learning rate's alone. Other weights, those of one axis
    and of `exclude_layers`, are trained by SGD with the same momentum, where Keras's Muon has Adam;
    their gradients keep their size, so give them rates of their own by
    set_learning_rate_multipliers.

    Args:
        exclude_layers: regular expressions; a layer is left to SGD whose name has one of them in
            it. The last layer's kernel should be.
        ns_steps: rounds of Newton and Schulz's iteration that make the momentum orthonormal.
        normalize: a kernel is brought to the norm sqrt(outputs) before each step, which makes the
            learning rate the share of the kernel that a step replaces. For kernels in front of a
            normalisation, to which their norm makes no difference.
    """

    kind = "muon"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.02,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        exclude_layers: Iterable[str] | None = None,
        normalize: bool = False,
        weight_decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.momentum = number("Muon", "momentum", momentum, 0.0, 1.0)
        self.nesterov = bool(nesterov)
        self.ns_steps = count("Muon", "ns_steps", ns_steps, 1) or 1
        self.exclude_layers = list(exclude_layers or ())
        for pattern in self.exclude_layers:
            check_pattern("Muon: exclude_layers", pattern)
        self.normalize = bool(normalize)

    def options(self) -> dict[str, float | bool]:
        return {
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "newton_schulz_rounds": self.ns_steps,
            "normalize": self.normalize,
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "ns_steps": self.ns_steps,
            "exclude_layers": list(self.exclude_layers),
            "normalize": self.normalize,
        }

    def _moves_as_matrix(self, info: Mapping[str, Any]) -> bool:
        return len(info["shape"]) > 1 and not any(
            re.search(pattern, info["layer"]) for pattern in self.exclude_layers
        )
