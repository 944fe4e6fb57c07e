"""The pictures that a training run leaves, where matplotlib is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from striate.cli.data import Arrays, Data
from striate.cli.inputs import prepare
from striate.cli.scores import Scores
from striate.errors import MissingExtraError
from striate.layers import Conv2D
from striate.models import Model, Sequential
from striate.viz import (
    plot_confusion_matrix,
    plot_feature_maps,
    plot_history,
    plot_kernels,
    plot_misclassified,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_CLASSES = 20  # of a confusion matrix that can be read
_MOST_KERNELS = 512  # pairs of maps: larger first layers make no picture


def draw_pictures(
    folder: Path,
    model: Model,
    history: Mapping[str, Sequence[float]],
    scores: Scores,
    data: Data,
    mode: str,
) -> list[str]:
    """Writes the PNGs into the folder and returns their names; without matplotlib, says so.

    mode: how pixels become the model's input; see inputs.prepare.
    """
    pictures: dict[str, Callable[[], Figure]] = {
        "history.png": lambda: plot_history(history, held_out="test")
    }
    test = data.test
    if scores.classes <= _MOST_CLASSES:
        pictures["confusion_matrix.png"] = lambda: plot_confusion_matrix(
            scores.confusion(), class_names=data.classes
        )
    if isinstance(test, Arrays) and test.x.shape[3] == 1:
        pictures["misclassified.png"] = lambda: plot_misclassified(
            test.x, scores.true, scores.predicted, class_names=data.classes
        )
    first = next((layer for layer in model.layers if isinstance(layer, Conv2D)), None)
    if first is not None and max(first.kernel_size) > 1:
        shape = first.get_weights()[0].shape
        if shape[2] * shape[3] <= _MOST_KERNELS:
            pictures["kernels.png"] = lambda: plot_kernels(model, first.name)
        if isinstance(model, Sequential) and isinstance(test, Arrays):
            x = prepare(mode, test.x[:1])
            if x.shape[1:] == model.sample_shape:
                pictures["feature_maps.png"] = lambda: plot_feature_maps(model, x[0])
    written = []
    try:
        for name, draw in pictures.items():
            draw().savefig(folder / name)
            written.append(name)
    except MissingExtraError as error:
        click.echo(f"No pictures: {error}")
    return written
