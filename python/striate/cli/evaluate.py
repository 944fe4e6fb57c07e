"""`striate evaluate`: how well a saved model does on a data set's test images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from striate.augment import Loader
from striate.cli import inputs
from striate.cli.class_names import class_count, names_of, tops_of
from striate.cli.crops import HELP, NAMES, VIEWS, views
from striate.cli.data import (
    NAMED,
    Arrays,
    Files,
    Part,
    held_out_folder,
    is_folder,
    load_named,
    some,
    split_by_class,
)
from striate.cli.networks import open_model
from striate.cli.options import numbers, picture_options, threads_option
from striate.cli.scores import Scores, class_report, score, summary_line, write_report
from striate.datasets import ImageFolder
from striate.errors import ArgumentError
from striate.models import Model

_BATCH = {1: 32, 2: 32, 6: 16, 10: 8}  # images at a time, by crops


@dataclass(frozen=True)
class Images:
    """Test images whose labels are the network's numbers of the classes."""

    name: str
    part: Part
    names: list[str]
    note: str = ""


@click.command()
@click.argument("model")
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path))
@click.option(
    "--dataset",
    metavar="NAME|DIR",
    help=f"{', '.join(NAMED)}; auto, which is MNIST, or the built-in digits where it cannot be "
    "had; or a folder.  [default: what the model was trained on; auto for digits]",
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder that holds the data set.")
@click.option(
    "--top",
    callback=numbers,
    metavar="K,..",
    help="Which errors to count; 1,5 are ILSVRC's.  [default: 1,5; 1 where classes are few]",
)
@click.option(
    "--crops",
    type=click.Choice([str(count) for count in VIEWS]),
    default="1",
    show_default=True,
    help=HELP,
)
@picture_options
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write each class's accuracy there as CSV, the worst first.",
)
@click.option(
    "--on-error",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    show_default=True,
    help="What an image file that cannot be read leads to.",
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Images at a time.")
@click.option("--workers", type=click.IntRange(min=0), help="Threads that decode images.")
@threads_option
@click.option("--limit", type=click.IntRange(min=1), help="Use only N of the test images.")
def evaluate(
    model: str, folder: Path | None, dataset: str | None, data: Path | None, top: list[int] | None,
    crops: str, resize: int | None, preprocess: str | None, labels: Path | None,
    report: Path | None, on_error: str, batch_size: int | None, workers: int | None,
    limit: int | None,
) -> None:  # fmt: skip
    """Measure MODEL, a file or the folder of a run, on test images.

    The images are a data set's, or lie in a folder as DIR/CLASS/FILE, or DIR/val/CLASS/FILE, as
    ImageNet's usually do. They are read a batch at a time, ahead of the network.

    \b
      striate evaluate runs/lenet5-mnist-0
      striate evaluate runs/resnet20-cifar10-0 --top 1,5 --data DIR
      striate evaluate resnet50.safetensors imagenet/val --top 1,5 --crops 10 \\
          --resize 256 --preprocess torch --report classes.csv
    """
    network = open_model(model)
    tops = tops_of(network, top)
    mode = inputs.mode_of(network, preprocess)
    shape = inputs.image_shape(network, mode)
    if folder is not None and dataset is not None:
        raise ArgumentError(f"{folder}: give a folder or --dataset, not both")
    dataset = dataset or inputs.dataset_of(network)
    root = folder or (Path(dataset) if is_folder(dataset) else None)
    names = names_of(network, labels)
    images = (
        _named(network, names, dataset, data, limit)
        if root is None
        else _in_folder(network, names, root, inputs.color_mode(shape[2]), on_error, limit)
    )
    count = int(crops)
    shorter = inputs.shorter_side(network, max(shape[:2]), resize)
    pipeline = views(shape[:2], shorter, count, mode)
    loader = images.part.loader(pipeline, batch_size or _BATCH[count], False, workers)
    if images.note:
        click.echo(images.note)
    scores = with_progress(network, loader, count)
    click.echo(summary_line(images.name, scores, tops))
    if isinstance(images.part, Files):
        click.echo(
            f"{NAMES[count]}, {shape[0]}x{shape[1]}, of images with a shorter side of {shorter}; "
            f"preprocess {mode}"
        )
    click.echo(class_report(scores, images.names, tops))
    if report is not None:
        write_report(report, scores, images.names, tops)
        click.echo(f"every class: {report}")
    if images.note and not isinstance(images.part, Files):  # stands at both ends, not to be missed
        click.echo(images.note)


def with_progress(model: Model, loader: Loader, crops: int = 1) -> Scores:
    """`score` with a bar, where there is a terminal to show it."""
    from tqdm.auto import tqdm

    with tqdm(total=loader.samples, unit="image", leave=False, disable=None) as bar:
        return score(model, loader, crops, lambda count: bar.update(count))


def _named(
    model: Model, names: list[str] | None, dataset: str, data: Path | None, limit: int | None
) -> Images:
    found = load_named(dataset, data, limit)
    count, channels = class_count(model), model.sample_shape[-1]
    if len(found.classes) != count:
        raise ArgumentError(
            f"{found.name} has {len(found.classes)} classes, {model.name} has {count}"
        )
    assert isinstance(found.test, Arrays)
    own = found.test.x.shape[-1]
    if own != channels:
        raise ArgumentError(
            f"{found.name}: images of {own} channel{'s'[: own - 1]}, {model.name} takes {channels}"
        )
    return Images(found.name, found.test, names or found.classes, found.note)


def _in_folder(
    model: Model, names: list[str] | None, root: Path, color: str, on_error: str, limit: int | None
) -> Images:
    """The folder's images; its classes are the network's by their names, or else by their order.

    Raises:
        ArgumentError: neither will do.
    """
    if not root.is_dir():
        raise ArgumentError(f"no folder {root}")
    inner = root / "train" if (root / "train").is_dir() else root  # where nothing else is there
    folder = ImageFolder(held_out_folder(root) or inner, color_mode=color, on_error=on_error)
    count, note = class_count(model), ""
    if names is not None and set(folder.classes) <= set(names):
        folder = folder.with_classes(names)
    elif len(folder.classes) != count:
        hint = (
            "give their names, in the network's order, as --labels FILE"
            if names is None
            else f"and {next(c for c in folder.classes if c not in set(names))} is none of those"
        )
        raise ArgumentError(
            f"{folder.root}: {len(folder.classes):,} classes, {model.name} has {count:,}: {hint}"
        )
    elif names is not None:
        note = f"{folder.root}: its folders are not called as the classes, and are taken in order"
    share = model.metadata.get("held_out")
    if isinstance(share, float) and model.metadata.get("dataset") == str(root.absolute()):
        folder = folder.subset(np.flatnonzero(split_by_class(folder.labels, share, str(root))))
        note = f"{root}: the {len(folder):,} images that were kept from training"
    if limit is not None:
        folder = folder.subset(some(len(folder), limit))
    return Images(str(folder.root), Files(folder), names or folder.classes, note)
