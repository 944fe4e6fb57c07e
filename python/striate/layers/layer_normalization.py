"""Layer normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import _core
from striate.errors import ArgumentError
from striate.layers.arguments import integer
from striate.layers.scale_and_center import ScaleAndCenter


class LayerNormalization(ScaleAndCenter):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, statistics over a sample's last axes.

    Input and output (N, ...); gamma and beta have the shape of the axes normalised over. Each
    position of the other axes has its own mean and (biased) variance; nothing crosses samples.

    Args:
        axis: -1, or several axes that are the last ones, such as (1, 2, 3) or (-3, -2, -1) for
            whole images. Axis 0 is the batch.
        epsilon: added to the variance, above 0.
        center: whether there is a beta.
        scale: whether there is a gamma.

    Source: Ba, Kiros and Hinton 2016, with Keras's defaults.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: object = "zeros",
        gamma_initializer: object = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, **kwargs)
        owner = f"{type(self).__name__} {self.name}"
        self.axis: int | list[int]
        if isinstance(axis, (tuple, list)):
            self.axis = [integer(owner, "an axis", a, least=-32) for a in axis]
        else:
            self.axis = integer(owner, "axis", axis, least=-32)

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.layer_normalization(
            x, axes=self._last_axes(len(graph.shape(x)) + 1), **self.graph_options()
        )

    def _last_axes(self, rank: int) -> int:
        """How many axes `axis` names, of arrays of `rank` with the batch's."""
        given = self.axis if isinstance(self.axis, list) else [self.axis]
        axes = sorted(a + rank if a < 0 else a for a in given)
        if not axes or axes[0] == 0 or axes != list(range(rank - len(axes), rank)):
            raise ArgumentError(
                f"{self.name}: axis={self.axis} of an input of {rank} axes, the batch's included: "
                "give the last axis, or several that are the last ones"
            )
        return len(axes)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"axis": self.axis}
