"""What a pipeline makes of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate.augment import Normalize, Pipeline, Transform
from striate.augment.pipeline import as_images
from striate.augment.transform import Draw, Images
from striate.errors import ArgumentError, ShapeError
from striate.viz.canvas import IMAGES, INK, hide_frame, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_augmented(
    images: ArrayLike,
    pipeline: Pipeline | Transform | Sequence[Transform],
    *,
    epochs: int = 8,
    limit: int = 8,
    seed: int = 0,
) -> Figure:
    """The first `limit` images, [N, H, W, C] or [N, H, W], values from 0 to 255: one a row, first
    as it is, then as the pipeline makes it in epochs 0, 1, ..; without the Normalize steps, whose
    results are no colours.
    """
    if not isinstance(pipeline, Pipeline):
        pipeline = Pipeline(pipeline)
    shown = as_images(images)[:limit]
    if len(shown) == 0 or epochs < 1:
        raise ArgumentError("plot_augmented: needs an image and an epoch to show")
    if shown.shape[3] not in (1, 3):
        raise ShapeError(f"plot_augmented: images have 1 or 3 channels, got {shown.shape[3]}")
    # In the place of each Normalize stays a step, so that the others draw the numbers of training.
    visible = Pipeline(
        [_Unchanged() if isinstance(step, Normalize) else step for step in pipeline.transforms]
    )
    columns = [shown, *(visible(shown, seed=seed, epoch=epoch) for epoch in range(epochs))]
    size = 0.85
    figure = new_figure(size * len(columns), size * len(shown) + 0.3)
    places = figure.subplots(len(shown), len(columns), squeeze=False)
    for column, batch in enumerate(columns):
        for row, image in enumerate(batch):
            axes = places[row, column]
            hide_frame(axes)
            axes.imshow(_colours(image), cmap=IMAGES, vmin=0, vmax=255)
        title = "image" if column == 0 else f"epoch {column - 1}"
        places[0, column].set_title(title, fontsize=9, color=INK, pad=3)
    return figure


class _Unchanged(Transform):
    def images(self, x: Images, draw: Draw) -> Images:
        return x


def _colours(image: NDArray[Any]) -> NDArray[np.uint8]:
    """[H, W, 1 or 3] as bytes, [H, W] if gray."""
    pixels: NDArray[np.uint8] = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels
