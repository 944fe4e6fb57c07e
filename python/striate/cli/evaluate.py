"""`striate evaluate`: how well a saved model does on a data set's test images."""

from __future__ import annotations

from pathlib import Path

import click

from striate.cli.images import DATASETS, load_images
from striate.cli.networks import open_model
from striate.cli.report import confusion_text
from striate.metrics import confusion_matrix
from striate.recipes import preprocess_for


@click.command()
@click.argument("model")
@click.option("--dataset", type=click.Choice(DATASETS), default="auto", show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="Folder that holds the data set.")
@click.option("--limit", type=click.IntRange(min=1), help="Use only the first N test images.")
def evaluate(model: str, dataset: str, data: Path | None, limit: int | None) -> None:
    """Measure MODEL, a file or the folder of a run, on the test images of a data set."""
    network = open_model(model)
    images = load_images(dataset, data, limit)
    if images.note:
        click.echo(images.note)
    predicted = network.predict_classes(preprocess_for(network)(images.x_test))
    right = int((predicted == images.y_test).sum())
    click.echo(
        f"{images.name}: {100 * right / len(predicted):.2f} % of {len(predicted):,} test images "
        f"right, {len(predicted) - right:,} wrong"
    )
    click.echo(confusion_text(confusion_matrix(images.y_test, predicted, 10)))
    if images.note:
        click.echo(images.note)
