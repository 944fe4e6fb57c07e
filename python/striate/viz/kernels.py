"""The kernels that a convolution has learned, side by side on one colour scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from striate.errors import ArgumentError
from striate.layers import Conv2D
from striate.models import Model
from striate.viz.canvas import GAP, INK, SIGNED, hide_frame, in_rows, mosaic, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_kernels(model: Model, layer: str | None = None) -> Figure:
    """A convolution's kernels: white is 0, red above, blue below, one scale for all.

    layer: the layer's name; None takes the first convolution. A layer that sees one map has its
    kernels in rows of eight; else a row an input map and a column an output map, and a place is
    empty where a connection table joins nothing.
    """
    chosen = _convolution(model, layer)
    kernel = np.asarray(chosen.get_weights()[0], np.float32)  # [KH, KW, C, O]
    tiles = kernel.transpose(2, 3, 0, 1)  # [C, O, KH, KW]
    inputs, outputs, height, width = tiles.shape
    table = getattr(chosen, "connections", None)
    if table is not None:
        tiles = np.where(np.asarray(table, bool)[:, :, None, None], tiles, np.float32(np.nan))
    if inputs == 1:
        tiles = in_rows(tiles[0], min(outputs, 8))
    rows, columns = tiles.shape[:2]
    reach = float(np.nanmax(np.abs(tiles))) or 1.0
    figure = new_figure(max(0.7 * columns + 1.4, 4.0), max(0.7 * rows + 0.9, 1.8))
    axes = figure.add_subplot()
    axes.set_facecolor(GAP)
    picture = axes.imshow(mosaic(tiles), cmap=SIGNED, vmin=-reach, vmax=reach)
    hide_frame(axes)
    if inputs > 1:
        for axis, count, size in ((axes.yaxis, rows, height), (axes.xaxis, columns, width)):
            middles = [place * (size + 1) + (size - 1) / 2 for place in range(count)]
            axis.set_ticks(middles, [str(place) for place in range(count)])
        axes.tick_params(length=0, labelsize=7)
        axes.set_ylabel("input map")
        axes.set_xlabel("output map")
    axes.set_title(f"{chosen.name}: {outputs} kernels {height}x{width}", fontsize=11, color=INK)
    figure.colorbar(picture, ax=axes, shrink=0.9, label="weight")
    return figure


def _convolution(model: Model, name: str | None) -> Conv2D:
    convolutions = [layer for layer in model.layers if isinstance(layer, Conv2D)]
    for layer in convolutions:
        if name in (None, layer.name):
            return layer
    names = ", ".join(layer.name for layer in convolutions) or "none"
    raise ArgumentError(
        f"plot_kernels: {model.name} has no convolution "
        + (f'"{name}"; it has {names}' if name else "")
    )
