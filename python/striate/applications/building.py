"""What the deep networks' builders have in common: checking their arguments, and ending a model."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from striate.errors import ArgumentError, ShapeError
from striate.layers import GlobalAveragePooling2D, GlobalMaxPooling2D
from striate.layers.arguments import integer, sample_shape
from striate.models import Model

Shape = tuple[int, int, int]
Weights = str | PathLike[str] | None

POOLINGS = (None, "avg", "max")


def one_of(owner: str, name: str, value: object, known: Sequence[object]) -> None:
    """Refuses a value that is not in `known`."""
    if value not in known:
        choices = ", ".join(map(repr, known))
        raise ArgumentError(f"{owner}: {name} is one of {choices}, got {value!r}")


def check(owner: str, classes: object, pooling: object) -> None:
    """Refuses a number of classes below 1 and an unknown pooling."""
    integer(owner, "classes", classes)
    one_of(owner, "pooling", pooling, POOLINGS)


def image_shape(owner: str, shape: object, smallest: int) -> Shape:
    """(height, width, channels) with height and width of at least `smallest`.

    Raises:
        ShapeError: not three sizes, or an image too small for the network.
    """
    sizes = sample_shape(owner, shape)
    if len(sizes) != 3:
        raise ShapeError(f"{owner}: input_shape is (height, width, channels), got {sizes}")
    height, width, channels = sizes
    if min(height, width) < smallest:
        raise ShapeError(
            f"{owner}: images of {height}x{width} are too small: "
            f"the smallest that reach the last layer are {smallest}x{smallest}"
        )
    return height, width, channels


def pooled(x: Any, pooling: str | None) -> Any:
    """The last feature maps as they are, or the mean ("avg") or largest value ("max") of each."""
    if pooling == "avg":
        return GlobalAveragePooling2D(name="avg_pool")(x)
    if pooling == "max":
        return GlobalMaxPooling2D(name="max_pool")(x)
    return x


def finished(images: Any, outputs: Any, name: str, weights: Weights) -> Model:
    """The model from `images` to `outputs`, with the weights of a file if one is given."""
    model = Model(images, outputs, name=name)
    if weights is not None:
        model.load_weights(weights)
    return model
