"""The pictures that a training run leaves, where matplotlib is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from striate.cli.images import Images
from striate.errors import MissingExtraError
from striate.layers import Conv2D
from striate.metrics import confusion_matrix
from striate.models import Sequential
from striate.viz import (
    plot_confusion_matrix,
    plot_feature_maps,
    plot_history,
    plot_kernels,
    plot_misclassified,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_pictures(
    folder: Path,
    model: Sequential,
    history: Mapping[str, Sequence[float]],
    images: Images,
    x_test: NDArray[np.float32],
    predicted: NDArray[np.integer[Any]],
) -> list[str]:
    """Writes the PNGs into the folder and returns their names; without matplotlib, says so.

    x_test: the test images as the model takes them; predicted: their classes by the model.
    """
    true = images.y_test
    pictures: dict[str, Callable[[], Figure]] = {
        "history.png": lambda: plot_history(history, held_out="test"),
        "misclassified.png": lambda: plot_misclassified(images.x_test, true, predicted),
        "confusion_matrix.png": lambda: plot_confusion_matrix(
            confusion_matrix(true, predicted, 10)
        ),
    }
    for layer in model.layers:
        if isinstance(layer, Conv2D) and max(layer.kernel_size) > 1:
            pictures["kernels.png"] = lambda: plot_kernels(model)
            pictures["feature_maps.png"] = lambda: plot_feature_maps(model, x_test[0])
    written = []
    try:
        for name, draw in pictures.items():
            draw().savefig(folder / name)
            written.append(name)
    except MissingExtraError as error:
        click.echo(f"No pictures: {error}")
    return written
