"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from striate.errors import ShapeError
from striate.viz.canvas import INK, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_confusion_matrix(
    matrix: NDArray[np.integer[Any]], *, class_names: Sequence[str] | None = None
) -> Figure:
    """metrics.confusion_matrix as a picture: a row a true class, a column a predicted one.

    The colour is the share of the row, on a power scale that shows one error in a thousand beside
    a diagonal near one.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ShapeError(f"plot_confusion_matrix: takes a square matrix, got {matrix.shape}")
    classes = len(matrix)
    names = list(class_names) if class_names else [str(label) for label in range(classes)]
    figure = new_figure(0.5 * classes + 1.2, 0.5 * classes + 0.8)
    from matplotlib.colors import PowerNorm  # after new_figure, which tells when it is missing

    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", norm=PowerNorm(0.35, vmin=0, vmax=1))
    for row, column in np.argwhere(matrix > 0):
        color = "white" if share[row, column] > 0.2 else INK
        text = f"{matrix[row, column]:,}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(classes), names)
    axes.set_yticks(range(classes), names)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    right, total = int(np.trace(matrix)), int(matrix.sum())
    axes.set_title(f"{right:,} of {total:,} right", fontsize=11, color=INK)
    return figure
