"""The samples that a network gets wrong, with what they are and what it saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from striate.errors import ShapeError
from striate.viz.canvas import HELD_OUT, IMAGES, INK, hide_frame, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_misclassified(
    images: NDArray[Any],
    y_true: NDArray[np.integer[Any]],
    y_pred: NDArray[np.integer[Any]],
    *,
    limit: int = 40,
    class_names: Sequence[str] | None = None,
) -> Figure:
    """The first `limit` images, [N, H, W] or [N, H, W, 1], whose y_pred differs from y_true.

    Each is titled "true > predicted", by number or by `class_names`.
    """
    images, true, predicted = np.asarray(images), np.asarray(y_true), np.asarray(y_pred)
    if not len(images) == len(true) == len(predicted):
        raise ShapeError(
            f"plot_misclassified: as many labels as images are needed, got {len(images)} images, "
            f"{len(true)} true and {len(predicted)} predicted labels"
        )
    wrong = np.flatnonzero(true != predicted)
    shown = wrong[:limit]
    columns = 8
    rows = max(1, -(-len(shown) // columns))
    figure = new_figure(7.0, 1.05 * rows + 0.5)
    figure.suptitle(_headline(len(wrong), len(images), len(shown)), fontsize=11, color=INK)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in places:
        hide_frame(axes)
    for axes, sample in zip(places, shown, strict=False):
        axes.imshow(images[sample].reshape(images.shape[1:3]), cmap=IMAGES)
        names = [
            class_names[label] if class_names else str(label)
            for label in (true[sample], predicted[sample])
        ]
        axes.set_title(" > ".join(names), fontsize=9, color=HELD_OUT, pad=2)
    return figure


def _headline(wrong: int, total: int, shown: int) -> str:
    if not wrong:
        return f"none of {total:,} misclassified"
    first = f", the first {shown}" if shown < wrong else ""
    return f"{wrong:,} of {total:,} misclassified{first}: true > predicted"
