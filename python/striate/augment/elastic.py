"""Elastic deformation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from striate.augment.arguments import FILL_MODES, one_of
from striate.augment.transform import Draw
from striate.augment.warp import Field, Geometric, lattice_weights
from striate.errors import ArgumentError


@dataclass(frozen=True)
class ElasticDeformation(Geometric):
    """Moves every pixel by a smooth random field, as ink moves when a hand oscillates (Simard,
    Steinkraus, Platt, "Best practices for convolutional neural networks applied to visual document
    analysis", 2003).

    There, numbers between -1 and 1 are drawn for every pixel, blurred by a Gaussian of deviation
    sigma and multiplied by alpha. Here they are drawn sigma pixels apart and scaled so that the
    displacements have the same deviation, alpha / (2 sqrt(3 pi) sigma) pixels, and the same
    smoothness; 28 x 28 pixels take 392 numbers instead of 1568, and the blur a tenth of the sums.

    Args:
        alpha: strength, in pixels; 34 with sigma 4 is what was best on MNIST, a deviation of 1.4.
        sigma: smoothness, in pixels, at least 1.
        fill_mode: as RandomAffine's.
        fill_value: for "constant".
    """

    alpha: float = 34.0
    sigma: float = 4.0
    fill_mode: str = "constant"
    fill_value: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.alpha < math.inf and 1 <= self.sigma < math.inf):
            raise ArgumentError(
                "ElasticDeformation: alpha is at least 0 and sigma at least 1, got "
                f"alpha={self.alpha!r}, sigma={self.sigma!r}"
            )
        one_of("ElasticDeformation", "fill_mode", self.fill_mode, FILL_MODES)

    def field(self, height: int, width: int, draw: Draw) -> Field:
        """See Geometric."""
        rows = lattice_weights(height, float(self.sigma))
        columns = lattice_weights(width, float(self.sigma))
        shape = (-1, 2, rows.shape[1], columns.shape[1])
        # A number between -1 and 1 has the variance 1/3, which the weights keep.
        strength = self.alpha / (2 * math.sqrt(math.pi) * self.sigma)
        nodes = draw.uniforms(2 * rows.shape[1] * columns.shape[1])
        nodes -= 0.5
        nodes *= 2 * strength
        return Field(nodes.reshape(shape), rows, columns.T)
