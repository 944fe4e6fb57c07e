"""Images made another size, whole or from a random rectangle; reducing is antialiased."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from striate import _core
from striate.augment.arguments import INTERPOLATIONS, one_of, size_pair, span
from striate.augment.transform import Draw, Images, Transform
from striate.errors import ArgumentError

_ATTEMPTS = 10  # at a rectangle that fits, before the largest allowed one is taken


@dataclass(frozen=True)
class Resize(Transform):
    """Makes images another size.

    Args:
        size: one number, the shorter side, the longer one following in proportion (rounded down);
            or (height, width).
        fit: how an image of other proportions becomes (height, width): "stretch"; "crop", the
            largest rectangle of those proportions, from the centre; "pad", all of it, with
            `fill_value` on two sides.
        interpolation: "bilinear", "bicubic", "box", "lanczos3", all antialiased when reducing; or
            "nearest".
        fill_value: for "pad".
    """

    size: int | Sequence[int]
    fit: str = "stretch"
    interpolation: str = "bilinear"
    fill_value: float = 0.0

    def __post_init__(self) -> None:
        size_pair("Resize", "size", self.size)
        one_of("Resize", "fit", self.fit, ("stretch", "crop", "pad"))
        one_of("Resize", "interpolation", self.interpolation, INTERPOLATIONS)

    def images(self, x: Images, draw: Draw) -> Images:
        """See Transform."""
        n, rows, columns, channels = x.shape
        height, width = self._target(rows, columns)
        if (rows, columns) == (height, width):
            return x
        if self.fit == "pad":
            scale = min(height / rows, width / columns)
            inner = max(1, round(rows * scale)), max(1, round(columns * scale))
            out = np.full((n, height, width, channels), self.fill_value, x.dtype)
            top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
            out[:, top : top + inner[0], left : left + inner[1]] = self._resized(x, *inner, draw)
            return out
        if self.fit == "crop":
            # Of the two rectangles of these proportions, the one that fits inside the image.
            inner = (
                min(rows, max(1, columns * height // width)),
                min(columns, max(1, rows * width // height)),
            )
            top, left = (rows - inner[0]) // 2, (columns - inner[1]) // 2
            x = x[:, top : top + inner[0], left : left + inner[1]]
        return self._resized(x, height, width, draw)

    def _target(self, rows: int, columns: int) -> tuple[int, int]:
        if not isinstance(self.size, (int, np.integer)):
            return size_pair("Resize", "size", self.size)
        short = int(self.size)
        if rows <= columns:
            return short, max(1, short * columns // rows)
        return max(1, short * rows // columns), short

    def _resized(self, x: Images, height: int, width: int, draw: Draw) -> Images:
        return _core.resize_images(
            np.ascontiguousarray(x), height, width, self.interpolation, threads=draw.threads
        )


@dataclass(frozen=True)
class RandomResizedCrop(Transform):
    """Cuts a random rectangle of random area and proportions, and makes it `size` (Szegedy et al.,
    "Going deeper with convolutions", 2015): what networks for ImageNet are trained with.

    Args:
        size: (height, width) of the result, or one number for both.
        scale: the rectangle's area as a fraction of the image's, (low, high).
        ratio: its width over its height, (low, high), drawn evenly on a logarithmic scale.
        interpolation: as Resize's.
    """

    size: int | Sequence[int]
    scale: Sequence[float] = (0.08, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        name = type(self).__name__
        size_pair(name, "size", self.size)
        if not 0 < span(name, "scale", self.scale)[0] <= self.scale[1] <= 1:
            raise ArgumentError(f"{name}: scale lies within (0, 1], got {self.scale!r}")
        if span(name, "ratio", self.ratio)[0] <= 0:
            raise ArgumentError(f"{name}: ratio is above 0, got {self.ratio!r}")
        one_of(name, "interpolation", self.interpolation, INTERPOLATIONS)

    def images(self, x: Images, draw: Draw) -> Images:
        """See Transform."""
        height, width = size_pair(type(self).__name__, "size", self.size)
        boxes = self.boxes(x.shape[1], x.shape[2], draw)
        return _core.resize_images(
            np.ascontiguousarray(x), height, width, self.interpolation, boxes, draw.threads
        )

    def boxes(self, rows: int, columns: int, draw: Draw) -> NDArray[np.int64]:
        """[N, 4]: top, left, height and width of the rectangle of each sample."""
        u = draw.uniforms(4 * _ATTEMPTS).astype(np.float64).reshape(-1, _ATTEMPTS, 4)
        (smallest, largest), (narrow, wide) = self.scale, self.ratio
        area = rows * columns * (smallest + u[..., 0] * (largest - smallest))
        low, high = math.log(narrow), math.log(wide)
        ratio = np.exp(low + u[..., 1] * (high - low))
        # [N, attempts + 1]: the last is the largest rectangle of an allowed shape, in the centre.
        widths = np.rint(np.sqrt(area * ratio))
        heights = np.rint(np.sqrt(area / ratio))
        fits = (widths >= 1) & (widths <= columns) & (heights >= 1) & (heights <= rows)
        shape = min(max(columns / rows, narrow), wide)
        whole = np.array([[min(rows, round(columns / shape)), min(columns, round(rows * shape))]])
        whole = np.maximum(whole, 1.0)
        first = np.where(fits.any(axis=1), fits.argmax(axis=1), _ATTEMPTS)
        every = np.arange(len(u))
        heights = np.concatenate([heights, np.repeat(whole[:, :1], len(u), axis=0)], axis=1)
        widths = np.concatenate([widths, np.repeat(whole[:, 1:], len(u), axis=0)], axis=1)
        places = np.concatenate([u[..., 2:], np.full((len(u), 1, 2), 0.5)], axis=1)[every, first]
        height, width = heights[every, first], widths[every, first]
        top = np.floor(places[:, 0] * (rows - height + 1))
        left = np.floor(places[:, 1] * (columns - width + 1))
        return np.stack([top, left, height, width], axis=1).astype(np.int64)
