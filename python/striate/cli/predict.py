"""`striate predict`: which digit is in a picture."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from striate.cli.digit_image import DigitImage, read_digit
from striate.cli.networks import open_model
from striate.models import Model
from striate.recipes import preprocess_for


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--verbose", "-v", is_flag=True, help="Show how each picture was prepared.")
def predict(model: str, images: tuple[Path, ...], verbose: bool) -> None:
    """Say which digit is in each of IMAGES, by MODEL (a file, or the folder of a run).

    A picture of any size and kind will do, with one digit on a plain background. It is made to
    look like those of MNIST: gray, bright ink on black (inverted if its background is bright),
    the digit scaled into 20x20 pixels, and its centre of mass moved to the centre of 28x28.
    """
    network = open_model(model)
    prepare = preprocess_for(network)
    digits = [read_digit(path) for path in images]
    x = prepare(np.stack([digit.pixels for digit in digits]))
    outputs = network.predict(x)
    classes = network.predict_classes(x)
    for path, digit, output, label in zip(images, digits, outputs, classes, strict=True):
        click.echo(f"{path}: {int(label)}  ({_confidence(network, output)})")
        if verbose:
            click.echo("  " + "\n  ".join(digit.steps))
            click.echo(_drawing(digit))


def _confidence(network: Model, output: np.ndarray) -> str:
    """The three likeliest classes with probabilities, or with distances for RBF units."""
    if network.outputs_are_distances:
        order = np.argsort(output)[:3]
        return "distance " + ", ".join(f"{label}: {output[label]:.1f}" for label in order)
    order = np.argsort(-output)[:3]
    return ", ".join(f"{label}: {100 * output[label]:.1f} %" for label in order)


def _drawing(digit: DigitImage) -> str:
    """The 28x28 pixels that the network saw, two characters a pixel."""
    shades = " .:-=+*#%@"
    rows = digit.pixels.astype(int) * (len(shades) - 1) // 255
    return "\n".join("  " + "".join(shades[value] * 2 for value in row) for row in rows)
