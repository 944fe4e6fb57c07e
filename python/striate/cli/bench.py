"""`striate bench`: where a batch's time goes, layer by layer."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from striate.cli.networks import NETWORKS, network_or_model
from striate.errors import ArgumentError, MissingExtraError
from striate.models.weighted import PRECISIONS


@click.command(epilog=f"Networks: {', '.join(NETWORKS)}.")
@click.argument("network", metavar="NETWORK|MODEL")
@click.option("--batch", default=16, show_default=True, type=click.IntRange(min=1))
@click.option("--train", is_flag=True, help="A training step instead of a prediction.")
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--precision", type=click.Choice(PRECISIONS), help="How products may be rounded.")
@click.option(
    "--plot", "picture", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Draw it, too (needs the extra \"plot\").",
)  # fmt: skip
def bench(
    network: str, batch: int, train: bool, repeats: int, precision: str | None, picture: Path | None
) -> None:
    """Time each layer of a network, as it was published, or of a model file.

    Milliseconds forward and backward, GFLOP/s, the share of this machine's multiply-add limit, the
    bytes that move and how it is computed; medians, on random images.

    \b
      striate bench resnet50
      striate bench vgg16 --batch 16 --train --plot vgg16.png
      striate bench runs/lenet5-mnist-0
    """
    if picture is not None:
        try:
            import matplotlib  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("matplotlib", "plot", "a picture") from error
    model = network_or_model(network)
    if precision is not None:
        model.precision = precision
    if len(model.sample_shapes) != 1 or len(model.output_sample_shapes) != 1:
        raise ArgumentError(f"{model.name}: bench takes networks of one input and one output")
    random = np.random.default_rng(0)
    x = random.random((batch, *model.sample_shape), np.float32)
    y = None
    if train:
        y = random.integers(0, model.output_sample_shapes[0][-1], batch)
        if not model.is_compiled:
            model.compile("sgd", "sparse_categorical_crossentropy")
    profile = model.profile(x, y, repeats=repeats)
    click.echo(str(profile))
    if picture is not None:
        from striate.viz import plot_profile

        plot_profile(profile, title=network).savefig(picture)
        click.echo(f"wrote {picture}")
