"""Rectangles cut from images, at random after padding or from the centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.augment.arguments import FILL_MODES, one_of, size_pair
from striate.augment.transform import Draw, Images, Transform
from striate.errors import ShapeError


@dataclass(frozen=True)
class RandomCrop(Transform):
    """Pads each image and cuts a rectangle from it, every place being as likely.

    RandomCrop(32, padding=4) is what networks for CIFAR-10 are trained with.

    Args:
        size: (height, width) of the result, or one number for both.
        padding: pixels added on every side, or (rows above and below, columns left and right).
        fill_mode: what the padding holds: "reflect", the mirror image without its edge pixels
            (dcb|abcd|cba); "constant", fill_value; "nearest", the edge pixels.
        fill_value: for "constant".
    """

    size: int | Sequence[int]
    padding: int | Sequence[int] = 0
    fill_mode: str = "reflect"
    fill_value: float = 0.0

    def __post_init__(self) -> None:
        size_pair("RandomCrop", "size", self.size)
        size_pair("RandomCrop", "padding", self.padding, least=0)
        one_of("RandomCrop", "fill_mode", self.fill_mode, FILL_MODES)

    def images(self, x: Images, draw: Draw) -> Images:
        """See Transform."""
        height, width = size_pair("RandomCrop", "size", self.size)
        rows, columns = size_pair("RandomCrop", "padding", self.padding, least=0)
        if self.fill_mode == "reflect" and (rows >= x.shape[1] or columns >= x.shape[2]):
            raise ShapeError(
                f"RandomCrop: images of {x.shape[1]} x {x.shape[2]} can be mirrored for less than "
                f"their own size, not for padding={self.padding}"
            )
        padded = _pad(x, rows, columns, self.fill_mode, self.fill_value)
        spare_rows, spare_columns = padded.shape[1] - height, padded.shape[2] - width
        if spare_rows < 0 or spare_columns < 0:
            raise ShapeError(
                f"RandomCrop: images of {x.shape[1]} x {x.shape[2]} with padding={self.padding} "
                f"are smaller than size={self.size}: pad more, or put a Resize before it"
            )
        places = (draw.uniforms(2) * [spare_rows + 1, spare_columns + 1]).astype(np.intp)
        return _cut(padded, places[:, 0], places[:, 1], height, width)


@dataclass(frozen=True)
class CenterCrop(Transform):
    """Cuts a rectangle from the centre of each image.

    Args:
        size: (height, width) of the result, or one number for both. Where the images exceed it by
            an odd number, the smaller half is cut off above and on the left.
    """

    size: int | Sequence[int]

    def __post_init__(self) -> None:
        size_pair("CenterCrop", "size", self.size)

    def images(self, x: Images, draw: Draw) -> Images:
        """See Transform."""
        height, width = size_pair("CenterCrop", "size", self.size)
        top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
        if top < 0 or left < 0:
            raise ShapeError(
                f"CenterCrop: images of {x.shape[1]} x {x.shape[2]} are smaller than "
                f"size={self.size}: put a Resize before it"
            )
        return x[:, top : top + height, left : left + width]


def _pad(x: Images, rows: int, columns: int, mode: str, fill: float) -> Images:
    """x [N, H, W, C] with `rows` more above and below and `columns` more on the left and right."""
    if rows == columns == 0:
        return x
    n, height, width, channels = x.shape
    padded = np.empty((n, height + 2 * rows, width + 2 * columns, channels), x.dtype)
    if mode == "constant":
        padded[...] = fill
    inner = padded[:, rows : rows + height]
    inner[:, :, columns : columns + width] = x
    if mode == "constant":
        return padded
    # First the columns of the image's own rows, then whole rows.
    for k in range(1, columns + 1):
        step = k if mode == "reflect" else 0
        inner[:, :, columns - k] = x[:, :, step]
        inner[:, :, columns + width - 1 + k] = x[:, :, width - 1 - step]
    for k in range(1, rows + 1):
        step = k if mode == "reflect" else 0
        padded[:, rows - k] = padded[:, rows + step]
        padded[:, rows + height - 1 + k] = padded[:, rows + height - 1 - step]
    return padded


def _cut(x: Images, top: np.ndarray, left: np.ndarray, height: int, width: int) -> Images:
    """From each image the rectangle whose corner is (top[n], left[n])."""
    n, _, columns, channels = x.shape
    # Rows as one axis of columns and channels: each output row is then one contiguous copy.
    flat = np.ascontiguousarray(x).reshape(n, x.shape[1], columns * channels)
    windows = np.lib.stride_tricks.sliding_window_view(
        flat, (height, width * channels), axis=(1, 2)
    )
    out: Images = windows[np.arange(n), top, left * channels]
    return out.reshape(n, height, width, channels)
