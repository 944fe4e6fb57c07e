"""What all pictures share: the figure, the colours, and many small images laid out as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from striate.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Told apart by readers with any colour vision, and in gray print by their lightness.
TRAINING, HELD_OUT, INK = "#2a6f97", "#e07a1f", "#333333"
IMAGES = "gray_r"  # a digit is ink on paper
SIGNED = "RdBu_r"  # blue below zero, white at zero, red above
GAP = "#c8c8c8"  # between the tiles of a mosaic


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of width x height inches; MissingExtraError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot", "a picture") from error
    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def mosaic(tiles: NDArray[Any], gap: int = 1) -> NDArray[np.float32]:
    """tiles [rows, columns, h, w] as one [rows*(h+gap)-gap, columns*(w+gap)-gap] image.

    The gaps are NaN, which a colour map leaves out.
    """
    rows, columns, height, width = tiles.shape
    spaced = np.full((rows, columns, height + gap, width + gap), np.nan, np.float32)
    spaced[:, :, :height, :width] = tiles
    sheet: NDArray[np.float32] = spaced.swapaxes(1, 2).reshape(
        rows * (height + gap), columns * (width + gap)
    )
    return sheet[: -gap or None, : -gap or None]


def in_rows(tiles: NDArray[Any], columns: int) -> NDArray[np.float32]:
    """tiles [n, h, w] as [rows, columns, h, w], row by row; places left over are NaN."""
    count, *shape = tiles.shape
    rows = -(-count // columns)
    grid = np.full((rows * columns, *shape), np.nan, np.float32)
    grid[:count] = tiles
    return grid.reshape(rows, columns, *shape)


def hide_frame(axes: Any) -> None:
    """No ticks and no box around an image."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
