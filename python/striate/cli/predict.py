"""`striate predict`: what is in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from striate.augment import Pipeline, Resize
from striate.cli import inputs
from striate.cli.class_names import class_count, names_of
from striate.cli.crops import HELP, VIEWS, views
from striate.cli.digit_image import DigitImage, read_digit
from striate.cli.networks import class_scores, open_model
from striate.cli.options import picture_options, threads_option
from striate.cli.photograph import as_input, read_photograph
from striate.errors import ArgumentError
from striate.models import Model

_AT_ONCE = 16  # pictures


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="K",
    help="How many classes to name.  [default: 5; 3 for digits]",
)
@click.option(
    "--crops",
    type=click.Choice([str(count) for count in VIEWS]),
    default="1",
    show_default=True,
    help=HELP,
)
@picture_options
@threads_option
@click.option("--verbose", "-v", is_flag=True, help="Show how digits were prepared.")
def predict(
    model: str, images: tuple[Path, ...], top: int | None, crops: str, resize: int | None,
    preprocess: str | None, labels: Path | None, verbose: bool,
) -> None:  # fmt: skip
    """Say what is in each of IMAGES, by MODEL (a file, or the folder of a run).

    Pictures of any size and kind will do. The likeliest classes are named with their probabilities;
    their names are those of the training images, or those in --labels FILE.

    For a network that was trained on digits, a picture has one digit on a plain background, and is
    made to look like those of MNIST: gray, bright ink on black (inverted if its background is
    bright), the digit scaled into 20x20 pixels, and its centre of mass moved to the centre of
    28x28.

    \b
      striate predict runs/lenet5-mnist-0 seven.png
      striate predict runs/resnet20-cifar10-0 cat.jpg dog.webp --top 3
      striate predict resnet50.safetensors cat.jpg --preprocess torch --labels imagenet.txt
    """
    network = open_model(model)
    names = names_of(network, labels) or [str(i) for i in range(class_count(network))]
    if top is not None and top > len(names):
        raise ArgumentError(f"--top {top}: {network.name} has {len(names)} classes")
    mode = inputs.mode_of(network, preprocess)
    if inputs.sees_digits(network):
        for first in range(0, len(images), _AT_ONCE):
            _digits(network, images[first : first + _AT_ONCE], names, mode, top or 3, verbose)
        return
    shape = inputs.image_shape(network, mode)
    shorter = inputs.shorter_side(network, max(shape[:2]), resize)
    pipeline = views(shape[:2], shorter, int(crops), mode)
    for path in images:
        view = as_input(read_photograph(path, inputs.color_mode(shape[2])), pipeline)
        x = view if int(crops) > 1 else view[None]
        scores = class_scores(network, network.predict(np.ascontiguousarray(x))).mean(axis=0)
        click.echo(f"{path}")
        for label in np.argsort(-scores, kind="stable")[: top or 5]:
            shown = -scores[label] if network.outputs_are_distances else 100 * scores[label]
            unit = "" if network.outputs_are_distances else " %"
            click.echo(f"{shown:8.2f}{unit}  {names[label]}")


def _digits(
    model: Model, paths: Sequence[Path], names: list[str], mode: str, top: int, verbose: bool
) -> None:
    digits = [read_digit(path) for path in paths]
    pixels = np.stack([digit.pixels for digit in digits])[..., None]
    size = inputs.image_shape(model, mode)[:2]
    if size != pixels.shape[1:3]:
        pixels = Pipeline(Resize(size))(pixels)
    scores = class_scores(model, model.predict(inputs.prepare(mode, pixels)))
    for path, digit, score in zip(paths, digits, scores, strict=True):
        order = np.argsort(-score, kind="stable")[: min(top, len(names))]
        click.echo(f"{path}: {names[order[0]]}  ({_confidence(model, score, order, names)})")
        if verbose:
            click.echo("  " + "\n  ".join(digit.steps))
            click.echo(_drawing(digit))


def _confidence(
    model: Model, score: NDArray[np.float32], order: NDArray[np.int64], names: list[str]
) -> str:
    """The likeliest classes with probabilities, or with distances for RBF units."""
    if model.outputs_are_distances:
        return "distance " + ", ".join(f"{names[label]}: {-score[label]:.1f}" for label in order)
    return ", ".join(f"{names[label]}: {100 * score[label]:.1f} %" for label in order)


def _drawing(digit: DigitImage) -> str:
    """The 28x28 pixels that the network saw, two characters a pixel."""
    shades = " .:-=+*#%@"
    rows = digit.pixels.astype(int) * (len(shades) - 1) // 255
    return "\n".join("  " + "".join(shades[value] * 2 for value in row) for row in rows)
