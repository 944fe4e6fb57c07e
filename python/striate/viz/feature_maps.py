"""What each layer makes of one image: the maps after every convolution, pooling and merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from striate.errors import ArgumentError, ShapeError
from striate.models import Model
from striate.utils import seeds_kept
from striate.viz.canvas import GAP, IMAGES, INK, SIGNED, hide_frame, in_rows, mosaic, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

_COLUMNS = 8


def feature_maps(model: Model, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """By layer name, the [h, w, c] output of every layer of `model` that gives maps.

    Of a layer that is called more than once, the last call's.

    image: [H, W, C], preprocessed as for training.
    """
    image = np.asarray(image, np.float32)
    shape = model.sample_shape
    if image.shape != shape:
        raise ShapeError(f"feature_maps: {model.name} takes an image {shape}, got {image.shape}")
    return {name: maps[0] for name, maps in maps_of(model, image[None]).items()}


def maps_of(model: Model, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The same for several images [N, H, W, C]: [N, h, w, c] by layer name."""
    if len(model.inputs) != 1:
        raise ShapeError(f"feature_maps: {model.name} has {len(model.inputs)} inputs, not one")
    found = {
        tensor.layer.name: tensor
        for node in model.topology.nodes
        for tensor in node.outputs
        if tensor.ndim == 4
    }
    if not found:
        return {}
    with seeds_kept():
        part = Model(model.inputs, found, name=model.name)
    maps: dict[str, NDArray[np.float32]] = part.predict(images)
    return maps


def plot_feature_maps(model: Model, image: NDArray[np.float32]) -> Figure:
    """The image, and below it the maps of every layer that still has a picture in it.

    Maps that are nowhere negative are drawn as ink on paper; others with white at 0. Each layer
    has its own scale.
    """
    maps = feature_maps(model, image)
    maps = {name: m for name, m in maps.items() if min(m.shape[:2]) > 1}
    if not maps:
        raise ArgumentError(f"plot_feature_maps: {model.name} has no layer with maps to show")
    sheets = {"input": np.asarray(image, np.float32), **maps}
    rows = [-(-sheet.shape[2] // _COLUMNS) for sheet in sheets.values()]
    figure = new_figure(7.0, 0.9 * sum(rows) + 0.3 * len(rows))
    grid = figure.add_gridspec(len(sheets), 1, height_ratios=rows)
    for row, (name, sheet) in enumerate(sheets.items()):
        _draw(figure, grid[row, 0], name, sheet)
    return figure


def _draw(figure: Figure, place: SubplotSpec, name: str, maps: NDArray[np.float32]) -> None:
    """One layer's maps in rows of eight; maps [h, w, c]."""
    height, width, channels = maps.shape
    axes = figure.add_subplot(place)
    axes.set_facecolor(GAP)
    sheet = mosaic(in_rows(maps.transpose(2, 0, 1), min(channels, _COLUMNS)))
    reach = float(np.abs(maps).max()) or 1.0
    if maps.min() >= 0 or name == "input":
        axes.imshow(sheet, cmap=IMAGES, vmin=float(maps.min()), vmax=reach)
    else:
        axes.imshow(sheet, cmap=SIGNED, vmin=-reach, vmax=reach)
    hide_frame(axes)
    axes.set_anchor("W")
    axes.set_title(
        f"{name}: {channels} @ {height}x{width}", loc="left", fontsize=9, color=INK, pad=3
    )
