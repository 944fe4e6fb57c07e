"""Dropout."""

from __future__ import annotations

from typing import Any

from striate import _core
from striate.errors import ArgumentError, warn_once
from striate.layers.conv2d import require_channels_last
from striate.layers.layer import Layer


class Dropout(Layer):
    """In training, zero with probability `rate`, else x / (1 - rate); in inference, x.

    The mask is drawn by a counter-based generator keyed by the model's seed, the layer, the step
    and the sample, so it does not depend on the number of threads.

    Args:
        rate: at least 0 and below 1.
        seed: taken for Keras's sake; the model's seed decides.
    """

    def __init__(self, rate: float, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        kind = type(self).__name__
        if not isinstance(rate, (int, float)) or not 0 <= rate < 1:
            raise ArgumentError(
                f"{kind} {self.name}: rate must be at least 0 and below 1, got {rate!r}"
            )
        if seed is not None:
            warn_once(
                f"{kind}'s seed= has no effect: striate keys its masks by the model's seed and the "
                "layer; call utils.set_random_seed instead"
            )
        self.rate = float(rate)

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.dropout(x, name=self.name, rate=self.rate)

    def describe_inference(self, graph: _core.Graph, x: int) -> int:
        return x

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"rate": self.rate}


class SpatialDropout2D(Dropout):
    """In training, each map is zero as a whole with probability `rate`, else x / (1 - rate).

    Neighbouring pixels of a map say much the same, so dropping single ones would hide little
    (Tompson et al. 2015). In inference, x. Input (N, H, W, C).

    Args:
        rate: at least 0 and below 1.
        data_format: only "channels_last".
        seed: taken for Keras's sake; the model's seed decides.
    """

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        *,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed=seed, **kwargs)
        require_channels_last(f"SpatialDropout2D {self.name}", data_format)

    def describe(self, graph: _core.Graph, x: int) -> int:
        return graph.spatial_dropout2d(x, name=self.name, rate=self.rate)
