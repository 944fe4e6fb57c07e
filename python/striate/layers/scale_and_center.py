"""What the normalisations within a sample share: epsilon, gamma and beta."""

from __future__ import annotations

from typing import Any

from striate import initializers
from striate.layers.arguments import number
from striate.layers.layer import Layer


class ScaleAndCenter(Layer):
    """z * gamma + beta, where a subclass says what z's mean 0 and variance 1 are taken over."""

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: object,
        gamma_initializer: object,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon = number(f"{type(self).__name__} {self.name}", "epsilon", epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)

    def graph_options(self) -> dict[str, Any]:
        """What the graph's methods take beside what the statistics are taken over."""
        return {
            "name": self.name,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": self.beta_initializer.as_core(),
            "gamma_initializer": self.gamma_initializer.as_core(),
            "trainable": self.trainable,
        }

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
        }
