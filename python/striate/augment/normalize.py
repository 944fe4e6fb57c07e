"""Pixel values made what a network is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.augment.transform import Draw, Images, Transform
from striate.errors import ArgumentError, ShapeError

_GREATEST = 255.0


@dataclass(frozen=True)
class Normalize(Transform):
    """(x / 255 - mean) / std by channel: the last step, since others take values from 0 to 255.

    Args:
        mean, std: one number, or one a channel, of values from 0 to 1; (0, 1) only divides by 255.
    """

    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0

    def __post_init__(self) -> None:
        mean, std = np.atleast_1d(self.mean), np.atleast_1d(self.std)
        if mean.ndim != 1 or std.ndim != 1 or not np.isfinite(mean).all() or not (std > 0).all():
            raise ArgumentError(
                "Normalize: mean and std are numbers, one or one a channel, std above 0; got "
                f"mean={self.mean!r}, std={self.std!r}"
            )

    def images(self, x: Images, draw: Draw) -> Images:
        """See Transform."""
        mean, std = np.atleast_1d(self.mean), np.atleast_1d(self.std)
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, x.shape[3]):
                raise ShapeError(
                    f"Normalize: {name} has {len(values)} numbers, the images {x.shape[3]} channels"
                )
        factor = np.broadcast_to(1 / (_GREATEST * std), x.shape[3]).astype(np.float32)
        # As rows of all columns' channels: NumPy's inner loop would else be as long as a pixel.
        row = (x.shape[2] * x.shape[3],)
        out = np.multiply(
            x.reshape(*x.shape[:2], *row), np.tile(factor, x.shape[2]), dtype=np.float32
        )
        if mean.any():
            offset = np.broadcast_to(mean / std, x.shape[3]).astype(np.float32)
            out -= np.tile(offset, x.shape[2])
        return out.reshape(x.shape)
