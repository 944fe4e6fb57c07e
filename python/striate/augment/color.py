"""Random changes of brightness, contrast, saturation and hue, and of the light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.augment.arguments import span
from striate.augment.transform import Draw, Floats, Images, Transform, floats
from striate.errors import ArgumentError, ShapeError

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_GREATEST = 255.0


@dataclass(frozen=True)
class ColorJitter(Transform):
    """Changes brightness, then contrast, saturation and hue, cutting off at 0 and 255 each time.

    A number d stands for factors from 1 - d (not below 0) to 1 + d, and for hue for -d to d.

    Args:
        brightness: every value is multiplied by the factor.
        contrast: the difference to the image's mean gray is.
        saturation: the difference to the pixel's own gray is.
        hue: added to the hue, as a fraction of the colour circle, at most 0.5 either way.

    Images with one channel have neither saturation nor hue.
    """

    brightness: float | Sequence[float] = 0.0
    contrast: float | Sequence[float] = 0.0
    saturation: float | Sequence[float] = 0.0
    hue: float | Sequence[float] = 0.0

    def __post_init__(self) -> None:
        *_, (low, high) = self.ranges()
        if low < -0.5 or high > 0.5:
            raise ArgumentError(f"ColorJitter: hue lies within -0.5 .. 0.5, got {self.hue!r}")

    def ranges(self) -> list[tuple[float, float]]:
        """(low, high) of the four amounts, in the order of the arguments."""
        return [
            span("ColorJitter", "brightness", self.brightness, 1.0, 0.0),
            span("ColorJitter", "contrast", self.contrast, 1.0, 0.0),
            span("ColorJitter", "saturation", self.saturation, 1.0, 0.0),
            span("ColorJitter", "hue", self.hue),
        ]

    def images(self, x: Images, draw: Draw) -> Images:
        """See Transform."""
        ranges = self.ranges()
        low, high = np.array(ranges, np.float32).T
        amounts = (low + draw.uniforms(4) * (high - low))[:, :, None, None, None]
        brightness, contrast, saturation, hue = amounts.swapaxes(0, 1)
        if x.shape[3] not in (1, 3):
            raise ShapeError(f"ColorJitter: takes 1 or 3 channels, got {x.shape[3]}")
        out = floats(x)
        if ranges[0] != (1.0, 1.0):
            out *= brightness
            np.clip(out, 0.0, _GREATEST, out)
        if ranges[1] != (1.0, 1.0):
            _blend(out, _gray(out).mean(axis=(1, 2), keepdims=True), contrast)
        if x.shape[3] == 3:
            if ranges[2] != (1.0, 1.0):
                _blend(out, _gray(out), saturation)
            if ranges[3] != (0.0, 0.0):
                out = _turn_hue(out, hue[..., 0])
        return out


def _gray(x: Floats) -> Floats:
    """The brightness of each pixel, [N, H, W, 1]."""
    if x.shape[3] == 1:
        return x
    # Not a matrix product: its order of summation is the BLAS's own.
    gray: Floats = x[..., :1] * _LUMA[0] + x[..., 1:2] * _LUMA[1] + x[..., 2:] * _LUMA[2]
    return gray


def _blend(x: Floats, towards: Floats, factor: Floats) -> None:
    """x = towards + factor * (x - towards), cut off at 0 and 255, in place."""
    towards = towards * (1 - factor)
    x *= factor
    x += towards
    np.clip(x, 0.0, _GREATEST, x)


def _turn_hue(x: Floats, turn: Floats) -> Floats:
    """x with `turn` [N, 1, 1] of the colour circle added to each pixel's hue (HSV)."""
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    value = x.max(axis=3)
    chroma = value - x.min(axis=3)
    safe = np.where(chroma == 0, np.float32(1), chroma)
    # In sixths of the circle, from the channel that is largest.
    hue = np.where(
        value == red,
        (green - blue) / safe,
        np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = hue + 6 * turn
    out = np.empty_like(x)
    for channel, offset in enumerate((5, 3, 1)):
        k = np.mod(hue + offset, np.float32(6))
        out[..., channel] = value - chroma * np.clip(np.minimum(k, 4 - k), 0, 1)
    return out


@dataclass(frozen=True, eq=False)
class PCAColor(Transform):
    """Adds to all pixels of an image a random multiple of each principal component of the data's
    colours, as if the light were another (Krizhevsky, Sutskever, Hinton 2012, 4.1).

    The multiple is an eigenvalue times a normal number of deviation `stddev`. Pixel values count
    from 0 to 1 for this: the paper does not say, but with 255 the shifts would exceed the image.

    Args:
        eigenvalues: (3,), of the covariance of colours from 0 to 1.
        eigenvectors: (3, 3), one a column.
        stddev: 0.1 in the paper.
    """

    eigenvalues: Any
    eigenvectors: Any
    stddev: float = 0.1

    def __post_init__(self) -> None:
        values, vectors = np.asarray(self.eigenvalues), np.asarray(self.eigenvectors)
        if values.shape != (3,) or vectors.shape != (3, 3) or (values < 0).any():
            raise ArgumentError(
                "PCAColor: eigenvalues (3,) of at least 0 and eigenvectors (3, 3), got shapes "
                f"{values.shape} and {vectors.shape}"
            )
        if not 0 <= self.stddev < np.inf:
            raise ArgumentError(f"PCAColor: stddev is at least 0, got {self.stddev!r}")

    @classmethod
    def of(cls, x: NDArray[Any], stddev: float = 0.1) -> PCAColor:
        """From images [N, H, W, 3] of the data set."""
        if x.ndim != 4 or x.shape[3] != 3:
            raise ShapeError(f"PCAColor: images are (N, H, W, 3), got {x.shape}")
        pixels = np.asarray(x, np.float64).reshape(-1, 3) / _GREATEST
        values, vectors = np.linalg.eigh(np.cov(pixels, rowvar=False))
        return cls(np.maximum(values, 0.0), vectors, stddev)

    def images(self, x: Images, draw: Draw) -> Images:
        """See Transform."""
        if x.shape[3] != 3:
            raise ShapeError(f"PCAColor: takes 3 channels, got {x.shape[3]}")
        weights = draw.normals(3) * (_GREATEST * self.stddev * np.asarray(self.eigenvalues))
        shift = (np.asarray(self.eigenvectors) * weights[:, None, :]).sum(axis=2)
        out = floats(x)
        out += shift.astype(np.float32)[:, None, None, :]
        return np.clip(out, 0.0, _GREATEST, out)
