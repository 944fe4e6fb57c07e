"""How images become a saved model's input, and what the model says of itself.

`striate train` leaves in the model's metadata:

    classes        the classes' names, by number
    dataset        what it was trained on
    inputs         one of MODES: what is done to pixels before they go in
    held_out       the share of a folder's images that were kept from training, where they were all
                   in one folder
    shorter_side   what an image's shorter side becomes before the centre is cut out, where the
                   images were files
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.applications.lenet5_1998 import preprocess as preprocess_1998
from striate.applications.preprocess import MODES as PUBLISHED
from striate.applications.preprocess import preprocess_input
from striate.augment import Draw, Transform
from striate.errors import ArgumentError, ShapeError
from striate.layers import Rescaling
from striate.models import Model

MODES = ("none", "unit", *PUBLISHED, "lenet5-1998")
CHOICES = MODES[:-1]  # for people; the last one comes with its network

DIGIT_SETS = ("mnist", "fashion_mnist", "kmnist", "digits")


def prepare(mode: str, images: NDArray[Any]) -> NDArray[Any]:
    """Pixels [N, H, W, C], 0 to 255, as a model takes them.

    mode: "none", as they are; "unit", 0 to 1; "torch", "caffe" or "tf", see
        applications.preprocess_input; "lenet5-1998", see applications.lenet5_1998.preprocess.
    """
    if mode == "none":
        return images
    if mode == "unit":
        pixels = images.astype(np.float32)
        pixels /= 255
        return pixels
    if mode == "lenet5-1998":
        return preprocess_1998(images)
    return preprocess_input(images, mode)


@dataclass(frozen=True)
class Prepare(Transform):
    """`prepare` as the last step of a pipeline."""

    mode: str

    def images(self, x: NDArray[Any], draw: Draw) -> NDArray[Any]:
        """See Transform."""
        return prepare(self.mode, x)


def mode_of(model: Model, given: str | None = None) -> str:
    """How images become this model's input: as given, as the model says, or as can be told.

    Raises:
        ArgumentError: it cannot be told.
    """
    if given is not None:
        return given
    said = model.metadata.get("inputs")
    if said in MODES:
        return str(said)
    if model.steps and isinstance(model.steps[0].layer, Rescaling):
        return "none"
    shapes: dict[tuple[int, ...], str] = {(28, 28, 1): "unit", (32, 32, 1): "lenet5-1998"}
    guess = shapes.get(model.sample_shape)
    if guess is None:
        raise ArgumentError(
            f"{model.name} does not say how images become its input: give --preprocess: none "
            "(pixels, 0 to 255), unit (0 to 1), torch, caffe or tf (see "
            "applications.preprocess_input)"
        )
    return guess


def image_shape(model: Model, mode: str) -> tuple[int, int, int]:
    """(height, width, channels) of the images that `prepare` makes this model's input from.

    Raises:
        ShapeError: the model takes no images.
    """
    shape = model.sample_shape
    if len(model.sample_shapes) != 1 or len(shape) != 3 or shape[2] not in (1, 3, 4):
        raise ShapeError(
            f"{model.name} takes inputs {', '.join(map(str, model.sample_shapes))}, which are no "
            "images of 1, 3 or 4 channels"
        )
    if mode == "lenet5-1998":
        return 28, 28, 1
    return shape[0], shape[1], shape[2]


def color_mode(channels: int) -> str:
    """What ImageFolder calls images of so many channels."""
    return {1: "grayscale", 3: "rgb", 4: "rgba"}[channels]


def shorter_side(model: Model, side: int, given: int | None = None) -> int:
    """What an image's shorter side becomes before a square of `side` is cut from its centre.

    Raises:
        ArgumentError: the given one is smaller than the square.
    """
    if given is not None:
        if given < side:
            raise ArgumentError(
                f"--resize {given}: {model.name} sees squares of {side}x{side} pixels: give at "
                f"least {side}"
            )
        return given
    said = model.metadata.get("shorter_side")
    if isinstance(said, int) and said >= side:
        return said
    return round(side * 256 / 224) if side >= 128 else side


def class_names(model: Model, classes: int) -> list[str] | None:
    """The classes' names as the model says them; None where it does not, or not for all."""
    names = model.metadata.get("classes")
    if isinstance(names, list) and len(names) == classes:
        return [str(name) for name in names]
    return None


def dataset_of(model: Model) -> str:
    """The data set that it was trained on, a name or a folder; "auto" for one of digits."""
    said = model.metadata.get("dataset")
    return "auto" if not isinstance(said, str) or said in DIGIT_SETS else said


def sees_digits(model: Model) -> bool:
    """Whether its images are MNIST's or alike: made so by cli.digit_image, not as photographs."""
    dataset = model.metadata.get("dataset")
    if dataset is not None:
        return dataset in DIGIT_SETS or model.metadata.get("inputs") == "lenet5-1998"
    return model.sample_shape in ((28, 28, 1), (32, 32, 1))
