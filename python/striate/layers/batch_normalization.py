"""Batch normalisation (Ioffe and Szegedy 2015)."""

from __future__ import annotations

from typing import Any

from striate import _core, initializers
from striate.errors import ArgumentError
from striate.layers.layer import Layer


class BatchNormalization(Layer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, by channel.

    In training mean and variance are the batch's, over samples and pixels (the variance biased, as
    Keras's), and the moving ones take them in: moving = momentum * moving + (1 - momentum) *
    batch's. In inference they are the moving ones; so they are, in training too, where the layer
    is frozen (trainable=False) or was called with training=False. PyTorch counts momentum the other
    way round: its 0.1 is 0.9 here.

    Input and output (N, .., C); weights [gamma, beta, moving_mean, moving_variance], each (C,).

    Args:
        axis: only the last one, -1: images are NHWC.
        momentum: of the moving statistics, in [0, 1].
        epsilon: added to the variance; PyTorch's default is 1e-5.
        center: whether there is a beta.
        scale: whether there is a gamma.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: object = "zeros",
        gamma_initializer: object = "ones",
        moving_mean_initializer: object = "zeros",
        moving_variance_initializer: object = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = f"{type(self).__name__} {self.name}"
        if axis not in (-1, 1, 3):
            raise ArgumentError(f"{owner}: axis={axis}: striate normalises the last axis, axis=-1")
        self.axis = axis
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def describe(self, graph: _core.Graph, x: int) -> int:
        return self._describe(graph, x, inference=False)

    def describe_inference(self, graph: _core.Graph, x: int) -> int:
        return self._describe(graph, x, inference=True)

    def _describe(self, graph: _core.Graph, x: int, inference: bool) -> int:
        rank = len(graph.shape(x))
        if self.axis not in (-1, rank):
            raise ArgumentError(
                f"{self.name}: axis={self.axis} of {rank + 1} axes is not the last: striate "
                "normalises the last axis, axis=-1"
            )
        return graph.batch_normalization(
            x,
            name=self.name,
            momentum=self.momentum,
            epsilon=self.epsilon,
            center=self.center,
            scale=self.scale,
            beta_initializer=self.beta_initializer.as_core(),
            gamma_initializer=self.gamma_initializer.as_core(),
            moving_mean_initializer=self.moving_mean_initializer.as_core(),
            moving_variance_initializer=self.moving_variance_initializer.as_core(),
            trainable=self.trainable,
            inference=inference,
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
        }
