"""Cutout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.augment.arguments import size_pair
from striate.augment.transform import Draw, Images, Transform
from striate.errors import ArgumentError


@dataclass(frozen=True)
class Cutout(Transform):
    """Covers a rectangle of each image (DeVries and Taylor, "Improved regularization of
    convolutional neural networks with cutout", 2017).

    Its centre may be any pixel, so it often reaches beyond the image, and less of it is covered.

    Args:
        size: (height, width), or one number for both; 16 for CIFAR-10, 8 for CIFAR-100.
        fill_value: after Normalize, 0 is the mean colour, as in the paper.
        probability: of an image being covered at all.
    """

    size: int | Sequence[int]
    fill_value: float = 0.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        size_pair("Cutout", "size", self.size)
        if not 0 <= self.probability <= 1:
            raise ArgumentError(f"Cutout: probability lies within 0 .. 1, got {self.probability!r}")

    def images(self, x: Images, draw: Draw) -> Images:
        """See Transform."""
        height, width = size_pair("Cutout", "size", self.size)
        u = draw.uniforms(3)
        centres = (u[:, :2] * x.shape[1:3]).astype(np.intp)
        low = np.maximum(centres - [height // 2, width // 2], 0)
        high = centres + [height - height // 2, width - width // 2]
        out: Images = x.copy()
        for n in np.flatnonzero(u[:, 2] < self.probability):
            out[n, low[n, 0] : high[n, 0], low[n, 1] : high[n, 1]] = self.fill_value
        return out
