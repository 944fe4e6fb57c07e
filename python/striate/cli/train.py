"""`striate train`: a network, a data set, a recipe; leaves runs/<name>/ behind."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from striate import _core
from striate.callbacks import CSVLogger
from striate.cli.images import DATASETS, Images, load_images
from striate.cli.networks import recipe_argument
from striate.cli.pictures import draw_pictures
from striate.cli.report import confusion_text
from striate.cli.run_folder import RunFolder
from striate.errors import ArgumentError
from striate.metrics import confusion_matrix
from striate.models import Sequential
from striate.recipes import Recipe
from striate.utils import set_random_seed


@dataclass(frozen=True)
class Plan:
    """A recipe with what the command line overrides."""

    recipe: Recipe
    epochs: int
    batch_size: int
    learning_rate: float | None
    seed: int


@click.command()
@click.argument("network", callback=recipe_argument)
@click.option(
    "--dataset",
    type=click.Choice(DATASETS),
    default="auto",
    show_default=True,
    help="auto: MNIST, or the built-in digits where it cannot be had.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder that holds the data set.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images a step.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="The schedule's highest rate; for lenet5-1998 the rate of the whole run.",
)
@click.option("--name", help="The run's folder; default: network-dataset-seed, numbered.")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where the run's folder is made.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Default: see `striate info`.")
@click.option(
    "--limit", type=click.IntRange(min=1), help="Use only the first N training and N test images."
)
@click.option("--activation", help="For lenet5 and mlp: relu, tanh, sigmoid, ...")
@click.option("--pooling", type=click.Choice(["max", "average"]), help="For lenet5.")
@click.option("--verbose", "-v", is_flag=True, help="Also say how the run is set up.")
def train(
    network: Recipe, dataset: str, data: Path | None, epochs: int | None, batch_size: int | None,
    seed: int, learning_rate: float | None, name: str | None, runs: Path, threads: int | None,
    limit: int | None, activation: str | None, pooling: str | None, verbose: bool,
) -> None:  # fmt: skip
    """Train NETWORK (lenet5, lenet5-1998 or mlp) and keep what comes of it in a folder.

    Leaves the model, its history, result.json and, with matplotlib, pictures in RUNS/NAME.
    """
    if threads is not None:
        _core.set_num_threads(threads)
    plan = Plan(network, epochs or network.epochs, batch_size or network.batch_size,
                learning_rate, seed)  # fmt: skip
    set_random_seed(seed)
    model = _build(network, activation=activation, pooling=pooling)
    images = load_images(dataset, data, limit)
    if images.note:
        click.echo(images.note + "\n")
    default = f"{network.name}-{images.name}-{seed}"
    folder = RunFolder(runs, default if name is None else name, numbered=name is None)
    model.summary(print_fn=click.echo, connections=True)
    if verbose:
        click.echo(_setup(plan, images))
    _run(plan, model, images, folder)
    if images.note:
        click.echo("\n" + images.note)


def _build(recipe: Recipe, **options: str | None) -> Sequential:
    """The recipe's network, with those options that were given; ArgumentError if it lacks one."""
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in recipe.options:
            raise ArgumentError(f"--{option}: {recipe.name} has no such choice")
    return recipe.build(**given)


def _run(plan: Plan, model: Sequential, images: Images, folder: RunFolder) -> None:
    """Fits, measures, and writes everything into the folder."""
    recipe = plan.recipe
    x_train, x_test = recipe.preprocess(images.x_train), recipe.preprocess(images.x_test)
    y_train, y_test = images.y_train.astype(np.int64), images.y_test.astype(np.int64)
    steps = -(-len(x_train) // plan.batch_size)
    model.compile(
        optimizer=recipe.optimizer(plan.learning_rate, steps, plan.epochs),
        loss=recipe.loss(),
        metrics=["accuracy"],
    )
    started = time.perf_counter()
    try:
        history = model.fit(
            x_train, y_train, batch_size=plan.batch_size, epochs=plan.epochs,
            validation_data=(x_test, y_test), callbacks=[CSVLogger(folder.history)],
        ).history  # fmt: skip
    except KeyboardInterrupt:
        click.echo(f"\nStopped; the epochs that ended are in {folder.history}", err=True)
        raise
    seconds = time.perf_counter() - started
    model.save(folder.model)
    predicted = model.predict_classes(x_test)
    matrix = confusion_matrix(y_test, predicted, 10)
    result = _result(plan, model, images, seconds, predicted)
    result["test_loss"] = history["val_loss"][-1]
    folder.write_result(result)
    click.echo(
        f"\ntest accuracy {100 * result['accuracy']:.2f} % "
        f"({int((predicted != y_test).sum()):,} of {len(y_test):,} wrong), trained in "
        f"{seconds:.1f} s: {result['images_per_second']:,.0f} images/s\n"
    )
    click.echo(confusion_text(matrix))
    written = draw_pictures(folder.path, model, history, images, x_test, predicted)
    click.echo(f"\n{folder.path}: {', '.join(['model, history, result', *written])}")


def _result(
    plan: Plan, model: Sequential, images: Images, seconds: float, predicted: np.ndarray
) -> dict[str, Any]:
    """result.json's keys; seconds are those of training, its epochs' tests included."""
    return {
        "network": plan.recipe.name,
        "dataset": images.name,
        "seed": plan.seed,
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "parameters": model.count_params(),
        "accuracy": float((predicted == images.y_test).mean()),
        "seconds": round(seconds, 3),
        "images_per_second": round(plan.epochs * len(images.x_train) / seconds, 1),
        "isa": _core.isa(),
        "threads": _core.num_threads(),
        "version": _core.__version__,
    }


def _setup(plan: Plan, images: Images) -> str:
    """The run in words."""
    rate = "its own" if plan.learning_rate is None else f"{plan.learning_rate:g}"
    return (
        f"{plan.recipe.title}\n"
        f"{len(images.x_train):,} training and {len(images.x_test):,} test images of "
        f"{images.name}; {plan.epochs} epochs, batches of {plan.batch_size}, learning rate "
        f"{rate}, seed {plan.seed}\n"
        f"striate {_core.__version__}, {_core.isa()}, {_core.num_threads()} threads "
        f"({_core.thread_reason()})\n"
    )
