"""Group normalisation, and with a group for each channel instance normalisation."""

from __future__ import annotations

from typing import Any

from striate import _core
from striate.errors import ArgumentError
from striate.layers.arguments import integer
from striate.layers.scale_and_center import ScaleAndCenter


class GroupNormalization(ScaleAndCenter):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, statistics over groups of channels.

    Input and output (N, ..., C); gamma and beta (C,). A group of C / groups neighbouring channels
    has one mean and one (biased) variance over all positions of a sample; nothing crosses samples.

    Args:
        groups: a divisor of C; -1 for a group each channel, which is instance normalisation.
        axis: the channels' axis, which is the last: -1.
        epsilon: added to the variance, above 0.
        center: whether there is a beta.
        scale: whether there is a gamma.

    Source: Wu and He 2018, with Keras's defaults.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: object = "zeros",
        gamma_initializer: object = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, **kwargs)
        owner = f"{type(self).__name__} {self.name}"
        self.groups = integer(owner, "groups", groups, least=-1)
        if self.groups == 0:
            raise ArgumentError(f"{owner}: groups must be at least 1, or -1, got 0")
        self.axis = integer(owner, "axis", axis, least=-1)

    def describe(self, graph: _core.Graph, x: int) -> int:
        last = len(graph.shape(x))  # the batch's axis included
        if self.axis not in (-1, last):
            raise ArgumentError(
                f"{self.name}: axis={self.axis}: the channels are the last axis, -1 or {last}"
            )
        return graph.group_normalization(x, groups=self.groups, **self.graph_options())

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"groups": self.groups, "axis": self.axis}
